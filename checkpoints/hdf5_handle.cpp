// Silence and error texts of HDF5.
#include "checkpoints/hdf5_handle.h"

#include <fmt/format.h>

namespace terse::checkpoints {

namespace {

// Takes the innermost entry of the error stack: what really went wrong.
herr_t take_first(unsigned depth, const H5E_error2_t* entry, void* text) {
  if (depth == 0 && entry->desc != nullptr) *static_cast<std::string*>(text) = entry->desc;
  return 0;
}

}  // namespace

QuietHdf5::QuietHdf5() {
  H5PLset_loading_state(0);
  H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

QuietHdf5::~QuietHdf5() {
  H5Eset_auto2(H5E_DEFAULT, function_, data_);
}

void hdf5_fail(const std::string& what) {
  std::string reason;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_first, &reason);
  throw Hdf5Error(fmt::format("cannot {}: {}", what, reason.empty() ? "HDF5 gives no reason" : reason));
}

}  // namespace terse::checkpoints
