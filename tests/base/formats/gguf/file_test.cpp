// Tests the reading of a file that the Python package wrote, and the getters of the metadata.
#include "base/formats/gguf/file.h"

#include <gmock/gmock.h>

#include <limits>
#include <stdexcept>

#include "base/formats/tensor_shape.h"
#include "tests/support/tensor_files.h"

namespace terse {
namespace {

using support::data_error;
using support::format_fixture;
using support::GgufText;
using support::little_endian;
using support::read_file;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;

TEST(GgufFile, ReadsTheMetadataThatThePythonPackageWrote) {
  const GgufFile file(format_fixture("python.gguf"));
  EXPECT_EQ(file.version(), 3u);
  EXPECT_EQ(file.alignment(), 32u);
  EXPECT_EQ(file.metadata().size(), 20u);
  EXPECT_EQ(file.metadata()[0].key, "general.architecture");
  EXPECT_EQ(file.text("general.architecture"), "llama");
  EXPECT_EQ(file.integer("test.uint8"), 200);
  EXPECT_EQ(file.integer("test.int8"), -100);
  EXPECT_EQ(file.integer("test.uint16"), 60000);
  EXPECT_EQ(file.integer("test.int16"), -30000);
  EXPECT_EQ(file.integer("test.uint32"), 4000000000);
  EXPECT_EQ(file.integer("test.int32"), -2000000000);
  EXPECT_EQ(file.integer("test.int64"), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(file.number("test.float32"), 0.1f);
  EXPECT_EQ(file.number("test.float64"), 0.1);
  EXPECT_TRUE(file.boolean("test.bool"));
  EXPECT_EQ(file.text("test.string"), "\u00e9 \u6f22 \U0001F600\n");
  EXPECT_THAT(file.texts("test.strings"), ElementsAre("", "\u0120the", "\u00e9"));
  EXPECT_THAT(file.integers("test.int32s"), ElementsAre(-1, 0, 1));
  EXPECT_THAT(file.integers("test.bytes"), ElementsAre(1, 2, 255));
  EXPECT_THAT(file.numbers("test.float32s"), ElementsAre(-0.5, 1e10f));
  const auto nested = file.find("test.nested_strings")->elements().value();
  ASSERT_EQ(nested.size(), 2u);
  EXPECT_EQ(nested[1].elements().value().at(1).text(), "c");
  EXPECT_EQ(file.find("test.nested")->elements().value().at(1).elements().value().at(0).integer(), 3);
}

TEST(GgufFile, ReadsTheTensorsThatThePythonPackageWrote) {
  const GgufFile file(format_fixture("python.gguf"));
  ASSERT_EQ(file.tensors().size(), 5u);
  EXPECT_EQ(file.tensors()[0].name, "vector");
  std::vector<float> expected;
  for (int i = -64; i < 64; ++i) expected.push_back(static_cast<float>(i));
  for (const auto& [name, shape] :
       std::vector<std::pair<std::string, std::vector<int64_t>>>{{"vector", {5}},
                                                                 {"matrix", {2, 64}},
                                                                 {"half", {2, 4, 16}},
                                                                 {"bfloat16", {2, 2, 2, 16}},
                                                                 {"q8_0", {2, 64}}}) {
    const GgufTensor& tensor = file.tensor(name);
    EXPECT_EQ(tensor.shape, shape) << name;
    EXPECT_EQ(tensor.dims(), (std::vector<int64_t>{shape.rbegin(), shape.rend()})) << name;
    const auto count = static_cast<size_t>(element_count(shape).value());
    std::vector<float> values(count);
    file.read_rows(tensor, 0, row_count(shape), values);
    for (size_t i = 0; i < count; ++i) EXPECT_NEAR(values[i], expected[i], name == "q8_0" ? 0.3f : 0.0f) << name;
    // One row alone, and no row.
    std::vector<float> row(static_cast<size_t>(row_elements(shape)));
    file.read_rows(tensor, row_count(shape) - 1, 1, row);
    EXPECT_EQ(row, std::vector<float>(values.end() - row_elements(shape), values.end())) << name;
    file.read_rows(tensor, row_count(shape), 0, {});
  }
}

TEST(GgufFile, Version2IsReadTheSame) {
  std::string bytes = read_file(format_fixture("python.gguf"));
  bytes[4] = 2;
  const GgufFile file(bytes, "f");
  EXPECT_EQ(file.version(), 2u);
  EXPECT_EQ(file.tensors().size(), 5u);
  EXPECT_EQ(file.tensor("q8_0").bytes.size(), 136u);
}

TEST(GgufFile, AValueOfAnotherTypeIsNamedWithBothTypes) {
  const GgufFile file(format_fixture("python.gguf"));
  const auto message = [&](auto get) { return data_error([&] { get(); }); };
  EXPECT_THAT(message([&] { file.integer("test.string"); }),
              EndsWith("python.gguf: key \"test.string\" is of type string, expected an integer of at most 2^63 - 1"));
  EXPECT_THAT(message([&] { file.integer("test.uint64"); }),
              HasSubstr("is of type uint64, expected an integer of at most"));
  EXPECT_THAT(message([&] { file.integer("test.bool"); }), HasSubstr("is of type bool, expected an integer"));
  EXPECT_THAT(message([&] { file.number("test.uint8"); }), HasSubstr("is of type uint8, expected float32 or float64"));
  EXPECT_THAT(message([&] { file.boolean("test.uint8"); }), HasSubstr("is of type uint8, expected bool"));
  EXPECT_THAT(message([&] { file.text("test.strings"); }), HasSubstr("is of type array of string, expected string"));
  EXPECT_THAT(message([&] { file.texts("test.string"); }), HasSubstr("is of type string, expected array of string"));
  EXPECT_THAT(message([&] { file.texts("test.int32s"); }),
              HasSubstr("is of type array of int32, expected array of string"));
  EXPECT_THAT(message([&] { file.texts("test.nested"); }),
              HasSubstr("is of type array of array, expected array of string"));
  EXPECT_THAT(message([&] { file.integers("test.float32s"); }), HasSubstr("expected array of integers"));
  EXPECT_THAT(message([&] { file.integers("test.bools"); }),
              HasSubstr("is of type array of bool, expected array of integers"));
  EXPECT_THAT(message([&] { file.numbers("test.int32s"); }), HasSubstr("expected array of float32 or float64"));
  EXPECT_THAT(message([&] { file.integer("none"); }), EndsWith("python.gguf: it has no key \"none\""));
  EXPECT_FALSE(file.has("none"));
  EXPECT_FALSE(file.has(""));
  EXPECT_TRUE(file.has("test.bool"));
  EXPECT_EQ(file.find_tensor("none"), nullptr);
  EXPECT_THAT(message([&] { file.tensor("none"); }), EndsWith("python.gguf: it holds no tensor \"none\""));
}

TEST(GgufFile, AnotherAlignmentMovesTheData) {
  for (const uint32_t alignment : {1u, 8u, 64u, 4096u}) {
    GgufText text;
    text.alignment = alignment;
    text.entry("general.alignment", 4, little_endian(alignment));
    text.tensor("a", {3}, 24, 0).tensor("b", {2}, 24, std::max(3u, alignment));
    text.data = std::string("abc") + std::string(std::max(3u, alignment) - 3, '\0') + "de";
    const std::string bytes = text.file();
    const GgufFile file(bytes, "f");
    EXPECT_EQ(file.alignment(), alignment);
    EXPECT_EQ(file.tensor("a").bytes, "abc");
    EXPECT_EQ(file.tensor("b").bytes, "de");
  }
}

TEST(GgufFile, TensorsMayComeInAnotherOrderThanTheirData) {
  GgufText text;
  text.tensor("b", {2}, 24, 32).tensor("none", {0}, 24, 32).tensor("a", {3}, 24, 0);
  text.data = "abc" + std::string(29, '\0') + "de" + std::string(30, '\0');
  const std::string bytes = text.file();
  const GgufFile file(bytes, "f");
  EXPECT_EQ(file.tensors()[0].name, "b");
  EXPECT_EQ(file.tensor("a").bytes, "abc");
  EXPECT_EQ(file.tensor("b").bytes, "de");
  EXPECT_EQ(file.tensor("none").bytes, "");
}

TEST(GgufFile, TheLongestNamesAreRead) {
  const std::string key(65535, 'k'), tensor(64, 't');
  GgufText text;
  text.entry(key, 0, "x").tensor(tensor, {1}, 24, 0).bytes(32);
  const std::string bytes = text.file();
  const GgufFile file(bytes, "f");
  EXPECT_EQ(file.integer(key), 'x');
  EXPECT_EQ(file.tensor(tensor).bytes.size(), 1u);
}

TEST(GgufFile, MetadataAloneIsAFile) {
  GgufText text;
  text.entry("general.name", 8, GgufText::text("x"));
  std::string bytes = text.file();
  EXPECT_EQ(GgufFile(bytes, "f").text("general.name"), "x");
  bytes.resize((bytes.size() + 31) / 32 * 32);
  EXPECT_EQ(GgufFile(bytes, "f").text("general.name"), "x");
}

TEST(GgufFile, ATypeThatIsNotConvertedIsNamed) {
  GgufText text;
  text.tensor("a", {256}, 10, 0).bytes(84);
  const std::string bytes = text.file();
  const GgufFile file(bytes, "f");
  std::vector<float> values(256);
  EXPECT_THAT(data_error([&] { file.read_rows(file.tensor("a"), 0, 1, values); }),
              HasSubstr("f: tensor \"a\" has type Q2_K, which is not read; requantize the model to Q8_0"));
}

TEST(GgufFile, MistakesOfTheCallerAreNoErrorsOfTheFile) {
  const GgufFile file(format_fixture("python.gguf"));
  std::vector<float> values(64);
  EXPECT_THROW(file.read_rows(file.tensor("matrix"), 0, 2, values), std::invalid_argument);
  EXPECT_THROW(file.read_rows(file.tensor("matrix"), 2, 1, values), std::out_of_range);
  EXPECT_THROW(file.read_rows(file.tensor("matrix"), -1, 1, values), std::out_of_range);
}

TEST(GgufFile, SurvivesAMoveAndARelease) {
  GgufFile first(format_fixture("python.gguf"));
  const GgufFile file(std::move(first));
  file.release(file.tensor("matrix").bytes);
  std::vector<float> values(64);
  file.read_rows(file.tensor("matrix"), 0, 1, values);
  EXPECT_EQ(values[63], -1);
}

}  // namespace
}  // namespace terse
