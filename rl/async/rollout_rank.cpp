// One thread alternates between messages and generation. It blocks only while it has nothing to generate, or when it
// needs weights that are still arriving.
#include "rl/async/rollout_rank.h"

#include <fmt/format.h>

#include <chrono>
#include <map>
#include <stdexcept>

#include "rl/async/rollout_letters.h"
#include "rl/async/weight_sync.h"
#include "rl/rollout/rollout_supply.h"
#include "trainer/parallel/mpi/mailbox.h"

namespace terse::rl {

namespace {

constexpr int64_t kLead = 0;

class RolloutRank {
 public:
  RolloutRank(SplitWorld& split, const configs::RunConfig& config, const Task& task, int64_t vocab,
              torch::Device device)
      : split_(split),
        config_(config),
        task_(task),
        model_(trainer::resolve(config.model, vocab), device, 0, {}, trainer::Purpose::kInference),
        receiver_(model_.params(), *split.weights,
                  transfer_dtype(config.parallel, model_.spec().bf16, device.is_cuda())),
        engine_(model_, {config.engine.max_batch}),
        sampling_(rollout_sampling(config, task)) {}

  std::optional<std::string> run() {
    for (;;) {
      // 1. Read instructions. With nothing to generate, wait for one.
      while (const auto letter = next_letter()) {
        const Instruction instruction = decode_instruction(letter->bytes);
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
      for (Engine::Finished& finished : engine_.step()) take_in(std::move(finished));
      // 3. Send a heartbeat.
      show_life();
    }
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Group {
    Problem problem;
    int64_t request = -1;           // its ticket in the engine
    int64_t unfinished = 0;         // samples in progress
    std::vector<Rollout> rollouts;  // by sample
  };

  std::optional<trainer::Mailbox::Letter> next_letter() {
    trainer::Mailbox& mailbox = split_.whole.mailbox();
    if (!engine_.idle()) return mailbox.take();
    split_.whole.enter("waits for work");
    for (;;) {
      // The learners may run another stage or an evaluation. So any delay is accepted as long as they answer.
      if (auto letter = mailbox.wait({{kLead}, "work", /*answering_is_enough=*/true}, config_.parallel.deadline)) {
        split_.whole.enter("rollout");
        return letter;
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
    for (const Rollout& rollout : group.rollouts)
      if (rollout.length() > 0) oldest = std::min(oldest, rollout.oldest_version());
    return std::min(oldest, engine_.oldest_version(group.request).value_or(newest));
  }

  void begin(const Instruction& instruction) {
    const int64_t wanted = std::max<int64_t>(instruction.version, 0);
    if (receiver_.version() < wanted && receiver_.under_way()) take_weights();
    if (receiver_.version() < wanted) {
      throw std::logic_error(
          fmt::format("rollouts with weights of version {} are wanted, but those acknowledged here are of version {}",
                      wanted, receiver_.version()));
    }
    Group& group = groups_[instruction.ticket];
    group.problem = task_.problem(Split::kTrain, instruction.problem);
    start(instruction.ticket, group);
  }

  void start(int64_t ticket, Group& group) {
    group.unfinished = sampling_.n;
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

  void take_in(Engine::Finished finished) {
    const int64_t ticket = owner_.at(finished.ticket);
    Group& group = groups_.at(ticket);
    split_.whole.enter("reward");
    group.rollouts[static_cast<size_t>(finished.sample)] =
        verified(task_, group.problem, finished.sample, std::move(finished.completion));
    split_.whole.enter("rollout");
    if (--group.unfinished > 0) return;
    send({ticket, std::move(group.rollouts)});
    owner_.erase(finished.ticket);
    groups_.erase(ticket);
  }

  void send(const Report& report) {
    split_.whole.mailbox().send(kLead, encode(report));
    sent_ = Clock::now();
  }

  void show_life() {
    const std::chrono::duration<double> silent = Clock::now() - sent_;
    if (silent.count() > config_.parallel.deadline / 4) send({});
  }

  SplitWorld& split_;
  const configs::RunConfig& config_;
  const Task& task_;
  trainer::Transformer model_;
  WeightReceiver receiver_;
  Engine engine_;
  const SamplingParams sampling_;
  std::map<int64_t, Group> groups_;   // by ticket of the pool
  std::map<int64_t, int64_t> owner_;  // ticket of the pool, by ticket of the engine
  Clock::time_point sent_ = Clock::now();
};

}  // namespace

std::optional<std::string> generate_for_learners(SplitWorld& split, const configs::RunConfig& config, const Task& task,
                                                 int64_t vocab, torch::Device device) {
  return RolloutRank(split, config, task, vocab, device).run();
}

}  // namespace terse::rl
