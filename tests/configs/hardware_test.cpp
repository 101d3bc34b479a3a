// Tests the machines that come with the program, and the messages about mistakes in other hardware files.
#include "configs/hardware.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "configs/load.h"
#include "tests/configs/test_files.h"

namespace terse::configs {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string shipped(const std::string& name) {
  return read(kSource / "configs/hardware" / (name + ".yaml"));
}

// Returns the error for the H100's file with one piece of it replaced.
std::string mistake(const std::string& piece, const std::string& by) {
  std::string text = shipped("h100");
  const size_t at = text.find(piece);
  EXPECT_NE(at, std::string::npos) << piece;
  text.replace(at, piece.size(), by);
  const support::TemporaryFolder folder;
  const std::string path = write(folder.path() / "mine.yaml", text);
  try {
    load_hardware(path);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Hardware, EveryMachineThatComesWithTheProgramIsRight) {
  EXPECT_THAT(hardware_names(), ::testing::ElementsAre("a100", "h100", "h200", "laptop"));
  for (const std::string& name : hardware_names()) EXPECT_EQ(load_hardware(name).name, name);
  const Hardware h100 = load_hardware("h100");
  EXPECT_EQ(h100.ranks_per_node, 8);
  EXPECT_EQ(h100.tflops_bf16, 989);
  EXPECT_EQ(h100.network.gbps, 50);
}

TEST(Hardware, AFileMayStandOnAnother) {
  const support::TemporaryFolder folder;
  write(folder.path() / "h100.yaml", shipped("h100"));
  const std::string path = write(folder.path() / "mine.yaml", "base: h100.yaml\nmemory_gib: 94\nnetwork: {gbps: 25}\n");
  const Hardware mine = load_hardware(path);
  EXPECT_EQ(mine.name, "mine");
  EXPECT_EQ(mine.memory_gib, 94);
  EXPECT_EQ(mine.network.gbps, 25);
  EXPECT_EQ(mine.network.latency_us, load_hardware("h100").network.latency_us);
}

TEST(Hardware, MistakesAreErrorsWithTheirPlace) {
  EXPECT_THAT(mistake("tflops_bf16:", "tflops_bf17:"), AllOf(HasSubstr("mine.yaml:8:1"), HasSubstr("tflops_bf16")));
  EXPECT_THAT(mistake("gbps: 50", "gpbs: 50"),
              AllOf(HasSubstr("unknown key 'gpbs' in network"), HasSubstr("network.gbps")));
  EXPECT_THAT(mistake("device: cuda", "device: gpu"), AllOf(HasSubstr("mine.yaml:3:9"), HasSubstr("cuda, cpu")));
  EXPECT_THAT(mistake("overlap: 0.9", "overlap: 1.5"), HasSubstr("overlap: 1.5 is out of range"));
  EXPECT_THAT(mistake("tflops_fp32: 67", "tflops_fp32: many"), HasSubstr("expected a number, found 'many'"));
  EXPECT_THAT(mistake("jitter:", "# jitter:"), HasSubstr("mine.yaml: jitter is missing"));
  EXPECT_THAT(mistake("network: {", "network: 3 # {"), HasSubstr("network: expected gbps and latency_us, found '3'"));
  EXPECT_THAT(mistake("reserved_gib: 3.0", "reserved_gib: 80"),
              HasSubstr("reserved_gib is 80, expected less than memory_gib"));
  EXPECT_THAT(mistake("device: cuda", "device: cuda\ndevice: cpu"), HasSubstr("device"));
}

TEST(Hardware, AllMistakesAtOnce) {
  EXPECT_THAT(mistake("device: cuda\nranks_per_node: 8", "device: gpu\nranks_per_node: 0"),
              AllOf(HasSubstr("2 mistakes"), HasSubstr("'gpu'"), HasSubstr("ranks_per_node")));
}

TEST(Hardware, UnknownNamesAndFilesNameWhatThereIs) {
  const auto message = [](const std::string& name) {
    try {
      load_hardware(name);
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_THAT(message("h10"), AllOf(HasSubstr("did you mean h100?"), HasSubstr("laptop")));
  EXPECT_THAT(message("nowhere/h100.yaml"), HasSubstr("no such file"));
}

}  // namespace
}  // namespace terse::configs
