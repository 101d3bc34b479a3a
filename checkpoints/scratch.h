// The temporary names of one Store: files that are being written, and checkpoints that are to be removed. A name is
// recorded before a file gets it, and forgotten only when no file has it. So whatever a failed save leaves is removed.
// When the disk refuses the removal too, the store's next call retries it and does not leave it to the next process.
#pragma once

#include <map>

#include "base/file_system.h"

namespace terse::checkpoints {

class Scratch {
 public:
  // Records and returns a new temporary name beside `path`.
  FileSystem::Path add(const FileSystem::Path& path);
  // Records a temporary name that was agreed elsewhere.
  FileSystem::Path adopt(const FileSystem::Path& name);
  // Marks a recorded name. Call this before a checkpoint is renamed to `path`. clear() then syncs the folder before it
  // removes the checkpoint. Otherwise a power failure could restore the checkpoint's old name without some of its
  // files.
  void retire(const FileSystem::Path& path);

  // Removes from `dir` everything that has one of the names. Tries all of them, then throws the first DiskError.
  void clear(FileSystem& fs, const FileSystem::Path& dir);
  // Like clear(), for use while another error is handled. Names that cannot be removed now stay for the next call.
  void try_clear(FileSystem& fs, const FileSystem::Path& dir) noexcept;

 private:
  std::map<FileSystem::Path, bool> names_;  // each name, and whether it is retired
};

}  // namespace terse::checkpoints
