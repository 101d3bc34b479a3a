// Tests terse doctor: its facts parse, and it gives advice where something is wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "launch/machine/diagnosis.h"
#include "tests/launch/program.h"

namespace terse::launch {
namespace {

using ::testing::HasSubstr;

// A machine with nothing to complain about.
Machine good_machine() {
  Machine machine;
  machine.cpu = {
      .model = "CPU", .flags = {"avx2"}, .kernels = "avx2", .cores_online = 8, .cores_allowed = 8, .core_quota = 0};
  machine.memory = {.total_bytes = int64_t{32} << 30, .available_bytes = int64_t{30} << 30, .group_limit_bytes = 0};
  machine.gpus.why_none = "no NVIDIA driver on this machine";
  machine.limits.open_files = machine.limits.open_files_hard = 4096;
  machine.limits.shm_bytes = int64_t{1} << 30;
  machine.limits.disk = "/home/me";
  machine.limits.disk_free_bytes = int64_t{100} << 30;
  machine.limits.disk_writable = machine.limits.utf8 = true;
  return machine;
}

TEST(Diagnosis, GoodMachineHasNoProblem) {
  EXPECT_TRUE(diagnose(good_machine(), "auto").empty());
  EXPECT_TRUE(diagnose(good_machine(), "cpu").empty());
}

TEST(Diagnosis, WhatMakesTerseImpossibleIsFatal) {
  Machine old = good_machine(), sealed = good_machine();
  old.cpu.kernels.clear();
  sealed.limits.disk_writable = false;
  for (const Machine& machine : {old, sealed}) {
    const std::vector<Problem> problems = diagnose(machine, "auto");
    ASSERT_EQ(problems.size(), 1u);
    EXPECT_TRUE(problems.front().fatal);
    EXPECT_FALSE(problems.front().fix.empty());
  }
}

TEST(Diagnosis, CudaThatIsNotThereIsFatalOnlyWhenAskedFor) {
  const std::vector<Problem> problems = diagnose(good_machine(), "cuda");
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_TRUE(problems.front().fatal);
  EXPECT_THAT(problems.front().what, HasSubstr("no NVIDIA driver"));
}

TEST(Diagnosis, GpuWithoutLibrariesTellsHowToGetThem) {
  Machine machine = good_machine();
  machine.gpus.devices.push_back({"GPU", "9.0", 1, 1});
  for (const char* device : {"auto", "cuda"}) {
    const std::vector<Problem> problems = diagnose(machine, device);
    ASSERT_EQ(problems.size(), 1u) << device;
    EXPECT_EQ(problems.front().fatal, std::string(device) == "cuda");
    EXPECT_THAT(problems.front().fix, HasSubstr("--cuda"));
  }
  machine.gpus.torch_cuda = true;
  EXPECT_TRUE(diagnose(machine, "cuda").empty());
}

TEST(Diagnosis, SmallContainersGetAdviceTheyCanFollow) {
  Machine machine = good_machine();
  machine.limits.open_files = 100;
  machine.limits.shm_bytes = 1 << 20;
  machine.limits.disk_free_bytes = 5 << 20;
  machine.limits.utf8 = false;
  machine.memory.available_bytes = 100 << 20;
  const std::vector<Problem> problems = diagnose(machine, "auto");
  EXPECT_EQ(problems.size(), 5u);
  for (const Problem& problem : problems) {
    EXPECT_FALSE(problem.fatal) << problem.what;
    EXPECT_FALSE(problem.fix.empty()) << problem.what;
  }
}

TEST(Machine, TellsWhatThisOneHas) {
  const Machine machine = inspect_machine("runs");
  EXPECT_GE(machine.cpu.cores_allowed, 1);
  EXPECT_LE(machine.cpu.cores_allowed, machine.cpu.cores_online);
  EXPECT_FALSE(machine.cpu.flags.empty());
  EXPECT_GT(machine.memory.total_bytes, machine.memory.available_bytes);
  EXPECT_GT(machine.memory.available_bytes, 0);
  EXPECT_GT(machine.limits.disk_free_bytes, 0);
  EXPECT_TRUE(machine.gpus.devices.empty() != machine.gpus.why_none.empty());
}

TEST(Doctor, JsonParsesAndHoldsEverything) {
  const testing::Result result = testing::terse({"doctor", "--json"});
  EXPECT_EQ(result.code, 0) << result.err;
  const auto report = nlohmann::json::parse(result.out);
  for (const char* key : {"terse", "libraries", "optional", "cpu", "memory", "gpu", "limits", "problems", "able"})
    EXPECT_TRUE(report.contains(key)) << key;
  for (const char* library : {"LibTorch", "HDF5", "yaml-cpp", "fmt"})
    EXPECT_TRUE(report["libraries"][library].is_string()) << library;
  for (const char* library : {"MPI", "NCCL"}) EXPECT_TRUE(report["optional"].contains(library)) << library;
}

TEST(Doctor, TableNamesTheSameThings) {
  const testing::Result result = testing::terse({"doctor"});
  EXPECT_EQ(result.code, 0);
  for (const char* part :
       {"LibTorch", "HDF5", "MPI", "NCCL", "CPU", "kernels", "memory", "GPU", "open files", "disk", "locale"})
    EXPECT_THAT(result.out, HasSubstr(part));
  EXPECT_THAT(result.out, HasSubstr("terse can run here."));
}

TEST(Doctor, UnwritablePlaceForRunsIsAProblem) {
  const testing::Result result = testing::terse({"doctor", "--run-dir", "/proc/runs"});
  EXPECT_THAT(result.out, HasSubstr("/proc"));
}

}  // namespace
}  // namespace terse::launch
