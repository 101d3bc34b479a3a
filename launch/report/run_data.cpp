// The curves and the evaluations during training come from metrics.jsonl. The stages and the evaluations after them
// come from summary.json. The trace files are streamed, and only the first and the last response to each problem stay
// in memory.
#include "launch/report/run_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <tuple>
#include <utility>

#include "base/jsonl.h"
#include "base/utf8.h"
#include "configs/fields.h"
#include "launch/exit_codes.h"
#include "launch/report/evaluations.h"
#include "launch/text.h"

namespace terse::launch::report {
namespace {

constexpr size_t kMaxNames = 1000;             // metrics of a stage
constexpr std::streamsize kMaxText = 1 << 20;  // bytes of config.yaml that are shown
constexpr size_t kMaxPairs = 16;               // of traces
constexpr size_t kMaxPerDifficulty = 64;       // problems that are kept while reading traces
constexpr size_t kMaxCharacters = 4000;        // of a prompt or a response

std::string read_text(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::string text(static_cast<size_t>(kMaxText), '\0');
  stream.read(text.data(), kMaxText);
  text.resize(static_cast<size_t>(std::max<std::streamsize>(0, stream.gcount())));
  return text;
}

nlohmann::json read_json(const std::filesystem::path& path, std::vector<std::string>& notes) {
  std::ifstream stream(path);
  if (!stream) return nullptr;
  nlohmann::json json = nlohmann::json::parse(stream, nullptr, /*allow_exceptions=*/false);
  if (json.is_object()) return json;
  notes.push_back(fmt::format("{} cannot be read: it is not a JSON object.", path.filename().string()));
  return nullptr;
}

Stage& stage_named(std::vector<Stage>& stages, const std::string& name) {
  for (Stage& stage : stages)
    if (stage.name == name) return stage;
  stages.emplace_back().name = name;
  return stages.back();
}

void read_summary(const nlohmann::json& summary, RunData& run, std::vector<Evaluation>& found) {
  if (const std::string name = text_of(summary, "run"); !name.empty()) run.name = name;
  run.wall_s = number_of(summary, "wall_s").value_or(0);
  if (!summary.is_object() || !summary.contains("stages") || !summary["stages"].is_array()) return;
  for (const nlohmann::json& entry : summary["stages"]) {
    const std::string name = text_of(entry, "stage");
    if (name.empty()) continue;
    Stage& stage = stage_named(run.stages, name);
    stage.finished = true;
    stage.steps = integer_of(entry, "steps");
    stage.tokens = integer_of(entry, "tokens");
    stage.wall_s = number_of(entry, "wall_s").value_or(0);
    const auto evaluation = evaluation_after(entry);
    if (!evaluation) continue;
    // The numbers of different tasks are not comparable, so only the last task counts.
    const std::string task = text_of(entry["eval"], "task");
    if (task != run.task) found.clear();
    run.task = task;
    found.push_back(*evaluation);
  }
}

// A record names only the trace forms that occurred in its step. The share of the other forms is 0.
void add_absent_forms(const nlohmann::json& record, double step, Stage& stage) {
  const auto is_form = [](const std::string& metric) { return metric.starts_with("forms/"); };
  bool tells = false;
  for (const auto& [metric, value] : record.items()) tells = tells || is_form(metric);
  if (!tells) return;
  for (auto& [metric, series] : stage.curves)
    if (is_form(metric) && !record.contains(metric)) series.add(step, 0);
}

// The present name of a metric. Older versions wrote some under other names.
std::string present_name(const std::string& metric) {
  static constexpr std::pair<std::string_view, std::string_view> kOlderNames[] = {
      {"replay_loss", "demonstration_loss"},
      {"practice/rung", "student/level"},
      {"practice/loss", "student/loss"},
      {"practice/exam_accuracy", "student/gate_accuracy"},
      {"time/practice", "time/student"}};
  for (const auto& [older, present] : kOlderNames)
    if (metric == older) return std::string(present);
  return metric;
}

// Adds a record's numbers to the curves of its stage. Returns false for a record without a stage or step.
bool add_record(const nlohmann::json& record, RunData& run) {
  const std::string name = text_of(record, "stage");
  const auto step = number_of(record, "step");
  if (name.empty() || !step || run.stages.size() > 100) return false;
  Stage& stage = stage_named(run.stages, name);
  if (!stage.finished) stage.steps = std::max(stage.steps, integer_of(record, "step"));
  for (const auto& [written, value] : record.items()) {
    if (!value.is_number() || written == "time" || written == "step" || written.starts_with("eval/")) continue;
    const std::string metric = present_name(written);
    if (stage.curves.size() >= kMaxNames && !stage.curves.contains(metric)) continue;
    stage.curves[metric].add(*step, value.get<double>());
  }
  add_absent_forms(record, *step, stage);
  return true;
}

// Reads metrics.jsonl into the curves. Returns the evaluations during training.
std::vector<Evaluation> read_metrics(RunData& run) {
  std::vector<Evaluation> found;
  int64_t nonfinite = 0, skipped = 0;
  for (JsonlReader reader(run.dir / "metrics.jsonl"); reader.next();) {
    const nlohmann::json& record = reader.object();
    if (!reader.is_object()) {
      ++skipped;
      continue;
    }
    if (!add_record(record, run)) continue;
    if (record.contains("nonfinite")) ++nonfinite;
    if (auto evaluation = evaluation_in(record)) found.push_back(std::move(*evaluation));
  }
  if (skipped > 0) run.notes.push_back(fmt::format("{} line(s) of metrics.jsonl could not be read.", skipped));
  if (nonfinite > 0) run.notes.push_back(fmt::format("{} record(s) contain values that are not finite.", nonfinite));
  return found;
}

// Keeps one evaluation for each global step. Of two evaluations at the same step, the one that is later in `found` is
// kept.
void order_evaluations(std::vector<Evaluation> found, RunData& run) {
  std::map<int64_t, Evaluation> ordered;
  for (Evaluation& evaluation : found) {
    const Stage* stage = run.stage(evaluation.stage);
    evaluation.global_step = (stage != nullptr ? stage->offset : 0) + evaluation.step;
    ordered[evaluation.global_step] = std::move(evaluation);
  }
  for (auto& [step, evaluation] : ordered) run.evaluations.push_back(std::move(evaluation));
  if (run.evaluations.empty()) return;
  run.before = 0;
  run.after = run.evaluations.size() - 1;
  for (size_t i = 0; i < run.evaluations.size(); ++i)
    if (run.evaluations[i].after_stage && run.evaluations[i].stage == "sft") run.before = i;
}

void note_unfinished(RunData& run) {
  for (const Stage& stage : run.stages) {
    if (stage.finished) continue;
    run.notes.push_back(fmt::format("Unfinished: stage {} is at step {}.", stage.name, with_thousands(stage.steps)));
  }
}

std::string shortened(const std::string& text) {
  if (text.size() <= kMaxCharacters) return text;
  const size_t kept = whole_characters(std::string_view(text).substr(0, kMaxCharacters));
  return text.substr(0, kept) + " … (" + std::to_string(text.size() - kept) + " more bytes)";
}

struct Entry {
  std::string prompt;
  int64_t first_at = 0, last_at = 0;
  Trace first, last;
};

// By difficulty, then by problem. Problems of different difficulties may share a number, and a task may number its
// problems anew. So the prompt is part of the key.
using Entries = std::map<rl::Difficulty, std::map<std::pair<int64_t, std::string>, Entry>>;

void add_trace(Entries& entries, const nlohmann::json& line, int64_t at) {
  const std::string task = text_of(line, "task");
  const rl::Difficulty difficulty(integer_of(line, "difficulty"), configs::is_part_name(task) ? task : "");
  auto& problems = entries[difficulty];
  const std::pair key{integer_of(line, "problem"), shortened(text_of(line, "prompt"))};
  if (problems.size() >= kMaxPerDifficulty && !problems.contains(key)) return;
  const auto [found, is_new] = problems.try_emplace(key);
  Entry& entry = found->second;
  const Trace trace{text_of(line, "stage"),     integer_of(line, "step"), shortened(text_of(line, "response")),
                    integer_of(line, "tokens"), flag_of(line, "correct"), text_of(line, "form")};
  // A resumed run may repeat an evaluation. The later line counts.
  if (is_new || at <= entry.first_at) entry.first = trace, entry.first_at = at;
  if (is_new || at >= entry.last_at) entry.last = trace, entry.last_at = at;
  entry.prompt = key.second;
}

}  // namespace

std::string label_of(const rl::Difficulty& difficulty) {
  if (difficulty.task.empty()) return std::to_string(difficulty.value);
  return difficulty.value < 0 ? difficulty.task : fmt::format("{} {}", difficulty.task, difficulty.value);
}

std::string text_of(const nlohmann::json& object, const std::string& key) {
  if (!object.is_object()) return "";
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::optional<double> number_of(const nlohmann::json& object, const std::string& key) {
  if (!object.is_object()) return std::nullopt;
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return std::nullopt;
  const double value = found->get<double>();
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

int64_t integer_of(const nlohmann::json& object, const std::string& key, int64_t otherwise) {
  const double value = number_of(object, key).value_or(static_cast<double>(otherwise));
  return std::abs(value) < 9e15 ? static_cast<int64_t>(value) : otherwise;
}

bool flag_of(const nlohmann::json& object, const std::string& key) {
  if (!object.is_object()) return false;
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

// Streaming min-max decimation. When the buckets run out, neighbours are merged, and each bucket then holds twice as
// many points.
void Series::add(double x, double y) {
  if (!std::isfinite(x) || !std::isfinite(y)) return;
  const Point point{x, y};
  if (!empty() && x <= last_.x) {
    if (x < last_.x || buckets_.back().count > 1) return;
    last_ = point;
    buckets_.back() = {point, point, 1};
    return;
  }
  while (full()) halve();
  last_ = point;
  if (empty() || buckets_.back().count == stride_) {
    buckets_.push_back({point, point, 1});
    return;
  }
  Bucket& bucket = buckets_.back();
  if (y < bucket.low.y) bucket.low = point;
  if (y > bucket.high.y) bucket.high = point;
  ++bucket.count;
}

// A bucket of one point yields one point, and any other bucket yields two. One point is reserved for the last one.
bool Series::full() const {
  const size_t limit = stride_ == 1 ? kMaxPoints : (kMaxPoints - 1) / 2;
  return buckets_.size() > limit || (buckets_.size() == limit && buckets_.back().count == stride_);
}

void Series::halve() {
  stride_ *= 2;
  size_t kept = 0;
  for (size_t i = 0; i < buckets_.size(); i += 2) {
    Bucket merged = buckets_[i];
    if (i + 1 < buckets_.size()) {
      const Bucket& next = buckets_[i + 1];
      if (next.low.y < merged.low.y) merged.low = next.low;
      if (next.high.y > merged.high.y) merged.high = next.high;
      merged.count += next.count;
    }
    buckets_[kept++] = merged;
  }
  buckets_.resize(kept);
}

std::vector<Point> Series::points() const {
  std::vector<Point> out;
  for (const Bucket& bucket : buckets_) {
    const bool rising = bucket.low.x <= bucket.high.x;
    out.push_back(rising ? bucket.low : bucket.high);
    if (bucket.low.x != bucket.high.x) out.push_back(rising ? bucket.high : bucket.low);
  }
  if (!out.empty() && out.back().x != last_.x) out.push_back(last_);
  return out;
}

bool RunData::mixes() const {
  return after && std::any_of(at_after().by_difficulty.begin(), at_after().by_difficulty.end(),
                              [](const auto& cell) { return !cell.first.task.empty(); });
}

const Stage* RunData::stage(const std::string& stage_name) const {
  for (const Stage& stage : stages)
    if (stage.name == stage_name) return &stage;
  return nullptr;
}

std::vector<TracePair> read_trace_pairs(const std::filesystem::path& folder, int64_t from,
                                        const std::function<int64_t(const std::string&, int64_t)>& global_step,
                                        int64_t& skipped) {
  std::vector<std::string> files;
  std::error_code missing;
  for (const auto& file : std::filesystem::directory_iterator(folder, missing))
    if (file.path().extension() == ".jsonl") files.push_back(file.path().string());
  std::sort(files.begin(), files.end());
  Entries entries;
  for (const std::string& file : files) {
    for (JsonlReader reader(file); reader.next();) {
      const nlohmann::json& line = reader.object();
      if (!reader.is_object()) {
        ++skipped;
      } else if (text_of(line, "logged_for") == "eval" && line.contains("response")) {
        const int64_t at = global_step(text_of(line, "stage"), integer_of(line, "step"));
        if (at >= from) add_trace(entries, line, at);
      }
    }
  }

  // The difficulties take turns, so that a few of them cannot crowd out the others.
  std::vector<std::tuple<rl::Difficulty, size_t, TracePair>> chosen;
  for (size_t round = 0; round < kMaxPerDifficulty && chosen.size() < kMaxPairs; ++round) {
    for (const auto& [difficulty, problems] : entries) {
      size_t paired = 0;
      for (const auto& [key, entry] : problems) {
        if (entry.first_at == entry.last_at || paired++ != round || chosen.size() >= kMaxPairs) continue;
        chosen.emplace_back(difficulty, round, TracePair{entry.prompt, difficulty, entry.first, entry.last});
      }
    }
  }
  std::sort(chosen.begin(), chosen.end(), [](const auto& a, const auto& b) {
    return std::tie(std::get<0>(a), std::get<1>(a)) < std::tie(std::get<0>(b), std::get<1>(b));
  });
  std::vector<TracePair> pairs;
  for (auto& item : chosen) pairs.push_back(std::move(std::get<2>(item)));
  return pairs;
}

RunData read_run(const std::filesystem::path& dir) {
  RunData run;
  run.dir = dir;
  run.name = std::filesystem::absolute(dir).lexically_normal().filename().string();
  if (run.name.empty()) run.name = std::filesystem::absolute(dir).lexically_normal().parent_path().filename().string();
  if (!std::filesystem::exists(dir / "metrics.jsonl") && !std::filesystem::exists(dir / "summary.json")) {
    throw UsageError(
        fmt::format("{} has nothing to report yet: it contains neither metrics.jsonl nor summary.json.", dir.string()));
  }
  std::vector<Evaluation> after_stages;
  read_summary(read_json(dir / "summary.json", run.notes), run, after_stages);
  std::vector<Evaluation> found = read_metrics(run);
  int64_t offset = 0;
  for (Stage& stage : run.stages) {
    stage.offset = offset;
    offset += stage.steps;
  }
  found.insert(found.end(), after_stages.begin(), after_stages.end());
  order_evaluations(std::move(found), run);
  note_unfinished(run);

  int64_t skipped = 0;
  const int64_t from = run.before ? run.evaluations[*run.before].global_step : 0;
  const auto global_step = [&](const std::string& name, int64_t step) {
    const Stage* stage = run.stage(name);
    return (stage != nullptr ? stage->offset : 0) + step;
  };
  run.traces = read_trace_pairs(dir / "traces", from, global_step, skipped);
  if (skipped > 0) run.notes.push_back(fmt::format("{} line(s) of traces/ could not be read.", skipped));
  run.config = read_text(dir / "config.yaml");
  run.environment = read_json(dir / "environment.json", run.notes);
  return run;
}

}  // namespace terse::launch::report
