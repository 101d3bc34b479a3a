// The time of a collective: the latency of its steps plus bytes over bandwidth. It is computed for rings and trees in
// three protocols, and the fastest is used, as in NCCL's tuner (src/graph/tuning.cc). MPI on CPUs has one protocol.
#pragma once

#include <cstdint>

#include "configs/hardware.h"

namespace terse::launch::plan {

// The ranks of one collective, the same number on each of `nodes` nodes.
struct Group {
  int64_t ranks = 1;
  int64_t nodes = 1;
};

enum class Collective { kAllReduce, kAllGather, kReduceScatter };

// The seconds that a collective takes. `bytes` is the size of the full tensor: the output of all_gather, the input of
// reduce_scatter. With n ranks on k nodes, a and b are a step's latency inside a node and between nodes, and w is the
// bus bandwidth. It is that of a node; between nodes, where all ranks of a node send at once, it is at most (n/k) *
// network.gbps * network_share:
//   ring: base + (n - k) a + (k - 1) b + bytes (n - 1)/n / w, all but base twice for all_reduce
//   tree: base + 2 ((n/k - 1) a + log2(k) b) + 2 bytes / (0.9 w), all_reduce only
double collective_seconds(const configs::Hardware& machine, Collective kind, double bytes, Group group);

// The bytes that each rank sends for a collective, on average over the ranks.
struct Volume {
  double node = 0;     // to ranks of the same node
  double network = 0;  // to other nodes
  Volume& operator+=(const Volume& other) {
    node += other.node;
    network += other.network;
    return *this;
  }
};
Volume collective_volume(Collective kind, double bytes, Group group);

}  // namespace terse::launch::plan
