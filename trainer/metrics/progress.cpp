// Estimates the remaining time from recent steps only: steps become faster when responses become shorter.
#include "trainer/metrics/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>

namespace terse::trainer {
namespace {

constexpr double kMemory = 0.97;  // decay per step: about the last 30 steps count

struct Item {
  const char* metric;
  std::string (*text)(double value);
};

// The metrics of a line, in order. Metrics without a value are left out.
const Item kItems[] = {
    {"loss", [](double v) { return "loss " + human_value(v); }},
    {"val_loss", [](double v) { return "val " + human_value(v); }},
    {"accuracy", [](double v) { return fmt::format("accuracy {:.3f}", v); }},
    {"completions/mean_length", [](double v) { return fmt::format("{:.1f} tokens", v); }},
    {"tokens_per_s", [](double v) { return human_count(v) + " tok/s"; }},
    {"mfu", [](double v) { return fmt::format("mfu {:.0f}%", 100 * v); }},
};

}  // namespace

std::string human_count(double count) {
  static constexpr const char* kUnits[] = {"", "k", "M", "G", "T"};
  if (!std::isfinite(count)) return fmt::format("{}", count);
  size_t unit = 0;
  // From 999.5 on a number would round to four digits.
  while (std::abs(count) >= 999.5 && unit + 1 < std::size(kUnits)) count /= 1000, ++unit;
  return fmt::format("{:.{}f}{}", count, unit > 0 && std::abs(count) < 9.95 ? 1 : 0, kUnits[unit]);
}

std::string human_value(double value) {
  const double size = std::abs(value);
  if (value == 0 || !std::isfinite(value)) return fmt::format("{}", value);
  if (size < 1e-3 || size >= 1e5) return fmt::format("{:.2e}", value);
  // The number of decimals for three significant digits. It follows the rounded value: 9.999 is 10.0.
  const int digits = static_cast<int>(std::floor(std::log10(size * (1 + 0.0005))));
  return fmt::format("{:.{}f}", value, std::max(0, 2 - digits));
}

std::string clock_time(double seconds) {
  const auto s = static_cast<int64_t>(std::llround(std::max(0.0, seconds)));
  if (s < 3600) return fmt::format("{}:{:02}", s / 60, s % 60);
  if (s < 86400) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{} d {:02}:{:02}", s / 86400, s / 3600 % 24, s / 60 % 60);
}

void Progress::begin(const std::string& stage, int64_t step, int64_t steps, double now) {
  *this = {};
  stage_ = stage;
  step_ = step;
  steps_ = steps;
  last_ = now;
}

void Progress::step_done(double now) {
  ++step_;
  seconds_sum_ = kMemory * seconds_sum_ + (now - last_);
  seconds_weight_ = kMemory * seconds_weight_ + 1;
  last_ = now;
}

void Progress::record(int64_t step, const std::map<std::string, double>& metrics) {
  step_ = step;
  for (const Item& item : kItems) {
    if (auto found = metrics.find(item.metric); found != metrics.end()) shown_[item.metric] = found->second;
  }
}

std::string Progress::line() const {
  std::string text = fmt::format("{} {}", stage_, step_);
  if (steps_ > 0) text += fmt::format("/{} {}%", steps_, 100 * step_ / steps_);
  for (const Item& item : kItems) {
    // For a policy, accuracy is more informative than the loss.
    if (std::string_view(item.metric) == "loss" && shown_.contains("accuracy")) continue;
    if (auto found = shown_.find(item.metric); found != shown_.end()) text += " | " + item.text(found->second);
  }
  if (steps_ > step_ && seconds_weight_ > 0) {
    text += " | ETA " + clock_time(seconds_sum_ / seconds_weight_ * static_cast<double>(steps_ - step_));
  }
  return text;
}

}  // namespace terse::trainer
