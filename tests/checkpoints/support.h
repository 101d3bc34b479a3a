// States, comparisons and file edits that the checkpoint tests share.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/sha256.h"
#include "checkpoints/format/manifest.h"
#include "checkpoints/store.h"
#include "tests/support/file_system_doubles.h"
#include "tests/support/temporary_folder.h"

namespace terse::checkpoints {

using Path = std::filesystem::path;
using support::TemporaryFolder;

// A small state whose values depend on `step`.
inline StateDict example_state(int64_t step) {
  StateDict state;
  const auto seed = static_cast<double>(step);
  state.add("model/embed", torch::arange(24, torch::kFloat32).reshape({4, 6}) + seed);
  state.add("model/norm", torch::full({5}, seed / 3, torch::kBFloat16));
  state.add("adam/count", torch::tensor(step));
  state.extra = {{"cursor", step * 64}, {"rng", {{"key", 7}, {"counter", step}}}};
  return state;
}

inline CheckpointInfo example_info(int64_t step, double score = 0, const std::string& stage = "rl") {
  return {step, stage, "c0ffee", score};
}

// Compares bit by bit, so NaN equals itself and -0 differs from 0.
inline bool same_bits(const torch::Tensor& a, const torch::Tensor& b) {
  if (a.scalar_type() != b.scalar_type() || a.sizes() != b.sizes()) return false;
  const torch::Tensor left = a.contiguous(), right = b.contiguous();
  return left.nbytes() == 0 || std::memcmp(left.const_data_ptr(), right.const_data_ptr(), left.nbytes()) == 0;
}

inline void expect_same(const StateDict& found, const StateDict& expected) {
  EXPECT_EQ(found.extra, expected.extra);
  EXPECT_EQ(found.files, expected.files);
  EXPECT_EQ(found.tensors.size(), expected.tensors.size());
  for (const auto& [name, shard] : expected.tensors) {
    ASSERT_TRUE(found.tensors.contains(name)) << name;
    const Shard& other = found.tensors.at(name);
    EXPECT_EQ(other.shape, shard.shape) << name;
    EXPECT_EQ(other.begin, shard.begin) << name;
    EXPECT_EQ(other.end, shard.end) << name;
    EXPECT_TRUE(same_bits(other.data.reshape({-1}), shard.data.detach().reshape({-1}).to(torch::kCPU))) << name;
  }
}

// Expects that the newest checkpoint in `dir` that loads is the complete example of `step`.
inline void expect_latest(const Path& dir, int64_t step) {
  const auto loaded = load_latest(dir);
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->info.step, step);
  expect_same(loaded->state, example_state(step));
}

inline std::string read_bytes(const Path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

inline void write_bytes(const Path& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}

// Names of the entries of a folder, sorted.
inline std::vector<std::string> names_in(const Path& dir) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(dir)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

// Names in `dir` that saves give to unfinished files and to checkpoints that are to be removed. A finished save leaves
// none.
inline std::vector<std::string> temporaries_in(FileSystem& fs, const Path& dir) {
  std::vector<std::string> names;
  for (const Entry& entry : fs.list(dir)) {
    if (entry.name.find(".tmp-") != std::string::npos) names.push_back(entry.name);
  }
  return names;
}

// Saves two good checkpoints, 100 and 200, to `dir`.
inline void save_two(const Path& dir, StoreOptions options = {.async = false, .fs = support::unsynced_file_system()}) {
  Store store(dir, std::move(options));
  store.save(example_info(100), example_state(100));
  store.save(example_info(200), example_state(200));
  store.wait();
}

// Makes a tampered folder consistent again: updates the sizes and hashes in the manifest, and the manifest's own hash.
// So a test can show what is found without the help of hashes.
inline void seal(const Path& checkpoint, const std::function<void(nlohmann::ordered_json&)>& edit = {}) {
  auto manifest = nlohmann::ordered_json::parse(read_bytes(checkpoint / kManifestName));
  for (auto& file : manifest["files"]) {
    const std::string bytes = read_bytes(checkpoint / file["name"].get<std::string>());
    file["bytes"] = bytes.size();
    file["sha256"] = sha256_bytes(bytes);
  }
  if (edit) edit(manifest);
  const std::string text = manifest.dump(1) + "\n";
  write_bytes(checkpoint / kManifestName, text);
  write_bytes(checkpoint / kManifestHashName, manifest_hash_text(text));
}

}  // namespace terse::checkpoints
