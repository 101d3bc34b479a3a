// Runs the built program as a user would: in a process and a folder of its own.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/temporary_folder.h"

namespace terse::launch::testing {

struct Result {
  int code = -1;  // exit code; 128 + number of the signal that ended it
  std::string out;
  std::string err;
};

using support::read_file;
using support::TemporaryFolder;

struct Surroundings {
  std::filesystem::path folder;               // working folder; empty: this one
  std::vector<std::string> environment = {};  // "NAME=value", in addition to this process's own
  std::string input = {};                     // standard input
};

// A program that has been started. The destructor kills it if it still runs.
class Program {
 public:
  explicit Program(const std::vector<std::string>& arguments, const Surroundings& surroundings = {});
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int number) const;
  // Waits for `condition`. Returns false if the program ended or a minute passed first.
  bool wait_until(const std::function<bool()>& condition) const;
  Result wait();

 private:
  TemporaryFolder files_;
  pid_t pid_ = -1;
};

// Runs the program to its end.
Result terse(const std::vector<std::string>& arguments, const Surroundings& surroundings = {});

// The smallest configuration that trains. All its stages take a second or so.
std::string tiny_config();

}  // namespace terse::launch::testing
