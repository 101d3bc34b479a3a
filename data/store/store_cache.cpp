// The name of a store is a hash of all that it is made of, so a store under its name is right unless it is damaged.
#include "data/store/store_cache.h"

#include <fmt/format.h>

#include "base/errors.h"
#include "base/sha256.h"
#include "configs/load.h"

namespace terse::data {

std::string store_name(const std::string& kind, const std::string& sha256, const std::vector<std::string>& parts) {
  std::string all = sha256;
  for (const std::string& part : parts) all += fmt::format("\n{}:{}", part.size(), part);
  return fmt::format("{}-{}.h5", kind, sha256_bytes(all).substr(0, 16));
}

void StoreCache::accept(const std::string& key, const Source& source) {
  const auto found = options_.sources.find(key);
  const Source* before = options_.unchanged && found != options_.sources.end() ? &found->second : nullptr;
  if (before != nullptr && (before->sha256 != source.sha256 || before->store.empty() != source.store.empty())) {
    const auto store = folder_ / before->store;
    const bool kept = !before->store.empty() && std::filesystem::exists(store);
    throw ConfigError(fmt::format(
        "{}: {} has changed since the run began (its SHA-256 was {}, now it is {}). Restore the old file{}, or use "
        "another run folder (--run-dir or run.name) for the new one",
        key, source.file, before->sha256, source.sha256,
        kept ? fmt::format(", move the new one away (the run then continues with its own tokens in {})", store.string())
             : ""));
  }
  sources_[key] = source;
}

std::shared_ptr<const TokenStore> StoreCache::open_verified(const std::filesystem::path& path,
                                                            StoreContent content) const {
  auto store = TokenStore::open(path, {.content = content});
  store->verify(options_.progress);
  return store;
}

std::shared_ptr<const TokenStore> StoreCache::open(const std::string& name, StoreContent content,
                                                   const std::function<void(const std::filesystem::path&)>& build) {
  const auto path = folder_ / name;
  if (std::filesystem::exists(path)) {
    try {
      return open_verified(path, content);
    } catch (const DataError&) {
      // A damaged store is no error, because it is rebuilt below.
    }
  }
  build(path);
  return open_verified(path, content);
}

std::shared_ptr<const TokenStore> StoreCache::open_without(const std::string& key, const std::string& file,
                                                           StoreContent content) {
  const auto found = options_.sources.find(key);
  if (found == options_.sources.end()) throw ConfigError(fmt::format("{}: no such file: {}", key, file));
  const Source& source = found->second;
  if (source.store.empty()) {
    throw ConfigError(fmt::format(
        "{0}: the token store {1} no longer exists, and the run keeps no copy of it. Restore it, or set its "
        "new path: --set {0}=FILE",
        key, file));
  }
  const auto path = folder_ / source.store;
  if (!std::filesystem::exists(path)) {
    throw ConfigError(
        fmt::format("{}: no such file: {}; the token store {} that the run built from it no longer exists either. "
                    "Restore one of them",
                    key, file, path.string()));
  }
  auto store = open_verified(path, content);
  sources_[key] = source;
  note(fmt::format("{}: {} no longer exists; the run continues with the token store {} that it built from it", key,
                   file, path.string()));
  return store;
}

}  // namespace terse::data
