// Strict reading of checkpoint folders: nothing is parsed before its hash is right, nothing allocated before its size
// is.
#include "checkpoints/folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>

#include "configs/sha256.h"

namespace terse::checkpoints {

namespace {

constexpr std::string_view kStepPrefix = "step-";
constexpr uint64_t kMaxHashFileBytes = 4096;
constexpr int kScans = 100;  // of a folder whose checkpoints are pruned while we read
constexpr size_t kShownDefects = 5;

// One walk over a checkpoint folder, collecting defects.
class Checker {
 public:
  Checker(Io& io, const Io::Path& checkpoint, Depth depth, Store::Loaded* loaded)
      : io_(io), checkpoint_(checkpoint), depth_(depth), loaded_(loaded) {}

  std::vector<std::string> run() {
    try {
      entries_ = io_.list(checkpoint_);
      manifest_ = read_manifest(io_, checkpoint_);
    } catch (const CorruptError& error) {
      return {error.what()};
    } catch (const DiskError& error) {
      return {error.what()};
    }
    check_name();
    check_entries();
    if (!defects_.empty()) return std::move(defects_);  // sizes on disk are right from here on
    if (loaded_ != nullptr) allocate();
    for (const FileEntry& file : manifest_.files) check_file(file);
    if (loaded_ != nullptr && defects_.empty()) finish();
    return std::move(defects_);
  }

 private:
  void defect(const std::string& file, const std::string& what) { defects_.push_back(file + ": " + what); }

  // A folder that was renamed by hand would resume at the wrong step.
  void check_name() {
    const std::string name = checkpoint_.filename().string();
    const std::optional<int64_t> step = parse_step(name);
    if (step && *step != manifest_.info.step) {
      defect(kManifestName, fmt::format("it is of step {}, the folder is called {}", manifest_.info.step, name));
    }
  }

  void check_entries() {
    std::map<std::string, const Entry*> found;
    for (const Entry& entry : entries_) found.emplace(entry.name, &entry);
    for (const FileEntry& file : manifest_.files) {
      const auto entry = found.find(file.name);
      if (entry == found.end()) {
        defect(file.name, "it is missing");
        continue;
      }
      if (entry->second->kind != EntryKind::kFile) {
        defect(file.name, "it is not a regular file");
      } else if (entry->second->bytes != file.bytes) {
        defect(file.name, fmt::format("it has {} bytes, the manifest says {}", entry->second->bytes, file.bytes));
      }
      found.erase(entry);
    }
    found.erase(kManifestName);
    found.erase(kManifestHashName);
    for (const auto& [name, entry] : found) defect(name, "it does not belong here: the manifest does not list it");
  }

  // One flat tensor per name, over all its pieces. The manifest has been checked: pieces join and fit their files.
  void allocate() {
    for (const FileEntry& file : manifest_.files) {
      for (const Piece& piece : file.pieces) {
        const auto [it, is_new] = loaded_->state.tensors.try_emplace(piece.name);
        Shard& shard = it->second;
        shard.shape = piece.shape;
        shard.begin = is_new ? piece.begin : std::min(shard.begin, piece.begin);
        shard.end = is_new ? piece.end : std::max(shard.end, piece.end);
      }
    }
    for (const FileEntry& file : manifest_.files) {
      for (const Piece& piece : file.pieces) {
        Shard& shard = loaded_->state.tensors.at(piece.name);
        if (!shard.data.defined()) shard.data = torch::empty({shard.end - shard.begin}, piece.dtype->type);
      }
    }
  }

  void check_file(const FileEntry& file) {
    try {
      const std::string bytes = io_.read(checkpoint_ / file.name, file.bytes);
      const std::string sha256 = configs::sha256_bytes(bytes);
      if (bytes.size() != file.bytes || sha256 != file.sha256) {
        defect(file.name, fmt::format("its SHA-256 is {}, the manifest says {}", sha256, file.sha256));
      } else if (depth_ == Depth::kData && file.name == kExtraName) {
        nlohmann::json extra = parse_json(bytes);
        if (loaded_ != nullptr) loaded_->state.extra = std::move(extra);
      } else if (depth_ == Depth::kData) {
        read_shard(bytes, targets(file));
      }
    } catch (const DiskError& error) {
      defect(file.name, error.what());
    } catch (const Hdf5Error& error) {
      defect(file.name, error.what());
    } catch (const CorruptError& error) {
      defect(file.name, error.what());
    }
  }

  std::vector<PieceData> targets(const FileEntry& file) const {
    std::vector<PieceData> items;
    for (const Piece& piece : file.pieces) {
      items.push_back({piece, {}});
      if (loaded_ == nullptr) continue;
      const Shard& shard = loaded_->state.tensors.at(piece.name);
      items.back().data = shard.data.slice(0, piece.begin - shard.begin, piece.end - shard.begin);
    }
    return items;
  }

  void finish() {
    loaded_->info = manifest_.info;
    loaded_->path = checkpoint_;
  }

  Io& io_;
  const Io::Path& checkpoint_;
  Depth depth_;
  Store::Loaded* loaded_;
  std::vector<Entry> entries_;
  Manifest manifest_;
  std::vector<std::string> defects_;
};

struct Scan {
  std::optional<Store::Loaded> loaded;
  std::vector<std::string> rejected;
  bool any = false;      // there was at least one entry
  bool changed = false;  // an entry went away while it was read
};

Scan scan_once(Io& io, const Io::Path& dir) {
  Scan scan;
  for (const StepEntry& entry : list_steps(io, dir)) {
    scan.any = true;
    const std::string name = step_name(entry.step);
    if (entry.kind != EntryKind::kFolder) {
      scan.rejected.push_back(name + ": it is not a folder");
      continue;
    }
    Store::Loaded loaded;
    const std::vector<std::string> defects = check_checkpoint(io, dir / name, Depth::kData, &loaded);
    if (defects.empty()) {
      scan.loaded = std::move(loaded);
      scan.loaded->rejected = scan.rejected;
      return scan;
    }
    if (io.kind(dir / name) == EntryKind::kNone) scan.changed = true;
    scan.rejected.push_back(name + ": " + defect_summary(defects));
  }
  return scan;
}

}  // namespace

std::string step_name(int64_t step) {
  return fmt::format("{}{}", kStepPrefix, step);
}

std::optional<int64_t> parse_step(std::string_view name) {
  if (!name.starts_with(kStepPrefix)) return std::nullopt;
  int64_t step = 0;
  const auto [end, error] = std::from_chars(name.data() + kStepPrefix.size(), name.data() + name.size(), step);
  if (error != std::errc() || end != name.data() + name.size() || step < 0 || step_name(step) != name)
    return std::nullopt;
  return step;
}

std::vector<StepEntry> list_steps(Io& io, const Io::Path& dir) {
  std::vector<StepEntry> steps;
  for (const Entry& entry : io.list(dir)) {
    if (const std::optional<int64_t> step = parse_step(entry.name)) steps.push_back({*step, entry.kind});
  }
  std::sort(steps.begin(), steps.end(), [](const StepEntry& a, const StepEntry& b) { return a.step > b.step; });
  return steps;
}

Manifest read_manifest(Io& io, const Io::Path& checkpoint) {
  const auto read = [&](const char* name, uint64_t cap) {
    try {
      return io.read(checkpoint / name, cap);
    } catch (const DiskError& error) {
      throw CorruptError(fmt::format("{}: {}", name, error.what()));
    }
  };
  const std::string text = read(kManifestName, kMaxManifestBytes);
  const std::string expected = manifest_hash_text(text);
  if (read(kManifestHashName, kMaxHashFileBytes) != expected) {
    throw CorruptError(fmt::format("{}: its SHA-256 is {}, which is not what {} says", kManifestName,
                                   expected.substr(0, 64), kManifestHashName));
  }
  try {
    return parse_manifest(text);
  } catch (const CorruptError& error) {
    throw CorruptError(fmt::format("{}: {}", kManifestName, error.what()));
  }
}

std::vector<std::string> check_checkpoint(Io& io, const Io::Path& checkpoint, Depth depth, Store::Loaded* loaded) {
  return Checker(io, checkpoint, depth, loaded).run();
}

std::string defect_summary(const std::vector<std::string>& defects) {
  const size_t shown = std::min(defects.size(), kShownDefects);
  std::string text = fmt::format("{}", fmt::join(defects.begin(), defects.begin() + static_cast<long>(shown), "; "));
  if (shown < defects.size()) text += fmt::format("; and {} more", defects.size() - shown);
  return text;
}

std::optional<Store::Loaded> load_latest(Io& io, const Io::Path& dir) {
  if (io.kind(dir) == EntryKind::kNone) return std::nullopt;
  Scan scan;
  // A run that is training in another process may prune what we are about to read; then the newest one is newer still.
  for (int i = 0; i < kScans; ++i) {
    scan = scan_once(io, dir);
    if (!scan.changed) break;
  }
  if (scan.loaded || !scan.any) return std::move(scan.loaded);
  throw CorruptError(fmt::format("no usable checkpoint in {}:\n  {}", dir.string(), fmt::join(scan.rejected, "\n  ")));
}

}  // namespace terse::checkpoints
