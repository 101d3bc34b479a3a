// Writes the fields one after the other. Each vector and string follows its length.
#include "rl/rollout/rollout_codec.h"

#include "base/wire.h"

namespace terse::rl {

namespace {

// The one list of fields, for encoding and decoding.
template <class Coder, class R>
void code(Coder& coder, R& rollout) {
  coder.value(rollout.sample);
  coder.sequence(rollout.tokens);
  coder.sequence(rollout.logprobs);
  coder.sequence(rollout.entropies);
  coder.sequence(rollout.versions);
  coder.value(rollout.finish);
  coder.value(rollout.status);
  coder.value(rollout.correct);
  coder.sequence(rollout.form);
}

}  // namespace

std::string encode_rollouts(const std::vector<Rollout>& rollouts) {
  WireWriter writer;
  for (const Rollout& rollout : rollouts) code(writer, rollout);
  return writer.take();
}

std::vector<Rollout> decode_rollouts(std::string_view bytes) {
  WireReader reader(bytes);
  std::vector<Rollout> rollouts;
  while (!reader.done()) code(reader, rollouts.emplace_back());
  return rollouts;
}

}  // namespace terse::rl
