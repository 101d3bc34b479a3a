// One shard file: an HDF5 file whose root group holds one flat dataset per tensor piece, built and parsed in memory.
//
// HDF5 never touches the disk here. Our own I/O writes the finished image, because a full disk inside H5Fclose leaves
// HDF5 in a state that crashes when the program exits; and images are parsed from the very bytes whose hash was
// checked. Datasets are chunked with Fletcher32 and the newest metadata format, whose structures carry checksums too.
// Nothing in an image depends on the time.
#pragma once

#include <torch/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "checkpoints/dtype.h"
#include "checkpoints/shard_image.h"

namespace terse::checkpoints {

// Elements [begin, end) of the flattened tensor `name` of shape `shape`.
struct Piece {
  std::string name;
  const DtypeInfo* dtype = nullptr;
  std::vector<int64_t> shape;
  int64_t begin = 0;
  int64_t end = 0;

  int64_t elements() const { return end - begin; }
  uint64_t bytes() const { return static_cast<uint64_t>(elements()) * static_cast<uint64_t>(dtype->bytes); }
};

struct PieceData {
  Piece piece;
  torch::Tensor data;
};

// Room to plan per piece beyond its bytes: object header, attributes, chunk index.
constexpr uint64_t kPieceOverhead = 1024;

// Pieces with different names; each `data` holds the piece's elements, on any device, with any strides. Throws
// Hdf5Error (out of memory).
ShardImage build_shard(const std::vector<PieceData>& pieces);

// Fills each `data` (flat, contiguous, on the CPU, of the piece's dtype and size; undefined: the piece is read and
// dropped). Throws Hdf5Error naming the dataset when the image is damaged or differs from the pieces in any way, or
// holds anything that a shard never holds: links, external storage, virtual datasets, other filters, unallocated
// chunks. The image is not modified.
void read_shard(std::string_view image, const std::vector<PieceData>& pieces);

}  // namespace terse::checkpoints
