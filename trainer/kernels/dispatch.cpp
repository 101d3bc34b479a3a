// Chooses the kernels for the processor that the program runs on.
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/errors.h"
#include "trainer/kernels/kernels.h"

namespace terse::trainer::kernels {

namespace avx512_bf16 {
extern const Table kTable;
}
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

// The instruction sets of this processor, as a list to read.
std::string names() {
  std::string all;
  for (const char* isa : {"avx512_bf16", "avx512", "avx2"})
    if (cpu_table(isa) != nullptr) all += (all.empty() ? "" : ", ") + std::string(isa);
  return all.empty() ? "none" : all;
}

const Table& choose() {
  if (const char* name = std::getenv("TERSE_KERNELS"); name != nullptr && *name != 0) {
    if (const Table* table = cpu_table(name)) return *table;
    throw MachineError(
        fmt::format("TERSE_KERNELS is '{}'; expected an instruction set of this processor: {}", name, names()));
  }
  // Intel's processors take twice as long for a dot product of bf16 as for the two multiply-adds that it replaces.
  if (__builtin_cpu_is("amd") && cpu_table("avx512_bf16") != nullptr) return *cpu_table("avx512_bf16");
  for (const char* isa : {"avx512", "avx2"})
    if (const Table* table = cpu_table(isa)) return *table;
  throw MachineError(
      "the CPU kernels need AVX2 and FMA (x86-64-v3, any server or desktop processor since about 2015); this "
      "processor, or the virtual machine's CPU model, does not offer them. Use another machine");
}

}  // namespace

const Table* cpu_table(const char* isa) {
  if (std::strcmp(isa, "avx512_bf16") == 0 && has_avx512() && __builtin_cpu_supports("avx512bf16"))
    return &avx512_bf16::kTable;
  if (std::strcmp(isa, "avx512") == 0 && has_avx512()) return &avx512::kTable;
  if (std::strcmp(isa, "avx2") == 0 && has_avx2()) return &avx2::kTable;
  return nullptr;
}

const Table& cpu() {
  static const Table& table = choose();
  return table;
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
