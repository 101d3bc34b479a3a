// A collective operation with its arguments (CollectiveOp), and the argument checks that all backends share. The checks
// run before any data moves and concern this rank alone; op_fingerprint.h compares the ranks.
#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

#include "trainer/parallel/collectives/collectives.h"

namespace terse::trainer {

// kSplit makes a new group. kEnd is the last operation of a world: it detects a rank that ends too early.
enum class Kind { kAllReduce, kAllGather, kReduceScatter, kAllToAll, kBroadcast, kSplit, kEnd };

struct CollectiveOp {
  Kind kind = Kind::kEnd;
  std::string name = {};
  torch::Tensor in = {}, out = {};  // the same tensor for all_reduce and broadcast; undefined for kSplit, kEnd
  std::vector<int64_t> in_counts = {}, out_counts = {};  // elements of `in` and `out` that belong to each rank
  Reduce reduce = Reduce::kSum;
  int64_t root = 0;
};

const char* name_of(Kind kind);
const char* name_of(Reduce reduce);
const char* name_of(torch::ScalarType dtype);  // "float32"; LibTorch's name for a dtype that collectives lack

// Turns every operation into a CollectiveOp, checks it, and passes it to start(). Throws std::invalid_argument when a
// tensor or a count is wrong regardless of the other ranks. The message names the operation, its name, and what was
// found and expected.
class CheckedCollectives : public Collectives {
 public:
  Work all_reduce(std::string_view name, torch::Tensor values, Reduce reduce) final;
  Work all_gather(std::string_view name, torch::Tensor mine, torch::Tensor all, std::vector<int64_t> counts) final;
  Work reduce_scatter(std::string_view name, torch::Tensor all, torch::Tensor mine, std::vector<int64_t> counts) final;
  Work all_to_all(std::string_view name, torch::Tensor send, std::vector<int64_t> send_counts, torch::Tensor receive,
                  std::vector<int64_t> receive_counts) final;
  Work broadcast(std::string_view name, torch::Tensor values, int64_t root) final;

 protected:
  virtual Work start(CollectiveOp op) = 0;

 private:
  Work start_checked(CollectiveOp op);
};

// Throws std::invalid_argument when `color` is negative.
void check_color(std::string_view name, int64_t color);

}  // namespace terse::trainer
