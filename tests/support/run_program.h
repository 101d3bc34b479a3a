// Runs a program and collects its standard output.
#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

namespace terse::support {

struct ProgramResult {
  int exit_code = -1;  // -1: ended by a signal
  std::string output;  // standard output
};

// `arguments` start with the program and are passed as they are, without a shell's expansion. Standard error goes to
// the file `errors`.
inline ProgramResult run_program(const std::vector<std::string>& arguments, const std::string& errors = "/dev/null") {
  const auto quoted = [](const std::string& text) {
    std::string out = "'";
    for (char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
    return out + "'";
  };
  std::string command;
  for (const std::string& argument : arguments) command += quoted(argument) + " ";
  command += "2>" + quoted(errors);
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
  ProgramResult result;
  char block[65536];
  for (size_t got; (got = std::fread(block, 1, sizeof block, pipe)) > 0;) result.output.append(block, got);
  const int status = ::pclose(pipe);
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  return result;
}

}  // namespace terse::support
