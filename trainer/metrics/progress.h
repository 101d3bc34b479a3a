// The progress line: "sft 640/1500 42% | loss 0.231 | 51k tok/s | mfu 43% | ETA 0:42".
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace terse::trainer {

std::string human_count(double count);   // "950", "51k", "1.2M", "3.4G"
std::string human_value(double value);   // three significant digits; tiny and huge ones in scientific notation
std::string clock_time(double seconds);  // "0:42", "1:02:03", "2 d 03:04"

// Tracks one stage at a time. Times are seconds of any steady clock.
class Progress {
 public:
  // Begins a stage with `step` of `steps` done (more than 0 after a resume). steps 0: the number is unknown.
  void begin(const std::string& stage, int64_t step, int64_t steps, double now);
  void step_done(double now);
  // Updates the shown metrics. Metrics that this record lacks keep their values from earlier records.
  void record(int64_t step, const std::map<std::string, double>& metrics);

  const std::string& stage() const { return stage_; }
  bool finished() const { return steps_ > 0 && step_ >= steps_; }
  std::string line() const;

 private:
  std::string stage_;
  int64_t step_ = 0;
  int64_t steps_ = 0;
  double last_ = 0;         // when the latest step ended
  double seconds_sum_ = 0;  // exponentially weighted sum of step durations, and sum of the weights
  double seconds_weight_ = 0;
  std::map<std::string, double> shown_;
};

}  // namespace terse::trainer
