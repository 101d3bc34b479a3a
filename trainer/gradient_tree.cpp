// Taking a tree of sequences apart until its nodes fit.
#include "trainer/gradient_tree.h"

#include "trainer/kernels/kernels.h"

namespace terse::trainer {

namespace {

// The gradient of `range` alone, in a buffer that is zero before.
void sum_node(FlatParams& params, SequenceRange range, int64_t limit,
              const std::function<void(SequenceRange)>& backward) {
  if (range.count() <= limit) return backward(range);
  const int64_t middle = range.begin + kernels::tree_half(range.count());
  sum_node(params, {range.begin, middle}, limit, backward);
  const torch::Tensor left = params.partial_grad().clone();
  params.zero_grad();
  sum_node(params, {middle, range.end}, limit, backward);
  params.partial_grad().add_(left);
}

}  // namespace

void sum_gradients(FlatParams& params, SequenceRange range, int64_t limit,
                   const std::function<void(SequenceRange)>& backward) {
  if (range.count() <= limit) {
    if (range.count() > 0) backward(range);
    return;
  }
  if (!params.sums_as_tree()) {
    for (int64_t begin = range.begin; begin < range.end; begin += limit)
      backward({begin, std::min(begin + limit, range.end)});
    return;
  }
  torch::NoGradGuard no_grad;
  const torch::Tensor before = params.partial_grad().clone();
  params.zero_grad();
  sum_node(params, range, limit, [&](SequenceRange part) {
    torch::AutoGradMode grad(true);
    backward(part);
  });
  params.partial_grad().add_(before);
}

}  // namespace terse::trainer
