// What the ranks of a group tell each other before each operation: which one they have come to. Ranks that came to
// different ones are told apart here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "trainer/dist/call.h"

namespace terse::trainer {

// Sent as it lies in memory. Names and counts are cut; the hashes are of the whole.
struct Arrival {
  uint64_t number = 0;  // of the operation in its group, from 1; 0: none yet
  int32_t kind = 0, dtype = 0, reduce = 0, root = 0;
  int64_t elements = 0;
  int64_t counts[8] = {}, count_of_counts = 0;
  uint64_t name_hash = 0, counts_hash = 0;
  int64_t to_you = 0, from_you = 0;  // all_to_all: elements for and from the rank that reads this
  char name[64] = {}, phase[32] = {};
};

Arrival arrival_of(const Call& call, uint64_t number, const std::string& phase);
// The same, for the eyes of rank `peer`.
void address(Arrival& arrival, const Call& call, int64_t peer);

// all_gather "weights" of 10 float32 in counts [3, 4, 3]
std::string describe(const Arrival& arrival);

// Empty when every rank that has arrived calls what this rank calls; else who calls what. `sent[r]` is what this rank
// told rank r, `received[r]` what rank r told (number 0: nothing yet); `names[r]` is "rank 3 (host b)".
std::string disagreement(const std::string& group, int64_t rank, const std::vector<Arrival>& sent,
                         const std::vector<Arrival>& received, const std::vector<std::string>& names);

}  // namespace terse::trainer
