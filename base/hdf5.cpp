// Switches off unwanted features of HDF5, and walks its error stack.
#include "base/hdf5.h"

#include <fmt/format.h>

#include <mutex>

namespace terse {

namespace {

// H5Ewalk2 calls this from the outermost error to the innermost one. The innermost error is the actual cause, so the
// last call wins.
herr_t keep_latest(unsigned, const H5E_error2_t* error, void* text) {
  *static_cast<std::string*>(text) = error->desc != nullptr ? error->desc : "";
  return 0;
}

}  // namespace

void prepare_hdf5() {
  static std::once_flag once;
  std::call_once(once, [] {
    H5dont_atexit();
    H5PLset_loading_state(0);
  });
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

std::string hdf5_error() {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, keep_latest, &text);
  return text.empty() ? "HDF5 reported no reason" : text;
}

void hdf5_fail(const std::string& what) {
  throw Hdf5Error(fmt::format("cannot {}: {}", what, hdf5_error()));
}

}  // namespace terse
