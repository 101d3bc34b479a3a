// A saved state loads with the same bits: element types, shapes, shards, splits over files, strides, names, JSON.
#include <chrono>
#include <cmath>
#include <limits>
#include <thread>

#include "checkpoints/save_request.h"
#include "tests/checkpoints/support.h"

namespace terse::checkpoints {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Saves with one store and loads without it.
Store::Loaded round_trip(const StateDict& state, uint64_t shard_bytes = 1 << 20) {
  const TemporaryFolder folder;
  {
    Store store(folder.path(), {.async = false, .shard_bytes = shard_bytes});
    store.save(example_info(7, 0.25), state);
  }
  EXPECT_TRUE(verify(folder.path() / "step-7").empty());
  auto loaded = load_latest(folder.path());
  EXPECT_TRUE(loaded.has_value());
  return std::move(*loaded);
}

torch::Tensor random_bits(int64_t elements, torch::ScalarType type) {
  const torch::Tensor bytes =
      torch::randint(0, 256, {elements * static_cast<int64_t>(torch::elementSize(type))}, torch::kUInt8);
  return type == torch::kUInt8 ? bytes : bytes.view(type);
}

TEST(RoundTrip, EveryElementTypeKeepsItsBits) {
  torch::manual_seed(1);
  StateDict state;
  for (const auto type : {torch::kUInt8, torch::kInt8, torch::kInt16, torch::kInt32, torch::kInt64, torch::kFloat16,
                          torch::kBFloat16, torch::kFloat32, torch::kFloat64}) {
    state.add(std::string("random/") + torch::toString(type), random_bits(997, type));
  }
  state.add("bool", torch::randint(0, 2, {33}).to(torch::kBool));
  expect_same(round_trip(state).state, state);
}

TEST(RoundTrip, SpecialFloatsKeepTheirBits) {
  StateDict state;
  const double inf = std::numeric_limits<double>::infinity();
  const torch::Tensor special =
      torch::tensor({0.0, -0.0, inf, -inf, std::nan(""), -std::nan(""), 5e-324}, torch::kFloat64);
  state.add("double", special);
  state.add("float", special.to(torch::kFloat32));
  state.add("bf16", special.to(torch::kBFloat16));
  expect_same(round_trip(state).state, state);
}

TEST(RoundTrip, EmptyAndScalarTensorsKeepTheirShape) {
  StateDict state;
  state.add("empty", torch::zeros({0}));
  state.add("empty3", torch::zeros({3, 0, 2}, torch::kBFloat16));
  state.add("scalar", torch::tensor(int64_t{-5}));
  state.add("one", torch::ones({1, 1, 1}));
  const Store::Loaded loaded = round_trip(state);
  expect_same(loaded.state, state);
  EXPECT_EQ(loaded.state.whole("empty3").sizes(), (torch::IntArrayRef{3, 0, 2}));
  EXPECT_EQ(loaded.state.whole("scalar").item<int64_t>(), -5);
}

TEST(RoundTrip, AStateWithoutTensorsOrWithoutExtra) {
  StateDict only_extra;
  only_extra.extra = {{"a", 1}};
  expect_same(round_trip(only_extra).state, only_extra);
  expect_same(round_trip(StateDict()).state, StateDict());
}

TEST(RoundTrip, ManyTensorsWithAwkwardNames) {
  StateDict state;
  for (int i = 0; i < 600; ++i) state.add("layers." + std::to_string(i) + ".weight", torch::full({i % 7}, i));
  for (const char* name :
       {".", "..", "/", "a", "a/b", "a%2Fb", "/a", "a//b", "ä ö", "with space", "tab\t", "\"quoted\"", "#1"}) {
    state.add(name, torch::rand({3}));
  }
  expect_same(round_trip(state).state, state);
}

TEST(RoundTrip, StridedTensorsAreStoredInRowMajorOrder) {
  const torch::Tensor base = torch::arange(60, torch::kFloat32).reshape({3, 4, 5});
  StateDict state;
  state.add("transposed", base.transpose(0, 2));
  state.add("every second", base.slice(2, 0, 5, 2));
  state.add("expanded", torch::tensor({1.0f, 2.0f}).unsqueeze(1).expand({2, 1000}));
  expect_same(round_trip(state).state, state);
  expect_same(round_trip(state, 4 << 10).state, state);
}

TEST(RoundTrip, PartialShardsKeepTheirRange) {
  StateDict state;
  state.tensors["flat"] = {torch::arange(10, torch::kFloat32), {8, 5}, 15, 25};
  state.tensors["nothing"] = {torch::empty({0}), {8, 5}, 40, 40};
  const Store::Loaded loaded = round_trip(state);
  expect_same(loaded.state, state);
  EXPECT_THROW(loaded.state.whole("flat"), std::runtime_error);
}

TEST(RoundTrip, LargeTensorsSpreadOverFilesOfBoundedSize) {
  constexpr uint64_t kShardBytes = 64 << 10;
  StateDict state;
  state.add("a", torch::rand({100, 333}));
  state.add("b", torch::rand({12345}, torch::kFloat64));
  state.add("c", torch::rand({7}).to(torch::kBFloat16));
  const TemporaryFolder folder;
  Store store(folder.path(), {.async = false, .shard_bytes = kShardBytes});
  store.save(example_info(7), state);
  expect_same(store.load_latest()->state, state);
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path() / "step-7")) {
    if (entry.path().extension() != ".h5") continue;
    EXPECT_LE(entry.file_size(), kShardBytes + 1024) << entry.path();
    ++files;
  }
  EXPECT_EQ(files, 4);
}

TEST(RoundTrip, FilesAreNotMadeSmallerThanTheLeastSize) {
  StateDict state;
  state.add("a", torch::rand({3 << 10}));  // 12 KiB
  const auto files = [&](uint64_t shard_bytes) {
    const TemporaryFolder folder;
    Store store(folder.path(), {.async = false, .shard_bytes = shard_bytes});
    store.save(example_info(7), state);
    const std::filesystem::directory_iterator all(folder.path() / "step-7");
    return std::count_if(begin(all), end(all), [](const auto& entry) { return entry.path().extension() == ".h5"; });
  };
  EXPECT_EQ(files(1), files(4 << 10));
  EXPECT_GT(files(1), files(8 << 10));
}

TEST(RoundTrip, PlanCoversEveryElementOnceForAnyFileSize) {
  StateDict state;
  state.add("a", torch::zeros({5000}));
  state.add("b", torch::zeros({0}));
  state.add("c", torch::zeros({1}, torch::kFloat64));
  state.tensors["d"] = {torch::zeros({900}, torch::kBFloat16), {10, 100}, 100, 1000};
  for (uint64_t bytes = 2048; bytes < 30000; bytes += 997) {
    std::map<std::string, int64_t> next = {{"a", 0}, {"b", 0}, {"c", 0}, {"d", 100}};
    for (const auto& file : plan_shards(pieces_of(make_request(example_info(1), state)), bytes)) {
      uint64_t used = 0;
      for (const Piece& piece : file) {
        EXPECT_EQ(piece.begin, next.at(piece.name)) << piece.name;
        next[piece.name] = piece.end;
        used += piece.bytes();
      }
      EXPECT_LE(used, bytes);
      EXPECT_FALSE(file.empty());
    }
    EXPECT_EQ(next, (std::map<std::string, int64_t>{{"a", 5000}, {"b", 0}, {"c", 1}, {"d", 1000}}));
  }
}

TEST(RoundTrip, ExtraKeepsNumbersExactly) {
  StateDict state;
  state.extra = {{"tenth", 0.1},
                 {"denormal", 5e-324},
                 {"largest", std::numeric_limits<uint64_t>::max()},
                 {"smallest", std::numeric_limits<int64_t>::min()},
                 {"minus zero", -0.0},
                 {"text", "ä\n\"\\\u0001"},
                 {"list", {1, 2.5, nullptr, true, nlohmann::json::object(), nlohmann::json::array()}}};
  const Store::Loaded loaded = round_trip(state);
  EXPECT_EQ(loaded.state.extra.dump(), state.extra.dump());
  EXPECT_TRUE(std::signbit(loaded.state.extra["minus zero"].get<double>()));
}

TEST(RoundTrip, InfoComesBackAndAnUnknownScoreStaysUnknown) {
  const TemporaryFolder folder;
  Store store(folder.path(), {.async = false});
  store.save({5, "sft", "abc", 1.0 / 3}, example_state(5));
  store.save({6, "sft", "abc", -std::numeric_limits<double>::infinity()}, example_state(6));
  EXPECT_TRUE(std::isnan(store.load_latest()->info.score));
  const Store::Loaded loaded = load(folder.path() / "step-5/");
  EXPECT_EQ(loaded.info.step, 5);
  EXPECT_EQ(loaded.info.stage, "sft");
  EXPECT_EQ(loaded.info.config_hash, "abc");
  EXPECT_EQ(loaded.info.score, 1.0 / 3);
  EXPECT_EQ(loaded.path, folder.path() / "step-5");
}

TEST(RoundTrip, SameStateGivesSameBytesApartFromTheManifest) {
  const TemporaryFolder a, b;
  for (const Path& dir : {a.path(), b.path()}) {
    Store store(dir, {.async = dir == b.path()});
    store.save(example_info(7), example_state(7));
    store.wait();
    std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // HDF5 records times in seconds
  }
  for (const char* name : {"rank-0.h5", "extra.json"}) {
    EXPECT_EQ(read_bytes(a.path() / "step-7" / name), read_bytes(b.path() / "step-7" / name)) << name;
  }
}

TEST(RoundTrip, FolderHoldsWhatIsDocumented) {
  const TemporaryFolder folder;
  save_two(folder.path() / "run" / "checkpoints");
  const Path dir = folder.path() / "run" / "checkpoints";
  EXPECT_THAT(names_in(dir), ElementsAre("latest", "step-100", "step-200"));
  EXPECT_THAT(names_in(dir / "step-200"), ElementsAre("MANIFEST.json", "MANIFEST.sha256", "extra.json", "rank-0.h5"));
  EXPECT_EQ(read_bytes(dir / "latest"), "step-200\n");
  EXPECT_THAT(list_checkpoints(dir), ElementsAre(dir / "step-200", dir / "step-100"));
  EXPECT_THAT(describe(dir / "step-200"), HasSubstr("step 200 (rl), 3 tensors"));
  EXPECT_TRUE(list_checkpoints(folder.path() / "nowhere").empty());
}

TEST(RoundTrip, ADescriptionGivesTheScoreOrSaysThatThereIsNone) {
  const TemporaryFolder folder;
  Store store(folder.path(), {});
  store.save(example_info(1, 0.5), example_state(1));
  store.save(example_info(2, std::numeric_limits<double>::quiet_NaN()), example_state(2));
  store.wait();
  EXPECT_THAT(describe(folder.path() / "step-1"), HasSubstr(", score 0.5, config"));
  EXPECT_THAT(describe(folder.path() / "step-2"), HasSubstr(", without a score, config"));
}

void expect_refused(const StateDict& state, const std::string& message) {
  const TemporaryFolder folder;
  Store store(folder.path(), {});
  try {
    store.save(example_info(1), state);
    FAIL() << "expected: " << message;
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr(message));
  }
  EXPECT_TRUE(names_in(folder.path()).empty());
}

TEST(RoundTrip, RefusesTensorsThatItCannotStoreExactly) {
  const auto with = [](Shard shard) {
    StateDict state;
    state.tensors["w"] = std::move(shard);
    return state;
  };
  expect_refused(with({torch::zeros({2}, torch::kComplexFloat), {2}, 0, 2}), "tensor w has dtype ComplexFloat");
  expect_refused(with({torch::Tensor(), {2}, 0, 2}), "tensor w is undefined");
  expect_refused(with({torch::zeros({2}), {3}, 0, 3}),
                 "tensor w: the data has 2 elements, but the shard has elements 0 to 3");
  expect_refused(with({torch::zeros({2}), {3}, 2, 4}), "the shard has elements 2 to 4, but the shape has 3");
  expect_refused(with({torch::zeros({2}), {3}, -1, 1}), "the shard has elements -1 to 1");
  expect_refused(with({torch::zeros({1}), {-1}, 0, 1}), "invalid shape [-1]");
  expect_refused(with({torch::zeros({1}), {1LL << 40, 1LL << 40}, 0, 1}), "invalid shape");
  expect_refused(with({torch::zeros({2, 2}).to_sparse(), {2, 2}, 0, 4}), "not a dense tensor");
  StateDict state;
  state.add(std::string("a\0b", 3), torch::zeros({1}));
  expect_refused(state, "without a zero byte");
  state.tensors.clear();
  state.add("bad \xff name", torch::zeros({1}));
  expect_refused(state, "not UTF-8");
  state.tensors.clear();
  state.add("", torch::zeros({1}));
  expect_refused(state, "a tensor name of 0 bytes");
}

TEST(RoundTrip, RefusesExtraThatJsonCannotHold) {
  StateDict state;
  state.extra = {{"best", {{"loss", std::numeric_limits<double>::infinity()}}}};
  expect_refused(state, "extra/best/loss is inf");
  state.extra = {1, 2, std::nan("")};
  expect_refused(state, "extra/2 is nan");
  state.extra = {{"raw", nlohmann::json::binary({1, 2})}};
  expect_refused(state, "extra/raw is not JSON");
  state.extra = {{"text", "\xff"}};
  expect_refused(state, "extra: ");
  state.extra = nullptr;
  for (int i = 0; i < 100; ++i) state.extra = nlohmann::json::array({state.extra});
  expect_refused(state, "nested more than 64 levels deep");
}

}  // namespace
}  // namespace terse::checkpoints
