// Whatever byte or file of a checkpoint is damaged, loading names the damage and uses the previous checkpoint.
#include <sys/stat.h>

#include <random>

#include "tests/checkpoints/support.h"

namespace terse::checkpoints {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class Damage : public ::testing::Test {
 protected:
  Damage() { save_two(dir_); }

  // Step 200 is rejected for a reason that names `file`, and step 100 loads completely.
  void expect_fallback(const std::string& file, const std::string& reason = "") {
    const auto loaded = load_latest(dir_);
    ASSERT_TRUE(loaded.has_value());
    EXPECT_EQ(loaded->info.step, 100);
    expect_same(loaded->state, example_state(100));
    EXPECT_THAT(loaded->rejected, ElementsAre(AllOf(HasSubstr("step-200: "), HasSubstr(file), HasSubstr(reason))));
    EXPECT_FALSE(verify(newest_).empty());
    EXPECT_THROW(load(newest_), DataError);
  }

  TemporaryFolder folder_;
  Path dir_ = folder_.path() / "checkpoints";
  Path newest_ = dir_ / "step-200";
  Path older_ = dir_ / "step-100";
};

// Does not load the older checkpoint, so it is fast enough to try every byte.
void expect_flip_found(const Path& checkpoint, const std::string& file, std::string bytes, size_t at, int bit) {
  bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
  write_bytes(checkpoint / file, bytes);
  const std::vector<std::string> defects = verify(checkpoint);
  const std::string blamed = file == kManifestHashName ? kManifestName : file;
  ASSERT_THAT(defects, ElementsAre(HasSubstr(blamed))) << file << " byte " << at << " bit " << bit;
}

TEST_F(Damage, AFlippedBitInAnyByteOfAnyFileIsFound) {
  std::mt19937 random(1);
  for (const std::string& file : names_in(newest_)) {
    const std::string bytes = read_bytes(newest_ / file);
    // Tries all bytes of the small files. Of the shard, it tries every byte of the head and a dense sample of the rest.
    const size_t stride = file.ends_with(".h5") ? 11 : 1;
    for (size_t at = 0; at < bytes.size(); at += at < 600 ? 1 : stride) {
      expect_flip_found(newest_, file, bytes, at, static_cast<int>(random() % 8));
    }
    write_bytes(newest_ / file, bytes);
  }
  EXPECT_TRUE(verify(newest_).empty());
}

TEST_F(Damage, AFlippedBitIsNamedAndTheCheckpointBeforeIsUsed) {
  for (const std::string& file : names_in(newest_)) {
    const std::string bytes = read_bytes(newest_ / file);
    for (const size_t at : {size_t{0}, bytes.size() / 2, bytes.size() - 1}) {
      std::string flipped = bytes;
      flipped[at] = static_cast<char>(flipped[at] ^ 4);
      write_bytes(newest_ / file, flipped);
      expect_fallback(file);
    }
    write_bytes(newest_ / file, bytes);
  }
  expect_latest(dir_, 200);
}

TEST_F(Damage, ATruncatedOrLongerFileIsNamed) {
  for (const std::string& file : names_in(newest_)) {
    const std::string bytes = read_bytes(newest_ / file);
    for (const size_t size : {size_t{0}, size_t{1}, bytes.size() / 2, bytes.size() - 1}) {
      write_bytes(newest_ / file, bytes.substr(0, size));
      expect_fallback(file);
    }
    write_bytes(newest_ / file, bytes + "x");
    expect_fallback(file);
    write_bytes(newest_ / file, bytes);
  }
}

TEST_F(Damage, AMissingFileIsNamed) {
  for (const std::string& file : names_in(newest_)) {
    fs::rename(newest_ / file, dir_ / "aside");
    expect_fallback(file);
    fs::rename(dir_ / "aside", newest_ / file);
  }
}

TEST_F(Damage, AnExtraFileIsNamed) {
  for (const char* name : {"rank-1.h5", "notes.txt", ".hidden", "rank-0.h5.tmp-1-2-3"}) {
    write_bytes(newest_ / name, "x");
    expect_fallback(name, "is not part of the checkpoint");
    fs::remove(newest_ / name);
  }
  fs::create_directory(newest_ / "folder");
  expect_fallback("folder", "is not part of the checkpoint");
}

TEST_F(Damage, AShardOfAnotherStepIsNamed) {
  fs::copy_file(older_ / "rank-0.h5", newest_ / "rank-0.h5", fs::copy_options::overwrite_existing);
  expect_fallback("rank-0.h5", "SHA-256");
}

TEST_F(Damage, ARenamedShardIsNamed) {
  fs::rename(newest_ / "rank-0.h5", newest_ / "rank-1.h5");
  expect_fallback("rank-0.h5: it is missing; rank-1.h5: it is not part of the checkpoint");
}

TEST_F(Damage, AManifestOfAnotherStepIsNamed) {
  for (const char* file : {kManifestName, kManifestHashName}) {
    fs::copy_file(older_ / file, newest_ / file, fs::copy_options::overwrite_existing);
  }
  expect_fallback(kManifestName, "its step is 100, but the name of the folder is step-200");
}

TEST_F(Damage, ARenamedFolderIsNotTakenForAnotherStep) {
  fs::rename(newest_, dir_ / "step-300");
  const auto loaded = load_latest(dir_);
  EXPECT_EQ(loaded->info.step, 100);
  EXPECT_THAT(loaded->rejected, ElementsAre(HasSubstr("step-300: MANIFEST.json: its step is 200")));
}

TEST_F(Damage, ACopyUnderAnyOtherNameLoads) {
  fs::copy(newest_, folder_.path() / "best model", fs::copy_options::recursive);
  expect_same(load(folder_.path() / "best model").state, example_state(200));
}

TEST_F(Damage, ASymbolicLinkInsteadOfAFileIsRefused) {
  for (const std::string& file : names_in(newest_)) {
    fs::rename(newest_ / file, dir_ / "aside");
    fs::create_symlink(dir_ / "aside", newest_ / file);
    expect_fallback(file);
    fs::remove(newest_ / file);
    fs::rename(dir_ / "aside", newest_ / file);
  }
}

TEST_F(Damage, AFolderOrAPipeInsteadOfAFileIsRefused) {
  for (const std::string& file : names_in(newest_)) {
    fs::rename(newest_ / file, dir_ / "aside");
    fs::create_directory(newest_ / file);
    expect_fallback(file);
    fs::remove(newest_ / file);
    ASSERT_EQ(::mkfifo((newest_ / file).c_str(), 0600), 0);
    expect_fallback(file);
    fs::remove(newest_ / file);
    fs::rename(dir_ / "aside", newest_ / file);
  }
}

TEST_F(Damage, AFileOrALinkInsteadOfTheFolderIsRefused) {
  fs::rename(newest_, folder_.path() / "aside");
  write_bytes(newest_, "x");
  expect_fallback("", "not a folder");
  fs::remove(newest_);
  fs::create_directory_symlink(folder_.path() / "aside", newest_);
  const auto loaded = load_latest(dir_);
  EXPECT_EQ(loaded->info.step, 100);
  EXPECT_THAT(loaded->rejected, ElementsAre(HasSubstr("step-200: it is not a folder")));
}

TEST_F(Damage, AnEmptyFolderIsRefused) {
  fs::create_directory(dir_ / "step-300");
  const auto loaded = load_latest(dir_);
  EXPECT_EQ(loaded->info.step, 200);
  EXPECT_THAT(loaded->rejected, ElementsAre(HasSubstr("step-300: MANIFEST.json: ")));
}

TEST_F(Damage, OneUsableCheckpointAmongManyDamagedIsFound) {
  for (int step = 300; step < 350; ++step) fs::create_directory(dir_ / ("step-" + std::to_string(step)));
  const auto loaded = load_latest(dir_);
  EXPECT_EQ(loaded->info.step, 200);
  EXPECT_THAT(loaded->rejected, SizeIs(50));
}

TEST_F(Damage, NoUsableCheckpointIsAnErrorThatListsThemAll) {
  fs::remove(newest_ / "rank-0.h5");
  write_bytes(older_ / "extra.json", "{}");
  try {
    load_latest(dir_);
    FAIL() << "expected an error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr(dir_.string()), HasSubstr("step-200: rank-0.h5: it is missing"),
                                    HasSubstr("step-100: extra.json: it has 2 bytes, the manifest lists ")));
  }
}

TEST_F(Damage, NoneAtAllIsNotAnError) {
  EXPECT_FALSE(load_latest(folder_.path() / "nowhere").has_value());
  fs::create_directory(folder_.path() / "empty");
  EXPECT_FALSE(load_latest(folder_.path() / "empty").has_value());
  // None of these names is a valid step-N.
  for (const char* name :
       {"step-", "step-x", "step-007", "step--1", "step-1.5", "step-99999999999999999999", "Step-1"}) {
    fs::create_directory(folder_.path() / "empty" / name);
  }
  EXPECT_FALSE(load_latest(folder_.path() / "empty").has_value());
}

TEST_F(Damage, LatestIsNeverTrusted) {
  const Path latest = dir_ / "latest";
  for (const char* text : {"", "step-100\n", "step-999\n", "../../etc/passwd\n", "\xff\xff"}) {
    write_bytes(latest, text);
    expect_latest(dir_, 200);
  }
  fs::remove(latest);
  expect_latest(dir_, 200);
  fs::create_symlink("step-999", latest);
  expect_latest(dir_, 200);
  Store store(dir_, {.async = false});
  store.save(example_info(300), example_state(300));
  EXPECT_EQ(read_bytes(latest), "step-300\n");
  EXPECT_FALSE(fs::is_symlink(latest));
}

TEST_F(Damage, ASaveReplacesADamagedCheckpointOfItsStep) {
  write_bytes(newest_ / "rank-0.h5", "garbage");
  Store store(dir_, {.async = false});
  EXPECT_EQ(store.load_latest()->info.step, 100);
  store.save(example_info(200), example_state(200));
  expect_latest(dir_, 200);
  fs::remove_all(newest_);
  write_bytes(newest_, "a file in the way");
  store.save(example_info(200), example_state(200));
  expect_latest(dir_, 200);
  EXPECT_THAT(names_in(dir_), ElementsAre("latest", "step-100", "step-200"));
}

}  // namespace
}  // namespace terse::checkpoints
