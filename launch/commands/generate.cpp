// terse generate: samples responses to a prompt.
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "configs/fields.h"
#include "launch/commands/command.h"
#include "launch/exit_codes.h"
#include "launch/output.h"
#include "launch/run/resolve.h"
#include "rl/eval/evaluate_checkpoint.h"

namespace terse::launch {
namespace {

struct Options {
  std::string target;
  std::optional<std::string> prompt;
  rl::GenerateRequest request;
  bool json = false;
};

constexpr const char* kMore =
    "The prompt is text that the run's tokenizer can encode. For a task it is a problem in the task's own language "
    "(traces/ in the\n"
    "run folder has examples). Without a prompt, or with `-`, the prompt is read from standard input. Put a prompt "
    "that begins with\n"
    "`-` after `--`. The same seed and prompt give the same text.\n\n"
    "Examples:\n"
    "  terse generate runs/shakespeare \"ROMEO:\" --temperature 0.8\n"
    "  terse generate runs/quickstart --samples 4 --json <prompt.txt\n"
    "  terse generate model.gguf \"What is 12 times 12?\" --chat --temperature 0";

int generate(Options& options, const GlobalOptions& globals) {
  rl::GenerateRequest& request = options.request;
  request.target = resolve_model(options.target);
  request.prompt = text_or_input(options.prompt, /*trim=*/true);
  request.seed = globals.seed.value_or(1);
  request.device = globals.device.value_or("auto");
  request.note = [](const std::string& text) { warn("note: {}\n", text); };
  const auto emit = [&](int64_t sample, const std::string& text, int64_t tokens, bool finished) {
    if (options.json) {
      const nlohmann::json line = {{"sample", sample}, {"text", text}, {"tokens", tokens}, {"finished", finished}};
      print_result("{}\n", line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    } else {
      if (request.samples > 1)
        print_result("{}--- sample {}, {} tokens{}\n", sample > 0 ? "\n" : "", sample + 1, tokens,
                     finished ? "" : ", truncated at the token limit");
      print_result("{}\n", text);
    }
    flush_results();
  };
  int64_t limit = 0;
  on_user_input([&] { limit = rl::generate(request, emit); });
  if (limit < request.max_new_tokens) {
    warn(
        "terse: warning: the model's longest sequence leaves room for {} new tokens after this prompt, so "
        "--max-new-tokens {} had no further effect\n",
        limit, request.max_new_tokens);
  }
  return kDone;
}

}  // namespace

void add_generate(const Command& parent) {
  const Command command = parent.add("generate", "Sample from a prompt");
  const auto options = std::make_shared<Options>();
  rl::GenerateRequest& request = options->request;
  command.argument("RUN|CHECKPOINT|MODEL", options->target,
                   "Run folder, one folder of its checkpoints/, a Hugging Face folder, or a GGUF file");
  command.optional_argument("PROMPT", options->prompt, "Text to continue (default: standard input)");
  command.flag("--chat", request.chat, "The prompt is the message of a user; the chat template of the model frames it");
  command.number("--samples", request.samples, 1, 1e6, "Number of samples (default: 1)");
  command.number("--max-new-tokens", request.max_new_tokens, 1, 1e9,
                 "Longest response in tokens (default: engine.max_new_tokens, the task's limit, or model.max_seq_len)");
  command.number("--temperature", request.temperature, 0, 100,
                 "Sampling temperature; 0: greedy decoding, always the likeliest token (default: 1)");
  command.number("--top-k", request.top_k, 0, 1e9, "Sample among the N likeliest tokens (default: 0, off)");
  command.number("--top-p", request.top_p, configs::above_up_to(0, 1),
                 "Sample among the likeliest tokens whose probabilities sum to X (default: 1, off)");
  command.number("--min-p", request.min_p, 0, 1,
                 "Leave out tokens whose probability is below X times the largest one (default: 0, off)");
  command.strings("--stop", "TEXT", request.stop, "End a sample before this text; may be given several times");
  command.flag("--json", options->json, "Print one JSON object per sample");
  command.finish(kSeed | kDevice, kMore, [=] { return generate(*options, command.globals()); });
}

}  // namespace terse::launch
