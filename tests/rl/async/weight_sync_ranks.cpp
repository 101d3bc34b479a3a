// Tests the transfer of weights from ranks that learn to ranks that generate. Runs as several ranks under mpirun:
//
//   weight_sync_ranks LEARNERS
//
// The first LEARNERS ranks learn, and the others are samplers. All ranks fail when one of them fails.
#include <gtest/gtest.h>

#include <set>

#include "rl/async/weight_sync.h"
#include "tests/support/tiny_model.h"
#include "trainer/device.h"
#include "trainer/learners.h"
#include "trainer/parallel/world.h"

namespace terse::rl {
namespace {

using torch::Tensor;
using trainer::Collectives;
using trainer::FlatParams;
using trainer::Work;

trainer::World* world = nullptr;
int64_t learners = 0;
Collectives* part = nullptr;  // the ranks with the same role as this one

bool learns() {
  return world->place().rank < learners;
}

// Forwards all calls, and flips one bit of the n-th tensor that arrives, for each n in `flips`.
class FlippingCollectives final : public Collectives {
 public:
  FlippingCollectives(Collectives& inner, std::set<int> flips) : inner_(inner), flips_(std::move(flips)) {}
  int64_t rank() const override { return inner_.rank(); }
  int64_t size() const override { return inner_.size(); }
  torch::Device device() const override { return inner_.device(); }
  const char* backend() const override { return inner_.backend(); }
  Work all_reduce(std::string_view name, Tensor values, trainer::Reduce reduce) override {
    return inner_.all_reduce(name, values, reduce);
  }
  Work all_gather(std::string_view name, Tensor mine, Tensor all, std::vector<int64_t> counts) override {
    return inner_.all_gather(name, mine, all, std::move(counts));
  }
  Work reduce_scatter(std::string_view name, Tensor all, Tensor mine, std::vector<int64_t> counts) override {
    return inner_.reduce_scatter(name, all, mine, std::move(counts));
  }
  Work all_to_all(std::string_view name, Tensor send, std::vector<int64_t> send_counts, Tensor receive,
                  std::vector<int64_t> receive_counts) override {
    inner_.all_to_all(name, send, std::move(send_counts), receive, std::move(receive_counts)).wait();
    if (receive.numel() > 0 && flips_.count(arrived_++) > 0)
      static_cast<uint8_t*>(receive.data_ptr())[receive.nbytes() / 2] ^= 0x10;
    return {};
  }
  Work broadcast(std::string_view name, Tensor values, int64_t root) override {
    return inner_.broadcast(name, values, root);
  }
  std::unique_ptr<Collectives> split(std::string_view, int64_t, int64_t) override { return nullptr; }

 private:
  Collectives& inner_;
  std::set<int> flips_;
  int arrived_ = 0;
};

trainer::ModelSpec spec() {
  return support::tiny_spec({.qk_norm = true, .qkv_bias = true});
}

trainer::Sharding sharding_of(int64_t zero) {
  trainer::Sharding sharding;
  if (learners == 1) return sharding;
  sharding.zero = zero;
  sharding.everyone = sharding.shards = part;
  return sharding;
}

// Sends versions 1 to 3 and compares them on the samplers. Learners return the last transfer, with the resent units of
// all three.
Transfer send_three(Collectives& group, int64_t zero, torch::ScalarType dtype) {
  if (learns()) {
    FlatParams params(spec(), torch::kCPU, 1, sharding_of(zero));
    WeightSender sender(params, group, dtype);
    Transfer last;
    int64_t resent = 0;
    for (int64_t version = 1; version <= 3; ++version) {
      torch::NoGradGuard no_grad;
      params.master() += 1.0 / 8;
      sender.start(version);
      params.master() += 1;  // no effect, because a copy is sent
      params.master() -= 1;
      last = sender.finish();
      EXPECT_EQ(last.version, version);
      resent += last.resent;
    }
    last.resent = resent;
    return last;
  }
  FlatParams params(spec(), torch::kCPU, 9, {}, trainer::Purpose::kInference);
  WeightReceiver receiver(params, group, dtype);
  EXPECT_EQ(receiver.version(), -1);
  for (int64_t version = 1; version <= 3; ++version) {
    receiver.start(version);
    EXPECT_EQ(receiver.version(), version == 1 ? -1 : version - 1);
    receiver.finish();
    EXPECT_EQ(receiver.version(), version);
    Tensor expected = FlatParams(spec(), torch::kCPU, 1).master().clone();
    for (int64_t step = 0; step < version; ++step) {
      expected += 1.0 / 8;
      const Tensor sent = expected.clone();
      expected += 1;
      expected -= 1;
      if (step + 1 < version) continue;
      EXPECT_TRUE(torch::equal(params.master(), sent.to(dtype).to(torch::kFloat32))) << version;
    }
  }
  return {};
}

TEST(WeightSync, SamplersHoldTheLearnersWeightsBitForBit) {
  for (const int64_t zero : {1, 3}) {
    for (const auto dtype : {torch::kFloat32, torch::kBFloat16}) {
      const auto group = world->group(torch::kCPU).split("weights", 0, world->place().rank);
      const Transfer last = send_three(*group, zero, dtype);
      if (!learns()) continue;
      EXPECT_EQ(last.resent, 0);
      EXPECT_EQ(last.bytes, FlatParams(spec(), torch::kCPU, 1).size() * (dtype == torch::kFloat32 ? 4 : 2));
    }
  }
}

TEST(WeightSync, FrozenWeightsComeOnceAndThenOnlyAdapters) {
  configs::Lora lora;
  lora.rank = 3;
  const trainer::ModelSpec adapted = support::tiny_spec({.qk_norm = true, .lora = lora});
  for (const int64_t zero : {1, 3}) {
    const auto group = world->group(torch::kCPU).split("weights", 0, world->place().rank);
    const FlatParams expected(adapted, torch::kCPU, 1);
    if (learns()) {
      FlatParams params(adapted, torch::kCPU, 1, sharding_of(zero));
      WeightSender sender(params, *group, torch::kFloat32);
      sender.start(1);
      EXPECT_EQ(sender.finish().bytes, expected.size() * 4);
      continue;
    }
    FlatParams params(adapted, torch::kCPU, 9, {}, trainer::Purpose::kInference);
    WeightReceiver receiver(params, *group, torch::kFloat32);
    for (size_t layer = 0; layer < 2; ++layer)
      EXPECT_TRUE(torch::equal(params.frozen()->block(layer).qkv, expected.frozen()->block(layer).qkv));
    EXPECT_TRUE(torch::equal(params.frozen()->embedding(), expected.frozen()->embedding()));
    receiver.start(1);
    receiver.finish();
    EXPECT_TRUE(torch::equal(params.master(), expected.master()));
  }
}

TEST(WeightSync, AFlippedBitIsFoundAndItsUnitIsSentAgain) {
  const auto group = world->group(torch::kCPU).split("weights", 0, world->place().rank);
  // On the last sampler, damages the second unit of version 1, the first unit of version 3, and the latter's
  // repetition. There are 4 units.
  const bool last_rank = world->place().rank + 1 == world->place().ranks;
  FlippingCollectives flipping(*group, last_rank ? std::set<int>{1, 4 + 1 + 4, 4 + 1 + 4 + 4} : std::set<int>{});
  const Transfer last = send_three(flipping, 1, torch::kFloat32);
  EXPECT_EQ(last.resent, learns() ? 3 : 0);
}

TEST(WeightSync, WeightsThatKeepComingDamagedAreNotUsed) {
  const auto group = world->group(torch::kCPU).split("weights", 0, world->place().rank);
  std::set<int> all;
  for (int i = 0; i < 20; ++i) all.insert(i);
  FlippingCollectives flipping(*group, all);
  if (learns()) {
    FlatParams params(spec(), torch::kCPU, 1, sharding_of(1));
    WeightSender sender(params, flipping, torch::kFloat32);
    sender.start(1);
    EXPECT_THROW(sender.start(2), std::runtime_error);  // waits for the first transfer, as finish() does
    return;
  }
  FlatParams params(spec(), torch::kCPU, 9, {}, trainer::Purpose::kInference);
  WeightReceiver receiver(params, flipping, torch::kFloat32);
  receiver.start(1);
  EXPECT_THROW(receiver.finish(), std::runtime_error);
  EXPECT_EQ(receiver.version(), -1);
  EXPECT_TRUE(torch::equal(params.master(), torch::zeros_like(params.master())));
}

}  // namespace
}  // namespace terse::rl

int main(int argc, char** argv) {
  using namespace terse;
  testing::InitGoogleTest(&argc, argv);
  const auto here = trainer::World::start({.backend = "auto", .deadline = 60});
  rl::world = here.get();
  rl::learners = std::atol(argv[1]);
  trainer::set_threads(1);
  torch::Tensor failed = torch::zeros({1}, torch::kInt32);
  trainer::Collectives& all = here->group(torch::kCPU);
  const auto part = all.split("roles", rl::learns() ? 0 : 1, here->place().rank);
  rl::part = part.get();
  failed.fill_(RUN_ALL_TESTS());
  all.all_reduce("failed", failed, trainer::Reduce::kMax).wait();
  return failed.item<int32_t>();
}
