// Pretraining: the supervised loop over windows of a corpus, with a validation loss.
#pragma once

#include "data/corpus.h"
#include "launch/run/stages/validation.h"

namespace terse::launch {

// Runs the stage `pretrain` from its start, or from where it was interrupted. Throws trainer::SavedAndStopped once a
// requested stop is on disk.
StageResult pretrain(trainer::Session& session, const data::Corpus& corpus);

}  // namespace terse::launch
