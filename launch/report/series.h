// A curve of bounded size: however many points a run logged, a chart gets at most kMaxPoints, and no spike is lost.
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

  // Steps must rise: a point that steps back is left out; one at the same step replaces the one before. Values that are
  // not finite are left out.
  void add(double x, double y);

  // In order of x. Up to kMaxPoints points they are the logged ones; beyond, each stretch of equal length is told by
  // its lowest and its highest point. The last point is always there.
  std::vector<Point> points() const;

  bool empty() const { return buckets_.empty(); }
  Point last() const { return last_; }

 private:
  struct Bucket {
    Point low, high;
    int64_t count = 0;
  };
  bool full() const;  // no room for one more point
  void halve();

  std::vector<Bucket> buckets_;
  int64_t stride_ = 1;  // points per bucket
  Point last_;
};

}  // namespace terse::launch::report
