// The temporary names that one Store gives in its checkpoints/ folder: to files and folders that are being written, and
// to checkpoints that are to be removed. A name is recorded before a file gets it, and forgotten only when no file has
// it. So whatever a failed save leaves is removed. When the disk refuses the removal too, the store's next call retries
// it and does not leave it to the next process.
#pragma once

#include <map>

#include "base/file_system.h"

namespace terse::checkpoints {

// All functions but try_clear() throw DiskError.
class TemporaryNames {
 public:
  // `dir` is the checkpoints/ folder, and the names are names in it. `fs` must outlive the object.
  TemporaryNames(FileSystem& fs, FileSystem::Path dir) : fs_(fs), dir_(std::move(dir)) {}

  // Records a name of temporary_name() or shared_name(), and returns it.
  FileSystem::Path add(const FileSystem::Path& name);
  // Gives the folder with the recorded name `temporary` the name `final`. A folder that already has this name gets a
  // recorded one.
  void put_in_place(const FileSystem::Path& temporary, const FileSystem::Path& final);
  // Renames a checkpoint to a new recorded name and returns that name.
  FileSystem::Path set_aside(const FileSystem::Path& checkpoint);

  // Removes everything that has one of the names. Tries all of them, then throws the first DiskError.
  void clear();
  // Like clear(), for use while another error is handled. Names that cannot be removed now stay for the next call.
  void try_clear() noexcept;

  // Removes temporary files and folders of processes that no longer run, and those of every save by several ranks. Only
  // the first process of a run may call it, before other ranks of the same start can save.
  void remove_leftovers();

 private:
  FileSystem& fs_;
  FileSystem::Path dir_;
  // Each name, and whether a checkpoint may have been renamed to it. clear() syncs the folder before it removes such a
  // checkpoint. Otherwise a power failure could restore the checkpoint's old name without some of its files.
  std::map<FileSystem::Path, bool> names_;
};

}  // namespace terse::checkpoints
