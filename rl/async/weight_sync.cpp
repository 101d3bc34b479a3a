// Both sides of a transfer make the same collective calls in the same order: units, hashes, list of damaged units. They
// repeat this for the damaged units.
#include "rl/async/weight_sync.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "base/checksum.h"
#include "base/errors.h"
#include "base/wire.h"

namespace terse::rl {

namespace {

using torch::Tensor;
using trainer::Collectives;
using trainer::FlatParams;
using trainer::ParamUnit;

constexpr int kAttempts = 3;

// Returns the units that have weights. With LoRA these are the adapters of the blocks.
std::vector<size_t> all_units(const FlatParams& params) {
  std::vector<size_t> units;
  for (size_t unit = 0; unit < params.units(); ++unit)
    if (params.layout().units[unit].size() > 0) units.push_back(unit);
  return units;
}

std::string call_name(const ParamUnit& unit) {
  return "new weights of " + unit.name;
}

// The version seeds the hash, so that weights of an older version do not match.
uint64_t hash_of(const Tensor& values, int64_t version) {
  const Tensor host = values.cpu().contiguous();
  return xxh3(host.data_ptr(), host.nbytes(), static_cast<uint64_t>(version));
}

// Returns on all ranks the units that any sampler reports as damaged.
std::vector<size_t> exchange_damaged(Collectives& group, const std::vector<size_t>& mine) {
  WireWriter writer;
  if (!mine.empty()) writer.sequence(mine);
  std::set<size_t> all;
  for (const std::string& part : all_gather_bytes(group, "damaged units", writer.take())) {
    if (part.empty()) continue;
    std::vector<size_t> units;
    WireReader(part).sequence(units);
    all.insert(units.begin(), units.end());
  }
  return {all.begin(), all.end()};
}

// Transfers the weights that LoRA leaves as they are. The first rank that learns has them from the beginning.
void send_frozen(const FlatParams& params, Collectives& group, const TransferPlan& plan) {
  if (params.frozen() == nullptr) return;
  const auto first = std::find_if(plan.shard_of.begin(), plan.shard_of.end(), [](int64_t shard) { return shard >= 0; });
  params.frozen()->broadcast(group, first - plan.shard_of.begin());
}

[[noreturn]] void give_up(const FlatParams& params, int64_t version, const std::vector<size_t>& units) {
  throw LostError(fmt::format(
      "the weights of version {} arrived damaged {} times: the hash of {} differs from the hash that the learner sent",
      version, kAttempts, params.layout().units[units.front()].name));
}

}  // namespace

torch::ScalarType transfer_dtype(const configs::Parallel& config, bool bf16_model, bool cuda) {
  const bool bf16 = config.weight_transfer == "bf16" || (config.weight_transfer == "auto" && bf16_model && cuda);
  return bf16 ? torch::kBFloat16 : torch::kFloat32;
}

TransferPlan::TransferPlan(Collectives& group, const trainer::Sharding* learner) {
  int64_t mine = kSampler;
  if (learner != nullptr) {
    const bool first = !learner->distributed() || learner->replicas == nullptr || learner->replicas->rank() == 0;
    mine = !first ? kNone : learner->distributed() ? learner->shards->rank() : 0;
  }
  const auto size = static_cast<size_t>(group.size());
  const auto options = torch::TensorOptions(torch::kInt64).device(group.device());
  Tensor all = torch::empty({group.size()}, options);
  group.all_gather("plan of weight transfers", torch::full({1}, mine, options), all, std::vector<int64_t>(size, 1))
      .wait();
  all = all.cpu();
  shard_of.assign(all.data_ptr<int64_t>(), all.data_ptr<int64_t>() + size);
  for (const int64_t shard : shard_of) {
    shards = std::max(shards, shard + 1);
    samplers += shard == kSampler ? 1 : 0;
  }
}

WeightSender::WeightSender(const FlatParams& params, Collectives& group, torch::ScalarType dtype)
    : params_(params), group_(group), dtype_(dtype), plan_(group, &params.sharding()) {
  send_frozen(params_, group_, plan_);
}

WeightSender::~WeightSender() {
  if (under_way_.valid()) under_way_.wait();
}

bool WeightSender::idle_within(double seconds) const {
  return !under_way_.valid() ||
         under_way_.wait_for(std::chrono::duration<double>(seconds)) == std::future_status::ready;
}

Transfer WeightSender::finish() {
  if (under_way_.valid()) newest_ = under_way_.get();
  return newest_;
}

void WeightSender::start(int64_t version) {
  finish();
  Tensor own = params_.master().to(dtype_, /*non_blocking=*/false, /*copy=*/true);
  under_way_ = std::async(std::launch::async, [this, version, own] { return send(version, own); });
}

Transfer WeightSender::send(int64_t version, Tensor own) {
  const auto start = std::chrono::steady_clock::now();
  const int64_t shard = plan_.shard_of[static_cast<size_t>(group_.rank())];
  Transfer transfer{.version = version};
  const auto part = [&](size_t unit) {
    const trainer::Ownership::Part& owned = params_.owned().parts[unit];
    return own.narrow(0, owned.at, shard == TransferPlan::kNone ? 0 : owned.range.count());
  };
  std::vector<size_t> units = all_units(params_);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    for (const size_t unit : units) {
      std::vector<int64_t> counts(plan_.shard_of.size(), 0);
      for (size_t rank = 0; rank < counts.size(); ++rank)
        if (plan_.shard_of[rank] == TransferPlan::kSampler) counts[rank] = part(unit).numel();
      group_
          .all_to_all(call_name(params_.layout().units[unit]), part(unit).repeat({plan_.samplers}), counts,
                      torch::empty({0}, own.options()), std::vector<int64_t>(counts.size(), 0))
          .wait();
      transfer.bytes += params_.layout().units[unit].size() * static_cast<int64_t>(own.element_size());
    }
    WireWriter hashes;
    for (const size_t unit : units) hashes.value(hash_of(part(unit), version));
    all_gather_bytes(group_, "hashes of weights", shard == TransferPlan::kNone ? "" : hashes.take());
    units = exchange_damaged(group_, {});
    if (units.empty()) {
      transfer.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      return transfer;
    }
    transfer.resent += static_cast<int64_t>(units.size());
  }
  give_up(params_, version, units);
}

WeightReceiver::WeightReceiver(FlatParams& params, Collectives& group, torch::ScalarType dtype)
    : params_(params),
      group_(group),
      dtype_(dtype),
      plan_(group, nullptr),
      incoming_(torch::empty_like(params.master(), params.master().options().dtype(dtype))) {
  send_frozen(params_, group_, plan_);
}

WeightReceiver::~WeightReceiver() {
  if (under_way_.valid()) under_way_.wait();
}

void WeightReceiver::start(int64_t version) {
  under_way_ = std::async(std::launch::async, [this, version] {
    receive(version);
    return version;
  });
}

bool WeightReceiver::ready() const {
  return under_way_.valid() && under_way_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

void WeightReceiver::finish() {
  torch::NoGradGuard no_grad;
  const int64_t version = under_way_.get();
  params_.master().copy_(incoming_);
  params_.publish();
  version_ = version;
}

void WeightReceiver::receive(int64_t version) {
  std::vector<size_t> units = all_units(params_);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    fetch(units);
    units = exchange_damaged(group_, damaged(version, units));  // a damaged unit is resent to all
    if (units.empty()) return;
  }
  give_up(params_, version, units);
}

void WeightReceiver::fetch(const std::vector<size_t>& units) {
  for (const size_t u : units) {
    const ParamUnit& unit = params_.layout().units[u];
    std::vector<int64_t> counts;
    for (const int64_t shard : plan_.shard_of)
      counts.push_back(shard < 0 ? 0 : trainer::shard_of(unit, shard, plan_.shards).count());
    Tensor parts = torch::empty({unit.size()}, incoming_.options());
    group_
        .all_to_all(call_name(unit), torch::empty({0}, parts.options()), std::vector<int64_t>(counts.size(), 0), parts,
                    counts)
        .wait();
    int64_t at = 0;
    for (size_t rank = 0; rank < counts.size(); at += counts[rank++]) {
      if (counts[rank] == 0) continue;
      const int64_t begin = unit.begin + trainer::shard_of(unit, plan_.shard_of[rank], plan_.shards).begin;
      incoming_.narrow(0, begin, counts[rank]).copy_(parts.narrow(0, at, counts[rank]));
    }
  }
}

std::vector<size_t> WeightReceiver::damaged(int64_t version, const std::vector<size_t>& units) {
  const std::vector<std::string> hashes = all_gather_bytes(group_, "hashes of weights", "");
  std::set<size_t> bad;
  for (size_t rank = 0; rank < hashes.size(); ++rank) {
    if (plan_.shard_of[rank] < 0) continue;
    WireReader reader(hashes[rank]);
    for (const size_t u : units) {
      const ParamUnit& unit = params_.layout().units[u];
      const trainer::ShardRange range = trainer::shard_of(unit, plan_.shard_of[rank], plan_.shards);
      uint64_t expected = 0;
      reader.value(expected);
      if (hash_of(incoming_.narrow(0, unit.begin + range.begin, range.count()), version) != expected) bad.insert(u);
    }
  }
  return {bad.begin(), bad.end()};
}

}  // namespace terse::rl
