// Checks the disk at the nearest existing parent, because the folder for runs may not exist yet.
#include "launch/machine/limits.h"

#include <langinfo.h>
#include <locale.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdlib>

namespace terse::launch {
namespace {

int64_t limit_value(rlim_t value) {
  return value == RLIM_INFINITY ? -1 : static_cast<int64_t>(value);
}

std::filesystem::path nearest_existing(std::filesystem::path path) {
  std::error_code ignored;
  path = std::filesystem::absolute(path, ignored);
  while (!std::filesystem::exists(path, ignored) && path.has_relative_path()) path = path.parent_path();
  return path;
}

std::string locale_name() {
  for (const char* variable : {"LC_ALL", "LC_CTYPE", "LANG"})
    if (const char* value = std::getenv(variable); value != nullptr && *value != '\0') return value;
  return "C";
}

// Uses a locale object of its own. The process itself stays in the C locale, so that numbers do not depend on the user.
bool locale_is_utf8() {
  const locale_t locale = newlocale(LC_CTYPE_MASK, "", nullptr);
  if (locale == nullptr) return false;
  const bool utf8 = std::string(nl_langinfo_l(CODESET, locale)) == "UTF-8";
  freelocale(locale);
  return utf8;
}

}  // namespace

Limits inspect_limits(const std::filesystem::path& runs) {
  Limits limits;
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    limits.open_files = limit_value(files.rlim_cur);
    limits.open_files_hard = limit_value(files.rlim_max);
  }
  struct statvfs disk {};
  if (statvfs("/dev/shm", &disk) == 0) limits.shm_bytes = static_cast<int64_t>(disk.f_blocks * disk.f_frsize);
  limits.runs = runs;
  limits.disk = nearest_existing(runs);
  if (statvfs(limits.disk.c_str(), &disk) == 0 && disk.f_blocks > 0)
    limits.disk_free_bytes = static_cast<int64_t>(disk.f_bavail * disk.f_frsize);
  limits.disk_writable = std::filesystem::is_directory(limits.disk) && access(limits.disk.c_str(), W_OK | X_OK) == 0;
  limits.locale = locale_name();
  limits.utf8 = locale_is_utf8();
  return limits;
}

nlohmann::json to_json(const Limits& limits) {
  return {{"open_files", limits.open_files},
          {"open_files_hard", limits.open_files_hard},
          {"shm_bytes", limits.shm_bytes},
          {"runs", limits.runs.string()},
          {"disk", limits.disk.string()},
          {"disk_free_bytes", limits.disk_free_bytes},
          {"disk_writable", limits.disk_writable},
          {"locale", limits.locale},
          {"utf8", limits.utf8}};
}

}  // namespace terse::launch
