// Gathers the values of every rank on every rank, so that all ranks find the same differences.
#include "launch/run/agreement.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "configs/load.h"
#include "launch/machine/libraries.h"

namespace terse::launch {
namespace {

std::string own_text(const trainer::World& world, const configs::RunConfig& config) {
  const Build program = build();
  nlohmann::json json = {{"host", world.place().host}, {"values", configs::values(config)}};
  json["values"]["version of terse"] = fmt::format("{} (commit {})", program.version, commit_text(program));
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// "0.001 on rank 0 (host a) and rank 2 (host b); 0.1 on rank 1 (host a)"
std::string describe(const std::vector<nlohmann::json>& ranks, const std::string& key) {
  std::map<std::string, std::string> ranks_of;
  std::vector<std::string> in_order;
  for (size_t r = 0; r < ranks.size(); ++r) {
    const std::string value = ranks[r].at("values").value(key, "unknown");
    std::string& names = ranks_of[value];
    if (names.empty()) in_order.push_back(value);
    names +=
        fmt::format("{}rank {} (host {})", names.empty() ? "" : " and ", r, ranks[r].at("host").get<std::string>());
  }
  std::string text;
  for (const std::string& value : in_order)
    text += fmt::format("{}{} on {}", text.empty() ? "" : "; ", value, ranks_of[value]);
  return text;
}

}  // namespace

void require_same_start(trainer::World& world, const configs::RunConfig& config) {
  if (world.place().ranks == 1) return;
  std::vector<nlohmann::json> ranks;
  std::map<std::string, bool> differs;
  for (const std::string& text : world.gather("how each rank was started", own_text(world, config))) {
    ranks.push_back(nlohmann::json::parse(text));
    for (const auto& [key, value] : ranks.back().at("values").items()) {
      const nlohmann::json& first = ranks.front().at("values");
      differs[key] = differs[key] || !first.contains(key) || first.at(key) != value;
    }
  }
  std::string lines;
  for (const auto& [key, is_different] : differs)
    if (is_different) lines += fmt::format("  {}: {}\n", key, describe(ranks, key));
  if (lines.empty()) return;
  throw ConfigError(fmt::format(
      "the ranks were started differently, so they cannot train one model together:\n{}Start all of them with "
      "the same program, the same configuration and the same options.",
      lines));
}

}  // namespace terse::launch
