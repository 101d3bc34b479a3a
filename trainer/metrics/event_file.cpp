// Encodes these fields of tensorflow/core/util/event.proto and framework/summary.proto:
//   Event { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5;
//           SessionLog session_log = 7; }
//   Summary { repeated Value value = 1; }
//   Value { string tag = 1; float simple_value = 2; }
//   SessionLog { Status status = 1; } with START = 1
// A record is: uint64 length, masked CRC of it, bytes, masked CRC of them; all little-endian.
#include "trainer/metrics/event_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "base/checksum.h"
#include "base/descriptor.h"

namespace terse::trainer {
namespace {

template <typename Int>
std::string little_endian(Int value) {
  std::string bytes;
  for (size_t i = 0; i < sizeof value; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kLength = 2, kFixed32 = 5 };

std::string key(uint32_t field, WireType type) {
  return varint(field << 3 | type);
}
std::string field_varint(uint32_t field, uint64_t value) {
  return key(field, kVarint) + varint(value);
}
std::string field_bytes(uint32_t field, std::string_view bytes) {
  return (key(field, kLength) + varint(bytes.size())).append(bytes);
}
std::string field_double(uint32_t field, double value) {
  return key(field, kFixed64) + little_endian(std::bit_cast<uint64_t>(value));
}
std::string field_float(uint32_t field, float value) {
  return key(field, kFixed32) + little_endian(std::bit_cast<uint32_t>(value));
}

constexpr std::string_view kPrefix = "events.out.tfevents.";

// The time in the file's name, in seconds. It is later than that of every existing file, so that a file of a quick
// restart sorts last.
int64_t name_time(const std::filesystem::path& folder, double now) {
  int64_t time = static_cast<int64_t>(now);
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kPrefix)) time = std::max<int64_t>(time, std::atoll(name.c_str() + kPrefix.size()) + 1);
  }
  return time;
}

std::string host() {
  char name[256] = "";
  return gethostname(name, sizeof name - 1) == 0 && name[0] != '\0' ? name : "localhost";
}

}  // namespace

std::string event_tag(const std::string& stage, const std::string& name) {
  return stage + (name.find('/') == std::string::npos ? "/" : ".") + name;
}

EventFile::EventFile(const std::filesystem::path& folder, std::optional<int64_t> restart_at, double now) try {
  std::filesystem::create_directories(folder);
  path_ = folder / fmt::format("{}{:010}.{}.{}", kPrefix, name_time(folder, now), host(), getpid());
  fd_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd_ < 0) throw EventFileError(fmt::format("cannot create {}: {}", path_.string(), std::strerror(errno)));
  write(field_double(1, now) + field_bytes(3, "brain.Event:2"));
  if (restart_at) {
    write(field_double(1, now) + field_varint(2, static_cast<uint64_t>(*restart_at)) +
          field_bytes(7, field_varint(1, 1)));
  }
} catch (const std::filesystem::filesystem_error& error) {
  throw EventFileError(error.what());
}

EventFile::~EventFile() {
  if (fd_ >= 0) ::close(fd_);
}

void EventFile::add(int64_t step, const std::map<std::string, double>& values, double now) {
  std::string summary;
  for (const auto& [tag, value] : values) {
    summary += field_bytes(1, field_bytes(1, tag) + field_float(2, static_cast<float>(value)));
  }
  write(field_double(1, now) + field_varint(2, static_cast<uint64_t>(step)) + field_bytes(5, summary));
}

void EventFile::write(const std::string& event) {
  const std::string length = little_endian(static_cast<uint64_t>(event.size()));
  const std::string record =
      length + little_endian(masked_crc32c(length)) + event + little_endian(masked_crc32c(event));
  const int error = write_all(fd_, record);
  if (error != 0) throw EventFileError(fmt::format("cannot write {}: {}", path_.string(), std::strerror(error)));
}

}  // namespace terse::trainer
