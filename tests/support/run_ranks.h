// Runs a program as several ranks on this machine under mpirun.
#pragma once

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/support/run_program.h"
#include "tests/support/temporary_folder.h"

namespace terse::support {

struct RanksResult {
  int exit_code = -1;
  std::string output, errors;
};

// Runs `program` (with its arguments) as this number of ranks. TERSE_MPIRUN is the command line up to that number: see
// tests/trainer/parallel/ranks.cmake.
inline RanksResult run_ranks(int ranks, const std::vector<std::string>& program) {
  std::vector<std::string> command;
  const std::string launcher = TERSE_MPIRUN;
  for (size_t at = 0; at < launcher.size();) {
    const size_t end = std::min(launcher.find(' ', at), launcher.size());
    command.push_back(launcher.substr(at, end - at));
    at = end + 1;
  }
  command.push_back(std::to_string(ranks));
  command.insert(command.end(), program.begin(), program.end());
  const TemporaryFolder folder;
  const std::string errors = folder.path() / "stderr";
  const ProgramResult run = run_program(command, errors);
  std::ifstream file(errors);
  return {.exit_code = run.exit_code,
          .output = run.output,
          .errors = std::string(std::istreambuf_iterator<char>(file), {})};
}

}  // namespace terse::support
