# Finds LibTorch in the pinned wheels (scripts/setup.sh) and everything else in the packages of Debian or Ubuntu.
if(DEFINED ENV{TERSE_LIBTORCH})
  set(TERSE_LIBTORCH_DEFAULT $ENV{TERSE_LIBTORCH})
elseif(DEFINED ENV{TERSE_CACHE})
  set(TERSE_LIBTORCH_DEFAULT $ENV{TERSE_CACHE}/libtorch-2.11.0)
else()
  set(TERSE_LIBTORCH_DEFAULT $ENV{HOME}/.cache/terse/libtorch-2.11.0)
endif()
set(TERSE_LIBTORCH ${TERSE_LIBTORCH_DEFAULT} CACHE PATH "Folder that holds torch/lib and torch/include")
set(torch_root ${TERSE_LIBTORCH}/torch)
if(NOT EXISTS ${torch_root}/lib/libtorch_cpu.so)
  message(FATAL_ERROR "No LibTorch in ${TERSE_LIBTORCH}: run scripts/setup.sh, or set TERSE_LIBTORCH to a folder that holds torch/lib")
endif()

# Only the CPU libraries are linked, so that a program without a GPU starts fast and needs no CUDA library. With a GPU,
# trainer/device.cpp loads libtorch_cuda.so at run time.
add_library(terse_torch INTERFACE)
add_library(terse::torch ALIAS terse_torch)
target_include_directories(terse_torch SYSTEM INTERFACE ${torch_root}/include ${torch_root}/include/torch/csrc/api/include)
target_link_libraries(terse_torch INTERFACE ${torch_root}/lib/libtorch_cpu.so ${torch_root}/lib/libc10.so)
target_link_options(terse_torch INTERFACE -Wl,-rpath,${torch_root}/lib -Wl,-rpath-link,${TERSE_LIBTORCH}/nvidia/cu13/lib)
target_compile_definitions(terse_torch INTERFACE TERSE_TORCH_LIB="${torch_root}/lib")

find_package(PkgConfig QUIET)
find_package(yaml-cpp REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_path(TERSE_XXHASH_INCLUDE xxhash.h REQUIRED)  # header-only; hashes weights on their way between ranks
# Tokenizers cut text by regular expressions, which some tasks also check answers with, and normalize it.
function(terse_plain_library name header library)
  find_path(TERSE_${name}_INCLUDE ${header} REQUIRED)
  find_library(TERSE_${name}_LIBRARY ${library} REQUIRED)
  add_library(terse_${name} INTERFACE)
  add_library(terse::${name} ALIAS terse_${name})
  target_include_directories(terse_${name} SYSTEM INTERFACE ${TERSE_${name}_INCLUDE})
  target_link_libraries(terse_${name} INTERFACE ${TERSE_${name}_LIBRARY})
endfunction()
terse_plain_library(pcre2 pcre2.h pcre2-8)
terse_plain_library(utf8proc utf8proc.h utf8proc)
find_package(Threads REQUIRED)
set(HDF5_PREFER_PARALLEL OFF)
find_package(HDF5 REQUIRED COMPONENTS C)
add_library(terse_hdf5 INTERFACE)
add_library(terse::hdf5 ALIAS terse_hdf5)
target_include_directories(terse_hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
target_link_libraries(terse_hdf5 INTERFACE ${HDF5_C_LIBRARIES})
# Ranks communicate by MPI. Only trainer/parallel/mpi/mpi_comm.cpp includes its headers.
find_package(MPI REQUIRED COMPONENTS C)

# fmt comes as headers with LibTorch. All folders use these headers, those without LibTorch through a folder that holds nothing else, and
# their functions are compiled once: in every file, they would take half of its time.
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/fmt_headers)
file(CREATE_LINK ${torch_root}/include/fmt ${CMAKE_BINARY_DIR}/fmt_headers/fmt SYMBOLIC)
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/fmt_library.cpp CONTENT [[
// The functions of fmt that are not templates, and the instances of those that its headers only declare.
#include <fmt/format-inl.h>

FMT_BEGIN_NAMESPACE
namespace detail {
template FMT_API auto dragonbox::to_decimal(float x) noexcept -> dragonbox::decimal_fp<float>;
template FMT_API auto dragonbox::to_decimal(double x) noexcept -> dragonbox::decimal_fp<double>;
template FMT_API auto thousands_sep_impl(locale_ref loc) -> thousands_sep_result<char>;
template FMT_API auto thousands_sep_impl(locale_ref loc) -> thousands_sep_result<wchar_t>;
template FMT_API auto decimal_point_impl(locale_ref loc) -> char;
template FMT_API auto decimal_point_impl(locale_ref loc) -> wchar_t;
}  // namespace detail
FMT_END_NAMESPACE
]] @ONLY)
add_library(terse_fmt STATIC ${CMAKE_BINARY_DIR}/fmt_library.cpp)
add_library(terse::fmt ALIAS terse_fmt)
target_include_directories(terse_fmt SYSTEM PUBLIC ${CMAKE_BINARY_DIR}/fmt_headers)

# CUDA: our .cu files include no torch headers, so nvcc is all they need.
set(TERSE_WITH_CUDA OFF)
if(NOT TERSE_CUDA STREQUAL OFF)
  include(CheckLanguage)
  # nvcc is given as a hint and not as CMAKE_CUDA_COMPILER, which check_language() would accept without a test. An nvcc that does not work
  # with this g++ must count as missing.
  find_program(TERSE_NVCC nvcc PATHS /usr/local/cuda/bin)
  if(TERSE_NVCC AND NOT DEFINED ENV{CUDACXX})
    set(ENV{CUDACXX} ${TERSE_NVCC})
  endif()
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER AND EXISTS ${torch_root}/lib/libtorch_cuda.so)
    set(TERSE_WITH_CUDA ON)
    set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 90-virtual)
    set(CMAKE_CUDA_STANDARD 17)  # CMake 3.25 does not know CUDA20 for nvcc
    enable_language(CUDA)
  elseif(TERSE_CUDA STREQUAL ON)
    message(FATAL_ERROR "TERSE_CUDA=ON needs nvcc and LibTorch's CUDA libraries (scripts/setup.sh --cuda)")
  endif()
endif()

# NCCL is compiled against the header of the toolkit or of the wheel. At run time the copy that LibTorch uses is loaded.
set(TERSE_WITH_NCCL OFF)
if(TERSE_WITH_CUDA)
  find_path(TERSE_NCCL_INCLUDE nccl.h HINTS ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES} ${TERSE_LIBTORCH}/nvidia/nccl/include)
  if(TERSE_NCCL_INCLUDE)
    set(TERSE_WITH_NCCL ON)
  endif()
endif()
message(STATUS "CUDA kernels: ${TERSE_WITH_CUDA}; NCCL: ${TERSE_WITH_NCCL}; LibTorch: ${TERSE_LIBTORCH}")
