// Asks the loaded libraries for their versions where they report one. The other versions come from the headers and from
// CMake.
#include "launch/machine/libraries.h"

#include <fmt/format.h>
#include <hdf5.h>
#include <openssl/crypto.h>
#include <torch/version.h>

#include <CLI/Version.hpp>
#include <array>
#include <filesystem>
#include <sstream>

#include "launch/build_info.h"
#include "launch/machine/shared_library.h"

namespace terse::launch {
namespace {

std::string hdf5_version() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return fmt::format("{}.{}.{}", major, minor, release);
}

std::string openssl_version() {  // "OpenSSL 3.0.17 1 Jul 2025"
  std::istringstream text(OpenSSL_version(OPENSSL_VERSION));
  std::string name, version;
  text >> name >> version;
  return version;
}

Library find_mpi() {
  Library library{"MPI", "", "for runs on several processes; sudo apt-get install openmpi-bin libopenmpi3"};
  for (const char* name : {"libmpi.so.40", "libmpi.so.12", "libmpi.so"}) {
    const SharedLibrary mpi(name);
    // MPI allows this call before MPI_Init.
    auto* version = mpi.symbol<int(char*, int*)>("MPI_Get_library_version");
    if (version == nullptr) continue;
    std::array<char, 8192> text{};  // MPI_MAX_LIBRARY_VERSION_STRING of MPICH; Open MPI's is 256
    int length = 0;
    version(text.data(), &length);
    const std::string whole(text.data());
    library.version = whole.substr(0, whole.find_first_of(",\n"));
    library.note = name;
    break;
  }
  return library;
}

Library find_nccl() {
  Library library{"NCCL", "", "for runs on several GPUs; scripts/setup.sh --cuda installs it"};
  const std::string bundled =
      (std::filesystem::path(TERSE_TORCH_LIB) / "../../nvidia/nccl/lib/libnccl.so.2").lexically_normal();
  for (const std::string& name : {bundled, std::string("libnccl.so.2")}) {
    const SharedLibrary nccl(name.c_str());
    auto* get_version = nccl.symbol<int(int*)>("ncclGetVersion");
    int version = 0;
    if (get_version == nullptr || get_version(&version) != 0) continue;
    library.version = fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
    library.note = name;
    break;
  }
  return library;
}

}  // namespace

std::vector<Library> linked_libraries() {
  return {
      {"LibTorch", TORCH_VERSION, TERSE_TORCH_LIB},
      {"HDF5", hdf5_version(), ""},
      {"yaml-cpp", TERSE_YAML_CPP_VERSION, ""},
      {"fmt", fmt::format("{}.{}.{}", FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100), ""},
      {"nlohmann-json",
       fmt::format("{}.{}.{}", NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH),
       ""},
      {"CLI11", CLI11_VERSION, ""},
      {"OpenSSL", openssl_version(), ""}};
}

std::vector<Library> optional_libraries() {
  return {find_mpi(), find_nccl()};
}

nlohmann::json to_json(const std::vector<Library>& libraries) {
  nlohmann::json object = nlohmann::json::object();
  for (const Library& library : libraries)
    object[library.name] = library.version.empty() ? nlohmann::json() : nlohmann::json(library.version);
  return object;
}

Build build() {
  return {kBuildVersion, kBuildCommit, "GCC " __VERSION__, kBuildType, kBuildDirty};
}

std::string commit_text(const Build& build) {
  return build.dirty ? build.commit + "+changes" : build.commit;
}

}  // namespace terse::launch
