// Records a small model: the events nest, name what ran, and change no bit. Their times add up. No test depends on a
// speed.
#include "launch/bench/profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>
#include <stdexcept>

#include "launch/bench/chrome_trace.h"
#include "launch/bench/operation_work.h"
#include "tests/support/tiny_model.h"
#include "trainer/model/profile_scope.h"

namespace terse::launch::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

std::vector<Event> record(const std::function<void()>& work) {
  Recording recording(torch::kCPU);
  work();
  return recording.finish();
}

Training tiny_training(const trainer::ModelSpec& spec) {
  return Training(spec, torch::kCPU, {.sequences = 2, .tokens = 24});
}

std::vector<Event> recorded_update(const trainer::ModelSpec& spec) {
  Training training = tiny_training(spec);
  return record([&] { training.update(); });
}

std::vector<Event> recorded_generation() {
  Generation generation(support::tiny_spec(), torch::kCPU, {3, 3, 5, 7});
  return record([&] { generation.run(7); });
}

TEST(Workload, EveryRunReadsItsPrompts) {
  Generation generation(support::tiny_spec(), torch::kCPU, {3, 3, 3 * rl::kPageTokens, 7});
  for (int i = 0; i < 2; ++i) generation.run(2);
  EXPECT_EQ(generation.engine().use().found, 0) << "the prompts of the run before are in the cache";
}

void expect_nested(const std::vector<Event>& events) {
  for (size_t i = 0; i < events.size(); ++i) {
    const Event& event = events[i];
    EXPECT_LE(event.begin, event.end) << event.name;
    if (i > 0) {
      EXPECT_LE(events[i - 1].begin, event.begin) << event.name;
    }
    if (event.parent < 0) continue;
    ASSERT_LT(event.parent, static_cast<int64_t>(i)) << event.name;
    const Event& around = events[static_cast<size_t>(event.parent)];
    EXPECT_LE(around.begin, event.begin) << event.name << " in " << around.name;
    EXPECT_GE(around.end, event.end) << event.name << " in " << around.name;
  }
}

std::map<std::string, int64_t> calls(const PhaseTimes& phase) {
  std::map<std::string, int64_t> result;
  for (const auto& [name, times] : phase.operations) result[name] = times.count;
  return result;
}

const PhaseTimes& phase(const Profile& profile, const std::string& name) {
  for (const PhaseTimes& each : profile.phases)
    if (each.name == name) return each;
  throw std::out_of_range(name);
}

std::vector<std::string> phases(const Profile& profile) {
  std::vector<std::string> names;
  for (const PhaseTimes& each : profile.phases) names.push_back(each.name);
  return names;
}

void expect_sums(const Profile& profile) {
  int64_t all = profile.other();
  EXPECT_GE(profile.other(), 0);
  for (const PhaseTimes& each : profile.phases) {
    EXPECT_GE(each.other(), 0) << each.name;
    int64_t of_phase = each.other();
    for (const auto& [name, times] : each.operations) {
      EXPECT_GE(times.nanoseconds, 0) << name;
      of_phase += times.nanoseconds;
    }
    EXPECT_EQ(of_phase, each.nanoseconds) << each.name;
    all += each.nanoseconds;
  }
  EXPECT_EQ(all, profile.nanoseconds);
}

TEST(Profile, OfAnUpdateHasThePhasesAndOperationsOfTheModel) {
  const std::vector<Event> events = recorded_update(support::tiny_spec({.qk_norm = true}));
  expect_nested(events);
  Profile profile;
  profile.add(events);
  expect_sums(profile);
  EXPECT_EQ(profile.count, 1);
  EXPECT_THAT(phases(profile), ElementsAre("zero gradients", "forward", "backward", "optimizer"));
  // Two blocks of four matrices.
  const std::map<std::string, int64_t> of_model = {{"embedding", 1},
                                                   {"norm", 3},
                                                   {"linear", 8},
                                                   {"qk norm", 2},
                                                   {"swiglu", 2},
                                                   {"add and norm", 2},
                                                   {"RoPE and attention", 2},
                                                   {"add", 2},
                                                   {"head and log-probs", 1}};
  EXPECT_EQ(calls(phase(profile, "forward")), of_model);
  const std::map<std::string, int64_t> backward = calls(phase(profile, "backward"));
  for (const auto& [name, count] : of_model) {
    ASSERT_TRUE(backward.contains(name)) << name;
    EXPECT_GE(backward.at(name), count) << name;
  }
  EXPECT_EQ(backward.size(), of_model.size());
  EXPECT_EQ(backward.at("linear"), 8);
  EXPECT_EQ(calls(phase(profile, "optimizer")), (std::map<std::string, int64_t>{{"AdamW", 1}, {"gradient norm", 1}}));
}

TEST(Profile, SeveralRepetitionsAddUp) {
  Training training = tiny_training(support::tiny_spec());
  Profile profile;
  for (int i = 0; i < 3; ++i) profile.add(record([&] { training.update(); }));
  expect_sums(profile);
  EXPECT_EQ(profile.count, 3);
  EXPECT_EQ(phase(profile, "forward").count, 3);
  EXPECT_EQ(calls(phase(profile, "forward")).at("linear"), 3 * 8);
}

TEST(Profile, WhatTheBackwardPassRunsAgainIsSetApart) {
  const std::vector<Event> events = recorded_update(support::tiny_spec({.recompute = true}));
  expect_nested(events);
  Profile profile;
  profile.add(events);
  expect_sums(profile);
  const std::map<std::string, int64_t> backward = calls(phase(profile, "backward"));
  EXPECT_EQ(backward.at("linear"), 8);
  EXPECT_EQ(backward.at("linear, recomputed"), 8);
  EXPECT_EQ(calls(phase(profile, "forward")).at("linear"), 8);
}

TEST(Profile, OfGenerationHasPrefillDecodeAndSampling) {
  const std::vector<Event> events = recorded_generation();
  expect_nested(events);
  Profile profile;
  profile.add(events);
  expect_sums(profile);
  EXPECT_THAT(phases(profile), ElementsAre("prefill", "sampling", "decode"));
  EXPECT_EQ(phase(profile, "prefill").count, 1);
  EXPECT_EQ(phase(profile, "decode").count, 6) << "the prompts give the first of seven tokens";
  EXPECT_EQ(phase(profile, "sampling").count, 7);
  EXPECT_EQ(calls(phase(profile, "decode")).at("linear"), 6 * (8 + 1)) << "the head is one more";
}

// The time of an operation is its own: 100 of "outer" less 30 of "inner" inside of it.
TEST(Profile, ByHand) {
  const std::vector<Event> events = {{"update", "", -1, 0, 200, 1},     {"forward", "", 0, 10, 150, 1},
                                     {"outer", "", 1, 20, 120, 1},      {"inner", "", 2, 50, 80, 1},
                                     {"outer", "", 1, 120, 125, 1},     {"backward", "", 0, 150, 190, 1},
                                     {"outer", "Node", 5, 155, 175, 2}, {"", "Other", 5, 175, 185, 2}};
  Profile profile;
  profile.add(events);
  ASSERT_THAT(phases(profile), ElementsAre("forward", "backward"));
  EXPECT_EQ(profile.nanoseconds, 200);
  EXPECT_EQ(profile.other(), 200 - 140 - 40);
  const PhaseTimes &forward = profile.phases[0], &backward = profile.phases[1];
  EXPECT_EQ(forward.nanoseconds, 140);
  ASSERT_EQ(forward.operations.size(), 2u);
  EXPECT_EQ(forward.operations[0].first, "outer");
  EXPECT_EQ(forward.operations[0].second.nanoseconds, 70 + 5);
  EXPECT_EQ(forward.operations[0].second.count, 2);
  EXPECT_EQ(forward.operations[1].second.nanoseconds, 30);
  EXPECT_EQ(forward.other(), 140 - 105);
  ASSERT_EQ(backward.operations.size(), 1u);
  EXPECT_EQ(backward.operations[0].second.nanoseconds, 20);
  EXPECT_EQ(backward.other(), 20);
}

TEST(Recording, ChangesNoBit) {
  const trainer::ModelSpec spec = support::tiny_spec({.qk_norm = true});
  Training plain = tiny_training(spec), recorded = tiny_training(spec);
  for (int i = 0; i < 3; ++i) {
    plain.update();
    record([&] { recorded.update(); });
  }
  EXPECT_TRUE(torch::equal(plain.model().params().master(), recorded.model().params().master()));
  EXPECT_FALSE(torch::equal(plain.model().params().master(), tiny_training(spec).model().params().master()));
}

TEST(Recording, SeesNothingBeforeAndAfter) {
  const auto scope = [](const char* name) { const trainer::ProfileScope recorded(name); };
  scope("before");
  Recording recording(torch::kCPU);
  EXPECT_THROW(Recording(torch::kCPU), std::logic_error);
  scope("during");
  const std::vector<Event> events = recording.finish();
  scope("after");
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].name, "during");
  EXPECT_EQ(events[0].parent, -1);
  EXPECT_TRUE(record([] {}).empty());
}

// Operations of products have all the operations that the utilisation of an update counts, and no other.
TEST(OperationWork, AddsUpToThatOfTheUpdate) {
  trainer::ModelSpec spec = support::tiny_spec();
  for (const int64_t rank : {0, 2}) {
    spec.lora.rank = rank;
    const Training training = tiny_training(spec);
    double forward = 0, all = 0;
    for (const auto& [name, work] : update_work(training.model(), training.work())) {
      all += work.flops;
      if (name.first == "forward") forward += work.flops;
    }
    EXPECT_DOUBLE_EQ(forward, forward_flops(spec, training.work()));
    EXPECT_DOUBLE_EQ(all, training_flops(spec, training.work()));
  }
}

TEST(OperationWork, NamesOnlyWhatAProfileHas) {
  Training training = tiny_training(support::tiny_spec());
  Profile profile;
  profile.add(record([&] { training.update(); }));
  OperationWork work = update_work(training.model(), training.work());
  for (const auto& [name, each] : work) EXPECT_TRUE(calls(phase(profile, name.first)).contains(name.second));
  Profile generation;
  generation.add(recorded_generation());
  for (const auto& [name, each] : generation_work(support::tiny_spec(), {3, 3, 5, 7}))
    EXPECT_TRUE(calls(phase(generation, name.first)).contains(name.second)) << name.second;
}

// Two sequences, a prompt of 5 tokens, and 3 new ones: the second and the third attend to 6 and 7 tokens.
TEST(OperationWork, OfGenerationByHand) {
  const trainer::ModelSpec spec = support::tiny_spec();
  const OperationWork work = generation_work(spec, {2, 2, 5, 3});
  constexpr double kBlocks = 2 * 20736, kHead = 16 * 48;
  EXPECT_EQ(work.at({"prefill", "linear"}).flops, 2 * (kBlocks * 10 + kHead * 2));
  EXPECT_EQ(work.at({"decode", "linear"}).flops, 2 * 2 * 2 * (kBlocks + kHead));
  EXPECT_EQ(work.at({"decode", "linear"}).bytes, 2 * 4 * (kBlocks + kHead));
  // Two layers, four heads of 16: products with keys and with values.
  EXPECT_EQ(work.at({"decode", "RoPE and attention"}).flops, 2 * (6 + 7) * 2 * 2 * 2 * 64.0);
  // Two key/value heads of 16.
  EXPECT_EQ(work.at({"decode", "RoPE and attention"}).bytes, 2 * (6 + 7) * 2 * 2 * 32 * 4.0);
}

TEST(ChromeTrace, NestsInOrderAndPutsRecordingsOneAfterTheOther) {
  const std::vector<Event> update = recorded_update(support::tiny_spec()), generation = recorded_generation();
  const auto trace = nlohmann::json::parse(chrome_trace({update, generation}).dump());
  const auto& events = trace.at("traceEvents");
  ASSERT_EQ(events.size(), update.size() + generation.size());
  std::vector<std::pair<double, double>> open;  // begin and end
  double last = 0;
  for (const auto& event : events) {
    EXPECT_EQ(event.at("ph"), "X");
    EXPECT_NE(event.at("name"), "");
    EXPECT_TRUE(event.at("pid").is_number() && event.at("tid").is_number());
    const double begin = event.at("ts"), end = begin + event.at("dur").get<double>();
    EXPECT_GE(begin, last);
    last = begin;
    constexpr double kRounding = 1e-6;  // a thousandth of a nanosecond
    while (!open.empty() && open.back().second <= begin + kRounding) open.pop_back();
    if (!open.empty()) {
      EXPECT_LE(end, open.back().second + kRounding) << event;
    }
    open.emplace_back(begin, end);
  }
  EXPECT_EQ(events[0].at("name"), "update");
  EXPECT_EQ(events[update.size()].at("name"), "generation");
  EXPECT_GE(events[update.size()].at("ts").get<double>(), static_cast<double>(update.front().end) / 1e3);
  std::set<std::string> categories;
  for (const auto& event : events) {
    categories.insert(event.at("cat"));
    EXPECT_EQ(event.contains("args"), event.at("cat") == "autograd");
  }
  EXPECT_THAT(categories, UnorderedElementsAre("scope", "autograd"));
}

}  // namespace
}  // namespace terse::launch::bench
