// Each use of training items draws them from an index space of its own, so that no two uses share an item of an endless
// task.
#pragma once

#include <cstdint>

namespace terse::rl {

enum class IndexSpace { kSft, kRollout, kDemonstrations, kStudent, kGate };

// The first index of a space.
int64_t first_index(IndexSpace space);
// The n-th index of a space. Throws std::out_of_range when n is negative or beyond the space.
int64_t index_in(IndexSpace space, int64_t n);
// The space that an index lies in. Throws std::out_of_range when there is none.
IndexSpace space_of(int64_t index);

}  // namespace terse::rl
