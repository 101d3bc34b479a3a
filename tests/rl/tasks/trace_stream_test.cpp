// Tests which problems a batch of supervised traces holds, and that each form has its share of them.
#include "rl/tasks/trace_stream.h"

#include <gtest/gtest.h>

#include <map>

namespace terse::rl {
namespace {

std::unique_ptr<TokenizedTask> small_task(std::map<std::string, double> forms) {
  configs::Task config = default_config().task;
  config.options.set("k_max", 3);
  config.options.set("align_to", 3);
  config.forms = std::move(forms);
  return open_task(config, 1);
}

// Returns the prompts that a batch holds, whose first sequence is problem `first` of the stream.
std::vector<std::vector<int64_t>> prompts_of(const data::Batch& batch, const TokenizedTask& task, int64_t first) {
  std::vector<std::vector<int64_t>> prompts;
  const int32_t* start = batch.segments.data_ptr<int32_t>();
  const int64_t* token = batch.tokens.data_ptr<int64_t>();
  for (int64_t i = 0; i < batch.segment_count(); ++i) {
    const Problem problem = task.problem(Split::kTrain, index_in(IndexSpace::kSft, first + i));
    prompts.emplace_back(token + start[i], token + start[i] + problem.prompt.size());
  }
  return prompts;
}

std::vector<std::vector<int64_t>> problems(const TokenizedTask& task, int64_t first, int64_t count) {
  std::vector<std::vector<int64_t>> prompts;
  for (int64_t i = first; i < first + count; ++i) {
    const Problem problem = task.problem(Split::kTrain, index_in(IndexSpace::kSft, i));
    prompts.emplace_back(problem.prompt.begin(), problem.prompt.end());
  }
  return prompts;
}

TEST(TraceStream, BeginsWithTheFirstProblemAndLeavesNoneOut) {
  const auto task = small_task({});
  TraceStream stream(*task, 5, 7);
  EXPECT_EQ(prompts_of(stream.next(0, 5), *task, 0), problems(*task, 0, 5));
  EXPECT_EQ(prompts_of(stream.next(0, 5), *task, 5), problems(*task, 5, 5));
  EXPECT_EQ(prompts_of(stream.next(2, 4), *task, 12), problems(*task, 12, 2)) << "a rank's share of a batch";
  EXPECT_EQ(stream.state().at("cursor"), 15);
}

TEST(TraceStream, DrawsEachFormWithItsShare) {
  const auto task = small_task({{"states", 1}, {"direct", 3}});
  constexpr int64_t kDrawn = 1000;
  TraceStream stream(*task, kDrawn, 7);
  const data::Batch batch = stream.next(0, kDrawn);
  const int32_t* start = batch.segments.data_ptr<int32_t>();
  std::map<std::string, int64_t> drawn;
  for (int64_t i = 0; i < kDrawn; ++i) {
    const Problem problem = task->problem(Split::kTrain, index_in(IndexSpace::kSft, i));
    for (const char* form : {"states", "direct"}) {
      const std::vector<int32_t> trace = task->trace(problem, form);
      const auto length = static_cast<int64_t>(problem.prompt.size() + trace.size());
      if (start[i + 1] - start[i] == length) drawn[form] += 1;
    }
  }
  EXPECT_EQ(drawn["states"] + drawn["direct"], kDrawn) << "the two forms have other lengths";
  // Four standard deviations of a binomial distribution.
  EXPECT_NEAR(static_cast<double>(drawn["direct"]), 750, 4 * 13.7);
}

}  // namespace
}  // namespace terse::rl
