// Provides helpers for the tests of data/: reading whole token sources, messages of errors, and random numbers.
#pragma once

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "data/store/token_source.h"
#include "tests/support/temporary_folder.h"

namespace terse::data {

using support::read_file;
using support::TemporaryFolder;

inline std::vector<int32_t> all_tokens(const TokenSource& source) {
  std::vector<int32_t> tokens(static_cast<size_t>(source.size()));
  source.read(0, tokens);
  return tokens;
}

// Returns the message of the exception of type E that `call` throws. The test fails when it throws none.
template <typename E, typename Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const E& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

// Returns a number in [0, n), the same on every platform.
inline int64_t below(std::mt19937_64& random, int64_t n) {
  return static_cast<int64_t>(random() % static_cast<uint64_t>(n));
}

}  // namespace terse::data
