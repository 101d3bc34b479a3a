// Saving and restoring of a run's shared state.
#include "trainer/session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "configs/load.h"
#include "trainer/device.h"

namespace terse::trainer {

namespace {

// Of a stage's end: what its evaluation says is another quantity than the scores of its steps.
constexpr double kNoScore = std::numeric_limits<double>::quiet_NaN();

}  // namespace

Session::Session(const configs::RunConfig& config, std::filesystem::path dir, int64_t vocab, World& world,
                 Interrupts* interrupts)
    : config_(config),
      dir_(std::move(dir)),
      world_(world),
      interrupts_(interrupts),
      device_(choose_device(config.run.device, world.place().local_rank)),
      learners_(config.parallel, world, device_) {
  model_ = std::make_unique<Transformer>(resolve(config.model, vocab), device_, static_cast<uint64_t>(config.run.seed),
                                         learners_.sharding());
  store_ = std::make_unique<checkpoints::Store>(dir_ / "checkpoints", store_options());
  metrics_ = std::make_unique<MetricLogger>(leads() ? dir_ : std::filesystem::path());
  const auto ask = [this](const std::string& mine) { return exchange("verify checkpoints", mine); };
  const auto wanted = [this](const std::string& name, const std::vector<int64_t>& shape) {
    return model_->params().wanted(name, shape);
  };
  if (auto loaded = store_->load_latest(wanted, ask)) {
    restore(std::move(*loaded));
  } else {
    metrics_->rewind({});
  }
}

std::vector<std::string> Session::exchange(std::string_view name, const std::string& mine) {
  if (world_.place().ranks == 1) return {mine};
  return all_gather_bytes(world_.group(device_), name, mine);
}

checkpoints::StoreOptions Session::store_options() {
  checkpoints::StoreOptions options;
  options.keep = config_.checkpoint.keep;
  options.async = config_.checkpoint.async || world_.place().ranks > 1;  // see wait_for_save()
  options.rank = static_cast<int>(world_.place().rank);
  options.ranks = static_cast<int>(world_.place().ranks);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  options.token = exchange("name this start", fmt::format("{}-{}", ::getpid(), now.count())).front();
  return options;
}

void Session::restore(checkpoints::Store::Loaded loaded) {
  for (const std::string& defect : loaded.rejected) {
    metrics_->say(fmt::format("damaged checkpoint {}; using {} instead", defect, loaded.path.filename().string()));
  }
  model_->restore(loaded.state);
  const nlohmann::json& extra = loaded.state.extra;
  global_step_ = loaded.info.step;
  finished_ = extra.at("finished");
  metrics_->rewind(extra.at("metrics"));
  const nlohmann::json& p = extra.at("progress");
  StageProgress progress{p.at("stage"), p.at("step"), p.at("tokens"), p.at("seconds"), p.at("extra")};
  metrics_->say(fmt::format("resumed at step {} of stage {} from {}", progress.step, progress.stage,
                            loaded.path.filename().string()));
  resume_ = Resume{std::move(progress), std::move(loaded.state)};
}

std::optional<Session::Resume> Session::resume(const std::string& stage) {
  if (!resume_ || resume_->progress.stage != stage) return std::nullopt;
  return std::exchange(resume_, std::nullopt);
}

void Session::log(const StageProgress& progress, const Metrics& metrics) {
  metrics_->log(progress.stage, progress.step, global_step_, metrics);
}

void Session::save(const StageProgress& progress, const SaveState& save_state, double score) {
  checkpoints::StateDict state;
  model_->save(state);
  if (save_state) save_state(state);
  state.extra = {{"finished", finished_},
                 {"metrics", metrics_->position()},
                 {"progress",
                  {{"stage", progress.stage},
                   {"step", progress.step},
                   {"tokens", progress.tokens},
                   {"seconds", progress.seconds},
                   {"extra", progress.extra}}}};
  store_->save({global_step_, progress.stage, configs::numerics_hash(config_), score}, state);
  if (!config_.checkpoint.async) wait_for_save();
}

// Several ranks meet again and again meanwhile: one that has stopped is then found by the world's deadline, not by the
// much longer one of a checkpoint, which is for disks.
void Session::wait_for_save() {
  constexpr std::chrono::milliseconds kLongestNap{200};
  bool idle = world_.place().ranks == 1;
  for (std::chrono::milliseconds nap{1}; !idle; nap = std::min(2 * nap, kLongestNap)) {
    torch::Tensor busy = torch::full({1}, store_->idle(nap) ? 0 : 1, torch::kInt64).to(device_);
    world_.group(device_).all_reduce("checkpoint is written", busy, Reduce::kMax).wait();
    idle = busy.item<int64_t>() == 0;
  }
  store_->wait();
}

void Session::report(const checkpoints::DiskError& error) {
  metrics_->say(fmt::format("checkpoint not written, training goes on with the older ones: {}", error.what()));
}

// A background save that failed must not keep the next one from being tried.
void Session::settle() {
  try {
    wait_for_save();
  } catch (const checkpoints::DiskError& error) {
    report(error);
  }
}

// A signal may reach the ranks at different steps; all follow the strongest request.
Interrupt Session::requested() {
  const Interrupt mine = interrupts_ != nullptr ? interrupts_->take() : Interrupt::kNone;
  if (world_.place().ranks == 1) return mine;
  torch::Tensor strongest = torch::full({1}, static_cast<int64_t>(mine), torch::kInt64).to(device_);
  world_.group(device_).all_reduce("interrupts", strongest, Reduce::kMax).wait();
  return static_cast<Interrupt>(strongest.item<int64_t>());
}

void Session::maybe_save(const StageProgress& progress, const SaveState& save_state, double score) {
  const Interrupt interrupt = requested();
  const int64_t every = config_.checkpoint.every;
  const bool due = every > 0 && progress.step % every == 0;
  if (!due && interrupt == Interrupt::kNone) return;
  world_.enter("save");
  settle();
  try {
    save(progress, save_state, score);
    if (interrupt != Interrupt::kNone) wait_for_save();
  } catch (const checkpoints::DiskError& error) {
    if (interrupt == Interrupt::kSaveAndStop) throw;
    report(error);
  }
  if (interrupt == Interrupt::kSaveAndStop) {
    throw SavedAndStopped(fmt::format("saved at step {} of stage {} on a signal; the same command goes on from there",
                                      progress.step, progress.stage));
  }
}

void Session::finish_stage(const StageProgress& progress, nlohmann::json result) {
  world_.enter("save");
  finished_.push_back(std::move(result));
  settle();
  save({progress.stage, progress.step, progress.tokens, progress.seconds, {}}, nullptr, kNoScore);
}

void Session::close() {
  world_.enter("save");
  wait_for_save();
}

}  // namespace terse::trainer
