// Writes the fields one after the other (base/wire.h). A report ends with its rollouts, which fill the rest of the
// message.
#include "rl/async/rollout_messages.h"

#include "base/wire.h"
#include "rl/rollout/rollout_codec.h"

namespace terse::rl {

namespace {

// The one list of an instruction's fields, for encoding and decoding.
template <class Coder, class I>
void code(Coder& coder, I& instruction) {
  coder.value(instruction.kind);
  coder.value(instruction.version);
  coder.value(instruction.ticket);
  coder.value(instruction.problem);
  coder.sequence(instruction.text);
}

}  // namespace

std::string encode(const Instruction& instruction) {
  WireWriter writer;
  code(writer, instruction);
  return writer.take();
}

Instruction decode_instruction(std::string_view bytes) {
  WireReader reader(bytes);
  Instruction instruction;
  code(reader, instruction);
  return instruction;
}

std::string encode(const Report& report) {
  WireWriter writer;
  writer.value(report.ticket);
  return writer.take() + encode_rollouts(report.rollouts);
}

Report decode_report(std::string_view bytes) {
  WireReader reader(bytes);
  Report report;
  reader.value(report.ticket);
  report.rollouts = decode_rollouts(bytes.substr(sizeof report.ticket));
  return report;
}

}  // namespace terse::rl
