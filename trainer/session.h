// The state that all stages of one run share: the model, the metrics, the checkpoints and the signals.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "checkpoints/store.h"
#include "configs/run_config.h"
#include "data/tokenizer.h"
#include "trainer/learners.h"
#include "trainer/metrics/metric_logger.h"
#include "trainer/model/transformer.h"
#include "trainer/signal_poll.h"

namespace terse::trainer {

using Metrics = std::map<std::string, double>;

// How far a stage is. Everything a stage adds to a checkpoint beside weights and optimizer lies in `extra`.
struct StageProgress {
  std::string stage;
  int64_t step = 0;      // updates done
  int64_t tokens = 0;    // trained or generated so far
  double seconds = 0;    // spent so far, over all starts
  nlohmann::json extra;  // data cursor, controllers
  // The values of the last step's record while what belongs to it, an exam or an evaluation, has not ended. A run that
  // is stopped there repeats that part.
  std::optional<Metrics> pending = {};
};

// Runs `read`, which takes state out of a checkpoint. A key that is missing there or of another kind, as in a
// checkpoint of another version, is a DataError.
void read_saved(const std::function<void()>& read);

class Session {
 public:
  // Builds the model from the config, opens metrics and checkpoints in `dir` and, when there is a usable checkpoint,
  // restores weights, global step and finished stages from it; the interrupted stage then finds its progress in
  // resume(). All ranks of the world together; its first rank leads: it alone writes metrics and the other line files,
  // `files`. Throws ConfigError when the checkpoint was trained with another tokenizer, StopRequested when a
  // stop is asked for while checkpoints are verified.
  Session(const configs::RunConfig& config, std::filesystem::path dir, const data::Tokenizer& tokenizer, World& world,
          Interrupts* interrupts, std::vector<std::string> files = {});

  const configs::RunConfig& config() const { return config_; }
  const std::filesystem::path& dir() const { return dir_; }
  World& world() { return world_; }
  bool leads() const { return world_.place().rank == 0; }
  Transformer& model() { return *model_; }
  MetricLogger& metrics() { return *metrics_; }

  // The progress and optimizer state of `stage` to go on from, or nothing when it starts afresh. Can be taken once.
  struct Resume {
    StageProgress progress;
    checkpoints::StateDict state;
  };
  std::optional<Resume> resume(const std::string& stage);

  // Results of the stages that are finished, in order: the `stages` of summary.json.
  const nlohmann::json& finished_stages() const { return finished_; }
  // Records a stage's result, then saves a checkpoint so that it is never run again.
  void finish_stage(const StageProgress& progress, nlohmann::json result);
  // Waits for the last checkpoint. Throws DiskError when it could not be written.
  void close();

  // Adds a stage's own tensors (optimizer state and the like) to a checkpoint.
  using SaveState = std::function<void(checkpoints::StateDict&)>;
  // Saves when a checkpoint is due at this step, or a signal asks for one; throws SavedAndStopped once a requested stop
  // is on disk. A full disk or a failed write is reported, and training goes on with the older checkpoints.
  void maybe_save(const StageProgress& progress, const SaveState& save_state, double score);
  // Saves a stage's last step, whatever checkpoint.every is, and waits until it is on disk or has failed, which is
  // reported. The evaluation that follows may take long.
  void save_last_step(const StageProgress& progress, const SaveState& save_state);

  // Long loops between two calls of maybe_save() ask this for signals. A stage that catches their StopRequested calls
  // stop().
  SignalPoll& signals() { return signals_; }
  // Saves unless the newest checkpoint is of this step already, and throws SavedAndStopped. Without `save_state`
  // nothing can be saved any more: then a newest checkpoint that could not be written is a DiskError.
  [[noreturn]] void stop(const StageProgress& progress, const SaveState& save_state, double score);

  // One more update of any stage is done; comes before log() and maybe_save() of that update.
  void step_done() {
    ++global_step_;
    metrics_->step_done();
  }
  void log(const StageProgress& progress, const Metrics& metrics);

 private:
  void save(const StageProgress& progress, const SaveState& save_state, double score);
  // Throws the DiskError of `work` on all ranks when one of them has one, so that none goes on alone.
  void together(std::string_view name, const std::function<void()>& work);
  void wait_for_save();
  void settle();
  void report(const DiskError& error);
  void save_now(const StageProgress& progress, const SaveState& save_state, double score, Interrupt interrupt);
  [[noreturn]] void stopped(const StageProgress& progress) const;
  checkpoints::StoreOptions store_options();
  std::vector<std::string> exchange(std::string_view name, const std::string& mine);
  void restore(checkpoints::Store::Loaded loaded);

  configs::RunConfig config_;
  std::filesystem::path dir_;
  std::string tokenizer_;  // its id
  World& world_;
  torch::Device device_;
  SignalPoll signals_;
  Learners learners_;
  std::unique_ptr<Transformer> model_;
  std::unique_ptr<MetricLogger> metrics_;
  std::unique_ptr<checkpoints::Store> store_;
  std::optional<Resume> resume_;
  nlohmann::json finished_ = nlohmann::json::array();
  int64_t global_step_ = 0;             // updates over all stages
  std::optional<int64_t> on_disk_ = 0;  // of them, in the newest checkpoint; empty where it could not be written
};

}  // namespace terse::trainer
