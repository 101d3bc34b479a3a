// The temporary names of one Store: what is being written, and checkpoints that lost their name and are to go. A name
// is known from before anything has it until nothing has it any more, so whatever a failed save leaves is removed, and
// when the disk refuses that too, by the store's next call rather than by the next process.
#pragma once

#include <map>

#include "base/file_system.h"

namespace terse::checkpoints {

class Scratch {
 public:
  // A new temporary name beside `path`.
  FileSystem::Path add(const FileSystem::Path& path);
  // A temporary name that was agreed elsewhere.
  FileSystem::Path adopt(const FileSystem::Path& name);
  // The name is about to go to what is a checkpoint now. That is removed only once the folder has been synced:
  // otherwise a power cut could bring it back under its old name without some of its files.
  void retire(const FileSystem::Path& path);

  // Removes from `dir` whatever has one of the names. Tries them all, then throws the first DiskError.
  void clear(FileSystem& fs, const FileSystem::Path& dir);
  // The same where another error is on its way: what cannot be removed now is for the next call.
  void try_clear(FileSystem& fs, const FileSystem::Path& dir) noexcept;

 private:
  std::map<FileSystem::Path, bool> names_;  // to whether it is retired
};

}  // namespace terse::checkpoints
