// terse tokenizer: makes a vocabulary, and converts text to token ids and back.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cstdio>
#include <memory>
#include <sstream>

#include "data/tokenizers/bpe/train_bpe.h"
#include "data/tokenizers/tokenizer_factory.h"
#include "launch/commands/command.h"
#include "launch/exit_codes.h"
#include "launch/output.h"
#include "launch/output_file.h"
#include "launch/run/resolve.h"
#include "launch/text.h"

namespace terse::launch {
namespace {

constexpr const char* kNames =
    "`byte`, the name of a task, a tokenizer file, a Hugging Face folder, a GGUF file, or a token store";

struct TrainRequest {
  std::vector<std::string> inputs;
  std::string output;
  std::string kind = "char";
  std::string separator;
  int64_t vocab_size = 0;  // 0: not given; likewise an empty pattern and no special tokens
  std::string pattern;
  std::vector<std::string> special_tokens;
  bool overwrite = false;
};

bool is_tokenizer(const std::filesystem::path& file) {
  return data::load_tokenizer(file) != nullptr;  // load_tokenizer() throws for any other file
}

std::shared_ptr<const data::Tokenizer> trained(const TrainRequest& request,
                                               const std::vector<std::filesystem::path>& inputs) {
  const std::string separator = unescape(request.separator);
  if (request.kind == "char") {
    if (request.vocab_size != 0 || !request.pattern.empty() || !request.special_tokens.empty())
      throw UsageError("--vocab-size, --pattern and --special belong to --kind bpe.");
    return data::train_char_tokenizer(inputs, separator);
  }
  if (request.vocab_size == 0) throw UsageError("--kind bpe needs --vocab-size.");
  data::BpeTraining options;
  options.vocab_size = request.vocab_size;
  options.separator = separator;
  if (!request.pattern.empty()) options.pattern = request.pattern;
  if (!request.special_tokens.empty()) options.special_tokens = request.special_tokens;
  return data::train_bpe_tokenizer(inputs, options);
}

int train(const TrainRequest& request) {
  std::error_code ignored;
  for (const std::string& name : request.inputs)
    if (!std::filesystem::exists(name, ignored)) throw UsageError(fmt::format("no such file: {}.", name));
  const std::vector<std::filesystem::path> inputs(request.inputs.begin(), request.inputs.end());
  require_output({request.output, inputs, "a tokenizer", is_tokenizer, request.overwrite});
  const auto tokenizer = trained(request, inputs);
  data::save_tokenizer(request.output, *tokenizer);
  print_result("{}: {}, {} tokens\n", request.output, tokenizer->id(), with_thousands(tokenizer->vocab_size()));
  return kDone;
}

int encode(const std::string& tokenizer, const std::optional<std::string>& text) {
  const auto chosen = resolve_tokenizer(tokenizer);
  const std::vector<int32_t> ids = on_user_input([&] { return chosen->encode(text_or_input(text, /*trim=*/false)); });
  print_result("{}\n", fmt::join(ids, " "));
  return kDone;
}

std::vector<int32_t> parse_ids(const std::string& text) {
  std::vector<int32_t> ids;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    int32_t id = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (error != std::errc() || end != word.data() + word.size())
      throw UsageError(fmt::format("'{}' is not a token id; expected whole numbers, separated by spaces.", word));
    ids.push_back(id);
  }
  return ids;
}

int decode(const std::string& tokenizer, const std::vector<std::string>& words) {
  const auto chosen = resolve_tokenizer(tokenizer);
  const std::optional<std::string> argument =
      words.empty() ? std::nullopt : std::optional<std::string>(fmt::format("{}", fmt::join(words, " ")));
  const std::vector<int32_t> ids = parse_ids(text_or_input(argument, /*trim=*/false));
  try {
    const std::string text = chosen->decode(ids);
    print_result("{}\n", text);  // any bytes, unchanged
  } catch (const std::out_of_range& error) {
    throw UsageError(error.what());
  }
  return kDone;
}

void add_train(const Command& parent) {
  const Command command = parent.add("train", "Build a vocabulary from text files");
  const auto request = std::make_shared<TrainRequest>();
  command.arguments("INPUT", request->inputs, "Text files (UTF-8)");
  command.required_option("-o,--output", "FILE", request->output, "Tokenizer file to write");
  command.choice("--kind", "KIND", request->kind, {"char", "bpe"},
                 "char: the characters of the inputs (default); bpe: byte pair encoding, as a tokenizer.json");
  command.number("--vocab-size", request->vocab_size, 257, 1 << 22, "bpe: the number of tokens, with 256 bytes");
  command.choice("--pattern", "NAME", request->pattern, {"gpt2", "llama3", "qwen2"},
                 "bpe: how text is cut into words (default: llama3)");
  command.strings("--special", "TOKEN", request->special_tokens,
                  "bpe: a special token; the first one ends a document (default: <|endoftext|>)");
  command.option("--separator", "S", request->separator, "Text that separates documents; it is not part of the text");
  command.flag("--overwrite", request->overwrite, "Replace an existing tokenizer file");
  command.finish(
      kNoGlobals,
      "Use the file with `tokenizer.path` in a configuration, or with `terse data build --tokenizer`.\n\n"
      "Examples:\n"
      "  terse tokenizer train shakespeare.txt -o shakespeare.tokenizer.json\n"
      "  terse tokenizer train *.txt -o tokenizer.json --kind bpe --vocab-size 8000\n"
      "  terse tokenizer train *.txt -o chat.json --kind bpe --special '<|im_end|>' --special '<|im_start|>'",
      [request] { return train(*request); });
}

void add_encode(const Command& parent) {
  const Command command = parent.add("encode", "Convert text to token ids");
  const auto tokenizer = std::make_shared<std::string>();
  const auto text = std::make_shared<std::optional<std::string>>();
  command.argument("TOKENIZER", *tokenizer, kNames);
  command.optional_argument("TEXT", *text, "Text (default: standard input, line ends included)");
  command.finish(kNoGlobals,
                 "Examples:\n"
                 "  terse tokenizer encode byte 'hello'\n"
                 "  terse tokenizer encode corpus.h5 <sample.txt",
                 [=] { return encode(*tokenizer, *text); });
}

void add_decode(const Command& parent) {
  const Command command = parent.add("decode", "Convert token ids to text");
  const auto tokenizer = std::make_shared<std::string>();
  const auto ids = std::make_shared<std::vector<std::string>>();
  command.argument("TOKENIZER", *tokenizer, kNames);
  command.optional_arguments("IDS", *ids, "Token ids (default: standard input)");
  command.finish(kNoGlobals,
                 "Examples:\n"
                 "  terse tokenizer decode byte 104 101 108 108 111\n"
                 "  terse tokenizer encode byte <text.txt | terse tokenizer decode byte",
                 [=] { return decode(*tokenizer, *ids); });
}

}  // namespace

void add_tokenizer(const Command& parent) {
  const Command command = parent.add("tokenizer", "Train a tokenizer; encode or decode with one");
  add_train(command);
  add_encode(command);
  add_decode(command);
  command.finish_group();
}

}  // namespace terse::launch
