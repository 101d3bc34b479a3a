// Writes shard files, and reads them strictly: every property of a dataset is checked before its elements are read.
#include "checkpoints/format/shard_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace terse::checkpoints {

namespace {

static_assert(std::endian::native == std::endian::little, "elements are copied to and from the file as they are");

constexpr uint64_t kChunkBytes = 1 << 20;  // what one Fletcher32 sum covers; one chunk fills HDF5's chunk cache
constexpr char kDtypeAttribute[] = "dtype";

hid_t stored_type(Storage storage) {
  switch (storage) {
    case Storage::kU8:
      return H5T_STD_U8LE;
    case Storage::kI8:
      return H5T_STD_I8LE;
    case Storage::kI16:
      return H5T_STD_I16LE;
    case Storage::kU16:
      return H5T_STD_U16LE;
    case Storage::kI32:
      return H5T_STD_I32LE;
    case Storage::kI64:
      return H5T_STD_I64LE;
    case Storage::kF32:
      return H5T_IEEE_F32LE;
    case Storage::kF64:
      return H5T_IEEE_F64LE;
  }
  throw std::logic_error("unknown storage type");
}

// A tensor name may contain "/", which HDF5 reads as a path. It may be ".", which HDF5 reads as the group itself.
std::string link_name(const std::string& name) {
  if (name == ".") return "%2E";
  std::string escaped;
  for (const char c : name) {
    if (c == '/') {
      escaped += "%2F";
    } else if (c == '%') {
      escaped += "%25";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

void add_attribute(hid_t dataset, const char* name, hid_t type, const Hdf5Handle& space, const void* value) {
  const Hdf5Handle attribute(H5Acreate2(dataset, name, type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose,
                             "add an attribute");
  hdf5_check(H5Awrite(attribute, type, value), "write an attribute");
}

// Loading relies on the manifest alone. These attributes let other programs read a shard without it.
void describe_piece(hid_t dataset, const Piece& piece) {
  const Hdf5Handle scalar(H5Screate(H5S_SCALAR), H5Sclose, "create a scalar dataspace");
  const Hdf5Handle text(H5Tcopy(H5T_C_S1), H5Tclose, "create a string datatype");
  hdf5_check(H5Tset_size(text, piece.dtype->name.size()), "create a string datatype");
  hdf5_check(H5Tset_strpad(text, H5T_STR_NULLPAD), "create a string datatype");
  add_attribute(dataset, kDtypeAttribute, text, scalar, piece.dtype->name.data());
  add_attribute(dataset, "begin", H5T_STD_I64LE, scalar, &piece.begin);
  if (piece.shape.empty()) return;
  const hsize_t dims = piece.shape.size();
  const Hdf5Handle vector(H5Screate_simple(1, &dims, nullptr), H5Sclose, "create a one-dimensional dataspace");
  add_attribute(dataset, "shape", H5T_STD_I64LE, vector, piece.shape.data());
}

Hdf5Handle dataset_layout(const Piece& piece) {
  Hdf5Handle layout(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "set up a dataset");
  hdf5_check(H5Pset_obj_track_times(layout, false), "set up a dataset");
  if (piece.elements() == 0) return layout;
  // The chunks have equal sizes, so that the last one is not mostly padding.
  const uint64_t chunks = (piece.bytes() + kChunkBytes - 1) / kChunkBytes;
  const auto elements = static_cast<uint64_t>(piece.elements());
  const hsize_t chunk = (elements + chunks - 1) / chunks;
  hdf5_check(H5Pset_chunk(layout, 1, &chunk), "set up a dataset");
  hdf5_check(H5Pset_fletcher32(layout), "set up a dataset");
  hdf5_check(H5Pset_fill_time(layout, H5D_FILL_TIME_NEVER), "set up a dataset");
  return layout;
}

void write_piece(hid_t file, const Piece& piece, const torch::Tensor& data) {
  const std::string what = "store tensor " + piece.name;
  const hsize_t elements = static_cast<hsize_t>(piece.elements());
  const Hdf5Handle space(H5Screate_simple(1, &elements, nullptr), H5Sclose, what);
  const Hdf5Handle layout = dataset_layout(piece);
  const hid_t type = stored_type(piece.dtype->storage);
  Hdf5Handle dataset(H5Dcreate2(file, link_name(piece.name).c_str(), type, space, H5P_DEFAULT, layout, H5P_DEFAULT),
                     H5Dclose, what);
  describe_piece(dataset, piece);
  if (elements > 0) {
    const torch::Tensor host = data.detach().resolve_neg().to(torch::kCPU).contiguous();
    hdf5_check(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, host.const_data_ptr()), what);
  }
  hdf5_check(dataset.close(), what);
}

void require(bool ok, const Piece& piece, const std::string& what) {
  if (!ok) throw Hdf5Error(fmt::format("dataset {}: {}", piece.name, what));
}

// Runs before every call that might make HDF5 read the data.
void check_storage(const Hdf5Handle& layout, const Piece& piece) {
  require(H5Pget_external_count(layout) == 0, piece, "its data is in an external file");
  const H5D_layout_t kind = H5Pget_layout(layout);
  if (piece.elements() == 0) {
    require(kind == H5D_CONTIGUOUS && H5Pget_nfilters(layout) == 0, piece, "its layout is not that of an empty tensor");
  } else {
    require(kind == H5D_CHUNKED, piece, "its layout is not chunked");
  }
}

void check_extent(hid_t dataset, const Piece& piece) {
  const Hdf5Handle space(H5Dget_space(dataset), H5Sclose, "read the size of dataset " + piece.name);
  hsize_t elements = 0;
  const bool flat = H5Sis_simple(space) > 0 && H5Sget_simple_extent_ndims(space) == 1 &&
                    H5Sget_simple_extent_dims(space, &elements, nullptr) == 1;
  require(flat && elements == static_cast<hsize_t>(piece.elements()), piece,
          fmt::format("it has {} elements, the manifest lists {}", elements, piece.elements()));
}

void check_chunks(hid_t dataset, const Hdf5Handle& layout, const Piece& piece) {
  if (piece.elements() == 0) return;
  unsigned flags = 0;
  size_t values = 0;
  const bool fletcher32 = H5Pget_nfilters(layout) == 1 && H5Pget_filter2(layout, 0, &flags, &values, nullptr, 0,
                                                                         nullptr, nullptr) == H5Z_FILTER_FLETCHER32;
  require(fletcher32, piece, "Fletcher32 is not its only filter");
  hsize_t chunk = 0;
  require(H5Pget_chunk(layout, 1, &chunk) == 1 && chunk >= 1 && chunk <= static_cast<hsize_t>(piece.elements()), piece,
          "its chunks do not match its size");
  // A few bytes of metadata can declare any size; data that was never stored would be read as zeros.
  require(H5Dget_storage_size(dataset) >= piece.bytes(), piece, "not all its elements are stored");
}

void check_dtype(hid_t dataset, const Piece& piece) {
  const Hdf5Handle type(H5Dget_type(dataset), H5Tclose, "read the type of dataset " + piece.name);
  require(H5Tequal(type, stored_type(piece.dtype->storage)) > 0, piece,
          fmt::format("its elements are not stored as {}", piece.dtype->name));
  const Hdf5Handle attribute(H5Aopen(dataset, kDtypeAttribute, H5P_DEFAULT), H5Aclose,
                             "read the dtype of dataset " + piece.name);
  const Hdf5Handle text(H5Aget_type(attribute), H5Tclose, "read the dtype of dataset " + piece.name);
  const Hdf5Handle space(H5Aget_space(attribute), H5Sclose, "read the dtype of dataset " + piece.name);
  const size_t size = piece.dtype->name.size();
  std::string value(size, '\0');
  const bool same = H5Tget_class(text) == H5T_STRING && H5Tis_variable_str(text) == 0 && H5Tget_size(text) == size &&
                    H5Sget_simple_extent_type(space) == H5S_SCALAR && H5Aread(attribute, text, value.data()) >= 0 &&
                    value == piece.dtype->name;
  require(same, piece, fmt::format("its dtype attribute is not {}", piece.dtype->name));
}

void read_piece(hid_t file, const Piece& piece, const torch::Tensor& data) {
  const std::string what = "read dataset " + piece.name;
  const std::string link = link_name(piece.name);
  H5L_info_t info;
  hdf5_check(H5Lget_info(file, link.c_str(), &info, H5P_DEFAULT), what);
  require(info.type == H5L_TYPE_HARD, piece, "it is a soft or external link, expected a dataset");
  const Hdf5Handle object(H5Oopen(file, link.c_str(), H5P_DEFAULT), H5Oclose, what);
  require(H5Iget_type(object) == H5I_DATASET, piece, "it is not a dataset");
  const Hdf5Handle layout(H5Dget_create_plist(object), H5Pclose, "read the layout of dataset " + piece.name);
  check_storage(layout, piece);
  check_extent(object, piece);
  check_chunks(object, layout, piece);
  check_dtype(object, piece);
  if (piece.elements() == 0) return;
  const torch::Tensor target = data.defined() ? data : torch::empty({piece.elements()}, piece.dtype->type);
  hdf5_check(H5Dread(object, stored_type(piece.dtype->storage), H5S_ALL, H5S_ALL, H5P_DEFAULT, target.data_ptr()),
             what);
  if (piece.dtype->type == torch::kBool) {
    const auto* bytes = static_cast<const uint8_t*>(target.const_data_ptr());
    require(std::all_of(bytes, bytes + piece.elements(), [](uint8_t byte) { return byte <= 1; }), piece,
            "it contains bytes other than 0 (false) and 1 (true)");
  }
}

}  // namespace

ShardImage build_shard(const std::vector<PieceData>& pieces) {
  prepare_hdf5();
  MemoryFile file;
  for (const PieceData& item : pieces) write_piece(file.id(), item.piece, item.data);
  return file.finish();
}

void read_shard(std::string_view image, const std::vector<PieceData>& pieces) {
  prepare_hdf5();
  const ReadOnlyImage file(image);
  H5G_info_t group;
  hdf5_check(H5Gget_info(file.id(), &group), "read its root group");
  if (group.nlinks != pieces.size()) {
    throw Hdf5Error(fmt::format("it contains {} objects, the manifest lists {}", group.nlinks, pieces.size()));
  }
  for (const PieceData& item : pieces) read_piece(file.id(), item.piece, item.data);
}

}  // namespace terse::checkpoints
