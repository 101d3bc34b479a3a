// Writes each file, reads it, and looks at the exception and at the memory.
#include "tests/hostile/hostile_files.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "base/errors.h"
#include "base/utf8.h"
#include "tests/hostile/peak_memory.h"

namespace terse::support {

namespace {

using nlohmann::ordered_json;

constexpr size_t kLongestMessage = 2000;
constexpr size_t kSmallFile = 64 << 10;

void write_file(const std::filesystem::path& path, const std::string& content) {
  std::filesystem::remove(path);  // ext4 would wait for the disk if the file were truncated and written again
  std::ofstream(path, std::ios::binary) << content;
}

// Runs an action. Returns the message of an error that a user can cause; empty: there was none.
std::string message_of(const HostileFile& file, const std::function<void()>& action) {
  try {
    action();
    return "";
  } catch (const DataError& error) {
    return error.what();
  } catch (const ConfigError& error) {
    return error.what();
  } catch (const DiskError& error) {
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << file.what << ": an error that is a bug of the program: " << error.what();
    return error.what();
  }
}

bool has(const std::string& message, const std::string& words) {
  return message.find(words) != std::string::npos;
}

}  // namespace

void HostileFiles::judge(const HostileFile& file, bool may_be_harmless) {
  if (!contents_.insert(file.content).second) return;
  write_file(path_, file.content);
  const PeakMemory memory;
  const std::string message = message_of(file, read_);
  check_memory(file, memory.bytes());
  if (message.empty()) {
    EXPECT_TRUE(may_be_harmless) << file.what << ": it was read without an error";
    ++harmless_;
    return;
  }
  check_message(file, message);
  ++refused_;
}

void HostileFiles::check_message(const HostileFile& file, const std::string& message) const {
  const std::string shown = file.what + ": " + message.substr(0, kLongestMessage);
  EXPECT_TRUE(has(message, path_.string())) << "the message does not name the file: " << shown;
  for (const std::string& words : file.words) EXPECT_TRUE(has(message, words)) << "expected " << words << ": " << shown;
  const bool has_any =
      std::any_of(file.any.begin(), file.any.end(), [&](const auto& word) { return has(message, word); });
  EXPECT_TRUE(file.any.empty() || has_any) << "the message does not name the place: " << shown;
  EXPECT_LE(message.size(), kLongestMessage) << shown;
  EXPECT_EQ(find_invalid_utf8(message), std::string::npos) << shown;
  const auto is_control = [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7F; };
  EXPECT_TRUE(std::none_of(message.begin(), message.end(), is_control)) << "control characters: " << shown;
}

void HostileFiles::check_memory(const HostileFile& file, size_t bytes) {
  const size_t size = file.content.size();
  EXPECT_LE(bytes, bound_.per_byte * size + bound_.constant)
      << file.what << ": a file of " << size << " bytes took " << bytes;
  const double per_byte = static_cast<double>(bytes) / static_cast<double>(std::max<size_t>(size, 1));
  if (size <= kSmallFile && bytes > most_constant_) {
    most_constant_ = bytes;
    most_constant_of_ = file.what;
  } else if (size > kSmallFile && per_byte > most_per_byte_) {
    most_per_byte_ = per_byte;
    most_per_byte_of_ = file.what;
  }
}

void HostileFiles::finish(const char* format) {
  EXPECT_GE(refused_, 100u) << format;
  std::printf(
      "%s: %zu files refused, %zu harmless. Memory: at most %zu bytes for a file of up to 64 KiB (%s), and %.1f "
      "bytes for each byte of a larger one (%s)\n",
      format, refused_, harmless_, most_constant_, most_constant_of_.c_str(), most_per_byte_,
      most_per_byte_of_.c_str());
}

std::vector<HostileFile> damaged(const std::string& sound, uint64_t seed, size_t count) {
  std::mt19937_64 random(seed);
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  std::vector<HostileFile> files;
  for (size_t i = 0; i < count; ++i) {
    std::string text = sound;
    const size_t at = below(text.size());
    switch (i % 6) {
      case 0:
        text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
        break;
      case 1:
        text[at] = "\0\x7F\x80\xFF\"{}[],:0-"[below(13)];
        break;
      case 2:
        text.erase(at, 1 + below(8));
        break;
      case 3:
        text.insert(at, text.substr(at, 1 + below(40)));
        break;
      case 4:
        text.insert(at, std::string(1 + below(8), static_cast<char>(random())));
        break;
      default:
        text.resize(at);
    }
    files.push_back({fmt::format("damage {} of seed {} at byte {}", i, seed, at), std::move(text), {}});
  }
  return files;
}

std::vector<HostileFile> truncated(const std::string& sound, const std::vector<size_t>& at) {
  std::vector<HostileFile> files;
  for (const size_t size : at) files.push_back({fmt::format("cut after {} bytes", size), sound.substr(0, size), {}});
  return files;
}

const std::vector<std::string>& hostile_json_values() {
  static const std::vector<std::string> kValues = [] {
    std::vector<std::string> values = {"null",
                                       "true",
                                       "0",
                                       "-1",
                                       "1",
                                       "2147483648",
                                       "4294967297",
                                       "9223372036854775807",
                                       "9223372036854775808",
                                       "-9223372036854775809",
                                       "18446744073709551615",
                                       "18446744073709551616",
                                       "0.5",
                                       "-0.0",
                                       "1e300",
                                       "1e999",
                                       "1e-320",
                                       "NaN",
                                       "Infinity",
                                       "-Infinity",
                                       "01",
                                       "0x10",
                                       "\"\"",
                                       "\"1\"",
                                       "\"\\u0000\"",
                                       "\"\\ud800\"",
                                       "\"\x1b[31m\"",
                                       "\"\\u001b[31m\\u007f\"",
                                       "\"\xff\"",
                                       "\"\xc3\"",
                                       "[]",
                                       "{}",
                                       "[[]]",
                                       "[null]",
                                       "{\"\":{}}",
                                       "'x'",
                                       "undefined"};
    values.push_back(std::string(60, '[') + std::string(60, ']'));
    values.push_back(std::string(100000, '['));
    values.push_back(std::string(100000, '[') + std::string(100000, ']'));
    std::string objects, ends;
    for (int i = 0; i < 20000; ++i) objects += "{\"a\":", ends += "}";
    values.push_back(objects + "1" + ends);
    values.push_back("\"" + std::string(100000, 'x') + "\"");
    values.push_back("\"" + std::string(100000, 'x'));  // has no end
    std::string accents;
    for (int i = 0; i < 300; ++i) accents += "a\xc3\xa9";
    values.push_back("\"" + accents + "\"");
    values.push_back("-" + std::string(5000, '9'));
    return values;
  }();
  return kValues;
}

namespace {

// Text that stands for itself in a document until raw text replaces it.
constexpr const char* kMark = "@mark@";

std::string with_raw(const ordered_json& document, const std::string& quoted_mark, const std::string& raw) {
  std::string text = document.dump();
  return text.replace(text.find(quoted_mark), quoted_mark.size(), raw);
}

void add_members(const ordered_json& document, const ordered_json::json_pointer& place,
                 const std::set<std::string>& skip, std::vector<HostileFile>& files) {
  const ordered_json& here = document.at(place);
  size_t index = 0;
  for (const auto& [key, value] : here.items()) {
    if (here.is_array() && index++ == 2) break;
    const ordered_json::json_pointer member = here.is_array() ? place / (index - 1) : place / key;
    const std::string name = here.is_array() ? "[" : key;  // a message may name the list or the element
    const std::string quoted = fmt::format("\"{}\"", kMark);
    const std::vector<std::string> any = {name, "JSON", "tensor ", "nest"};
    ordered_json changed = document;
    changed.at(member) = kMark;
    for (const std::string& raw : hostile_json_values()) {
      files.push_back(
          {fmt::format("{} is {}", member.to_string(), raw.substr(0, 40)), with_raw(changed, quoted, raw), {}, any});
    }
    if (here.is_object()) {
      ordered_json absent = document;
      absent.at(place).erase(key);
      files.push_back({member.to_string() + " is absent", absent.dump(), {}, {}});
      const std::string twice = ordered_json(key).dump() + ":" + value.dump();
      files.push_back(
          {member.to_string() + " comes twice", with_raw(changed, quoted, value.dump() + "," + twice), {}, {}});
      absent.at(place)[key + "\x1b"] = value;
      files.push_back({member.to_string() + " has another name", absent.dump(), {}, {}});
    }
    if (value.is_structured() && !skip.contains(member.to_string())) add_members(document, member, skip, files);
  }
}

}  // namespace

std::vector<HostileFile> hostile_json(const std::string& sound, const std::set<std::string>& leave_out) {
  const ordered_json document = ordered_json::parse(sound);
  std::vector<HostileFile> files;
  for (const std::string& value : hostile_json_values())
    files.push_back({"the whole is " + value.substr(0, 40), value, {}});
  files.push_back({"with a byte order mark", "\xEF\xBB\xBF" + sound, {}});
  files.push_back({"with a comment", "/* x */" + sound, {}});
  files.push_back({"with more behind it", sound + sound, {}});
  files.push_back({"with a NUL behind it", sound + std::string(1, '\0'), {}});
  files.push_back({"empty", "", {}});
  add_members(document, ordered_json::json_pointer(), leave_out, files);
  return files;
}

}  // namespace terse::support
