// A curve of bounded size. However many points a run logged, a chart gets at most kMaxPoints of them, and no spike is
// lost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace terse::launch::report {

struct Point {
  double x = 0;
  double y = 0;
};

class Series {
 public:
  static constexpr size_t kMaxPoints = 2000;

  // Adds a point. A point that is not finite, or whose x is smaller than the last one, is left out. A point with the
  // same x replaces the last one; it is left out if the last one is already merged with others.
  void add(double x, double y);

  // Returns the points in order of x. Up to kMaxPoints points they are the logged ones. Beyond that, each stretch of
  // equally many points is represented by its lowest and its highest point. The last point is always included.
  std::vector<Point> points() const;

  bool empty() const { return buckets_.empty(); }
  Point last() const { return last_; }

 private:
  struct Bucket {
    Point low, high;
    int64_t count = 0;
  };
  bool full() const;  // true when there is no room for one more point
  void halve();

  std::vector<Bucket> buckets_;
  int64_t stride_ = 1;  // points per bucket
  Point last_;
};

}  // namespace terse::launch::report
