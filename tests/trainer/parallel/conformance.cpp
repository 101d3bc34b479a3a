// The tests that every backend of collectives must pass. They run as 1, 2, 3 and 4 ranks under mpirun, and without it:
//
//   conformance BACKEND [DEVICE]      BACKEND: auto, mpi, staged, nccl; DEVICE: cpu, cuda
//
// Every rank runs the same tests in the same order. The program fails on all ranks when one of them fails. It exits
// with code 77 when GPUs are missing.
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <numeric>
#include <thread>

#include "trainer/device.h"
#include "trainer/parallel/mpi/message_channel.h"
#include "trainer/parallel/world.h"

namespace terse::trainer {
namespace {

using torch::Tensor;

constexpr int kSkipped = 77;

World* world = nullptr;
torch::Device device = torch::kCPU;

Collectives& all() {
  return world->group(device);
}
int64_t rank() {
  return all().rank();
}
int64_t size() {
  return all().size();
}

constexpr torch::ScalarType kDtypes[] = {torch::kFloat32, torch::kBFloat16, torch::kFloat64,
                                         torch::kInt64,   torch::kInt32,    torch::kUInt8};

// The elements [from, from + n) of rank r. They are small whole numbers, which every dtype represents exactly.
Tensor values(int64_t r, int64_t n, torch::ScalarType dtype, int64_t from = 0) {
  return ((torch::arange(from, from + n, torch::kInt64) * 7 + r * 13) % 61).to(dtype);
}
Tensor on_device(const Tensor& host) {
  return host.to(device);
}
Tensor empty_like_values(int64_t n, torch::ScalarType dtype) {
  return torch::full({n}, 99, torch::device(device).dtype(dtype));
}

#define EXPECT_SAME(found, expected)                                                                   \
  EXPECT_TRUE(torch::equal((found).cpu(), expected))                                                   \
      << "rank " << rank() << " of " << size() << "\nfound " << (found).cpu().flatten().slice(0, 0, 8) \
      << "\nexpected " << (expected).flatten().slice(0, 0, 8)

// Uneven counts, with 0 for rank 1, and the same on every rank.
std::vector<int64_t> uneven_counts(int64_t scale) {
  std::vector<int64_t> counts(size());
  for (int64_t r = 0; r < size(); ++r) counts[r] = r == 1 ? 0 : (r + 1) * scale + r;
  return counts;
}
int64_t sum(const std::vector<int64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), int64_t{0});
}

TEST(Collectives, KnowTheirPlace) {
  EXPECT_EQ(size(), world->place().ranks);
  EXPECT_EQ(rank(), world->place().rank);
  EXPECT_LT(world->place().node, world->place().nodes);
  EXPECT_FALSE(world->place().host.empty());
}

TEST(Collectives, AllReduceOfEveryTypeAndSize) {
  for (const torch::ScalarType dtype : kDtypes) {
    for (const int64_t n : {0, 1, 5, 4097, 300'007}) {
      Tensor total = values(0, n, torch::kFloat64), most = total.clone(), least = total.clone();
      for (int64_t r = 1; r < size(); ++r) {
        const Tensor other = values(r, n, torch::kFloat64);
        total += other;
        most = torch::maximum(most, other);
        least = torch::minimum(least, other);
      }
      for (const auto& [reduce, expected] :
           {std::pair{Reduce::kSum, total}, {Reduce::kMax, most}, {Reduce::kMin, least}}) {
        Tensor x = on_device(values(rank(), n, dtype));
        all().all_reduce("x", x, reduce).wait();
        EXPECT_SAME(x, expected.to(dtype));
      }
    }
  }
}

// Values of very different magnitudes, so that their sum depends on the order of summation.
Tensor rough(int64_t r, int64_t n, torch::ScalarType dtype) {
  const Tensor i = torch::arange(n, torch::kFloat64) + 1000 * static_cast<double>(r);
  return (torch::sin(i * 12.9898) * torch::exp2((i * 5) % 23 - 11)).to(dtype);
}

TEST(Collectives, SumsAreTheSameBitsOnAllRanks) {
  for (const torch::ScalarType dtype : {torch::kFloat32, torch::kBFloat16}) {
    for (const int64_t n : {100, 100'003}) {
      Tensor x = on_device(rough(rank(), n, dtype));
      all().all_reduce("rough", x, Reduce::kSum).wait();
      const Tensor bytes = x.cpu().view(torch::kUInt8);
      const std::string mine(static_cast<const char*>(bytes.data_ptr()), bytes.numel());
      for (const std::string& other : all_gather_bytes(all(), "bits", mine)) EXPECT_TRUE(other == mine);
    }
  }
}

TEST(Collectives, SumsOverMpiGoInOrderOfRankAndRoundOnce) {
  if (std::string(all().backend()) == "nccl") GTEST_SKIP() << "NCCL has an order of its own";
  for (const torch::ScalarType dtype : {torch::kFloat32, torch::kBFloat16}) {
    for (const int64_t n : {100, 100'003}) {
      Tensor expected = rough(0, n, dtype).to(torch::kFloat32);
      for (int64_t r = 1; r < size(); ++r) expected += rough(r, n, dtype).to(torch::kFloat32);
      Tensor x = on_device(rough(rank(), n, dtype)), whole = x.clone();
      all().all_reduce("rough", x, Reduce::kSum).wait();
      EXPECT_SAME(x, expected.to(dtype));

      std::vector<int64_t> counts(size(), n / size());
      counts.back() += n % size();
      Tensor mine = empty_like_values(counts[rank()], dtype);
      all().reduce_scatter("rough", whole, mine, counts).wait();
      EXPECT_SAME(mine, expected.slice(0, rank() * (n / size()), rank() * (n / size()) + counts[rank()]).to(dtype));
    }
  }
}

TEST(Collectives, ANanOnAnyRankIsSeenByAll) {
  if (std::string(all().backend()) == "nccl") GTEST_SKIP() << "NCCL's maximum leaves NaN out";
  for (const Reduce reduce : {Reduce::kSum, Reduce::kMax, Reduce::kMin}) {
    Tensor x = torch::ones({3}, device);
    if (rank() == size() - 1) x[1] = std::numeric_limits<float>::quiet_NaN();
    all().all_reduce("nan", x, reduce).wait();
    EXPECT_TRUE(std::isnan(x[1].item<float>()));
    EXPECT_FALSE(std::isnan(x[0].item<float>()));
  }
}

TEST(Collectives, AllGatherOfUnevenAndEmptyShares) {
  for (const torch::ScalarType dtype : kDtypes) {
    for (const int64_t scale : {1, 50'000}) {
      const std::vector<int64_t> counts = uneven_counts(scale);
      std::vector<Tensor> parts;
      for (int64_t r = 0; r < size(); ++r) parts.push_back(values(r, counts[r], dtype));
      const Tensor expected = torch::cat(parts);

      Tensor gathered = empty_like_values(sum(counts), dtype);
      all().all_gather("apart", on_device(parts[rank()]), gathered, counts).wait();
      EXPECT_SAME(gathered, expected);

      Tensor in_place = empty_like_values(sum(counts), dtype);
      const int64_t before = std::accumulate(counts.begin(), counts.begin() + rank(), int64_t{0});
      const Tensor mine = in_place.slice(0, before, before + counts[rank()]);
      mine.copy_(parts[rank()]);
      all().all_gather("in place", mine, in_place, counts).wait();
      EXPECT_SAME(in_place, expected);
    }
  }
}

TEST(Collectives, ReduceScatterOfUnevenAndEmptyShares) {
  for (const torch::ScalarType dtype : kDtypes) {
    for (const int64_t scale : {1, 300'000}) {
      const std::vector<int64_t> counts = uneven_counts(scale);
      const int64_t n = sum(counts), before = std::accumulate(counts.begin(), counts.begin() + rank(), int64_t{0});
      Tensor expected = torch::zeros({counts[rank()]}, torch::kFloat64);
      for (int64_t r = 0; r < size(); ++r) expected += values(r, counts[rank()], torch::kFloat64, before);
      Tensor mine = empty_like_values(counts[rank()], dtype);
      all().reduce_scatter("sum", on_device(values(rank(), n, dtype)), mine, counts).wait();
      EXPECT_SAME(mine, expected.to(dtype));
    }
  }
}

TEST(Collectives, AllToAllOfUnevenAndEmptyShares) {
  for (const torch::ScalarType dtype : kDtypes) {
    for (const int64_t scale : {1, 20'011}) {
      const auto count = [&](int64_t from, int64_t to) { return (from * 3 + to * 5) % 4 * scale; };
      std::vector<int64_t> send(size()), receive(size());
      std::vector<Tensor> out, expected;
      for (int64_t r = 0; r < size(); ++r) {
        send[r] = count(rank(), r);
        receive[r] = count(r, rank());
        out.push_back(values(rank(), send[r], dtype, 1000 * r));
        expected.push_back(values(r, receive[r], dtype, 1000 * rank()));
      }
      Tensor received = empty_like_values(sum(receive), dtype);
      all().all_to_all("shares", on_device(torch::cat(out)), send, received, receive).wait();
      EXPECT_SAME(received, torch::cat(expected));
    }
  }
}

TEST(Collectives, BroadcastFromEveryRoot) {
  for (const int64_t n : {0, 1, 1000, 100'003}) {
    for (int64_t root = 0; root < size(); ++root) {
      Tensor x = on_device(values(rank(), n, torch::kFloat32));
      all().broadcast("x", x, root).wait();
      EXPECT_SAME(x, values(root, n, torch::kFloat32));
    }
  }
}

TEST(Collectives, MessagesOfManyPieces) {
  const int64_t n = (17 << 20) + 3;
  const std::vector<int64_t> counts(size(), n);
  Tensor gathered = empty_like_values(n * size(), torch::kUInt8);
  all().all_gather("large", on_device(values(rank(), n, torch::kUInt8)), gathered, counts).wait();
  for (int64_t r = 0; r < size(); ++r) EXPECT_SAME(gathered.slice(0, r * n, (r + 1) * n), values(r, n, torch::kUInt8));
}

TEST(Collectives, ManyOperationsUnderWayFinishInAnyOrderOfWaiting) {
  std::vector<Tensor> x;
  std::vector<Work> work;
  for (int64_t i = 0; i < 40; ++i) {
    x.push_back(on_device(values(rank() + i, 1 + 997 * (i % 5), torch::kInt64)));
    work.push_back(all().all_reduce(fmt::format("x{}", i), x.back(), Reduce::kSum));
  }
  for (int64_t i = 39; i >= 0; --i) {
    work[i].wait();
    Tensor expected = torch::zeros_like(x[i].cpu());
    for (int64_t r = 0; r < size(); ++r) expected += values(r + i, x[i].numel(), torch::kInt64);
    EXPECT_SAME(x[i], expected);
  }
}

TEST(Collectives, AnOperationIsUnderWayWhileTheCallerDoesOtherThings) {
  const auto other = all().split("other", 0, 0);
  Tensor a = torch::ones({8}, device), b = torch::ones({8}, device);
  // Even ranks start with one group and odd ranks with the other. This deadlocks if a call blocks until its operation
  // is complete.
  Work first, second;
  if (rank() % 2 == 0) {
    first = all().all_reduce("a", a, Reduce::kSum);
    second = other->all_reduce("b", b, Reduce::kSum);
  } else {
    second = other->all_reduce("b", b, Reduce::kSum);
    first = all().all_reduce("a", a, Reduce::kSum);
  }
  first.wait();
  second.wait();
  EXPECT_SAME(a, torch::full({8}, static_cast<float>(size())));
  EXPECT_SAME(b, torch::full({8}, static_cast<float>(size())));
}

TEST(Collectives, SplitByColorInOrderOfKey) {
  const auto half = all().split("half", rank() % 2, -rank());
  EXPECT_STREQ(half->backend(), all().backend());
  const int64_t members = (size() + 1 - rank() % 2) / 2, place = members - 1 - rank() / 2;
  EXPECT_EQ(half->size(), members);
  EXPECT_EQ(half->rank(), place);
  Tensor ranks = empty_like_values(members, torch::kInt64);
  half->all_gather("ranks", torch::full({1}, rank(), torch::device(device).dtype(torch::kInt64)), ranks,
                   std::vector<int64_t>(members, 1))
      .wait();
  for (int64_t i = 0; i < members; ++i) EXPECT_EQ(ranks[i].item<int64_t>(), 2 * (members - 1 - i) + rank() % 2);

  const auto alone = half->split("alone", rank(), 0);
  EXPECT_EQ(alone->size(), 1);
  Tensor x = on_device(values(rank(), 5, torch::kFloat32));
  alone->all_reduce("x", x, Reduce::kSum).wait();
  EXPECT_SAME(x, values(rank(), 5, torch::kFloat32));
}

TEST(Collectives, EqualKeysKeepTheOrderOfRanks) {
  const auto same = all().split("same", 7, 3);
  EXPECT_EQ(same->rank(), rank());
  EXPECT_EQ(same->size(), size());
}

TEST(Collectives, GroupsAreUsedByThreadsAtOnce) {
  const auto one = all().split("one", 0, 0), two = all().split("two", 0, 0);
  const auto use = [](Collectives& group, int64_t seed) {
    for (int64_t i = 0; i < 50; ++i) {
      Tensor x = torch::full({64}, seed + i, torch::device(device).dtype(torch::kInt64));
      group.all_reduce("x", x, Reduce::kSum).wait();
      EXPECT_EQ(x[63].item<int64_t>(), (seed + i) * group.size());
    }
  };
  std::thread beside([&] { use(*one, 1000); });
  use(*two, 5);
  beside.join();
}

TEST(Collectives, BytesOfAnyLength) {
  const std::string mine(rank() == 0 ? 0 : 1000 * rank(), static_cast<char>('a' + rank()));
  const std::vector<std::string> gathered = all_gather_bytes(all(), "text", mine);
  ASSERT_EQ(static_cast<int64_t>(gathered.size()), size());
  for (int64_t r = 0; r < size(); ++r)
    EXPECT_EQ(gathered[r], std::string(r == 0 ? 0 : 1000 * r, static_cast<char>('a' + r)));
  for (const std::string& empty : all_gather_bytes(all(), "nothing", "")) EXPECT_EQ(empty, "");
  barrier(all(), "barrier");
}

// Every rank sends messages to every other rank. The first message of each pair is a large one.
TEST(Messages, ArriveWholeAndInOrder) {
  if (size() == 1) GTEST_SKIP() << "a rank that runs alone has no other rank to send to";
  MessageChannel& channel = world->messages();
  constexpr int kMessages = 20;
  const auto text = [](int64_t from, int64_t to, int n) {
    return std::string(n == 0 ? 3'000'000 : 1, 'x') + fmt::format("{}-{}-{}", from, to, n);
  };
  std::vector<int64_t> others;
  for (int64_t r = 0; r < size(); ++r)
    if (r != rank()) others.push_back(r);
  for (int n = 0; n < kMessages; ++n)
    for (const int64_t r : others) channel.send(r, text(rank(), r, n));
  std::vector<int> come(static_cast<size_t>(size()), 0);
  for (size_t left = kMessages * others.size(); left > 0; --left) {
    std::optional<MessageChannel::Message> message;
    while (!message) message = channel.wait({others, "a message", true}, 60);
    int& n = come[static_cast<size_t>(message->source)];
    EXPECT_EQ(message->bytes, text(message->source, rank(), n++));
  }
  EXPECT_FALSE(channel.take());
  EXPECT_THROW(channel.send(others[0], ""), std::invalid_argument);
  barrier(all(), "all messages have arrived");
}

// Splits the world into the even and the odd ranks.
TEST(Collectives, APartOfAWorldIsAWorld) {
  const auto part = split(*world, device, "parity", rank() % 2);
  const Place& place = part->place();
  EXPECT_EQ(place.rank, rank() / 2);
  EXPECT_EQ(place.ranks, (size() + 1 - rank() % 2) / 2);
  EXPECT_EQ(place.local_rank, world->place().local_rank);
  EXPECT_LT(place.node, place.nodes);
  Tensor sum_of_ranks = torch::full({1}, rank(), torch::device(device).dtype(torch::kInt64));
  part->group(device).all_reduce("ranks", sum_of_ranks, Reduce::kSum).wait();
  int64_t expected = 0;
  for (int64_t r = rank() % 2; r < size(); r += 2) expected += r;
  EXPECT_EQ(sum_of_ranks.item<int64_t>(), expected);
}

// An argument that is wrong regardless of the other ranks throws before the call counts as an operation, so the ranks
// stay in step.
template <typename Act>
void expect_refusal(const std::string& part, const Act& act) {
  try {
    act();
    FAIL() << "not refused: " << part;
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

TEST(Collectives, WrongArgumentsAreRefusedByName) {
  const Tensor x = torch::ones({4, 4}, device);
  const std::vector<int64_t> ones(size(), 1);
  expect_refusal("all_reduce \"turned\": the input of shape 4x4 is not contiguous",
                 [&] { all().all_reduce("turned", x.t(), Reduce::kSum); });
  expect_refusal("all_reduce \"half\": the input is of Half",
                 [&] { all().all_reduce("half", x.to(torch::kHalf), Reduce::kSum); });
  expect_refusal("add up to", [&] { all().all_gather("w", x[0][0], x, ones); });
  expect_refusal("the output has 5 counts, but the group has", [&] { all().all_gather("w", x, x, {16, 0, 0, 0, 0}); });
  expect_refusal("this rank's count is 1", [&] { all().reduce_scatter("w", torch::ones({size()}, device), x, ones); });
  expect_refusal("the root is rank", [&] { all().broadcast("w", x, size()); });
  expect_refusal("is negative", [&] { all().split("s", -1, 0); });
  Tensor y = torch::ones({1}, device);
  all().all_reduce("goes on", y, Reduce::kSum).wait();
  EXPECT_EQ(y.item<float>(), static_cast<float>(size()));
}

}  // namespace
}  // namespace terse::trainer

int main(int argc, char** argv) {
  using namespace terse::trainer;
  testing::InitGoogleTest(&argc, argv);
  const std::string backend = argc > 1 ? argv[1] : "auto", kind = argc > 2 ? argv[2] : "cpu";
  try {
    device = choose_device(kind);
  } catch (const std::runtime_error& problem) {
    std::fputs(problem.what(), stderr);
    return kSkipped;
  }
  const auto here = World::start({.backend = backend, .deadline = 60});
  world = here.get();
  set_threads(1);
  if (device.is_cuda()) {
    const int64_t gpus = c10::impl::VirtualGuardImpl(device.type()).deviceCount();
    if (backend == "nccl" && world->place().ranks > gpus)
      world->abort(kSkipped, fmt::format("{} ranks on {} GPUs, which NCCL refuses", world->place().ranks, gpus));
    device = torch::Device(torch::kCUDA, static_cast<c10::DeviceIndex>(world->place().local_rank % gpus));
    c10::impl::VirtualGuardImpl(device.type()).setDevice(device);
  }
  torch::Tensor failed = torch::zeros({1}, torch::device(device).dtype(torch::kInt32));
  failed.fill_(RUN_ALL_TESTS());
  all().all_reduce("failed", failed, Reduce::kMax).wait();
  return failed.item<int32_t>();
}
