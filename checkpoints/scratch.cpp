// Cleaning up after saves, whole or failed.
#include "checkpoints/scratch.h"

#include <algorithm>
#include <exception>

namespace terse::checkpoints {

Io::Path Scratch::add(const Io::Path& path) {
  return adopt(temporary_name(path));
}

Io::Path Scratch::adopt(const Io::Path& name) {
  return names_.emplace(name, false).first->first;
}

void Scratch::retire(const Io::Path& path) {
  names_.at(path) = true;
}

void Scratch::clear(Io& io, const Io::Path& dir) {
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
    return succeeds([&] { there = io.kind(item.first) != EntryKind::kNone; }) && !there;
  });
  const bool any_retired = std::any_of(names_.begin(), names_.end(), [](const auto& item) { return item.second; });
  const bool synced = !any_retired || succeeds([&] { io.sync_folder(dir); });
  std::erase_if(names_, [&](const auto& item) {
    return (synced || !item.second) && succeeds([&] { remove_tree(io, item.first); });
  });
  if (failure) std::rethrow_exception(failure);
}

void Scratch::try_clear(Io& io, const Io::Path& dir) noexcept {
  try {
    clear(io, dir);
  } catch (const std::exception&) {
  }
}

}  // namespace terse::checkpoints
