// The functions of NCCL, loaded at run time from the copy that LibTorch uses. Only nccl_*.cpp include this header, and
// only in a build that has nccl.h.
#pragma once

#include <nccl.h>

namespace terse::trainer {

struct NcclLibrary {
  decltype(&ncclGetVersion) get_version;
  decltype(&ncclGetUniqueId) get_unique_id;
  decltype(&ncclCommInitRankConfig) comm_init;
  decltype(&ncclCommGetAsyncError) comm_state;
  decltype(&ncclCommAbort) comm_abort;
  decltype(&ncclGetErrorString) error_string;
  decltype(&ncclGetLastError) last_error;
  decltype(&ncclGroupStart) group_start;
  decltype(&ncclGroupEnd) group_end;
  decltype(&ncclAllReduce) all_reduce;
  decltype(&ncclAllGather) all_gather;
  decltype(&ncclReduceScatter) reduce_scatter;
  decltype(&ncclBroadcast) broadcast;
  decltype(&ncclReduce) reduce;
  decltype(&ncclSend) send;
  decltype(&ncclRecv) receive;
};

// Loads NCCL at the first call. Throws MachineError when it is missing, lacks a function, or is older than the header
// that this program was compiled with.
const NcclLibrary& nccl();

}  // namespace terse::trainer
