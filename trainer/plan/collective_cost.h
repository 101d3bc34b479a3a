// How long a collective takes: latency of its steps plus bytes over bandwidth, for rings and trees in three protocols,
// the fastest of which is taken, as the tuner of NCCL does (src/graph/tuning.cc). MPI on CPUs has one protocol.
#pragma once

#include <cstdint>

#include "configs/hardware.h"

namespace terse::trainer::plan {

// The ranks of one collective, the same number on each of `nodes` nodes.
struct Group {
  int64_t ranks = 1;
  int64_t nodes = 1;
};

enum class Collective { kAllReduce, kAllGather, kReduceScatter };

// Seconds until `bytes`, counted over all ranks' parts together (what all_gather puts out, what reduce_scatter takes
// in), are where they belong. With n ranks on k nodes, a and b a step's latency inside a node and between nodes, and w
// the bus bandwidth, which is a node's, or between nodes, where all ranks of a node send at once, at most (n/k) *
// network.gbps * network_share:
//   ring: base + (n - k) a + (k - 1) b + bytes (n - 1)/n / w, all but base twice for all_reduce
//   tree: base + 2 ((n/k - 1) a + log2(k) b) + 2 bytes / (0.9 w), all_reduce only
double collective_seconds(const configs::Hardware& machine, Collective kind, double bytes, Group group);

// Bytes that each rank sends for it, and how many of them leave its node on average over the ranks.
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

}  // namespace terse::trainer::plan
