// Reads hostile GGUF files through what opens model.init: the weights, the vocabulary and the chat template.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "base/formats/gguf/file.h"
#include "tests/hostile/hostile_files.h"
#include "tests/hostile/model_folder.h"
#include "tests/support/tensor_files.h"

namespace terse::support {
namespace {

constexpr uint32_t kUint32 = 4, kInt32 = 5, kFloat32 = 6, kBool = 7, kString = 8, kArray = 9, kUint64 = 10, kInt64 = 11,
                   kFloat64 = 12;
constexpr uint32_t kF32 = 0;

struct Entry {
  std::string key;
  uint32_t type = 0;
  std::string value;  // as it stands in the file
};
struct Tensor {
  std::string name;
  std::vector<uint64_t> dims;
  uint32_t type = 0;
  uint64_t offset = 0;
};

std::string array_of(uint32_t type, uint64_t count, const std::string& elements) {
  return little_endian(type) + little_endian(count) + elements;
}

std::string texts(const std::vector<std::string>& values) {
  std::string elements;
  for (const std::string& value : values) elements += GgufText::text(value);
  return array_of(kString, values.size(), elements);
}

std::string value_of(const GgufValue& value) {
  if (value.type == GgufType::kString) return GgufText::text(value.bytes);
  if (value.type != GgufType::kArray) return std::string(value.bytes);
  return array_of(static_cast<uint32_t>(value.element_type), value.count, std::string(value.bytes));
}

// The parts of a file, each of which can be changed.
struct Parts {
  std::vector<Entry> entries;
  std::vector<Tensor> tensors;
  std::string data;

  // The tiny Llama of the fixtures with a vocabulary of bytes.
  static Parts sound() {
    Parts parts;
    const std::string file = read_file(model_fixture("model.gguf"));
    const GgufFile model(file, "fixture");
    for (const GgufEntry& entry : model.metadata()) {
      parts.entries.push_back({std::string(entry.key), static_cast<uint32_t>(entry.value.type), value_of(entry.value)});
    }
    const char* const data = model.tensors().front().bytes.data();
    for (const GgufTensor& tensor : model.tensors()) {
      std::vector<uint64_t> dims;
      for (const int64_t size : tensor.dims()) dims.push_back(static_cast<uint64_t>(size));
      parts.tensors.push_back({std::string(tensor.name), dims, static_cast<uint32_t>(tensor.type),
                               static_cast<uint64_t>(tensor.bytes.data() - data)});
    }
    parts.data = file.substr(static_cast<size_t>(data - file.data()));
    std::vector<std::string> tokens;
    std::string types;
    for (int i = 0; i < 32; ++i) {
      tokens.push_back(i < 26   ? std::string(1, static_cast<char>('a' + i))
                       : i < 28 ? "ab" + std::string(i - 26, 'c')
                                : fmt::format("<{}>", i));
      types += little_endian(i < 28 ? 1 : 3);
    }
    const auto set = [&](const char* key, uint32_t type, const std::string& value) {
      parts.set(std::string("tokenizer.") + key, type, value);
    };
    set("ggml.model", kString, GgufText::text("gpt2"));
    set("ggml.pre", kString, GgufText::text("llama-bpe"));
    set("ggml.tokens", kArray, texts(tokens));
    set("ggml.token_type", kArray, array_of(kInt32, 32, types));
    set("ggml.merges", kArray, texts({"a b", "ab c"}));
    set("ggml.bos_token_id", kUint32, little_endian(28u));
    set("ggml.eos_token_id", kUint32, little_endian(29u));
    set("ggml.eot_token_id", kUint32, little_endian(30u));
    set("ggml.add_bos_token", kBool, std::string(1, '\1'));
    set("ggml.add_eos_token", kBool, std::string(1, '\0'));
    set("chat_template", kString, GgufText::text("{{ messages[0].content }}"));
    return parts;
  }

  void set(const std::string& key, uint32_t type, const std::string& value) {
    for (Entry& entry : entries) {
      if (entry.key != key) continue;
      entry = {key, type, value};
      return;
    }
    entries.push_back({key, type, value});
  }
  Parts with(const std::string& key, uint32_t type, const std::string& value) const {
    Parts parts = *this;
    parts.set(key, type, value);
    return parts;
  }
  Parts with(size_t tensor, const Tensor& other) const {
    Parts parts = *this;
    parts.tensors[tensor] = other;
    return parts;
  }

  GgufText text() const {
    GgufText text;
    for (const Entry& entry : entries) text.entry(entry.key, entry.type, entry.value);
    for (const Tensor& tensor : tensors) text.tensor(tensor.name, tensor.dims, tensor.type, tensor.offset);
    text.data = data;
    return text;
  }
  std::string file() const { return text().file(); }
};

const std::vector<uint64_t> kNumbers = {0,
                                        1,
                                        2,
                                        3,
                                        5,
                                        7,
                                        1000,
                                        1001,
                                        65536,
                                        uint64_t{1} << 31,
                                        uint64_t{1} << 32,
                                        uint64_t{1} << 62,
                                        uint64_t{INT64_MAX},
                                        uint64_t{1} << 63,
                                        UINT64_MAX - 7,
                                        UINT64_MAX};

std::vector<HostileFile> hostile_heads(const Parts& sound) {
  std::vector<HostileFile> files;
  const size_t entries = sound.entries.size(), tensors = sound.tensors.size();
  for (const uint64_t number : kNumbers) {
    GgufText more = sound.text(), others = sound.text();
    more.entry_count = number;
    others.tensor_count = number;
    if (number != entries) files.push_back({fmt::format("{} keys", number), more.file(), {}});
    if (number != tensors) files.push_back({fmt::format("{} tensors", number), others.file(), {}});
  }
  for (const uint32_t version : {0u, 1u, 4u, 5u, 0x03000000u, 0x80000003u, UINT32_MAX}) {
    GgufText text = sound.text();
    text.version = version;
    files.push_back({fmt::format("version {}", version), text.file(), {}, {"version", "big-endian"}});
  }
  for (const char* magic : {"GGML", "GGJT", "FUGG", "gguf"}) {
    GgufText text = sound.text();
    text.magic = magic;
    files.push_back({magic, text.file(), {"is no model: expected"}});
  }
  for (const uint32_t alignment : {0u, 3u, 48u, 128u, 1u << 20, 1u << 31, UINT32_MAX}) {
    files.push_back({fmt::format("alignment {}", alignment),
                     sound.with("general.alignment", kUint32, little_endian(alignment)).file(),
                     {}});
  }
  files.push_back({"alignment of 8 bytes",
                   sound.with("general.alignment", kUint64, little_endian(uint64_t{32})).file(),
                   {"general.alignment"}});
  return files;
}

// Every key in turn has a value of every other type, a number near the ends of its type, or is left out.
std::vector<HostileFile> hostile_entries(const Parts& sound) {
  std::vector<HostileFile> files;
  std::vector<Entry> values = {
      {"bool", kBool, std::string(1, '\2')},
      {"text", kString, GgufText::text("\xff\x1b[2J")},
      {"text", kString, GgufText::text("")},
      {"a long text", kString, GgufText::text(std::string(100000, 'x'))},
      {"no end", kString, little_endian(UINT64_MAX)},
      {"no end", kString, little_endian(uint64_t{1} << 33)},
      {"an array", kArray, array_of(kUint32, 0, "")},
      {"an array", kArray, texts({"a", "\xff"})},
      {"an array", kArray, array_of(kUint64, UINT64_MAX / 8 + 2, "12345678")},
      {"an array", kArray, array_of(kArray, uint64_t{1} << 40, "")},
      {"an array of an unknown type", kArray, array_of(13, 0, "")},
      {"nested arrays", kArray,
       array_of(kArray, 1, array_of(kArray, 1, array_of(kArray, 1, array_of(kArray, 1, array_of(kBool, 0, "")))))},
      {"an unknown type", 13, "1234"},
      {"an unknown type", UINT32_MAX, "1234"}};
  for (const uint64_t number : kNumbers) values.push_back({fmt::format("{}", number), kUint64, little_endian(number)});
  for (const int64_t number : {int64_t{-1}, INT64_MIN})
    values.push_back({fmt::format("{}", number), kInt64, little_endian(number)});
  for (const double number :
       {0.0, -1.0, 1e-300, 1e300, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    values.push_back({fmt::format("{}", number), kFloat64, little_endian(number)});
    values.push_back({fmt::format("{} as float", number), kFloat32, little_endian(static_cast<float>(number))});
  }
  for (const Entry& entry : sound.entries) {
    for (const Entry& value : values) {
      files.push_back(
          {fmt::format("{} is {}", entry.key, value.key), sound.with(entry.key, value.type, value.value).file(), {}});
    }
    Parts absent = sound, twice = sound, renamed = sound;
    std::erase_if(absent.entries, [&](const Entry& other) { return other.key == entry.key; });
    files.push_back({entry.key + " is absent", absent.file(), {}});
    twice.entries.push_back(entry);
    files.push_back({entry.key + " comes twice", twice.file(), {}});
    renamed.entries[static_cast<size_t>(&entry - sound.entries.data())].key = "\x1b[2J" + entry.key;
    files.push_back({entry.key + " has another name", renamed.file(), {}});
  }
  return files;
}

std::vector<HostileFile> hostile_tensors(const Parts& sound) {
  std::vector<HostileFile> files;
  for (const size_t i : {size_t{0}, size_t{1}, sound.tensors.size() - 1}) {
    const Tensor& tensor = sound.tensors[i];
    const auto add = [&](const std::string& what, const auto& change) {
      Tensor other = tensor;
      change(other);
      files.push_back({fmt::format("{}: {}", tensor.name, what), sound.with(i, other).file(), {}, {"tensor"}});
    };
    for (const uint64_t number : kNumbers) {
      for (size_t d = 0; d < tensor.dims.size(); ++d) {
        add(fmt::format("size {} is {}", d, number), [&](Tensor& other) { other.dims[d] = number; });
      }
      add(fmt::format("the offset is {}", number),
          [&](Tensor& other) { other.offset = number + (number == tensor.offset); });
      add(fmt::format("all sizes are {}", number), [&](Tensor& other) { other.dims.assign(4, number); });
    }
    for (const uint64_t by : {uint64_t{32}, uint64_t{4096}, uint64_t{0} - 32}) {
      add("it is moved", [&](Tensor& other) { other.offset += by; });
    }
    for (const uint32_t type : {1u, 2u, 4u, 5u, 8u, 10u, 12u, 16u, 24u, 26u, 28u, 31u, 39u, 100u, UINT32_MAX}) {
      add(fmt::format("type {}", type), [&](Tensor& other) { other.type = type; });
    }
    for (const std::string& name :
         {std::string(), std::string("x"), std::string(64, 'x'), std::string(65, 'x'), std::string("\xff"),
          std::string("\x1b[2J"), std::string("a\0b", 3), sound.tensors[2].name, std::string("blk.7.attn_q.weight")}) {
      add("another name", [&](Tensor& other) { other.name = name; });
    }
    add("no sizes", [&](Tensor& other) { other.dims.clear(); });
    add("five sizes", [&](Tensor& other) { other.dims.assign(5, 1); });
    Parts absent = sound, twice = sound;
    absent.tensors.erase(absent.tensors.begin() + static_cast<std::ptrdiff_t>(i));
    files.push_back({tensor.name + " is absent", absent.file(), {}});
    twice.tensors.push_back(tensor);
    files.push_back({tensor.name + " comes twice", twice.file(), {"twice"}});
  }
  Parts shorter = sound, longer = sound, more = sound;
  shorter.data.resize(sound.data.size() - 200);
  longer.data += std::string(64, 'x');
  more.tensors.push_back({"extra", {0}, kF32, sound.data.size() / 32 * 32});
  files.push_back({"less data", shorter.file(), {"bytes of data"}});
  files.push_back({"more data", longer.file(), {"follow the data"}});
  files.push_back({"an empty tensor more", more.file(), {"extra"}});
  return files;
}

// The vocabulary: of right types, and wrong.
std::vector<HostileFile> hostile_vocabularies(const Parts& sound) {
  std::vector<HostileFile> files;
  const auto add = [&](const std::string& key, uint32_t type, const std::string& value) {
    files.push_back({key, sound.with("tokenizer.ggml." + key, type, value).file(), {"tokenizer.ggml." + key}});
  };
  std::vector<std::string> tokens(32, "x");
  add("tokens", kArray, texts(tokens));
  for (int i = 0; i < 32; ++i) tokens[static_cast<size_t>(i)] = fmt::format("t{}", i);
  tokens[7] = "\xff";
  add("tokens", kArray, texts(tokens));
  add("tokens", kArray, texts({}));
  add("tokens", kArray, array_of(kArray, 1, texts({"a"})));
  add("token_type", kArray, array_of(kInt32, 31, std::string(124, '\1')));
  add("token_type", kArray, array_of(kInt32, 32, std::string(128, '\1')));
  add("token_type", kArray, array_of(kInt32, 32, std::string(128, '\xff')));
  for (const char* merge : {"", " ", "a", "a b c", " a", "a ", "\xff a", "q zz", "zz q", "x y"}) {
    files.push_back({fmt::format("merge '{}'", merge),
                     sound.with("tokenizer.ggml.merges", kArray, texts({"a b", merge})).file(),
                     {},
                     {"merges[1]"}});
  }
  for (const char* key : {"bos_token_id", "eos_token_id", "eot_token_id"}) {
    add(key, kUint32, little_endian(32u));
    add(key, kUint32, little_endian(UINT32_MAX));
    add(key, kInt64, little_endian(int64_t{-1}));
    add(key, kInt64, little_endian(int64_t{1} << 32));
  }
  for (const char* model : {"llama", "bert", "", "\x1b[2J", "\xff"}) add("model", kString, GgufText::text(model));
  for (const char* pre : {"nope", "\x1b[2J", "\xff"}) add("pre", kString, GgufText::text(pre));
  return files;
}

// Files whose parts take as much memory as can be.
std::vector<HostileFile> large_files(const Parts& sound) {
  Parts keys = sound, names = sound;
  for (int i = 0; i < 30000; ++i) {
    keys.entries.push_back({fmt::format("{:x}", i), kBool, std::string(1, '\1')});
    names.tensors.push_back({fmt::format("{:x}", i), {}, kF32, 0});
  }
  keys.set("llama.block_count", kBool, std::string(1, '\1'));
  std::vector<std::string> empty(100000), merges(50000, "a b");
  Parts many = sound.with("tokenizer.ggml.tokens", kArray, texts(empty))
                   .with("tokenizer.ggml.token_type", kArray, array_of(kInt32, 0, ""));
  return {
      {"many keys", keys.file(), {"llama.block_count"}},
      {"many tensors", names.file(), {"tensor"}},
      {"many arrays",
       sound
           .with("llama.block_count", kArray,
                 array_of(kArray, 50000,
                          [] {
                            std::string arrays;
                            for (int i = 0; i < 50000; ++i) arrays += array_of(kBool, 0, "");
                            return arrays;
                          }()))
           .file(),
       {"llama.block_count"}},
      {"many bytes as numbers",
       sound.with("tokenizer.ggml.token_type", kArray, array_of(0, 500000, std::string(500000, '\1'))).file(),
       {"token_type"}},
      {"many empty tokens", many.file(), {"tokenizer"}},
      {"many merges",
       sound.with("tokenizer.ggml.merges", kArray, texts(merges))
           .with("tokenizer.ggml.eos_token_id", kUint32, little_endian(99u))
           .file(),
       {"eos_token_id"}},
  };
}

TEST(HostileGguf, FilesAreRefusedWithAClearError) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "model.gguf";
  const Parts parts = Parts::sound();
  const std::string sound = parts.file();
  HostileFiles files(path, {20, 4u << 20}, [&] {
    read_weights(path);
    read_vocabulary(path);
  });
  files.refuse_or_read({"sound", sound, {}});
  ASSERT_EQ(files.harmless(), 1u) << "the file that all others are made of is wrong";
  for (const auto& list :
       {hostile_heads(parts), hostile_tensors(parts), hostile_vocabularies(parts), large_files(parts)}) {
    for (const HostileFile& file : list) files.refuse(file);
  }
  for (const HostileFile& file : hostile_entries(parts)) files.refuse_or_read(file);
  const size_t head = sound.size() - parts.data.size();
  std::vector<size_t> places = {sound.size() - 4, sound.size() / 2};
  for (size_t at = 0; at < head; at += at < 40 ? 1 : 61) places.push_back(at);
  for (const HostileFile& file : truncated(sound, places)) files.refuse(file);
  for (HostileFile file : damaged(sound.substr(0, head), 4, 400)) {
    file.content += parts.data;
    files.refuse_or_read(file);
  }
  files.finish("GGUF");
}

}  // namespace
}  // namespace terse::support
