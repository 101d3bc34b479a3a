// Chooses the kernels for the processor that the program runs on.
#include <cmath>
#include <cstring>

#include "base/errors.h"
#include "trainer/kernels/kernels.h"

namespace terse::trainer::kernels {

namespace avx512 {
extern const Table kTable;
}
namespace avx2 {
extern const Table kTable;
}

namespace {

// The kernels are compiled for all of x86-64-v4 or x86-64-v3, so AVX-512 or AVX2 alone is not enough.
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2");
}

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

}  // namespace

const Table* cpu_table(const char* isa) {
  if (std::strcmp(isa, "avx512") == 0 && has_avx512()) return &avx512::kTable;
  if (std::strcmp(isa, "avx2") == 0 && has_avx2()) return &avx2::kTable;
  return nullptr;
}

const Table& cpu() {
  static const Table* const table = cpu_table("avx512") != nullptr ? cpu_table("avx512") : cpu_table("avx2");
  if (table == nullptr) {
    throw MachineError(
        "the CPU kernels need AVX2 and FMA (x86-64-v3, any server or desktop processor since about 2015); this "
        "processor, or the virtual machine's CPU model, does not offer them. Use another machine");
  }
  return *table;
}

void rope_table(float* table, int64_t positions, const std::vector<double>& frequencies) {
  const auto half = static_cast<int64_t>(frequencies.size());
  for (int64_t i = 0; i < half; ++i) {
    for (int64_t p = 0; p < positions; ++p) {
      const double angle = static_cast<double>(p) * frequencies[i];
      table[p * 2 * half + i] = static_cast<float>(std::cos(angle));
      table[p * 2 * half + half + i] = static_cast<float>(std::sin(angle));
    }
  }
}

}  // namespace terse::trainer::kernels
