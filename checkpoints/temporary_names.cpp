// Renames checkpoints, and removes the files of saves, finished or failed. A checkpoint that had its final name is
// removed only after a sync of the folder.
#include "checkpoints/temporary_names.h"

#include <algorithm>
#include <exception>

namespace terse::checkpoints {

FileSystem::Path TemporaryNames::add(const FileSystem::Path& name) {
  return names_.emplace(name, false).first->first;
}

void TemporaryNames::put_in_place(const FileSystem::Path& temporary, const FileSystem::Path& final) {
  if (fs_.kind(final) == EntryKind::kNone) return fs_.rename(temporary, final);
  names_.at(temporary) = true;  // the exchange gives this name to the replaced checkpoint
  if (fs_.exchange(temporary, final)) return;
  // This file system has no atomic exchange. For an instant neither folder has the final name; a load in that instant
  // uses the previous checkpoint.
  const FileSystem::Path replaced = set_aside(final);
  try {
    fs_.rename(temporary, final);
  } catch (const std::exception&) {
    try {
      fs_.rename(replaced, final);
    } catch (const std::exception&) {  // the first error is the one to report
    }
    throw;
  }
}

FileSystem::Path TemporaryNames::set_aside(const FileSystem::Path& checkpoint) {
  const FileSystem::Path name = add(temporary_name(checkpoint));
  names_.at(name) = true;
  fs_.rename(checkpoint, name);
  return name;
}

void TemporaryNames::clear() {
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
    return succeeds([&] { there = fs_.kind(item.first) != EntryKind::kNone; }) && !there;
  });
  const bool needs_sync = std::any_of(names_.begin(), names_.end(), [](const auto& item) { return item.second; });
  const bool synced = !needs_sync || succeeds([&] { fs_.sync_folder(dir_); });
  std::erase_if(names_, [&](const auto& item) {
    return (synced || !item.second) && succeeds([&] { remove_tree(fs_, item.first); });
  });
  if (failure) std::rethrow_exception(failure);
}

void TemporaryNames::try_clear() noexcept {
  try {
    clear();
  } catch (const std::exception&) {
  }
}

void TemporaryNames::remove_leftovers() {
  for (const Entry& entry : fs_.list(dir_)) {
    if (is_leftover(entry.name) || is_shared_name(entry.name)) remove_tree(fs_, dir_ / entry.name);
  }
}

}  // namespace terse::checkpoints
