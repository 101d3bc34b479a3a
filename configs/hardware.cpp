// Reads hardware files with the same tree, types, ranges and messages as a configuration.
#include "configs/hardware.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "configs/fields.h"
#include "configs/fields/field_text.h"
#include "configs/load.h"
#include "configs/yaml/read_value.h"
#include "configs/yaml/sources.h"
#include "configs/yaml/suggest.h"

namespace terse::configs {
namespace {

FieldTable list_fields(Hardware& h) {
  FieldTable table;
  table.fields = {
      {"summary", &h.summary, "one-line description", {}},
      {"device", &h.device, "device of a rank", one_of({"cuda", "cpu"})},
      {"ranks_per_node", &h.ranks_per_node, "ranks per node", between(1, 1024)},
      {"memory_gib", &h.memory_gib, "memory of one rank, GiB", above_up_to(0, 1e6)},
      {"reserved_gib", &h.reserved_gib, "part of memory_gib that tensors cannot use, GiB", between(0, 1e6)},
      {"tflops_bf16", &h.tflops_bf16, "dense peak of one rank in bf16, TFLOP/s", above_up_to(0, 1e6)},
      {"tflops_fp32", &h.tflops_fp32, "dense peak of one rank in fp32, TFLOP/s", above_up_to(0, 1e6)},
      {"train_efficiency", &h.train_efficiency, "share of the peak that training reaches", above_up_to(0, 1)},
      {"operation_us", &h.operation_us, "host time to start one operation, microseconds", between(0, 1e6)},
      {"memory_gbps", &h.memory_gbps, "memory bandwidth of one rank, GB/s", above_up_to(0, 1e6)},
      {"decode_efficiency", &h.decode_efficiency, "share of memory_gbps that decoding reaches", above_up_to(0, 1)},
      {"node.gbps", &h.node.gbps, "bus bandwidth of a ring in a node, GB/s", above_up_to(0, 1e6)},
      {"node.latency_us", &h.node.latency_us, "latency of one step of a ring in a node, microseconds", between(0, 1e6)},
      {"network.gbps", &h.network.gbps, "bandwidth of one rank to other nodes, GB/s", above_up_to(0, 1e6)},
      {"network.latency_us", &h.network.latency_us, "latency of one step between nodes, microseconds", between(0, 1e6)},
      {"network_share", &h.network_share, "share of network.gbps that collectives reach", above_up_to(0, 1)},
      {"overlap", &h.overlap, "share of the compute time that hides communication", between(0, 1)},
      {"contention", &h.contention, "slowdown of computation during communication, at least 1", between(1, 10)},
      {"jitter", &h.jitter, "standard deviation of a rank's step time / the step time", between(0, 1)}};
  table.sections = {{"node", "inside a node"}, {"network", "between nodes"}};
  return table;
}

class HardwareReader {
 public:
  HardwareReader(Hardware& hardware, Mistakes& mistakes) : table_(list_fields(hardware)), mistakes_(mistakes) {}

  void read(const Node& node, const std::string& section, const std::string& source) {
    for (const Entry& entry : node.entries) {
      const std::string path = join(section, entry.key);
      if (section.empty() && entry.key == "base") continue;  // read_chain() follows it
      set_.insert(path);
      if (const Field* field = table_.find(path)) {
        read_value(*field, *entry.value, source, entry.mark, mistakes_);
      } else if (table_.is_section(path)) {
        read_section(entry, path, source);
      } else {
        unknown(entry, section, source);
      }
    }
  }

  void require_all(const std::string& source) {
    for (const Field& field : table_.fields) {
      if (set_.contains(field.path) || set_.contains("!" + std::string(parent_of(field.path)))) continue;
      mistakes_.push_back({source, {}, fmt::format("{} is missing: {}, {}", field.path, field.help, describe(field))});
    }
  }

 private:
  void read_section(const Entry& entry, const std::string& path, const std::string& source) {
    if (entry.value->kind == Node::Kind::kMap) return read(*entry.value, path, source);
    set_.insert("!" + path);  // keeps require_all() from reporting its fields
    mistakes_.push_back({source, entry.mark,
                         fmt::format("{}: expected {}, found {}", path, fmt::join(table_.keys_of(path), " and "),
                                     configs::shown(*entry.value))});
  }

  void unknown(const Entry& entry, const std::string& section, const std::string& source) {
    const std::string near = nearest(entry.key, table_.keys_of(section));
    mistakes_.push_back({source, entry.mark,
                         fmt::format("unknown key {}{}; {}", shown(entry.key), section.empty() ? "" : " in " + section,
                                     near.empty() ? fmt::format("known: {}", fmt::join(table_.keys_of(section), ", "))
                                                  : fmt::format("did you mean {}?", join(section, near)))});
  }

  FieldTable table_;
  Mistakes& mistakes_;
  std::set<std::string> set_;
};

bool looks_like_a_file(const std::string& text) {
  std::error_code ignored;
  return text.find('/') != std::string::npos || text.ends_with(".yaml") || std::filesystem::exists(text, ignored);
}

SourceChain find(const std::string& name_or_file, Mistakes& mistakes) {
  const auto shipped = std::find_if(kHardwareFiles.begin(), kHardwareFiles.end(),
                                    [&](const HardwareFile& file) { return name_or_file == file.name; });
  if (shipped != kHardwareFiles.end())
    return read_chain(shipped->text, fmt::format("configs/hardware/{}.yaml", shipped->name), mistakes);
  if (looks_like_a_file(name_or_file)) return read_chain(name_or_file, mistakes);
  const std::string near = nearest(name_or_file, hardware_names());
  throw ConfigError(fmt::format("unknown hardware {}; {}known: {}, or a file like configs/hardware/h100.yaml",
                                shown(name_or_file), near.empty() ? "" : fmt::format("did you mean {}? ", near),
                                fmt::join(hardware_names(), ", ")));
}

}  // namespace

std::vector<std::string> hardware_names() {
  std::vector<std::string> names;
  for (const HardwareFile& file : kHardwareFiles) names.emplace_back(file.name);
  return names;
}

Hardware load_hardware(const std::string& name_or_file) {
  Mistakes mistakes;
  const SourceChain chain = find(name_or_file, mistakes);
  Hardware hardware;
  hardware.name = std::filesystem::path(name_or_file).stem().string();
  HardwareReader reader(hardware, mistakes);
  for (auto file = chain.files.rbegin(); file != chain.files.rend(); ++file) {
    if (file->root) reader.read(*file->root, "", file->name);
  }
  if (chain.complete) reader.require_all(chain.files.front().name);
  if (mistakes.empty() && hardware.reserved_gib >= hardware.memory_gib) {
    mistakes.push_back({chain.files.front().name,
                        {},
                        fmt::format("reserved_gib is {}, expected less than memory_gib {}", hardware.reserved_gib,
                                    hardware.memory_gib)});
  }
  if (mistakes.empty()) return hardware;
  std::vector<std::string> lines;
  for (const Mistake& mistake : mistakes) lines.push_back(mistake.str());
  throw ConfigError(lines.size() == 1 ? lines[0]
                                      : fmt::format("{} mistakes in the hardware file:\n  {}", lines.size(),
                                                    fmt::join(lines, "\n  ")));
}

}  // namespace terse::configs
