# terse_library(NAME LINK ... [TORCH]): the static library of one folder, made of all its .cpp files.
# terse_test(FOLDER LINK ...): one GoogleTest program per mirrored folder of tests/.

# One precompiled header of the torch types, built once and shared by every library that includes them.
function(terse_use_torch_pch target)
  if(NOT TARGET terse_torch_pch)
    file(WRITE ${CMAKE_BINARY_DIR}/torch_pch.cpp "// Carries the shared precompiled header.\n")
    add_library(terse_torch_pch STATIC ${CMAKE_BINARY_DIR}/torch_pch.cpp)
    target_link_libraries(terse_torch_pch PUBLIC terse_flags terse::torch terse::fmt)
    target_precompile_headers(terse_torch_pch PRIVATE <torch/types.h> <torch/csrc/autograd/custom_function.h> <fmt/format.h> <string> <vector>)
  endif()
  target_precompile_headers(${target} REUSE_FROM terse_torch_pch)
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

function(terse_test folder)
  cmake_parse_arguments(ARG "TORCH" "" "LINK" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*_test.cpp)
  add_executable(${folder}_tests ${sources})
  target_link_libraries(${folder}_tests PRIVATE ${ARG_LINK} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${folder}_tests PRIVATE TERSE_SOURCE_DIR="${CMAKE_SOURCE_DIR}" TERSE_PROGRAM="${CMAKE_BINARY_DIR}/terse")
  if(ARG_TORCH)
    terse_use_torch_pch(${folder}_tests)
  endif()
  gtest_discover_tests(${folder}_tests TEST_PREFIX ${folder}/ DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 600
    ENVIRONMENT GOMP_SPINCOUNT=2000)  # as launch/startup.cpp sets: tests run side by side
endfunction()
