// What the kernels do with one unit of work. The GPU and the tests on the host share this code. So the tests check all
// of the arithmetic and indexing, but not the launch itself and the warp's shuffles.
//
// A body for a warp receives a Team. team.each(f) runs f(lane) on every lane. team.sum(f) adds f(lane) over the lanes
// by a butterfly (distances 16, 8, 4, 2, 1), so that every lane holds the same bits. Of every 256 elements, lane l
// handles [8 l, 8 l + 8). `Whole` means the same as in load().
#pragma once

#include "trainer/kernels/cuda/grid.h"
#include "trainer/kernels/cuda/numbers.h"

namespace terse::trainer::kernels::cuda {

constexpr int64_t kSpan = kLanes * kPack;  // elements that a warp handles at a time

// Calls f(first element) for every pack of a lane.
template <class F>
TERSE_BOTH inline void for_packs(int lane, int64_t width, const F& f) {
  for (int64_t i = lane * kPack; i < width; i += kSpan) f(i);
}

// A warp normalises one vector.
template <class T, bool Whole>
struct RmsNormBody {
  const T *x, *delta;
  T* sum;
  const T* weight;
  T* y;
  float* rstd;
  float eps;
  int64_t groups, width, x_stride, y_stride;

  template <class Team>
  TERSE_BOTH void operator()(const Team& team, int64_t vector) const {
    const int64_t row = vector / groups, at = (vector % groups) * width;
    const T* from = x + row * x_stride + at;
    const T* add = delta != nullptr ? delta + row * groups * width + at : nullptr;
    T* added = delta != nullptr ? sum + row * groups * width + at : nullptr;
    const float squares = team.sum([&](int lane) {
      float total = 0;
      for_packs(lane, width, [&](int64_t i) {
        float values[kPack];
        load<Whole>(from + i, width - i, values);
        if (add != nullptr) {
          float more[kPack];
          load<Whole>(add + i, width - i, more);
          for (int j = 0; j < kPack; ++j) values[j] = to_float(rounded<T>(values[j] + more[j]));
          store<Whole>(added + i, width - i, values);
        }
        for (int j = 0; j < kPack; ++j) total = fmaf(values[j], values[j], total);
      });
      return total;
    });
    const float scale = 1.0f / sqrtf(squares / static_cast<float>(width) + eps);
    const T* source = add != nullptr ? added : from;
    T* to = y + row * y_stride + at;
    team.each([&](int lane) {
      for_packs(lane, width, [&](int64_t i) {
        float values[kPack], weights[kPack];
        load<Whole>(source + i, width - i, values);
        load<Whole>(weight + i, width - i, weights);
        for (int j = 0; j < kPack; ++j) values[j] = values[j] * scale * weights[j];
        store<Whole>(to + i, width - i, values);
      });
      if (lane == 0) rstd[vector] = scale;
    });
  }
};

// A warp computes the gradient of one vector: dx = rstd (g - x rstd^2 mean(g x)) + dsum, with g = dy weight.
template <class T, bool Whole>
struct RmsNormGradBody {
  const T *dy, *x, *weight, *dsum;
  const float* rstd;
  T* dx;
  int64_t groups, width, dy_stride, x_stride, dx_stride;

  template <class Team>
  TERSE_BOTH void operator()(const Team& team, int64_t vector) const {
    const int64_t row = vector / groups, at = (vector % groups) * width;
    const T *grad = dy + row * dy_stride + at, *from = x + row * x_stride + at;
    const T* past = dsum != nullptr ? dsum + row * groups * width + at : nullptr;
    const float gx = team.sum([&](int lane) {
      float total = 0;
      for_packs(lane, width, [&](int64_t i) {
        float g[kPack], weights[kPack], values[kPack];
        load<Whole>(grad + i, width - i, g);
        load<Whole>(weight + i, width - i, weights);
        load<Whole>(from + i, width - i, values);
        for (int j = 0; j < kPack; ++j) total = fmaf(g[j] * weights[j], values[j], total);
      });
      return total;
    });
    const float scale = rstd[vector], pull = gx / static_cast<float>(width) * scale * scale;
    T* to = dx + row * dx_stride + at;
    team.each([&](int lane) {
      for_packs(lane, width, [&](int64_t i) {
        float g[kPack], weights[kPack], values[kPack], start[kPack] = {};
        load<Whole>(grad + i, width - i, g);
        load<Whole>(weight + i, width - i, weights);
        load<Whole>(from + i, width - i, values);
        if (past != nullptr) load<Whole>(past + i, width - i, start);
        for (int j = 0; j < kPack; ++j) g[j] = fmaf(fmaf(-values[j], pull, g[j] * weights[j]), scale, start[j]);
        store<Whole>(to + i, width - i, g);
      });
    });
  }
};

// A warp sums dy x rstd over one slab of vectors for kSpan columns. Unit: slab * column spans + column span.
template <class T, bool Whole>
struct WeightSlabBody {
  const T *dy, *x;
  const float* rstd;
  float* partial;  // [slabs, width]
  int64_t vectors, height, groups, width, dy_stride, x_stride;

  template <class Team>
  TERSE_BOTH void operator()(const Team& team, int64_t unit) const {
    const int64_t spans = ceil_div(width, kSpan), slab = unit / spans, first = unit % spans * kSpan;
    const int64_t begin = slab * height, end = begin + height < vectors ? begin + height : vectors;
    team.each([&](int lane) {
      const int64_t column = first + lane * kPack;
      if (column >= width) return;
      float sums[kPack] = {};
      int64_t row = begin / groups, group = begin % groups;
      for (int64_t vector = begin; vector < end; ++vector) {
        float g[kPack], values[kPack];
        load<Whole>(dy + row * dy_stride + group * width + column, width - column, g);
        load<Whole>(x + row * x_stride + group * width + column, width - column, values);
        for (int j = 0; j < kPack; ++j) sums[j] = fmaf(g[j], values[j] * rstd[vector], sums[j]);
        if (++group == groups) group = 0, ++row;
      }
      store<Whole>(partial + slab * width + column, width - column, sums);
    });
  }
};

// A warp adds up the slabs of one column.
template <class T>
struct WeightSumBody {
  const float* partial;
  T* dweight;
  int64_t slabs, width;

  template <class Team>
  TERSE_BOTH void operator()(const Team& team, int64_t column) const {
    const float total = team.sum([&](int lane) {
      float part = 0;
      for (int64_t slab = lane; slab < slabs; slab += kLanes) part += partial[slab * width + column];
      return part;
    });
    team.each([&](int lane) {
      if (lane == 0) dweight[column] = rounded<T>(to_float(dweight[column]) + total);
    });
  }
};

TERSE_BOTH inline float sigmoid(float x) {
  return 1.0f / (1.0f + expf(-x));
}

// A thread handles one pack of a row. Unit: row * packs of a row + pack.
template <class T, bool Whole>
struct SwiGluBody {
  const T* gate_up;
  T* h;
  int64_t width, packs;

  TERSE_BOTH void operator()(int64_t unit) const {
    const int64_t row = unit / packs, i = unit % packs * kPack;
    const T* gate = gate_up + row * 2 * width + i;
    float g[kPack], up[kPack];
    load<Whole>(gate, width - i, g);
    load<Whole>(gate + width, width - i, up);
    for (int j = 0; j < kPack; ++j) g[j] = g[j] * sigmoid(g[j]) * up[j];
    store<Whole>(h + row * width + i, width - i, g);
  }
};

template <class T, bool Whole>
struct SwiGluGradBody {
  const T *gate_up, *dh;
  T* d_gate_up;
  int64_t width, packs;

  TERSE_BOTH void operator()(int64_t unit) const {
    const int64_t row = unit / packs, i = unit % packs * kPack;
    const T* gate = gate_up + row * 2 * width + i;
    float g[kPack], up[kPack], d[kPack];
    load<Whole>(gate, width - i, g);
    load<Whole>(gate + width, width - i, up);
    load<Whole>(dh + row * width + i, width - i, d);
    for (int j = 0; j < kPack; ++j) {
      const float s = sigmoid(g[j]), silu = g[j] * s;
      g[j] = d[j] * up[j] * fmaf(silu, 1.0f - s, s);  // silu' = s + g s (1 - s)
      up[j] = d[j] * silu;
    }
    T* d_gate = d_gate_up + row * 2 * width + i;
    store<Whole>(d_gate, width - i, g);
    store<Whole>(d_gate + width, width - i, up);
  }
};

// A thread moves one pack of pairs (i, i + C/2) of one head. Unit: (row * all heads + head) * packs of half a head +
// pack.
template <class T, bool Whole>
struct SplitRopeBody {
  T *qkv, *q, *k, *v;
  const int64_t* positions;
  const float* table;
  int64_t heads, kv_heads, half, packs;
  bool inverse;

  TERSE_BOTH void operator()(int64_t unit) const {
    const int64_t all = heads + 2 * kv_heads, i = unit % packs * kPack;
    const int64_t row = unit / packs / all, head = unit / packs % all, left = half - i;
    T* fused = qkv + (row * all + head) * 2 * half + i;
    T* apart = head < heads              ? q + (row * heads + head) * 2 * half + i
               : head < heads + kv_heads ? k + (row * kv_heads + head - heads) * 2 * half + i
                                         : v + (row * kv_heads + head - heads - kv_heads) * 2 * half + i;
    const T* from = inverse ? apart : fused;
    T* to = inverse ? fused : apart;
    float a[kPack], b[kPack];
    load<Whole>(from, left, a);
    load<Whole>(from + half, left, b);
    if (head < heads + kv_heads) {
      const float* cosines = table + positions[row] * 2 * half + i;
      float c[kPack], s[kPack];
      load<Whole>(cosines, left, c);
      load<Whole>(cosines + half, left, s);
      for (int j = 0; j < kPack; ++j) {
        const float sine = inverse ? -s[j] : s[j], first = a[j];
        a[j] = fmaf(-b[j], sine, first * c[j]);
        b[j] = fmaf(first, sine, b[j] * c[j]);
      }
    }
    store<Whole>(to, left, a);
    store<Whole>(to + half, left, b);
  }
};

// A thread updates kPack weights. The host computes the factors from the fields of cuda::AdamW.
template <bool Whole>
struct AdamWBody {
  float* master;
  const float* grad;
  float *m, *v;
  Bf16* working;
  int64_t count, decayed;
  float clip, keep, take1, beta2, take2, step, root2, eps;  // keep = 1 - lr decay, take = 1 - beta

  TERSE_BOTH void operator()(int64_t unit) const {
    const int64_t i = unit * kPack, left = count - i;
    float p[kPack], g[kPack], mean[kPack], square[kPack];
    load<Whole>(master + i, left, p);
    load<Whole>(grad + i, left, g);
    load<Whole>(m + i, left, mean);
    load<Whole>(v + i, left, square);
    for (int j = 0; j < kPack; ++j) {
      const float clipped = g[j] * clip;
      if (i + j < decayed) p[j] *= keep;
      mean[j] = fmaf(take1, clipped - mean[j], mean[j]);
      square[j] = fmaf(take2 * clipped, clipped, beta2 * square[j]);
      p[j] -= step * mean[j] / (sqrtf(square[j]) / root2 + eps);
    }
    store<Whole>(master + i, left, p);
    store<Whole>(m + i, left, mean);
    store<Whole>(v + i, left, square);
    if (working != nullptr) store<Whole>(working + i, left, p);
  }
};

}  // namespace terse::trainer::kernels::cuda
