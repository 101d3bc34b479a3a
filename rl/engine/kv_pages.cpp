// A filled page is known by its tokens and by the page before it, so by all tokens up to its end.
#include "rl/engine/kv_pages.h"

#include <algorithm>

namespace terse::rl {

namespace {

// FNV-1a over whole numbers. find() compares the tokens themselves.
uint64_t hash_of(int32_t before, const int32_t* tokens) {
  uint64_t hash = 14695981039346656037u;
  const auto add = [&](int32_t value) { hash = (hash ^ static_cast<uint32_t>(value)) * 1099511628211u; };
  add(before);
  std::for_each(tokens, tokens + kPageTokens, add);
  return hash;
}

}  // namespace

KvPages::KvPages(int64_t count) : pages_(static_cast<size_t>(count)) {
  for (int64_t index = count - 1; index >= 0; --index) empty_.push_back(static_cast<int32_t>(index));
}

bool KvPages::grow(PageTable& table, int64_t tokens) {
  const int64_t more = pages_for(tokens) - std::ssize(table);
  if (more > free()) return false;
  for (int64_t i = 0; i < more; ++i) take(table);
  most_used_ = std::max(most_used_, count() - free());
  return true;
}

void KvPages::take(PageTable& table) {
  if (empty_.empty()) {
    const int32_t oldest = unread_.front();
    unread_.pop_front();
    forget(oldest);
    empty_.push_back(oldest);
  }
  table.push_back(empty_.back());
  empty_.pop_back();
  page(table.back()).readers = 1;
}

void KvPages::read(int32_t index) {
  Page& wanted = page(index);
  if (wanted.readers++ == 0) unread_.erase(wanted.unread);
}

PageTable KvPages::share(const PageTable& of, int64_t pages) {
  PageTable table(of.begin(), of.begin() + pages);
  for (const int32_t index : table) read(index);
  return table;
}

void KvPages::release(PageTable& table) {
  for (; !table.empty(); table.pop_back()) {
    Page& last = page(table.back());
    if (--last.readers > 0) continue;
    if (last.filled) {
      last.unread = unread_.insert(unread_.end(), table.back());
    } else {
      empty_.push_back(table.back());
    }
  }
}

void KvPages::fill(const PageTable& table, const std::vector<int32_t>& tokens, int64_t length) {
  int32_t before = -1;
  for (int64_t i = 0; i < length / kPageTokens; ++i) {
    const int32_t index = table[static_cast<size_t>(i)];
    const int32_t* const of_page = tokens.data() + i * kPageTokens;
    if (!page(index).filled) {
      // Where another page has the same tokens, find() takes that one, and never comes to those behind this one.
      if (known(before, of_page) >= 0) return;
      page(index).filled = true;
      page(index).before = before;
      page(index).tokens.assign(of_page, of_page + kPageTokens);
      by_hash_.emplace(hash_of(before, of_page), index);
    }
    before = index;
  }
}

PageTable KvPages::find(const std::vector<int32_t>& tokens, int64_t most) {
  PageTable table;
  int32_t before = -1;
  for (int64_t i = 0; i < most; ++i) {
    before = known(before, tokens.data() + i * kPageTokens);
    if (before < 0) break;
    read(before);
    table.push_back(before);
  }
  most_used_ = std::max(most_used_, count() - free());
  return table;
}

void KvPages::forget_unread() {
  for (const int32_t index : unread_) {
    forget(index);
    empty_.push_back(index);
  }
  unread_.clear();
}

void KvPages::forget(int32_t index) {
  Page& of = page(index);
  const auto [begin, end] = by_hash_.equal_range(hash_of(of.before, of.tokens.data()));
  by_hash_.erase(std::find_if(begin, end, [&](const auto& entry) { return entry.second == index; }));
  of.filled = false;
}

int32_t KvPages::known(int32_t before, const int32_t* tokens) const {
  const auto [begin, end] = by_hash_.equal_range(hash_of(before, tokens));
  const auto found = std::find_if(begin, end, [&](const auto& entry) {
    const Page& candidate = pages_[static_cast<size_t>(entry.second)];
    return candidate.before == before && std::equal(candidate.tokens.begin(), candidate.tokens.end(), tokens);
  });
  return found == end ? -1 : found->second;
}

}  // namespace terse::rl
