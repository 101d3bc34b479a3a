// Applies files and --set overrides to the defaults, the nearest last, and records where every value came from.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "configs/fields.h"
#include "configs/yaml/mistake.h"
#include "configs/yaml/yaml_tree.h"

namespace terse::configs {

// The place where a value was set. Sources are ranked: the farthest base file has rank 0, and overrides rank above all
// files.
struct Place {
  std::string source;  // "configs/quickstart.yaml" or "--set"
  Mark mark;
  int rank = 0;
  std::filesystem::path folder;  // folder of the file, to which input files may be relative

  std::string str() const;  // "configs/quickstart.yaml:12", "--set"
};

class Merger {
 public:
  explicit Merger(RunConfig& config) : config_(config), table_(list_fields(config)) {}

  // Applies the document `root` of the file `source`. The caller must apply the files that its `base` names.
  void apply_file(const Node& root, const std::string& source, int rank, const std::filesystem::path& folder);
  // Applies an override "a.b=c". All overrides share one rank.
  void apply_override(const std::string& text, int rank);
  // Derives layers, hidden size, heads and the rest of the shape from model.depth. An option keeps its value if it was
  // set in the same source as depth or in a nearer one.
  void derive_from_depth();
  // Takes the shape of the model from `shape`, that of model.init. An option keeps its value if it was set in any
  // source, or derived from model.depth.
  void derive_from_init(Model shape);

  const FieldTable& table() const { return table_; }
  const std::map<std::string, Place>& places() const { return places_; }
  // Derived keys, each with the option that it was derived from: model.depth or model.init.
  const std::map<std::string, std::string>& derived() const { return derived_; }
  // Keys whose values are wrong because of a mistake that is already reported. No rule should report them again.
  const std::set<std::string>& tainted() const { return tainted_; }
  // One line for each use of an older name (configs/yaml/renamed_options.h).
  const std::vector<std::string>& warnings() const { return warnings_; }
  Mistakes& mistakes() { return mistakes_; }

 private:
  void apply_section(const std::string& section, const Node& node, const Place& file);
  void apply_renamed(const std::string& section, const Entry& entry, const Node& node, const Place& file);
  void apply_entry(const std::string& section, const Entry& entry, const Place& file);
  bool add_part(const Entry& entry, const Place& file);
  void unknown_key(const std::string& section, const Entry& entry, const Place& file);
  void set_path(const std::string& source, const std::string& path, const std::string& value, int rank);
  void unknown_override(const std::string& source, const std::string& path);
  NodePtr override_node(const std::string& source, const Field& field, bool is_entry, const std::string& value);
  std::string unknown_path_hint(const std::string& section, const std::string& key);

  RunConfig& config_;
  FieldTable table_;
  std::map<std::string, Place> places_;
  std::map<std::string, std::string> derived_;
  std::set<std::string> tainted_;
  std::vector<std::string> warnings_;
  Mistakes mistakes_;
};

}  // namespace terse::configs
