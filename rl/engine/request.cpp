// Checks the parameters of requests.
#include "rl/engine/request.h"

#include <fmt/format.h>

#include <stdexcept>

namespace terse::rl {

void check(const SamplingParams& params) {
  const auto require = [](bool holds, const char* name, auto value, const char* expected) {
    if (!holds) throw std::invalid_argument(fmt::format("{} is {}; expected {}", name, value, expected));
  };
  const trainer::LogitTransform& t = params.transform;
  require(t.temperature >= 0 && t.temperature < 1e30, "temperature", t.temperature, "0 or more");
  require(t.top_k >= 0, "top_k", t.top_k, "0 (off) or more");
  require(t.top_p > 0 && t.top_p <= 1, "top_p", t.top_p, "more than 0, at most 1 (off)");
  require(t.min_p >= 0 && t.min_p <= 1, "min_p", t.min_p, "0 (off) to 1");
  require(params.max_new_tokens >= 1, "max_new_tokens", params.max_new_tokens, "1 or more");
  require(params.n >= 1 && params.n <= kMostSamples, "n", params.n, "1 to 2^24 samples");
  for (const std::string& stop : params.stop) require(!stop.empty(), "stop", "\"\"", "a string that is not empty");
}

}  // namespace terse::rl
