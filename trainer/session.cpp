// Saves and restores the shared state of a run. A failed write on one rank is an error on all ranks.
#include "trainer/session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "configs/load.h"
#include "trainer/device.h"
#include "trainer/saved_model/initial_weights.h"
#include "trainer/saved_model/saved_model.h"
#include "trainer/speed/matmul_speed.h"

namespace terse::trainer {

namespace {

// JSON has no NaN and no infinity, so these are written as text.
nlohmann::json pending_to_json(const std::optional<Metrics>& pending) {
  if (!pending) return nullptr;
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [name, value] : *pending) {
    if (std::isfinite(value)) {
      json[name] = value;
    } else {
      json[name] = fmt::format("{}", value);
    }
  }
  return json;
}

std::optional<Metrics> pending_from_json(const nlohmann::json& json) {
  if (json.is_null()) return std::nullopt;
  Metrics pending;
  for (const auto& [name, value] : json.items())
    pending[name] = value.is_string() ? std::strtod(value.get<std::string>().c_str(), nullptr) : value.get<double>();
  return pending;
}

// The score of a checkpoint at the end of a stage. Its evaluation measures another quantity than the scores of steps,
// so the two cannot be compared.
constexpr double kNoScore = std::numeric_limits<double>::quiet_NaN();

// Returns the saved positions in the line files. A checkpoint of an older build has the ledger's position in the
// progress of the stage rl.
MetricPosition position_in(const nlohmann::json& extra) {
  MetricPosition position = extra.at("metrics");
  const nlohmann::json& progress = extra.at("progress").at("extra");
  if (progress.is_object() && progress.contains("ledger")) position.files["ledger.jsonl"] = progress.at("ledger");
  return position;
}

}  // namespace

void read_saved(const std::function<void()>& read) {
  try {
    read();
  } catch (const nlohmann::json::exception& error) {
    throw DataError(fmt::format(
        "the checkpoint lacks a value that this version of terse reads, or holds it in another format: {}. "
        "Continue with the version of terse that started the run, or start a new run with another --run-dir.",
        error.what()));
  }
}

Session::Session(const configs::RunConfig& config, std::filesystem::path dir, const data::ChatFormat& chat,
                 World& world, Interrupts* interrupts, std::vector<std::string> files)
    : config_(config),
      dir_(std::move(dir)),
      tokenizer_(chat.tokenizer().id()),
      world_(world),
      device_(choose_device(config.run.device, world.place().local_rank)),
      signals_(interrupts, world, device_),
      learners_(config.parallel, world, device_) {
  model_ = std::make_unique<Transformer>(resolve(config.model, chat.tokenizer().vocab_size(), config.lora), device_,
                                         static_cast<uint64_t>(config.run.seed), learners_.sharding());
  if (leads()) files_ = self_description(config, model_->spec(), chat);
  store_ = std::make_unique<checkpoints::Store>(dir_ / "checkpoints", store_options());
  MetricLoggerOptions options;
  options.files = std::move(files);
  metrics_ = std::make_unique<MetricLogger>(leads() ? dir_ : std::filesystem::path(), std::move(options));
  const auto ask = [this](const std::string& mine) { return exchange("verify checkpoints", mine); };
  const auto wanted = [this](const std::string& name, const std::vector<int64_t>& shape) {
    return model_->params().wanted(name, shape);
  };
  // In the split layout the ranks that only generate wait for a message from this one. A stop before that message would
  // leave them waiting.
  const bool may_stop = config.parallel.layout != "split";
  const auto interrupted = [&] { return may_stop && signals_.stop_requested(); };
  if (model_->params().frozen() != nullptr) {
    metrics_->say(fmt::format("LoRA trains {} parameters; the {} of the model are frozen", model_->params().size(),
                              model_->params().frozen()->layout().size));
  }
  try {
    if (auto loaded = store_->load_latest(wanted, ask, interrupted)) {
      read_saved([&] { restore(std::move(*loaded)); });
    } else {
      metrics_->rewind({});
      const Place& place = world_.place();
      if (!config.model.init.empty())
        take_initial_weights({static_cast<int>(place.rank), static_cast<int>(place.ranks), ask, interrupted});
    }
  } catch (const checkpoints::Interrupted&) {
    throw StopRequested();
  }
}

double Session::matmul_speed() {
  if (matmul_speed_) return *matmul_speed_;
  constexpr double kSeconds = 0.05;
  const bool alone = world_.place().ranks == 1;
  if (!alone) barrier(world_.group(device_), "measure the speed together");
  matmul_speed_ = matmul_speed_of_model(device_, model_->spec().bf16, kSeconds);
  if (alone) return *matmul_speed_;
  torch::Tensor sum = torch::full({1}, *matmul_speed_, torch::kFloat64).to(device_);
  world_.group(device_).all_reduce("speed of all ranks", sum, Reduce::kSum).wait();
  matmul_speed_ = sum.item<double>();
  return *matmul_speed_;
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
    metrics_->say(
        fmt::format("a checkpoint is damaged: {}; the run uses {} instead", defect, loaded.path.filename().string()));
  }
  const nlohmann::json& extra = loaded.state.extra;
  // A checkpoint of an older build does not name its tokenizer and is accepted.
  if (const std::string theirs = extra.value("tokenizer", tokenizer_); theirs != tokenizer_) {
    throw ConfigError(fmt::format(
        "{} was trained with the tokenizer {}, but this start uses the tokenizer {}, in which the token ids mean other "
        "texts. Restore the tokenizer that the run started with, or choose another run folder (--run-dir or "
        "run.name) for the new tokenizer.",
        loaded.path.string(), theirs, tokenizer_));
  }
  model_->restore(loaded.state);
  // Only the stage reads the rest, later. The weights need not wait for it.
  const auto& infos = ParamLayout(model_->spec()).infos;
  for (const ParamInfo& info : infos) loaded.state.tensors.erase(info.name);
  global_step_ = loaded.info.step;
  on_disk_ = global_step_;
  finished_ = extra.at("finished");
  init_ = extra.value("init", nlohmann::json());
  metrics_->rewind(position_in(extra));
  const nlohmann::json& p = extra.at("progress");
  StageProgress progress{p.at("stage"), p.at("step"), p.at("tokens"), p.at("seconds"), p.at("extra")};
  progress.pending = pending_from_json(p.value("pending", nlohmann::json()));
  metrics_->say(fmt::format("resumed at step {} of stage {} from {}", progress.step, progress.stage,
                            loaded.path.filename().string()));
  resume_ = Resume{std::move(progress), std::move(loaded.state)};
}

void Session::take_initial_weights(const checkpoints::Readers& readers) {
  InitialWeights taken = load_initial_weights(*model_, config_.model.init, tokenizer_, readers);
  for (const std::string& note : taken.notes) metrics_->say(note);
  init_ = std::move(taken.origin);
  if (config_.lora.rank == 0 || config_.lora.init.empty()) return;
  InitialWeights adapters = load_initial_adapters(*model_, config_.lora.init);
  for (const std::string& note : adapters.notes) metrics_->say(note);
  init_["adapters"] = std::move(adapters.origin);
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
  MetricPosition position;
  on_all_ranks("records are on disk", [&] { position = metrics_->position(); });  // only rank 0 writes them
  state.extra = {{"finished", finished_},
                 {"tokenizer", tokenizer_},
                 {"metrics", position},
                 {"progress",
                  {{"stage", progress.stage},
                   {"step", progress.step},
                   {"tokens", progress.tokens},
                   {"seconds", progress.seconds},
                   {"extra", progress.extra},
                   {"pending", pending_to_json(progress.pending)}}}};
  if (!init_.is_null()) state.extra["init"] = init_;
  state.files = files_;
  on_disk_.reset();  // until the save has begun
  store_->save({global_step_, progress.stage, configs::numerics_hash(config_), score}, state);
  on_disk_ = global_step_;
  if (!config_.checkpoint.async) wait_for_save();
}

void Session::on_all_ranks(std::string_view name, const std::function<void()>& work) {
  std::optional<DiskError> mine;
  try {
    work();
  } catch (const DiskError& error) {
    mine = error;
  }
  for (const std::string& theirs : exchange(name, mine ? mine->what() : "")) {
    if (!theirs.empty()) throw mine ? *mine : DiskError(theirs);
  }
}

// While they wait, several ranks repeat a small reduction. So the world's deadline detects a rank that no longer
// responds. The deadline of a checkpoint is much longer, because it allows for slow disks.
void Session::wait_for_save() {
  constexpr std::chrono::milliseconds kLongestNap{200};
  bool idle = world_.place().ranks == 1;
  for (std::chrono::milliseconds nap{1}; !idle; nap = std::min(2 * nap, kLongestNap)) {
    torch::Tensor busy = torch::full({1}, store_->idle(nap) ? 0 : 1, torch::kInt64).to(device_);
    world_.group(device_).all_reduce("checkpoint is written", busy, Reduce::kMax).wait();
    idle = busy.item<int64_t>() == 0;
  }
  on_all_ranks("checkpoint has been written", [this] { store_->wait(); });
}

void Session::report(const DiskError& error) {
  metrics_->say(fmt::format("the checkpoint was not written; training continues, and the older checkpoints remain: {}",
                            error.what()));
}

// Waits for the background save and reports its failure, so that the next save is still tried.
void Session::finish_pending_save() {
  try {
    wait_for_save();
  } catch (const DiskError& error) {
    on_disk_.reset();
    report(error);
  }
}

void Session::maybe_save(const StageProgress& progress, const SaveState& save_state, double score) {
  const Interrupt interrupt = signals_.take();
  const int64_t every = config_.checkpoint.every;
  const bool due = every > 0 && progress.step % every == 0;
  if (due || interrupt != Interrupt::kNone) save_now(progress, save_state, score, interrupt);
}

// finish_stage() replaces this checkpoint by one of the same step.
void Session::save_last_step(const StageProgress& progress, const SaveState& save_state) {
  save_now(progress, save_state, kNoScore, signals_.take());
  finish_pending_save();
}

void Session::save_now(const StageProgress& progress, const SaveState& save_state, double score, Interrupt interrupt) {
  world_.enter("save");
  finish_pending_save();
  try {
    save(progress, save_state, score);
    if (interrupt != Interrupt::kNone) wait_for_save();
  } catch (const DiskError& error) {
    if (interrupt == Interrupt::kSaveAndStop) throw;
    on_disk_.reset();
    report(error);
  }
  if (interrupt == Interrupt::kSaveAndStop) stopped(progress);
}

void Session::stop(const StageProgress& progress, const SaveState& save_state, double score) {
  world_.enter("save");
  finish_pending_save();
  if (on_disk_ != global_step_) {
    if (!save_state) throw DiskError("a stop was requested, but the newest checkpoint was not written");
    save(progress, save_state, score);
  }
  wait_for_save();
  stopped(progress);
}

void Session::stopped(const StageProgress& progress) const {
  throw SavedAndStopped(
      global_step_ == 0
          ? "the run stopped on a signal before the first step; there was nothing to save, and the same command "
            "starts it again"
          : fmt::format(
                "the run was saved at step {} of stage {} on a signal; the same command continues it from there",
                progress.step, progress.stage));
}

void Session::finish_stage(const StageProgress& progress, nlohmann::json result) {
  world_.enter("save");
  finished_.push_back(std::move(result));
  finish_pending_save();
  save({progress.stage, progress.step, progress.tokens, progress.seconds, {}}, nullptr, kNoScore);
}

void Session::close() {
  world_.enter("save");
  wait_for_save();
}

}  // namespace terse::trainer
