// Holds text in which every byte knows where it comes from: from the template, or from a user. All operations of the
// template language keep these marks, so what a user wrote is still known in the rendered conversation, however the
// template has cut and joined it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace terse::data::jinja {

// Says where bytes come from. A default Origin is the template itself.
class Origin {
 public:
  constexpr Origin() = default;

  // Returns the origin of the name of a role. It belongs to a message, but is trusted like the template.
  static constexpr Origin of_role(int64_t message) { return Origin(static_cast<uint64_t>(message + 1) << 2); }
  // Returns the origin of everything else in a message (counted from 0), which is input.
  static constexpr Origin of_message(int64_t message) { return Origin(of_role(message).bits_ | kInput); }
  // Returns the origin of text that a user gave beside the messages, such as tools.
  static constexpr Origin of_user() { return Origin(kInput); }

  // Returns this origin with the mark of a {% generation %} block.
  constexpr Origin as_generated() const { return Origin(bits_ | kGenerated); }

  constexpr bool is_input() const { return (bits_ & kInput) != 0; }
  constexpr bool is_generated() const { return (bits_ & kGenerated) != 0; }
  constexpr int64_t message() const { return static_cast<int64_t>(bits_ >> 2) - 1; }  // -1: none
  constexpr bool operator==(const Origin&) const = default;

 private:
  static constexpr uint64_t kInput = 1;
  static constexpr uint64_t kGenerated = 2;

  explicit constexpr Origin(uint64_t bits) : bits_(bits) {}

  uint64_t bits_ = 0;
};

// The bytes from the end of the run before it to `end` have this origin.
struct Run {
  size_t end = 0;
  Origin origin;
};

class Text {
 public:
  Text() = default;
  explicit Text(std::string_view bytes, Origin origin = {}) { append(bytes, origin); }

  const std::string& bytes() const { return bytes_; }
  size_t size() const { return bytes_.size(); }
  // Returns the runs in ascending order. None is empty, neighbours differ, and the last one ends at size().
  const std::vector<Run>& runs() const { return runs_; }

  void append(std::string_view bytes, Origin origin = {});
  void append(const Text& text) { append(text, 0, text.size()); }
  void append(const Text& text, size_t begin, size_t end);  // the bytes [begin, end) of another text
  Text slice(size_t begin, size_t end) const;
  // Returns the origin of the byte at this offset, which must be below size().
  Origin origin_at(size_t at) const { return run_at(at)->origin; }
  // Gives all bytes from `begin` on the mark of a {% generation %} block.
  void mark_generated(size_t begin);

  // Markup is what the filter `safe` returns. It prints like any text, but '+' escapes the other text for HTML.
  bool is_markup() const { return is_markup_; }
  void set_markup() { is_markup_ = true; }

 private:
  std::vector<Run>::const_iterator run_at(size_t at) const;
  void extend_to(size_t end, Origin origin);

  std::string bytes_;
  std::vector<Run> runs_;
  bool is_markup_ = false;
};

}  // namespace terse::data::jinja
