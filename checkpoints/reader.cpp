// Checks hashes before it parses a file, and sizes before it allocates memory.
#include "checkpoints/reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/formats/tensor_shape.h"
#include "base/sha256.h"

namespace terse::checkpoints {

namespace {

constexpr size_t kShownDefects = 5;

// The elements that the caller wants of a tensor; all of them without `wanted`.
std::optional<Range> wanted_range(const Wanted& wanted, const Piece& piece) {
  const int64_t elements = element_count(piece.shape).value();
  if (!wanted) return Range{0, elements};
  const std::optional<Range> range = wanted(piece.name, piece.shape);
  if (range && (range->begin < 0 || range->begin > range->end || range->end > elements)) {
    throw std::invalid_argument(fmt::format("elements {} to {} of tensor {} were requested, but it has {} (shape [{}])",
                                            range->begin, range->end, piece.name, elements,
                                            fmt::join(piece.shape, ", ")));
  }
  return range;
}

}  // namespace

CheckpointReader::CheckpointReader(FileSystem& fs, FileSystem::Path checkpoint, Depth depth, bool keep, LoadShare share)
    : fs_(fs), checkpoint_(std::move(checkpoint)), depth_(depth), keep_(keep), share_(std::move(share)) {}

std::vector<std::string> CheckpointReader::read_own() {
  std::vector<Entry> entries;
  try {
    entries = fs_.list(checkpoint_);
    manifest_ = read_manifest(fs_, checkpoint_, &manifest_sha256_);
  } catch (const DataError& error) {
    return {error.what()};
  } catch (const DiskError& error) {
    return {error.what()};
  }
  check_name();
  check_entries(entries);
  if (!defects_.empty()) return std::exchange(defects_, {});  // sizes on disk are right from here on
  if (keep_) allocate();
  hashers_ = hashing_ranks(manifest_.files, share_.ranks);
  for (size_t i = 0; i < manifest_.files.size(); ++i) {
    if (hashers_[i] == share_.rank) read_file(manifest_.files[i], /*hash=*/true);
  }
  return std::exchange(defects_, {});
}

std::vector<std::string> CheckpointReader::read_others() {
  for (size_t i = 0; i < manifest_.files.size(); ++i) {
    const FileEntry& file = manifest_.files[i];
    if (hashers_[i] != share_.rank && is_needed(file)) read_file(file, /*hash=*/false);
  }
  return std::exchange(defects_, {});
}

Store::Loaded CheckpointReader::take() {
  loaded_.info = manifest_.info;
  loaded_.path = checkpoint_;
  loaded_.manifest_sha256 = manifest_sha256_;
  return std::move(loaded_);
}

void CheckpointReader::defect(const std::string& file, const std::string& what) {
  defects_.push_back(file + ": " + what);
}

// Rejects a folder that was renamed by hand: the run would resume at the wrong step.
void CheckpointReader::check_name() {
  const std::string name = checkpoint_.filename().string();
  const std::optional<int64_t> step = parse_step(name);
  if (step && *step != manifest_.info.step) {
    defect(kManifestName, fmt::format("its step is {}, but the name of the folder is {}", manifest_.info.step, name));
  }
}

void CheckpointReader::check_entries(const std::vector<Entry>& entries) {
  std::map<std::string, const Entry*> found;
  for (const Entry& entry : entries) found.emplace(entry.name, &entry);
  for (const FileEntry& file : manifest_.files) {
    const auto entry = found.find(file.name);
    if (entry == found.end()) {
      defect(file.name, "it is missing");
      continue;
    }
    if (entry->second->kind != EntryKind::kFile) {
      defect(file.name, "it is not a regular file");
    } else if (entry->second->bytes != file.bytes) {
      defect(file.name, fmt::format("it has {} bytes, the manifest lists {}", entry->second->bytes, file.bytes));
    }
    found.erase(entry);
  }
  found.erase(kManifestName);
  found.erase(kManifestHashName);
  for (const auto& [name, entry] : found)
    defect(name, "it is not part of the checkpoint: the manifest does not list it");
}

// Allocates one flat tensor per name for the wanted elements. The manifest has been checked, so the pieces join and fit
// their files.
void CheckpointReader::allocate() {
  struct Saved {
    const Piece* piece;  // any piece of this tensor
    Range range;
  };
  std::map<std::string, Saved> tensors;
  for (const FileEntry& file : manifest_.files) {
    for (const Piece& piece : file.pieces) {
      Range& range = tensors.try_emplace(piece.name, Saved{&piece, {piece.begin, piece.end}}).first->second.range;
      range = {std::min(range.begin, piece.begin), std::max(range.end, piece.end)};
    }
  }
  for (const auto& [name, saved] : tensors) {
    const std::optional<Range> range = wanted_range(share_.wanted, *saved.piece);
    if (!range) continue;
    const int64_t begin = std::clamp(range->begin, saved.range.begin, saved.range.end);
    const int64_t end = std::clamp(range->end, saved.range.begin, saved.range.end);
    loaded_.state.tensors[name] = {torch::empty({end - begin}, saved.piece->dtype->type), saved.piece->shape, begin,
                                   end};
  }
}

bool CheckpointReader::is_needed(const Piece& piece) const {
  const auto found = loaded_.state.tensors.find(piece.name);
  if (found == loaded_.state.tensors.end()) return false;
  const Shard& shard = found->second;
  return piece.elements() == 0 || (piece.begin < shard.end && shard.begin < piece.end);
}

bool CheckpointReader::is_needed(const FileEntry& file) const {
  return !keep_ || !is_shard_name(file.name) ||
         std::any_of(file.pieces.begin(), file.pieces.end(), [this](const Piece& piece) { return is_needed(piece); });
}

void CheckpointReader::read_file(const FileEntry& file, bool hash) {
  if (share_.interrupted && share_.interrupted()) throw Interrupted("the loading of checkpoints was interrupted");
  try {
    const std::string bytes = fs_.read(checkpoint_ / file.name, file.bytes);
    if (bytes.size() != file.bytes) {
      return defect(file.name, fmt::format("{} bytes were read, the manifest lists {}", bytes.size(), file.bytes));
    }
    const std::string sha256 = hash ? sha256_bytes(bytes) : file.sha256;
    if (sha256 != file.sha256) {
      return defect(file.name, fmt::format("its SHA-256 is {}, the manifest lists {}", sha256, file.sha256));
    }
    if (depth_ == Depth::kData && is_needed(file)) use(file, bytes);
  } catch (const DiskError& error) {
    defect(file.name, error.what());
  } catch (const Hdf5Error& error) {
    defect(file.name, error.what());
  } catch (const DataError& error) {
    defect(file.name, error.what());
  }
}

void CheckpointReader::use(const FileEntry& file, std::string_view bytes) {
  if (file.name == kExtraName) {
    loaded_.state.extra = parse_json(bytes);
  } else if (is_shard_name(file.name)) {
    read_tensors(file, bytes);
  } else if (keep_) {
    loaded_.state.files[file.name] = bytes;
  }
}

// Reads a piece directly into its target when the whole piece is wanted, and through a copy when only a part is.
void CheckpointReader::read_tensors(const FileEntry& file, std::string_view bytes) {
  struct Part {
    torch::Tensor target, source;
  };
  std::vector<PieceData> items;
  std::vector<Part> parts;
  for (const Piece& piece : file.pieces) {
    items.push_back({piece, {}});
    if (!keep_ || !is_needed(piece)) continue;
    const Shard& shard = loaded_.state.tensors.at(piece.name);
    const int64_t begin = std::clamp(piece.begin, shard.begin, shard.end);
    const int64_t end = std::clamp(piece.end, shard.begin, shard.end);
    const torch::Tensor target = shard.data.slice(0, begin - shard.begin, end - shard.begin);
    torch::Tensor& data = items.back().data;
    if (end - begin == piece.elements()) {
      data = target;
    } else {
      data = torch::empty({piece.elements()}, target.options());
      parts.push_back({target, data.slice(0, begin - piece.begin, end - piece.begin)});
    }
  }
  read_shard(bytes, items);
  for (const Part& part : parts) part.target.copy_(part.source);
}

std::vector<int> hashing_ranks(const std::vector<FileEntry>& files, int ranks) {
  uint64_t total = 0;
  for (const FileEntry& file : files) total += file.bytes;
  std::vector<int> hashers;
  uint64_t before = 0;
  for (const FileEntry& file : files) {
    const double middle = static_cast<double>(before) + static_cast<double>(file.bytes) / 2;
    const double share = total == 0 ? 0 : middle / static_cast<double>(total);
    hashers.push_back(std::min(static_cast<int>(share * ranks), ranks - 1));
    before += file.bytes;
  }
  return hashers;
}

std::vector<std::string> check_checkpoint(FileSystem& fs, const FileSystem::Path& checkpoint, Depth depth,
                                          Store::Loaded* loaded) {
  CheckpointReader reader(fs, checkpoint, depth, loaded != nullptr);
  std::vector<std::string> defects = reader.read_own();
  if (loaded != nullptr && defects.empty()) *loaded = reader.take();
  return defects;
}

std::string defect_summary(const std::vector<std::string>& defects) {
  const size_t shown = std::min(defects.size(), kShownDefects);
  std::string text = fmt::format("{}", fmt::join(defects.begin(), defects.begin() + static_cast<long>(shown), "; "));
  if (shown < defects.size()) text += fmt::format("; and {} more", defects.size() - shown);
  return text;
}

}  // namespace terse::checkpoints
