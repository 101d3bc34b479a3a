// Tests the mapping of files: what is mapped, what is refused, and that released memory reads the same.
#include "base/formats/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <stdexcept>

#include "base/errors.h"
#include "tests/support/temporary_folder.h"

namespace terse {
namespace {

using support::TemporaryFolder;

TEST(MappedFile, ShowsTheBytesOfTheFile) {
  const TemporaryFolder folder;
  const std::string content = std::string("a\0b", 3) + std::string(10000, 'x');
  const MappedFile file(folder.write("a", content));
  EXPECT_EQ(file.bytes(), content);
  EXPECT_EQ(file.path(), folder / "a");
}

TEST(MappedFile, AnEmptyFileHasNoBytes) {
  const TemporaryFolder folder;
  const MappedFile file(folder.write("a", ""));
  EXPECT_EQ(file.bytes(), "");
  file.expect_sequential_reads();
  file.release(file.bytes());
}

TEST(MappedFile, FollowsASymbolicLink) {
  const TemporaryFolder folder;
  folder.write("a", "content");
  std::filesystem::create_symlink("a", folder / "link");
  EXPECT_EQ(MappedFile(folder / "link").bytes(), "content");
}

TEST(MappedFile, OutlivesTheNameOfTheFile) {
  const TemporaryFolder folder;
  const MappedFile file(folder.write("a", "content"));
  std::filesystem::remove(folder / "a");
  EXPECT_EQ(file.bytes(), "content");
}

TEST(MappedFile, WhatIsReleasedCanBeReadAgain) {
  const TemporaryFolder folder;
  std::string content;
  for (int i = 0; content.size() < 50000; ++i) content += std::to_string(i) + " ";
  const MappedFile file(folder.write("a", content));
  file.expect_sequential_reads();
  file.release(file.bytes());
  EXPECT_EQ(file.bytes(), content);
  for (const auto& [at, count] :
       {std::pair<size_t, size_t>{1, 4096}, {4095, 2}, {100, 0}, {4096, 8192}, {49000, 900}}) {
    file.release(file.bytes().substr(at, count));
    EXPECT_EQ(file.bytes(), content) << at << " " << count;
  }
}

TEST(MappedFile, OnlyAPartOfTheFileCanBeReleased) {
  const TemporaryFolder folder;
  const MappedFile file(folder.write("a", "content"));
  const std::string other = "content";
  EXPECT_THROW(file.release(other), std::invalid_argument);
  EXPECT_THROW(file.release({file.bytes().data(), file.bytes().size() + 1}), std::invalid_argument);
}

TEST(MappedFile, WhatIsNoFileIsRefusedAndNamed) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  for (const std::string name : {"", "pipe", "none"}) {
    try {
      const MappedFile file(folder.path() / name);
      ADD_FAILURE() << name;
    } catch (const DiskError& error) {
      EXPECT_NE(std::string(error.what()).find((folder.path() / name).string()), std::string::npos) << error.what();
      EXPECT_EQ(error.error(), name == "none" ? ENOENT : 0);
    }
  }
}

}  // namespace
}  // namespace terse
