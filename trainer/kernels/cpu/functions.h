// Declares the kernels of one instruction set, in the order of Table. kernels.h documents them.
#pragma once

#include "trainer/kernels/kernels.h"

namespace terse::trainer::kernels::TERSE_ISA {

void gemm(const float* x, const float* w, const float* bias, float* y, int64_t m, int64_t n, int64_t k,
          bool accumulate);
void weight_grad(const float* a, const float* b, float* c, const Sequences& rows, int64_t n, int64_t k);
void gemm_packed(const float* x, const float* panels, const float* bias, float* y, int64_t m, int64_t n, int64_t k);
void pack_weight(const float* w, float* panels, int64_t n, int64_t k);
void gemm_bf16(const Bf16* x, const Bf16* w, float* y, int64_t m, int64_t n, int64_t k, bool accumulate);
void weight_grad_bf16(const Bf16* a, const Bf16* b, float* c, const Sequences& rows, int64_t n, int64_t k);
void gemm_packed_bf16(const Bf16* x, const Bf16* panels, const float* bias, float* y, int64_t m, int64_t n, int64_t k);
void pack_weight_bf16(const Bf16* w, Bf16* panels, int64_t n, int64_t k);
void round_to_bf16(const float* x, Bf16* y, int64_t count);
void round_rows(float* x, int64_t rows, int64_t cols, int64_t stride);
void rms_norm(const RmsNorm& args);
void rms_norm_backward(const RmsNormGrad& args);
void rope(const Rope& args);
void swiglu(const float* gate_up, float* h, int64_t rows, int64_t intermediate_size);
void swiglu_backward(const float* gate_up, const float* dh, float* d_gate_up, int64_t rows, int64_t intermediate_size);
void attention(const Attention& args);
void attention_backward(const AttentionGrad& args);
void kv_append(const KvAppend& args);
void attention_decode(const AttentionDecode& args);
void logprob(const LogProb& args);
void logprob_backward(const LogProbGrad& args);
void sample_tokens(const SampleTokens& args);
void embedding(const float* table, const int64_t* tokens, float* y, int64_t rows, int64_t width);
void embedding_backward(const float* dy, const int64_t* tokens, const int64_t* by_token, float* dtable,
                        const Sequences& rows, int64_t width);
void add(const float* a, const float* b, float* y, int64_t count);
void column_sum(const float* x, float* sums, const Sequences& rows, int64_t cols);
void adamw(const AdamW& args);
void square_sums(const float* x, float* sums, int64_t count);

extern const Table kTable;

}  // namespace terse::trainer::kernels::TERSE_ISA
