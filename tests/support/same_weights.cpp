// Compares the weights of two runs bit by bit: the tensors of their newest checkpoints.
//
//   same_weights RUN RUN
//
// Prints the differences and exits with 1 when there are any. It reads through checkpoints/, so the number of ranks
// that saved does not matter.
#include <fmt/format.h>

#include <cstring>
#include <exception>

#include "checkpoints/store.h"

namespace terse::checkpoints {
namespace {

using torch::Tensor;

bool same_bits(const Shard& a, const Shard& b) {
  const Tensor x = a.data.contiguous(), y = b.data.contiguous();
  return a.shape == b.shape && x.scalar_type() == y.scalar_type() && x.nbytes() == y.nbytes() &&
         std::memcmp(x.data_ptr(), y.data_ptr(), x.nbytes()) == 0;
}

Store::Loaded newest(const std::filesystem::path& run) {
  if (auto loaded = load_latest(run / "checkpoints")) return std::move(*loaded);
  throw std::runtime_error(fmt::format("{} has no checkpoint", run.string()));
}

int compare(const std::filesystem::path& run, const std::filesystem::path& other) {
  const Store::Loaded ours = newest(run), theirs = newest(other);
  int differences = ours.info.step != theirs.info.step;
  if (differences > 0) fmt::print("steps {} and {}\n", ours.info.step, theirs.info.step);
  for (const auto& [name, shard] : theirs.state.tensors) {
    const auto mine = ours.state.tensors.find(name);
    if (mine != ours.state.tensors.end() && same_bits(mine->second, shard)) continue;
    fmt::print("{}\n", name);
    ++differences;
  }
  if (ours.state.tensors.size() != theirs.state.tensors.size() || theirs.state.tensors.empty()) {
    fmt::print("{} and {} tensors\n", ours.state.tensors.size(), theirs.state.tensors.size());
    ++differences;
  }
  return differences > 0;
}

}  // namespace
}  // namespace terse::checkpoints

int main(int argc, char** argv) {
  if (argc != 3) return 64;
  try {
    return terse::checkpoints::compare(argv[1], argv[2]);
  } catch (const std::exception& error) {
    fmt::print("{}\n", error.what());
    return 1;
  }
}
