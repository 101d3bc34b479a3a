// Reads the properties of links, attributes and datasets, and checks them before it reads any content.
#include "data/store/hdf5_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/errors.h"
#include "data/store/hdf5_writer.h"

namespace terse::data {

namespace {

constexpr hsize_t kMaxChunk = 1 << 20;  // elements; a single read allocates a whole chunk

herr_t note_link(hid_t, const char* name, const H5L_info_t* info, void* found) {
  static_cast<std::vector<std::pair<std::string, H5L_type_t>>*>(found)->emplace_back(name, info->type);
  return 0;
}

}  // namespace

Hdf5Reader::Hdf5Reader(const std::filesystem::path& path, const std::set<std::string>& datasets)
    : path_(path.string()) {
  prepare_hdf5();
  file_bytes_ = static_cast<int64_t>(std::filesystem::file_size(path));
  // Selects the plain file driver, whatever the driver block of the file requests.
  const Hdf5Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fapl_sec2(access);
  H5Pset_file_locking(access, false, true);  // Files never change under their names, and some disks cannot lock.
  file_ = Hdf5Handle(H5Fopen(path_.c_str(), H5F_ACC_RDONLY, access), H5Fclose);
  if (file_ < 0) fail("damaged or truncated: " + hdf5_error());
  check_links(datasets);
}

void Hdf5Reader::fail(const std::string& message) const {
  throw DataError(path_ + ": " + message);
}

void Hdf5Reader::check_links(const std::set<std::string>& datasets) const {
  std::vector<std::pair<std::string, H5L_type_t>> found;
  if (H5Literate(file_, H5_INDEX_NAME, H5_ITER_INC, nullptr, note_link, &found) < 0) {
    fail("cannot list its datasets: " + hdf5_error());
  }
  for (const auto& [name, type] : found) {
    if (type != H5L_TYPE_HARD) {
      fail(fmt::format("'{}' is {}, which a token store must not contain", name,
                       type == H5L_TYPE_EXTERNAL ? "an external link"
                       : type == H5L_TYPE_SOFT   ? "a soft link"
                                                 : "a user-defined link"));
    }
    if (!datasets.contains(name)) fail(fmt::format("unknown object '{}'", name));
  }
  for (const std::string& name : datasets) {
    if (std::none_of(found.begin(), found.end(), [&](const auto& link) { return link.first == name; })) {
      fail(fmt::format("dataset '{}' is missing", name));
    }
  }
}

bool Hdf5Reader::has(const char* name) const {
  return H5Aexists(file_, name) > 0;
}

Hdf5Handle Hdf5Reader::attribute(const char* name) const {
  if (!has(name)) fail(fmt::format("attribute '{}' is missing", name));
  Hdf5Handle handle(H5Aopen(file_, name, H5P_DEFAULT), H5Aclose);
  if (handle < 0) fail(fmt::format("cannot open attribute '{}': {}", name, hdf5_error()));
  const Hdf5Handle space(H5Aget_space(handle), H5Sclose);
  if (H5Sget_simple_extent_type(space) != H5S_SCALAR) fail(fmt::format("attribute '{}' is not a single value", name));
  return handle;
}

int64_t Hdf5Reader::integer(const char* name) const {
  const Hdf5Handle handle = attribute(name);
  const Hdf5Handle type(H5Aget_type(handle), H5Tclose);
  if (H5Tequal(type, H5T_STD_I64LE) <= 0) fail(fmt::format("attribute '{}' is not a 64-bit integer", name));
  int64_t value = 0;
  if (H5Aread(handle, H5T_NATIVE_INT64, &value) < 0)
    fail(fmt::format("cannot read attribute '{}': {}", name, hdf5_error()));
  return value;
}

std::string Hdf5Reader::text(const char* name) const {
  const Hdf5Handle handle = attribute(name);
  const Hdf5Handle type(H5Aget_type(handle), H5Tclose);
  if (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) != 0) {
    fail(fmt::format("attribute '{}' is not a string of fixed length", name));
  }
  const auto size = static_cast<int64_t>(H5Tget_size(type));
  if (size > std::min(kMaxTextAttribute, file_bytes_))
    fail(fmt::format("attribute '{}' has {} bytes, expected at most {}", name, size,
                     std::min(kMaxTextAttribute, file_bytes_)));
  std::string value(static_cast<size_t>(size), '\0');
  if (H5Aread(handle, type, value.data()) < 0) fail(fmt::format("cannot read attribute '{}': {}", name, hdf5_error()));
  value.resize(value.find_last_not_of('\0') + 1);
  return value;
}

Hdf5Reader::Dataset Hdf5Reader::dataset(const char* name, const std::vector<hid_t>& types) const {
  const auto refuse = [&](const std::string& message) { fail(fmt::format("dataset '{}' {}", name, message)); };
  const Hdf5Handle access(H5Pcreate(H5P_DATASET_ACCESS), H5Pclose);
  H5Pset_chunk_cache(access, 1021, size_t{16} << 20, 0.75);
  Hdf5Handle handle(H5Dopen2(file_, name, access), H5Dclose);
  if (handle < 0) refuse("cannot be opened: " + hdf5_error());

  const Hdf5Handle type(H5Dget_type(handle), H5Tclose);
  const auto is_type = [&](hid_t wanted) { return H5Tequal(type, wanted) > 0; };
  if (std::none_of(types.begin(), types.end(), is_type)) refuse("has the wrong element type");
  const Hdf5Handle space(H5Dget_space(handle), H5Sclose);
  if (H5Sget_simple_extent_ndims(space) != 1) refuse("is not one-dimensional");

  const Hdf5Handle layout(H5Dget_create_plist(handle), H5Pclose);
  if (H5Pget_layout(layout) != H5D_CHUNKED)
    refuse("is not stored in chunks (external and virtual storage are refused)");
  hsize_t chunk = 0;
  if (H5Pget_external_count(layout) != 0) refuse("refers to an external file");
  if (H5Pget_chunk(layout, 1, &chunk) != 1 || chunk < 1 || chunk > kMaxChunk)
    refuse(fmt::format("has chunks of {} elements, expected 1 to {}", chunk, kMaxChunk));
  unsigned flags = 0;
  size_t values = 0;
  if (H5Pget_nfilters(layout) != 1 ||
      H5Pget_filter2(layout, 0, &flags, &values, nullptr, 0, nullptr, nullptr) != H5Z_FILTER_FLETCHER32) {
    refuse("must have Fletcher32 as its only filter");
  }

  Dataset result{std::move(handle), name, H5Sget_simple_extent_npoints(space), static_cast<int64_t>(H5Tget_size(type))};
  // Before any memory is allocated, the declared size must fit into the file, and the file must hold all chunks. HDF5
  // would read an absent chunk as zeros.
  if (result.size < 0 || result.size > file_bytes_ / result.width) {
    refuse(fmt::format("declares {} elements of {} bytes, but the file has {} bytes", result.size, result.width,
                       file_bytes_));
  }
  const int64_t chunk_bytes = static_cast<int64_t>(chunk) * result.width + 4;  // with its checksum
  const int64_t expected = (result.size + static_cast<int64_t>(chunk) - 1) / static_cast<int64_t>(chunk) * chunk_bytes;
  const auto stored = static_cast<int64_t>(H5Dget_storage_size(result.handle));
  if (stored != expected)
    refuse(fmt::format("has {} bytes of chunks, but its {} elements need {}", stored, result.size, expected));
  return result;
}

void Hdf5Reader::read(const Dataset& dataset, int64_t begin, int64_t count, void* out) const {
  if (count == 0) return;
  prepare_hdf5();  // this may be another thread than the one that opened the file
  const hsize_t start = static_cast<hsize_t>(begin);
  const hsize_t length = static_cast<hsize_t>(count);
  const Hdf5Handle type(H5Dget_type(dataset.handle), H5Tclose);
  const Hdf5Handle from(H5Dget_space(dataset.handle), H5Sclose);
  const Hdf5Handle to(H5Screate_simple(1, &length, nullptr), H5Sclose);
  if (H5Sselect_hyperslab(from, H5S_SELECT_SET, &start, nullptr, &length, nullptr) < 0 ||
      H5Dread(dataset.handle, type, to, from, H5P_DEFAULT, out) < 0) {
    fail(fmt::format("dataset '{}' is damaged in elements {} to {}: {}", dataset.name, begin, begin + count,
                     hdf5_error()));
  }
}

}  // namespace terse::data
