// For all_to_all, two ranks compare the counts between each other, which differ from pair to pair. All other operations
// have the same fingerprint on every rank.
#include "trainer/parallel/watchdog/arrival.h"

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

bool agree(const Arrival& sent, const Arrival& received) {
  if (sent.kind != received.kind || sent.name_hash != received.name_hash || sent.dtype != received.dtype ||
      sent.reduce != received.reduce || sent.root != received.root)
    return false;
  if (sent.kind == static_cast<int32_t>(Kind::kAllToAll))
    return sent.to_you == received.from_you && sent.from_you == received.to_you;
  return sent.elements == received.elements && sent.counts_hash == received.counts_hash;
}

// A sentence for the message when `from` sends `to` another number of elements than `to` expects; else empty.
std::string misfit(const std::string& from, int64_t sends, const std::string& to, int64_t expects) {
  if (sends == expects) return "";
  return fmt::format(" {} sends {} elements to {}, which expects {}.", from, sends, to, expects);
}

std::string list(const std::vector<std::string>& names) {
  constexpr size_t kShown = 4;
  if (names.size() <= kShown) return fmt::format("{}", fmt::join(names, ", "));
  return fmt::format("{} and {} more", fmt::join(names.begin(), names.begin() + kShown, ", "), names.size() - kShown);
}

}  // namespace

Arrival arrival_of(const Call& call, uint64_t number, const std::string& phase) {
  Arrival arrival{.number = number,
                  .kind = static_cast<int32_t>(call.kind),
                  .reduce = static_cast<int32_t>(call.reduce),
                  .root = static_cast<int32_t>(call.root),
                  .name_hash = hash(call.name.data(), call.name.size())};
  put(arrival.name, call.name);
  put(arrival.phase, phase);
  if (!call.in.defined()) return arrival;
  arrival.dtype = static_cast<int32_t>(call.in.scalar_type());
  arrival.elements = call.kind == Kind::kAllGather ? call.out.numel() : call.in.numel();
  const std::vector<int64_t>& counts = call.kind == Kind::kAllGather ? call.out_counts : call.in_counts;
  arrival.count_of_counts = static_cast<int64_t>(counts.size());
  arrival.counts_hash = hash(counts.data(), counts.size() * sizeof(int64_t));
  std::copy_n(counts.begin(), std::min(counts.size(), std::size(arrival.counts)), arrival.counts);
  return arrival;
}

void address(Arrival& arrival, const Call& call, int64_t peer) {
  if (call.kind != Kind::kAllToAll) return;
  arrival.to_you = call.in_counts[peer];
  arrival.from_you = call.out_counts[peer];
}

std::string describe(const Arrival& arrival) {
  const Kind kind = static_cast<Kind>(arrival.kind);
  std::string text = fmt::format("{} \"{}\"", name_of(kind), arrival.name);
  if (kind == Kind::kSplit || kind == Kind::kEnd) return text;
  text += fmt::format(" of {} {}", arrival.elements, name_of(static_cast<torch::ScalarType>(arrival.dtype)));
  if (arrival.count_of_counts > 0) {
    const auto shown = std::min<int64_t>(arrival.count_of_counts, std::size(arrival.counts));
    text += fmt::format(" in counts [{}{}]", fmt::join(arrival.counts, arrival.counts + shown, ", "),
                        shown < arrival.count_of_counts ? ", ..." : "");
  }
  if (kind == Kind::kAllReduce) text += fmt::format(" to the {}", name_of(static_cast<Reduce>(arrival.reduce)));
  if (kind == Kind::kBroadcast) text += fmt::format(" from rank {}", arrival.root);
  return text;
}

std::string disagreement(const std::string& group, int64_t rank, const std::vector<Arrival>& sent,
                         const std::vector<Arrival>& received, const std::vector<std::string>& names) {
  const auto differs = [&](size_t r) {
    return static_cast<int64_t>(r) != rank && received[r].number != 0 && !agree(sent[r], received[r]);
  };
  bool any = false;  // checked first: this runs before every operation, and the text is needed once at most
  for (size_t r = 0; r < received.size() && !any; ++r) any = differs(r);
  if (!any) return "";

  std::map<std::string, std::vector<std::string>> callers;
  std::string pairs;
  for (size_t r = 0; r < received.size(); ++r) {
    const Arrival& call = static_cast<int64_t>(r) == rank ? sent[r] : received[r];
    if (call.number == 0) continue;
    callers[fmt::format("{} in phase \"{}\"", describe(call), call.phase)].push_back(names[r]);
    if (!differs(r) || call.kind != static_cast<int32_t>(Kind::kAllToAll) || sent[r].kind != call.kind) continue;
    pairs += misfit(names[rank], sent[r].to_you, names[r], call.from_you);
    pairs += misfit(names[r], call.to_you, names[rank], sent[r].from_you);
  }
  std::string text = fmt::format("the ranks of group \"{}\" came to different operations as their number {}:", group,
                                 sent[rank].number);
  for (const auto& [what, who] : callers)
    text += fmt::format(" {} call{} {};", list(who), who.size() == 1 ? "s" : "", what);
  text.back() = '.';
  if (callers.size() == 1 && pairs.empty()) text += " They differ in a part of the name or counts that is not shown.";
  return text + pairs + " One of them skipped an operation, called one too many, or differs in its sizes.";
}

}  // namespace terse::trainer
