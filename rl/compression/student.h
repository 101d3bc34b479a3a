// The student is a copy of the policy that learns the next level of the curriculum, while the policy itself trains on
// undisturbed.
//
// On-policy sampling finds no shorter form once the policy's entropy has collapsed, so a shorter form has to be taught
// by supervised traces. Teaching the policy itself would cost accuracy at every difficulty for hundreds of steps. So a
// copy learns the form instead, which also costs several times less than rollouts. A promotion gate evaluates the copy
// at the policy's own sampling temperature. The policy takes its weights when the copy is as accurate at every
// difficulty as the policy has ever been, within a small tolerance. A level that the copy never masters costs the
// policy nothing. With LoRA, only the adapters are copied, and both models share the frozen weights.
//
// The number of steps that a level needs is unknown beforehand, so the learning rate is constant. The gate evaluates an
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

class Student {
 public:
  static constexpr int64_t kGateProblems = 128;  // problems of each difficulty at the gate

  // All arguments must outlive the student. The gate polls `signals`, if given, for a stop request.
  Student(const configs::RunConfig& config, const TokenizedTask& task, trainer::Transformer& policy,
          trainer::SignalPoll* signals = nullptr);

  // Runs one step's updates on the controller's next level. `progress` in [0, 1) is the finished share of the stage.
  // Starts again from the policy's weights when the level has changed. Ends when there is no next level, and after
  // CompressionController::kConsolidate of the stage.
  void train(const CompressionController& controller, double progress);
  // Whether the gate is due after the latest train().
  bool gate_due() const { return gate_due_; }
  // Evaluates the student at the promotion gate. Returns true when it has passed: the policy then has its weights, and
  // the controller has moved to its level. A gate that throws trainer::StopRequested has changed nothing and remains
  // due.
  bool run_gate(CompressionController& controller);

  // Empty while no level is learned.
  trainer::Metrics metrics() const;

  void save(checkpoints::StateDict& state) const;  // tensors "apprentice*" while it trains
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
  void begin(int64_t level);
  void update(const Curriculum& curriculum);
  // Samples responses to the problems of the gate, with the policy's own sampling options. Returns, by difficulty, the
  // share of responses that are correct and within the level's length.
  std::map<Difficulty, double> gate_accuracy(const Curriculum& curriculum);

  const configs::RunConfig& config_;
  const TokenizedTask& task_;
  trainer::Transformer& policy_;
  trainer::SignalPoll* signals_;
  std::unique_ptr<Copy> copy_;  // null while no level is learned
  int64_t level_ = -1;          // the level that is learned; -1: none
  int64_t steps_ = 0;           // steps on this level
  bool gate_due_ = false;
  int64_t trained_on_ = 0;               // training problems used so far
  int64_t gated_on_ = 0;                 // problems of the gate used so far
  std::optional<double> loss_;           // mean negative log-likelihood of the last traces, nats a token
  std::optional<double> gate_accuracy_;  // mean accuracy at the last gate; empty before the first one
};

}  // namespace terse::rl
