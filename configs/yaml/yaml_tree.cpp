// Builds the tree from the events of yaml-cpp. Guards limit bytes, depth and the number of nodes, also after aliases
// are expanded.
#include "configs/yaml/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <unordered_map>

#include "base/utf8.h"
#include "configs/fields/field_text.h"

namespace terse::configs {
namespace {

// Thrown to end parsing at once. Other mistakes are collected.
struct Refused {
  Mark mark;
  std::string text;
};

Mark to_mark(const YAML::Mark& mark) {
  return {mark.line + 1, mark.column + 1};
}

class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(const std::string& source, Mistakes& mistakes) : source_(source), mistakes_(mistakes) {}

  NodePtr root() const { return root_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (started_) throw Refused{to_mark(mark), "a second document starts here; a configuration is one document"};
    started_ = true;
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add_leaf(Node::Kind::kNull, mark, anchor, "", false);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_tag(mark, tag);
    add_leaf(Node::Kind::kScalar, mark, anchor, value, tag == "!");  // yaml-cpp gives quoted scalars the tag "!"
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(Node::Kind::kList, mark, tag, anchor);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(Node::Kind::kMap, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const NodePtr target = anchors_[anchor];
    if (!target) throw Refused{to_mark(mark), "this alias refers to a value that contains the alias itself"};
    if (std::ssize(open_) + target->height > kMaxYamlDepth) refuse_depth(mark);
    count(mark, target->size);
    add(to_mark(mark), target);
  }

 private:
  struct Open {
    std::shared_ptr<Node> node;
    YAML::anchor_t anchor;
    std::map<std::string, Mark> keys;  // keys of a map, with their places
    bool has_key = false;              // the next node is the value of `key`
    Entry key;
    bool drop = false;  // the value belongs to a key that was refused
  };

  void mistake(Mark mark, std::string text) { mistakes_.push_back({source_, mark, std::move(text)}); }

  void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    constexpr std::string_view kStandard = "tag:yaml.org,2002:";  // written as !!
    const std::string written = tag.starts_with(kStandard) ? "!!" + tag.substr(kStandard.size()) : tag;
    mistake(to_mark(mark),
            fmt::format("the tag {} is not allowed: a configuration contains plain values only; remove the tag",
                        shown(written)));
  }

  [[noreturn]] void refuse_depth(const YAML::Mark& mark) {
    throw Refused{to_mark(mark), fmt::format("nested more than {} levels deep", kMaxYamlDepth)};
  }

  void count(const YAML::Mark& mark, int64_t nodes) {
    nodes_ += nodes;
    if (nodes_ <= kMaxYamlNodes) return;
    throw Refused{
        to_mark(mark),
        fmt::format("more than {} values after the expansion of aliases (*name): this is an alias bomb, or not a "
                    "configuration",
                    kMaxYamlNodes)};
  }

  void add_leaf(Node::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor, const std::string& text, bool quoted) {
    count(mark, 1);
    auto node = std::make_shared<Node>();
    node->kind = kind;
    node->mark = to_mark(mark);
    node->text = text;
    node->quoted = quoted;
    if (anchor) anchors_[anchor] = node;
    add(node->mark, node);
  }

  void open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    refuse_tag(mark, tag);
    count(mark, 1);
    if (std::ssize(open_) >= kMaxYamlDepth) refuse_depth(mark);
    auto node = std::make_shared<Node>();
    node->kind = kind;
    node->mark = to_mark(mark);
    open_.push_back({std::move(node), anchor, {}, false, {}, false});
  }

  void close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    Node& node = *done.node;
    for (const NodePtr& item : node.items) grow(node, *item);
    for (const Entry& entry : node.entries) grow(node, *entry.value);
    if (done.anchor) anchors_[done.anchor] = done.node;
    add(node.mark, done.node);
  }

  static void grow(Node& parent, const Node& child) {
    parent.size += child.size;
    parent.height = std::max(parent.height, child.height + 1);
  }

  void add(Mark mark, const NodePtr& node) {
    if (open_.empty()) {
      root_ = node;
      return;
    }
    Open& parent = open_.back();
    if (parent.node->kind == Node::Kind::kList) {
      parent.node->items.push_back(node);
    } else if (parent.has_key) {
      parent.key.value = node;
      if (!parent.drop) parent.node->entries.push_back(parent.key);
      parent.has_key = false;
    } else {
      take_key(parent, mark, *node);
    }
  }

  void take_key(Open& parent, Mark mark, const Node& node) {
    parent.has_key = true;
    parent.drop = true;
    if (node.kind != Node::Kind::kScalar) {
      mistake(mark, fmt::format("a key must be a plain word, found {}", shown(node)));
      return;
    }
    const auto [first, is_new] = parent.keys.emplace(node.text, mark);
    if (!is_new) {
      mistake(mark, fmt::format("duplicate key {}: line {} has the same key; keep one of them", shown(node.text),
                                first->second.line));
      return;
    }
    parent.key = {node.text, mark, nullptr};
    parent.drop = false;
  }

  const std::string& source_;
  Mistakes& mistakes_;
  bool started_ = false;
  NodePtr root_;
  std::vector<Open> open_;
  std::unordered_map<YAML::anchor_t, NodePtr> anchors_;  // an anchor is absent while its node is still open
  int64_t nodes_ = 0;
};

Mark mark_at(std::string_view text, size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const size_t line_start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  return {static_cast<int>(std::count(before.begin(), before.end(), '\n')) + 1,
          static_cast<int>(offset - line_start) + 1};
}

std::string_view line_at(std::string_view text, int line) {
  for (; line > 1 && !text.empty(); --line) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  return text.substr(0, text.find('\n'));
}

bool is_forbidden_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && byte != '\n' && byte != '\r' && byte != '\t') || byte == 0x7f;
}

// Returns why the bytes cannot be a configuration. This check precedes all parsing.
std::optional<Refused> refuse_bytes(std::string_view text) {
  if (text.size() > kMaxYamlBytes) {
    return Refused{{}, fmt::format("the file is larger than {} bytes, the limit for a configuration", kMaxYamlBytes)};
  }
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
    return Refused{{}, "the file is encoded in UTF-16; save it as UTF-8"};
  }
  if (const size_t bad = find_invalid_utf8(text); bad != std::string_view::npos) {
    return Refused{mark_at(text, bad), fmt::format("invalid UTF-8 (byte 0x{:02x}); save the file as UTF-8",
                                                   static_cast<unsigned char>(text[bad]))};
  }
  const auto control = std::find_if(text.begin(), text.end(), is_forbidden_control);
  if (control != text.end()) {
    return Refused{
        mark_at(text, static_cast<size_t>(control - text.begin())),
        fmt::format("control character 0x{:02x}: this is not a text file", static_cast<unsigned char>(*control))};
  }
  return std::nullopt;
}

Refused syntax_error(std::string_view text, const YAML::Exception& error) {
  const Mark mark = error.mark.is_null() ? Mark{} : to_mark(error.mark);
  const std::string_view line = line_at(text, mark.line);
  const std::string_view indent = line.substr(0, std::min(line.find_first_not_of(" \t"), line.size()));
  const bool tab = indent.find('\t') != std::string_view::npos;
  return {mark, fmt::format("not valid YAML: {}, at {}; {}", error.msg, shown(line),
                            tab ? "this line is indented with a tab: use spaces"
                                : "look for a missing colon, an unclosed quote or bracket, or wrong indentation")};
}

}  // namespace

std::string shown(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kNull:
      return "nothing";
    case Node::Kind::kList:
      return "a list";
    case Node::Kind::kMap:
      return "a section (keys with values)";
    case Node::Kind::kScalar:
      break;
  }
  return node.quoted ? fmt::format("the string {} in quotes", shown(node.text)) : shown(node.text);
}

NodePtr parse_yaml(std::string_view text, const std::string& source, Mistakes& mistakes) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // byte order mark
  if (const auto refused = refuse_bytes(text)) {
    mistakes.push_back({source, refused->mark, refused->text});
    return nullptr;
  }
  TreeBuilder builder(source, mistakes);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Refused& refused) {
    mistakes.push_back({source, refused.mark, refused.text});
    return nullptr;
  } catch (const YAML::Exception& error) {
    const Refused refused = syntax_error(text, error);
    mistakes.push_back({source, refused.mark, refused.text});
    return nullptr;
  }
  return builder.root() ? builder.root() : std::make_shared<const Node>();
}

}  // namespace terse::configs
