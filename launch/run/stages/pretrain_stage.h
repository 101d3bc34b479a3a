// Pretraining: the supervised loop over windows of a corpus, with a validation loss.
#pragma once

#include <optional>

#include "data/corpus.h"
#include "trainer/session.h"

namespace terse::launch {

struct PretrainResult {
  trainer::StageProgress progress;
  std::optional<double> val_loss;  // of the last validation; empty when nothing was validated
};

// Runs the stage `pretrain` from its start, or from where it was interrupted. Throws trainer::SavedAndStopped once a
// requested stop is on disk.
PretrainResult pretrain(trainer::Session& session, const data::Corpus& corpus);

}  // namespace terse::launch
