// A library for LD_PRELOAD that imitates unusual file systems, as environment variables choose:
//   NO_FOLDER_SYNC   folders cannot be synced (SMB shares, some FUSE mounts)
//   NO_FREE_SPACE    the free space is unknown
//   QUOTA_WHILE      the path of a file; while it exists, a sync of records fails because the quota is used up
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

int fsync(int fd) {
  struct stat info;
  if (getenv("NO_FOLDER_SYNC") && fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) {
    errno = EINVAL;
    return -1;
  }
  return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}

// terse calls fdatasync only for the record files of a run, such as metrics.jsonl.
int fdatasync(int fd) {
  const char* quota = getenv("QUOTA_WHILE");
  if (quota && access(quota, F_OK) == 0) {
    errno = EDQUOT;
    return -1;
  }
  return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}

int statvfs(const char* path, struct statvfs* out) {
  const int result = ((int (*)(const char*, struct statvfs*))dlsym(RTLD_NEXT, "statvfs"))(path, out);
  if (getenv("NO_FREE_SPACE")) out->f_blocks = out->f_bfree = out->f_bavail = 0;
  return result;
}
