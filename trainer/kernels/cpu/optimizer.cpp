// AdamW, and the sums of squares for gradient norms. The result of an element does not depend on its lane or thread. So
// a buffer may be cut anywhere (for sums: between blocks) without changing a bit.
#include "trainer/kernels/cpu/functions.h"
#include "trainer/kernels/cpu/parallel.h"

namespace terse::trainer::kernels::TERSE_ISA {

void adamw(const AdamW& args) {
  const F16 clip = splat(static_cast<float>(args.clip)), beta2 = splat(static_cast<float>(args.beta2)),
            take1 = splat(static_cast<float>(1 - args.beta1)), take2 = splat(static_cast<float>(1 - args.beta2)),
            keep = splat(static_cast<float>(1 - args.lr * args.weight_decay)),
            step = splat(static_cast<float>(args.lr / args.correction1)),
            root2 = splat(static_cast<float>(__builtin_sqrt(args.correction2))),
            eps = splat(static_cast<float>(args.eps));
  parallel_ranges(args.count, 12, kLanes, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += kLanes) {
      const int64_t n = min_of(kLanes, end - i);
      const F16 g = mul(load_some(args.grad + i, n), clip);
      F16 m = load_some(args.m + i, n), v = load_some(args.v + i, n), w = load_some(args.weight + i, n);
      m = fma(take1, sub(g, m), m);
      v = fma(mul(take2, g), g, mul(beta2, v));
      w = fnma(step, div(m, add(div(sqrt(v), root2), eps)), mul(w, keep));
      store_some(args.m + i, m, n);
      store_some(args.v + i, v, n);
      store_some(args.weight + i, w, n);
    }
  });
}

void square_sums(const float* x, float* sums, int64_t count) {
  parallel_ranges(ceil_div(count, kSquareBlock), 2 * kSquareBlock, 1, [=](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * kSquareBlock, last = min_of(count, first + kSquareBlock);
      F16 even = zero(), odd = zero();
      const auto add_square = [&](F16& sum, int64_t i) {
        const F16 v = load_some(x + i, min_of(kLanes, last - i));
        sum = fma(v, v, sum);
      };
      for (int64_t i = first; i < last; i += 2 * kLanes) {
        add_square(even, i);
        if (i + kLanes < last) add_square(odd, i + kLanes);
      }
      sums[block] = sum_lanes(add(even, odd));
    }
  });
}

}  // namespace terse::trainer::kernels::TERSE_ISA
