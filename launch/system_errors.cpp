// The numbers are grouped by what the user can do about them.
#include "launch/system_errors.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "launch/exit_codes.h"

namespace terse::launch {
namespace {

constexpr const char* kMemory =
    "To use less memory, lower engine.max_batch, micro_batch of the stage or rl.prompt_sharing, or set "
    "model.activation_checkpointing=true.";
constexpr const char* kLimits =
    "A limit on memory, processes or threads was reached: see `ulimit -v` and `ulimit -u`, or lower run.threads.";
constexpr const char* kFull = "The disk is full. Free some space, then run the same command again.";
constexpr const char* kPermissions = "Check the permissions of the file and of the folders above it.";
constexpr const char* kGone = "A file or folder is missing or has been replaced. Check the path.";
constexpr const char* kFiles = "Too many files are open. Raise the limit (`ulimit -n 4096`).";
constexpr const char* kDevice =
    "The disk or its connection has failed. When it works again, the same command continues from the newest "
    "checkpoint.";
constexpr const char* kUnsupported =
    "The file system does not support this operation. Choose another folder, for example with --run-dir.";

constexpr std::array kTable = {
    SystemError{ENOMEM, kOutOfMemory, kMemory},
    SystemError{EAGAIN, kOutOfMemory, kLimits},
    SystemError{EMFILE, kOutOfMemory, kFiles},
    SystemError{ENFILE, kOutOfMemory, kFiles},
    SystemError{ENOSPC, kDisk, kFull},
    SystemError{EDQUOT, kDisk, kFull},
    SystemError{EFBIG, kDisk, "A file exceeds the size limit: see `ulimit -f`, and the limits of the file system."},
    SystemError{EROFS, kDisk, "The file system is read-only. Choose another folder, for example with --run-dir."},
    SystemError{EIO, kDisk, kDevice},
    SystemError{ENXIO, kDisk, kDevice},
    SystemError{ENODEV, kDisk, kDevice},
    SystemError{ESTALE, kDisk, kDevice},
    SystemError{ETIMEDOUT, kDisk, kDevice},
    SystemError{EHOSTDOWN, kDisk, kDevice},
    SystemError{ENOTCONN, kDisk, kDevice},
    SystemError{EACCES, kDisk, kPermissions},
    SystemError{EPERM, kDisk, kPermissions},
    SystemError{ENOENT, kDisk, kGone},
    SystemError{ENOTDIR, kDisk, kGone},
    SystemError{EISDIR, kDisk, kGone},
    SystemError{EEXIST, kDisk, "The file or folder exists already. Remove it, or choose another name."},
    SystemError{ENOTEMPTY, kDisk,
                "Another program writes into this folder. End that program, then run the same command again."},
    SystemError{EBUSY, kDisk,
                "Another program uses this file or folder. End that program, then run the same command again."},
    SystemError{ETXTBSY, kDisk,
                "Another program uses this file or folder. End that program, then run the same command again."},
    SystemError{ELOOP, kDisk, "The symbolic links in the path form a loop. Correct them."},
    SystemError{ENAMETOOLONG, kDisk, "The path is too long for this file system. Choose a shorter one."},
    SystemError{EXDEV, kDisk, kUnsupported},
    SystemError{EMLINK, kDisk, kUnsupported},
    SystemError{ENOLCK, kDisk, kUnsupported},
    SystemError{EOPNOTSUPP, kDisk, kUnsupported},
    SystemError{ENOSYS, kDisk, kUnsupported},
    SystemError{EINVAL, kDisk, kUnsupported, /*only_of_files=*/true},
    // prepare_process() (launch/startup.h) opens closed standard descriptors, so a bad descriptor is a bug in terse.
    SystemError{EBADF, kBug, ""},
};

}  // namespace

std::span<const SystemError> system_errors() {
  return kTable;
}

SystemError system_error(int number, bool of_file) {
  const auto found =
      std::find_if(kTable.begin(), kTable.end(), [&](const SystemError& e) { return e.number == number; });
  if (found == kTable.end()) return {number, of_file ? kDisk : kBug, ""};
  if (found->only_of_files && !of_file) return {number, kBug, ""};
  return *found;
}

}  // namespace terse::launch
