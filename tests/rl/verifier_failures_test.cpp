// Trains with a verifier that hangs, throws, ends its thread or returns NaN for a part of the responses: training goes
// on, such a response gets no score, and metrics count it by status.
#include <gtest/gtest.h>
#include <pthread.h>

#include <condition_variable>
#include <limits>
#include <mutex>
#include <stdexcept>

#include "base/jsonl.h"
#include "rl/learner.h"
#include "rl/ledger_log.h"
#include "rl/rollout/trace_log.h"
#include "tests/rl/chain7_like.h"
#include "tests/support/temporary_folder.h"

namespace terse::rl {
namespace {

// chain7 with a verifier that fails for one in four responses, chosen by their text.
class Failing final : public Chain7Like {
 public:
  enum class How { kHang, kThrow, kDie, kNan };

  Failing(const configs::Task& config, How how) : Chain7Like(config), how_(how) {}

  Verdict verify(const Item&, const Response& response) const override {
    if (std::hash<std::string>()(response.text) % 4 != 0) {
      // Every second response is right, so that groups have a signal.
      return verdict(std::hash<std::string>()(response.text) % 8 < 4, "other");
    }
    if (how_ == How::kHang) hang();
    if (how_ == How::kThrow) throw std::runtime_error("the verifier broke");
    if (how_ == How::kDie) pthread_exit(nullptr);
    return {.correct = true, .score = std::numeric_limits<double>::quiet_NaN()};
  }
  void release() const {
    const std::lock_guard lock(mutex_);
    released_ = true;
    changed_.notify_all();
  }

 private:
  void hang() const {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return released_; });
  }

  How how_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable bool released_ = false;
};

std::string name_of(Failing::How how) {
  constexpr const char* kNames[] = {"Hangs", "Throws", "Dies", "ReturnsNaN"};
  return kNames[static_cast<size_t>(how)];
}

class VerifierFailures : public ::testing::TestWithParam<Failing::How> {};

TEST_P(VerifierFailures, TrainingGoesOnWithoutAFalseScore) {
  configs::RunConfig config = default_config();
  config.stages = {"rl"};
  config.run.log_every = 1;
  config.task.options.set("k_max", 2);
  config.task.options.set("align_to", 2);
  config.model.layers = 1;
  config.model.hidden_size = 16;
  config.model.heads = 2;
  config.model.intermediate_size = 32;
  config.model.max_seq_len = 64;
  config.engine.max_new_tokens = 6;
  config.rl.steps = 3;
  config.rl.prompts = 3;
  config.rl.group_size = 4;
  config.rl.eval_every = 0;
  config.rl.penalty.kind = "none";
  const support::TemporaryFolder folder;
  const bool hangs = GetParam() == Failing::How::kHang;
  auto failing = std::make_unique<Failing>(config.task, GetParam());
  const Failing& verifier = *failing;
  {
    const TokenizedTask task(std::move(failing), nullptr, 1,
                             VerifierOptions{.threads = 2, .deadline = hangs ? 0.5 : 30});
    const auto world = trainer::World::start({});
    trainer::Session session(config, folder.path(), *task.chat(), *world, nullptr,
                             {LedgerLog::kFile, TraceLog::file("rl")});
    EXPECT_EQ(learn(session, task, nullptr).step, 3);
    verifier.release();
  }
  double failed = 0;
  for (JsonlReader reader(folder.path() / "metrics.jsonl"); reader.next();) {
    const nlohmann::json& record = reader.object();
    const double timeouts = record.at("verifier/timeout"), errors = record.at("verifier/error");
    EXPECT_EQ(hangs ? errors : timeouts, 0);
    failed += timeouts + errors;
    if (record.contains("accuracy")) {
      EXPECT_GE(record.at("accuracy").get<double>(), 0);
      EXPECT_LE(record.at("accuracy").get<double>(), 1);
    }
    if (record.contains("loss")) {
      EXPECT_TRUE(std::isfinite(record.at("loss").get<double>()));
    }
  }
  EXPECT_GT(failed, 0);
}

INSTANTIATE_TEST_SUITE_P(Doubles, VerifierFailures,
                         ::testing::Values(Failing::How::kHang, Failing::How::kThrow, Failing::How::kDie,
                                           Failing::How::kNan),
                         [](const auto& instance) { return name_of(instance.param); });

}  // namespace
}  // namespace terse::rl
