// Implements the helpers on top of FileSystem: whole files, folder trees and temporary names. A temporary name contains
// the pid and the start time of the process that made it, so that a leftover can be recognised.
#include "base/file_system.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <exception>
#include <fstream>
#include <optional>
#include <sstream>

namespace terse {

namespace {

// Each call of OutputFile::write() gets at most this many bytes, so that a test can intervene in the middle of a file.
constexpr size_t kBlock = 16 << 20;

constexpr std::string_view kMark = ".tmp-";
constexpr std::string_view kSharedMark = ".tmp-shared-";

// Returns the start time of a process in clock ticks since boot (field 22 of /proc/PID/stat), or 0 when there is no
// such process. The pid and the start time together identify a process. The pid alone is reused, in containers almost
// at once.
uint64_t start_time(int64_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string line;
  if (!std::getline(file, line)) return 0;
  const size_t end_of_name = line.rfind(')');  // the name itself may hold spaces and brackets
  if (end_of_name == std::string::npos) return 0;
  std::istringstream fields(line.substr(end_of_name + 1));
  std::string field;
  for (int i = 3; i <= 22; ++i) fields >> field;
  uint64_t ticks = 0;
  std::from_chars(field.data(), field.data() + field.size(), ticks);
  return ticks;
}

struct Maker {
  uint64_t pid = 0;
  uint64_t start = 0;
};

// Returns the process that made a temporary name, or nullopt for any other name.
std::optional<Maker> maker_of(std::string_view name) {
  const size_t mark = name.rfind(kMark);
  if (mark == std::string_view::npos) return std::nullopt;
  const char* at = name.data() + mark + kMark.size();
  const char* const end = name.data() + name.size();
  uint64_t numbers[3];  // pid, start time, count
  for (int i = 0; i < 3; ++i) {
    const auto [next, error] = std::from_chars(at, end, numbers[i]);
    const bool last = i == 2;
    if (error != std::errc() || (last ? next != end : next == end || *next != '-')) return std::nullopt;
    at = last ? next : next + 1;
  }
  return Maker{numbers[0], numbers[1]};
}

}  // namespace

std::string read_input(const FileSystem::Path& path, uint64_t max_bytes) {
  std::error_code error;  // read() explains it
  const FileSystem::Path real = std::filesystem::canonical(path, error);
  return posix_file_system()->read(error ? path : real, max_bytes);
}

void write_file(FileSystem& fs, const FileSystem::Path& path, std::string_view bytes) {
  const auto file = fs.create(path);
  for (size_t at = 0; at < bytes.size(); at += kBlock) file->write(bytes.substr(at, kBlock));
  file->sync();
  file->close();
}

void make_folders(FileSystem& fs, const FileSystem::Path& path) {
  if (path.empty()) return;
  const EntryKind kind = fs.kind(path);
  if (kind == EntryKind::kFolder || kind == EntryKind::kSymlink) return;
  const FileSystem::Path parent = path.has_filename() ? path.parent_path() : path.parent_path().parent_path();
  make_folders(fs, parent);
  try {
    fs.make_folder(path);
  } catch (const DiskError& error) {
    // Another process may create the folder first.
    if (error.error() != EEXIST || fs.kind(path) != EntryKind::kFolder) throw;
  }
  fs.sync_folder(parent.empty() ? "." : parent);
}

void remove_tree(FileSystem& fs, const FileSystem::Path& path) {
  std::exception_ptr failure;
  if (fs.kind(path) == EntryKind::kFolder) {
    for (const Entry& entry : fs.list(path)) {
      try {
        remove_tree(fs, path / entry.name);
      } catch (const DiskError&) {
        if (!failure) failure = std::current_exception();
      }
    }
  }
  if (failure) std::rethrow_exception(failure);
  fs.remove(path);
}

FileSystem::Path temporary_name(const FileSystem::Path& path) {
  static std::atomic<uint64_t> count = 0;  // It only makes the names unique.
  const int64_t pid = ::getpid();
  return path.parent_path() /
         fmt::format("{}{}{}-{}-{}", path.filename().string(), kMark, pid, start_time(pid), ++count);
}

bool is_temporary_name(std::string_view name) {
  return maker_of(name).has_value();
}

bool is_leftover(std::string_view name) {
  const std::optional<Maker> maker = maker_of(name);
  return maker && (maker->pid > INT32_MAX || start_time(static_cast<int64_t>(maker->pid)) != maker->start);
}

FileSystem::Path shared_name(const FileSystem::Path& path, std::string_view label) {
  return path.parent_path() / fmt::format("{}{}{}", path.filename().string(), kSharedMark, label);
}

bool is_shared_name(std::string_view name) {
  return name.find(kSharedMark) != std::string_view::npos;
}

std::string format_bytes(uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  static constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  while (value >= 1023.95 && unit + 1 < std::size(kUnits)) value /= 1024, ++unit;
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

}  // namespace terse
