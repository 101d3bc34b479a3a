// Tests model folders: one file or shards, and a table of damaged indexes and folders with the words of their messages.
#include "base/formats/safetensors/folder.h"

#include <gmock/gmock.h>

#include "tests/support/tensor_files.h"

namespace terse {
namespace {

using support::data_error;
using support::format_fixture;
using support::safetensors_text;
using support::TemporaryFolder;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(SafetensorsFolder, ReadsTheShardsThatThePythonLibraryWrote) {
  const SafetensorsFolder folder(format_fixture("shards"));
  ASSERT_EQ(folder.tensors().size(), 11u);
  EXPECT_EQ(folder.tensors()[0].tensor->name, "layers.0.weight");
  EXPECT_EQ(folder.tensors()[10].tensor->name, "lm_head.weight");
  for (int i = 0; i < 10; ++i) {
    const auto [file, tensor] = folder.tensor("layers." + std::to_string(i) + ".weight");
    std::vector<float> values(100);
    file->read_rows(*tensor, 0, 10, values);
    EXPECT_EQ(values, std::vector<float>(100, static_cast<float>(i)));
  }
  EXPECT_THAT(folder.tensor("lm_head.weight").file->name(), EndsWith("model-00005-of-00006.safetensors"));
  EXPECT_EQ(folder.find("none").tensor, nullptr);
  EXPECT_THAT(data_error([&] { folder.tensor("none"); }),
              EndsWith("shards/model.safetensors.index.json: it holds no tensor \"none\""));
}

// A shard whose tensors have one byte each.
std::string shard(const std::vector<std::string>& tensors) {
  std::string header = "{";
  for (size_t i = 0; i < tensors.size(); ++i) {
    header += (i > 0 ? ",\"" : "\"") + tensors[i] + R"(":{"dtype":"U8","shape":[],"data_offsets":[)" +
              std::to_string(i) + "," + std::to_string(i + 1) + "]}";
  }
  return safetensors_text(header + "}", std::string(tensors.size(), 'x'));
}

TEST(SafetensorsFolder, ReadsASingleFile) {
  const TemporaryFolder dir;
  dir.write("model.safetensors", shard({"b", "a"}));
  dir.write("other.safetensors", "ignored");
  const SafetensorsFolder folder(dir.path());
  ASSERT_EQ(folder.tensors().size(), 2u);
  EXPECT_EQ(folder.tensors()[0].tensor->name, "a");
}

TEST(SafetensorsFolder, AFolderWithoutAModelOrWithTwoIsRefused) {
  const TemporaryFolder dir;
  const auto open = [&] { return data_error([&] { SafetensorsFolder{dir.path()}; }); };
  EXPECT_THROW(SafetensorsFolder{dir.write("file", "")}, DiskError);
  EXPECT_THAT(open(), HasSubstr("it holds no weights, expected model.safetensors or model.safetensors.index.json"));
  dir.write("model.safetensors", shard({"a"}));
  dir.write("model.safetensors.index.json", R"({"weight_map":{"a":"model.safetensors"}})");
  EXPECT_THAT(open(), HasSubstr("it holds both model.safetensors and model.safetensors.index.json"));
}

TEST(SafetensorsFolder, TheIndexAndTheShardsMustAgree) {
  const TemporaryFolder dir;
  dir.write("1.safetensors", shard({"a", "b"}));
  dir.write("2.safetensors", shard({"c"}));
  const auto open = [&](const std::string& map) {
    dir.write("model.safetensors.index.json", R"({"metadata":{"total_size":[{}]},"weight_map":{)" + map + "}}");
    return data_error([&] { SafetensorsFolder{dir.path()}; });
  };
  const std::string good = R"("a":"1.safetensors","b":"1.safetensors","c":"2.safetensors")";
  EXPECT_EQ(open(good), "no error");
  EXPECT_THAT(open(R"("a":"1.safetensors","c":"2.safetensors")"),
              AllOf(HasSubstr("1.safetensors: it holds tensor \"b\", which "), HasSubstr("index.json does not list")));
  EXPECT_THAT(open(R"("a":"1.safetensors","b":"2.safetensors","c":"2.safetensors")"),
              AllOf(HasSubstr("1.safetensors: it holds tensor \"b\", which "),
                    HasSubstr("index.json places in \"2.safetensors\"")));
  EXPECT_THAT(open(good + R"(,"d":"2.safetensors")"),
              HasSubstr("index.json: it places tensor \"d\" in \"2.safetensors\", which does not hold it"));
  EXPECT_THAT(open(good + R"(,"d":"3.safetensors","e":"4.safetensors")"),
              HasSubstr("index.json: 2 of 4 shards are missing in its folder: \"3.safetensors\", \"4.safetensors\""));
  std::string many = good;
  for (int i = 10; i < 20; ++i) many += ",\"" + std::to_string(i) + "\":\"" + std::to_string(i) + ".safetensors\"";
  EXPECT_THAT(open(many),
              HasSubstr("10 of 12 shards are missing in its folder: \"10.safetensors\", \"11.safetensors\", "
                        "\"12.safetensors\", \"13.safetensors\", \"14.safetensors\", ..."));
  dir.write("2.safetensors", "damaged");
  EXPECT_THAT(open(good), HasSubstr("2.safetensors: it has 7 bytes, too few"));
}

TEST(SafetensorsFolder, AShardThatIsNoFileIsRefused) {
  const TemporaryFolder dir;
  std::filesystem::create_directory(dir / "1.safetensors");
  dir.write("model.safetensors.index.json", R"({"weight_map":{"a":"1.safetensors"}})");
  EXPECT_THROW(SafetensorsFolder{dir.path()}, DiskError);
}

TEST(SafetensorsFolder, ADamagedIndexIsFoundAndNamed) {
  const std::string name = "the shard of tensor \"a\" is ";
  const std::string deep = std::string(20, '[') + std::string(20, ']');
  for (const auto& [text, message] : std::vector<std::pair<std::string, std::string>>{
           {"", "it is not JSON: unexpected"},
           {"[]", "it is not a JSON object"},
           {"{}", "it has no \"weight_map\""},
           {R"({"weight_map":1})", "\"weight_map\" is not an object"},
           {R"({"weight_map":null})", "\"weight_map\" is not an object"},
           {R"({"weight_map":[]})", "\"weight_map\" is not an object"},
           {R"({"weight_map":{"a":1}})", name + "not a string"},
           {R"({"weight_map":{"a":{}}})", name + "not a string"},
           {R"({"weight_map":{"a":[]}})", name + "not a string"},
           {R"({"weight_map":{"a":null}})", name + "not a string"},
           {R"({"weight_map":{"a":"../1.safetensors"}})", name + "\"../1.safetensors\", expected a plain name"},
           {R"({"weight_map":{"a":"/etc/1.safetensors"}})", name + "\"/etc/1.safetensors\""},
           {R"({"weight_map":{"a":"x\\1.safetensors"}})", name + "\"x\\\\1.safetensors\""},
           {R"({"weight_map":{"a":"1\u0000.safetensors"}})", name + "\"1\\x00.safetensors\""},
           {R"({"weight_map":{"a":""}})", name + "\"\""},
           {R"({"weight_map":{"a":".."}})", name + "\"..\""},
           {R"({"weight_map":{"a":"pytorch_model.bin"}})", name + "\"pytorch_model.bin\""},
           {R"({"weight_map":{"a":".safetensors"}})", name + "\".safetensors\""},
           {R"({"weight_map":{"a":")" + std::string(244, 'x') + R"(.safetensors"}})", name + "\"xxx"},
           {R"({"weight_map":{"a":"1.safetensors","a":"1.safetensors"}})", "\"weight_map\" has tensor \"a\" twice"},
           {R"({"weight_map":{},"weight_map":{}})", "a key of the index comes twice"},
           {R"({"metadata":{},"metadata":{}})", "a key of the index comes twice"},
           {R"({"weight_map":{}}x)", "it is not JSON: unexpected"},
           {"{\"x\":" + deep + "}", "it is nested more than 16 levels deep"}}) {
    const std::string found = data_error([&] { parse_safetensors_index(text, "index"); });
    EXPECT_THAT(found, StartsWith("index: ")) << text;
    EXPECT_THAT(found, HasSubstr(message)) << text;
  }
}

TEST(SafetensorsFolder, AHugeIndexIsNotParsed) {
  const TemporaryFolder dir;
  dir.write("model.safetensors.index.json", "");
  std::filesystem::resize_file(dir / "model.safetensors.index.json", kMaxSafetensorsIndex);
  EXPECT_THAT(data_error([&] { SafetensorsFolder{dir.path()}; }), HasSubstr("it is not JSON: byte 0 is 0"));
  std::filesystem::resize_file(dir / "model.safetensors.index.json", kMaxSafetensorsIndex + 1);
  EXPECT_THAT(data_error([&] { SafetensorsFolder{dir.path()}; }),
              HasSubstr("it has 67108865 bytes, expected at most 67108864"));
}

}  // namespace
}  // namespace terse
