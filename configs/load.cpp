// Implements load(): it applies files and overrides, derives the shape of the model, checks all rules and finds the
// input files. It collects all mistakes and throws them as one error.
#include "configs/load.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <tuple>

#include "configs/check.h"
#include "configs/fields/field_text.h"
#include "configs/yaml/merge.h"
#include "configs/yaml/sources.h"

namespace terse::configs {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostMistakesShown = 100;

// Returns whether a mistake is already reported for `key` or for one of the sections around it.
bool is_tainted(const Merger& merger, std::string_view key) {
  for (; !key.empty(); key = parent_of(key)) {
    if (merger.tainted().contains(std::string(key))) return true;
  }
  return false;
}

// Places the violation where the nearest of its options was set. An option that was derived has the place of the option
// that it was derived from. If several were set, or any was derived, the message lists all their origins.
Mistake located(const Violation& violation, const Merger& merger, const std::string& main_source) {
  const Place* nearest_place = nullptr;
  std::vector<std::string> origins;
  bool any_derived = false;
  for (const std::string& key : violation.keys) {
    const auto derived = merger.derived().find(key);
    const bool is_derived = derived != merger.derived().end();
    const auto found = merger.places().find(is_derived ? derived->second : key);
    if (found == merger.places().end()) continue;
    const std::string from = is_derived ? fmt::format("derived from {}, ", derived->second) : "";
    origins.push_back(fmt::format("{}: {}{}", key, from, found->second.str()));
    if (!nearest_place || found->second.rank > nearest_place->rank) nearest_place = &found->second;
    any_derived = any_derived || is_derived;
  }
  std::string text = violation.keys[0] + ": " + violation.text;
  if (origins.size() > 1 || any_derived) text += fmt::format(" ({})", fmt::join(origins, ", "));
  return {nearest_place ? nearest_place->source : main_source, nearest_place ? nearest_place->mark : Mark{}, text};
}

// Returns an absolute path. It accepts "", and does not throw when the working directory no longer exists.
fs::path resolved(const fs::path& path) {
  std::error_code error;
  return (path.is_absolute() ? path : fs::current_path(error) / path).lexically_normal();
}

// Finds the input file or the input folder that the field names.
void find_input(const Field& field, const Merger& merger, const std::string& main_source, Mistakes& mistakes) {
  std::string& value = *std::get<std::string*>(field.value);
  const std::vector<std::string>& words = field.rule.words;
  if (value.empty() || std::find(words.begin(), words.end(), value) != words.end()) return;
  const bool folder_too = field.rule.folder_too;
  const char* kind = folder_too ? "file or folder" : "file";
  const auto placed = merger.places().find(field.path);
  const Place place = placed == merger.places().end() ? Place{main_source, {}, 0, {}} : placed->second;
  const fs::path written(value);
  std::vector<fs::path> candidates = {written};
  // A path in an override is relative to the working directory alone.
  if (written.is_relative() && placed != merger.places().end() && place.source != "--set") {
    const fs::path beside = resolved(place.folder);
    for (const fs::path& base : {beside, beside / ".."}) candidates.push_back((base / written).lexically_normal());
  }
  std::error_code error;
  for (const fs::path& candidate : candidates) {
    if (!fs::exists(candidate, error)) continue;
    if (fs::is_directory(candidate, error) && !folder_too) {
      mistakes.push_back({place.source, place.mark,
                          fmt::format("{}: {} is a folder, expected a file", field.path, candidate.string())});
      return;
    }
    value = candidate.string();
    return;
  }
  std::vector<std::string> looked_for;
  for (const fs::path& candidate : candidates) {
    const std::string path = resolved(candidate).string();
    if (std::find(looked_for.begin(), looked_for.end(), path) == looked_for.end()) looked_for.push_back(path);
  }
  const std::string hint = value.starts_with("~") ? "; '~' is not expanded, so write the full path"
                           : folder_too           ? ""
                           : !words.empty()       ? fmt::format("; expected {}, or a file", fmt::join(words, ", "))
                                                  : nearest_file_hint(written);
  mistakes.push_back({place.source, place.mark,
                      fmt::format("{}: no such {} {}; searched {}{}", field.path, kind, shown(value),
                                  fmt::join(looked_for, ", "), hint)});
}

[[noreturn]] void throw_all(Mistakes mistakes, const SourceChain& chain) {
  // Sorts by file, nearest first, and then by line. Overrides and mistakes without a file come last.
  const auto order = [&](const Mistake& mistake) {
    const auto found = std::find_if(chain.files.begin(), chain.files.end(),
                                    [&](const SourceFile& f) { return f.name == mistake.source; });
    return found - chain.files.begin();
  };
  std::stable_sort(mistakes.begin(), mistakes.end(), [&](const Mistake& a, const Mistake& b) {
    return std::tuple(order(a), a.mark.line, a.mark.column) < std::tuple(order(b), b.mark.line, b.mark.column);
  });
  if (mistakes.size() == 1) throw ConfigError(mistakes[0].str());
  std::string text = fmt::format("{} mistakes in the configuration:", mistakes.size());
  for (size_t i = 0; i < std::min(mistakes.size(), kMostMistakesShown); ++i) text += "\n  " + mistakes[i].str();
  if (mistakes.size() > kMostMistakesShown)
    text += fmt::format("\n  ... and {} more", mistakes.size() - kMostMistakesShown);
  throw ConfigError(text);
}

LoadedConfig resolve(const SourceChain& chain, Mistakes mistakes, const std::string& main_source,
                     const std::vector<std::string>& overrides, InputFiles files, const RunConfig& defaults,
                     const ShapeOfInit& shape_of_init = {}) {
  LoadedConfig loaded{.config = defaults, .origin = {}, .warnings = {}};
  Merger merger(loaded.config);
  const int file_count = static_cast<int>(chain.files.size());
  for (int i = file_count - 1; i >= 0; --i) {
    const SourceFile& file = chain.files[static_cast<size_t>(i)];
    if (file.root) merger.apply_file(*file.root, file.name, file_count - 1 - i, file.folder);
  }
  for (const std::string& text : overrides) merger.apply_override(text, file_count);
  merger.derive_from_depth();
  mistakes.insert(mistakes.end(), merger.mistakes().begin(), merger.mistakes().end());
  for (const Field& field : merger.table().fields) {
    if (!field.rule.input_file || is_tainted(merger, field.path)) continue;
    Mistakes found;
    find_input(field, merger, main_source, found);
    if (files == InputFiles::kMustExist) mistakes.insert(mistakes.end(), found.begin(), found.end());
  }
  // A model that cannot be found or read has no shape. Rules that depend on the shape would report mistakes that are
  // none.
  if (shape_of_init && !loaded.config.model.init.empty() && mistakes.empty()) {
    if (const auto shape = shape_of_init(loaded.config)) merger.derive_from_init(*shape);
  }

  for (const Violation& violation : cross_field_violations(loaded.config)) {
    const auto any = [&](const auto& holds) {
      return std::any_of(violation.keys.begin(), violation.keys.end(), holds);
    };
    if (any([&](const std::string& key) { return is_tainted(merger, key); })) continue;
    // A missing file may set the options that are not set here. So a rule is checked only if all its options are set.
    if (!chain.complete && any([&](const std::string& key) { return !merger.places().contains(key); })) continue;
    mistakes.push_back(located(violation, merger, main_source));
  }
  if (!mistakes.empty()) throw_all(std::move(mistakes), chain);

  for (const auto& [key, place] : merger.places()) loaded.origin[key] = place.str();
  for (const auto& [key, option] : merger.derived()) loaded.origin[key] = "derived from " + option;
  loaded.warnings = merger.warnings();
  return loaded;
}

}  // namespace

LoadedConfig load(const std::string& path, const std::vector<std::string>& overrides, InputFiles files,
                  const RunConfig& defaults, const ShapeOfInit& shape_of_init) {
  Mistakes mistakes;
  const SourceChain chain = read_chain(path, mistakes);
  return resolve(chain, std::move(mistakes), path, overrides, files, defaults, shape_of_init);
}

RunConfig load_saved(std::string_view yaml, const std::string& name, const RunConfig& defaults) {
  Mistakes reported_later;
  const NodePtr root = parse_yaml(yaml, name, reported_later);
  const bool is_map = root && root->kind == Node::Kind::kMap;
  if (is_map && std::any_of(root->entries.begin(), root->entries.end(), [](const Entry& e) { return e.key == "base"; }))
    throw DataError(fmt::format("{}: it names a base file; expected a complete configuration", name));
  return load_text(yaml, name, {}, InputFiles::kMayBeMissing, defaults).config;
}

LoadedConfig load_text(std::string_view yaml, const std::string& name, const std::vector<std::string>& overrides,
                       InputFiles files, const RunConfig& defaults, const ShapeOfInit& shape_of_init) {
  Mistakes mistakes;
  const SourceChain chain = read_chain(yaml, name, mistakes);
  return resolve(chain, std::move(mistakes), name, overrides, files, defaults, shape_of_init);
}

}  // namespace terse::configs
