// Implements the rules that tie several options together. Each message states the values and a valid alternative.
#include "configs/check.h"

#include <fmt/format.h>

#include <algorithm>

#include "configs/fields.h"
#include "configs/fields/field_text.h"
#include "configs/load.h"
#include "configs/task_catalog.h"

namespace terse::configs {
namespace {

constexpr size_t kLongestName = 100;

using Violations = std::vector<Violation>;

bool has_stage(const RunConfig& config, const std::string& stage) {
  return std::find(config.stages.begin(), config.stages.end(), stage) != config.stages.end();
}

void check_stages(const RunConfig& config, Violations& out) {
  if (config.stages.empty()) out.push_back({{"stages"}, "is empty; name at least one of pretrain, sft, rl, eval"});
  for (auto stage = config.stages.begin(); stage != config.stages.end(); ++stage) {
    if (std::find(config.stages.begin(), stage, *stage) != stage) {
      out.push_back({{"stages"}, fmt::format("contains {} twice; a stage runs only once", *stage)});
    }
  }
  const auto needs_steps = [&](const std::string& stage, int64_t steps) {
    if (steps > 0 || !has_stage(config, stage)) return;
    const std::string key = stage + ".steps";
    out.push_back(
        {{key, "stages"},
         fmt::format("is 0, but stages contains {0}; set the number of steps, or remove {0} from stages", stage)});
  };
  needs_steps("pretrain", config.pretrain.steps);
  needs_steps("sft", config.sft.steps);
  needs_steps("rl", config.rl.steps);
  if (has_stage(config, "pretrain") && config.data.train.empty()) {
    out.push_back({{"data.train", "stages"},
                   "is empty, but stages contains pretrain; name a text file, JSON Lines or a token store"});
  }
}

// Checks the options of the files that supervised stages read.
void check_texts(const RunConfig& config, Violations& out) {
  if (!config.sft.val.empty() && config.sft.train.empty()) {
    out.push_back(
        {{"sft.val", "sft.train"},
         "is set, but sft.train is empty, so fine-tuning learns from demonstrations and has no validation loss"});
  }
  if (!has_stage(config, "pretrain")) return;
  const auto is_lines = [](const std::string& file) { return file.ends_with(".jsonl"); };
  if (!config.data.separator.empty() && is_lines(config.data.train) &&
      (config.data.val.empty() || is_lines(config.data.val))) {
    out.push_back({{"data.separator", "data.train"},
                   "is set, but data.train is JSON Lines, where each line is a document; leave it empty"});
  }
  if (config.data.val.empty() && config.data.val_fraction == 0) {
    out.push_back({{"data.val_fraction", "data.val"},
                   "is 0 and data.val is empty, so there is no validation data; set a share above 0, or name a file in "
                   "data.val"});
  }
}

void check_run(const Run& run, Violations& out) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  const bool good = !run.name.empty() && run.name.size() <= kLongestName && run.name[0] != '.' && run.name[0] != '-' &&
                    std::all_of(run.name.begin(), run.name.end(), allowed);
  if (good) return;
  out.push_back(
      {{"run.name"},
       fmt::format("{} cannot be the name of a folder; use letters, digits, '.', '_' and '-', not starting with '.' or "
                   "'-', at most {}",
                   shown(run.name), kLongestName)});
}

void check_model(const Model& model, Violations& out) {
  if (model.hidden_size <= 0 || model.heads <= 0) return;  // their range rules report this
  int64_t head_dim = model.head_dim;
  if (head_dim == 0) {
    if (model.hidden_size % model.heads != 0) {
      out.push_back({{"model.heads", "model.hidden_size"},
                     fmt::format("{} heads do not divide hidden size {}; choose a divisor of {}, or set model.head_dim",
                                 model.heads, model.hidden_size, model.hidden_size)});
      return;
    }
    head_dim = model.hidden_size / model.heads;
  }
  if (head_dim % 2 != 0) {
    const std::string how =
        model.head_dim == 0 ? fmt::format(" (hidden size {} / {} heads)", model.hidden_size, model.heads) : "";
    out.push_back(
        {{model.head_dim == 0 ? "model.heads" : "model.head_dim", "model.hidden_size"},
         fmt::format("gives a head size of {}{}, but RoPE rotates pairs, so it must be even", head_dim, how)});
  }
  if (model.kv_heads > 0 && model.heads % model.kv_heads != 0) {
    out.push_back({{"model.kv_heads", "model.heads"},
                   fmt::format("{} key/value heads do not divide {} query heads; choose a divisor of {}",
                               model.kv_heads, model.heads, model.heads)});
  }
}

void check_rope_scaling(const RopeScaling& scaling, Violations& out) {
  if (scaling.type == "none" || scaling.low_freq_factor < scaling.high_freq_factor) return;
  out.push_back({{"model.rope_scaling.low_freq_factor", "model.rope_scaling.high_freq_factor"},
                 fmt::format("is {}, but must be below model.rope_scaling.high_freq_factor {}", scaling.low_freq_factor,
                             scaling.high_freq_factor)});
}

// Checks the options of the adapters.
void check_lora(const RunConfig& config, Violations& out) {
  const Lora& lora = config.lora;
  if (lora.rank == 0) {
    if (!lora.init.empty()) {
      out.push_back({{"lora.init", "lora.rank"},
                     fmt::format("is {}, but lora.rank is 0, so there are no adapters; set the rank of this adapter",
                                 shown(lora.init))});
    }
    return;
  }
  if (config.model.init.empty()) {
    out.push_back(
        {{"lora.rank", "model.init"},
         fmt::format("is {}, but model.init is empty: adapters would be trained on random weights, which stay "
                     "as they are; name a model in model.init, or set lora.rank to 0",
                     lora.rank)});
  }
  if (lora.targets.empty()) {
    out.push_back({{"lora.targets", "lora.rank"}, "is empty, so nothing would be trained; name a projection"});
  }
  for (auto target = lora.targets.begin(); target != lora.targets.end(); ++target) {
    if (std::find(lora.targets.begin(), target, *target) == target) continue;
    out.push_back({{"lora.targets"}, fmt::format("contains {} twice", *target)});
  }
}

void check_options_of_task(const Task& task, Violations& out) {
  const TaskCatalog* catalog = task.options.catalog();
  if (catalog != nullptr && catalog->check) catalog->check(task, out);
  const bool all_zero =
      std::all_of(task.forms.begin(), task.forms.end(), [](const auto& form) { return form.second == 0; });
  if (!task.forms.empty() && all_zero) out.push_back({{"task.forms"}, "gives no form a share above 0"});
}

// The rules of a task speak of task.*. For a task of a mixture, these are the options in its own section.
Violation in_section(const std::string& section, Violation violation) {
  for (std::string& key : violation.keys) {
    const std::string before = key;
    key = join(section, last_of(key));
    for (size_t at = 0; (at = violation.text.find(before, at)) != std::string::npos; at += key.size())
      violation.text.replace(at, before.size(), key);
  }
  return violation;
}

void check_part(const std::string& name, const Task& part, Violations& out) {
  const std::string section = join(kMixtureSection, name);
  const std::vector<std::string> keys = {section + ".name", section + ".path", section + ".weight"};
  if (!is_part_name(name)) out.push_back({keys, fmt::format("{} cannot be the name of a task", shown(name))});
  if (part.name.empty()) out.push_back({keys, "is not set; name the task"});
  if (part.name == kMixture) out.push_back({keys, "is mixture, but a mixture holds no mixture"});
  Violations found;
  check_options_of_task(part, found);
  for (Violation& violation : found) out.push_back(in_section(section, std::move(violation)));
}

void check_task(const Task& task, Violations& out) {
  check_options_of_task(task, out);
  const bool mixes = task.name == kMixture;
  if (mixes && task.mixture.empty())
    out.push_back({{"task.name"}, fmt::format("is {}, but {} lists no task", kMixture, kMixtureSection)});
  if (!mixes && !task.mixture.empty()) {
    out.push_back(
        {{"task.name", join(kMixtureSection, task.mixture.begin()->first) + ".name"},
         fmt::format("is {}, but {} lists tasks; use {}, or leave them out", task.name, kMixtureSection, kMixture)});
  }
  for (const auto& [name, part] : task.mixture) check_part(name, part, out);
}

void check_optimizer(const std::string& stage, const Optimizer& optimizer, int64_t steps, Violations& out) {
  if (optimizer.warmup_steps <= steps) return;
  const std::string key = stage + ".optimizer.warmup_steps";
  out.push_back({{key, stage + ".steps"},
                 fmt::format("is {}, more than the {} steps of {}", optimizer.warmup_steps, steps, stage)});
}

void check_training(const RunConfig& config, Violations& out) {
  const auto micro_fits = [&](const std::string& stage, int64_t micro, int64_t batch) {
    if (micro <= batch) return;
    out.push_back(
        {{stage + ".micro_batch", stage + ".batch_size"},
         fmt::format(
             "is {}, more than {}.batch_size {}; a micro-batch is the part of a batch that one forward pass takes",
             micro, stage, batch)});
  };
  micro_fits("pretrain", config.pretrain.micro_batch, config.pretrain.batch_size);
  micro_fits("sft", config.sft.micro_batch, config.sft.batch_size);
  if (config.pretrain.seq_len > config.model.max_seq_len) {
    out.push_back(
        {{"pretrain.seq_len", "model.max_seq_len"},
         fmt::format("is {}, more than model.max_seq_len {}", config.pretrain.seq_len, config.model.max_seq_len)});
  }
  if (has_stage(config, "pretrain")) check_optimizer("pretrain", config.pretrain.optimizer, config.pretrain.steps, out);
  if (has_stage(config, "sft")) check_optimizer("sft", config.sft.optimizer, config.sft.steps, out);
  if (has_stage(config, "rl")) {
    check_optimizer("rl", config.rl.optimizer, config.rl.steps, out);
    if (config.rl.updates_per_batch > config.rl.prompts) {
      out.push_back({{"rl.updates_per_batch", "rl.prompts"},
                     fmt::format("is {}, more than rl.prompts {}: the groups are distributed over the updates, so some "
                                 "updates would get none",
                                 config.rl.updates_per_batch, config.rl.prompts)});
    }
  }
  if (config.rl.loss == "reinforce" && config.rl.updates_per_batch > 1) {
    out.push_back(
        {{"rl.updates_per_batch", "rl.loss"},
         fmt::format("is {}, but rl.loss is reinforce, which is valid only for the first update of a batch; use "
                     "1, or another loss",
                     config.rl.updates_per_batch)});
  }
  if (config.rl.max_staleness > 0 && config.parallel.layout != "split") {
    out.push_back(
        {{"rl.max_staleness", "parallel.layout"},
         fmt::format("is {}, but parallel.layout is {}, where rollouts always have the newest weights; use 0, "
                     "or layout split",
                     config.rl.max_staleness, config.parallel.layout)});
  }
  if (config.rl.penalty.kind == "truncation" && config.rl.penalty.limit == 0) {
    out.push_back(
        {{"rl.penalty.limit", "rl.penalty.kind"},
         "is 0, but rl.penalty.kind is truncation; set the longest response that counts as finished, in tokens"});
  }
}

}  // namespace

std::vector<Violation> cross_field_violations(const RunConfig& config) {
  Violations out;
  check_stages(config, out);
  check_texts(config, out);
  check_run(config.run, out);
  check_model(config.model, out);
  check_rope_scaling(config.model.rope_scaling, out);
  check_lora(config, out);
  check_task(config.task, out);
  check_training(config, out);
  return out;
}

std::vector<std::string> check(const RunConfig& config) {
  std::vector<std::string> out;
  RunConfig copy = config;
  for (const Field& field : list_fields(copy).fields) {
    if (const std::string wrong = rule_violation(field); !wrong.empty()) out.push_back(field.path + ": " + wrong);
  }
  for (const Violation& violation : cross_field_violations(config))
    out.push_back(violation.keys[0] + ": " + violation.text);
  return out;
}

}  // namespace terse::configs
