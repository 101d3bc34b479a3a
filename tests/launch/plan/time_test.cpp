// Compares the times of collectives and steps with numbers computed by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "launch/plan/step_time.h"

namespace terse::launch::plan {
namespace {

// Round numbers: 100 GB/s in a node, 10 GB/s between nodes for each rank, 1 and 10 microseconds a step.
configs::Hardware machine(const std::string& device = "cpu") {
  configs::Hardware m;
  m.device = device;
  m.memory_gbps = 1000;
  m.node = {100, 1};
  m.network = {10, 10};
  m.network_share = 0.5;
  m.overlap = 0;
  m.contention = 1;
  return m;
}

TEST(CollectiveCost, RingInANode) {
  // 4 ranks, 1 GB: 3 steps of 1 us, 3/4 GB at 100 GB/s.
  EXPECT_DOUBLE_EQ(collective_seconds(machine(), Collective::kAllGather, 1e9, {4, 1}), 3e-6 + 7.5e-3);
  EXPECT_DOUBLE_EQ(collective_seconds(machine(), Collective::kReduceScatter, 1e9, {4, 1}), 3e-6 + 7.5e-3);
  EXPECT_DOUBLE_EQ(collective_seconds(machine(), Collective::kAllReduce, 1e9, {4, 1}), 6e-6 + 15e-3);
}

TEST(CollectiveCost, RingAcrossNodes) {
  // 8 ranks on 2 nodes: 6 steps inside and 1 across. The 4 ranks of a node send 4 * 10 * 0.5 = 20 GB/s.
  EXPECT_DOUBLE_EQ(collective_seconds(machine(), Collective::kAllGather, 1e9, {8, 2}), 16e-6 + 0.875 / 20);
  // One rank on each of 4 nodes: 5 GB/s each.
  EXPECT_DOUBLE_EQ(collective_seconds(machine(), Collective::kAllGather, 1e9, {4, 4}), 30e-6 + 0.75 / 5);
}

TEST(CollectiveCost, TreeForSmallMessagesOfManyRanks) {
  // 1,024 ranks on 128 nodes, 8 bytes: the ring would take 2 (896 + 1270) us, the tree takes 2 (7 + 7 * 10) us.
  const double bytes = 8, node = 8 * 10 * 0.5e9;
  EXPECT_DOUBLE_EQ(collective_seconds(machine(), Collective::kAllReduce, bytes, {1024, 128}),
                   154e-6 + 2 * bytes / (0.9 * node));
}

TEST(CollectiveCost, NcclTakesTheFastestProtocol) {
  configs::Hardware h100 = configs::load_hardware("h100");
  h100.network_share = 1;
  // A ring of whole messages has 4.3 ms of latency before any byte. LL128 has less latency and 0.92 of the bandwidth;
  // LL has the least latency and a quarter of the bandwidth.
  const double simple = 8.4e-6 + 896 * 3.4e-6 + 127 * 9.6e-6, ll128 = 10e-6 + 896 * 1.9e-6 + 127 * 4e-6;
  const double ll = 3.6e-6 + 896 * 0.47e-6 + 127 * 2.7e-6;
  const auto seconds = [&](double bytes) {
    return collective_seconds(h100, Collective::kAllGather, bytes, {1024, 128});
  };
  const double second = 360e9 * 1024 / 1023;  // the bytes that take a second
  EXPECT_NEAR(seconds(1e11), simple + 1e11 / second, 1e-9);
  EXPECT_NEAR(seconds(1e9), ll128 + 1e9 / second / 0.92, 1e-9);
  EXPECT_NEAR(seconds(1e6), ll + 1e6 / second / 0.25, 1e-9);
}

TEST(CollectiveCost, NothingToDoTakesNoTime) {
  EXPECT_EQ(collective_seconds(machine(), Collective::kAllReduce, 1e9, {1, 1}), 0);
  EXPECT_EQ(collective_seconds(machine(), Collective::kAllReduce, 0, {4, 1}), 0);
}

TEST(CollectiveCost, VolumeByHand) {
  const Volume node = collective_volume(Collective::kAllReduce, 1000, {4, 1});
  EXPECT_DOUBLE_EQ(node.node, 1500);
  EXPECT_DOUBLE_EQ(node.network, 0);
  // One of the 4 ranks of a node sends to the other node.
  const Volume across = collective_volume(Collective::kAllGather, 1000, {8, 2});
  EXPECT_DOUBLE_EQ(across.node, 875 * 0.75);
  EXPECT_DOUBLE_EQ(across.network, 875 * 0.25);
}

StepWork work(int64_t zero, int64_t micro_batches = 1) {
  StepWork w;
  w.units = {1e6, 1e6};
  w.sharding = {4, 4, zero, false};
  w.compute_seconds = 1;
  w.micro_batches = micro_batches;
  return w;
}

double sent(const StepWork& w) {
  const Volume volume = step_time(machine(), w).volume;
  return volume.node + volume.network;
}

TEST(StepTime, VolumeOfEachZeroStage) {
  const double all = 2e6 * 4 * 0.75;  // one gather or reduction of all weights, sent by each of 4 ranks
  EXPECT_DOUBLE_EQ(sent(work(1)), 2 * all);
  EXPECT_DOUBLE_EQ(sent(work(2)), 2 * all);
  EXPECT_DOUBLE_EQ(sent(work(3)), 3 * all);
  EXPECT_DOUBLE_EQ(sent(work(1, 5)), 2 * all);
  EXPECT_DOUBLE_EQ(sent(work(2, 5)), 6 * all);
  EXPECT_DOUBLE_EQ(sent(work(3, 5)), 15 * all);
}

TEST(StepTime, HierarchicalSendsOnlyShardsAcrossNodes) {
  StepWork w = work(3);
  w.sharding = {16, 4, 3, true};
  const Volume volume = step_time(machine(), w).volume;
  EXPECT_DOUBLE_EQ(volume.node, 3 * 2e6 * 4 * 0.75);
  EXPECT_DOUBLE_EQ(volume.network, 2 * (2e6 / 4) * 4 * 0.75);  // all_reduce of a quarter among 4 nodes
}

TEST(StepTime, WithoutOverlapAllCommunicationIsWaitedFor) {
  const StepTime time = step_time(machine(), work(3));
  const double one = 3e-6 + 4e6 * 0.75 / 100e9;  // one collective of one unit
  EXPECT_NEAR(time.communication, 6 * one, 1e-12);
  EXPECT_NEAR(time.exposed, 6 * one, 1e-12);
  EXPECT_DOUBLE_EQ(time.compute, 1);
  EXPECT_DOUBLE_EQ(time.optimizer, 2e6 / 4 * 28 / 1000e9);
}

TEST(StepTime, OverlapLeavesTheFirstGatherAndTheLastReduction) {
  configs::Hardware m = machine();
  m.overlap = 1;
  m.contention = 1.5;
  const StepTime time = step_time(m, work(3));
  const double one = 3e-6 + 4e6 * 0.75 / 100e9;
  EXPECT_NEAR(time.exposed, 2 * one, 1e-12);
  EXPECT_NEAR(time.compute, 1 + 0.5 * 4 * one, 1e-12);  // hidden communication slows computing down by half of its time
}

TEST(StepTime, WhatComputingCannotHideSticksOut) {
  configs::Hardware m = machine();
  m.overlap = 0.5;
  StepWork w = work(3);
  const double one = 3e-6 + 4e6 * 0.75 / 100e9;
  w.compute_seconds = 3 * one;  // forward takes 1 and backward 2 of these; communication takes 2 and 4
  EXPECT_NEAR(step_time(m, w).exposed, (2 - 0.5) * one + (4 - 1) * one, 1e-12);
}

TEST(StepTime, SlowestOfManyRanks) {
  configs::Hardware m = machine();
  m.jitter = 0.01;
  const StepTime time = step_time(m, work(1));
  EXPECT_NEAR(time.slowest_rank / (time.total() - time.slowest_rank), 0.01 * std::sqrt(2 * std::log(4)), 1e-12);
  EXPECT_EQ(expected_maximum(1), 0);
  EXPECT_NEAR(expected_maximum(1024), 3.723, 1e-3);
}

}  // namespace
}  // namespace terse::launch::plan
