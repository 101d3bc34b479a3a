// Fills the Table of one instruction set.
#include "trainer/kernels/cpu/functions.h"

#define TERSE_NAME_OF(isa) #isa
#define TERSE_NAME(isa) TERSE_NAME_OF(isa)

namespace terse::trainer::kernels::TERSE_ISA {

const Table kTable = {
    .isa = TERSE_NAME(TERSE_ISA),
    .gemm = gemm,
    .weight_grad = weight_grad,
    .gemm_packed = gemm_packed,
    .pack_weight = pack_weight,
    .gemm_bf16 = gemm_bf16,
    .weight_grad_bf16 = weight_grad_bf16,
    .gemm_packed_bf16 = gemm_packed_bf16,
    .pack_weight_bf16 = pack_weight_bf16,
    .round_to_bf16 = round_to_bf16,
    .round_rows = round_rows,
    .rms_norm = rms_norm,
    .rms_norm_backward = rms_norm_backward,
    .rope = rope,
    .swiglu = swiglu,
    .swiglu_backward = swiglu_backward,
    .attention = attention,
    .attention_backward = attention_backward,
    .kv_append = kv_append,
    .attention_decode = attention_decode,
    .logprob = logprob,
    .logprob_backward = logprob_backward,
    .sample_tokens = sample_tokens,
    .embedding = embedding,
    .embedding_backward = embedding_backward,
    .add = add,
    .column_sum = column_sum,
    .adamw = adamw,
    .square_sums = square_sums,
};

}  // namespace terse::trainer::kernels::TERSE_ISA
