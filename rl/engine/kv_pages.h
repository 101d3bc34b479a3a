// The pages of a KV cache: which are free, and how many sequences read each of them. Paged as in Kwon et al. 2023
// (arXiv 2309.06180): a sequence takes pages as it grows, and sequences that begin alike share the pages of their
// beginning.
#pragma once

#include <cstdint>
#include <vector>

namespace terse::rl {

// Tokens of a page. Shorter pages share more of a prompt; longer ones make longer loops over memory.
inline constexpr int64_t kPageTokens = 32;

// The pages of a sequence: page i holds its tokens [i * kPageTokens, (i + 1) * kPageTokens).
using PageTable = std::vector<int32_t>;

constexpr int64_t pages_for(int64_t tokens) {
  return (tokens + kPageTokens - 1) / kPageTokens;
}

// Not thread-safe.
class KvPages {
 public:
  // Pages 0 to count - 1, all free.
  explicit KvPages(int64_t count);

  int64_t count() const { return static_cast<int64_t>(readers_.size()); }
  int64_t free() const { return static_cast<int64_t>(free_.size()); }
  int64_t most_used() const { return most_used_; }  // largest number of pages that were taken at one time

  // Adds free pages to the table until it holds `tokens` tokens. Returns false, and changes nothing, when there are too
  // few.
  bool grow(PageTable& table, int64_t tokens);
  // Returns a table of the first `pages` pages of another sequence. Both read them from now on.
  PageTable share(const PageTable& of, int64_t pages);
  // Gives up all pages of the table. A page that no other sequence reads is free again.
  void release(PageTable& table);

 private:
  std::vector<int32_t> free_;     // the last one is taken first, so that memory which has been used is used again
  std::vector<int32_t> readers_;  // of each page
  int64_t most_used_ = 0;
};

}  // namespace terse::rl
