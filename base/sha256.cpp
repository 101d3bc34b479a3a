// Uses OpenSSL's EVP interface, which selects the SHA instructions of the processor.
#include "base/sha256.h"

#include <openssl/evp.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "base/errors.h"

namespace terse {

namespace {

void require(int ok) {
  if (ok != 1)
    throw MachineError("OpenSSL cannot compute a SHA-256: its installation is damaged, or its settings forbid SHA-256");
}

}  // namespace

struct Sha256::Context {
  EVP_MD_CTX* md = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(md); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  require(context_->md != nullptr && EVP_DigestInit_ex(context_->md, EVP_sha256(), nullptr) == 1);
}

Sha256::~Sha256() = default;

void Sha256::update(const void* bytes, size_t size) {
  require(EVP_DigestUpdate(context_->md, bytes, size));
}

std::string Sha256::hex() {
  unsigned char digest[32];
  require(EVP_DigestFinal_ex(context_->md, digest, nullptr));
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string sha256_bytes(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

std::string sha256_file(const std::string& path, const std::function<void(int64_t done, int64_t total)>& progress) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), std::fclose);
  const auto fail = [&] { throw DiskError("cannot read " + path + ": " + std::strerror(errno), errno); };
  if (!file) fail();
  Sha256 hash;
  std::vector<char> block(1 << 20);
  int64_t done = 0;
  struct stat info {};
  const int64_t total = ::fstat(::fileno(file.get()), &info) == 0 ? info.st_size : 0;
  while (const size_t got = std::fread(block.data(), 1, block.size(), file.get())) {
    hash.update(block.data(), got);
    done += static_cast<int64_t>(got);
    if (progress) progress(done, total);
  }
  if (std::ferror(file.get())) fail();
  return hash.hex();
}

}  // namespace terse
