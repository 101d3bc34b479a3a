// Lists the options and sections that had another name in older versions. Files and overrides may use the older names,
// and the hash of a configuration is made from them. A rename never moves an option to another section.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace terse::configs {

struct RenamedOption {
  std::string_view before;  // dotted path of an option or of a section
  std::string_view now;
};

inline constexpr std::array<RenamedOption, 8> kRenamedOptions = {{
    {"model.width", "model.hidden_size"},
    {"model.ffn_width", "model.intermediate_size"},
    {"model.head_width", "model.head_dim"},
    {"model.context", "model.max_seq_len"},
    {"pretrain.context", "pretrain.seq_len"},
    {"rl.replay", "rl.demonstrations"},
    {"rl.replay_weight", "rl.demonstration_weight"},
    {"rl.practice", "rl.student"},
}};

// Returns the present path of an option or section that `path` names by its older name, and any other path unchanged.
std::string current_path(std::string_view path);
// Returns the path that the option had in the first version that had it.
std::string first_path(std::string_view path);

}  // namespace terse::configs
