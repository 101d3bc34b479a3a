// Sends each record to metrics.jsonl, the event file and the progress line.
#include "trainer/metrics/metric_logger.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

namespace terse::trainer {
namespace {

double wall_clock() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<double>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count()) / 1000;
}

double steady_clock() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string number(double value) {
  if (!std::isfinite(value)) return "null";
  // JSON readers parse "-0" as an integer and lose its sign.
  return value == 0 && std::signbit(value) ? "-0.0" : fmt::format("{}", value);
}

constexpr const char* kMetrics = "metrics.jsonl";
constexpr double kLongAgo = -std::numeric_limits<double>::infinity();

}  // namespace

void to_json(nlohmann::json& json, const MetricPosition& position) {
  json = {{"files", position.files}, {"global_step", position.global_step}};
}

void from_json(const nlohmann::json& json, MetricPosition& position) {
  // An older checkpoint has the position of metrics.jsonl only. The other files are then left as they are.
  if (json.contains("bytes")) {
    position.files = {{kMetrics, json.at("bytes")}};
  } else {
    json.at("files").get_to(position.files);
  }
  json.at("global_step").get_to(position.global_step);
}

std::string metric_line(double time, const std::string& stage, int64_t step,
                        const std::map<std::string, double>& metrics) {
  std::string line = fmt::format(R"({{"time":{:.3f},"stage":{},"step":{})", time, quoted(stage), step);
  std::string nonfinite;
  for (const auto& [name, value] : metrics) {
    if (name == "time" || name == "stage" || name == "step" || name == "nonfinite") {
      throw std::invalid_argument(fmt::format("the metric name '{}' is reserved for a field of every record", name));
    }
    line += "," + quoted(name) + ":" + number(value);
    if (!std::isfinite(value)) nonfinite += (nonfinite.empty() ? "" : ",") + quoted(name);
  }
  if (!nonfinite.empty()) line += ",\"nonfinite\":[" + nonfinite + "]";
  return line + "}";
}

MetricLogger::MetricLogger(const std::filesystem::path& run_dir, MetricLoggerOptions options)
    : event_folder_(run_dir / "tensorboard"),
      options_(std::move(options)),
      own_console_(options_.console == nullptr ? std::make_unique<Console>() : nullptr),
      log_(own_console_ ? *own_console_ : *options_.console, run_dir.empty() ? run_dir : run_dir / "log.txt"),
      shown_at_(kLongAgo),
      noted_at_(kLongAgo) {
  options_.files.insert(options_.files.begin(), kMetrics);
  if (!run_dir.empty()) files_.emplace(run_dir, options_.files);
  if (!options_.clock) options_.clock = steady_clock;
}

MetricLogger::~MetricLogger() {
  log_.console().end_live();
}

void MetricLogger::begin_stage(const std::string& stage, int64_t step, int64_t steps) {
  log_.console().end_live();
  progress_.begin(stage, step, steps, options_.clock());
  shown_at_ = noted_at_ = kLongAgo;
  stage_closed_ = false;
}

void MetricLogger::step_done() {
  progress_.step_done(options_.clock());
  show_progress(false);
}

// `last`: the final line of the stage. It ignores the interval, and no line of the stage follows it.
void MetricLogger::show_progress(bool last) {
  if (!files_ || progress_.stage().empty() || stage_closed_) return;
  stage_closed_ = last;
  const double now = options_.clock();
  const bool terminal = log_.console().terminal();
  if (terminal && (last || now - shown_at_ >= options_.live_interval_s)) {
    shown_at_ = now;
    log_.console().live(progress_.line());
  }
  if (!last && now - noted_at_ < options_.plain_interval_s) return;
  noted_at_ = now;
  terminal ? log_.file_only(progress_.line()) : log_.info(progress_.line());
}

void MetricLogger::log(const std::string& stage, int64_t step, int64_t global_step,
                       const std::map<std::string, double>& metrics) {
  if (!files_) return;
  const std::string line = metric_line(wall_clock(), stage, step, metrics);
  write_events(stage, global_step, metrics);
  global_step_ = global_step;
  if (stage == progress_.stage()) {
    progress_.record(step, metrics);
    show_progress(progress_.finished());
  }
  append(kMetrics, line);
}

void MetricLogger::append(const std::string& file, const std::string& line) {
  if (!files_) return;
  const int64_t missing = files_->append(file, line);
  if (missing > 0) warn(fmt::format("{} can be written again; {} lines are missing in it", file, missing));
}

void MetricLogger::write_events(const std::string& stage, int64_t global_step,
                                const std::map<std::string, double>& metrics) {
  if (events_failed_) return;
  std::map<std::string, double> tagged;
  for (const auto& [name, value] : metrics) tagged[event_tag(stage, name)] = value;
  try {
    const double now = wall_clock();
    if (!events_) events_ = std::make_unique<EventFile>(event_folder_, restart_at_, now);
    events_->add(global_step, tagged, now);
  } catch (const EventFileError& error) {
    events_failed_ = true;
    events_.reset();
    warn(fmt::format("terse writes no more TensorBoard events until the next start: {}", error.what()));
  }
}

MetricPosition MetricLogger::position() {
  return files_ ? MetricPosition{files_->sync(), global_step_} : MetricPosition{};
}

void MetricLogger::rewind(const MetricPosition& position) {
  if (!files_) return;
  if (position.files.empty()) files_->clear();
  for (const auto& [file, kept] : files_->rewind(position.files)) {
    const int64_t expected = position.files.at(file);
    if (kept == expected) continue;
    warn(fmt::format(
        "{} does not match the checkpoint: up to the position of the checkpoint it has {} bytes of whole lines, but "
        "{} were expected; lines are missing",
        file, kept, expected));
  }
  global_step_ = position.global_step;
  restart_at_ = position.global_step + 1;
  events_.reset();
  events_failed_ = false;
}

}  // namespace terse::trainer
