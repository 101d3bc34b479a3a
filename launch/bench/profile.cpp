// An event comes after the event around it, so one pass over the events suffices.
#include "launch/bench/profile.h"

#include <algorithm>
#include <numeric>

namespace terse::launch::bench {

namespace {

template <class Named>
Named& entry(std::vector<Named>& list, const std::string& name, const auto& name_of) {
  const auto found = std::find_if(list.begin(), list.end(), [&](Named& each) { return name_of(each) == name; });
  if (found != list.end()) return *found;
  name_of(list.emplace_back()) = name;
  return list.back();
}

Times& operation(PhaseTimes& phase, const std::string& name) {
  return entry(phase.operations, name, [](auto& each) -> std::string& { return each.first; }).second;
}

void add_to(Times& times, const Event& event) {
  times.count += 1;
  times.nanoseconds += event.duration();
}

}  // namespace

int64_t PhaseTimes::other() const {
  return std::accumulate(operations.begin(), operations.end(), nanoseconds,
                         [](int64_t left, const auto& each) { return left - each.second.nanoseconds; });
}

int64_t Profile::other() const {
  return std::accumulate(phases.begin(), phases.end(), nanoseconds,
                         [](int64_t left, const PhaseTimes& each) { return left - each.nanoseconds; });
}

void Profile::add(std::span<const Event> events) {
  struct Place {
    size_t phase = 0;
    int depth = 0;
    bool in_backward = false;  // inside a node
    std::string operation;     // to which the time of the event belongs; empty: none
  };
  std::vector<Place> places;
  for (const Event& event : events) {
    Place place;
    if (event.parent < 0) {
      add_to(*this, event);
      places.push_back(place);
      continue;
    }
    const Place& around = places[static_cast<size_t>(event.parent)];
    place.depth = around.depth + 1;
    if (place.depth == 1) {
      PhaseTimes& phase = entry(phases, event.name, [](PhaseTimes& each) -> std::string& { return each.name; });
      place.phase = static_cast<size_t>(&phase - phases.data());
      add_to(phase, event);
      places.push_back(place);
      continue;
    }
    place.phase = around.phase;
    place.in_backward = around.in_backward || !event.node.empty();
    place.operation = event.name;
    if (around.in_backward && event.node.empty()) place.operation += ", recomputed";
    PhaseTimes& phase = phases[place.phase];
    if (!place.operation.empty()) add_to(operation(phase, place.operation), event);
    if (!around.operation.empty()) operation(phase, around.operation).nanoseconds -= event.duration();
    places.push_back(place);
  }
}

}  // namespace terse::launch::bench
