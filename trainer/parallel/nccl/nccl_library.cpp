// Loads NCCL with dlopen, so that this program also starts where NCCL is missing. In a build without nccl.h only
// gpu_identity() is left, and reports that.
#if TERSE_WITH_NCCL
#include "trainer/parallel/nccl/nccl_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include "base/errors.h"
#endif

#include "trainer/parallel/collectives/backends.h"

namespace terse::trainer {

#if TERSE_WITH_NCCL

namespace {

template <typename F>
void find(void* library, F& function, const char* name) {
  function = reinterpret_cast<F>(dlsym(library, name));
  if (function == nullptr) throw MachineError(fmt::format("the NCCL library that was found has no function {}", name));
}

NcclLibrary load() {
  void* library = dlopen(TERSE_NCCL_LIB, RTLD_NOW);
  if (library == nullptr) library = dlopen("libnccl.so.2", RTLD_NOW);
  if (library == nullptr) throw MachineError(fmt::format("cannot load NCCL: {}", dlerror()));
  NcclLibrary found;
  find(library, found.get_version, "ncclGetVersion");
  int version = 0;
  if (found.get_version(&version) != ncclSuccess || version < NCCL_VERSION_CODE)
    throw MachineError(
        fmt::format("the NCCL library that was found has version {}, but this program needs version {} or newer",
                    version, NCCL_VERSION_CODE));
  find(library, found.get_unique_id, "ncclGetUniqueId");
  find(library, found.comm_init, "ncclCommInitRankConfig");
  find(library, found.comm_state, "ncclCommGetAsyncError");
  find(library, found.comm_abort, "ncclCommAbort");
  find(library, found.error_string, "ncclGetErrorString");
  find(library, found.last_error, "ncclGetLastError");
  find(library, found.group_start, "ncclGroupStart");
  find(library, found.group_end, "ncclGroupEnd");
  find(library, found.all_reduce, "ncclAllReduce");
  find(library, found.all_gather, "ncclAllGather");
  find(library, found.reduce_scatter, "ncclReduceScatter");
  find(library, found.broadcast, "ncclBroadcast");
  find(library, found.reduce, "ncclReduce");
  find(library, found.send, "ncclSend");
  find(library, found.receive, "ncclRecv");
  return found;
}

}  // namespace

const NcclLibrary& nccl() {
  static const NcclLibrary library = load();
  return library;
}

GpuIdentity gpu_identity(torch::Device device) {
  GpuIdentity identity;
  try {
    nccl();
  } catch (const MachineError& error) {
    identity.problem = error.what();
    return identity;
  }
  // The UUID comes from the driver, which is loaded already. A device index would not do, because the same index may
  // mean different GPUs in different processes (CUDA_VISIBLE_DEVICES).
  void* driver = dlopen("libcuda.so.1", RTLD_NOW);
  const auto get = driver ? reinterpret_cast<int (*)(int*, int)>(dlsym(driver, "cuDeviceGet")) : nullptr;
  const auto get_uuid = driver ? reinterpret_cast<int (*)(char*, int)>(dlsym(driver, "cuDeviceGetUuid_v2")) : nullptr;
  int gpu = 0;
  identity.uuid.resize(16);
  if (get == nullptr || get_uuid == nullptr || get(&gpu, device.index()) != 0 ||
      get_uuid(identity.uuid.data(), gpu) != 0)
    identity.problem = fmt::format("the NVIDIA driver does not return the UUID of {}", device.str());
  return identity;
}

#else

GpuIdentity gpu_identity(torch::Device) {
  return {.problem = "this program was built without NCCL"};
}

#endif

}  // namespace terse::trainer
