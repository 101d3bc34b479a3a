// Writes a run's metrics and messages to metrics.jsonl and the other line files, tensorboard/, log.txt and a progress
// line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "trainer/metrics/console.h"
#include "trainer/metrics/event_file.h"
#include "trainer/metrics/line_files.h"
#include "trainer/metrics/log.h"
#include "trainer/metrics/progress.h"

namespace terse::trainer {

// A position in the record. A checkpoint stores it, so that a resumed run continues from there.
struct MetricPosition {
  LineFiles::Positions files;  // empty: the beginning
  int64_t global_step = -1;    // step of the last record; -1: none
};
void to_json(nlohmann::json& json, const MetricPosition& position);
void from_json(const nlohmann::json& json, MetricPosition& position);

struct MetricLoggerOptions {
  std::vector<std::string> files = {};  // line files of the run folder beside metrics.jsonl
  Console* console = nullptr;           // null: a console on standard error
  std::function<double()> clock;        // seconds of a steady clock; empty: std::chrono's
  double live_interval_s = 0.1;         // minimum time between updates of the live line on a terminal
  double plain_interval_s = 5;          // minimum time between progress lines elsewhere, and in log.txt
};

class MetricLogger {
 public:
  // Opens metrics.jsonl and log.txt in `run_dir` for appending. Throws MetricsError. With an empty `run_dir` all calls
  // are accepted and nothing is written: only one rank of a run logs.
  explicit MetricLogger(const std::filesystem::path& run_dir, MetricLoggerOptions options = {});
  ~MetricLogger();

  // Prints a line for people on the console and in log.txt.
  void say(const std::string& text) {
    if (files_) log_.info(text);
  }
  void warn(const std::string& text) {
    if (files_) log_.warn(text);
  }

  // Updates for the progress line. begin_stage(): a stage of `steps` steps begins or resumes after `step`. step_done():
  // one more step is finished.
  void begin_stage(const std::string& stage, int64_t step, int64_t steps);
  void step_done();

  // Appends one line to another line file of the run. Throws as log() does.
  void append(const std::string& file, const std::string& line);

  // Writes one record. It is with the operating system when the call returns. `step` counts within the stage,
  // `global_step` over all stages. Values that are not finite become null, and their names are listed under
  // "nonfinite". Throws MetricsError when metrics.jsonl cannot be written, but only once: further lost records are
  // counted, and the count is reported when writing works again. A failure of the event files causes one warning.
  void log(const std::string& stage, int64_t step, int64_t global_step, const std::map<std::string, double>& metrics);

  // Syncs all line files to disk and returns the current position. Throws MetricsError.
  MetricPosition position();
  // Returns to a position; {} is the beginning. Truncates the line files, and starts a new event file that makes
  // TensorBoard discard later points. Throws MetricsError.
  void rewind(const MetricPosition& position);

 private:
  void write_events(const std::string& stage, int64_t global_step, const std::map<std::string, double>& metrics);
  void show_progress(bool last);

  std::filesystem::path event_folder_;
  MetricLoggerOptions options_;
  std::unique_ptr<Console> own_console_;
  Log log_;
  std::optional<LineFiles> files_;
  std::unique_ptr<EventFile> events_;  // opened at the first record
  bool events_failed_ = false;
  std::optional<int64_t> restart_at_;  // for the next event file
  int64_t global_step_ = -1;
  Progress progress_;
  bool stage_closed_ = false;
  double shown_at_ = 0, noted_at_ = 0;  // times of the latest live line and the latest plain line
};

// Formats a line of metrics.jsonl. Doubles are printed with the fewest digits that read back to the same bits.
std::string metric_line(double time, const std::string& stage, int64_t step,
                        const std::map<std::string, double>& metrics);

}  // namespace terse::trainer
