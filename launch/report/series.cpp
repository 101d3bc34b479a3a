// Streaming min-max decimation. When the buckets run out, neighbours are merged, and each bucket then holds twice as
// many points.
#include "launch/report/series.h"

#include <cmath>

namespace terse::launch::report {

void Series::add(double x, double y) {
  if (!std::isfinite(x) || !std::isfinite(y)) return;
  const Point point{x, y};
  if (!empty() && x <= last_.x) {
    if (x < last_.x || buckets_.back().count > 1) return;
    last_ = point;
    buckets_.back() = {point, point, 1};
    return;
  }
  while (full()) halve();
  last_ = point;
  if (empty() || buckets_.back().count == stride_) {
    buckets_.push_back({point, point, 1});
    return;
  }
  Bucket& bucket = buckets_.back();
  if (y < bucket.low.y) bucket.low = point;
  if (y > bucket.high.y) bucket.high = point;
  ++bucket.count;
}

// A bucket of one point yields one point, and any other bucket yields two. One point is reserved for the last one.
bool Series::full() const {
  const size_t limit = stride_ == 1 ? kMaxPoints : (kMaxPoints - 1) / 2;
  return buckets_.size() > limit || (buckets_.size() == limit && buckets_.back().count == stride_);
}

void Series::halve() {
  stride_ *= 2;
  size_t kept = 0;
  for (size_t i = 0; i < buckets_.size(); i += 2) {
    Bucket merged = buckets_[i];
    if (i + 1 < buckets_.size()) {
      const Bucket& next = buckets_[i + 1];
      if (next.low.y < merged.low.y) merged.low = next.low;
      if (next.high.y > merged.high.y) merged.high = next.high;
      merged.count += next.count;
    }
    buckets_[kept++] = merged;
  }
  buckets_.resize(kept);
}

std::vector<Point> Series::points() const {
  std::vector<Point> out;
  for (const Bucket& bucket : buckets_) {
    const bool rising = bucket.low.x <= bucket.high.x;
    out.push_back(rising ? bucket.low : bucket.high);
    if (bucket.low.x != bucket.high.x) out.push_back(rising ? bucket.high : bucket.low);
  }
  if (!out.empty() && out.back().x != last_.x) out.push_back(last_);
  return out;
}

}  // namespace terse::launch::report
