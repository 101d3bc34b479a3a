// Saving and restoring of a run's shared state.
#include "trainer/session.h"

#include <fmt/format.h>

#include "configs/load.h"
#include "trainer/device.h"

namespace terse::trainer {

Session::Session(const configs::RunConfig& config, std::filesystem::path dir, int64_t vocab, Interrupts* interrupts)
    : config_(config), dir_(std::move(dir)), interrupts_(interrupts) {
  const torch::Device device = choose_device(config.run.device);
  model_ = std::make_unique<Transformer>(resolve(config.model, vocab), device, static_cast<uint64_t>(config.run.seed));
  store_ = std::make_unique<checkpoints::Store>(dir_ / "checkpoints", config.checkpoint.keep, config.checkpoint.async);
  metrics_ = std::make_unique<MetricLogger>(dir_);
  if (auto loaded = store_->load_latest()) {
    restore(std::move(*loaded));
  } else {
    metrics_->rewind({});
  }
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
}

void Session::report(const checkpoints::DiskError& error) {
  metrics_->say(fmt::format("checkpoint not written, training goes on with the older ones: {}", error.what()));
}

// A background save that failed must not keep the next one from being tried.
void Session::settle() {
  try {
    store_->wait();
  } catch (const checkpoints::DiskError& error) {
    report(error);
  }
}

void Session::maybe_save(const StageProgress& progress, const SaveState& save_state, double score) {
  const Interrupt interrupt = interrupts_ != nullptr ? interrupts_->take() : Interrupt::kNone;
  const int64_t every = config_.checkpoint.every;
  const bool due = every > 0 && progress.step % every == 0;
  if (!due && interrupt == Interrupt::kNone) return;
  settle();
  try {
    save(progress, save_state, score);
    if (interrupt != Interrupt::kNone) store_->wait();
  } catch (const checkpoints::DiskError& error) {
    if (interrupt == Interrupt::kSaveAndStop) throw;
    report(error);
  }
  if (interrupt == Interrupt::kSaveAndStop) {
    throw SavedAndStopped(fmt::format("saved at step {} of stage {} on a signal; the same command goes on from there",
                                      progress.step, progress.stage));
  }
}

void Session::finish_stage(const StageProgress& progress, nlohmann::json result, double score) {
  finished_.push_back(std::move(result));
  settle();
  save({progress.stage, progress.step, progress.tokens, progress.seconds, {}}, nullptr, score);
}

void Session::close() {
  store_->wait();
}

}  // namespace terse::trainer
