// The apprentice is a copy of the policy that practises the next rung of the ladder, while the policy itself trains on
// undisturbed.
//
// On-policy sampling finds no shorter form once the policy's entropy has collapsed, so a shorter form has to be taught
// by supervised traces. Teaching the policy itself would cost accuracy at every difficulty for hundreds of steps. So a
// copy learns the form instead, which also costs several times less than rollouts. The copy takes exams at the policy's
// own sampling temperature. The policy takes its weights when the copy is as accurate at every difficulty as the policy
// has ever been, within a small tolerance. A rung that the copy never masters costs the policy nothing.
//
// The number of steps that a rung needs is unknown beforehand, so the learning rate is constant. Exams use an
// exponential moving average of the weights, and the policy takes this average. It performs as well as a decayed
// learning rate (https://arxiv.org/abs/2405.18392).
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "rl/compression/compression_controller.h"
#include "rl/engine/engine.h"
#include "trainer/optimizer.h"
#include "trainer/session.h"

namespace terse::rl {

class Apprentice {
 public:
  // All arguments must outlive the apprentice. Exams poll `signals`, if given, for a stop request.
  Apprentice(const configs::RunConfig& config, const TokenizedTask& task, trainer::Transformer& policy,
             trainer::SignalPoll* signals = nullptr);

  // Runs one step's practice updates on the controller's next rung. `progress` in [0, 1) is the finished share of the
  // stage. Starts again from the policy's weights when the rung has changed. Stops practising when there is no next
  // rung, and after CompressionController::kConsolidate of the stage.
  void practise(const CompressionController& controller, double progress);
  // Whether an exam is due after the latest practise().
  bool exam_due() const { return exam_due_; }
  // Examines the apprentice. Returns true when it has passed: the policy then has its weights, and the controller has
  // moved to its rung. An exam that throws trainer::StopRequested has changed nothing and remains due.
  bool take_exam(CompressionController& controller);

  // Empty while no rung is practised.
  trainer::Metrics metrics() const;

  void save(checkpoints::StateDict& state) const;  // tensors "apprentice*" while it practises
  nlohmann::json state() const;
  void restore(const checkpoints::StateDict& tensors, const nlohmann::json& state);

 private:
  struct Copy {
    trainer::Transformer model;
    trainer::AdamW optimizer;
    torch::Tensor average;  // exponential moving average of the master weights
    Engine engine;
    Copy(const configs::RunConfig& config, const trainer::Transformer& policy, trainer::SignalPoll* signals);
    void swap_average();  // exchanges the model's weights and the average; a second call undoes it
  };
  void begin(int64_t rung);
  void update(const Ladder& ladder);
  // Samples responses to exam problems, with the policy's own sampling options. Returns, by difficulty, the share of
  // responses that are correct and within the rung's length.
  std::map<int64_t, double> examine(const Ladder& ladder);

  const configs::RunConfig& config_;
  const TokenizedTask& task_;
  trainer::Transformer& policy_;
  trainer::SignalPoll* signals_;
  std::unique_ptr<Copy> copy_;  // null while no rung is practised
  int64_t rung_ = -1;           // the rung that is practised; -1: none
  int64_t steps_ = 0;           // steps of practice on this rung
  bool exam_due_ = false;
  int64_t practised_ = 0;       // training problems used so far
  int64_t examined_ = 0;        // exam problems used so far
  std::optional<double> loss_;  // mean negative log-likelihood of the last traces practised, nats a token
  std::optional<double> exam_;  // mean accuracy of the last exam; empty before the first one
};

}  // namespace terse::rl
