// Keeps the marks of origin as runs, so that the cost of a mark does not depend on how many bytes have it.
#include "data/chat/jinja/values/text.h"

#include <algorithm>

namespace terse::data::jinja {

void Text::extend_to(size_t end, Origin origin) {
  if (!runs_.empty() && runs_.back().origin == origin) {
    runs_.back().end = end;
  } else {
    runs_.push_back({end, origin});
  }
}

void Text::append(std::string_view bytes, Origin origin) {
  if (bytes.empty()) return;
  bytes_ += bytes;
  extend_to(bytes_.size(), origin);
}

void Text::append(const Text& text, size_t begin, size_t end) {
  if (begin >= end) return;
  const size_t base = bytes_.size();
  bytes_.append(text.bytes_, begin, end - begin);
  auto run = text.run_at(begin);
  for (size_t at = begin; at < end; at = run->end, ++run) {
    extend_to(base + std::min(run->end, end) - begin, run->origin);
  }
}

Text Text::slice(size_t begin, size_t end) const {
  Text part;
  part.append(*this, begin, end);
  part.is_markup_ = is_markup_;
  return part;
}

std::vector<Run>::const_iterator Text::run_at(size_t at) const {
  return std::upper_bound(runs_.begin(), runs_.end(), at,
                          [](size_t byte, const Run& candidate) { return byte < candidate.end; });
}

void Text::mark_generated(size_t begin) {
  const auto first = run_at(begin) - runs_.begin();
  const std::vector<Run> tail(runs_.begin() + first, runs_.end());
  runs_.resize(static_cast<size_t>(first));
  const size_t end_of_head = runs_.empty() ? 0 : runs_.back().end;
  if (!tail.empty() && end_of_head < begin) extend_to(begin, tail.front().origin);
  for (const Run& run : tail) extend_to(run.end, run.origin.as_generated());
}

}  // namespace terse::data::jinja
