// The constants are those of NCCL's tuner for NVLink and InfiniBand, in microseconds. NCCL gives step latencies for one
// kind of hardware. Here they are ratios to the latencies of its ring of whole messages ("Simple": 3.4 and 9.6), which
// a hardware file gives.
#include "launch/plan/collective_cost.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace terse::launch::plan {

namespace {

struct Protocol {
  double ring_base, ring_node, ring_network, ring_bandwidth;
  double tree_base, tree_node, tree_network, tree_bandwidth;
};

constexpr double kNode = 3.4, kNetwork = 9.6;
constexpr std::array<Protocol, 3> kNccl = {{
    // LL: a flag with every 8 bytes, so half of the bytes are data and no step waits for memory; a quarter of the
    // bandwidth.
    {3.6, 0.47 / kNode, 2.7 / kNetwork, 1 / 4.0, 4.4, 0.52 / kNode, 5.0 / kNetwork, 1 / 3.8},
    // LL128: 120 of 128 bytes are data.
    {10.0, 1.9 / kNode, 4.0 / kNetwork, 0.92, 4.4, 1.2 / kNode, 8.5 / kNetwork, 0.915},
    // Simple: whole chunks.
    {8.4, 1.0, 1.0, 1.0, 0.0, 28 / kNode, 50 / kNetwork, 1.0},
}};
constexpr std::array<Protocol, 1> kMpi = {{{0, 1, 1, 1, 0, 1, 1, 1}}};
constexpr double kTreeBandwidth = 0.9;

double share_sent(Group group) {
  return static_cast<double>(group.ranks - 1) / static_cast<double>(group.ranks);
}

double bus_bytes_per_second(const configs::Hardware& machine, Group group) {
  const double node = machine.node.gbps * 1e9;
  if (group.nodes == 1) return node;
  const double senders = static_cast<double>(group.ranks) / static_cast<double>(group.nodes);
  const double network = senders * machine.network.gbps * machine.network_share * 1e9;
  return group.ranks > group.nodes ? std::min(node, network) : network;
}

}  // namespace

double collective_seconds(const configs::Hardware& machine, Collective kind, double bytes, Group group) {
  if (group.ranks <= 1 || bytes <= 0) return 0;
  const double n = static_cast<double>(group.ranks), k = static_cast<double>(group.nodes);
  const double a = machine.node.latency_us, b = machine.network.latency_us;
  const double passes = kind == Collective::kAllReduce ? 2 : 1;
  const double bandwidth = bus_bytes_per_second(machine, group);
  double best = std::numeric_limits<double>::infinity();
  const auto consider = [&](const Protocol& p) {
    const double ring = p.ring_base + passes * ((n - k) * a * p.ring_node + (k - 1) * b * p.ring_network);
    best = std::min(best, ring * 1e-6 + passes * bytes * share_sent(group) / (bandwidth * p.ring_bandwidth));
    if (kind != Collective::kAllReduce) return;
    const double tree = p.tree_base + 2 * ((n / k - 1) * a * p.tree_node + std::log2(k) * b * p.tree_network);
    best = std::min(best, tree * 1e-6 + 2 * bytes / (kTreeBandwidth * bandwidth * p.tree_bandwidth));
  };
  if (machine.device == "cuda") {
    for (const Protocol& p : kNccl) consider(p);
  } else {
    for (const Protocol& p : kMpi) consider(p);
  }
  return best;
}

Volume collective_volume(Collective kind, double bytes, Group group) {
  const double sent = (kind == Collective::kAllReduce ? 2 : 1) * bytes * share_sent(group);
  // A ring enters and leaves each node once, so one of the ranks / nodes ranks of a node sends to another node.
  const double crossing = group.nodes > 1 ? static_cast<double>(group.nodes) / static_cast<double>(group.ranks) : 0;
  return {sent * (1 - crossing), sent * crossing};
}

}  // namespace terse::launch::plan
