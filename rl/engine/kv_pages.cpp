// Counts the readers of each page.
#include "rl/engine/kv_pages.h"

#include <algorithm>

namespace terse::rl {

KvPages::KvPages(int64_t count) : readers_(static_cast<size_t>(count), 0) {
  for (int64_t page = count - 1; page >= 0; --page) free_.push_back(static_cast<int32_t>(page));
}

bool KvPages::grow(PageTable& table, int64_t tokens) {
  const int64_t more = pages_for(tokens) - std::ssize(table);
  if (more > free()) return false;
  for (int64_t i = 0; i < more; ++i) {
    table.push_back(free_.back());
    free_.pop_back();
    readers_[static_cast<size_t>(table.back())] = 1;
  }
  most_used_ = std::max(most_used_, count() - free());
  return true;
}

PageTable KvPages::share(const PageTable& of, int64_t pages) {
  PageTable table(of.begin(), of.begin() + pages);
  for (const int32_t page : table) ++readers_[static_cast<size_t>(page)];
  return table;
}

void KvPages::release(PageTable& table) {
  for (; !table.empty(); table.pop_back()) {
    if (--readers_[static_cast<size_t>(table.back())] == 0) free_.push_back(table.back());
  }
}

}  // namespace terse::rl
