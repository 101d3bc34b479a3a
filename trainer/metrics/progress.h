// The progress line: "sft 640/1500 43% | loss 0.231 | 51k tok/s | ETA 0:42".
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace terse::trainer {

std::string human_count(double count);   // "950", "51k", "1.2M", "3.4G"
std::string human_value(double value);   // three significant digits; tiny and huge ones in scientific notation
std::string clock_time(double seconds);  // "0:42", "1:02:03", "2 d 03:04"

// Follows one stage at a time. Times are seconds of any steady clock.
class Progress {
 public:
  // `step` of `steps` are done (more than 0 after a resume); steps 0: unknown how many there will be.
  void begin(const std::string& stage, int64_t step, int64_t steps, double now);
  void step_done(double now);
  // The newest metrics; what the record lacks is shown from records before it.
  void record(int64_t step, const std::map<std::string, double>& metrics);

  const std::string& stage() const { return stage_; }
  bool finished() const { return steps_ > 0 && step_ >= steps_; }
  std::string line() const;

 private:
  std::string stage_;
  int64_t step_ = 0;
  int64_t steps_ = 0;
  double last_ = 0;         // when the latest step ended
  double seconds_sum_ = 0;  // exponentially weighted duration of a step, and the weights' sum
  double seconds_weight_ = 0;
  std::map<std::string, double> shown_;
};

}  // namespace terse::trainer
