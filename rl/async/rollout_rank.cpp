// One thread alternates between messages and generation. It blocks only while it has nothing to generate, or when it
// needs weights that are still arriving.
#include "rl/async/rollout_rank.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <stdexcept>

#include "rl/async/rollout_messages.h"
#include "rl/async/weight_sync.h"
#include "rl/rollout/rollout_supply.h"
#include "trainer/parallel/mpi/message_channel.h"

namespace terse::rl {

namespace {

constexpr int64_t kLead = 0;
constexpr double kLookForVerdicts = 0.002;  // seconds between looks while nothing is generated

class RolloutRank {
 public:
  RolloutRank(SplitWorld& split, const configs::RunConfig& config, const TokenizedTask& task, int64_t vocab,
              torch::Device device)
      : split_(split),
        config_(config),
        task_(task),
        model_(trainer::resolve(config.model, vocab, config.lora), device, 0, {}, trainer::Purpose::kInference),
        receiver_(model_.params(), *split.weights,
                  transfer_dtype(config.parallel, model_.spec().bf16, device.is_cuda())),
        engine_(model_, engine_options(config.engine)),
        sampling_(rollout_sampling(config, task)) {}

  std::optional<std::string> run() {
    for (;;) {
      // 1. Read instructions. With nothing to generate, wait for one.
      while (const auto message = next_message()) {
        const Instruction instruction = decode_instruction(message->bytes);
        switch (instruction.kind) {
          case Instruction::Kind::kWeights:
            if (receiver_.under_way()) take_weights();
            receiver_.start(instruction.version);
            break;
          case Instruction::Kind::kGenerate:
            begin(instruction);
            break;
          case Instruction::Kind::kCancel:
            drop(instruction.ticket);
            break;
          case Instruction::Kind::kEnd:
            return instruction.text.empty() ? std::nullopt : std::optional(instruction.text);
        }
      }
      if (receiver_.ready()) take_weights();
      // 2. Sample one token of every response in progress.
      for (Engine::Finished& finished : engine_.step()) verify(std::move(finished));
      // 3. Send the groups whose verdicts have all arrived.
      collect_verdicts();
      // 4. Send a heartbeat.
      send_heartbeat();
    }
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Group {
    Problem problem;
    int64_t request = -1;    // its ticket in the engine
    int64_t unfinished = 0;  // samples in progress, verification included
    std::vector<PendingRollout> pending;
    std::vector<Rollout> rollouts;  // by sample
  };

  std::optional<trainer::MessageChannel::Message> next_message() {
    trainer::MessageChannel& channel = split_.whole.messages();
    if (!engine_.idle()) return channel.take();
    const auto is_pending = [](const auto& entry) { return !entry.second.pending.empty(); };
    if (std::any_of(groups_.begin(), groups_.end(), is_pending))
      return channel.wait({{kLead}, "verdicts", /*answering_is_enough=*/true}, kLookForVerdicts);
    split_.whole.enter("waiting for work");
    for (;;) {
      // The learners may run another stage or an evaluation. So any delay is accepted as long as they answer.
      if (auto message = channel.wait({{kLead}, "work", /*answering_is_enough=*/true}, config_.parallel.deadline)) {
        split_.whole.enter("rollout");
        return message;
      }
    }
  }

  void take_weights() {
    split_.whole.enter("weights");
    receiver_.finish();
    split_.whole.enter("rollout");
    const int64_t version = receiver_.version();
    engine_.refresh(version);
    for (auto& [ticket, group] : groups_) {
      if (oldest_version(group, version) >= version - config_.rl.max_staleness) continue;
      give_up(group);
      start(ticket, group);
    }
  }

  // The oldest version among the group's tokens so far; `newest` if it has none.
  int64_t oldest_version(const Group& group, int64_t newest) const {
    int64_t oldest = newest;
    for (const PendingRollout& each : group.pending) oldest = std::min(oldest, each.rollout.oldest_version());
    for (const Rollout& rollout : group.rollouts)
      if (rollout.length() > 0) oldest = std::min(oldest, rollout.oldest_version());
    return std::min(oldest, engine_.oldest_version(group.request).value_or(newest));
  }

  void begin(const Instruction& instruction) {
    const int64_t wanted = std::max<int64_t>(instruction.version, 0);
    if (receiver_.version() < wanted && receiver_.under_way()) take_weights();
    if (receiver_.version() < wanted) {
      throw std::logic_error(fmt::format(
          "the learners asked for rollouts with weights of version {} or newer, but this rank has version {}", wanted,
          receiver_.version()));
    }
    Group& group = groups_[instruction.ticket];
    group.problem = task_.problem(Split::kTrain, instruction.problem);
    start(instruction.ticket, group);
  }

  void start(int64_t ticket, Group& group) {
    group.unfinished = sampling_.n;
    group.pending.clear();
    group.rollouts.assign(static_cast<size_t>(sampling_.n), {});
    group.request = engine_.submit(request_of(group.problem, sampling_));
    owner_[group.request] = ticket;
  }

  void give_up(const Group& group) {
    engine_.cancel(group.request);
    owner_.erase(group.request);
  }

  void drop(int64_t ticket) {
    const auto found = groups_.find(ticket);
    if (found == groups_.end()) return;  // its report has been sent
    give_up(found->second);
    groups_.erase(found);
  }

  void verify(Engine::Finished finished) {
    Group& group = groups_.at(owner_.at(finished.ticket));
    split_.whole.enter("reward");
    group.pending.push_back(begin_verification(task_, group.problem, finished.sample, std::move(finished.completion)));
    split_.whole.enter("rollout");
  }

  // Takes in the verdicts that have arrived, and sends the groups that have all of theirs.
  void collect_verdicts() {
    for (auto entry = groups_.begin(); entry != groups_.end();) {
      Group& group = entry->second;
      std::erase_if(group.pending, [&](PendingRollout& each) {
        if (!each.ready()) return false;
        Rollout rollout = each.get();
        group.rollouts[static_cast<size_t>(rollout.sample)] = std::move(rollout);
        --group.unfinished;
        return true;
      });
      if (group.unfinished > 0) {
        ++entry;
        continue;
      }
      send({entry->first, std::move(group.rollouts)});
      owner_.erase(group.request);
      entry = groups_.erase(entry);
    }
  }

  void send(const Report& report) {
    split_.whole.messages().send(kLead, encode(report));
    sent_ = Clock::now();
  }

  void send_heartbeat() {
    const std::chrono::duration<double> silent = Clock::now() - sent_;
    if (silent.count() > config_.parallel.deadline / 4) send({});
  }

  SplitWorld& split_;
  const configs::RunConfig& config_;
  const TokenizedTask& task_;
  trainer::Transformer model_;
  WeightReceiver receiver_;
  Engine engine_;
  const SamplingParams sampling_;
  std::map<int64_t, Group> groups_;   // by ticket of the pool
  std::map<int64_t, int64_t> owner_;  // ticket of the pool, by ticket of the engine
  Clock::time_point sent_ = Clock::now();
};

}  // namespace

std::optional<std::string> generate_for_learners(SplitWorld& split, const configs::RunConfig& config,
                                                 const TokenizedTask& task, int64_t vocab, torch::Device device) {
  return RolloutRank(split, config, task, vocab, device).run();
}

}  // namespace terse::rl
