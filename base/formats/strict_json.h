// Reads JSON from files that nobody vouches for, as events and without building a document. A document takes up to 50
// times the memory of its text. The parser does not recurse, so no nesting exhausts the stack.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace terse {

// A value that is neither an object nor an array.
struct JsonScalar {
  enum class Kind { kNull, kBoolean, kWhole, kNumber, kText };
  Kind kind = Kind::kNull;  // kWhole: from 0 to 2^64 - 1; kNumber: any other number
  uint64_t whole = 0;
  std::string text;
};

// Receives the parts of a document, in their order. A function that throws ends the reading.
class JsonEvents {
 public:
  virtual ~JsonEvents() = default;
  virtual void begin(bool is_object) = 0;  // an object, or an array
  virtual void end() = 0;                  // of the innermost object or array
  virtual void key(std::string name) = 0;  // of the next value; a key may come twice
  virtual void value(JsonScalar scalar) = 0;
};

// Reads a text that holds one JSON object and nothing else but space around it. Throws DataError, "<where>: ...", when
// the text is no such object, when it is not UTF-8, and when it is nested more than `max_depth` levels deep.
void read_json_object(std::string_view text, int max_depth, const std::string& where, JsonEvents& events);

}  // namespace terse
