// Where a run's numbers and words go: metrics.jsonl and its other line files, tensorboard/, log.txt and a progress
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

// A point of the record that a checkpoint keeps, so that a resumed run goes on from there.
struct MetricPosition {
  LineFiles::Positions files;  // empty: the very beginning
  int64_t global_step = -1;    // of the last record; -1: none
};
void to_json(nlohmann::json& json, const MetricPosition& position);
void from_json(const nlohmann::json& json, MetricPosition& position);

struct MetricLoggerOptions {
  std::vector<std::string> files = {};  // line files of the run folder beside metrics.jsonl
  Console* console = nullptr;           // null: standard error
  std::function<double()> clock;        // seconds of a steady clock; empty: the system's
  double live_interval_s = 0.1;         // between redrawings of the live line on a terminal
  double plain_interval_s = 5;          // between progress lines elsewhere, and in log.txt
};

class MetricLogger {
 public:
  // Opens metrics.jsonl and log.txt in `run_dir` for appending. Throws MetricsError. An empty `run_dir` takes
  // everything and writes nothing: one rank of a run speaks for all.
  explicit MetricLogger(const std::filesystem::path& run_dir, MetricLoggerOptions options = {});
  ~MetricLogger();

  // A line for people, on the console and in log.txt.
  void say(const std::string& text) {
    if (files_) log_.info(text);
  }
  void warn(const std::string& text) {
    if (files_) log_.warn(text);
  }

  // For the progress line: a stage of `steps` steps begins, or goes on after `step`; another of its steps is done.
  void begin_stage(const std::string& stage, int64_t step, int64_t steps);
  void step_done();

  // One line of another line file of the run. Throws as log() does.
  void append(const std::string& file, const std::string& line);

  // One record, in the system's hands when the call returns. `step` counts within the stage, `global_step` over all
  // stages. Values that are not finite become null, and their names are listed under "nonfinite". Throws MetricsError
  // when metrics.jsonl cannot be written (once; records lost after that are counted, and reported when writing works
  // again). A failure of the event files is one warning.
  void log(const std::string& stage, int64_t step, int64_t global_step, const std::map<std::string, double>& metrics);

  // Where the record stands now, with everything before it on disk. Throws MetricsError.
  MetricPosition position();
  // Goes back to a position, {} being the very beginning: later lines are cut off the line files, and a new event file
  // tells TensorBoard to drop later points. Throws MetricsError.
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
  std::optional<int64_t> restart_at_;  // of the next event file
  int64_t global_step_ = -1;
  Progress progress_;
  bool stage_closed_ = false;
  double shown_at_ = 0, noted_at_ = 0;  // latest live line; latest plain one
};

// The line of metrics.jsonl. Doubles are printed with the fewest digits that read back to the same bits.
std::string metric_line(double time, const std::string& stage, int64_t step,
                        const std::map<std::string, double>& metrics);

}  // namespace terse::trainer
