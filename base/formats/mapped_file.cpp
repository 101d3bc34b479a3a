// Opens, maps and closes: a mapping outlives its descriptor, so that many mapped files need no open ones.
#include "base/formats/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "base/descriptor.h"
#include "base/errors.h"

namespace terse {

namespace {

[[noreturn]] void fail(const char* what, const std::filesystem::path& path, int error) {
  throw DiskError(fmt::format("cannot {} {}: {}", what, path.string(), std::strerror(error)), error);
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  // O_NONBLOCK keeps open() from blocking on a named pipe.
  const Descriptor fd(retry([&] { return ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC); }));
  if (fd.get() < 0) fail("open", path, errno);
  struct stat info;
  if (::fstat(fd.get(), &info) < 0) fail("stat", path, errno);
  if (!S_ISREG(info.st_mode)) throw DiskError(fmt::format("cannot read {}: it is not a regular file", path.string()));
  size_ = static_cast<size_t>(info.st_size);
  if (size_ == 0) return;  // The system cannot map nothing.
  void* const data = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (data == MAP_FAILED) fail("map", path, errno);
  data_ = static_cast<const char*>(data);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);
}

void MappedFile::expect_sequential_reads() const {
  if (data_ != nullptr) ::madvise(const_cast<char*>(data_), size_, MADV_SEQUENTIAL);  // A refusal changes no result.
}

void MappedFile::release(std::string_view part) const {
  if (part.empty()) return;
  const bool inside = part.data() >= data_ && part.data() + part.size() <= data_ + size_;
  if (!inside) throw std::invalid_argument("release() needs a part of the mapped file");
  // The pages at the ends also hold bytes of neighbours, which may still be in use.
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto first = reinterpret_cast<uintptr_t>(part.data());
  const uintptr_t begin = (first + page - 1) / page * page;
  const uintptr_t end = (first + part.size()) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace terse
