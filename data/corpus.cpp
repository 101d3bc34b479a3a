// Opens a token store for each file of the config. Stores that are built from a text are cached.
#include "data/corpus.h"

#include <fmt/format.h>

#include "base/errors.h"
#include "base/sha256.h"
#include "configs/load.h"
#include "data/store/build_store.h"
#include "data/store/token_store.h"

namespace terse::data {

namespace {

std::shared_ptr<const TokenStore> open_verified(const std::filesystem::path& path, const Progress& progress) {
  auto store = TokenStore::open(path);
  store->verify(progress);
  return store;
}

// Opens the files of one corpus, and records them in its `sources`.
class Opener {
 public:
  Opener(const configs::Data& data, const std::filesystem::path& cache_dir, const CorpusOptions& options,
         Corpus& corpus)
      : data_(data), cache_dir_(cache_dir), options_(options), corpus_(corpus) {}

  std::shared_ptr<const TokenStore> open(const std::string& key, const std::string& file) {
    if (file.empty()) throw ConfigError(fmt::format("{} is empty: name a text file or a token store", key));
    if (!std::filesystem::exists(file)) return open_without(key, file);
    if (is_hdf5(file)) return open_store(key, file);
    if (std::filesystem::path(file).extension() == ".h5") {
      throw DataError(fmt::format("{}: its name ends in .h5, but it has no HDF5 signature", file));
    }
    return open_text(key, file);
  }

 private:
  // Returns what an earlier start recorded of the file of this key, or nullptr.
  const Source* known(const std::string& key) const {
    const auto found = options_.sources.find(key);
    return found == options_.sources.end() ? nullptr : &found->second;
  }

  void accept(const std::string& key, const Source& source) {
    const Source* before = options_.unchanged ? known(key) : nullptr;
    if (before != nullptr && (before->sha256 != source.sha256 || before->store.empty() != source.store.empty())) {
      const auto store = cache_dir_ / before->store;
      const bool kept = !before->store.empty() && std::filesystem::exists(store);
      throw ConfigError(fmt::format(
          "{}: {} has changed since the run began (its SHA-256 was {}, now it is {}). Restore the old file{}, or use "
          "another run folder (--run-dir or run.name) for the new one",
          key, source.file, before->sha256, source.sha256,
          kept ? fmt::format(", move the new one away (the run then continues with its own tokens in {})",
                             store.string())
               : ""));
    }
    corpus_.sources[key] = source;
  }

  std::shared_ptr<const TokenStore> open_store(const std::string& key, const std::string& file) {
    auto store = TokenStore::open(file);
    const StoreInfo& info = store->info();
    accept(key, {file, info.content_sha256, ""});
    require_tokenizer(key, file, info);
    if (!data_.separator.empty() && data_.separator != info.separator) {
      throw ConfigError(
          fmt::format("data.separator is \"{}\", but {} was built with \"{}\"", data_.separator, file, info.separator));
    }
    return store;
  }

  // Opens the cached store of a text, and builds it if it is absent or damaged.
  std::shared_ptr<const TokenStore> open_text(const std::string& key, const std::string& text) {
    const std::string sha256 = sha256_file(text, options_.progress);
    std::string parts = sha256;
    for (const std::string& part : {corpus_.tokenizer->id(), data_.separator})
      parts += fmt::format("\n{}:{}", part.size(), part);
    const std::string name = fmt::format("tokens-{}.h5", sha256_bytes(parts).substr(0, 16));
    accept(key, {text, sha256, name});
    const auto path = cache_dir_ / name;
    if (std::filesystem::exists(path)) {
      try {
        return open_verified(path, options_.progress);
      } catch (const DataError&) {
        // A damaged store is no error, because it is rebuilt below.
      }
    }
    build_store({text}, path, *corpus_.tokenizer,
                {.separator = data_.separator, .overwrite = true, .progress = options_.progress});
    return open_verified(path, options_.progress);
  }

  // Opens the cached tokens of a text file that is gone.
  std::shared_ptr<const TokenStore> open_without(const std::string& key, const std::string& file) {
    const Source* source = known(key);
    if (source == nullptr) throw ConfigError(fmt::format("{}: no such file: {}", key, file));
    if (source->store.empty()) {
      throw ConfigError(fmt::format(
          "{0}: the token store {1} no longer exists, and the run keeps no copy of it. Restore it, or set its "
          "new path: --set {0}=FILE",
          key, file));
    }
    const auto path = cache_dir_ / source->store;
    if (!std::filesystem::exists(path)) {
      throw ConfigError(
          fmt::format("{}: no such file: {}; the token store {} that the run built from it no longer exists either. "
                      "Restore one of them",
                      key, file, path.string()));
    }
    auto store = open_verified(path, options_.progress);
    require_tokenizer(key, path.string(), store->info());
    corpus_.sources[key] = *source;
    corpus_.notes.push_back(
        fmt::format("{}: {} no longer exists; the run continues with the token store {} that it built from it", key,
                    file, path.string()));
    return store;
  }

  void require_tokenizer(const std::string& key, const std::string& file, const StoreInfo& info) const {
    if (info.tokenizer_id == corpus_.tokenizer->id()) return;
    throw ConfigError(fmt::format("{}: {} was built with the tokenizer {}, but the tokenizer of this run is {}", key,
                                  file, info.tokenizer_id, corpus_.tokenizer->id()));
  }

  const configs::Data& data_;
  const std::filesystem::path& cache_dir_;
  const CorpusOptions& options_;
  Corpus& corpus_;
};

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
  Corpus corpus;
  corpus.tokenizer = std::move(tokenizer);
  Opener opener(data, cache_dir, options, corpus);
  const auto train = opener.open("data.train", data.train);
  corpus.train = whole(train);
  if (!data.val.empty()) {
    corpus.val = whole(opener.open("data.val", data.val));
  } else if (data.val_fraction > 0) {
    const auto cut = static_cast<int64_t>(static_cast<double>(train->size()) * (1 - data.val_fraction));
    corpus.train.end = cut;
    corpus.val = {train, cut, train->size()};
  }
  require_two_tokens("data.train (less data.val_fraction)", corpus.train);
  if (corpus.val) require_two_tokens(data.val.empty() ? "the data.val_fraction of data.train" : "data.val", corpus.val);
  return corpus;
}

}  // namespace terse::data
