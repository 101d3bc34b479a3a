// Writes recorded events in the trace event format, which Perfetto and chrome://tracing show.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "launch/bench/recording.h"

namespace terse::launch::bench {

// Puts the recordings one after the other. Each event is a complete event ("ph": "X") with its times in microseconds.
nlohmann::json chrome_trace(const std::vector<std::vector<Event>>& recordings);

}  // namespace terse::launch::bench
