// Writes the fields one after the other. Each vector and string follows its length.
#include "rl/rollout/rollout_codec.h"

#include "base/wire.h"

namespace terse::rl {

namespace {

void code_parts(WireWriter& writer, const std::map<std::string, double>& parts) {
  writer.value(static_cast<uint64_t>(parts.size()));
  for (const auto& [name, value] : parts) {
    writer.sequence(name);
    writer.value(value);
  }
}

void code_parts(WireReader& reader, std::map<std::string, double>& parts) {
  uint64_t count = 0;
  reader.value(count);
  for (; count > 0; --count) {
    std::string name;
    reader.sequence(name);
    reader.value(parts[name]);
  }
}

// The one list of fields, for encoding and decoding.
template <class Coder, class R>
void code(Coder& coder, R& rollout) {
  coder.value(rollout.sample);
  coder.sequence(rollout.tokens);
  coder.sequence(rollout.sampled);
  coder.sequence(rollout.logprobs);
  coder.sequence(rollout.entropies);
  coder.sequence(rollout.versions);
  coder.value(rollout.finish);
  coder.value(rollout.status);
  coder.value(rollout.correct);
  coder.value(rollout.score);
  coder.sequence(rollout.form);
  code_parts(coder, rollout.parts);
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
