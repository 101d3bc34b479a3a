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
  Text marked = slice(0, begin);
  for (size_t i = 0, at = 0; i < runs_.size(); at = runs_[i].end, ++i) {
    const size_t from = std::max(at, begin);
    if (from < runs_[i].end) {
      marked.append(std::string_view(bytes_).substr(from, runs_[i].end - from), runs_[i].origin.as_generated());
    }
  }
  *this = std::move(marked);
}

}  // namespace terse::data::jinja
