// Files that appear under their name only when they are complete and on disk.
#pragma once

#include <filesystem>
#include <string_view>

namespace terse::data {

// A name beside `path` for the file while it is being written. Removes the file on destruction unless it was published.
class TemporaryFile {
 public:
  // Creates missing folders. Throws DiskError.
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

// Creates the folder and those above it that are missing, each of them on disk under its name. Throws DiskError.
void create_folders(const std::filesystem::path& folder);
// Puts the names in a folder on disk. Throws DiskError.
void sync_folder(const std::filesystem::path& folder);

// Writes and publishes a small file.
void write_durably(const std::filesystem::path& path, std::string_view content);

}  // namespace terse::data
