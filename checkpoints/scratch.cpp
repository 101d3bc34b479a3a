// Removes files of saves, finished or failed. Retired names are removed only after a sync of their folder.
#include "checkpoints/scratch.h"

#include <algorithm>
#include <exception>

namespace terse::checkpoints {

FileSystem::Path Scratch::add(const FileSystem::Path& path) {
  return adopt(temporary_name(path));
}

FileSystem::Path Scratch::adopt(const FileSystem::Path& name) {
  return names_.emplace(name, false).first->first;
}

void Scratch::retire(const FileSystem::Path& path) {
  names_.at(path) = true;
}

void Scratch::clear(FileSystem& fs, const FileSystem::Path& dir) {
  std::exception_ptr failure;
  const auto succeeds = [&](const auto& action) {
    try {
      action();
      return true;
    } catch (const std::exception&) {
      if (!failure) failure = std::current_exception();
      return false;
    }
  };
  std::erase_if(names_, [&](const auto& item) {
    bool there = true;
    return succeeds([&] { there = fs.kind(item.first) != EntryKind::kNone; }) && !there;
  });
  const bool any_retired = std::any_of(names_.begin(), names_.end(), [](const auto& item) { return item.second; });
  const bool synced = !any_retired || succeeds([&] { fs.sync_folder(dir); });
  std::erase_if(names_, [&](const auto& item) {
    return (synced || !item.second) && succeeds([&] { remove_tree(fs, item.first); });
  });
  if (failure) std::rethrow_exception(failure);
}

void Scratch::try_clear(FileSystem& fs, const FileSystem::Path& dir) noexcept {
  try {
    clear(fs, dir);
  } catch (const std::exception&) {
  }
}

}  // namespace terse::checkpoints
