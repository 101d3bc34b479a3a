// Compares SHA-256 with the published test vectors.
#include "base/sha256.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace terse {
namespace {

TEST(Sha256, MatchesPublishedVectors) {
  EXPECT_EQ(sha256_bytes(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_bytes("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_bytes(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, DoesNotDependOnHowBytesArrive) {
  Sha256 hash;
  hash.update("a");
  hash.update("");
  hash.update("bc");
  EXPECT_EQ(hash.hex(), sha256_bytes("abc"));
}

TEST(Sha256, FileHashEqualsHashOfItsBytes) {
  const auto path = std::filesystem::temp_directory_path() / ("terse-sha256-" + std::to_string(::getpid()));
  const std::string bytes(3 << 20, '\x5a');
  std::ofstream(path, std::ios::binary) << bytes;
  EXPECT_EQ(sha256_file(path), sha256_bytes(bytes));
  std::filesystem::remove(path);
}

TEST(Sha256, NamesAFileThatCannotBeRead) {
  try {
    sha256_file("/nonexistent/file");
    FAIL() << "expected an error";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("/nonexistent/file: No such file"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace terse
