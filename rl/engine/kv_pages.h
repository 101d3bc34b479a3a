// The pages of a KV cache: which are free, how many sequences read each of them, and which tokens they hold. Paged as
// in Kwon et al. 2023 (arXiv 2309.06180): a sequence takes pages as it grows, and sequences that begin alike share the
// pages of their beginning. A full page that nobody reads any more keeps its tokens until its place is needed, so a
// later sequence that begins like an earlier one finds them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <unordered_map>
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

  int64_t count() const { return static_cast<int64_t>(pages_.size()); }
  // Pages that nobody reads, with or without tokens.
  int64_t free() const { return std::ssize(empty_) + std::ssize(unread_); }
  int64_t most_used() const { return most_used_; }  // largest number of pages that were read at one time

  // Adds free pages to the table until it holds `tokens` tokens. Returns false, and changes nothing, when there are too
  // few. Takes pages without tokens first, and then those that have not been read for longest.
  bool grow(PageTable& table, int64_t tokens);
  // Returns a table of the first `pages` pages of another sequence. Both read them from now on.
  PageTable share(const PageTable& of, int64_t pages);
  // Gives up all pages of the table.
  void release(PageTable& table);

  // Notes that the keys and values of the first `length` of these tokens are in the pages of the table. From now on
  // find() knows the pages that they fill.
  void fill(const PageTable& table, const std::vector<int32_t>& tokens, int64_t length);
  // Returns the filled pages of the longest beginning of `tokens` that is known, at most `most` pages. The caller reads
  // them from now on.
  PageTable find(const std::vector<int32_t>& tokens, int64_t most);
  // Forgets what unread pages hold, because new weights give other keys and values.
  void forget_unread();

 private:
  struct Page {
    int32_t readers = 0;
    bool filled = false;  // find() knows it
    int32_t before = -1;  // the page before it in its sequence; -1: none
    std::vector<int32_t> tokens = {};
    std::list<int32_t>::iterator unread = {};  // its place in unread_, if filled and without readers
  };

  Page& page(int32_t index) { return pages_[static_cast<size_t>(index)]; }
  void take(PageTable& table);
  void read(int32_t index);
  void forget(int32_t index);
  // The filled page with these tokens behind page `before`; -1: none.
  int32_t known(int32_t before, const int32_t* tokens) const;

  std::vector<Page> pages_;
  std::vector<int32_t> empty_;  // the last one is taken first, so that memory which has been used is used again
  // Filled pages without readers, by the time of their last reader. A page comes before the one before it in its
  // sequence, so it is forgotten first.
  std::list<int32_t> unread_;
  std::unordered_multimap<uint64_t, int32_t> by_hash_;  // filled pages
  int64_t most_used_ = 0;
};

}  // namespace terse::rl
