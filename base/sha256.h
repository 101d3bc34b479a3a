// SHA-256 as lower-case hex: the content hash of checkpoints, token stores and configurations.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace terse {

// Hashes bytes as they come. Not for use from two threads at once.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void update(const void* bytes, size_t size);
  void update(std::string_view bytes) { update(bytes.data(), bytes.size()); }
  // 64 hex digits; the object must not be used afterwards.
  std::string hex();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string sha256_bytes(std::string_view bytes);
// Streams the file. `progress` gets the bytes done and the total after every MiB; what it throws ends the reading.
// Throws DiskError naming the file when it cannot be read.
std::string sha256_file(const std::string& path, const std::function<void(int64_t done, int64_t total)>& progress = {});

}  // namespace terse
