// Implements practice, exam and promotion. Practice trains the copy's own weights; exams and promotion use their
// average.
#include "rl/compression/apprentice.h"

#include <algorithm>

#include "data/pack.h"
#include "rl/rollout/rollout_worker.h"
#include "trainer/train.h"

namespace terse::rl {

namespace {

constexpr int64_t kExamEvery = 10;      // steps
constexpr int64_t kExamProblems = 128;  // problems of each difficulty
constexpr int64_t kPiece = 1 << 20;     // weights exchanged at a time
constexpr double kAverage = 0.99;       // decay of the averaged weights, per update

}  // namespace

Apprentice::Copy::Copy(const configs::RunConfig& config, const trainer::Transformer& policy,
                       trainer::SignalPoll* signals)
    : model(policy.spec(), policy.device(), 0, policy.params().sharding()),
      optimizer(model.params(), config.rl.optimizer),
      average(policy.params().master().clone()),
      engine(model, {config.engine.max_batch, signals}) {
  torch::NoGradGuard no_grad;
  model.params().master().copy_(average);
  model.params().publish();
}

void Apprentice::Copy::swap_average() {
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

Apprentice::Apprentice(const configs::RunConfig& config, const TokenizedTask& task, trainer::Transformer& policy,
                       trainer::SignalPoll* signals)
    : config_(config), task_(task), policy_(policy), signals_(signals) {}

void Apprentice::begin(int64_t rung) {
  copy_.reset();  // frees the old copy before the new one is allocated
  copy_ = std::make_unique<Copy>(config_, policy_, signals_);
  rung_ = rung;
  steps_ = 0;
  exam_due_ = false;
}

void Apprentice::practise(const CompressionController& controller, double progress) {
  const std::optional<int64_t> rung = controller.next_rung();
  if (!rung || progress >= CompressionController::kConsolidate) {
    copy_.reset();
    rung_ = -1;
    exam_due_ = false;
    return;
  }
  if (*rung != rung_) begin(*rung);
  for (int64_t i = 0; i < config_.rl.student.updates; ++i) update(controller.ladder());
  exam_due_ = ++steps_ % kExamEvery == 0;
}

bool Apprentice::take_exam(CompressionController& controller) {
  copy_->swap_average();
  std::map<int64_t, double> accuracy;
  try {
    accuracy = examine(controller.ladder());
  } catch (const trainer::StopRequested&) {
    copy_->swap_average();
    throw;
  }
  exam_due_ = false;
  const bool passed = controller.passes(accuracy);
  if (passed) {
    torch::NoGradGuard no_grad;
    policy_.params().master().copy_(copy_->model.params().master());
    policy_.params().publish();
    controller.promote(rung_);
  }
  copy_->swap_average();
  return passed;
}

void Apprentice::update(const Ladder& ladder) {
  const int64_t count = config_.rl.student.traces;
  const auto batch = trainer::BatchShare::own(copy_->model, count, [&](trainer::SequenceRange share) {
    std::vector<data::Sequence> traces;
    for (int64_t i = share.begin; i < share.end; ++i) {
      const Problem problem = task_.problem(Split::kTrain, index_in(IndexSpace::kPractice, practised_ + i));
      const int64_t rung = std::min(rung_, ladder.last(problem.difficulty));
      traces.push_back(data::prompt_and_response(problem.prompt, ladder.trace(problem, rung)));
    }
    return data::pack(traces);
  });
  practised_ += count;
  copy_->model.params().zero_grad();
  loss_ = trainer::accumulate_cross_entropy(copy_->model, batch, config_.rl.micro_batch).mean();
  // The optimizer skips a non-finite gradient. No check is needed here: the policy never takes weights that fail the
  // exam.
  copy_->optimizer.step(config_.rl.student.lr);
  torch::NoGradGuard no_grad;
  copy_->average.lerp_(copy_->model.params().master(), 1 - kAverage);
}

std::map<int64_t, double> Apprentice::examine(const Ladder& ladder) {
  std::vector<Problem> problems;
  for (const int64_t difficulty : task_.difficulties()) {
    for (int64_t i = 0; i < kExamProblems; ++i)
      problems.push_back(task_.problem(Split::kTrain, index_in(IndexSpace::kExam, examined_ + i), difficulty));
  }
  copy_->engine.refresh(steps_);
  SamplingParams sampling = rollout_sampling(config_, task_);
  sampling.n = 1;
  const std::vector<RolloutGroup> groups = roll_out(copy_->engine, task_, problems, sampling);
  examined_ += kExamProblems;
  std::map<int64_t, double> accuracy;
  double passed = 0;
  for (const RolloutGroup& group : groups) {
    const Rollout& rollout = group.rollouts.front();
    const double limit = ladder.lengths(group.problem.difficulty)[static_cast<size_t>(rung_)];
    // A correct response that is longer than the rung does not count.
    const double right = rollout.correct && static_cast<double>(rollout.length()) <= limit ? 1 : 0;
    accuracy[group.problem.difficulty] += right / static_cast<double>(kExamProblems);
    passed += right / static_cast<double>(problems.size());
  }
  exam_ = passed;
  return accuracy;
}

trainer::Metrics Apprentice::metrics() const {
  if (!copy_) return {};
  return trainer::present(
      {{"practice/rung", static_cast<double>(rung_)}, {"practice/loss", loss_}, {"practice/exam_accuracy", exam_}});
}

void Apprentice::save(checkpoints::StateDict& state) const {
  if (!copy_) return;
  const trainer::FlatParams& params = copy_->model.params();
  params.save(state, "apprentice/", params.master());
  params.save(state, "apprentice.average/", copy_->average);
  copy_->optimizer.save(state, "apprentice.optimizer");
}

nlohmann::json Apprentice::state() const {
  return {{"rung", rung_},
          {"steps", steps_},
          {"practised", practised_},
          {"examined", examined_},
          {"loss", trainer::or_null(loss_)},
          {"exam", trainer::or_null(exam_)},
          {"exam_due", exam_due_}};
}

void Apprentice::restore(const checkpoints::StateDict& tensors, const nlohmann::json& state) {
  if (state.at("rung") >= 0) {
    begin(state.at("rung"));
    trainer::FlatParams& params = copy_->model.params();
    params.restore(tensors, "apprentice/", params.master());
    params.publish();
    params.restore(tensors, "apprentice.average/", copy_->average);
    copy_->optimizer.restore(tensors, "apprentice.optimizer");
  }
  steps_ = state.at("steps");
  practised_ = state.at("practised");
  examined_ = state.at("examined");
  loss_ = trainer::value_in(state.at("loss"));
  exam_ = trainer::value_in(state.at("exam"));
  exam_due_ = state.value("exam_due", false);
}

}  // namespace terse::rl
