// Tests that packed files are refused with the command that unpacks them.
#include "data/jsonl/file_kind.h"

#include <gmock/gmock.h>

#include "base/errors.h"
#include "tests/data/support.h"

namespace terse::data {
namespace {

using ::testing::HasSubstr;

TEST(FileKind, JsonLinesAreKnownByTheirName) {
  EXPECT_TRUE(is_json_lines("a/b.jsonl"));
  for (const char* other : {"b.json", "b.jsonl.txt", "b", "jsonl", "b.JSONL"})
    EXPECT_FALSE(is_json_lines(other)) << other;
}

std::string refusal(const std::string& name, const std::string& content) {
  const TemporaryFolder dir;
  return message_of<DataError>([&] { refuse_packed_file(dir.write(name, content)); });
}

TEST(FileKind, PackedFilesAreRefusedByNameOrContent) {
  for (const char* name : {"x.parquet", "x.jsonl"}) {
    const std::string message = refusal(name, "PAR1....");
    EXPECT_THAT(message, HasSubstr("Parquet"));
    EXPECT_THAT(message, HasSubstr("python3 -c \"import json, pyarrow.parquet"));
    EXPECT_THAT(message, HasSubstr("x.jsonl'"));
  }
  EXPECT_THAT(refusal("x.parquet", "text"), HasSubstr("Parquet"));
  EXPECT_THAT(refusal("x.jsonl", "\x1f\x8b\x08"), HasSubstr("gunzip --keep"));
  EXPECT_THAT(refusal("x.jsonl.gz", "text"), HasSubstr("gunzip --keep"));
  EXPECT_THAT(refusal("x.jsonl", "\x28\xb5\x2f\xfd"), HasSubstr("zstd --decompress"));
}

TEST(FileKind, OtherFilesPass) {
  const TemporaryFolder dir;
  for (const char* content : {"", "P", "PAR", "\x1f", "{\"text\": \"PAR1\"}"}) {
    EXPECT_NO_THROW(refuse_packed_file(dir.write("x.jsonl", content))) << content;
  }
  EXPECT_NO_THROW(refuse_packed_file(dir / "absent.parquet")) << "its reader says more";
}

}  // namespace
}  // namespace terse::data
