// Preloaded: a file system that cannot sync folders (NO_FOLDER_SYNC: SMB shares, some FUSE mounts), or that tells no free
// space (NO_FREE_SPACE).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

int fsync(int fd) {
  struct stat info;
  if (getenv("NO_FOLDER_SYNC") && fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) {
    errno = EINVAL;
    return -1;
  }
  return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}

int statvfs(const char* path, struct statvfs* out) {
  const int result = ((int (*)(const char*, struct statvfs*))dlsym(RTLD_NEXT, "statvfs"))(path, out);
  if (getenv("NO_FREE_SPACE")) out->f_blocks = out->f_bfree = out->f_bavail = 0;
  return result;
}
