// Untrusted manifests: every inconsistent entry is refused before a file is opened or memory is allocated.
#include "checkpoints/format/manifest.h"

#include "tests/checkpoints/support.h"

namespace terse::checkpoints {
namespace {

using ::testing::HasSubstr;
using Edit = std::function<void(nlohmann::ordered_json&)>;

Manifest example() {
  const std::string hash(64, 'a');
  const DtypeInfo* f32 = find_dtype("float32");
  Manifest manifest{{12, "sft", "c0ffee", 0.5}, "2025-01-02T03:04:05Z", "0.1.0", {}};
  manifest.files.push_back({"rank-0.0.h5", 5000, hash, {{"a", f32, {10, 10}, 0, 60}, {"b", f32, {}, 0, 1}}});
  manifest.files.push_back({"rank-0.1.h5", 5000, hash, {{"a", f32, {10, 10}, 60, 100}}});
  manifest.files.push_back({"extra.json", 3, hash, {}});
  return manifest;
}

TEST(Manifest, ComesBackFromItsText) {
  const std::string text = manifest_text(example());
  const Manifest manifest = parse_manifest(text);
  EXPECT_EQ(manifest_text(manifest), text);
  EXPECT_EQ(manifest.info.step, 12);
  EXPECT_EQ(manifest.files.at(0).pieces.at(0).shape, (std::vector<int64_t>{10, 10}));
}

TEST(Manifest, MayListTextFiles) {
  auto document = nlohmann::ordered_json::parse(manifest_text(example()));
  for (int i = 0; i < 16; ++i)
    document["files"].push_back(
        {{"name", "file-" + std::to_string(i)}, {"bytes", 64 << 20}, {"sha256", std::string(64, 'a')}});
  EXPECT_EQ(parse_manifest(document.dump()).files.size(), 3u + 16);
}

TEST(Manifest, HashFileIsWhatSha256sumWrites) {
  EXPECT_EQ(manifest_hash_text("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  MANIFEST.json\n");
}

constexpr int64_t kHuge = int64_t{1} << 42;

// Adds a text file to the list of files.
void add_text(nlohmann::ordered_json& manifest, const std::string& name, int64_t bytes = 3) {
  manifest["files"].push_back({{"name", name}, {"bytes", bytes}, {"sha256", std::string(64, 'a')}});
}

// Part of the message, and the edit of a good manifest that leads to it.
const std::vector<std::pair<std::string, Edit>> kMisfits = {
    {"format is 2, this program reads format 1", [](auto& m) { m["format"] = 2; }},
    {"has no \"format\"", [](auto& m) { m.erase("format"); }},
    {"has no \"step\"", [](auto& m) { m.erase("step"); }},
    {"\"step\" of the manifest is not a whole number", [](auto& m) { m["step"] = -1; }},
    {"\"step\" of the manifest is not a whole number", [](auto& m) { m["step"] = 1.5; }},
    {"\"step\" of the manifest is not a whole number", [](auto& m) { m["step"] = 1e300; }},
    {"\"step\" of the manifest is not a whole number", [](auto& m) { m["step"] = UINT64_MAX; }},
    {"\"stage\" of the manifest is not a string", [](auto& m) { m["stage"] = 5; }},
    {"\"score\" of the manifest is neither", [](auto& m) { m["score"] = "best"; }},
    {"\"files\" is not an array",
     [](auto& m) {
       m["files"] = {{"a", 1}};
     }},
    {"file 1 is not an object", [](auto& m) { m["files"][1] = 5; }},
    {"it lists rank-0.0.h5 twice", [](auto& m) { m["files"][1]["name"] = "rank-0.0.h5"; }},
    {"it lists no extra.json", [](auto& m) { m["files"].erase(2); }},
    {"expected extra.json, a shard such as rank-0.h5", [](auto& m) { m["files"][0]["name"] = "../rank-0.0.h5"; }},
    {"expected extra.json, a shard such as rank-0.h5", [](auto& m) { m["files"][0]["name"] = "/etc/passwd"; }},
    {"expected extra.json, a shard such as rank-0.h5", [](auto& m) { m["files"][0]["name"] = "rank-0/../../x.h5"; }},
    {"expected extra.json, a shard such as rank-0.h5",
     [](auto& m) { m["files"][0]["name"] = std::string("rank-0\0.h5", 10); }},
    {"expected extra.json, a shard such as rank-0.h5", [](auto& m) { m["files"][0]["name"] = "MANIFEST.json"; }},
    {"expected extra.json, a shard such as rank-0.h5", [](auto& m) { m["files"][0]["name"] = "rank-.h5"; }},
    {"expected extra.json, a shard such as rank-0.h5", [](auto& m) { m["files"][0]["name"] = "rank-0.h5 "; }},
    {"expected extra.json, a shard such as rank-0.h5", [](auto& m) { m["files"][0]["name"] = "rank-1234567890.h5"; }},
    {"is not 64 lower-case hex digits", [](auto& m) { m["files"][0]["sha256"] = std::string(64, 'A'); }},
    {"is not 64 lower-case hex digits", [](auto& m) { m["files"][0]["sha256"] = "abc"; }},
    {"expected at most 2.0 GiB", [](auto& m) { m["files"][0]["bytes"] = kHuge; }},
    {"expected at most 1.0 GiB", [](auto& m) { m["files"][2]["bytes"] = kHuge; }},
    {"the known dtypes are bool, uint8", [](auto& m) { m["tensors"][0]["dtype"] = "float128"; }},
    {"not an array of at most 64 sizes", [](auto& m) { m["tensors"][0]["shape"] = 5; }},
    {"not an array of at most 64 sizes", [](auto& m) { m["tensors"][0]["shape"] = std::vector<int>(65, 1); }},
    {"a size of tensor \"a\" is not a whole number",
     [](auto& m) {
       m["tensors"][0]["shape"] = {10, -10};
     }},
    {"of tensor \"a\" overflows",
     [](auto& m) {
       m["tensors"][0]["shape"] = {kHuge, kHuge};
     }},
    {"of tensor \"a\" overflows",
     [](auto& m) {
       m["tensors"][0]["shape"] = {kHuge, 0, kHuge};
     }},
    {"a piece with elements 61 to 60, but its shape has 100 elements", [](auto& m) { m["tensors"][0]["begin"] = 61; }},
    {"a piece with elements 60 to 101, but its shape has 100 elements", [](auto& m) { m["tensors"][2]["end"] = 101; }},
    {"too few for its tensors",
     [](auto& m) {
       m["tensors"][1]["shape"] = {kHuge};
       m["tensors"][1]["end"] = kHuge;
     }},
    {"too few for its tensors", [](auto& m) { m["files"][0]["bytes"] = 243; }},
    {"a piece ends at element 60 and the next begins at 59", [](auto& m) { m["tensors"][2]["begin"] = 59; }},
    {"a piece ends at element 60 and the next begins at 61", [](auto& m) { m["tensors"][2]["begin"] = 61; }},
    {"pieces of different dtypes or shapes", [](auto& m) { m["tensors"][2]["dtype"] = "int32"; }},
    {"pieces of different dtypes or shapes", [](auto& m) { m["tensors"][2]["shape"] = {100}; }},
    {"contains tensor a twice", [](auto& m) { m["tensors"][2]["file"] = "rank-0.0.h5"; }},
    {"which is not a listed shard", [](auto& m) { m["tensors"][2]["file"] = "rank-7.h5"; }},
    {"which is not a listed shard", [](auto& m) { m["tensors"][2]["file"] = "extra.json"; }},
    {"which is not a listed shard", [](auto& m) { m["tensors"][2]["file"] = "/etc/passwd"; }},
    {"which is not a listed shard",
     [](auto& m) {
       add_text(m, "config.json");
       m["tensors"][0]["file"] = "config.json";
     }},
    {"or a plain name such as config.json", [](auto& m) { add_text(m, "latest"); }},
    {"or a plain name such as config.json", [](auto& m) { add_text(m, ".config.json"); }},
    {"or a plain name such as config.json", [](auto& m) { add_text(m, "rank-0.json"); }},
    {"or a plain name such as config.json", [](auto& m) { add_text(m, "MANIFEST.old"); }},
    {"or a plain name such as config.json", [](auto& m) { add_text(m, "a/config.json"); }},
    {"it lists extra.json twice", [](auto& m) { add_text(m, "extra.json"); }},
    {"it lists config.json twice",
     [](auto& m) {
       add_text(m, "config.json");
       add_text(m, "config.json");
     }},
    {"expected at most 64.0 MiB", [](auto& m) { add_text(m, "config.json", kHuge); }},
    {"it lists more than 16 text files",
     [](auto& m) {
       for (int i = 0; i < 17; ++i) add_text(m, "file-" + std::to_string(i));
     }},
};

TEST(Manifest, RefusesEveryClaimThatDoesNotFit) {
  for (const auto& [message, edit] : kMisfits) {
    auto document = nlohmann::ordered_json::parse(manifest_text(example()));
    edit(document);
    try {
      parse_manifest(document.dump());
      ADD_FAILURE() << "expected: " << message;
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr(message));
    }
  }
}

TEST(Manifest, RefusesWhatIsNotAManifestAtAll) {
  for (const char* text : {"", "{", "null", "[]", "5", "\"text\"", "{}", "\xff", "{\"format\": 1} x"}) {
    EXPECT_THROW(parse_manifest(text), DataError) << text;
  }
  EXPECT_THROW(parse_json(std::string(100000, '[')), DataError);
  EXPECT_THROW(parse_json(std::string(100, '[') + std::string(100, ']')), DataError);
  EXPECT_NO_THROW(parse_json(std::string(50, '[') + std::string(50, ']')));
}

TEST(Manifest, EveryDeletedFieldAndEveryWrongTypeIsAnErrorNotACrash) {
  const auto document = nlohmann::ordered_json::parse(manifest_text(example()));
  const auto flat = document.flatten();
  for (const auto& [pointer, value] : flat.items()) {
    for (const auto& other : {nlohmann::ordered_json(nullptr), nlohmann::ordered_json(true),
                              nlohmann::ordered_json("x"), nlohmann::ordered_json(-1), nlohmann::ordered_json(1e99),
                              nlohmann::ordered_json::array(), nlohmann::ordered_json::object()}) {
      auto edited = document;
      edited[nlohmann::ordered_json::json_pointer(pointer)] = other;
      try {
        parse_manifest(edited.dump());
      } catch (const DataError&) {  // most edits are refused; `stage` may be any text
      }
    }
  }
}

// A checkpoint whose hashes are right but whose manifest describes its tensors wrongly.
TEST(Manifest, AConsistentLieAboutTensorsIsFoundInTheShard) {
  const TemporaryFolder folder;
  save_two(folder.path());
  const Path checkpoint = folder.path() / "step-200";
  const std::string original = read_bytes(checkpoint / kManifestName);
  // Tensors in order: adam/count (int64, scalar), model/embed (float32, 4 x 6), model/norm (bfloat16, 5).
  const std::vector<std::pair<std::string, Edit>> cases = {
      {"elements are not stored as int32", [](auto& m) { m["tensors"][1]["dtype"] = "int32"; }},
      {"dtype attribute is not float16", [](auto& m) { m["tensors"][2]["dtype"] = "float16"; }},
      {"it has 24 elements, the manifest lists 12",
       [](auto& m) {
         m["tensors"][1]["shape"] = {12};
         m["tensors"][1]["end"] = 12;
       }},
      {"its layout is not that of an empty tensor",
       [](auto& m) {
         m["tensors"][1]["shape"] = {0};
         m["tensors"][1]["end"] = 0;
       }},
      {"cannot read dataset model/other", [](auto& m) { m["tensors"][1]["name"] = "model/other"; }},
      {"it contains 3 objects, the manifest lists 2", [](auto& m) { m["tensors"].erase(1); }},
  };
  for (const auto& [message, edit] : cases) {
    write_bytes(checkpoint / kManifestName, original);
    seal(checkpoint, edit);
    EXPECT_THAT(verify(checkpoint), ::testing::ElementsAre(HasSubstr(message)));
  }
  write_bytes(checkpoint / kManifestName, original);
  seal(checkpoint);
  EXPECT_TRUE(verify(checkpoint).empty());
}

}  // namespace
}  // namespace terse::checkpoints
