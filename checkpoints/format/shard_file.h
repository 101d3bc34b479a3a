// One shard file: an HDF5 file whose root group holds one flat dataset per tensor piece. It is built and parsed in
// memory.
//
// HDF5 never touches the disk here, for two reasons. A full disk inside H5Fclose leaves HDF5 in a state that crashes
// when the program exits, so our own I/O writes the finished image. And an image is parsed from the very bytes whose
// hash was checked. Datasets are chunked with Fletcher32, and use the newest metadata format, whose structures have
// checksums too. An image does not depend on the time.
#pragma once

#include <torch/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "checkpoints/format/dtype.h"
#include "checkpoints/format/shard_image.h"

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

// Space to plan per piece beyond its bytes: object header, attributes, chunk index.
constexpr uint64_t kPieceOverhead = 1024;

// Builds an image of pieces with different names. Each `data` holds the piece's elements, on any device, with any
// strides. Throws Hdf5Error (out of memory).
ShardImage build_shard(const std::vector<PieceData>& pieces);

// Fills each `data`. A `data` must be flat, contiguous, on the CPU, and of the piece's dtype and size; when it is
// undefined, the piece is read and discarded. Throws Hdf5Error, which names the dataset, when the image is damaged or
// differs from the pieces in any way. It also throws for anything that a shard never holds: links, external storage,
// virtual datasets, other filters, unallocated chunks. The image is not modified.
void read_shard(std::string_view image, const std::vector<PieceData>& pieces);

}  // namespace terse::checkpoints
