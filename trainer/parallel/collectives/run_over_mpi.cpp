// In each step a rank sends to the rank `step` places after it and receives from the one `step` places before it. So no
// rank gets all messages at the same time.
#include "trainer/parallel/collectives/run_over_mpi.h"

#include <algorithm>
#include <cstring>

#include "trainer/parallel/collectives/reduce.h"

namespace terse::trainer {

namespace {

constexpr int64_t kSmall = 16 << 10;     // bytes; up to this size, one step is faster than two that send less
constexpr int64_t kSegment = 512 << 10;  // bytes of each rank that a reduction buffers at a time

using Counts = std::vector<int64_t>;

// first[r]: the number of elements before those of rank r.
Counts starts(const Counts& counts) {
  Counts first(counts.size(), 0);
  for (size_t r = 1; r < counts.size(); ++r) first[r] = first[r - 1] + counts[r - 1];
  return first;
}

// Splits `elements` as evenly as possible between the ranks.
Counts even_counts(int64_t elements, int64_t size) {
  Counts counts(size, elements / size);
  for (int64_t r = 0; r < elements % size; ++r) ++counts[r];
  return counts;
}

void copy(void* to, const void* from, int64_t bytes) {
  if (to != from && bytes > 0) std::memcpy(to, from, bytes);
}

// `from` holds the bytes for each rank and `to` those from each rank, both in order of rank.
void all_to_all(Exchange& x, int64_t width, const char* from, const Counts& send, char* to, const Counts& receive) {
  const Counts from_at = starts(send), to_at = starts(receive);
  for (int64_t step = 1; step < x.size(); ++step) {
    const int64_t next = (x.rank() + step) % x.size(), previous = (x.rank() + x.size() - step) % x.size();
    x.receive(previous, to + to_at[previous] * width, receive[previous] * width);
    x.send(next, from + from_at[next] * width, send[next] * width);
  }
  copy(to + to_at[x.rank()] * width, from + from_at[x.rank()] * width, send[x.rank()] * width);
  x.wait();
}

void all_gather(Exchange& x, int64_t width, const char* mine, char* all, const Counts& counts) {
  const Counts at = starts(counts);
  copy(all + at[x.rank()] * width, mine, counts[x.rank()] * width);
  for (int64_t step = 1; step < x.size(); ++step) {
    const int64_t next = (x.rank() + step) % x.size(), previous = (x.rank() + x.size() - step) % x.size();
    x.receive(previous, all + at[previous] * width, counts[previous] * width);
    x.send(next, mine, counts[x.rank()] * width);
  }
  x.wait();
}

// Works segment by segment, so that received data is reduced while it is in the cache. `mine` may be this rank's slice
// of `all`.
void reduce_scatter(Exchange& x, torch::ScalarType dtype, Reduce reduce, const char* all, char* mine,
                    const Counts& counts) {
  const int64_t width = static_cast<int64_t>(torch::elementSize(dtype)), segment = kSegment / width;
  const Counts at = starts(counts);
  const int64_t longest = *std::max_element(counts.begin(), counts.end());
  x.scratch().resize(static_cast<size_t>(x.size()) * kSegment);
  std::vector<const void*> pieces(x.size());
  for (int64_t done = 0; done < longest; done += segment) {
    const auto part = [&](int64_t rank) { return std::clamp<int64_t>(counts[rank] - done, 0, segment); };
    for (int64_t step = 1; step < x.size(); ++step) {
      const int64_t next = (x.rank() + step) % x.size(), previous = (x.rank() + x.size() - step) % x.size();
      std::byte* place = x.scratch().data() + previous * kSegment;
      x.receive(previous, place, part(x.rank()) * width);
      x.send(next, all + (at[next] + done) * width, part(next) * width);
      pieces[previous] = place;
    }
    x.wait();
    pieces[x.rank()] = all + (at[x.rank()] + done) * width;
    reduce_pieces(dtype, reduce, pieces, mine + done * width, part(x.rank()));
  }
}

void all_reduce(Exchange& x, torch::ScalarType dtype, Reduce reduce, char* values, int64_t elements) {
  const int64_t width = static_cast<int64_t>(torch::elementSize(dtype)), bytes = elements * width;
  if (bytes <= kSmall) {
    x.scratch().resize(x.size() * bytes);
    char* all = reinterpret_cast<char*>(x.scratch().data());
    all_gather(x, width, values, all, Counts(x.size(), elements));
    std::vector<const void*> pieces(x.size());
    for (int64_t r = 0; r < x.size(); ++r) pieces[r] = all + r * bytes;
    reduce_pieces(dtype, reduce, pieces, values, elements);
    return;
  }
  const Counts counts = even_counts(elements, x.size());
  char* mine = values + starts(counts)[x.rank()] * width;
  reduce_scatter(x, dtype, reduce, values, mine, counts);
  all_gather(x, width, mine, values, counts);
}

// The root sends all bytes to every rank. When these are many, it sends a different share to each rank instead, and the
// ranks gather the shares.
void broadcast(Exchange& x, int64_t root, char* values, int64_t bytes) {
  const bool shares = bytes > kSmall && x.size() > 2;
  const Counts counts = shares ? even_counts(bytes, x.size()) : Counts(x.size(), bytes);
  const Counts at = shares ? starts(counts) : Counts(x.size(), 0);
  if (x.rank() == root) {
    for (int64_t r = 0; r < x.size(); ++r)
      if (r != root) x.send(r, values + at[r], counts[r]);
  } else {
    x.receive(root, values + at[x.rank()], counts[x.rank()]);
  }
  x.wait();
  if (shares) all_gather(x, 1, values + at[x.rank()], values, counts);
}

}  // namespace

void run_over_mpi(Exchange& exchange, const CollectiveOp& op) {
  const char* in = static_cast<const char*>(op.in.const_data_ptr());
  char* out = static_cast<char*>(op.out.data_ptr());
  const torch::ScalarType dtype = op.out.scalar_type();
  const int64_t width = op.out.element_size();
  switch (op.kind) {
    case Kind::kAllReduce:
      return all_reduce(exchange, dtype, op.reduce, out, op.out.numel());
    case Kind::kAllGather:
      return all_gather(exchange, width, in, out, op.out_counts);
    case Kind::kReduceScatter:
      return reduce_scatter(exchange, dtype, Reduce::kSum, in, out, op.in_counts);
    case Kind::kAllToAll:
      return all_to_all(exchange, width, in, op.in_counts, out, op.out_counts);
    case Kind::kBroadcast:
      return broadcast(exchange, op.root, out, op.out.numel() * width);
    case Kind::kSplit:
    case Kind::kEnd:
      return;
  }
}

}  // namespace terse::trainer
