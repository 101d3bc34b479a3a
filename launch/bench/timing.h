// Times a piece of work by repeating it.
#pragma once

#include <functional>

namespace terse::launch::bench {

// Runs `work` once without counting it, then until `seconds` have passed and at least `least` times. Returns the median
// of the times in seconds. A few interruptions by other programs do not change a median.
double median_seconds(double seconds, int least, const std::function<void()>& work);

}  // namespace terse::launch::bench
