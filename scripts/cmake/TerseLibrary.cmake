# terse_library(NAME LINK ... [TORCH]): builds the static library of one folder from all its .cpp files.
# terse_test(FOLDER LINK ... [TORCH] [ALSO ...]): builds one GoogleTest program for each folder that tests/ mirrors, from its ..._test.cpp
# files and ALSO.

# One precompiled header holds the torch types. It is built once and shared by every library that includes them. Tests are compiled with
# other flags, so they have their own header (TERSE_PCH), which also holds what tests include (TERSE_PCH_MORE). GCC instantiates the
# templates that a precompiled header uses anew in every file. So a header that few files include costs more here than it saves.
set(TERSE_PCH terse_torch_pch)
set(TERSE_PCH_MORE)
function(terse_use_torch_pch target)
  if(NOT TARGET ${TERSE_PCH})
    file(WRITE ${CMAKE_BINARY_DIR}/torch_pch.cpp "// Carries the shared precompiled header.\n")
    add_library(${TERSE_PCH} STATIC ${CMAKE_BINARY_DIR}/torch_pch.cpp)
    target_link_libraries(${TERSE_PCH} PUBLIC terse_flags terse::torch terse::fmt)
    target_precompile_headers(${TERSE_PCH} PRIVATE <torch/types.h> <fmt/format.h> <string> <vector> ${TERSE_PCH_MORE})
  endif()
  target_precompile_headers(${target} REUSE_FROM ${TERSE_PCH})
endfunction()

function(terse_library name)
  cmake_parse_arguments(ARG "TORCH" "" "LINK;EXCLUDE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  if(ARG_EXCLUDE)
    list(FILTER sources EXCLUDE REGEX ${ARG_EXCLUDE})
  endif()
  add_library(terse_${name} STATIC ${sources})
  target_link_libraries(terse_${name} PUBLIC terse_flags terse::fmt ${ARG_LINK})
  if(ARG_TORCH)
    target_link_libraries(terse_${name} PUBLIC terse::torch)
    terse_use_torch_pch(terse_${name})
  endif()
endfunction()

# There is one ctest entry for each file: a process for each test would spend half of its time on loading LibTorch.
function(terse_test folder)
  cmake_parse_arguments(ARG "TORCH" "" "LINK;ALSO" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*_test.cpp)
  set(also)
  if(ARG_ALSO)
    file(GLOB also CONFIGURE_DEPENDS ${ARG_ALSO})
  endif()
  add_executable(${folder}_tests ${sources} ${also} ${CMAKE_CURRENT_SOURCE_DIR}/support/main.cpp)
  target_link_libraries(${folder}_tests PRIVATE ${ARG_LINK} GTest::gmock GTest::gtest)
  target_compile_definitions(${folder}_tests PRIVATE TERSE_SOURCE_DIR="${CMAKE_SOURCE_DIR}" TERSE_PROGRAM="${CMAKE_BINARY_DIR}/terse")
  if(ARG_TORCH)
    terse_use_torch_pch(${folder}_tests)
  endif()
  set(gpu)
  foreach(source ${sources})
    file(STRINGS ${source} found REGEX "TERSE_ON_HOST_AND_GPU")
    list(APPEND gpu ${found})
    file(RELATIVE_PATH file ${CMAKE_CURRENT_SOURCE_DIR} ${source})
    string(REPLACE ".cpp" "" name ${file})
    terse_test_entry(${name} ${folder}_tests --file=tests/${file})
  endforeach()
  if(gpu)  # no file's entry runs them: see tests/support/main.cpp
    terse_test_entry(${folder}/gpu ${folder}_tests --gtest_filter=Gpu/*)
    set_tests_properties(${folder}/gpu PROPERTIES SKIP_RETURN_CODE 77)
  endif()
endfunction()

function(terse_test_entry name)
  add_test(NAME ${name} COMMAND ${ARGN})
  # Tests run side by side, so they spin as briefly as launch/startup.cpp makes the program spin.
  set_tests_properties(${name} PROPERTIES TIMEOUT 600 ENVIRONMENT GOMP_SPINCOUNT=2000)
endfunction()
