// The kernels of the CPU, on plain row-major pointers: fp32, and products of bf16 matrices. They are compiled once per
// instruction set, and cpu() chooses the set at run time.
//
// All layers above rely on row invariance: the forward result of a row is a function of that row's data alone, bit for
// bit. It does not depend on the number of rows, their order, the thread count, the instruction set, or the other rows
// of the batch. So a sampler that decodes one token per sequence and a learner that runs packed whole sequences compute
// the same log-probs. To keep it, every output is one chain of fused multiply-adds in a documented order, or a
// reduction over 16 lanes (or a multiple) followed by a fixed tree. Subnormal numbers, those below 2^-126, count as
// zero in inputs and results.
//
// Gradients that sum over rows (weights, biases, norms, embeddings) are sums over sequences, see Sequences. So
// splitting a batch at the nodes of its tree, over calls, micro-batches or processes, changes no bit.
//
// Sizes are int64_t, strides and offsets count floats, a stride of 0 means "rows are contiguous". Pointers need no
// alignment. Inputs and outputs must not overlap unless a comment allows it. Functions are thread-safe, run on OpenMP
// threads (omp_set_num_threads), and do not check their arguments: the callers check shapes, once.
// Letters: M rows (tokens), D hidden size, H query heads, KV key/value heads, C head size, F feed-forward size, V
// vocabulary.
#pragma once

#include <cstdint>
#include <vector>

namespace terse::trainer::kernels {

// A bf16 number: the upper half of the float of its value.
using Bf16 = uint16_t;

// The rows of a batch, sequence by sequence, and the order in which a sum over all rows is taken. The rows of a
// sequence are one chain from 0, and the sums of the sequences are added as a balanced binary tree. A tree of n > 1
// sequences is the tree of the first tree_half(n), plus the tree of the others. A tree without rows is left out. So any
// node of the tree can be computed alone, also in another process. The total is then added to the output, which
// starts from +0, so the sign of a zero does not depend on the split.
struct Sequences {
  const int32_t* starts = nullptr;  // [count + 1] first row of each sequence, not descending, then the number of rows
  int64_t count = 0;
  int64_t rows() const { return starts[count]; }
};
constexpr int64_t tree_half(int64_t n) {
  return (n + 1) / 2;
}

// RMSNorm of `groups` vectors of `width` in each row: y = x * rstd * weight, rstd = 1 / sqrt(mean(x^2) + eps).
// groups = 1 and width = D is the norm of a block; groups = heads and width = C is the QK-norm inside a fused row.
struct RmsNorm {
  const float* x = nullptr;       // [rows, groups, width], rows x_stride apart
  const float* weight = nullptr;  // [width]
  float eps = 0;
  float* y = nullptr;     // may be x
  float* rstd = nullptr;  // [rows, groups], for the backward pass; may be null
  int64_t rows = 0, groups = 1, width = 0;
  int64_t x_stride = 0, y_stride = 0;
};

struct RmsNormGrad {
  const float* dy = nullptr;
  const float* x = nullptr;  // what was normalised
  const float* weight = nullptr;
  const float* rstd = nullptr;
  float* dx = nullptr;       // may be dy
  float* dweight = nullptr;  // [width], always added to; a sequence's chain goes by row, then group
  Sequences sequences;       // of the rows
  int64_t groups = 1, width = 0;
  int64_t dy_stride = 0, x_stride = 0, dx_stride = 0;
};

// Rotary position embedding in place, half-split as in Llama and Qwen: it rotates the pair (x[i], x[i + C/2]) by the
// angle position * frequencies[i]. For a fused q|k|v row, one call with heads = H + KV is enough.
struct Rope {
  float* x = nullptr;                         // [rows, heads, C], rows row_stride apart
  const int64_t* positions = nullptr;         // [rows], each below the number of positions in the table
  const float* table = nullptr;               // [positions, C] from rope_table: C/2 cosines, then C/2 sines
  int64_t rows = 0, heads = 0, head_dim = 0;  // C: any multiple of 8
  int64_t row_stride = 0;
  bool inverse = false;  // rotate back, for the backward pass
};

// Fills table[positions, 2 * frequencies]; computed in double precision, rounded once. `frequencies` are radians per
// position, and head_dim / 2 of them (rope_frequencies() in trainer/model/spec.h).
void rope_table(float* table, int64_t positions, const std::vector<double>& frequencies);

// Causal attention inside each segment of a packed batch, grouped queries (head h reads key/value head h / (H / KV)).
// For a query at position t of its segment: s_j = scale * q.k_j (chain over c), p_j = exp(s_j - max), out = sum_j p_j
// v_j (chain over j) times 1 / sum p. Head size: any multiple of 8 up to kMaxHeadDim.
//
// Segments may share a prefix, another segment: their tokens attend to all of it, and then to their own segment. So a
// token behind a shared prefix gets the bits that it has behind a copy of the prefix in its own segment. Each gradient
// of a key of the prefix is one chain. This chain takes the queries of the prefix first, and then the queries of each
// segment, segment by segment.
struct Attention {
  const float* q = nullptr;  // [M, H, C], rows q_stride apart
  const float* k = nullptr;  // [M, KV, C], rows kv_stride apart
  const float* v = nullptr;
  const int32_t* segments = nullptr;  // [segment_count + 1] first row of each segment, then M
  int64_t segment_count = 0;
  // [segment_count] the segment that is the prefix of each segment, -1: none. A prefix has none itself, and the
  // segments that share it follow it. Null: no segment has a prefix.
  const int32_t* prefixes = nullptr;
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  int64_t q_stride = 0, kv_stride = 0;
  float scale = 0;
  float* out = nullptr;  // [M, H * C], contiguous
  float* lse = nullptr;  // [M, H] log of the sum of exp(s_j), for the backward pass; may be null
};

struct AttentionGrad {
  Attention forward;             // as in the forward call, with its out and lse
  const float* d_out = nullptr;  // [M, H * C]
  float* dq = nullptr;           // written, not added to; strides of q, k and v
  float* dk = nullptr;
  float* dv = nullptr;
};

inline constexpr int64_t kMaxHeadDim = 256;
inline constexpr int64_t kKeyBlock = 16;  // tokens of a key block

// The layout of the keys and values of a sequence, which are fp32 or bf16 numbers. They are in pages of page_tokens
// tokens (a multiple of kKeyBlock), which are found through an array of page pointers. A contiguous slot is one big
// page. A page may hold all layers; this layer starts at the number `offset`. From there a page holds keys
// [KV][page_tokens / 16][C][16], transposed in blocks of 16 tokens, then values [KV][page_tokens][C]. Memory past a
// sequence's length may hold anything.
struct KvLayout {
  int64_t kv_heads = 0, head_dim = 0, page_tokens = 0;
  int64_t offset = 0;
  bool bf16 = false;
  int64_t numbers() const { return 2 * kv_heads * page_tokens * head_dim; }  // of one layer of one page
  int64_t bytes() const { return numbers() * (bf16 ? 2 : 4); }
};

// One token per row. Several rows may belong to one sequence (prefill). attention_decode needs all keys up to each
// row's position in the cache, so call kv_append for all rows first.
struct KvRows {
  KvLayout layout;
  void* const* const* pages = nullptr;  // [rows] the page pointers of the row's sequence
  const int64_t* positions = nullptr;   // [rows] position of the row's token in its sequence
  int64_t rows = 0;
};

// Writes k[rows, KV, C] and v (rows kv_stride apart) to their positions, rounded as by round_rows where the cache is
// bf16.
struct KvAppend {
  KvRows to;
  const float* k = nullptr;
  const float* v = nullptr;
  int64_t kv_stride = 0;
};

// out[b] = attention of q[b] over the keys 0..position of its sequence, with the same bits as Attention of the same
// keys and values.
struct AttentionDecode {
  KvRows from;
  const float* q = nullptr;  // [rows, H, C], rows q_stride apart
  int64_t heads = 0, q_stride = 0;
  float scale = 0;
  float* out = nullptr;  // [rows, H * C], contiguous
};

// Per row, with z = scale * logits (scale = 1 / temperature): lse = log sum exp z, logprob = z[target] - lse, entropy
// of the softmax in nats. Logits of -inf are tokens that cannot be drawn. A NaN anywhere in a row, or a row of only
// -inf, gives NaN. The sampler calls it with rows = 1 or more, the learner with whole chunks: same bits.
struct LogProb {
  const float* logits = nullptr;     // [rows, vocab]
  const int64_t* targets = nullptr;  // [rows], each in [0, vocab); may be null when logprob is
  float scale = 1;
  int64_t rows = 0, vocab = 0;
  float* logprob = nullptr;  // [rows]; any of the three outputs may be null
  float* lse = nullptr;
  float* entropy = nullptr;
};

// Draws one token per row with probability p = exp(z - lse), z = scale * logits: the first token, in vocabulary order,
// at which the sum of the probabilities exceeds the row's uniform number. If rounding leaves the whole sum at or below
// it, the token is the last one with a positive probability. The other outputs have the bits of LogProb.
struct SampleTokens {
  const float* logits = nullptr;    // [rows, vocab]
  const float* uniforms = nullptr;  // [rows], each in [0, 1)
  float scale = 1;
  int64_t rows = 0, vocab = 0;
  int64_t* tokens = nullptr;  // [rows]; any token where lse is not finite
  float* logprob = nullptr;   // [rows] of the token
  float* lse = nullptr;
  float* entropy = nullptr;
};

// dlogits = scale * (d_logprob * (onehot(target) - p) - d_entropy * p * (log p + entropy)).
// Cross-entropy with a weight per row is d_logprob = -weight. The logits may be those of a part of the vocabulary, in
// which not every row has its target.
struct LogProbGrad {
  const float* logits = nullptr;     // [rows, vocab]
  const int64_t* targets = nullptr;  // [rows]
  float scale = 1;
  int64_t rows = 0, vocab = 0;
  int64_t first = 0;                 // the token of the first logit
  const float* lse = nullptr;        // [rows] from LogProb
  const float* entropy = nullptr;    // [rows] from LogProb; may be null when d_entropy is
  const float* d_logprob = nullptr;  // [rows]
  const float* d_entropy = nullptr;  // [rows]; null: zero
  float* dlogits = nullptr;          // [rows, vocab], written; may be logits
};

// One AdamW update of `count` weights, which all have the same weight decay. With g = clip grad:
//   m += (1 - beta1) (g - m);  v = beta2 v + (1 - beta2) g^2;
//   w = (1 - lr weight_decay) w - (lr / correction1) m / (sqrt(v) / sqrt(correction2) + eps).
struct AdamW {
  float* weight = nullptr;
  const float* grad = nullptr;
  float* m = nullptr;
  float* v = nullptr;
  int64_t count = 0;
  double clip = 1, lr = 0, beta1 = 0, beta2 = 0, eps = 0, weight_decay = 0;
  double correction1 = 1, correction2 = 1;  // 1 - beta^updates
};

// The elements of a packed weight.
constexpr int64_t packed_floats(int64_t n, int64_t k) {
  return (n + 15) / 16 * 16 * k;
}
constexpr int64_t packed_bf16(int64_t n, int64_t k) {
  return (n + 15) / 16 * 16 * ((k + 1) / 2 * 2);
}

inline constexpr int64_t kSquareBlock = 1024;  // elements of one sum of squares

struct Table {
  const char* isa;  // "avx512_bf16", "avx512" or "avx2"

  // y[M, N] (+)= x[M, K] w[K, N]. Each output is one chain over k, from 0, from bias[n], or (accumulate, bias null)
  // from y.
  void (*gemm)(const float* x, const float* w, const float* bias, float* y, int64_t m, int64_t n, int64_t k,
               bool accumulate);
  // c[N, K] += a[M, N]^T b[M, K], summed over the M rows in the order of Sequences. For gradients of weights.
  void (*weight_grad)(const float* a, const float* b, float* c, const Sequences& rows, int64_t n, int64_t k);
  // y[M, N] = x[M, K] w[N, K]^T for the panels of w. Each output has the bits that gemm gives it: one chain over k,
  // from 0 or from bias[n] (may be null).
  void (*gemm_packed)(const float* x, const float* panels, const float* bias, float* y, int64_t m, int64_t n,
                      int64_t k);
  // Writes a weight stored [N, K] (out, in) as panels [ceil(N / 16)][K][16], packed_floats(n, k) floats. Outputs past N
  // are zeros.
  void (*pack_weight)(const float* w, float* panels, int64_t n, int64_t k);

  // The same products of bf16 factors, for models with bf16 weights. A product of two of them is exact in fp32, so only
  // the additions of a chain round. A chain takes its numbers in pairs, and of a pair the odd one first: 1, 0, 3, 2, ..
  // That is the order of AVX-512's dot products of bf16. A chain of odd length gets a pair with a zero.
  void (*gemm_bf16)(const Bf16* x, const Bf16* w, float* y, int64_t m, int64_t n, int64_t k, bool accumulate);
  void (*weight_grad_bf16)(const Bf16* a, const Bf16* b, float* c, const Sequences& rows, int64_t n, int64_t k);
  void (*gemm_packed_bf16)(const Bf16* x, const Bf16* panels, const float* bias, float* y, int64_t m, int64_t n,
                           int64_t k);
  // Panels are [ceil(N / 16)][ceil(K / 2)][16][2], packed_bf16(n, k) numbers.
  void (*pack_weight_bf16)(const Bf16* w, Bf16* panels, int64_t n, int64_t k);
  // Rounds to the nearest bf16 number, ties to even. A NaN stays one.
  void (*round_to_bf16)(const float* x, Bf16* y, int64_t count);
  // The same in place: x[rows, cols], rows stride apart, becomes the nearest bf16 numbers, widened.
  void (*round_rows)(float* x, int64_t rows, int64_t cols, int64_t stride);

  void (*rms_norm)(const RmsNorm& args);
  void (*rms_norm_backward)(const RmsNormGrad& args);
  void (*rope)(const Rope& args);

  // h[M, F] = silu(gate) * up, gate_up[M, 2F] = gate | up. Backward writes d_gate_up[M, 2F], which may be gate_up.
  void (*swiglu)(const float* gate_up, float* h, int64_t rows, int64_t intermediate_size);
  void (*swiglu_backward)(const float* gate_up, const float* dh, float* d_gate_up, int64_t rows,
                          int64_t intermediate_size);

  void (*attention)(const Attention& args);
  void (*attention_backward)(const AttentionGrad& args);
  void (*kv_append)(const KvAppend& args);
  void (*attention_decode)(const AttentionDecode& args);

  void (*logprob)(const LogProb& args);
  void (*logprob_backward)(const LogProbGrad& args);
  void (*sample_tokens)(const SampleTokens& args);

  // y[M, D] = table[tokens]. Backward: dtable[t] += the sum of dy[m] over the rows m with tokens[m] = t. `by_token`
  // lists all rows, those of one token together and in ascending order.
  void (*embedding)(const float* table, const int64_t* tokens, float* y, int64_t rows, int64_t width);
  void (*embedding_backward)(const float* dy, const int64_t* tokens, const int64_t* by_token, float* dtable,
                             const Sequences& rows, int64_t width);

  void (*add)(const float* a, const float* b, float* y, int64_t count);  // y = a + b; y may be a or b
  // sums[N] += the sum of the rows of x[M, N], in the order of Sequences. For gradients of biases.
  void (*column_sum)(const float* x, float* sums, const Sequences& rows, int64_t cols);

  void (*adamw)(const AdamW& args);
  // sums[i] = the sum of squares of the i-th block of kSquareBlock elements of x; the last block may be shorter. For
  // norms of gradients.
  void (*square_sums)(const float* x, float* sums, int64_t count);
};

// The table of the fastest instruction set of this CPU, or of the one that the environment variable TERSE_KERNELS
// names. Throws MachineError when this CPU has neither AVX-512 nor AVX2 with FMA, or cannot run the named one.
const Table& cpu();

// The table of one instruction set: "avx512_bf16", "avx512" or "avx2"; null when this CPU cannot run it.
const Table* cpu_table(const char* isa);

}  // namespace terse::trainer::kernels
