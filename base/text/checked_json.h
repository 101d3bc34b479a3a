// Checks JSON that a person or another program wrote while it is parsed. nlohmann::json would keep only the last of
// several equal keys, and functions that recurse into a document need a bound on its depth.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <vector>

namespace terse {

// A callback for Json::parse(). It throws std::invalid_argument for a key that an object has twice, for more than 64
// levels, and for an object with more than `most_keys` keys. An ordered_json needs a bound on its keys, because it
// compares each with all those before it.
template <typename Json>
class CheckedJson {
 public:
  explicit CheckedJson(size_t most_keys = std::numeric_limits<size_t>::max()) : most_keys_(most_keys) {}

  bool operator()(int depth, typename Json::parse_event_t event, Json& parsed) {
    using Event = typename Json::parse_event_t;
    if (depth > kMaxDepth) throw std::invalid_argument(fmt::format("it nests deeper than {} levels", kMaxDepth));
    if (event == Event::object_start) keys_.push_back(0);
    if (event == Event::key && ++keys_.back() > most_keys_)
      throw std::invalid_argument(fmt::format("an object has more than {} keys", most_keys_));
    if (event == Event::object_end) {
      if (parsed.size() != keys_.back()) throw std::invalid_argument("an object has the same key twice");
      keys_.pop_back();
    }
    return true;
  }

 private:
  static constexpr int kMaxDepth = 64;

  size_t most_keys_;
  std::vector<size_t> keys_;  // how many each open object has had so far
};

}  // namespace terse
