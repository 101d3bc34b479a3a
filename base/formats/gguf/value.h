// Reads the parts of a GGUF file (https://github.com/ggml-org/ggml, docs/gguf.md) from its bytes: numbers, texts, and
// the values of the metadata. Values are views of the file, so a vocabulary takes no memory.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace terse {

// The types of metadata. The values are those in a file.
enum class GgufType : uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

constexpr int kMaxGgufDepth = 4;  // of arrays in arrays

// One value of the metadata.
struct GgufValue {
  GgufType type = GgufType::kUint8;
  GgufType element_type = GgufType::kUint8;  // of an array
  uint64_t count = 0;                        // elements of an array
  std::string_view bytes;                    // of a number; the text of a string; all elements of an array

  std::string type_text() const;  // "uint32", "array of string"

  // The value in another type; nullopt when it is none.
  std::optional<int64_t> integer() const;  // of any integer type, when it is at most 2^63 - 1
  std::optional<double> number() const;    // of a float type
  std::optional<bool> boolean() const;
  std::optional<std::string_view> text() const;
  // The elements of an array, which take 32 bytes each. nullopt when it is no array.
  std::optional<std::vector<GgufValue>> elements() const;
};

// Takes parts from the front of the bytes of a file, and checks first that they are there. All functions throw
// DataError with the place in the file; `what` says what is being read ("the type of key 3").
class GgufCursor {
 public:
  GgufCursor(std::string_view file, std::string name) : file_(file), name_(std::move(name)) {}

  size_t position() const { return at_; }
  size_t left() const { return file_.size() - at_; }
  void skip_to(size_t position, const std::string& what);

  template <typename T>
  T number(const std::string& what) {
    T value;
    std::memcpy(&value, bytes(sizeof(T), what).data(), sizeof(T));
    return value;
  }
  std::string_view bytes(uint64_t count, const std::string& what);
  std::string_view text(const std::string& what);           // a u64 length, then the text
  GgufValue value(GgufType type, const std::string& what);  // checks everything in it
  GgufType type(const std::string& what);                   // a u32
  [[noreturn]] void fail(const std::string& what) const;    // "<name>: at byte 24: <what>"

 private:
  std::string_view file_;
  std::string name_;
  size_t at_ = 0;

  GgufValue value_at(GgufType type, int depth, const std::string& what);
  GgufValue array(int depth, const std::string& what);
};

}  // namespace terse
