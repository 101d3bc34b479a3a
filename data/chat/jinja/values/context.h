// Carries what every part of a rendering needs: the name and the current line for messages, and the budget that makes
// every template end.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/errors.h"

namespace terse::data::jinja {

// A point in time as a template sees it through strftime_now(). It has no time zone.
struct Date {
  int year = 1970;
  int month = 1;  // 1 to 12
  int day = 1;    // 1 to 31
  int hour = 0;
  int minute = 0;
  int second = 0;
};

// The limits are far above what templates of released models need: the largest known one has 17 kB, and a conversation
// of a thousand messages takes a million units of work.
struct Limits {
  static constexpr size_t kTemplateBytes = size_t{1} << 18;
  static constexpr int kSyntaxDepth = 150;  // nested statements and expressions
  static constexpr int kCallDepth = 600;    // statements and expressions that wait for another
  static constexpr int kValueDepth = 100;   // lists in lists
  static constexpr int64_t kRange = 100000;
  static constexpr uint64_t kWork = 40'000'000;  // see Context::spend()
};

class Context {
 public:
  // Throws std::invalid_argument for a date that does not exist. `most_work` is for spend().
  explicit Context(std::string name, std::optional<Date> date = {}, uint64_t most_work = Limits::kWork);

  int line = 1;  // of the template, for messages
  int depth = 0;

  const std::optional<Date>& date() const { return date_; }

  // Throws DataError that names the template and the line.
  [[noreturn]] void fail(std::string_view problem) const;
  // Throws DataError for a construct that terse does not know, with advice.
  [[noreturn]] void refuse(std::string_view construct) const;

  // Counts one unit of work, and one for every 8 bytes that are read or made. Fails above the limit. As everything that
  // a template makes costs work, this bounds time and memory: 320 MB of text can be made at most.
  void spend(size_t bytes = 0);
  // Counts a search for a text of `wanted` bytes in `bytes` bytes, each of which may begin a long comparison.
  void spend_search(size_t bytes, size_t wanted) { spend(bytes * (1 + wanted / 64)); }

 private:
  std::string name_;
  std::optional<Date> date_;
  uint64_t most_work_;
  uint64_t work_ = 0;
};

// Counts the nesting of what is being evaluated.
class Nesting {
 public:
  explicit Nesting(Context& context);
  ~Nesting() { --context_.depth; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  Context& context_;
};

}  // namespace terse::data::jinja
