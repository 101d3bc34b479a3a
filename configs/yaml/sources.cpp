// Reads configuration files and follows `base:`. Limits on size and number guard against huge files and endless chains.
#include "configs/yaml/sources.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>

#include "configs/fields/field_text.h"
#include "configs/yaml/suggest.h"

namespace terse::configs {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostFiles = 32;          // in one chain
constexpr size_t kMostListedNames = 1000;  // names in a folder that is searched for a similar one

// Reads at most one byte more than the limit, so that a huge or endless file is refused without being read completely.
std::optional<std::string> read_bounded(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::string text(kMaxYamlBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return std::nullopt;
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

class ChainReader {
 public:
  explicit ChainReader(Mistakes& mistakes) : mistakes_(mistakes) {}

  // `named_at` is the place where the path was written. Messages about the file name this place.
  void read(const fs::path& path, const Mistake& named_at) {
    std::error_code error;
    const fs::path identity = fs::weakly_canonical(path, error);
    if (std::find(visited_.begin(), visited_.end(), identity) != visited_.end()) {
      std::vector<std::string> names;
      for (const SourceFile& file : chain_.files) names.push_back(file.name);
      names.push_back(path.string());
      return fail(named_at, fmt::format("base files form a cycle: {}", fmt::join(names, " -> ")));
    }
    if (visited_.size() >= kMostFiles)
      return fail(named_at, fmt::format("more than {} base files in a chain", kMostFiles));
    visited_.push_back(identity);
    if (!fs::exists(path, error)) {
      const bool hidden = error && error != std::errc::no_such_file_or_directory && error != std::errc::not_a_directory;
      if (hidden) return fail(named_at, fmt::format("cannot read {}: {}", path.string(), error.message()));
      return fail(named_at, fmt::format("no such file: {}{}", path.string(), nearest_file_hint(path)));
    }
    if (fs::is_directory(path, error))
      return fail(named_at, fmt::format("{} is a folder, expected a YAML file", path.string()));
    errno = 0;
    const auto text = read_bounded(path);
    if (!text)
      return fail(named_at, fmt::format("cannot read {}: {}", path.string(), std::strerror(errno ? errno : EIO)));
    parse(*text, path.string(), path.parent_path());
  }

  void parse(std::string_view text, const std::string& name, const fs::path& folder) {
    chain_.files.push_back({name, folder, nullptr});
    NodePtr root = parse_yaml(text, name, mistakes_);
    if (!root) {
      chain_.complete = false;
      return;
    }
    if (root->kind == Node::Kind::kNull) {
      return fail(
          {name, {}, ""},
          "the file is empty; expected sections, e.g. stages: [sft, rl, eval] (configs/quickstart.yaml is an example)");
    }
    if (root->kind != Node::Kind::kMap) {
      return fail({name, root->mark, ""},
                  fmt::format("expected sections with keys (key: value), found {}", shown(*root)));
    }
    chain_.files.back().root = root;
    for (const Entry& entry : root->entries) {
      if (entry.key == "base") follow(entry, name, folder);
    }
  }

  SourceChain take() { return std::move(chain_); }

 private:
  void fail(const Mistake& at, const std::string& text) {
    chain_.complete = false;
    mistakes_.push_back({at.source, at.mark, at.text + text});
  }

  void follow(const Entry& entry, const std::string& name, const fs::path& folder) {
    const Node& value = *entry.value;
    if (value.kind != Node::Kind::kScalar || value.text.empty()) {
      return fail({name, entry.mark, "base: "},
                  fmt::format("expected the path of one YAML file, found {}", shown(value)));
    }
    read((folder / value.text).lexically_normal(), {name, value.mark, "base: "});
  }

  Mistakes& mistakes_;
  SourceChain chain_;
  std::vector<fs::path> visited_;
};

}  // namespace

SourceChain read_chain(const std::string& path, Mistakes& mistakes) {
  ChainReader reader(mistakes);
  reader.read(path, {"configuration", {}, ""});
  return reader.take();
}

SourceChain read_chain(std::string_view text, const std::string& name, Mistakes& mistakes) {
  ChainReader reader(mistakes);
  reader.parse(text, name, fs::path(name).parent_path());
  return reader.take();
}

std::string nearest_file_hint(const fs::path& path) {
  std::error_code error;
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  if (!fs::is_directory(folder, error)) return fmt::format("; the folder {} does not exist", folder.string());
  std::vector<std::string> names;
  for (fs::directory_iterator it(folder, error), end; !error && it != end && names.size() < kMostListedNames;
       it.increment(error)) {
    std::error_code ignored;
    if (!it->is_regular_file(ignored)) continue;
    names.push_back(it->path().filename().string());
  }
  // Sorts, because the order of a folder's entries differs between machines.
  std::sort(names.begin(), names.end());
  std::string name = nearest(path.filename().string(), names);
  if (name.empty()) {
    // The extension may be missing or wrong.
    const auto same_stem = std::find_if(names.begin(), names.end(),
                                        [&](const std::string& n) { return fs::path(n).stem() == path.stem(); });
    if (same_stem != names.end()) name = *same_stem;
  }
  if (!name.empty()) return fmt::format("; did you mean {}?", (path.parent_path() / name).string());
  std::erase_if(names, [](const std::string& n) { return fs::path(n).extension() != ".yaml"; });
  if (names.empty() || path.extension() != ".yaml") return "";
  constexpr size_t kMostShown = 8;
  const bool more = names.size() > kMostShown;
  if (more) names.resize(kMostShown);
  return fmt::format("; that folder contains {}{}", fmt::join(names, ", "), more ? ", ..." : "");
}

}  // namespace terse::configs
