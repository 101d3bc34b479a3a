// Files that appear under their name only when they are complete and on disk.
#pragma once

#include <filesystem>
#include <string_view>

namespace terse {

// A name beside `path` for the file while another library writes it. The destructor removes the file unless it was
// published.
class TemporaryFile {
 public:
  // Makes missing folders. Throws DiskError.
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

// Writes and publishes a small file. Throws DiskError.
void write_durably(const std::filesystem::path& path, std::string_view content);

// Makes the folder and those above it that are missing, each of them on disk under its name. Throws DiskError.
void make_folders(const std::filesystem::path& folder);

// Puts the names in the folder of `path` on disk. Throws DiskError.
void sync_name(const std::filesystem::path& path);

}  // namespace terse
