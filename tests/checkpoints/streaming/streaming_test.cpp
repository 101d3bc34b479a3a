// Tests that a checkpoint that is saved and read in pieces is the one that is saved and loaded as a whole.
#include <gmock/gmock.h>

#include "base/errors.h"
#include "checkpoints/streaming/streamed_save.h"
#include "checkpoints/streaming/tensor_reader.h"
#include "tests/checkpoints/support.h"

namespace terse::checkpoints {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

StateDict weights() {
  StateDict state;
  state.add("a", torch::arange(9000, torch::kFloat32).reshape({90, 100}));
  state.add("b", torch::full({5}, 1.5, torch::kBFloat16));
  state.add("c", torch::arange(4000, torch::kFloat32));
  state.add("optimizer/a", torch::zeros({90, 100}));
  state.extra = {{"tokenizer", "byte"}};
  state.files = {{"config.json", "{}\n"}};
  return state;
}

bool is_weight(const std::string& name) {
  return !name.starts_with("optimizer/");
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const DataError& error) {
    return error.what();
  }
  return "no DataError";
}

TEST(StreamedSave, IsTheSaveOfOneRank) {
  const TemporaryFolder folder;
  const StateDict state = weights();
  Store store(folder / "store", {.async = false, .shard_bytes = 16 << 10});
  store.save(example_info(3), state);
  std::filesystem::create_directory(folder / "streamed");
  StateDict description = state;
  description.tensors.clear();
  const auto read = [&](const Piece& piece) { return state.range(piece.name, piece.begin, piece.end); };
  save_streamed(*posix_file_system(), folder / "streamed", example_info(3), description,
                pieces_of(make_request(example_info(3), state)), read, 16 << 10);
  EXPECT_THAT(verify(folder / "streamed"), IsEmpty());
  EXPECT_GT(names_in(folder / "streamed").size(), 6u) << "several files";
  for (const std::string& name : names_in(folder / "streamed")) {
    if (name.starts_with("MANIFEST")) continue;  // it has the time
    EXPECT_EQ(read_bytes(folder / "streamed" / name), read_bytes(folder / "store/step-3" / name)) << name;
  }
  expect_same(load(folder / "streamed").state, state);
}

TEST(TensorReader, AnyPartOfATensorIsThatPartOfTheWhole) {
  const TemporaryFolder folder;
  const StateDict state = weights();
  Store store(folder.path(), {.async = false, .shard_bytes = 4 << 10});  // more files than are kept in memory
  store.save(example_info(3), state);
  TensorReader reader(posix_file_system(), folder / "step-3", is_weight);
  for (const char* name : {"c", "a", "b", "a"}) {
    const torch::Tensor whole = state.tensors.at(name).data.reshape({-1});
    const int64_t size = whole.numel();
    for (const auto& [begin, end] :
         std::vector<std::pair<int64_t, int64_t>>{{0, size}, {0, 0}, {size, size}, {1, size - 1}, {size / 3, size / 2}})
      EXPECT_TRUE(same_bits(reader.read(name, begin, end), whole.slice(0, begin, end))) << name << " " << begin;
  }
  EXPECT_THROW(reader.read("c", 0, 4001), std::out_of_range);
  EXPECT_THROW(reader.read("c", -1, 4), std::out_of_range);
  EXPECT_THROW(reader.read("optimizer/a", 0, 1), std::out_of_range) << "not wanted";
  EXPECT_THROW(reader.read("d", 0, 1), std::out_of_range);
}

TEST(TensorReader, ADamagedFileIsNamed) {
  const TemporaryFolder folder;
  Store store(folder.path(), {.async = false, .shard_bytes = 16 << 10});
  store.save(example_info(3), weights());
  const Path file = folder / "step-3/rank-0.1.h5";
  TensorReader reader(posix_file_system(), folder / "step-3", is_weight);
  std::string bytes = read_bytes(file);
  bytes[bytes.size() / 2] ^= 1;
  write_bytes(file, bytes);
  EXPECT_TRUE(reader.read("a", 0, 10).defined()) << "this part is in another file";
  EXPECT_THAT(message_of([&] { reader.read("a", 0, 9000); }), HasSubstr("step-3: rank-0.1.h5: its SHA-256 is"));
  write_bytes(folder / "step-3/MANIFEST.json", "{}");
  EXPECT_THAT(message_of([&] { TensorReader(posix_file_system(), folder / "step-3", is_weight); }),
              HasSubstr("step-3: MANIFEST.json: its SHA-256"));
}

}  // namespace
}  // namespace terse::checkpoints
