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
#include "data/chat/chat_format.h"
#include "trainer/learners.h"
#include "trainer/metrics/metric_logger.h"
#include "trainer/model/transformer.h"
#include "trainer/signal_poll.h"

namespace terse::trainer {

using Metrics = std::map<std::string, double>;

// The progress of a stage. `extra` holds everything that a stage adds to a checkpoint besides weights and optimizer
// state.
struct StageProgress {
  std::string stage;
  int64_t step = 0;      // updates done
  int64_t tokens = 0;    // trained or generated so far
  double seconds = 0;    // spent so far, over all starts
  nlohmann::json extra;  // data cursor, controllers
  // The metrics of the last step while its gate or evaluation has not finished. A run that is stopped in between
  // repeats the gate or evaluation when it resumes.
  std::optional<Metrics> pending = {};
};

// Runs `read`, which reads state from a checkpoint. Throws DataError when a key is missing or has another type, as in a
// checkpoint of another version.
void read_saved(const std::function<void()>& read);

class Session {
 public:
  // Builds the model from the config and opens metrics and checkpoints in `dir`. When there is a usable checkpoint,
  // restores weights, global step and finished stages from it; resume() then returns the progress of the interrupted
  // stage. Without one, the weights are those of model.init, or random. Collective over the world. Only rank 0 writes
  // metrics and the other line files, `files`. Throws ConfigError when the checkpoint was trained with another
  // tokenizer or model.init does not fit (saved_model/initial_weights.h), and StopRequested when a stop is requested
  // while checkpoints are verified.
  Session(const configs::RunConfig& config, std::filesystem::path dir, const data::ChatFormat& chat, World& world,
          Interrupts* interrupts, std::vector<std::string> files = {});

  const configs::RunConfig& config() const { return config_; }
  const std::filesystem::path& dir() const { return dir_; }
  World& world() { return world_; }
  bool leads() const { return world_.place().rank == 0; }
  Transformer& model() { return *model_; }
  MetricLogger& metrics() { return *metrics_; }

  // Returns the floating-point operations per second of a matrix product in the dtype of the weights, or on a CPU in
  // fp32 where that is faster, on all ranks together. Collective: the first call measures, on all ranks at the same
  // time, because ranks of one machine share it.
  double matmul_speed();

  // Returns the progress and the saved tensors from which `stage` resumes, or nullopt when it starts from the
  // beginning. Only the first call returns them.
  struct Resume {
    StageProgress progress;
    checkpoints::StateDict state;
  };
  std::optional<Resume> resume(const std::string& stage);

  // Results of the stages that are finished, in order: the `stages` of summary.json.
  const nlohmann::json& finished_stages() const { return finished_; }
  // Records a stage's result, then saves a checkpoint so that the stage never runs again.
  void finish_stage(const StageProgress& progress, nlohmann::json result);
  // Waits for the last checkpoint. Throws DiskError when it could not be written.
  void close();

  // Adds a stage's own tensors (optimizer state and the like) to a checkpoint.
  using SaveState = std::function<void(checkpoints::StateDict&)>;
  // Saves when a checkpoint is due at this step or a signal requests one. After a requested stop it throws
  // SavedAndStopped once the checkpoint is on disk, and DiskError when it cannot be written. Otherwise a failed write
  // is only reported, and training continues with the older checkpoints.
  void maybe_save(const StageProgress& progress, const SaveState& save_state, double score);
  // Saves a stage's last step, whatever checkpoint.every is, because the evaluation that follows may take long. Waits
  // until the checkpoint is on disk; a failed write is reported. Throws like maybe_save().
  void save_last_step(const StageProgress& progress, const SaveState& save_state);

  // Long loops between two calls of maybe_save() poll this object for signals. A stage that catches its StopRequested
  // calls stop().
  SignalPoll& signals() { return signals_; }
  // Saves unless the newest checkpoint is already of this step, then throws SavedAndStopped. Without `save_state` it
  // cannot save and throws DiskError when the newest checkpoint is not of this step.
  [[noreturn]] void stop(const StageProgress& progress, const SaveState& save_state, double score);

  // Counts one more update of any stage. Call it before log() and maybe_save() of that update.
  int64_t global_step() const { return global_step_; }  // updates of all stages so far
  void step_done() {
    ++global_step_;
    metrics_->step_done();
  }
  void log(const StageProgress& progress, const Metrics& metrics);

 private:
  void save(const StageProgress& progress, const SaveState& save_state, double score);
  // Runs `work`. When it throws DiskError on one rank, this function throws on all ranks, so that none continues alone.
  void on_all_ranks(std::string_view name, const std::function<void()>& work);
  void wait_for_save();
  void finish_pending_save();
  void report(const DiskError& error);
  void save_now(const StageProgress& progress, const SaveState& save_state, double score, Interrupt interrupt);
  [[noreturn]] void stopped(const StageProgress& progress) const;
  checkpoints::StoreOptions store_options();
  std::vector<std::string> exchange(std::string_view name, const std::string& mine);
  void restore(checkpoints::Store::Loaded loaded);
  void take_initial_weights(const checkpoints::Readers& readers);

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
  nlohmann::json init_;                       // where the initial weights came from; null: they were random
  std::map<std::string, std::string> files_;  // of every checkpoint; see saved_model/saved_model.h
  int64_t global_step_ = 0;                   // updates over all stages
  std::optional<double> matmul_speed_;
  std::optional<int64_t> on_disk_ = 0;  // of the newest checkpoint; empty if it could not be written
};

}  // namespace terse::trainer
