// Defines a small interface for every file operation of the checkpoint code. Tests implement it to count operations, to
// fail one, to kill the process before one, or to lose unsynced data. Any other file that must survive a crash can use
// it, too.
//
// Code above this layer writes nothing in place. It creates a file under a temporary name, writes it, syncs it and
// closes it. Then it renames the file and syncs the folder that holds it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/errors.h"

namespace terse {

// A file that is open for writing. The destructor of a file that was not closed closes it and ignores errors, because
// such a file is abandoned.
class OutputFile {
 public:
  virtual ~OutputFile() = default;
  virtual void write(std::string_view bytes) = 0;  // writes all bytes
  virtual void sync() = 0;                         // flushes the file to the device
  virtual void close() = 0;
};

enum class EntryKind { kNone, kFile, kFolder, kSymlink, kOther };
struct Entry {
  std::string name;
  EntryKind kind = EntryKind::kOther;
  uint64_t bytes = 0;  // size of a file
};

// All functions throw DiskError and may be called from several threads.
class FileSystem {
 public:
  using Path = std::filesystem::path;
  virtual ~FileSystem() = default;

  // Creates a file. It fails when `path` exists in any form, so it never follows a symbolic link.
  virtual std::unique_ptr<OutputFile> create(const Path& path) = 0;
  virtual void make_folder(const Path& path) = 0;             // its parent must exist, and it must not
  virtual void sync_file(const Path& path) = 0;               // for a file that another library has written and closed
  virtual void sync_folder(const Path& path) = 0;             // makes creations, renames and removals in it durable
  virtual void rename(const Path& from, const Path& to) = 0;  // replaces the file `to` if there is one
  // Swaps two existing folders atomically. Returns false when the file system cannot do this.
  virtual bool exchange(const Path& a, const Path& b) = 0;
  virtual void remove(const Path& path) = 0;  // a file, a symbolic link itself, or an empty folder

  // Returns the bytes of a regular file. It throws when the file has more than `max_bytes`, and does not follow a
  // symbolic link.
  virtual std::string read(const Path& path, uint64_t max_bytes) = 0;
  virtual std::vector<Entry> list(const Path& path) = 0;  // sorted by name
  virtual EntryKind kind(const Path& path) = 0;           // does not follow a symbolic link; kNone: no entry
  virtual uint64_t free_bytes(const Path& path) = 0;      // bytes that this user can still write; UINT64_MAX: not known
  virtual void require_writable(const Path& folder) = 0;  // throws when no entry can be created in it
};

// Returns the real file system.
std::shared_ptr<FileSystem> posix_file_system();

// Returns the bytes of a file that a user named, or that belongs to another program. Unlike FileSystem::read() it
// follows symbolic links: people link their data, and the cache of Hugging Face consists of links.
std::string read_input(const FileSystem::Path& path, uint64_t max_bytes);
// Creates a file with these bytes, syncs it and closes it.
void write_file(FileSystem& fs, const FileSystem::Path& path, std::string_view bytes);
// Creates the folder and its missing parents, and syncs the parent of each new folder.
void make_folders(FileSystem& fs, const FileSystem::Path& path);
// Removes a file, a symbolic link or a whole folder. Symbolic links are not followed. If an entry of a folder cannot be
// removed, the function removes the other entries and then throws the first error.
void remove_tree(FileSystem& fs, const FileSystem::Path& path);

// Returns a name beside `path` that no other process or thread uses: "<path>.tmp-<pid>-<start time>-<k>".
FileSystem::Path temporary_name(const FileSystem::Path& path);
// Returns whether temporary_name() made `name`.
bool is_temporary_name(std::string_view name);
// Returns whether temporary_name() made `name` in a process that has ended.
bool is_leftover(std::string_view name);

// Returns a temporary name beside `path` on which processes agree without communication: "<path>.tmp-shared-<label>".
FileSystem::Path shared_name(const FileSystem::Path& path, std::string_view label);
// Returns whether shared_name() made `name`, in any process.
bool is_shared_name(std::string_view name);

std::string format_bytes(uint64_t bytes);  // "1.2 GiB"

}  // namespace terse
