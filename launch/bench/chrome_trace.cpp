// The format: "Trace Event Format", Duvall and Sinclair, 2016.
#include "launch/bench/chrome_trace.h"

#include <algorithm>

namespace terse::launch::bench {

nlohmann::json chrome_trace(const std::vector<std::vector<Event>>& recordings) {
  nlohmann::json events = nlohmann::json::array();
  int64_t offset = 0;
  for (const std::vector<Event>& recording : recordings) {
    int64_t last = 0;
    for (const Event& event : recording) {
      nlohmann::json entry = {{"name", event.name.empty() ? event.node : event.name},
                              {"cat", event.node.empty() ? "scope" : "autograd"},
                              {"ph", "X"},
                              {"ts", static_cast<double>(offset + event.begin) / 1e3},
                              {"dur", static_cast<double>(event.duration()) / 1e3},
                              {"pid", 1},
                              {"tid", event.thread}};
      if (!event.node.empty()) entry["args"] = {{"node", event.node}};
      events.push_back(std::move(entry));
      last = std::max(last, event.end);
    }
    offset += last;
  }
  return {{"displayTimeUnit", "ms"}, {"traceEvents", std::move(events)}};
}

}  // namespace terse::launch::bench
