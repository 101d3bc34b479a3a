// metrics.jsonl: exact numbers, whole lines, positions, failing disks.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "tests/support/temporary_folder.h"
#include "trainer/metrics/jsonl_file.h"
#include "trainer/metrics/metric_logger.h"

namespace terse::trainer {
namespace {

using nlohmann::json;
using support::TemporaryFolder;

std::string content(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

TEST(MetricLine, DoublesReadBackToTheSameBits) {
  std::mt19937_64 random(7);
  std::map<std::string, double> metrics = {{"zero", 0.0},
                                           {"minus_zero", -0.0},
                                           {"third", 1.0 / 3},
                                           {"smallest", std::numeric_limits<double>::denorm_min()},
                                           {"largest", std::numeric_limits<double>::max()},
                                           {"whole", 9007199254740993.0}};
  while (metrics.size() < 5000) {
    const double value = std::bit_cast<double>(random());
    if (std::isfinite(value)) metrics["m" + std::to_string(metrics.size())] = value;
  }
  const json line = json::parse(metric_line(1.5, "sft", 3, metrics));
  for (const auto& [name, value] : metrics) {
    EXPECT_EQ(std::bit_cast<uint64_t>(line.at(name).get<double>()), std::bit_cast<uint64_t>(value)) << name;
  }
}

TEST(MetricLine, FieldsComeInTheirOrderAndNonFiniteValuesAreNamed) {
  EXPECT_EQ(
      metric_line(1700000000.25, "rl", 12, {{"loss", NAN}, {"kl", -INFINITY}, {"accuracy", 0.5}}),
      R"({"time":1700000000.250,"stage":"rl","step":12,"accuracy":0.5,"kl":null,"loss":null,"nonfinite":["kl","loss"]})");
}

TEST(MetricLine, OddNamesStayValidJson) {
  const std::string name = "a\"b\\c\n\x01\xff";
  EXPECT_TRUE(json::accept(metric_line(0, name, 0, {{name, 1}})));
}

TEST(MetricLine, NamesOfFieldsAreRefused) {
  for (const char* name : {"time", "stage", "step", "nonfinite"})
    EXPECT_THROW(metric_line(0, "sft", 0, {{name, 1}}), std::invalid_argument) << name;
}

TEST(JsonlFile, TornLastLineIsDropped) {
  TemporaryFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  std::ofstream(path) << "{\"a\":1}\n{\"b\":";
  JsonlFile file(path);
  file.append("{}");
  EXPECT_EQ(content(path), "{\"a\":1}\n{}\n");
}

TEST(JsonlFile, TornLineLongerThanABlockIsDropped) {
  TemporaryFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  std::ofstream(path) << "1\n" << std::string(10000, 'x');
  EXPECT_EQ(JsonlFile(path).sync(), 2);
  std::ofstream(path) << std::string(10000, 'x');
  EXPECT_EQ(JsonlFile(path).sync(), 0);
}

TEST(JsonlFile, RewindCutsBackToAPosition) {
  TemporaryFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  JsonlFile file(path);
  file.append("1");
  const int64_t position = file.sync();
  file.append("2");
  EXPECT_EQ(file.rewind(position), position);
  file.append("3");
  EXPECT_EQ(content(path), "1\n3\n");
}

TEST(JsonlFile, RewindToNoLineEndKeepsWholeLinesOnly) {
  TemporaryFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  JsonlFile file(path);
  file.append("first");
  file.append("second");
  EXPECT_EQ(file.rewind(9), 6);
  EXPECT_EQ(file.rewind(1000), 6);
  EXPECT_EQ(file.rewind(-3), 0);
  EXPECT_EQ(content(path), "");
}

// Every write to /dev/full fails like a write to a full disk.
TEST(JsonlFile, FullDiskIsReportedOnceAndNamesTheFile) {
  TemporaryFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  std::filesystem::create_symlink("/dev/full", path);
  JsonlFile file(path);
  try {
    file.append("{}");
    FAIL() << "no error";
  } catch (const MetricsError& error) {
    EXPECT_EQ(error.error(), ENOSPC);
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr(path.string()), testing::HasSubstr("No space left")));
  }
  EXPECT_NO_THROW(file.append("{}"));
  EXPECT_EQ(file.lost(), 2);
}

// The kernel refuses to truncate a memory file with a seal against shrinking.
TEST(JsonlFile, ATornLineThatCannotBeCutIsAnErrorThatNamesTheFile) {
  TemporaryFolder folder;
  const int sealed = memfd_create("sealed", MFD_ALLOW_SEALING);
  ASSERT_EQ(write(sealed, "{}\n{\"st", 7), 7);
  ASSERT_EQ(fcntl(sealed, F_ADD_SEALS, F_SEAL_SHRINK), 0);
  const auto path = folder.path() / "metrics.jsonl";
  std::filesystem::create_symlink("/proc/self/fd/" + std::to_string(sealed), path);
  try {
    JsonlFile file(path);
    ADD_FAILURE() << "no error";
  } catch (const MetricsError& error) {
    EXPECT_EQ(error.error(), EPERM);
    EXPECT_THAT(error.what(), testing::HasSubstr("cannot truncate " + path.string()));
  }
  close(sealed);
}

TEST(JsonlFile, MissingFolderIsAnErrorThatNamesTheFile) {
  try {
    JsonlFile file("/nonexistent/metrics.jsonl");
    FAIL() << "no error";
  } catch (const MetricsError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("/nonexistent/metrics.jsonl"));
  }
}

}  // namespace
}  // namespace terse::trainer
