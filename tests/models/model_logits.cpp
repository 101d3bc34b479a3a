// Computes what a model says, for tests/models/compare.py to compare with other programs.
//
//   model_logits MODEL LOGITS_FILE <REQUESTS.jsonl >ANSWERS.jsonl
//
// MODEL is a Hugging Face folder, a GGUF file, a checkpoint or a run folder. A request has "messages", and may have
// "tools". Its answer has "tokens", the ids of the prompt; "logits", the file (LOGITS_FILE.0 and so on) with fp32
// logits of each token, row after row; and "continuation", the "new" tokens that greedy decoding appends, whatever they
// are.
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "data/chat/chat_format.h"
#include "data/pack.h"
#include "rl/engine/engine.h"
#include "trainer/device.h"
#include "trainer/saved_model/model_files.h"
#include "trainer/saved_model/model_vocabulary.h"

namespace terse {
namespace {

using trainer::ParamInfo;

class Answers {
 public:
  Answers(const std::filesystem::path& path, std::string logits)
      : files_(trainer::open_model_files(path)),
        vocabulary_(trainer::load_model_vocabulary(path)),
        chat_(vocabulary_.tokenizer, vocabulary_.chat_template, vocabulary_.template_name, {}),
        model_(in_fp32(files_->spec()), torch::kCPU, 0, {}, trainer::Purpose::kInference),
        logits_(std::move(logits)) {
    model_.fill(
        [&](const ParamInfo& info, int64_t begin, int64_t end, float* out) { files_->read(info, begin, end, out); });
  }

  nlohmann::json answer(const nlohmann::json& request) {
    const auto conversation =
        data::parse_messages(nlohmann::ordered_json::parse(request.at("messages").dump()), "the request");
    const std::vector<int32_t> prompt = chat_.encode_prompt(conversation);
    const std::string file = fmt::format("{}.{}", logits_, count_++);
    write_logits(prompt, file);
    return {{"tokens", prompt}, {"logits", file}, {"continuation", continuation(prompt, request.at("new"))}};
  }

 private:
  static trainer::ModelSpec in_fp32(trainer::ModelSpec spec) {
    spec.bf16 = false;
    return spec;
  }

  void write_logits(const std::vector<int32_t>& prompt, const std::string& file) {
    const torch::NoGradGuard no_grad;
    const data::Batch batch = data::pack({data::Sequence{prompt, std::vector<float>(prompt.size())}});
    const torch::Tensor logits = model_.hidden(batch).x.matmul(model_.params().head().t()).contiguous();
    std::ofstream out(file, std::ios::binary);
    out.write(static_cast<const char*>(logits.data_ptr()), static_cast<std::streamsize>(logits.nbytes()));
    if (!out.flush()) throw std::runtime_error("cannot write " + file);
  }

  std::vector<int32_t> continuation(const std::vector<int32_t>& prompt, int64_t tokens) {
    rl::SamplingParams greedy;
    greedy.transform.temperature = 0;
    greedy.max_new_tokens = tokens;
    rl::Engine engine(model_, {.max_batch = 1});
    return engine.generate({{.prompt = prompt, .sampling = greedy}}).front().front().tokens;
  }

  std::unique_ptr<trainer::ModelFiles> files_;
  trainer::ModelVocabulary vocabulary_;
  data::ChatFormat chat_;
  trainer::Transformer model_;
  std::string logits_;
  int64_t count_ = 0;
};

int run(const std::string& model, const std::string& logits) {
  trainer::set_threads(0);
  Answers answers(model, logits);
  for (std::string line; std::getline(std::cin, line);)
    fmt::print("{}\n", answers.answer(nlohmann::json::parse(line)).dump());
  return 0;
}

}  // namespace
}  // namespace terse

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: model_logits MODEL LOGITS_FILE <REQUESTS.jsonl >ANSWERS.jsonl\n");
    return 64;
  }
  try {
    return terse::run(argv[1], argv[2]);
  } catch (const std::exception& error) {
    fmt::print(stderr, "model_logits: {}\n", error.what());
    return 1;
  }
}
