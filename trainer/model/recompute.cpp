// The autograd graph owns the closure in a capsule and frees it when the graph is freed.
#include "trainer/model/recompute.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

namespace terse::trainer {

namespace {

struct SegmentHolder : torch::CustomClassHolder {
  explicit SegmentHolder(Segment s) : segment(std::move(s)) {}
  Segment segment;
};

struct Recompute : torch::autograd::Function<Recompute> {
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* ctx, const torch::Tensor& x,
                                                const c10::intrusive_ptr<SegmentHolder>& holder) {
    at::NoGradGuard no_grad;
    ctx->save_for_backward({x});
    ctx->saved_data["segment"] = c10::IValue::make_capsule(holder);
    return holder->segment(x);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 const torch::autograd::variable_list& grad) {
    const auto holder = c10::static_intrusive_pointer_cast<SegmentHolder>(ctx->saved_data["segment"].toCapsule());
    torch::Tensor input = ctx->get_saved_variables()[0].detach().requires_grad_(true);
    at::AutoGradMode with_grad(true);
    torch::autograd::backward(holder->segment(input), grad);
    return {input.grad(), torch::Tensor()};
  }
};

}  // namespace

std::vector<torch::Tensor> recompute(Segment segment, const torch::Tensor& x) {
  return Recompute::apply(x, c10::make_intrusive<SegmentHolder>(std::move(segment)));
}

}  // namespace terse::trainer
