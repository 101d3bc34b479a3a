// Keeps the wanted pieces of the files that were used last, because neighbouring tensors are in the same file.
#include "checkpoints/streaming/tensor_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "base/errors.h"
#include "base/sha256.h"
#include "checkpoints/folder.h"

namespace terse::checkpoints {

namespace {

// Ranks share the tensors of a layer, so a layer may be in several files.
constexpr size_t kFilesInMemory = 4;

}  // namespace

TensorReader::TensorReader(std::shared_ptr<FileSystem> fs, FileSystem::Path checkpoint,
                           const std::function<bool(const std::string&)>& wanted)
    : fs_(std::move(fs)), checkpoint_(std::move(checkpoint)) {
  try {
    manifest_ = read_manifest(*fs_, checkpoint_);
  } catch (const DataError& error) {
    throw DataError(fmt::format("checkpoint {}: {}", checkpoint_.string(), error.what()));
  }
  for (size_t file = 0; file < manifest_.files.size(); ++file) {
    const std::vector<Piece>& pieces = manifest_.files[file].pieces;
    for (size_t piece = 0; piece < pieces.size(); ++piece)
      if (wanted(pieces[piece].name)) places_[pieces[piece].name].push_back({file, piece});
  }
}

torch::Tensor TensorReader::read(const std::string& name, int64_t begin, int64_t end) {
  const auto found = places_.find(name);
  if (found == places_.end()) throw std::out_of_range(fmt::format("no tensor {} is read", name));
  torch::Tensor result;
  int64_t copied = 0;
  for (const Place& place : found->second) {
    const Piece& piece = manifest_.files[place.file].pieces[place.piece];
    if (!result.defined()) result = torch::empty({end - begin}, piece.dtype->type);
    const int64_t first = std::max(begin, piece.begin), last = std::min(end, piece.end);
    if (first >= last) continue;
    const torch::Tensor& data = content(place.file).pieces[place.piece];
    result.slice(0, first - begin, last - begin).copy_(data.slice(0, first - piece.begin, last - piece.begin));
    copied += last - first;
  }
  if (begin < 0 || copied != end - begin) {
    throw std::out_of_range(fmt::format("tensor {} has no elements {} to {}", name, begin, end));
  }
  return result;
}

const TensorReader::Content& TensorReader::content(size_t file) {
  const auto found =
      std::find_if(contents_.begin(), contents_.end(), [&](const Content& kept) { return kept.file == file; });
  if (found != contents_.end()) {
    contents_.splice(contents_.begin(), contents_, found);
  } else {
    if (contents_.size() == kFilesInMemory) contents_.pop_back();
    contents_.push_front(load(file));
  }
  return contents_.front();
}

TensorReader::Content TensorReader::load(size_t file) const {
  const FileEntry& entry = manifest_.files[file];
  const auto fail = [&](const std::string& what) {
    throw DataError(fmt::format("checkpoint {}: {}: {}", checkpoint_.string(), entry.name, what));
  };
  const std::string bytes = fs_->read(checkpoint_ / entry.name, entry.bytes);
  if (const std::string sha256 = sha256_bytes(bytes); sha256 != entry.sha256) {
    fail(fmt::format("its SHA-256 is {}, the manifest lists {}", sha256, entry.sha256));
  }
  Content content{file, {}};
  std::vector<PieceData> items;
  for (const Piece& piece : entry.pieces) {
    const bool wanted = places_.contains(piece.name);
    content.pieces.push_back(wanted ? torch::empty({piece.elements()}, piece.dtype->type) : torch::Tensor());
    items.push_back({piece, content.pieces.back()});
  }
  try {
    read_shard(bytes, items);
  } catch (const Hdf5Error& error) {
    fail(error.what());
  }
  return content;
}

}  // namespace terse::checkpoints
