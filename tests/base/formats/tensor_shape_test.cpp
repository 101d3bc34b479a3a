// Tests the sizes of tensors and the names in messages.
#include "base/formats/tensor_shape.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace terse {
namespace {

TEST(TensorShape, ElementCountsRefuseOverflow) {
  EXPECT_EQ(element_count({}), 1);
  EXPECT_EQ(element_count({3, 0, 5}), 0);
  EXPECT_EQ(element_count({int64_t{1} << 31, int64_t{1} << 31}), int64_t{1} << 62);
  EXPECT_EQ(element_count({int64_t{1} << 32, int64_t{1} << 31}), std::nullopt);
  EXPECT_EQ(element_count({-1}), std::nullopt);
}

TEST(TensorShape, RowsAreAlongTheLastDimension) {
  EXPECT_EQ(row_count({}), 1);
  EXPECT_EQ(row_elements({}), 1);
  EXPECT_EQ(row_count({5}), 1);
  EXPECT_EQ(row_elements({5}), 5);
  EXPECT_EQ(row_count({2, 3, 5}), 6);
  EXPECT_EQ(row_elements({2, 3, 5}), 5);
  EXPECT_EQ(row_count({0, 3, 5}), 0);
  EXPECT_THROW(row_count({int64_t{1} << 40, int64_t{1} << 40, 1}), std::invalid_argument);
}

TEST(TensorShape, OnlyRowsThatAreThereAreAllowed) {
  const std::vector<int64_t> shape = {2, 3, 5};
  for (const auto& [first, count] : {std::pair<int64_t, int64_t>{0, 6}, {6, 0}, {5, 1}, {0, 0}}) {
    EXPECT_NO_THROW(require_rows(shape, first, count, "w")) << first << " " << count;
  }
  for (const auto& [first, count] :
       {std::pair<int64_t, int64_t>{0, 7}, {6, 1}, {7, 0}, {-1, 1}, {1, -1}, {1, INT64_MAX}}) {
    EXPECT_THROW(require_rows(shape, first, count, "w"), std::out_of_range) << first << " " << count;
  }
}

TEST(TensorShape, NamesInMessagesAreHarmlessAndShort) {
  EXPECT_EQ(quote("layers.0"), "\"layers.0\"");
  EXPECT_EQ(quote("a\"b\\c"), "\"a\\\"b\\\\c\"");
  EXPECT_EQ(quote("\x1b[31m\n\x7f"), "\"\\x1b[31m\\x0a\\x7f\"");
  EXPECT_EQ(quote("\xFF"), "\"\xEF\xBF\xBD\"");
  EXPECT_EQ(quote(std::string(100, 'a')), "\"" + std::string(100, 'a') + "\"");
  EXPECT_EQ(quote(std::string(101, 'a')), "\"" + std::string(100, 'a') + "...\"");
  EXPECT_EQ(quote(std::string(99, 'a') + "\u00e9"), "\"" + std::string(99, 'a') + "...\"") << "no half character";
  EXPECT_EQ(shape_text({}), "[]");
  EXPECT_EQ(shape_text({2, 3}), "[2, 3]");
}

}  // namespace
}  // namespace terse
