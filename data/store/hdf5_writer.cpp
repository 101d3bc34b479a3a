// Writes the latest file format with one-dimensional chunked datasets, and throws every failure as DiskError.
#include "data/store/hdf5_writer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/errors.h"

namespace terse::data {

Hdf5Writer::Hdf5Writer(const std::filesystem::path& path) : path_(path.string()) {
  prepare_hdf5();
  // The latest format has a checksum on every piece of metadata.
  const Hdf5Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_file_locking(access, false, true);
  H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
  file_ = Hdf5Handle(H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access), H5Fclose);
  expect(file_ >= 0, "create the file");
}

void Hdf5Writer::expect(bool ok, const std::string& what) const {
  if (!ok) throw DiskError(fmt::format("cannot {} {}: {}", what, path_, hdf5_error()));
}

void Hdf5Writer::integer(const char* name, int64_t value) {
  const Hdf5Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Hdf5Handle handle(H5Acreate2(file_, name, H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  expect(handle >= 0 && H5Awrite(handle, H5T_NATIVE_INT64, &value) >= 0, "write an attribute of");
}

void Hdf5Writer::text(const char* name, const std::string& value) {
  if (static_cast<int64_t>(value.size()) > kMaxTextAttribute) {
    throw std::invalid_argument(fmt::format("attribute '{}' of {} bytes is too long", name, value.size()));
  }
  const Hdf5Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type, std::max<size_t>(value.size(), 1));
  H5Tset_strpad(type, H5T_STR_NULLPAD);
  H5Tset_cset(type, H5T_CSET_UTF8);
  const Hdf5Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Hdf5Handle handle(H5Acreate2(file_, name, type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  expect(handle >= 0 && H5Awrite(handle, type, value.c_str()) >= 0, "write an attribute of");
}

Hdf5Handle Hdf5Writer::dataset(const char* name, hid_t type, hsize_t chunk) {
  const hsize_t none = 0;
  const hsize_t unlimited = H5S_UNLIMITED;
  const Hdf5Handle space(H5Screate_simple(1, &none, &unlimited), H5Sclose);
  const Hdf5Handle layout(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_chunk(layout, 1, &chunk);
  H5Pset_fletcher32(layout);
  Hdf5Handle handle(H5Dcreate2(file_, name, type, space, H5P_DEFAULT, layout, H5P_DEFAULT), H5Dclose);
  expect(handle >= 0, "create a dataset in");
  return handle;
}

void Hdf5Writer::append(const Hdf5Handle& dataset, hid_t type, int64_t count, const void* elements) {
  if (count == 0) return;
  const Hdf5Handle old_space(H5Dget_space(dataset), H5Sclose);
  const auto start = static_cast<hsize_t>(H5Sget_simple_extent_npoints(old_space));
  const auto length = static_cast<hsize_t>(count);
  const hsize_t end = start + length;
  expect(H5Dset_extent(dataset, &end) >= 0, "extend a dataset in");
  const Hdf5Handle to(H5Dget_space(dataset), H5Sclose);
  const Hdf5Handle from(H5Screate_simple(1, &length, nullptr), H5Sclose);
  expect(H5Sselect_hyperslab(to, H5S_SELECT_SET, &start, nullptr, &length, nullptr) >= 0 &&
             H5Dwrite(dataset, type, from, to, H5P_DEFAULT, elements) >= 0,
         "write");
}

void Hdf5Writer::close() {
  expect(H5Fflush(file_, H5F_SCOPE_GLOBAL) >= 0, "write");
  expect(file_.close() >= 0, "close");
}

}  // namespace terse::data
