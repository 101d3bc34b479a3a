// The fingerprint of a collective operation. Before each operation the ranks of a group exchange their fingerprints
// (exchange.h). Each rank compares the others with its own, as in ProcessGroupWrapper of PyTorch, and so detects ranks
// that call different operations.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "trainer/parallel/collectives/collective_op.h"

namespace terse::trainer {

// Ranks send it as raw bytes. Names and counts are truncated, but their hashes cover them in full.
struct OpFingerprint {
  uint64_t number = 0;  // index of the operation in its group, from 1; 0: not received
  int32_t kind = 0, dtype = 0, reduce = 0, root = 0;
  int64_t elements = 0;  // of the output for all_gather, else of the input
  int64_t counts[8] = {}, count_of_counts = 0;
  uint64_t name_hash = 0, counts_hash = 0;
  int64_t to_receiver = 0, from_receiver = 0;  // all_to_all: elements that the receiver of this gets and sends
  char name[64] = {}, phase[32] = {};
};

// The fingerprint of `op`, which is operation `number` of its group.
OpFingerprint fingerprint_of(const CollectiveOp& op, uint64_t number, const std::string& phase);
// Fills in to_receiver and from_receiver, in the copy that rank `peer` receives.
void set_peer_counts(OpFingerprint& fingerprint, const CollectiveOp& op, int64_t peer);

// The operation as messages show it: all_gather "weights" of 10 float32 in counts [3, 4, 3]
std::string describe(const OpFingerprint& fingerprint);

// Compares the fingerprints of the other ranks with that of this rank. Returns an empty text when those that have
// arrived match, else an error message that lists which ranks call which operation. sent[r] is the fingerprint that
// this rank sent to rank r. received[r] is the one from rank r (number 0: not received). names[r] is the name of rank r
// in messages, such as "rank 3 (host b)".
std::string describe_mismatch(const std::string& group, int64_t rank, const std::vector<OpFingerprint>& sent,
                              const std::vector<OpFingerprint>& received, const std::vector<std::string>& names);

}  // namespace terse::trainer
