// Preloaded: a file system that cannot sync folders (NO_FOLDER_SYNC: SMB shares, some FUSE mounts), that tells no free
// space (NO_FREE_SPACE), or on which the quota is used up for records, of which it tells when they are synced, as long
// as a file exists (QUOTA_WHILE: its path).
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

// Records are all that is synced in this way.
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
