// What goes wrong with data files. Mistakes in a config are configs::ConfigError; these are about the bytes themselves.
#pragma once

#include <stdexcept>

namespace terse::data {

// A file that cannot be used: damaged, not what it claims to be, or text that the tokenizer cannot write. The message
// names the file, the place in it, what was found and what was expected. launch turns it into exit code 65.
class DataError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The disk refused a read or a write; launch turns it into exit code 74.
class DiskError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace terse::data
