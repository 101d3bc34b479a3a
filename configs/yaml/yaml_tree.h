// Parses YAML text into a tree that keeps the place of every value. Duplicate keys are reported, and guards refuse
// hostile or broken input.
//
// yaml-cpp's own node tree drops duplicate keys silently and expands aliases without limit. So this tree is built from
// yaml-cpp's events.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "configs/yaml/mistake.h"

namespace terse::configs {

constexpr size_t kMaxYamlBytes = 1 << 20;
constexpr int64_t kMaxYamlNodes = 10'000;  // after expansion of aliases
constexpr int64_t kMaxYamlDepth = 32;

struct Node;
using NodePtr = std::shared_ptr<const Node>;

struct Entry {
  std::string key;
  Mark mark;  // of the key
  NodePtr value;
};

struct Node {
  enum class Kind { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  Mark mark;
  std::string text;            // kScalar
  bool quoted = false;         // kScalar
  std::vector<NodePtr> items;  // kList
  std::vector<Entry> entries;  // kMap, in the order of the file, each key once
  int64_t size = 1;            // nodes of the expanded subtree
  int64_t height = 1;
};

// Describes a node for messages: "nothing", "a list", "a section (keys with values)", "'abc'", "the text 'abc' in
// quotes".
std::string shown(const Node& node);

// Returns the root of the one document in `text`. Returns null and appends to `mistakes` when the text cannot be used
// (too large, not UTF-8, not YAML, too deep, too many nodes). Duplicate keys and keys that are no plain words are
// reported, too, and left out of the tree. Tags are reported and ignored. An empty document is a node of kind kNull.
NodePtr parse_yaml(std::string_view text, const std::string& source, Mistakes& mistakes);

}  // namespace terse::configs
