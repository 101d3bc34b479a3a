// Every byte knows which message it is from, so the bytes of a message tell where its turn is. The turn begins after
// the header of the assistant, which is what a generation prompt writes, because there the model takes over. It ends
// with the token that ends the turn.
#include "data/chat/assistant_spans.h"

#include <algorithm>
#include <optional>
#include <string_view>

namespace terse::data {

namespace {

// Calls use(span, origin) for every run.
template <typename Use>
void for_each_run(const jinja::Text& text, Use use) {
  size_t begin = 0;
  for (const jinja::Run& run : text.runs()) {
    use(Span{begin, run.end}, run.origin);
    begin = run.end;
  }
}

template <typename Holds>
std::vector<Span> spans_where(const jinja::Text& text, Holds holds) {
  std::vector<Span> spans;
  for_each_run(text, [&](Span span, jinja::Origin origin) {
    if (holds(origin)) spans.push_back(span);
  });
  return joined_spans(std::move(spans));
}

// Where a message is in the text, and the text around it that belongs to no other message.
struct Place {
  size_t around_begin = 0;
  size_t around_end = 0;
  std::optional<Span> content;  // from its first to its last byte of input; nothing if none was rendered
};

class Places {
 public:
  Places(const jinja::Text& text, size_t messages) : size_(text.size()), own_(messages) {
    for_each_run(text, [&](Span span, jinja::Origin origin) {
      if (origin.message() < 0 || origin.message() >= static_cast<int64_t>(messages)) return;
      runs_.push_back(span);
      auto& own = own_[static_cast<size_t>(origin.message())];
      if (!own.extent) own.extent = span;
      own.extent->end = span.end;
      if (!origin.is_input()) return;
      if (!own.content) own.content = span;
      own.content->end = span.end;
    });
    for (size_t i = 1; i < messages; ++i) {
      own_[i].end_of_earlier = own_[i - 1].end_of_earlier;
      if (own_[i - 1].extent) own_[i].end_of_earlier = std::max(own_[i].end_of_earlier, own_[i - 1].extent->end);
    }
  }

  Place of(size_t message) const {
    const auto& own = own_[message];
    // A message without any text lies between its neighbours.
    const size_t left = own.extent ? own.extent->begin : own.end_of_earlier;
    const size_t right = own.extent ? own.extent->end : left;
    const auto before =
        std::upper_bound(runs_.begin(), runs_.end(), left, [](size_t at, const Span& span) { return at < span.end; });
    const auto after = std::lower_bound(runs_.begin(), runs_.end(), right,
                                        [](const Span& span, size_t at) { return span.begin < at; });
    return {before == runs_.begin() ? 0 : before[-1].end, after == runs_.end() ? size_ : after->begin, own.content};
  }

 private:
  struct Own {
    std::optional<Span> extent;  // of the role and the content
    std::optional<Span> content;
    size_t end_of_earlier = 0;  // where the messages before it end
  };

  size_t size_;
  std::vector<Span> runs_;  // of all messages, ascending
  std::vector<Own> own_;
};

// `spans` are ascending and disjoint.
bool inside(const std::vector<Span>& spans, Span wanted) {
  const auto after = std::upper_bound(spans.begin(), spans.end(), wanted.begin,
                                      [](size_t at, const Span& span) { return at < span.begin; });
  return after != spans.begin() && wanted.end <= after[-1].end;
}

// Returns where a text occurs first in the part [begin, end) of another one, or npos.
size_t find_in_part(const std::string& text, const std::string& wanted, size_t begin, size_t end) {
  return std::string_view(text).substr(0, end).find(wanted, begin);
}

// Returns the first occurrence of a text inside [begin, end) that is entirely inside one of the spans.
std::optional<Span> find_inside(const std::string& text, const std::string& wanted, Span range,
                                const std::vector<Span>& spans) {
  if (wanted.empty()) return std::nullopt;
  for (size_t at = range.begin; (at = find_in_part(text, wanted, at, range.end)) != std::string::npos; ++at) {
    const Span found{at, at + wanted.size()};
    if (inside(spans, found)) return found;
  }
  return std::nullopt;
}

std::optional<size_t> start_of_turn(const std::string& bytes, const Place& place, size_t message,
                                    const TurnFormat& format, const std::vector<Span>& trusted) {
  const Span around{place.around_begin, place.around_end};
  for (const std::string& prompt : format.prompts) {
    if (const auto header = find_inside(bytes, prompt, around, trusted)) return header->end;
  }
  const std::string before = format.prompt_before(message);
  if (!before.empty() && bytes.starts_with(before)) return before.size();
  return place.content ? std::optional(place.content->begin) : std::nullopt;
}

}  // namespace

std::vector<Span> assistant_spans(const jinja::Text& text, const Conversation& conversation, const TurnFormat& format) {
  const std::vector<Span> trusted = template_spans(text);
  const Places places(text, conversation.size());
  std::vector<Span> spans;
  for (size_t i = 0; i < conversation.size(); ++i) {
    if (conversation[i].role != "assistant") continue;
    const Place place = places.of(i);
    const auto begin = start_of_turn(text.bytes(), place, i, format, trusted);
    if (!begin) continue;
    size_t end = std::max(*begin, place.content ? place.content->end : 0);
    std::optional<Span> first;
    for (const std::string& token : format.ends) {
      const auto found = find_inside(text.bytes(), token, {end, place.around_end}, trusted);
      if (found && (!first || found->begin < first->begin)) first = found;
    }
    if (first) end = first->end;
    if (end > *begin) spans.push_back({*begin, end});
  }
  return joined_spans(std::move(spans));
}

std::vector<Span> generated_spans(const jinja::Text& text) {
  return spans_where(text, [](jinja::Origin origin) { return origin.is_generated(); });
}

std::vector<Span> template_spans(const jinja::Text& text) {
  return spans_where(text, [](jinja::Origin origin) { return !origin.is_input(); });
}

std::vector<Span> occurrences_in_assistant(const jinja::Text& text, const Conversation& conversation,
                                           const std::vector<std::string>& wanted) {
  const std::vector<Span> written = spans_where(text, [&](jinja::Origin origin) {
    const int64_t message = origin.message();
    const bool is_known = message >= 0 && message < static_cast<int64_t>(conversation.size());
    return is_known && origin.is_input() && conversation[static_cast<size_t>(message)].role == "assistant";
  });
  std::vector<Span> found;
  for (const Span& span : written) {
    for (const std::string& marker : wanted) {
      size_t at = span.begin;
      for (; !marker.empty() && (at = find_in_part(text.bytes(), marker, at, span.end)) != std::string::npos;
           at += marker.size())
        found.push_back({at, at + marker.size()});
    }
  }
  return found;
}

std::vector<Span> joined_spans(std::vector<Span> spans) {
  std::sort(spans.begin(), spans.end(), [](const Span& left, const Span& right) { return left.begin < right.begin; });
  std::vector<Span> joined;
  for (const Span& span : spans) {
    if (!joined.empty() && span.begin <= joined.back().end) {
      joined.back().end = std::max(joined.back().end, span.end);
    } else {
      joined.push_back(span);
    }
  }
  return joined;
}

}  // namespace terse::data
