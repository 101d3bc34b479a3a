// Opens the conversations that the options sft.train and sft.val name, as tokens.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "configs/run_config.h"
#include "data/chat/chat_format.h"
#include "data/pack.h"
#include "data/store/store_cache.h"

namespace terse::data {

// Some of the conversations of a store, in the order of the file.
class ConversationSet {
 public:
  ConversationSet() = default;  // empty
  // `chosen` has the numbers of conversations of the store, ascending.
  ConversationSet(std::shared_ptr<const TokenStore> store, std::vector<int64_t> chosen);

  int64_t size() const { return std::ssize(chosen_); }
  // Reads a conversation, 0 <= index < size(). Learned tokens have weight 1, the others 0.
  Sequence at(int64_t index) const;
  // SHA-256 of the store's content hash and the chosen numbers.
  const std::string& content_hash() const { return hash_; }

 private:
  std::shared_ptr<const TokenStore> store_;
  std::vector<int64_t> chosen_;
  std::string hash_;
};

struct Conversations {
  ConversationSet train;
  ConversationSet val;  // empty when sft.val is empty and sft.val_fraction is 0 or chooses none
  Sources sources;
  std::vector<std::string>
      notes;  // for the user: bad lines, long conversations, those in both parts, files that are gone
};

// Opens sft.train and sft.val of `config`. Each file is first encoded into a store in `cache_dir`, by several threads.
// The name of the store is a hash of the file, the tokenizer, the chat template and the section `chat`, so later starts
// and other ranks reuse it. The bad lines are in kBadLinesFile there. Without sft.val, the conversations whose key
// falls into sft.val_fraction are held out. Conversations longer than model.max_seq_len are left out. Throws
// ConfigError (a file is missing or has changed, or nothing is left), DataError (also for too many bad lines) and
// DiskError. An exception of `options.progress` aborts a long read and is passed on.
Conversations open_conversations(const configs::RunConfig& config, const ChatFormat& format,
                                 const std::filesystem::path& cache_dir, const CacheOptions& options = {});

}  // namespace terse::data
