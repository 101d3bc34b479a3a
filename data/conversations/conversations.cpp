// A store has all good lines of its file. What is held out and what is too long is decided when it is opened.
#include "data/conversations/conversations.h"

#include <fmt/format.h>

#include <unordered_set>

#include "base/errors.h"
#include "base/sha256.h"
#include "configs/load.h"
#include "data/conversations/conversation_line.h"
#include "data/jsonl/content_key.h"
#include "data/jsonl/file_kind.h"
#include "data/jsonl/read_json_lines.h"
#include "data/store/store_writer.h"

namespace terse::data {

namespace {

using StorePtr = std::shared_ptr<const TokenStore>;

int64_t length_of(const TokenStore& store, int64_t index) {
  const std::vector<int64_t>& begins = store.documents();
  const auto i = static_cast<size_t>(index);
  return (i + 1 < begins.size() ? begins[i + 1] : store.size()) - begins[i];
}

class ConversationOpener {
 public:
  ConversationOpener(const configs::RunConfig& config, const ChatFormat& format, StoreCache& cache)
      : config_(config), format_(format), cache_(cache) {}

  StorePtr open(const std::string& key, const std::string& file) {
    StorePtr store = std::filesystem::exists(file) ? open_file(key, file)
                                                   : cache_.open_without(key, file, StoreContent::kConversations);
    const StoreInfo& info = store->info();
    if (info.tokenizer_id != format_.tokenizer().id()) {
      throw ConfigError(fmt::format("{}: {} was built with the tokenizer {}, but the tokenizer of this run is {}", key,
                                    info.path, info.tokenizer_id, format_.tokenizer().id()));
    }
    if (info.bad_lines > 0) {
      require_few_bad_lines(file, info.lines, info.bad_lines, config_.data.max_bad_lines, record());
      cache_.note(bad_lines_note(file, info.lines, info.bad_lines, record()));
    }
    return store;
  }

  // Returns those of a store that `takes` accepts by their key and that fit into the model.
  template <typename Takes>
  ConversationSet choose(const std::string& key, const StorePtr& store, const Takes& takes) {
    std::vector<int64_t> chosen;
    int64_t longer = 0;
    for (int64_t i = 0; i < std::ssize(store->documents()); ++i) {
      if (!takes(store->keys()[static_cast<size_t>(i)])) continue;
      if (length_of(*store, i) > config_.model.max_seq_len) {
        ++longer;
      } else {
        chosen.push_back(i);
      }
    }
    if (longer > 0) {
      cache_.note(
          fmt::format("{}: {} of {} conversations are longer than model.max_seq_len ({} tokens) and were left out", key,
                      longer, longer + std::ssize(chosen), config_.model.max_seq_len));
    }
    return {store, std::move(chosen)};
  }

 private:
  std::filesystem::path record() const { return cache_.folder() / kBadLinesFile; }

  StorePtr open_file(const std::string& key, const std::string& file) {
    refuse_packed_file(file);
    const std::string sha256 = sha256_file(file, cache_.progress());
    const configs::Chat& chat = config_.chat;
    const std::string name = store_name("conversations", sha256,
                                        {format_.tokenizer().id(), format_.template_text(), chat.system,
                                         chat.enable_thinking, chat.think_open, chat.think_close});
    cache_.accept(key, {file, sha256, name});
    return cache_.open(name, StoreContent::kConversations,
                       [&](const std::filesystem::path& path) { build(key, file, path); });
  }

  void build(const std::string& key, const std::string& file, const std::filesystem::path& output) {
    StoreWriter writer(output, format_.tokenizer(), StoreContent::kConversations);
    BadLines bad(file);
    read_json_lines<EncodedConversation>(
        file, cache_.progress(), [&](const nlohmann::ordered_json& line) { return encode_line(line, format_); },
        [&](const EncodedConversation& conversation) {
          writer.add_conversation(conversation.encoded.tokens, conversation.encoded.learned, conversation.key);
        },
        bad);
    write_bad_lines(record(), bad);
    require_few_bad_lines(file, bad.lines(), bad.count(), config_.data.max_bad_lines, record());
    if (writer.size() == 0) throw DataError(fmt::format("{}: {} has no conversation", key, file));
    writer.finish({.sources = {std::filesystem::path(file).filename().string()},
                   .separator = "",
                   .text_bytes = static_cast<int64_t>(std::filesystem::file_size(file)),
                   .lines = bad.lines(),
                   .bad_lines = bad.count()});
  }

  const configs::RunConfig& config_;
  const ChatFormat& format_;
  StoreCache& cache_;
};

int64_t shared_conversations(const TokenStore& train, const TokenStore& val) {
  const std::unordered_set<uint64_t> known(train.keys().begin(), train.keys().end());
  int64_t shared = 0;
  for (const uint64_t key : val.keys()) shared += known.contains(key) ? 1 : 0;
  return shared;
}

}  // namespace

ConversationSet::ConversationSet(std::shared_ptr<const TokenStore> store, std::vector<int64_t> chosen)
    : store_(std::move(store)), chosen_(std::move(chosen)) {
  Sha256 hash;
  hash.update(store_->content_hash());
  hash.update(chosen_.data(), chosen_.size() * sizeof(int64_t));
  hash_ = hash.hex();
}

Sequence ConversationSet::at(int64_t index) const {
  const int64_t number = chosen_.at(static_cast<size_t>(index));
  const auto length = static_cast<size_t>(length_of(*store_, number));
  const int64_t begin = store_->documents()[static_cast<size_t>(number)];
  Sequence sequence;
  sequence.tokens.resize(length);
  store_->read(begin, sequence.tokens);
  std::vector<uint8_t> learned(length);
  store_->read_learned(begin, learned);
  sequence.weights.assign(learned.begin(), learned.end());
  return sequence;
}

Conversations open_conversations(const configs::RunConfig& config, const ChatFormat& format,
                                 const std::filesystem::path& cache_dir, const CacheOptions& options) {
  const configs::Sft& sft = config.sft;
  StoreCache cache(cache_dir, options);
  ConversationOpener opener(config, format, cache);
  const StorePtr store = opener.open("sft.train", sft.train);
  const double share = sft.val.empty() ? sft.val_fraction : 0;
  Conversations result;
  result.train = opener.choose("sft.train", store, [&](uint64_t key) { return !is_held_out(key, share); });
  if (!sft.val.empty()) {
    const StorePtr val = opener.open("sft.val", sft.val);
    result.val = opener.choose("sft.val", val, [](uint64_t) { return true; });
    if (const int64_t shared = shared_conversations(*store, *val); shared > 0) {
      cache.note(
          fmt::format("{} of the {} conversations of sft.val are in sft.train, too", shared, val->keys().size()));
    }
  } else if (share > 0) {
    result.val = opener.choose("sft.val_fraction", store, [&](uint64_t key) { return is_held_out(key, share); });
    if (result.val.size() == 0)
      cache.note(
          fmt::format("sft.val_fraction {} chose none of the {} conversations of sft.train, so there is no "
                      "validation loss",
                      share, store->keys().size()));
  }
  for (const auto& [key, set] : {std::pair("sft.train", &result.train), std::pair("sft.val", &result.val)}) {
    if (set->size() > 0 || (set == &result.val && sft.val.empty())) continue;
    throw ConfigError(
        fmt::format("{}: no conversation is left to use: those that are not held out (sft.val_fraction "
                    "{}) are longer than model.max_seq_len {}",
                    key, share, config.model.max_seq_len));
  }
  if (!format.template_ends_turns()) {
    const Tokenizer& tokenizer = format.tokenizer();
    cache.note(
        fmt::format("the chat template ends the assistant's turns with no token that ends a response, so {} ends the "
                    "last turn of each conversation, and earlier turns teach no end",
                    tokenizer.decode({tokenizer.eos()})));
  }
  result.sources = cache.sources();
  result.notes = cache.notes();
  return result;
}

}  // namespace terse::data
