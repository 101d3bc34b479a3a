// Implements the student's updates, the gate and promotion. Updates train the copy's own weights; the gate and
// promotion use their average.
#include "rl/compression/student.h"

#include <algorithm>

#include "data/pack.h"
#include "rl/rollout/rollout_worker.h"
#include "trainer/train.h"

namespace terse::rl {

namespace {

constexpr int64_t kGateEvery = 10;   // steps
constexpr int64_t kPiece = 1 << 20;  // weights exchanged at a time
constexpr double kAverage = 0.99;    // decay of the averaged weights, per update

}  // namespace

Student::Copy::Copy(const configs::RunConfig& config, const trainer::Transformer& policy, trainer::SignalPoll* signals)
    : model(policy.spec(), policy.device(), 0, policy.params().sharding(), trainer::Purpose::kTraining,
            policy.params().frozen()),
      optimizer(model.params(), config.rl.optimizer),
      average(policy.params().master().clone()),
      engine(model, engine_options(config.engine, signals)) {
  torch::NoGradGuard no_grad;
  model.params().master().copy_(average);
  model.params().publish();
}

void Student::Copy::swap_average() {
  torch::NoGradGuard no_grad;
  // Swaps piece by piece, so that the temporary copy holds one piece only.
  const std::vector<torch::Tensor> ours = model.params().master().split(kPiece), theirs = average.split(kPiece);
  for (size_t i = 0; i < ours.size(); ++i) {
    const torch::Tensor kept = ours[i].clone();
    ours[i].copy_(theirs[i]);
    theirs[i].copy_(kept);
  }
  model.params().publish();
}

Student::Student(const configs::RunConfig& config, const TokenizedTask& task, trainer::Transformer& policy,
                 trainer::SignalPoll* signals)
    : config_(config), task_(task), policy_(policy), signals_(signals) {}

void Student::begin(int64_t level) {
  copy_.reset();  // frees the old copy before the new one is allocated
  copy_ = std::make_unique<Copy>(config_, policy_, signals_);
  level_ = level;
  steps_ = 0;
  gate_due_ = false;
}

void Student::train(const CompressionController& controller, double progress) {
  const std::optional<int64_t> level = controller.next_level();
  if (!level || progress >= CompressionController::kConsolidate) {
    copy_.reset();
    level_ = -1;
    gate_due_ = false;
    return;
  }
  if (*level != level_) begin(*level);
  for (int64_t i = 0; i < config_.rl.student.updates; ++i) update(controller.curriculum());
  gate_due_ = ++steps_ % kGateEvery == 0;
}

bool Student::run_gate(CompressionController& controller) {
  copy_->swap_average();
  std::map<Difficulty, double> accuracy;
  try {
    accuracy = gate_accuracy(controller.curriculum());
  } catch (const trainer::StopRequested&) {
    copy_->swap_average();
    throw;
  }
  gate_due_ = false;
  const bool passed = controller.passes(accuracy);
  if (passed) {
    torch::NoGradGuard no_grad;
    policy_.params().master().copy_(copy_->model.params().master());
    policy_.params().publish();
    controller.promote(level_);
  }
  copy_->swap_average();
  return passed;
}

void Student::update(const Curriculum& curriculum) {
  const int64_t count = config_.rl.student.traces;
  const auto batch = trainer::BatchShare::own(copy_->model, count, [&](trainer::SequenceRange share) {
    std::vector<data::Sequence> traces;
    for (int64_t i = share.begin; i < share.end; ++i) {
      const Problem problem = task_.problem(Split::kTrain, index_in(IndexSpace::kStudent, trained_on_ + i));
      const int64_t level = std::min(level_, curriculum.last(problem.difficulty_in_task()));
      traces.push_back(data::prompt_and_response(problem.prompt, curriculum.trace(problem, level)));
    }
    return data::pack(traces);
  });
  trained_on_ += count;
  copy_->model.params().zero_grad();
  loss_ =
      trainer::accumulate_cross_entropy(copy_->model, batch, {config_.rl.micro_batch, config_.rl.micro_tokens}).mean();
  // The optimizer skips a non-finite gradient. No check is needed here: the policy never takes weights that fail the
  // gate.
  copy_->optimizer.step(config_.rl.student.lr);
  torch::NoGradGuard no_grad;
  copy_->average.lerp_(copy_->model.params().master(), 1 - kAverage);
}

std::map<Difficulty, double> Student::gate_accuracy(const Curriculum& curriculum) {
  std::vector<Problem> problems;
  for (const Difficulty& difficulty : task_.difficulties()) {
    for (int64_t i = 0; i < kGateProblems; ++i)
      problems.push_back(task_.problem(Split::kTrain, index_in(IndexSpace::kGate, gated_on_ + i), difficulty));
  }
  copy_->engine.refresh(steps_);
  SamplingParams sampling = rollout_sampling(config_, task_);
  sampling.n = 1;
  const std::vector<RolloutGroup> groups = roll_out(copy_->engine, task_, problems, sampling);
  gated_on_ += kGateProblems;
  std::map<Difficulty, double> accuracy;
  double passed = 0;
  for (const RolloutGroup& group : groups) {
    const Rollout& rollout = group.rollouts.front();
    const Difficulty difficulty = group.problem.difficulty_in_task();
    const double limit = curriculum.lengths(difficulty)[static_cast<size_t>(level_)];
    // A correct response that is longer than the level does not count.
    const double right = rollout.correct && static_cast<double>(rollout.length()) <= limit ? 1 : 0;
    accuracy[difficulty] += right / static_cast<double>(kGateProblems);
    passed += right / static_cast<double>(problems.size());
  }
  gate_accuracy_ = passed;
  return accuracy;
}

trainer::Metrics Student::metrics() const {
  if (!copy_) return {};
  return trainer::present({{"student/level", static_cast<double>(level_)},
                           {"student/loss", loss_},
                           {"student/gate_accuracy", gate_accuracy_}});
}

// The names of tensors and keys below are those in checkpoints, so they stay as older builds wrote them.
void Student::save(checkpoints::StateDict& state) const {
  if (!copy_) return;
  const trainer::FlatParams& params = copy_->model.params();
  params.save(state, "apprentice/", params.master());
  params.save(state, "apprentice.average/", copy_->average);
  copy_->optimizer.save(state, "apprentice.optimizer");
}

nlohmann::json Student::state() const {
  return {{"rung", level_},
          {"steps", steps_},
          {"practised", trained_on_},
          {"examined", gated_on_},
          {"loss", trainer::or_null(loss_)},
          {"exam", trainer::or_null(gate_accuracy_)},
          {"exam_due", gate_due_}};
}

void Student::restore(const checkpoints::StateDict& tensors, const nlohmann::json& state) {
  if (state.at("rung") >= 0) {
    begin(state.at("rung"));
    trainer::FlatParams& params = copy_->model.params();
    params.restore(tensors, "apprentice/", params.master());
    params.publish();
    params.restore(tensors, "apprentice.average/", copy_->average);
    copy_->optimizer.restore(tensors, "apprentice.optimizer");
  }
  steps_ = state.at("steps");
  trained_on_ = state.at("practised");
  gated_on_ = state.at("examined");
  loss_ = trainer::value_in(state.at("loss"));
  gate_accuracy_ = trainer::value_in(state.at("exam"));
  gate_due_ = state.value("exam_due", false);
}

}  // namespace terse::rl
