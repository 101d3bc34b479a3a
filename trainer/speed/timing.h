// Times a piece of work by repeating it.
#pragma once

#include <functional>

namespace terse::trainer {

// Seconds of one repetition. A few interruptions by other programs change neither of the two.
struct Repeated {
  double median = 0;
  double fastest = 0;
};

// Runs `work` once without counting it, then until `seconds` have passed and at least `least` times.
Repeated time_repeated(double seconds, int least, const std::function<void()>& work);

}  // namespace terse::trainer
