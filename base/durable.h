// Writes files and folders that appear under their final names only when they are complete and on disk.
#pragma once

#include <filesystem>
#include <string_view>

namespace terse {

// Provides a temporary name beside `path`, under which another library can write the file. The destructor removes the
// file unless it was published.
class TemporaryFile {
 public:
  // Creates the missing folders of `path`. Throws DiskError.
  explicit TemporaryFile(const std::filesystem::path& path);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const std::filesystem::path& path() const { return temporary_; }
  // Syncs the closed file, renames it to its final name (replacing what is there) and syncs the folder. Throws
  // DiskError.
  void publish();

 private:
  std::filesystem::path final_;
  std::filesystem::path temporary_;
};

// Provides a folder with a temporary name beside `path`, in which files can be written. The destructor removes it with
// everything in it unless it was published.
class NewFolder {
 public:
  // Creates the folder, and the missing folders of `path`. Throws DiskError.
  explicit NewFolder(const std::filesystem::path& path);
  ~NewFolder();
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

  const std::filesystem::path& path() const { return temporary_; }
  // Syncs the folder, whose files are synced already, and gives it its final name. A folder that has this name is
  // removed with everything in it once the new one has replaced it. Throws DiskError.
  void publish();

 private:
  std::filesystem::path final_;
  std::filesystem::path temporary_;

  void replace();
};

// Removes the temporary files and folders of `path` that processes which have ended left behind. Throws DiskError.
void remove_leftovers(const std::filesystem::path& path);

// Writes `content` to a temporary file and publishes it as `path`. Throws DiskError.
void write_durably(const std::filesystem::path& path, std::string_view content);

// Creates the folder and its missing parents, and syncs the name of each new folder to disk. Throws DiskError.
void make_folders(const std::filesystem::path& folder);

// Syncs the folder that holds `path`, so that the names in it survive a crash. Throws DiskError.
void sync_name(const std::filesystem::path& path);

}  // namespace terse
