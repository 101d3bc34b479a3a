// Names stretches of work for an observer of LibTorch (ATen/record_function.h), which `terse bench profile` is: scopes,
// and the operations of a backend (block.h). While nobody asks for scopes, one costs a nanosecond. LibTorch's own
// macros cost thirty, which is some per cent of a decoding step of a small model.
#pragma once

#include <ATen/record_function.h>

#include <atomic>
#include <optional>

#include "trainer/model/ops/ops.h"

namespace terse::trainer {

class ProfileScope {
 public:
  explicit ProfileScope(const char* name) {
    if (!on_.load(std::memory_order_relaxed)) return;
    record_.emplace(at::RecordScope::USER_SCOPE);
    record_->before(name);
  }
  // Whether scopes tell the observers. Call it while no scope is open.
  static void turn(bool on) { on_ = on; }

 private:
  static inline std::atomic<bool> on_ = false;
  std::optional<at::RecordFunction> record_;
};

template <class Backend>
class Profiled : public Backend {
 public:
  using Backend::Backend;
  using Tensor = torch::Tensor;

  Tensor embedding(const Tensor& table) {
    const ProfileScope scope("embedding");
    return Backend::embedding(table);
  }
  Tensor norm(const Tensor& x, const Tensor& weight) {
    const ProfileScope scope("norm");
    return Backend::norm(x, weight);
  }
  ops::NormedSum add_norm(const Tensor& x, const Tensor& delta, const Tensor& weight) {
    const ProfileScope scope("add and norm");
    return Backend::add_norm(x, delta, weight);
  }
  Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
    const ProfileScope scope("linear");
    return Backend::linear(x, weight, bias);
  }
  Tensor dropout(const Tensor& x, int64_t projection) {
    const ProfileScope scope("dropout");
    return Backend::dropout(x, projection);
  }
  Tensor qk_norm(const Tensor& qkv, const Tensor& q_norm, const Tensor& k_norm) {
    const ProfileScope scope("qk norm");
    return Backend::qk_norm(qkv, q_norm, k_norm);
  }
  Tensor attention(const Tensor& qkv) {
    const ProfileScope scope("RoPE and attention");
    return Backend::attention(qkv);
  }
  Tensor swiglu(const Tensor& gate_up) {
    const ProfileScope scope("swiglu");
    return Backend::swiglu(gate_up);
  }
  Tensor add(const Tensor& x, const Tensor& delta) {
    const ProfileScope scope("add");
    return Backend::add(x, delta);
  }
};

}  // namespace terse::trainer
