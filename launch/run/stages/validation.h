// Declares the result and the validation loss, which both supervised stages have.
#pragma once

#include <optional>

#include "trainer/session.h"
#include "trainer/train.h"

namespace terse::launch {

struct StageResult {
  trainer::StageProgress progress;
  std::optional<double> val_loss;  // of the last validation; empty when nothing was validated
};

// Returns the mean loss per target of fixed batches (data::ValidationSet, data::ConversationSample), which the ranks
// share out like those of training. Collective.
template <typename Batches>
std::optional<double> validation_loss(trainer::Session& session, const Batches& batches) {
  trainer::LossSum loss;
  for (int64_t i = 0; i < batches.size(); ++i) {
    session.signals().meet(false);
    const auto batch = trainer::BatchShare::own(
        session.model(), batches.sequences(i),
        [&](trainer::SequenceRange share) { return batches.batch(i, share.begin, share.end); });
    loss += trainer::cross_entropy(session.model(), batch);
  }
  return loss.mean();
}

}  // namespace terse::launch
