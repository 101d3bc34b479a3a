// For all_to_all, two ranks compare the counts between each other, which differ from pair to pair. All other operations
// have the same fingerprint on every rank.
#include "trainer/parallel/watchdog/op_fingerprint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <string_view>

namespace terse::trainer {

namespace {

template <size_t N>
void put(char (&to)[N], std::string_view text) {
  std::memcpy(to, text.data(), std::min(text.size(), N - 1));
}

uint64_t hash(const void* data, size_t bytes) {
  return std::hash<std::string_view>()(std::string_view(static_cast<const char*>(data), bytes));
}

bool matches(const OpFingerprint& sent, const OpFingerprint& received) {
  if (sent.kind != received.kind || sent.name_hash != received.name_hash || sent.dtype != received.dtype ||
      sent.reduce != received.reduce || sent.root != received.root)
    return false;
  if (sent.kind == static_cast<int32_t>(Kind::kAllToAll))
    return sent.to_receiver == received.from_receiver && sent.from_receiver == received.to_receiver;
  return sent.elements == received.elements && sent.counts_hash == received.counts_hash;
}

// A sentence for the message when `from` sends `to` another number of elements than `to` expects; else empty.
std::string size_mismatch(const std::string& from, int64_t sends, const std::string& to, int64_t expects) {
  if (sends == expects) return "";
  return fmt::format(" {} sends {} elements to {}, which expects {}.", from, sends, to, expects);
}

std::string list(const std::vector<std::string>& names) {
  constexpr size_t kShown = 4;
  if (names.size() <= kShown) return fmt::format("{}", fmt::join(names, ", "));
  return fmt::format("{} and {} more", fmt::join(names.begin(), names.begin() + kShown, ", "), names.size() - kShown);
}

}  // namespace

OpFingerprint fingerprint_of(const CollectiveOp& op, uint64_t number, const std::string& phase) {
  OpFingerprint fingerprint{.number = number,
                            .kind = static_cast<int32_t>(op.kind),
                            .reduce = static_cast<int32_t>(op.reduce),
                            .root = static_cast<int32_t>(op.root),
                            .name_hash = hash(op.name.data(), op.name.size())};
  put(fingerprint.name, op.name);
  put(fingerprint.phase, phase);
  if (!op.in.defined()) return fingerprint;
  fingerprint.dtype = static_cast<int32_t>(op.in.scalar_type());
  fingerprint.elements = op.kind == Kind::kAllGather ? op.out.numel() : op.in.numel();
  const std::vector<int64_t>& counts = op.kind == Kind::kAllGather ? op.out_counts : op.in_counts;
  fingerprint.count_of_counts = static_cast<int64_t>(counts.size());
  fingerprint.counts_hash = hash(counts.data(), counts.size() * sizeof(int64_t));
  std::copy_n(counts.begin(), std::min(counts.size(), std::size(fingerprint.counts)), fingerprint.counts);
  return fingerprint;
}

void set_peer_counts(OpFingerprint& fingerprint, const CollectiveOp& op, int64_t peer) {
  if (op.kind != Kind::kAllToAll) return;
  fingerprint.to_receiver = op.in_counts[peer];
  fingerprint.from_receiver = op.out_counts[peer];
}

std::string describe(const OpFingerprint& fingerprint) {
  const Kind kind = static_cast<Kind>(fingerprint.kind);
  std::string text = fmt::format("{} \"{}\"", name_of(kind), fingerprint.name);
  if (kind == Kind::kSplit || kind == Kind::kEnd) return text;
  text += fmt::format(" of {} {}", fingerprint.elements, name_of(static_cast<torch::ScalarType>(fingerprint.dtype)));
  if (fingerprint.count_of_counts > 0) {
    const auto shown = std::min<int64_t>(fingerprint.count_of_counts, std::size(fingerprint.counts));
    text += fmt::format(" in counts [{}{}]", fmt::join(fingerprint.counts, fingerprint.counts + shown, ", "),
                        shown < fingerprint.count_of_counts ? ", ..." : "");
  }
  if (kind == Kind::kAllReduce) text += fmt::format(" to the {}", name_of(static_cast<Reduce>(fingerprint.reduce)));
  if (kind == Kind::kBroadcast) text += fmt::format(" from rank {}", fingerprint.root);
  return text;
}

std::string describe_mismatch(const std::string& group, int64_t rank, const std::vector<OpFingerprint>& sent,
                              const std::vector<OpFingerprint>& received, const std::vector<std::string>& names) {
  const auto differs = [&](size_t r) {
    return static_cast<int64_t>(r) != rank && received[r].number != 0 && !matches(sent[r], received[r]);
  };
  bool any = false;  // checked first: this runs before every operation, and the text is needed once at most
  for (size_t r = 0; r < received.size() && !any; ++r) any = differs(r);
  if (!any) return "";

  std::map<std::string, std::vector<std::string>> callers;
  std::string pairs;
  for (size_t r = 0; r < received.size(); ++r) {
    const OpFingerprint& op = static_cast<int64_t>(r) == rank ? sent[r] : received[r];
    if (op.number == 0) continue;
    callers[fmt::format("{} in phase \"{}\"", describe(op), op.phase)].push_back(names[r]);
    if (!differs(r) || op.kind != static_cast<int32_t>(Kind::kAllToAll) || sent[r].kind != op.kind) continue;
    pairs += size_mismatch(names[rank], sent[r].to_receiver, names[r], op.from_receiver);
    pairs += size_mismatch(names[r], op.to_receiver, names[rank], sent[r].from_receiver);
  }
  std::string text = fmt::format("the ranks of group \"{}\" called different operations as operation number {}:", group,
                                 sent[rank].number);
  for (const auto& [what, who] : callers)
    text += fmt::format(" {} call{} {};", list(who), who.size() == 1 ? "s" : "", what);
  text.back() = '.';
  if (callers.size() == 1 && pairs.empty())
    text += " The operations differ in a part of the name or of the counts that is not shown.";
  return text + pairs + " One of these ranks skipped an operation, called one too many, or used other sizes.";
}

}  // namespace terse::trainer
