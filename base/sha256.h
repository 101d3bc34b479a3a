// Computes SHA-256 as lower-case hex: the content hash of checkpoints, token stores and configurations. All functions
// throw MachineError when OpenSSL cannot compute it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace terse {

// Hashes bytes piece by piece. An object is not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void update(const void* bytes, size_t size);
  void update(std::string_view bytes) { update(bytes.data(), bytes.size()); }
  // Returns 64 hex digits. The object must not be used afterwards.
  std::string hex();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string sha256_bytes(std::string_view bytes);
// Hashes a file piece by piece. After every MiB it passes the bytes done and the total to `progress`, whose exceptions
// abort the read. Throws DiskError that names the file when the file cannot be read.
std::string sha256_file(const std::string& path, const std::function<void(int64_t done, int64_t total)>& progress = {});

}  // namespace terse
