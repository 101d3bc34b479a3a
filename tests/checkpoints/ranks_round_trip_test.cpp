// Checkpoints that one number of ranks saves and another number loads: every rank gets every element that it wants.
#include "base/formats/tensor_shape.h"
#include "tests/checkpoints/ranks_support.h"

namespace terse::checkpoints {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Each rank's part of every tensor, split as on the ranks that saved.
Wanted wanted_part(int rank, int ranks) {
  return [=](const std::string& name, const std::vector<int64_t>& shape) -> std::optional<Range> {
    const int64_t elements = element_count(shape).value();
    if (name == "adam/count") return Range{0, elements};
    if (name == "expert" && rank != ranks - 1) return std::nullopt;
    if (name == "expert") return Range{0, elements};
    return part_of(elements, rank, ranks);
  };
}

void expect_parts(const Path& dir, int ranks, int64_t step) {
  expect_all_ok(load_on_ranks(
      dir, ranks, [&](int rank) { return wanted_part(rank, ranks); },
      [&](int rank, const Store::Loaded& loaded) {
        EXPECT_EQ(loaded.info.step, step);
        EXPECT_THAT(loaded.rejected, IsEmpty());
        StateDict expected = example_part(step, rank, ranks);
        if (rank > 0) expected.add("adam/count", torch::tensor(step));
        expect_same(loaded.state, expected);
      }));
}

TEST(Ranks, AnyNumberSavesAndAnyNumberLoads) {
  for (const int savers : {1, 2, 3, 5}) {
    SCOPED_TRACE(savers);
    const TemporaryFolder folder;
    expect_all_ok(save_on_ranks(folder.path(), savers, {10}));
    for (const int loaders : {1, 2, 3, 4, 7}) {
      SCOPED_TRACE(loaders);
      expect_parts(folder.path(), loaders, 10);
    }
    expect_same(load(folder.path() / "step-10").state, joined_state(10));
    EXPECT_THAT(verify(folder.path() / "step-10"), IsEmpty());
  }
}

TEST(Ranks, ARunThatChangesItsNumberOfRanksKeepsEveryBit) {
  const TemporaryFolder folder;
  torch::manual_seed(5);
  StateDict whole;
  whole.add("flat", torch::randint(0, 256, {100003}, torch::kUInt8));
  whole.add("w", torch::rand({97, 31}, torch::kFloat64));
  int64_t step = 0;
  for (const int ranks : {2, 1, 3, 2}) {
    SCOPED_TRACE(ranks);
    Table table(ranks);
    expect_all_ok(on_ranks(ranks, [&](int rank) {
      StoreOptions options = rank_options(rank, ranks);
      options.shard_bytes = 30 << 10;
      Store store(folder.path(), options);
      const auto loaded = store.load_latest(wanted_part(rank, ranks), table.seat(rank));
      ASSERT_EQ(loaded.has_value(), step > 0);
      StateDict part;
      for (const auto& [name, shard] : whole.tensors) {
        const Range range = part_of(shard.end, rank, ranks);
        const StateDict& source = loaded ? loaded->state : whole;
        part.tensors[name] = {source.range(name, range.begin, range.end), shard.shape, range.begin, range.end};
      }
      store.save(example_info(step + 1), part);
      store.wait();
    }));
    expect_same(load(folder.path() / ("step-" + std::to_string(++step))).state, whole);
  }
}

TEST(Ranks, TheFolderHoldsWhatIsDocumentedAndNothingIsLeftBeside) {
  const TemporaryFolder folder;
  expect_all_ok(save_on_ranks(folder.path(), 3, {10, 20, 30}));
  EXPECT_THAT(names_in(folder.path()), ElementsAre("latest", "step-20", "step-30"));
  EXPECT_EQ(read_bytes(folder.path() / "latest"), "step-30\n");
  EXPECT_THAT(names_in(folder.path() / "step-30"),
              ElementsAre("MANIFEST.json", "MANIFEST.sha256", "extra.json", "rank-0.h5", "rank-1.h5", "rank-2.h5"));
  EXPECT_THAT(describe(folder.path() / "step-30"),
              AllOf(HasSubstr("step 30 (rl), 4 tensors"), HasSubstr("in 4 files of 3 ranks, score")));
  save_two(folder.path());
  EXPECT_THAT(describe(folder.path() / "step-200"), HasSubstr("in 2 files, score"));
}

TEST(Ranks, ARankWithSeveralFilesAndOneWithNone) {
  const TemporaryFolder folder;
  expect_all_ok(on_ranks(3, [&](int rank) {
    StoreOptions options = rank_options(rank, 3);
    options.shard_bytes = 8 << 10;
    Store store(folder.path(), options);
    StateDict state;
    if (rank == 2) state.add("w", torch::arange(5000, torch::kInt64));
    store.save(example_info(1), state);
  }));
  EXPECT_THAT(names_in(folder.path() / "step-1"), AllOf(Contains("rank-2.0.h5"), Contains("rank-2.5.h5")));
  EXPECT_THAT(names_in(folder.path() / "step-1"), Not(Contains(AnyOf("rank-0.h5", "rank-1.h5"))));
  EXPECT_TRUE(torch::equal(load(folder.path() / "step-1").state.whole("w"), torch::arange(5000, torch::kInt64)));
}

TEST(Ranks, SavingAStepAgainReplacesItWhole) {
  const TemporaryFolder folder;
  expect_all_ok(on_ranks(3, [&](int rank) {
    Store store(folder.path(), rank_options(rank, 3));
    for (const int64_t content : {7, 8, 9}) {  // at the end of a stage the last step may be saved again
      store.save(example_info(20), example_part(content, rank, 3));
    }
  }));
  EXPECT_THAT(names_in(folder.path()), ElementsAre("latest", "step-20"));
  expect_same(load(folder.path() / "step-20").state, joined_state(9));
}

TEST(Ranks, SavesInTheBackgroundKeepTheStateOfTheCall) {
  const TemporaryFolder folder;
  expect_all_ok(on_ranks(3, [&](int rank) {
    Store store(folder.path(), rank_options(rank, 3));
    for (int64_t step = 1; step <= 5; ++step) {
      const StateDict state = example_part(step, rank, 3);
      store.save(example_info(step), state);
      for (const auto& [name, shard] : state.tensors) shard.data.zero_();
    }
  }));
  expect_same(load(folder.path() / "step-5").state, joined_state(5));
  expect_same(load(folder.path() / "step-4").state, joined_state(4));
}

TEST(Ranks, OptionsThatCannotBeAreRefused) {
  const TemporaryFolder folder;
  const auto refused = [&](int rank, int ranks, const std::string& token, const std::string& message) {
    try {
      const Store store(folder.path(), {.rank = rank, .ranks = ranks, .token = token});
      ADD_FAILURE() << "expected: " << message;
    } catch (const std::invalid_argument& error) {
      EXPECT_THAT(error.what(), HasSubstr(message));
    }
  };
  refused(2, 2, "t", "rank 2 of 2 ranks");
  refused(-1, 2, "t", "rank -1 of 2 ranks");
  refused(0, 0, "t", "rank 0 of 0 ranks");
  refused(0, 2, "", "found \"\"");
  refused(0, 2, "../x", "found \"../x\"");
  refused(0, 2, std::string(65, 'x'), "1 to 64 letters");
  const Store store(folder.path(), rank_options(0, 2));
  EXPECT_THROW(store.load_latest(), std::invalid_argument);  // no exchange
}

TEST(Range, OfATensorIsFlatAndNamesWhatIsMissing) {
  StateDict state;
  state.add("whole", torch::arange(12).reshape({3, 4}));
  state.tensors["part"] = {torch::arange(10, 20), {5, 8}, 10, 20};
  EXPECT_TRUE(torch::equal(state.range("whole", 3, 7), torch::arange(3, 7)));
  EXPECT_TRUE(torch::equal(state.range("part", 12, 20), torch::arange(12, 20)));
  EXPECT_EQ(state.range("part", 40, 40).numel(), 0);
  state.range("whole", 0, 12).zero_();
  EXPECT_EQ(state.whole("whole").sum().item<int64_t>(), 0);
  const auto refused = [&](const std::string& name, int64_t begin, int64_t end, const std::string& message) {
    try {
      state.range(name, begin, end);
      ADD_FAILURE() << "expected: " << message;
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(), HasSubstr(message));
    }
  };
  refused("part", 5, 25,
          "tensor part: elements 5 to 25 were requested, but 5 to 10 and 20 to 25 are missing; elements 10 to 20 of "
          "shape [5, 8]");
  refused("part", 0, 4, "elements 0 to 4 were requested, but 0 to 4 are missing");
  refused("part", 30, 41, "elements 30 to 41 were requested, but shape [5, 8] has 40");
  refused("part", -1, 4, "elements -1 to 4");
  refused("other", 0, 1, "tensor other: it is not among the 2 tensors");
}

}  // namespace
}  // namespace terse::checkpoints
