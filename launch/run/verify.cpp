// Each check reports a broken file as a finding and does not throw, so that the other checks still run.
#include "launch/run/verify.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/jsonl.h"
#include "checkpoints/store.h"
#include "configs/load.h"
#include "data/sources.h"
#include "data/store/token_store.h"
#include "data/tokenizers/tokenizer_factory.h"
#include "launch/run/second_look.h"
#include "launch/run/verify_ledger.h"
#include "launch/text.h"
#include "rl/tasks/task.h"
#include "rl/tasks/vocabulary.h"
#include "trainer/metrics/metric_logger.h"

namespace terse::launch {

namespace fs = std::filesystem;
using Kind = Finding::Kind;

namespace {

using Findings = std::vector<Finding>;

Findings check_checkpoint(const fs::path& folder, const std::string& subject, const SecondLook& look) {
  bool looked = false;
  return look.at([&]() -> Findings {
    if (std::exchange(looked, true) && !fs::exists(folder))
      return {{Kind::kNote, subject, "the run removed this checkpoint while it was read"}};
    Findings findings;
    for (const std::string& defect : checkpoints::verify(folder)) findings.push_back({Kind::kDefect, subject, defect});
    if (!findings.empty()) return findings;
    try {
      return {{Kind::kSound, subject, checkpoints::describe(folder)}};
    } catch (const std::runtime_error& error) {  // the run removed the folder just now
      return {{Kind::kDefect, subject, error.what()}};
    }
  });
}

void check_checkpoints(const fs::path& dir, const SecondLook& look, Findings& findings) {
  const std::vector<fs::path> folders = checkpoints::list_checkpoints(dir);
  if (folders.empty()) findings.push_back({Kind::kNote, "checkpoints", "none yet"});
  for (const fs::path& folder : folders) {
    const Findings found = check_checkpoint(folder, "checkpoints/" + folder.filename().string(), look);
    findings.insert(findings.end(), found.begin(), found.end());
  }
}

struct Lines {
  int64_t count = 0;
  bool torn = false;    // the last line is incomplete: the process was killed while it wrote
  std::string mistake;  // of the first bad line
};

// Passes each object of a JSON Lines file to `check`, which returns the mistake in it or an empty string.
template <typename Check>
Lines read_lines(const fs::path& file, const Check& check) {
  Lines lines;
  JsonlReader reader(file);
  if (!reader.is_open()) lines.mistake = "cannot be read";
  while (lines.mistake.empty() && reader.next()) {
    if ((lines.torn = reader.is_torn())) break;
    const std::string mistake = reader.is_object() ? check(reader.object()) : "not a JSON object";
    if (!mistake.empty()) lines.mistake = fmt::format("line {}: {}", reader.number(), mistake);
    ++lines.count;
  }
  return lines;
}

void report_lines(const std::string& subject, const Lines& lines, const char* unit, std::vector<Finding>& findings) {
  if (!lines.mistake.empty())
    findings.push_back({Kind::kDefect, subject, lines.mistake});
  else if (lines.torn)
    findings.push_back(
        {Kind::kNote, subject,
         fmt::format("{} {}; the last line is incomplete (the run was killed)", with_thousands(lines.count), unit)});
  else
    findings.push_back({Kind::kSound, subject, fmt::format("{} {}", with_thousands(lines.count), unit)});
}

// Checks that steps never decrease within a stage, and that no stage returns after another one.
void check_metrics(const fs::path& file, std::vector<Finding>& findings) {
  if (!fs::exists(file)) {
    findings.push_back({Kind::kNote, "metrics.jsonl", "missing: no step has been recorded"});
    return;
  }
  std::map<std::string, int64_t> last_step;
  std::string current;
  const Lines lines = read_lines(file, [&](const nlohmann::json& record) -> std::string {
    for (const char* key : {"time", "stage", "step"})
      if (!record.contains(key)) return fmt::format("\"{}\" is missing", key);
    if (!record["time"].is_number() || !record["stage"].is_string() || !record["step"].is_number_integer())
      return "\"time\", \"stage\" or \"step\" has the wrong type";
    const std::string stage = record["stage"];
    const int64_t step = record["step"];
    const auto seen = last_step.find(stage);
    if (seen != last_step.end() && stage != current)
      return fmt::format("stage {} occurs again after stage {}", stage, current);
    if (seen != last_step.end() && step < seen->second)
      return fmt::format("step {} of stage {} follows step {}", step, stage, seen->second);
    last_step[stage] = step;
    current = stage;
    return "";
  });
  report_lines("metrics.jsonl", lines, "records", findings);
}

// Checks that no line file is shorter than the newest checkpoint recorded. All lines were on disk before the
// checkpoint, so a shorter file has lost some of them.
void check_ends(const fs::path& dir, std::vector<Finding>& findings) {
  std::string newest;
  if (!(std::ifstream(dir / "checkpoints" / "latest") >> newest)) return;
  std::ifstream stream(dir / "checkpoints" / newest / "extra.json");
  trainer::MetricPosition position;
  try {
    position = nlohmann::json::parse(stream).at("metrics");
  } catch (const nlohmann::json::exception&) {
    return;  // check_checkpoints() reports this defect
  }
  for (const auto& [name, bytes] : position.files) {
    std::error_code missing;
    const auto size = fs::exists(dir / name, missing) ? static_cast<int64_t>(fs::file_size(dir / name, missing)) : 0;
    if (size < bytes)
      findings.push_back({Kind::kDefect, name,
                          fmt::format("ends at byte {}, but {} was saved when it ended at byte {}: lines are missing",
                                      with_thousands(size), newest, with_thousands(bytes))});
  }
}

void check_ledger(const fs::path& file, std::vector<Finding>& findings) {
  if (!fs::exists(file)) return;
  LedgerCheck check;
  const Lines lines = read_lines(file, [&](const nlohmann::json& line) { return check.next(line); });
  report_lines("ledger.jsonl", lines, "steps", findings);
}

void check_traces(const fs::path& dir, std::vector<Finding>& findings) {
  std::error_code error;
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(dir, error))
    if (entry.path().extension() == ".jsonl") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files)
    report_lines("traces/" + file.filename().string(),
                 read_lines(file, [](const nlohmann::json&) { return std::string(); }), "traces", findings);
}

// Returns the tokenizer that the newest checkpoint was trained with, or an empty string when the checkpoint does not
// name one.
std::string trained_tokenizer(const fs::path& checkpoints) {
  const std::vector<fs::path> folders = checkpoints::list_checkpoints(checkpoints);
  if (folders.empty()) return "";
  std::ifstream stream(folders.front() / "extra.json");
  const auto extra = nlohmann::json::parse(stream, nullptr, /*allow_exceptions=*/false);
  return extra.is_object() && extra.contains("tokenizer") ? extra["tokenizer"].get<std::string>() : "";
}

void check_tokenizer(const fs::path& dir, std::vector<Finding>& findings) {
  const fs::path file = dir / rl::kTokenizerFile;
  if (!fs::exists(file)) return;  // a run of an older build
  std::string id, mistake;
  try {
    id = data::load_tokenizer(file)->id();
    const std::string trained = trained_tokenizer(dir / "checkpoints");
    if (!trained.empty() && trained != id)
      mistake = fmt::format("it is {}, but the newest checkpoint was trained with {}", id, trained);
  } catch (const std::exception& error) {
    mistake = error.what();
  }
  findings.push_back(
      {mistake.empty() ? Kind::kSound : Kind::kDefect, rl::kTokenizerFile, mistake.empty() ? id : mistake});
}

// Checks the record of input files, and the token stores of texts. A run resumes from these stores when the text is
// missing.
void check_data(const fs::path& dir, std::vector<Finding>& findings) {
  std::string subject = "data/sources.json";
  try {
    for (const auto& [key, source] : data::load_sources(dir)) {
      if (source.store.empty()) continue;
      subject = "data/" + source.store;
      if (!fs::exists(dir / source.store)) {
        findings.push_back(
            {Kind::kNote, subject, fmt::format("missing: the next start builds it again from {}", source.file)});
        continue;
      }
      const auto content =
          key.starts_with("sft.") ? data::StoreContent::kConversations : data::StoreContent::kDocuments;
      const auto store = data::TokenStore::open(dir / source.store, {.content = content});
      store->verify();
      findings.push_back({Kind::kSound, subject, fmt::format("{} tokens of {}", with_thousands(store->size()), key)});
    }
  } catch (const std::exception& error) {
    findings.push_back({Kind::kDefect, subject, error.what()});
  }
}

// A mean over no samples is null. Any other mean is a number from 0 to `most`.
bool possible(const nlohmann::json& mean, double most) {
  return mean.is_null() || (mean.get<double>() >= 0 && mean.get<double>() <= most);
}

// Returns the mistake in an evaluation, or "".
std::string eval_mistake(const nlohmann::json& eval) {
  const nlohmann::json &accuracy = eval.at("accuracy"), &tokens = eval.at("mean_tokens");
  if (!possible(accuracy, 1)) return fmt::format("accuracy {} is not between 0 and 1", accuracy.dump());
  if (!possible(tokens, std::numeric_limits<double>::max()))
    return fmt::format("mean_tokens {} is out of range: expected at least 0", tokens.dump());
  const nlohmann::json by_difficulty = eval.value("by_difficulty", nlohmann::json::object());
  for (const auto& [difficulty, row] : by_difficulty.items()) {
    if (row.at("n").get<int64_t>() < 0 || !possible(row.at("accuracy"), 1))
      return fmt::format("difficulty {} has values that are out of range", difficulty);
  }
  return "";
}

std::string summary_mistake(const nlohmann::json& summary, const configs::RunConfig* config) {
  std::vector<std::string> stages;
  for (const nlohmann::json& stage : summary.at("stages")) {
    stages.push_back(stage.at("stage"));
    if (!(stage.at("wall_s").get<double>() >= 0) || stage.at("steps").get<int64_t>() < 0)
      return fmt::format("stage {} has a negative time or number of steps", stages.back());
    if (!stage.contains("eval") || stage["eval"].is_null()) continue;
    const std::string mistake = eval_mistake(stage["eval"]);
    if (!mistake.empty()) return fmt::format("stage {}: {}", stages.back(), mistake);
  }
  if (!(summary.at("wall_s").get<double>() >= 0)) return "wall_s is negative";
  if (config == nullptr) return "";
  if (stages.size() > config->stages.size() || !std::equal(stages.begin(), stages.end(), config->stages.begin()))
    return fmt::format("its stages ({}) differ from those of config.yaml ({})", fmt::join(stages, ", "),
                       fmt::join(config->stages, ", "));
  if (summary.at("run") != config->run.name)
    return fmt::format("its run is {}, but run.name in config.yaml is '{}'", summary.at("run").dump(),
                       config->run.name);
  return "";
}

void check_summary(const fs::path& file, const configs::RunConfig* config, std::vector<Finding>& findings) {
  if (!fs::exists(file)) {
    findings.push_back({Kind::kNote, "summary.json", "missing: the run has not finished a stage"});
    return;
  }
  std::ifstream stream(file);
  const auto summary = nlohmann::json::parse(stream, nullptr, /*allow_exceptions=*/false);
  std::string mistake = summary.is_object() ? "" : "not a JSON object";
  try {
    if (mistake.empty()) mistake = summary_mistake(summary, config);
  } catch (const nlohmann::json::exception& error) {
    mistake = error.what();
  }
  findings.push_back({mistake.empty() ? Kind::kSound : Kind::kDefect, "summary.json",
                      mistake.empty() ? fmt::format("{} stages", summary["stages"].size()) : mistake});
}

std::optional<configs::RunConfig> check_config(const fs::path& file, std::vector<Finding>& findings) {
  try {
    const configs::RunConfig config =
        configs::load(file.string(), {}, configs::InputFiles::kMayBeMissing, rl::default_config()).config;
    findings.push_back({Kind::kSound, "config.yaml", fmt::format("stages {}", fmt::join(config.stages, ", "))});
    return config;
  } catch (const std::exception& error) {
    findings.push_back({Kind::kDefect, "config.yaml", error.what()});
    return std::nullopt;
  }
}

void check_environment(const fs::path& file, std::vector<Finding>& findings) {
  std::ifstream stream(file);
  const auto record = nlohmann::json::parse(stream, nullptr, /*allow_exceptions=*/false);
  const bool sound = record.is_object() && record.contains("commit") && record.contains("restarts");
  findings.push_back({sound ? Kind::kSound : Kind::kDefect, "environment.json",
                      sound ? fmt::format("commit {}, restarts: {}", record["commit"].dump(), record["restarts"].dump())
                            : "it is missing, or `terse run` did not write it"});
}

}  // namespace

std::vector<Finding> verify_checkpoint(const fs::path& dir) {
  const fs::path folder = fs::absolute(dir).lexically_normal();  // the path may end with a slash
  const fs::path run = (folder.has_filename() ? folder : folder.parent_path()).parent_path().parent_path();
  return check_checkpoint(dir, dir.string(), SecondLook(run));
}

std::vector<Finding> verify_run(const fs::path& dir) {
  const SecondLook look(dir);
  Findings findings;
  if (look.live())
    findings.push_back({Kind::kNote, "lock", "a process uses this run folder, so files may change during the checks"});
  const auto add = [&](const std::function<void(Findings&)>& check) {
    const Findings found = look.at([&] {
      Findings now;
      check(now);
      return now;
    });
    findings.insert(findings.end(), found.begin(), found.end());
  };
  std::optional<configs::RunConfig> config;
  add([&](Findings& found) { config = check_config(dir / "config.yaml", found); });
  add([&](Findings& found) { check_environment(dir / "environment.json", found); });
  add([&](Findings& found) { check_metrics(dir / "metrics.jsonl", found); });
  add([&](Findings& found) { check_ledger(dir / "ledger.jsonl", found); });
  add([&](Findings& found) { check_traces(dir / "traces", found); });
  add([&](Findings& found) { check_ends(dir, found); });
  add([&](Findings& found) { check_tokenizer(dir, found); });
  add([&](Findings& found) { check_data(dir / "data", found); });
  add([&](Findings& found) { check_summary(dir / "summary.json", config ? &*config : nullptr, found); });
  check_checkpoints(dir / "checkpoints", look, findings);
  return findings;
}

}  // namespace terse::launch
