// Reads hostile files model.safetensors, and indexes of shards, through what opens model.init.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/hostile/hostile_files.h"
#include "tests/hostile/model_folder.h"
#include "tests/support/tensor_files.h"

namespace terse::support {
namespace {

using nlohmann::ordered_json;

constexpr const char* kTensor = "model.layers.0.mlp.up_proj.weight";

// The parts of a sound file.
struct Parts {
  ordered_json header;
  std::string data;

  explicit Parts(const std::string& file) {
    uint64_t length = 0;
    std::memcpy(&length, file.data(), sizeof(length));
    header = ordered_json::parse(file.substr(8, length));
    data = file.substr(8 + length);
  }
  std::string file() const { return safetensors_text(header.dump(), data); }
};

std::vector<HostileFile> hostile_lengths(const std::string& sound) {
  const uint64_t header = Parts(sound).header.dump().size(), all = sound.size();
  std::vector<HostileFile> files;
  for (const uint64_t length :
       {uint64_t{0}, uint64_t{1}, uint64_t{2}, header / 2, header - 1, header + 1, header + 8, all - 8, all - 7, all,
        uint64_t{100'000'000}, uint64_t{100'000'001}, uint64_t{1} << 31, uint64_t{1} << 32, uint64_t{1} << 62,
        uint64_t{INT64_MAX}, uint64_t{1} << 63, UINT64_MAX - 8, UINT64_MAX}) {
    std::string file = safetensors_text(Parts(sound).header.dump(), Parts(sound).data);
    file.replace(0, 8, little_endian(length));
    files.push_back({fmt::format("header of {} bytes", length), file, {"header"}});
  }
  return files;
}

// One tensor says something else about itself. Its offsets are those of the sound file, unless the case is about them.
std::vector<HostileFile> hostile_tensors(const Parts& sound) {
  std::vector<HostileFile> files;
  const auto add = [&](const std::string& what, const char* field, const ordered_json& value,
                       std::vector<std::string> words = {kTensor}) {
    Parts parts = sound;
    parts.header[kTensor][field] = value;
    files.push_back({fmt::format("{} is {}", what, value.dump()), parts.file(), std::move(words)});
  };
  const uint64_t begin = sound.header[kTensor]["data_offsets"][0], end = sound.header[kTensor]["data_offsets"][1];
  const std::vector<uint64_t> sizes = {0,
                                       1,
                                       2,
                                       begin + 1,
                                       end - 1,
                                       end + 1,
                                       sound.data.size() + 1,
                                       uint64_t{1} << 31,
                                       uint64_t{1} << 32,
                                       uint64_t{1} << 53,
                                       uint64_t{1} << 62,
                                       uint64_t{INT64_MAX},
                                       uint64_t{1} << 63,
                                       UINT64_MAX - 1,
                                       UINT64_MAX};
  for (const uint64_t size : sizes) {
    if (size != begin) add("begin", "data_offsets", {size, end});
    add("end", "data_offsets", {begin, size});
    add("both offsets", "data_offsets", {size, size});
    add("the rows", "shape", {size, 24});
    add("the columns", "shape", {40, size});
    add("all sizes", "shape", {size, size, size});
  }
  // Moves the tensor by `by` bytes: what follows or precedes it overlaps, and a hole remains.
  for (const int64_t by : {-8, -4, 4, 8, 4096}) {
    add("moved offsets", "data_offsets", {static_cast<int64_t>(begin) + by, static_cast<int64_t>(end) + by},
        {"tensor "});
  }
  add("shape", "shape", ordered_json::array());
  add("shape", "shape", std::vector<int>(64, 1));
  add("shape", "shape", std::vector<int>(65, 1));
  add("shape", "shape", std::vector<int>(100000, 1));
  add("shape", "shape", {24, 40});
  add("shape", "shape", {960});
  for (const char* dtype : {"I32", "U32", "f32", "F16", "F8_E4M3", "C64", "F4", "I8", "", "F32 ", "Q4_0"}) {
    add("dtype", "dtype", dtype);
  }
  return files;
}

// Names, and headers that no tensor of them is wrong in.
std::vector<HostileFile> hostile_headers(const Parts& sound) {
  std::vector<HostileFile> files;
  const auto renamed = [&](const std::string& name) {
    Parts parts = sound;
    const ordered_json tensor = parts.header[kTensor];
    parts.header.erase(kTensor);
    parts.header[name] = tensor;
    return parts.file();
  };
  const std::vector<std::string> names = {"",
                                          "x",
                                          "../x",
                                          "a\nb",
                                          "\x1b[2J",
                                          std::string("a\0b", 3),
                                          "__metadata__",
                                          std::string(100000, 'x'),
                                          "model.layers.2.mlp.up_proj.weight",
                                          "model.layers.00.mlp.up_proj.weight",
                                          "lm_head.bias"};
  for (const std::string& name : names) files.push_back({"renamed", renamed(name), {}});
  Parts absent = sound, more = sound, empty = sound, taken = sound;
  absent.header.erase(kTensor);
  files.push_back({"a tensor is left out, and its data remain", absent.file(), {"tensor "}});
  for (const char* extra : {"extra", "model.layers.7.mlp.up_proj.weight", "model.norm.bias"}) {
    more.header[extra] = {
        {"dtype", "F32"}, {"shape", {2}}, {"data_offsets", {sound.data.size(), sound.data.size() + 8}}};
    Parts longer = more;
    longer.data += "12345678";
    files.push_back({"a tensor more", longer.file(), {extra}});
    more.header.erase(extra);
    empty.header[extra] = {{"dtype", "F32"}, {"shape", {0}}, {"data_offsets", {0, 0}}};
    files.push_back({"an empty tensor more", empty.file(), {extra}});
    empty.header.erase(extra);
  }
  taken.header["again"] = taken.header[kTensor];
  files.push_back({"two tensors share data", taken.file(), {"overlap"}});
  const std::string text = sound.header.dump(), of_tensor = sound.header[kTensor].dump();
  const std::string start = text.substr(0, text.size() - 1);
  files.push_back({"a tensor twice",
                   safetensors_text(start + fmt::format(",\"{}\":{}}}", kTensor, of_tensor), sound.data),
                   {"twice"}});
  files.push_back({"no data", safetensors_text(text, ""), {"bytes of data"}});
  files.push_back({"a byte of data more", safetensors_text(text, sound.data + "x"), {"bytes of data"}});
  files.push_back({"metadata twice",
                   safetensors_text("{\"__metadata__\":{},\"__metadata__\":{}," + text.substr(1), sound.data),
                   {}});
  files.push_back(
      {"metadata with numbers", safetensors_text("{\"__metadata__\":{\"a\":1}," + text.substr(1), sound.data), {}});
  return files;
}

// Large headers whose tensors take as much memory as can be.
std::vector<HostileFile> large_headers(const Parts& sound) {
  const std::string text = sound.header.dump();
  std::string tensors, metadata;
  for (int i = 0; i < 20000; ++i) {
    tensors += fmt::format(",\"{:x}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", i);
    metadata += fmt::format("{}\"{:x}\":\"\"", i == 0 ? "" : ",", i);
  }
  return {
      {"many empty tensors",
       safetensors_text(text.substr(0, text.size() - 1) + tensors + "}", sound.data),
       {"tensor "}},
      {"many strings and no tensor", safetensors_text("{\"__metadata__\":{" + metadata + "}}", sound.data), {}},
      {"many spaces", safetensors_text(text + std::string(1 << 20, ' ') + "x", sound.data), {"not JSON"}},
  };
}

TEST(HostileSafetensors, AreRefusedWithAClearError) {
  const ModelFolder folder;
  const std::string original = folder.sound("model.safetensors");
  const Parts sound(original);
  HostileFiles files(folder.path() / "model.safetensors", {16, 256u << 10}, [&] { read_weights(folder.path()); });
  for (const HostileFile& file : hostile_lengths(original)) files.refuse(file);
  for (const HostileFile& file : hostile_tensors(sound)) files.refuse(file);
  for (const HostileFile& file : hostile_headers(sound)) files.refuse(file);
  for (const HostileFile& file : large_headers(sound)) files.refuse(file);
  // The JSON of the first two tensors changes in every way, so the others are left as they are.
  std::set<std::string> others;
  size_t index = 0;
  for (const auto& [name, tensor] : sound.header.items()) {
    if (index++ > 1) others.insert("/" + name);
  }
  for (HostileFile file : hostile_json(sound.header.dump(), others)) {
    file.content = safetensors_text(file.content, sound.data);
    if (!file.any.empty()) file.any.insert(file.any.end(), {"header", "metadata"});
    files.refuse_or_read(file);
  }
  const size_t header = original.size() - sound.data.size();
  const std::vector<size_t> places = {0,
                                      1,
                                      7,
                                      8,
                                      9,
                                      header / 3,
                                      header - 1,
                                      header,
                                      header + 1,
                                      header + 1000,
                                      original.size() - 4,
                                      original.size() - 1};
  for (const HostileFile& file : truncated(original, places)) files.refuse(file);
  for (HostileFile file : damaged(original.substr(0, header), 2, 300)) {
    file.content += sound.data;
    files.refuse_or_read(file);
  }
  files.finish("safetensors");
}

TEST(HostileSafetensors, IndexesAreRefusedWithAClearError) {
  const ModelFolder folder;
  std::filesystem::rename(folder.path() / "model.safetensors", folder.path() / "model-1.safetensors");
  ordered_json index = {{"metadata", {{"total_size", 1}}}, {"weight_map", ordered_json::object()}};
  const Parts model(read_file(folder.path() / "model-1.safetensors"));
  for (const auto& [name, tensor] : model.header.items()) {
    if (name != "__metadata__") index["weight_map"][name] = "model-1.safetensors";
  }
  const std::filesystem::path path = folder.path() / "model.safetensors.index.json";
  HostileFiles files(path, {16, 256u << 10}, [&] { read_weights(folder.path()); });
  const std::string sound = index.dump();
  for (const char* shard : {"../model-1.safetensors", "/etc/passwd", "a/b.safetensors", "a\\b.safetensors",
                            ".safetensors", "model-1.bin", "", "model-1.safetensors/"}) {
    ordered_json changed = index;
    changed["weight_map"][kTensor] = shard;
    files.refuse({fmt::format("a shard is {}", shard), changed.dump(), {kTensor}});
  }
  for (HostileFile file : hostile_json(sound)) {
    file.any = {"shard", "weight_map", "JSON", "nest", "tensor ", "twice", "byte order"};
    files.refuse_or_read(file);
  }
  for (const HostileFile& file : damaged(sound, 3, 200)) files.refuse_or_read(file);
  files.finish("index of safetensors");
}

}  // namespace
}  // namespace terse::support
