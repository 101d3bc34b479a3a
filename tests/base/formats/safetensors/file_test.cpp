// Tests the reading of a file that the format's own library wrote, and the conversion of rows.
#include "base/formats/safetensors/file.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <stdexcept>

#include "base/formats/tensor_shape.h"
#include "tests/support/tensor_files.h"

namespace terse {
namespace {

using support::data_error;
using support::format_fixture;
using support::safetensors_text;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<float> rows(const SafetensorsFile& file, const std::string& name, int64_t first, int64_t count) {
  const SafetensorsTensor& tensor = file.tensor(name);
  std::vector<float> values(static_cast<size_t>(count * row_elements(tensor.shape)));
  file.read_rows(tensor, first, count, values);
  return values;
}

TEST(SafetensorsFile, ReadsWhatThePythonLibraryWrote) {
  const SafetensorsFile file(format_fixture("python.safetensors"));
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "pt \u00e9 \n"}}));
  EXPECT_EQ(file.tensors().size(), 23u);
  for (const std::string name : {"float64", "float32", "float16", "bfloat16"}) {
    EXPECT_EQ(file.tensor(name).shape, (std::vector<int64_t>{2, 3}));
    EXPECT_THAT(rows(file, name, 0, 2), ElementsAre(-2, -1, 0, 1, 2, 3)) << name;
    EXPECT_THAT(rows(file, name, 1, 1), ElementsAre(1, 2, 3)) << name;
    EXPECT_THAT(rows(file, name, 2, 0), ElementsAre()) << name;
  }
  EXPECT_THAT(rows(file, "scalar", 0, 1), ElementsAre(1.5f));
  EXPECT_EQ(file.tensor("empty").shape, (std::vector<int64_t>{3, 0, 2}));
  EXPECT_EQ(file.tensor("empty").bytes, "");
  EXPECT_NE(file.find("quote \" backslash \\ tab \t bell \a delete \x7f slash / \u00e9 \u6f22 \U0001F600"), nullptr);
}

TEST(SafetensorsFile, ReadsEveryDtype) {
  const SafetensorsFile file(format_fixture("python.safetensors"));
  using enum SafetensorsDtype;
  for (const auto& [name, dtype] : std::map<std::string, SafetensorsDtype>{{"float64", kF64},
                                                                           {"float32", kF32},
                                                                           {"float16", kF16},
                                                                           {"bfloat16", kBF16},
                                                                           {"int64", kI64},
                                                                           {"int32", kI32},
                                                                           {"int16", kI16},
                                                                           {"int8", kI8},
                                                                           {"uint64", kU64},
                                                                           {"uint32", kU32},
                                                                           {"uint16", kU16},
                                                                           {"uint8", kU8},
                                                                           {"complex64", kC64},
                                                                           {"bool", kBool},
                                                                           {"float8_e4m3fn", kF8E4M3},
                                                                           {"float8_e5m2", kF8E5M2},
                                                                           {"float8_e8m0fnu", kF8E8M0},
                                                                           {"float8_e4m3fnuz", kF8E4M3Fnuz},
                                                                           {"float8_e5m2fnuz", kF8E5M2Fnuz},
                                                                           {"float4", kF4}}) {
    EXPECT_EQ(file.tensor(name).dtype, dtype) << name;
  }
  EXPECT_EQ(file.tensor("float4").shape, std::vector<int64_t>{12});
  EXPECT_EQ(file.tensor("uint8").bytes, std::string("\0\1\2\3\4\5", 6));
  EXPECT_EQ(file.rows(file.tensor("uint8"), 1, 1), "\3\4\5");
  EXPECT_EQ(file.tensor("float4").bytes, std::string("\0\1\2\3\4\5", 6));
}

TEST(SafetensorsFile, ATensorThatIsNotThereIsNamed) {
  const std::string bytes = safetensors_text(R"({"b":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})", "x");
  const SafetensorsFile file(bytes, "m");
  for (const std::string name : {"a", "c", "", "bb"}) {
    EXPECT_EQ(file.find(name), nullptr);
    EXPECT_EQ(data_error([&] { file.tensor(name); }), "m: it holds no tensor \"" + name + "\"");
  }
  EXPECT_EQ(&file.tensor("b"), &file.tensors()[0]);
}

TEST(SafetensorsFile, OnlyFloatsAreReadAsWeights) {
  const std::string bytes = safetensors_text(
      R"({"i":{"dtype":"I16","shape":[2],"data_offsets":[0,4]},"f":{"dtype":"F4","shape":[2,3],"data_offsets":[4,7]}})",
      "1234567");
  const SafetensorsFile file(bytes, "m");
  std::vector<float> values(2);
  EXPECT_EQ(data_error([&] { file.read_rows(file.tensor("i"), 0, 1, values); }),
            "m: tensor \"i\" has dtype I16, but only F32, F16, BF16 and F64 can be read as weights");
  EXPECT_THAT(data_error([&] { file.rows(file.tensor("f"), 0, 1); }),
              HasSubstr("m: tensor \"f\" is F4 with shape [2, 3], so its rows do not begin at whole bytes"));
}

TEST(SafetensorsFile, MistakesOfTheCallerAreNoErrorsOfTheFile) {
  const SafetensorsFile file(format_fixture("python.safetensors"));
  std::vector<float> values(4);
  const SafetensorsTensor& tensor = file.tensor("float32");
  EXPECT_THROW(file.read_rows(tensor, 0, 1, values), std::invalid_argument);
  EXPECT_THROW(file.read_rows(tensor, 0, 2, values), std::invalid_argument);
  EXPECT_THROW(file.read_rows(tensor, 2, 1, values), std::out_of_range);
  EXPECT_THROW(file.rows(tensor, 0, 3), std::out_of_range);
}

TEST(SafetensorsFile, SurvivesAMoveAndARelease) {
  SafetensorsFile first(format_fixture("python.safetensors"));
  const SafetensorsFile file(std::move(first));
  file.release(file.tensor("float32").bytes);
  EXPECT_THAT(rows(file, "float32", 0, 1), ElementsAre(-2, -1, 0));
}

TEST(SafetensorsFile, DoublesRoundToTheNearestFloat) {
  const double values[] = {0.1, 1e300, -1e-300};
  const std::string data(reinterpret_cast<const char*>(values), sizeof(values));
  const std::string bytes = safetensors_text(R"({"d":{"dtype":"F64","shape":[3],"data_offsets":[0,24]}})", data);
  const SafetensorsFile file(bytes, "m");
  EXPECT_THAT(rows(file, "d", 0, 1), ElementsAre(0.1f, INFINITY, -0.0f));
}

}  // namespace
}  // namespace terse
