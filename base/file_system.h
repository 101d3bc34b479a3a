// Every file operation of the checkpoint code, behind one small interface, so that tests can count operations, fail
// one, kill the process before one, or lose what was not synced. Usable for any file that must survive a crash.
//
// Rule of the layer: nothing is written in place. A file is created under a name of its own, written, synced and
// closed; then it is renamed and the folder that holds it is synced.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/errors.h"

namespace terse {

// A file that is being written. Destroying it without close() closes it and ignores errors (the file is then
// abandoned).
class OutputFile {
 public:
  virtual ~OutputFile() = default;
  virtual void write(std::string_view bytes) = 0;  // all of them
  virtual void sync() = 0;                         // to the device
  virtual void close() = 0;
};

enum class EntryKind { kNone, kFile, kFolder, kSymlink, kOther };
struct Entry {
  std::string name;
  EntryKind kind = EntryKind::kOther;
  uint64_t bytes = 0;  // of a file
};

// All functions throw DiskError and may be called from several threads.
class FileSystem {
 public:
  using Path = std::filesystem::path;
  virtual ~FileSystem() = default;

  // Fails when `path` exists in any form, so that a symbolic link is never followed.
  virtual std::unique_ptr<OutputFile> create(const Path& path) = 0;
  virtual void make_folder(const Path& path) = 0;             // its parent exists, it does not
  virtual void sync_file(const Path& path) = 0;               // that another library has written and closed
  virtual void sync_folder(const Path& path) = 0;             // makes creations, renames and removals in it durable
  virtual void rename(const Path& from, const Path& to) = 0;  // replaces a file `to`
  // Swaps two existing folders in one step; false when the file system cannot.
  virtual bool exchange(const Path& a, const Path& b) = 0;
  virtual void remove(const Path& path) = 0;  // a file, a symbolic link itself, or an empty folder

  // The bytes of a regular file of at most `max_bytes`; does not follow a symbolic link.
  virtual std::string read(const Path& path, uint64_t max_bytes) = 0;
  virtual std::vector<Entry> list(const Path& path) = 0;  // sorted by name
  virtual EntryKind kind(const Path& path) = 0;           // of the entry itself; kNone when there is none
  virtual uint64_t free_bytes(const Path& path) = 0;      // that this user may still write; huge: not known
  virtual void require_writable(const Path& folder) = 0;  // throws when entries cannot be created in it
};

// The real file system.
std::shared_ptr<FileSystem> posix_file_system();

// A new file with these bytes, synced and closed.
void write_file(FileSystem& fs, const FileSystem::Path& path, std::string_view bytes);
// Makes the folder and the missing ones above it, durably.
void make_folders(FileSystem& fs, const FileSystem::Path& path);
// Removes whatever `path` is, a folder with all it holds; symbolic links are removed, not followed. When something in
// it cannot be removed, the rest still goes, and the first error is thrown.
void remove_tree(FileSystem& fs, const FileSystem::Path& path);

// A name beside `path` that no other process or thread uses: "<path>.tmp-<pid>-<start time>-<k>".
FileSystem::Path temporary_name(const FileSystem::Path& path);
// Whether `name` is such a name.
bool is_temporary_name(std::string_view name);
// Whether `name` is such a name and the process that made it is gone.
bool is_leftover(std::string_view name);

// A name beside `path` on which processes agree without having talked: "<path>.tmp-shared-<label>".
FileSystem::Path shared_name(const FileSystem::Path& path, std::string_view label);
// Whether `name` is such a name, whoever made it.
bool is_shared_name(std::string_view name);

std::string format_bytes(uint64_t bytes);  // "1.2 GiB"

}  // namespace terse
