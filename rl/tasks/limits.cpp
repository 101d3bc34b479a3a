// One function checks one group of limits. Each appends the violations that it finds, so that a user sees all of them
// at once.
#include "rl/tasks/limits.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "configs/check.h"
#include "configs/fields/field_text.h"
#include "configs/load.h"
#include "trainer/saved_model/model_vocabulary.h"

namespace terse::rl {

namespace {

using configs::RunConfig;
using configs::Violation;

bool has_stage(const RunConfig& config, const char* stage) {
  return std::find(config.stages.begin(), config.stages.end(), stage) != config.stages.end();
}

// Whether fine-tuning learns from demonstrations of the task, and not from conversations.
bool demonstrates(const RunConfig& config) {
  return has_stage(config, "sft") && config.sft.train.empty();
}

struct LongestTrace {
  std::string form;
  int64_t tokens = 0;
};

// The longest trace among the task's forms from number `first` on. With `needs_share`, forms whose share is 0 do not
// count.
LongestTrace longest_trace(const TokenizedTask& task, size_t first, bool needs_share) {
  const std::vector<std::string> forms = task.forms();
  const std::vector<double> shares = task.form_shares();
  LongestTrace longest;
  for (size_t i = first; i < forms.size(); ++i) {
    const int64_t tokens = task.max_trace_tokens(forms[i]);
    if ((!needs_share || shares[i] > 0) && tokens > longest.tokens) longest = {forms[i], tokens};
  }
  return longest;
}

void check_trace(const RunConfig& config, const TokenizedTask& task, const char* use, const LongestTrace& trace,
                 std::vector<Violation>& out) {
  const int64_t prompt = task.max_prompt_tokens(), needed = prompt + trace.tokens;
  if (needed <= config.model.max_seq_len) return;
  out.push_back(
      {{"model.max_seq_len", "task.k_max", "task.align_to", "task.forms"},
       fmt::format("is {}, but {} needs {} tokens: the longest prompt has {} tokens and the longest trace (form {}) "
                   "has {} tokens; set model.max_seq_len to at least {}, or make the problems shorter (task.k_max, "
                   "task.align_to)",
                   config.model.max_seq_len, use, needed, prompt, trace.form, trace.tokens, needed)});
}

// "task NAME", or the first task of a mixture without demonstrations.
std::string undemonstrated(const Task& task) {
  for (const Task::Part& part : task.parts()) {
    if (!part.name.empty() && part.task->demonstrations() == nullptr)
      return fmt::format("the task {} of the mixture ({})", part.name, part.task->name());
  }
  return "task " + task.name();
}

void check_demonstrations(const RunConfig& config, const TokenizedTask& task, std::vector<Violation>& out) {
  if (demonstrates(config) && task.forms().empty()) {
    out.push_back(
        {{"stages", "task.name"},
         fmt::format("has sft, but {} demonstrates no solutions to fine-tune on", undemonstrated(task.text()))});
  }
  if (has_stage(config, "rl") && config.rl.penalty.kind == "adaptive" && !task.can_be_thinned()) {
    out.push_back(
        {{"rl.penalty.kind", "task.name"},
         fmt::format("is adaptive, which shortens demonstrated solutions token by token, but those of task {} "
                     "cannot be shortened; use none, truncation or group_relative",
                     task.name())});
  }
}

void check_traces(const RunConfig& config, const TokenizedTask& task, std::vector<Violation>& out) {
  if (task.forms().empty()) return;
  if (demonstrates(config)) check_trace(config, task, "sft", longest_trace(task, 0, true), out);
  if (!has_stage(config, "rl") || config.rl.penalty.kind != "adaptive" || !task.can_be_thinned()) return;
  // Neither rl.demonstrations nor rl.student shows the first level of the curriculum, the most verbose form.
  const LongestTrace trace = longest_trace(task, 1, false);
  if (config.rl.demonstrations > 0) check_trace(config, task, "rl.demonstrations", trace, out);
  if (config.rl.student.updates > 0) check_trace(config, task, "rl.student", trace, out);
}

void check_responses(const RunConfig& config, const TokenizedTask& task, std::vector<Violation>& out) {
  const int64_t prompt = task.max_prompt_tokens();
  const int64_t response = response_limit(config, task), needed = prompt + response;
  if (needed > config.model.max_seq_len) {
    out.push_back(
        {{"model.max_seq_len", "engine.max_new_tokens", "task.k_max", "task.align_to"},
         fmt::format("is {}, but generation needs {} tokens: the longest prompt has {} tokens and a response may "
                     "have {} tokens; set model.max_seq_len to at least {}, or engine.max_new_tokens to at most {}",
                     config.model.max_seq_len, needed, prompt, response, needed,
                     std::max<int64_t>(1, config.model.max_seq_len - prompt))});
  }
  if (has_stage(config, "rl") && config.rl.penalty.kind == "truncation" && config.rl.penalty.limit > response) {
    out.push_back({{"rl.penalty.limit", "engine.max_new_tokens", "task.k_max"},
                   fmt::format("is {}, but no response is longer than {} tokens, so the limit would never take effect; "
                               "lower it, or use rl.penalty.kind none",
                               config.rl.penalty.limit, response)});
  }
}

// "key: text (key: where it was set, ...)"
std::string line_of(const Violation& violation, const std::map<std::string, std::string>& origin) {
  std::vector<std::string> places;
  for (const std::string& key : violation.keys) {
    const auto found = origin.find(key);
    if (found != origin.end()) places.push_back(fmt::format("{}: {}", key, found->second));
  }
  const std::string where = places.empty() ? "" : fmt::format(" ({})", fmt::join(places, ", "));
  return violation.keys.front() + ": " + violation.text + where;
}

// Throws ConfigError when there is a violation.
void refuse(const std::vector<Violation>& violations, const std::map<std::string, std::string>& origin) {
  if (violations.empty()) return;
  std::vector<std::string> lines;
  for (const Violation& violation : violations) lines.push_back(line_of(violation, origin));
  if (lines.size() == 1) throw ConfigError(lines.front());
  throw ConfigError(fmt::format("the configuration violates {} limits:\n  {}", lines.size(), fmt::join(lines, "\n  ")));
}

// The weights of model.init mean the tokens that they were trained with.
void check_tokens_of_init(const RunConfig& config, const Task& task, std::vector<Violation>& out) {
  std::error_code ignored;
  if (config.model.init.empty() || !std::filesystem::exists(config.model.init, ignored)) return;
  const auto theirs = trainer::load_model_vocabulary(config.model.init).tokenizer;
  if (!theirs || theirs->id() == task.tokenizer()->id()) return;
  out.push_back({{"task.name", "model.init"},
                 fmt::format("is {}, which brings the tokens of the whole run ({}), but the model in {} was trained "
                             "with {}; name a task without tokens of its own, such as gsm8k or jsonl",
                             task.name(), task.tokenizer()->id(), config.model.init, theirs->id())});
}

// Every token of the run needs a row in the embeddings.
void check_vocabulary(const RunConfig& config, const data::Tokenizer& tokenizer, std::vector<Violation>& out) {
  const int64_t rows = config.model.vocab_size, tokens = tokenizer.vocab_size();
  if (rows == 0 || rows >= tokens) return;
  out.push_back({{"model.vocab_size", "tokenizer.kind", "tokenizer.path", "task.name"},
                 fmt::format("is {}, but the tokenizer of the run has {} tokens", rows, tokens)});
}

// A task in a language of its own brings the tokenizer of the whole run, so the config must not choose another.
void check_tokenizer(const RunConfig& config, const Task& task, bool begun, std::vector<Violation>& out) {
  if (task.tokenizer() == nullptr) return;
  if (!begun) check_tokens_of_init(config, task, out);
  if (has_stage(config, "sft") && !demonstrates(config)) {
    out.push_back({{"sft.train", "task.name", "stages"},
                   fmt::format("names conversations, but task {} brings the tokens of the whole run, in which no "
                               "conversation can be written; name another task with task.name, or keep only stages "
                               "that need none",
                               task.name())});
  }
  const auto refuse_choice = [&](const char* key, const std::string& value) {
    out.push_back(
        {{key, "task.name"},
         fmt::format("is {}, but task {} brings the tokens of the whole run; leave it at its default{}", value,
                     task.name(), has_stage(config, "pretrain") ? ", or pretrain in a run of its own" : "")});
  };
  const std::map<std::string, std::string> ours = configs::values(config), defaults = configs::values(RunConfig());
  for (const auto& [key, value] : ours) {
    if (key.starts_with("chat.") && value != defaults.at(key)) refuse_choice(key.c_str(), value);
  }
  if (!has_stage(config, "pretrain")) return;
  if (config.tokenizer.kind != "auto") refuse_choice("tokenizer.kind", config.tokenizer.kind);
  if (!config.tokenizer.path.empty()) refuse_choice("tokenizer.path", configs::shown(config.tokenizer.path));
}

}  // namespace

int64_t response_limit(const RunConfig& config, const TokenizedTask& task) {
  if (config.engine.max_new_tokens > 0) return config.engine.max_new_tokens;
  return task.max_response_tokens().value_or(std::max<int64_t>(1, config.model.max_seq_len - task.max_prompt_tokens()));
}

OpenedTask check_limits(const RunConfig& config, const std::map<std::string, std::string>& origin,
                        const std::filesystem::path& dir) {
  OpenedTask opened = open_task_before_run(config, dir);
  if (!opened.task) return opened;
  const TokenizedTask& task = *opened.task;
  std::vector<Violation> violations;
  check_tokenizer(config, task.text(), opened.begun, violations);
  check_vocabulary(config, task.tokenizer(), violations);
  check_demonstrations(config, task, violations);
  check_traces(config, task, violations);
  check_responses(config, task, violations);
  refuse(violations, origin);
  return opened;
}

}  // namespace terse::rl
