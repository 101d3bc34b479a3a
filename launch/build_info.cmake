# Writes build_info.cpp with the commit that is being built; leaves the file alone when nothing changed.
# cmake -D SOURCE=... -D OUTPUT=... -D VERSION=... -D TYPE=... -P build_info.cmake
execute_process(COMMAND git -C ${SOURCE} rev-parse --short=12 HEAD OUTPUT_VARIABLE commit ERROR_QUIET RESULT_VARIABLE status
                OUTPUT_STRIP_TRAILING_WHITESPACE)
set(dirty false)
if(NOT status EQUAL 0)
  set(commit unknown)
else()
  # Without optional locks: a build must not block a git command that runs at the same time.
  execute_process(COMMAND git -C ${SOURCE} --no-optional-locks status --porcelain --untracked-files=no OUTPUT_VARIABLE changes ERROR_QUIET)
  if(changes)
    set(dirty true)
  endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT [[
// Generated at every build.
#include "launch/build_info.h"

namespace terse::launch {

const char* const kBuildVersion = "@VERSION@";
const char* const kBuildCommit = "@commit@";
const bool kBuildDirty = @dirty@;
const char* const kBuildType = "@TYPE@";

}  // namespace terse::launch
]])
