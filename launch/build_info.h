// What was compiled; the values are generated at every build by build_info.cmake.
#pragma once

namespace terse::launch {

extern const char* const kBuildVersion;  // "0.1.0"
extern const char* const kBuildCommit;   // "3f2c1ab94e21", or "unknown" outside a git checkout
extern const bool kBuildDirty;           // tracked files differed from that commit
extern const char* const kBuildType;     // "Release"

}  // namespace terse::launch
