// Each use of training items draws them from an index space of its own, so that no two uses share an item of an endless
// task.
#pragma once

#include <cstddef>
#include <cstdint>

namespace terse::rl {

enum class IndexSpace { kSft, kRollout, kDemonstrations, kStudent, kGate };
inline constexpr size_t kIndexSpaces = 5;

// The first index of a space.
int64_t first_index(IndexSpace space);
// The n-th index of a space. Throws std::out_of_range when n is negative or beyond the space.
int64_t index_in(IndexSpace space, int64_t n);
// The n of index_in(), for an index of any space. Throws std::out_of_range when it lies in none.
int64_t place_in_space(int64_t index);
// Returns the item that a training index stands for, in a finite split with `size` items. The n-th index of a space is
// an item of epoch n / size. The seed and the space decide the order of each epoch. Throws std::out_of_range when the
// index lies in no space.
int64_t item_in_epoch(int64_t index, int64_t size, int64_t seed);
// The space that an index lies in. Throws std::out_of_range when there is none.
IndexSpace space_of(int64_t index);

}  // namespace terse::rl
