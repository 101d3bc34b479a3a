// A copy of the policy that practises the next rung of the ladder while the policy itself goes on unharmed.
//
// On-policy sampling alone finds no shorter form once its entropy is gone, so a shorter form has to be taught. Taught
// to the policy itself, it costs accuracy until it is learned: hundreds of steps, for every difficulty. So it is taught
// to a copy, by supervised traces only, which is also several times cheaper than rollouts. The copy is examined at the
// policy's own temperature; when it is as accurate as the policy has ever been, at every difficulty, its weights become
// the policy's. A rung that it never masters costs the policy nothing.
//
// How long a rung takes is not known beforehand, so the learning rate is constant, and what is examined and handed over
// is an exponential average of the weights, which is as good as having let the rate fall
// (https://arxiv.org/abs/2405.18392).
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "rl/compression_controller.h"
#include "rl/engine/engine.h"
#include "trainer/optimizer.h"
#include "trainer/session.h"

namespace terse::rl {

class Apprentice {
 public:
  // `policy`, `task` and `signals` must outlive the apprentice. Exams ask `signals` whether to stop.
  Apprentice(const configs::RunConfig& config, const Task& task, trainer::Transformer& policy,
             trainer::SignalPoll* signals = nullptr);

  // One step's share of practice on the controller's next rung, at stage progress `progress` in [0, 1). Starts anew
  // from the policy's weights when the rung is another than before.
  void practise(const CompressionController& controller, double progress);
  // Whether an exam follows this practice.
  bool exam_due() const { return exam_due_; }
  // Returns true when the apprentice has passed: the policy now has its weights, and the controller stands on the rung.
  // An exam that is interrupted (trainer::StopRequested) has changed nothing and is still due.
  bool take_exam(CompressionController& controller);

  // Empty while nothing is practised.
  trainer::Metrics metrics() const;

  void save(checkpoints::StateDict& state) const;  // tensors "apprentice*" while it practises
  nlohmann::json state() const;
  void restore(const checkpoints::StateDict& tensors, const nlohmann::json& state);

 private:
  struct Copy {
    trainer::Transformer model;
    trainer::AdamW optimizer;
    torch::Tensor average;  // of the master weights
    Engine engine;
    Copy(const configs::RunConfig& config, const trainer::Transformer& policy, trainer::SignalPoll* signals);
    void swap_average();  // the model takes the averaged weights, or its own again
  };
  void begin(int64_t rung);
  void update(const Ladder& ladder);
  // Share of right answers within the rung's length, by difficulty, at the policy's own sampling.
  std::map<int64_t, double> examine(const Ladder& ladder);

  const configs::RunConfig& config_;
  const Task& task_;
  trainer::Transformer& policy_;
  trainer::SignalPoll* signals_;
  std::unique_ptr<Copy> copy_;  // null until there is something to practise
  int64_t rung_ = -1;           // being practised; -1: none
  int64_t steps_ = 0;           // on this rung
  bool exam_due_ = false;
  int64_t practised_ = 0;       // training problems used so far
  int64_t examined_ = 0;        // exam problems used so far
  std::optional<double> loss_;  // mean negative log-likelihood of the last traces practised, nats a token
  std::optional<double> exam_;  // mean accuracy of the last exam; nothing before the first one
};

}  // namespace terse::rl
