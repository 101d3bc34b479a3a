// Writes each file under a temporary name, syncs it, renames it and syncs its folder, all on the real file system.
#include "base/durable.h"

#include <string>

#include "base/errors.h"
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

NewFolder::NewFolder(const std::filesystem::path& path)
    : final_(path.has_filename() ? path : path.parent_path()), temporary_(temporary_name(final_)) {
  make_folders(folder_of(final_));
  disk().make_folder(temporary_);
}

NewFolder::~NewFolder() {
  if (temporary_.empty()) return;
  try {
    remove_tree(disk(), temporary_);
  } catch (const DiskError&) {  // what stays behind has a name that remove_leftovers() knows
  }
}

void NewFolder::publish() {
  disk().sync_folder(temporary_);
  if (disk().kind(final_) == EntryKind::kNone) {
    disk().rename(temporary_, final_);
    temporary_.clear();
    sync_name(final_);
    return;
  }
  replace();
}

// The replaced folder takes the temporary name, under which it is removed.
void NewFolder::replace() {
  if (!disk().exchange(temporary_, final_)) {
    // This file system has no atomic exchange. For an instant neither folder has the final name.
    const std::filesystem::path replaced = temporary_name(final_);
    disk().rename(final_, replaced);
    disk().rename(temporary_, final_);
    temporary_ = replaced;
  }
  sync_name(final_);
  remove_tree(disk(), temporary_);
  temporary_.clear();
}

void remove_leftovers(const std::filesystem::path& path) {
  const std::filesystem::path final = path.has_filename() ? path : path.parent_path();
  const std::string prefix = final.filename().string() + ".tmp-";
  for (const Entry& entry : disk().list(folder_of(final))) {
    if (entry.name.starts_with(prefix) && is_leftover(entry.name)) remove_tree(disk(), folder_of(final) / entry.name);
  }
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
