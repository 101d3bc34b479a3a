// Opens a token store for each file of the config. Stores that are built from a text are cached.
#include "data/corpus.h"

#include <fmt/format.h>

#include <unordered_set>

#include "base/checksum.h"
#include "base/errors.h"
#include "base/sha256.h"
#include "configs/load.h"
#include "data/jsonl/bad_lines.h"
#include "data/jsonl/file_kind.h"
#include "data/store/build_store.h"

namespace terse::data {

namespace {

using StorePtr = std::shared_ptr<const TokenStore>;

// Opens the files of one corpus.
class Opener {
 public:
  Opener(const configs::Data& data, const Tokenizer& tokenizer, StoreCache& cache)
      : data_(data), tokenizer_(tokenizer), cache_(cache) {}

  struct Stores {
    StorePtr main;
    StorePtr held_out;  // null: none of its documents are held out
  };

  // `held_out_share`: of the documents of JSON Lines.
  Stores open(const std::string& key, const std::string& file, double held_out_share = 0) {
    if (file.empty()) throw ConfigError(fmt::format("{} is empty: name a text file or a token store", key));
    const bool holds_out = held_out_share > 0 && is_json_lines(file);
    Stores stores;
    if (!std::filesystem::exists(file)) {
      stores.main = open_without(key, file);
      if (holds_out) stores.held_out = open_without(kHeldOutKey, file);
      check_lines(file, stores.main->info());
    } else if (is_hdf5(file)) {
      stores.main = open_store(key, file);
    } else {
      if (std::filesystem::path(file).extension() == ".h5")
        throw DataError(fmt::format("{}: its name ends in .h5, but it has no HDF5 signature", file));
      refuse_packed_file(file);
      stores = open_text(key, file, holds_out ? held_out_share : 0);
      check_lines(file, stores.main->info());
    }
    return stores;
  }

 private:
  static constexpr const char* kHeldOutKey = "data.val_fraction";

  StorePtr open_store(const std::string& key, const std::string& file) {
    auto store = TokenStore::open(file);
    const StoreInfo& info = store->info();
    cache_.accept(key, {file, info.content_sha256, ""});
    require_tokenizer(key, file, info);
    if (!data_.separator.empty() && data_.separator != info.separator) {
      throw ConfigError(
          fmt::format("data.separator is \"{}\", but {} was built with \"{}\"", data_.separator, file, info.separator));
    }
    return store;
  }

  // Opens the cached stores of a text file or of JSON Lines, and builds them if they are absent or damaged.
  Stores open_text(const std::string& key, const std::string& text, double held_out_share) {
    const std::string sha256 = sha256_file(text, cache_.progress());
    std::vector<std::string> parts = {tokenizer_.id(), data_.separator};
    if (is_json_lines(text)) parts.insert(parts.end(), {"json lines", fmt::format("{}", held_out_share)});
    const std::string name = store_name("tokens", sha256, parts);
    const std::string held_out = std::filesystem::path(name).stem().string() + "-val.h5";
    cache_.accept(key, {text, sha256, name});
    if (held_out_share > 0) cache_.accept(kHeldOutKey, {text, sha256, held_out});
    const auto build = [&](const std::filesystem::path&) {
      BuildOptions options{.separator = data_.separator, .overwrite = true, .progress = cache_.progress()};
      options.max_bad_lines = data_.max_bad_lines;
      options.bad_lines = cache_.folder() / kBadLinesFile;
      options.held_out_share = held_out_share;
      options.held_out = cache_.folder() / held_out;
      build_store({text}, cache_.folder() / name, tokenizer_, options);
    };
    Stores stores;
    stores.main = cache_.open(name, StoreContent::kDocuments, build);
    if (held_out_share > 0) stores.held_out = cache_.open(held_out, StoreContent::kDocuments, build);
    return stores;
  }

  // Opens the cached tokens of a file that is gone.
  StorePtr open_without(const std::string& key, const std::string& file) {
    auto store = cache_.open_without(key, file, StoreContent::kDocuments);
    require_tokenizer(key, store->info().path, store->info());
    return store;
  }

  // Tells the bad lines of a store that the run has made, and refuses too many.
  void check_lines(const std::string& file, const StoreInfo& info) {
    if (info.bad_lines == 0) return;
    const auto record = cache_.folder() / kBadLinesFile;
    require_few_bad_lines(file, info.lines, info.bad_lines, data_.max_bad_lines, record);
    cache_.note(bad_lines_note(file, info.lines, info.bad_lines, record));
  }

  void require_tokenizer(const std::string& key, const std::string& file, const StoreInfo& info) const {
    if (info.tokenizer_id == tokenizer_.id()) return;
    throw ConfigError(fmt::format("{}: {} was built with the tokenizer {}, but the tokenizer of this run is {}", key,
                                  file, info.tokenizer_id, tokenizer_.id()));
  }

  const configs::Data& data_;
  const Tokenizer& tokenizer_;
  StoreCache& cache_;
};

// Returns the number of documents of `val` that `train` has as well.
int64_t shared_documents(const TokenStore& train, const TokenStore& val) {
  const auto each_hash = [](const TokenStore& store, const auto& use) {
    std::vector<int32_t> tokens;
    const std::vector<int64_t>& begins = store.documents();
    for (size_t i = 0; i < begins.size(); ++i) {
      tokens.resize(static_cast<size_t>((i + 1 < begins.size() ? begins[i + 1] : store.size()) - begins[i]));
      store.read(begins[i], tokens);
      use(xxh3(tokens.data(), tokens.size() * sizeof(int32_t), 0));
    }
  };
  std::unordered_set<uint64_t> known;
  each_hash(train, [&](uint64_t hash) { known.insert(hash); });
  int64_t shared = 0;
  each_hash(val, [&](uint64_t hash) { shared += known.contains(hash) ? 1 : 0; });
  return shared;
}

void require_two_tokens(const char* what, const TokenRange& range) {
  if (range.size() < 2) {
    throw ConfigError(fmt::format("{} has {} tokens of {}: expected at least 2, an input and its target", what,
                                  range.size(), range.source->size()));
  }
}

}  // namespace

Corpus open_corpus(const configs::Data& data, std::shared_ptr<const Tokenizer> tokenizer,
                   const std::filesystem::path& cache_dir, const CorpusOptions& options) {
  if (!(data.val_fraction >= 0 && data.val_fraction < 1)) {
    throw ConfigError(fmt::format("data.val_fraction is {}: expected at least 0 and below 1", data.val_fraction));
  }
  StoreCache cache(cache_dir, options);
  Opener opener(data, *tokenizer, cache);
  Corpus corpus;
  corpus.tokenizer = tokenizer;
  const auto [train, held_out] = opener.open("data.train", data.train, data.val.empty() ? data.val_fraction : 0);
  corpus.train = whole(train);
  if (!data.val.empty()) {
    const StorePtr val = opener.open("data.val", data.val).main;
    corpus.val = whole(val);
    const int64_t shared = train->info().lines > 0 && val->info().lines > 0 ? shared_documents(*train, *val) : 0;
    if (shared > 0) {
      cache.note(
          fmt::format("{} of the {} documents of data.val are in data.train, too", shared, val->info().documents));
    }
  } else if (held_out) {
    corpus.val = whole(held_out);
  } else if (data.val_fraction > 0) {
    const auto cut = static_cast<int64_t>(static_cast<double>(train->size()) * (1 - data.val_fraction));
    corpus.train.end = cut;
    corpus.val = {train, cut, train->size()};
  }
  corpus.sources = cache.sources();
  corpus.notes = cache.notes();
  require_two_tokens("data.train (less data.val_fraction)", corpus.train);
  if (corpus.val) require_two_tokens(data.val.empty() ? "the data.val_fraction of data.train" : "data.val", corpus.val);
  return corpus;
}

}  // namespace terse::data
