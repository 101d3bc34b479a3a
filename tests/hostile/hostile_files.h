// Judges files that somebody made to harm the program: each must be refused with a clear message, with little memory.
//
// What a clear message is: it has the type of an error that a user can cause (base/errors.h), it names the file and
// what in it is wrong, it is short, and it is text that may go to a terminal.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace terse::support {

struct HostileFile {
  std::string what;  // how it was made, for the messages of the test
  std::string content;
  std::vector<std::string> words;     // the message has all of these
  std::vector<std::string> any = {};  // and one of these, unless there are none
};

// The bound on memory: the file's size times `per_byte`, and `constant` beside it, which a sound file of this kind
// needs, too.
struct MemoryBound {
  size_t per_byte;
  size_t constant;
};

class HostileFiles {
 public:
  // `path` is where the file goes; `read` opens it as a user would, and uses all of it.
  HostileFiles(std::filesystem::path path, MemoryBound bound, std::function<void()> read)
      : path_(std::move(path)), bound_(bound), read_(std::move(read)) {}

  // The file must be refused.
  void refuse(const HostileFile& file) { judge(file, /*may_be_harmless=*/false); }
  // The file must be refused, or be read without an error. Only what is refused counts.
  void refuse_or_read(const HostileFile& file) { judge(file, /*may_be_harmless=*/true); }
  // Requires at least 100 different files that were refused, and prints how many there were and the most memory.
  void finish(const char* format);
  size_t harmless() const { return harmless_; }

 private:
  void judge(const HostileFile& file, bool may_be_harmless);
  void check_message(const HostileFile& file, const std::string& message) const;
  void check_memory(const HostileFile& file, size_t bytes);

  std::filesystem::path path_;
  MemoryBound bound_;
  std::function<void()> read_;
  std::set<std::string> contents_;
  size_t refused_ = 0;
  size_t harmless_ = 0;
  size_t most_constant_ = 0;  // bytes for a file of at most 64 KiB
  double most_per_byte_ = 0;  // of a larger file
  std::string most_constant_of_, most_per_byte_of_;
};

// Changes of a text that know nothing of its meaning: cuts, and bytes that are flipped, set, left out, doubled or put
// in. The same seed gives the same files.
std::vector<HostileFile> damaged(const std::string& sound, uint64_t seed, size_t count);
// The text cut after each of `at`.
std::vector<HostileFile> truncated(const std::string& sound, const std::vector<size_t>& at);

// Values of JSON that a reader may not expect, as they stand in a file: of every type, beyond every integer type, no
// numbers, no UTF-8, nested, long.
const std::vector<std::string>& hostile_json_values();
// Every member of an object (also inside of objects and lists) in turn gets each of the values above, is left out,
// comes twice, or gets another name. `sound` is the text of the object. A file's `any` holds the name of the member.
// Members below `leave_out` stay as they are; of a list, the first two elements change.
std::vector<HostileFile> hostile_json(const std::string& sound, const std::set<std::string>& leave_out = {});

}  // namespace terse::support
