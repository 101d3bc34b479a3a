// Stores for the config's files, cached when they had to be built.
#include "data/corpus.h"

#include <fmt/format.h>

#include "configs/load.h"
#include "configs/sha256.h"
#include "data/build_store.h"
#include "data/errors.h"
#include "data/token_store.h"
#include "data/tokenizer_factory.h"

namespace terse::data {

namespace {

using configs::ConfigError;
using Progress = std::function<void(int64_t done, int64_t total)>;

std::shared_ptr<const TokenStore> open_verified(const std::filesystem::path& path) {
  auto store = TokenStore::open(path);
  store->verify();
  return store;
}

// The store of a text file: the one built before, unless it is absent or damaged.
std::shared_ptr<const TokenStore> cached_store(const std::filesystem::path& text, const std::string& separator,
                                               const Tokenizer& tokenizer, const std::filesystem::path& cache_dir,
                                               const Progress& progress) {
  std::string key = configs::sha256_file(text.string());
  for (const std::string& part : {tokenizer.id(), separator}) key += fmt::format("\n{}:{}", part.size(), part);
  const auto path = cache_dir / fmt::format("tokens-{}.h5", configs::sha256_bytes(key).substr(0, 16));
  if (std::filesystem::exists(path)) {
    try {
      return open_verified(path);
    } catch (const DataError&) {
      // A cache is not worth an error: it is built again below.
    }
  }
  build_store({text}, path, tokenizer, {.separator = separator, .overwrite = true, .progress = progress});
  return open_verified(path);
}

std::shared_ptr<const TokenStore> open_one(const char* key, const std::string& file, const configs::Data& data,
                                           const Tokenizer& tokenizer, const std::filesystem::path& cache_dir,
                                           const Progress& progress) {
  if (file.empty()) throw ConfigError(fmt::format("{} is empty: name a text file or a token store", key));
  if (!std::filesystem::exists(file)) throw ConfigError(fmt::format("{}: no such file: {}", key, file));
  if (!is_hdf5(file)) {
    if (std::filesystem::path(file).extension() == ".h5") {
      throw DataError(fmt::format("{}: named .h5, but it has no HDF5 signature", file));
    }
    return cached_store(file, data.separator, tokenizer, cache_dir, progress);
  }
  auto store = TokenStore::open(file);
  const StoreInfo& info = store->info();
  if (info.tokenizer_id != tokenizer.id()) {
    throw ConfigError(fmt::format("{}: {} was made with the tokenizer {}, this run has {}", key, file,
                                  info.tokenizer_id, tokenizer.id()));
  }
  if (!data.separator.empty() && data.separator != info.separator) {
    throw ConfigError(
        fmt::format("data.separator is \"{}\", but {} was made with \"{}\"", data.separator, file, info.separator));
  }
  return store;
}

void require_two_tokens(const char* what, const TokenRange& range) {
  if (range.size() < 2) {
    throw ConfigError(fmt::format("{} has {} tokens of {}: at least 2 are needed, an input and its target", what,
                                  range.size(), range.source->size()));
  }
}

}  // namespace

Corpus open_corpus(const configs::Data& data, std::shared_ptr<const Tokenizer> tokenizer,
                   const std::filesystem::path& cache_dir, const Progress& progress) {
  if (!(data.val_fraction >= 0 && data.val_fraction < 1)) {
    throw ConfigError(fmt::format("data.val_fraction is {}: expected at least 0 and below 1", data.val_fraction));
  }
  const auto train = open_one("data.train", data.train, data, *tokenizer, cache_dir, progress);
  Corpus corpus{whole(train), {}, std::move(tokenizer)};
  if (!data.val.empty()) {
    corpus.val = whole(open_one("data.val", data.val, data, *corpus.tokenizer, cache_dir, progress));
  } else if (data.val_fraction > 0) {
    const auto cut = static_cast<int64_t>(static_cast<double>(train->size()) * (1 - data.val_fraction));
    corpus.train.end = cut;
    corpus.val = {train, cut, train->size()};
  }
  require_two_tokens("data.train (less data.val_fraction)", corpus.train);
  if (corpus.val) require_two_tokens(data.val.empty() ? "the data.val_fraction of data.train" : "data.val", corpus.val);
  return corpus;
}

Corpus open_corpus(const configs::Data& data, const configs::Tokenizer& tokenizer,
                   const std::filesystem::path& cache_dir, const Progress& progress) {
  if (data.train.empty()) throw ConfigError("data.train is empty: name a text file or a token store");
  return open_corpus(data, make_tokenizer(tokenizer, data.train, data.separator), cache_dir, progress);
}

}  // namespace terse::data
