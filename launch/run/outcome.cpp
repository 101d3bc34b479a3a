// The last evaluation is compared with the first one only if both are of the same task.
#include "launch/run/outcome.h"

#include <fmt/format.h>

#include <vector>

#include "launch/text.h"

namespace terse::launch {
namespace {

std::string stages_line(const nlohmann::json& summary) {
  std::string stages;
  for (const nlohmann::json& stage : summary.at("stages")) {
    stages += (stages.empty() ? "" : ", ") + stage.at("stage").get<std::string>();
    if (const int64_t steps = stage.value("steps", int64_t{0}); steps > 0)
      stages += fmt::format(" {} steps", with_thousands(steps));
  }
  return fmt::format("done in {}: {}\n", duration(summary.at("wall_s").get<double>()), stages);
}

std::string evaluation_line(const nlohmann::json& summary) {
  std::vector<nlohmann::json> evals;
  for (const nlohmann::json& stage : summary.at("stages")) {
    const nlohmann::json eval = stage.value("eval", nlohmann::json());
    // The accuracy is null when no sample could be verified.
    if (eval.is_object() && eval.at("accuracy").is_number()) evals.push_back(eval);
  }
  if (evals.empty()) return "";
  const nlohmann::json &first = evals.front(), &last = evals.back();
  const double accuracy = last.at("accuracy"), tokens = last.at("mean_tokens");
  if (evals.size() == 1 || first.value("task", "") != last.value("task", ""))
    return fmt::format("{}: accuracy {:.3f}, mean tokens {:.1f}\n", last.value("task", "task"), accuracy, tokens);
  return fmt::format("{}: accuracy {:.3f} -> {:.3f}, mean tokens {:.1f} -> {:.1f}\n", last.value("task", "task"),
                     first.at("accuracy").get<double>(), accuracy, first.at("mean_tokens").get<double>(), tokens);
}

std::string loss_line(const nlohmann::json& summary) {
  std::string line;
  for (const nlohmann::json& stage : summary.at("stages"))
    if (stage.contains("val_loss") && stage["val_loss"].is_number())
      line = fmt::format("validation loss {:.3f}\n", stage["val_loss"].get<double>());
  return line;
}

}  // namespace

std::string outcome(const nlohmann::json& summary) {
  std::string text;
  try {
    text += stages_line(summary);
    text += loss_line(summary);
    text += evaluation_line(summary);
  } catch (const nlohmann::json::exception&) {  // a summary of another version: keep the lines so far
  }
  return text;
}

}  // namespace terse::launch
