// Writes each file under a temporary name, syncs it, renames it and syncs its folder, all on the real file system.
#include "base/durable.h"

#include "base/file_system.h"

namespace terse {

namespace {

FileSystem& disk() {
  static const std::shared_ptr<FileSystem> posix = posix_file_system();  // It has no state, so all threads share it.
  return *posix;
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

}  // namespace

TemporaryFile::TemporaryFile(const std::filesystem::path& path) : final_(path), temporary_(temporary_name(path)) {
  make_folders(folder_of(path));
}

TemporaryFile::~TemporaryFile() {
  std::error_code ignored;
  if (!temporary_.empty()) std::filesystem::remove(temporary_, ignored);
}

void TemporaryFile::publish() {
  disk().sync_file(temporary_);
  disk().rename(temporary_, final_);
  temporary_.clear();
  sync_name(final_);
}

void write_durably(const std::filesystem::path& path, std::string_view content) {
  TemporaryFile temporary(path);
  const std::unique_ptr<OutputFile> file = disk().create(temporary.path());
  file->write(content);
  file->close();
  temporary.publish();
}

void make_folders(const std::filesystem::path& folder) {
  make_folders(disk(), folder);
}

void sync_name(const std::filesystem::path& path) {
  disk().sync_folder(folder_of(path));
}

}  // namespace terse
