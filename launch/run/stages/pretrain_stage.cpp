// Every validation uses the same batches.
#include "launch/run/stages/pretrain_stage.h"

#include <cmath>

#include "data/pretrain_stream.h"
#include "trainer/train.h"

namespace terse::launch {

StageResult pretrain(trainer::Session& session, const data::Corpus& corpus) {
  const configs::RunConfig& config = session.config();
  const configs::Pretrain& p = config.pretrain;
  const int64_t seq_len = p.seq_len > 0 ? p.seq_len : config.model.max_seq_len;
  const uint64_t seed = static_cast<uint64_t>(config.run.seed);
  data::PretrainStream stream(corpus.train, {.seq_len = seq_len, .batch_size = p.batch_size, .seed = seed});
  const data::ValidationSet validation(corpus.val, seq_len, p.batch_size, p.eval_batches, seed);
  const std::optional<double> bytes_per_token = validation.bytes_per_token(*corpus.tokenizer);
  std::optional<double> val_loss;
  const auto evaluate = [&](int64_t) {
    val_loss = validation_loss(session, validation);
    const auto bits_per_byte =
        val_loss && bytes_per_token ? std::optional(*val_loss / std::log(2.0) / *bytes_per_token) : std::nullopt;
    return trainer::present({{"val_loss", val_loss}, {"bits_per_byte", bits_per_byte}});
  };
  StageResult result;
  result.progress = trainer::train(
      session, {"pretrain", p.steps, {p.micro_batch, p.micro_tokens}, p.eval_every, p.optimizer, &stream, evaluate});
  result.val_loss = val_loss;
  return result;
}

}  // namespace terse::launch
