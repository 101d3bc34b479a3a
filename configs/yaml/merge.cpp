// Walks each YAML tree along the field table.
#include "configs/yaml/merge.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <tuple>
#include <utility>
#include <variant>

#include "base/utf8.h"
#include "configs/fields/field_text.h"
#include "configs/yaml/read_value.h"
#include "configs/yaml/renamed_options.h"
#include "configs/yaml/suggest.h"

namespace terse::configs {
namespace {

constexpr int64_t kHiddenSizePerDepth = 64;
constexpr int64_t kDerivedHeadDim = 64;

std::string section_name(const std::string& section) {
  return section.empty() ? "at the top level" : "in " + section;
}

std::string any_of(const std::vector<std::string>& words) {
  if (words.size() == 1) return words[0];
  return fmt::format("{} or {}", fmt::join(words.begin(), words.end() - 1, ", "), words.back());
}

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t");
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// Returns a dotted path in the form of a file: "rl: {optimizer: {lr: ...}}".
std::string nested(std::string_view path) {
  const size_t dot = path.find('.');
  if (dot == std::string_view::npos) return fmt::format("{}: ...", path);
  return fmt::format("{}: {{{}}}", path.substr(0, dot), nested(path.substr(dot + 1)));
}

std::string renaming(const std::string& place, const std::string& before, const std::string& now) {
  return fmt::format("{}: {} is now called {}", place, before, now);
}

// Returns the largest number of heads that divides the hidden size into heads of even size, at least kDerivedHeadDim
// each, or 1 if there is none. The size must be even because RoPE rotates pairs. If `head_dim` is given, it alone
// determines the number of heads.
int64_t derived_heads(int64_t hidden_size, int64_t head_dim) {
  if (head_dim > 0) return std::max<int64_t>(1, hidden_size / head_dim);
  int64_t heads = std::max<int64_t>(1, hidden_size / kDerivedHeadDim);
  while (heads > 1 && (hidden_size % heads != 0 || hidden_size / heads % 2 != 0)) --heads;
  return heads;
}

}  // namespace

std::string Place::str() const {
  return mark.line == 0 ? source : fmt::format("{}:{}", source, mark.line);
}

void Merger::apply_file(const Node& root, const std::string& source, int rank, const std::filesystem::path& folder) {
  apply_section("", root, {source, {}, rank, folder});
}

void Merger::apply_section(const std::string& section, const Node& node, const Place& file) {
  for (const Entry& entry : node.entries) {
    if (section.empty() && entry.key == "base") continue;
    const std::string path = join(section, entry.key);
    // A dotted key is a mistake under any name.
    if (entry.key.find('.') == std::string::npos && current_path(path) != path) {
      apply_renamed(section, entry, node, file);
    } else {
      apply_entry(section, entry, file);
    }
  }
}

// Applies an entry of the section `node` whose key is an older name.
void Merger::apply_renamed(const std::string& section, const Entry& entry, const Node& node, const Place& file) {
  const std::string before = join(section, entry.key), now = current_path(before), key(last_of(now));
  if (std::any_of(node.entries.begin(), node.entries.end(), [&](const Entry& other) { return other.key == key; })) {
    tainted_.insert(now);
    mistakes_.push_back(
        {file.source, entry.mark,
         fmt::format("{0} and {1} are both set, but {0} is the older name of {1}; keep only {1}", before, now)});
    return;
  }
  warnings_.push_back(renaming(Place{file.source, entry.mark, 0, {}}.str(), before, now));
  apply_entry(section, {key, entry.mark, entry.value}, file);
}

void Merger::apply_entry(const std::string& section, const Entry& entry, const Place& file) {
  const std::string path = join(section, entry.key);
  const bool plain = entry.key.find('.') == std::string::npos;
  if (section == kMixtureSection && !table_.is_section(path) && !add_part(entry, file)) return;
  if (const Field* field = plain ? table_.find(path) : nullptr) {
    if (!read_value(*field, *entry.value, file.source, entry.mark, mistakes_)) {
      tainted_.insert(path);
      return;
    }
    tainted_.erase(path);
    places_[path] = {file.source, entry.mark, file.rank, file.folder};
  } else if (plain && table_.is_section(path)) {
    // A section without keys, say with all its lines commented out, sets nothing.
    if (entry.value->kind == Node::Kind::kNull) return;
    if (entry.value->kind == Node::Kind::kMap) return apply_section(path, *entry.value, file);
    mistakes_.push_back({file.source, entry.value->mark,
                         fmt::format("{} is a section: expected keys below it, indented ({}), found {}", path,
                                     fmt::join(table_.keys_of(path), ", "), shown(*entry.value))});
  } else {
    unknown_key(section, entry, file);
  }
}

// Adds a task to the mixture. Returns false when the entry describes none, which it reports.
bool Merger::add_part(const Entry& entry, const Place& file) {
  const std::string path = join(kMixtureSection, entry.key);
  if (!is_part_name(entry.key)) {
    mistakes_.push_back({file.source, entry.mark,
                         fmt::format("{} cannot be the name of a task in {}; use letters, digits, '_' and '-', at most "
                                     "64, and begin with a letter or a digit",
                                     shown(entry.key), kMixtureSection)});
    return false;
  }
  if (entry.value->kind != Node::Kind::kMap) {
    mistakes_.push_back({file.source, entry.mark,
                         fmt::format("{} names a task of the mixture: expected its options below it, indented (name: "
                                     "..., weight: ...), found {}",
                                     path, shown(*entry.value))});
    return false;
  }
  config_.task.mixture.emplace(entry.key, new_part(config_.task));
  table_ = list_fields(config_);
  return true;
}

std::string Merger::unknown_path_hint(const std::string& section, const std::string& key) {
  const std::vector<std::string> paths = nearest_paths(table_, section, key);
  if (paths.empty()) {
    return fmt::format("; known keys: {}", fmt::join(table_.keys_of(section), ", "));
  }
  for (const std::string& path : paths) tainted_.insert(path);
  return fmt::format("; did you mean {}?", any_of(paths));
}

void Merger::unknown_key(const std::string& section, const Entry& entry, const Place& file) {
  const std::string path = current_path(join(section, entry.key));
  std::string hint;
  if (entry.key == "<<") {
    hint = "; merge keys are not supported: to build on another file, write base: other.yaml at the top level";
  } else if (entry.key == kMixture && parent_of(section) == kMixtureSection) {
    hint = fmt::format("; a mixture holds no mixture, so list all tasks in {}", kMixtureSection);
  } else if (entry.key == "base") {
    hint = "; base: other.yaml is allowed only at the top level of a file";
  } else if (table_.find(path) || table_.is_section(path)) {
    hint = fmt::format("; only --set takes dotted keys, a file nests the sections: {}", nested(path));
    tainted_.insert(path);
  } else {
    hint = unknown_path_hint(section, entry.key);
  }
  mistakes_.push_back(
      {file.source, entry.mark, fmt::format("unknown key {} {}{}", shown(entry.key), section_name(section), hint)});
}

void Merger::apply_override(const std::string& text, int rank) {
  const std::string source = "--set " + shown(text);
  const size_t equals = text.find('=');
  if (find_invalid_utf8(text) != std::string_view::npos) {
    mistakes_.push_back({"--set " + shown(trimmed(text.substr(0, equals)).substr(0, find_invalid_utf8(text))),
                         {},
                         "the override is not UTF-8"});
  } else if (equals == std::string::npos) {
    const bool known = table_.find(current_path(trimmed(text))) != nullptr;
    mistakes_.push_back(
        {source,
         {},
         fmt::format("has no '='; expected key=value, e.g. --set {}", known ? trimmed(text) + "=..." : "run.seed=2")});
  } else {
    const std::string path = trimmed(text.substr(0, equals)), now = current_path(path);
    if (now != path) warnings_.push_back(renaming(source, path, now));
    set_path(source, now, trimmed(text.substr(equals + 1)), rank);
  }
}

void Merger::unknown_override(const std::string& source, const std::string& path) {
  std::string text;
  // Finds the longest leading part of the path that is a section or a value.
  std::string known = path;
  do {
    known.resize(parent_of(known).size());
  } while (!table_.is_section(known) && !table_.find(known));
  std::vector<std::string> paths;
  for (const Field& field : table_.fields) paths.push_back(field.path);
  const std::string near = nearest(path, paths);
  if (table_.is_section(path) && !path.empty()) {
    text = fmt::format("{} is a section; set one of its keys: {}", path, fmt::join(table_.keys_of(path), ", "));
  } else if (path == "base") {
    text = "base cannot be set here; it is allowed only at the top level of a file";
  } else if (table_.find(known)) {
    text = fmt::format("{} is a value, so it has no keys below it", known);
  } else if (!near.empty()) {
    text = fmt::format("unknown key {}; did you mean {}?", shown(path), near);
    tainted_.insert(near);
  } else {
    text = fmt::format("unknown key {}{}", shown(path), unknown_path_hint(known, std::string(last_of(path))));
  }
  mistakes_.push_back({source, {}, text});
}

NodePtr Merger::override_node(const std::string& source, const Field& field, bool is_entry, const std::string& value) {
  const bool is_scalar = is_entry || !(std::holds_alternative<std::vector<std::string>*>(field.value) ||
                                       std::holds_alternative<std::map<std::string, double>*>(field.value));
  // Texts and numbers are used verbatim. Lists, maps and quoted texts are parsed as YAML.
  if (is_scalar && !value.starts_with('"') && !value.starts_with('\'')) {
    auto scalar = std::make_shared<Node>();
    scalar->kind = Node::Kind::kScalar;
    scalar->text = value;
    return scalar;
  }
  return parse_yaml(value, source, mistakes_);
}

void Merger::set_path(const std::string& source, const std::string& path, const std::string& value, int rank) {
  const Field* field = table_.find(path);
  const bool is_entry = !field;
  if (is_entry) field = table_.find(parent_of(path));
  if (!field || (is_entry && !std::holds_alternative<std::map<std::string, double>*>(field->value))) {
    return unknown_override(source, path);
  }
  const size_t before = mistakes_.size();
  const NodePtr node = override_node(source, *field, is_entry, value);
  const bool good = node && (is_entry ? read_entry(*field, std::string(last_of(path)), *node, source, {}, mistakes_)
                                      : read_value(*field, *node, source, {}, mistakes_));
  for (size_t i = before; i < mistakes_.size(); ++i) mistakes_[i].mark = {};  // An override has no line number.
  if (!good) {
    tainted_.insert(field->path);
    return;
  }
  tainted_.erase(field->path);
  places_[field->path] = {"--set", {}, rank, {}};
}

void Merger::derive_from_depth() {
  const auto depth = places_.find("model.depth");
  Model& model = config_.model;
  if (depth == places_.end() || model.depth == 0) return;
  // An option keeps its value if it was set in the same source as depth or in a nearer one.
  const auto derive = [&](const std::string& key, int64_t& target, int64_t value) {
    const auto place = places_.find(key);
    if ((place != places_.end() && place->second.rank >= depth->second.rank) || tainted_.contains(key)) return;
    target = value;
    derived_[key] = "model.depth";
  };
  derive("model.layers", model.layers, model.depth);
  derive("model.hidden_size", model.hidden_size, kHiddenSizePerDepth * model.depth);
  derive("model.head_dim", model.head_dim, 0);
  derive("model.heads", model.heads, derived_heads(model.hidden_size, model.head_dim));
  derive("model.kv_heads", model.kv_heads, 0);
  derive("model.intermediate_size", model.intermediate_size, 0);
}

void Merger::derive_from_init(Model shape) {
  const Model& ours = config_.model;
  // These options are no part of the shape of weights.
  std::tie(shape.depth, shape.init, shape.precision, shape.kv_cache_dtype, shape.activation_checkpointing) =
      std::tie(ours.depth, ours.init, ours.precision, ours.kv_cache_dtype, ours.activation_checkpointing);
  RunConfig other;
  other.model = std::move(shape);
  const FieldTable theirs = list_fields(other);
  for (const Field& field : table_.fields) {
    if (!field.path.starts_with("model.") || places_.contains(field.path) || derived_.contains(field.path)) continue;
    const ValuePtr& value = theirs.find(field.path)->value;
    if (value_text(value) == value_text(field.value)) continue;
    std::visit([&](auto* kept) { *kept = *std::get<decltype(kept)>(value); }, field.value);
    derived_[field.path] = "model.init";
  }
}

}  // namespace terse::configs
