// Tests that a stream writes exactly what is due, pads it, and leaves nothing behind unless everything is written.
#include "base/formats/tensor_stream.h"

#include <gmock/gmock.h>

#include <stdexcept>

#include "tests/support/temporary_folder.h"

namespace terse {
namespace {

using support::read_file;
using support::TemporaryFolder;
using ::testing::ElementsAre;

const std::vector<StreamedTensor> kTensors = {{"none", 0}, {"a", 5}, {"empty", 0}, {"b", 8}, {"last", 0}};

TEST(TensorStream, PadsTheHeadAndEveryTensor) {
  const TemporaryFolder folder;
  TensorStream stream(folder / "new" / "file", "head!", kTensors, 4);
  stream.write("a", "12");
  stream.write("a", "");
  stream.write("a", "345");
  stream.write("empty", "");
  stream.write("b", "12345678");
  stream.close();
  EXPECT_FALSE(std::filesystem::exists(folder / "new" / "file"));
  stream.publish();
  EXPECT_EQ(read_file(folder / "new" / "file"), std::string("head!\0\0\0"
                                                            "12345\0\0\0"
                                                            "12345678",
                                                            24));
}

TEST(TensorStream, PadsNothingWithoutAnAlignment) {
  const TemporaryFolder folder;
  TensorStream stream(folder / "file", "head!", {{"a", 1}}, 1);
  stream.write("a", "x");
  stream.close();
  stream.publish();
  EXPECT_EQ(read_file(folder / "file"), "head!x");
}

TEST(TensorStream, RefusesWhatIsNotDue) {
  const TemporaryFolder folder;
  TensorStream stream(folder / "file", "", kTensors, 1);
  EXPECT_THROW(stream.write("b", "1"), std::logic_error);
  EXPECT_THROW(stream.write("none", "1"), std::logic_error);
  EXPECT_THROW(stream.write("a", "123456"), std::logic_error);
  EXPECT_THROW(stream.close(), std::logic_error);
  stream.write("a", "1234");
  EXPECT_THROW(stream.write("b", "1"), std::logic_error);
  EXPECT_THROW(stream.write("a", "12"), std::logic_error);
  EXPECT_THROW(stream.close(), std::logic_error);
  stream.write("a", "5");
  stream.write("b", "12345678");
  EXPECT_THROW(stream.write("b", "1"), std::logic_error);
  EXPECT_THROW(stream.write("last", "1"), std::logic_error);
  stream.close();
}

TEST(TensorStream, AFileThatIsNotPublishedLeavesNothing) {
  const TemporaryFolder folder;
  folder.write("file", "old");
  {
    TensorStream stream(folder / "file", "head", {{"a", 2}}, 1);
    stream.write("a", "12");
    EXPECT_EQ(folder.names().size(), 2u);
  }
  EXPECT_THAT(folder.names(), ElementsAre("file"));
  EXPECT_EQ(read_file(folder / "file"), "old");
  {
    TensorStream stream(folder / "file", "head", {{"a", 2}}, 1);
    stream.write("a", "12");
    stream.close();
    stream.publish();
  }
  EXPECT_THAT(folder.names(), ElementsAre("file"));
  EXPECT_EQ(read_file(folder / "file"), "head12");
}

}  // namespace
}  // namespace terse
