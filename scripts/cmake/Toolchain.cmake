# Sets the language level, warnings, optimisation and sanitizers for everything below.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS ON)  # GCC vector extensions and FMA contraction in trainer/kernels
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_COMPILE_OPTIONS_PIE -fPIC)  # one flag for libraries and programs, so that they can share the precompiled header
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2")  # asserts stay on

find_program(TERSE_CCACHE ccache)
if(TERSE_CCACHE)
  # Without this sloppiness, ccache refuses sources that use a precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${TERSE_CCACHE})
endif()

# These flags are for our own code only. Dependencies come as SYSTEM headers.
add_library(terse_flags INTERFACE)
target_compile_options(terse_flags INTERFACE -Wall -Wextra -Wshadow -Werror $<$<BOOL:${TERSE_CCACHE}>:-fpch-preprocess>)
target_include_directories(terse_flags INTERFACE ${CMAKE_SOURCE_DIR})
if(TERSE_SANITIZE)
  target_compile_options(terse_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_link_options(terse_flags INTERFACE -fsanitize=address,undefined)
endif()
