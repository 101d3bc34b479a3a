// Text files of a state: they come back from any number of ranks, and damage to them is found like any other damage.
#include "tests/checkpoints/ranks_support.h"

namespace terse::checkpoints {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::map<std::string, std::string> kFiles = {
    {"config.json", "{\"layers\": 3}\n"}, {"empty", ""}, {"Notes-2_b.txt", std::string("any \xff\0 bytes", 12)}};

StateDict described_state(int64_t step) {
  StateDict state = example_state(step);
  state.files = kFiles;
  return state;
}

class TextFiles : public ::testing::Test {
 protected:
  TextFiles() {
    Store store(dir_, {.async = false, .fs = support::unsynced_file_system()});
    for (const int64_t step : {100, 200}) store.save(example_info(step), described_state(step));
  }
  // Step 200 is rejected for a reason that names `file`, and step 100 is loaded with its files.
  void expect_fallback(const std::string& file, const std::string& reason = "") const {
    EXPECT_THAT(verify(newest_), ElementsAre(AllOf(HasSubstr(file), HasSubstr(reason))));
    EXPECT_THROW(load(newest_), DataError);
    const auto loaded = load_latest(dir_);
    ASSERT_TRUE(loaded.has_value());
    EXPECT_EQ(loaded->info.step, 100);
    expect_same(loaded->state, described_state(100));
  }
  TemporaryFolder folder_;
  Path dir_ = folder_.path() / "checkpoints";
  Path newest_ = dir_ / "step-200";
};

TEST_F(TextFiles, ComeBackAndLieReadableBesideTheRest) {
  EXPECT_THAT(names_in(newest_), ElementsAre("MANIFEST.json", "MANIFEST.sha256", "Notes-2_b.txt", "config.json",
                                             "empty", "extra.json", "rank-0.h5"));
  EXPECT_EQ(read_bytes(newest_ / "config.json"), kFiles.at("config.json"));
  EXPECT_THAT(verify(newest_), IsEmpty());
  expect_same(load(newest_).state, described_state(200));
  // They come back even when no tensor is wanted.
  const auto none = [](const std::string&, const std::vector<int64_t>&) { return std::optional<Range>(); };
  EXPECT_EQ(load(newest_, none).state.files, kFiles);
  EXPECT_THAT(load(newest_, none).state.tensors, IsEmpty());
}

TEST_F(TextFiles, InTheBackgroundAreThoseOfTheCall) {
  Store store(dir_, {.async = true, .fs = support::unsynced_file_system()});
  StateDict state = described_state(300);
  store.save(example_info(300), state);
  state.files.clear();
  store.wait();
  EXPECT_EQ(load(dir_ / "step-300").state.files, kFiles);
}

TEST_F(TextFiles, OfRankZeroComeBackOnAllRanks) {
  for (const int savers : {1, 3}) {
    const TemporaryFolder folder;
    expect_all_ok(on_ranks(savers, [&](int rank) {
      Store store(folder.path(), rank_options(rank, savers));
      StateDict part = example_part(7, rank, savers);
      part.files = rank == 0 ? kFiles : std::map<std::string, std::string>{{"config.json", "not that of rank 0"}};
      store.save(example_info(7), part);
    }));
    EXPECT_THAT(verify(folder.path() / "step-7"), IsEmpty());
    for (const int loaders : {1, 2, 5}) {
      expect_all_ok(load_on_ranks(folder.path(), loaders, {}, [&](int, const Store::Loaded& loaded) {
        EXPECT_EQ(loaded.state.files, kFiles);
        EXPECT_EQ(loaded.manifest_sha256, sha256_bytes(read_bytes(folder.path() / "step-7" / kManifestName)));
      }));
    }
  }
}

TEST_F(TextFiles, OneCheckpointIsLoadedByAllRanksTogether) {
  for (const bool damaged : {false, true}) {
    if (damaged) write_bytes(newest_ / "config.json", "{\"layers\": 4}\n");
    Table table(3);
    const auto ended = on_ranks(3, [&](int rank) {
      expect_same(load(newest_, {}, {rank, 3, table.seat(rank)}).state, described_state(200));
    });
    for (const Ended& rank : ended) {
      EXPECT_EQ(rank.ok, !damaged) << rank.error;
      if (damaged) {
        EXPECT_THAT(rank.error, AllOf(HasSubstr(newest_.string()), HasSubstr("config.json: its SHA-256 is")));
      }
    }
  }
}

TEST_F(TextFiles, AFlippedBitInAnyByteIsNamed) {
  for (const auto& [name, text] : kFiles) {
    for (size_t at = 0; at < text.size(); ++at) {
      std::string flipped = text;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << (at % 8)));
      write_bytes(newest_ / name, flipped);
      expect_fallback(name, "SHA-256");
    }
    write_bytes(newest_ / name, text + "x");
    expect_fallback(name, "bytes, the manifest lists");
    fs::remove(newest_ / name);
    expect_fallback(name, "it is missing");
    fs::create_symlink("extra.json", newest_ / name);
    expect_fallback(name, "not a regular file");
    fs::remove(newest_ / name);
    write_bytes(newest_ / name, text);
  }
  expect_same(load_latest(dir_)->state, described_state(200));
}

TEST_F(TextFiles, OneThatTheManifestDoesNotListIsNamed) {
  write_bytes(newest_ / "other.json", "{}");
  expect_fallback("other.json", "is not part of the checkpoint");
}

TEST_F(TextFiles, OfOlderCheckpointsAreNone) {
  for (const auto& [name, text] : kFiles) fs::remove(newest_ / name);
  auto manifest = nlohmann::ordered_json::parse(read_bytes(newest_ / kManifestName));
  auto kept = nlohmann::ordered_json::array();
  for (const auto& file : manifest["files"])
    if (!kFiles.contains(file["name"].get<std::string>())) kept.push_back(file);
  manifest["files"] = kept;
  const std::string text = manifest.dump(1) + "\n";
  write_bytes(newest_ / kManifestName, text);
  write_bytes(newest_ / kManifestHashName, manifest_hash_text(text));
  EXPECT_THAT(verify(newest_), IsEmpty());
  expect_same(load(newest_).state, example_state(200));
}

void expect_refused(const std::map<std::string, std::string>& files, const std::string& message) {
  const TemporaryFolder folder;
  Store store(folder.path(), {.async = false});
  StateDict state = example_state(1);
  state.files = files;
  try {
    store.save(example_info(1), state);
    ADD_FAILURE() << "expected: " << message;
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr(message));
  }
  EXPECT_THAT(names_in(folder.path()), IsEmpty());
}

TEST(TextFileNames, ThatCouldBeAnotherFileAreRefused) {
  for (const std::string& name :
       {std::string(), std::string(".hidden"), std::string("a/b"), std::string("../x"), std::string("/etc/passwd"),
        std::string("rank-0.h5"), std::string("rank-0.txt"), std::string("extra.json"), std::string("MANIFEST.json"),
        std::string("MANIFEST.sha256"), std::string("MANIFEST"), std::string("latest"), std::string("a b"),
        std::string("a\0b", 3), std::string("\xc3\xa4"), std::string("\xff"), std::string(101, 'a')}) {
    EXPECT_FALSE(is_text_name(name)) << name;
    expect_refused({{name, "x"}}, "a text file called");
  }
  for (const char* name : {"config.json", "config.yaml", "tokenizer.json", "a", "-", "A_9", "extra.json2"})
    EXPECT_TRUE(is_text_name(name)) << name;
}

TEST(TextFileNames, AreFewAndTheFilesAreSmall) {
  std::map<std::string, std::string> many;
  for (int i = 0; i < 17; ++i) many["file-" + std::to_string(i)] = "x";
  expect_refused(many, "17 text files, at most 16");
  expect_refused({{"big.json", std::string(kMaxTextBytes + 1, 'x')}}, "file big.json has 64.0 MiB, at most 64.0 MiB");
}

}  // namespace
}  // namespace terse::checkpoints
