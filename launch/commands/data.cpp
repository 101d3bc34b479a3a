// terse data: builds a token store from text files and JSON Lines, or inspects one.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "data/jsonl/file_kind.h"
#include "data/store/build_store.h"
#include "data/store/token_store.h"
#include "data/tokenizers/tokenizer_factory.h"
#include "launch/commands/command.h"
#include "launch/exit_codes.h"
#include "launch/output.h"
#include "launch/output_file.h"
#include "launch/run/resolve.h"
#include "launch/text.h"

namespace terse::launch {
namespace {

struct BuildRequest {
  std::vector<std::string> inputs;
  std::string output;
  std::string tokenizer = "byte";
  std::string separator;
  double max_bad_lines = 0.01;
  bool overwrite = false;
};

constexpr const char* kBuildMore =
    "Tokenizers: `byte` (one token per byte), `char` (the characters of the inputs), the name of a task, a file "
    "written by\n"
    "`terse tokenizer train`, or another token store, whose tokenizer is reused. The store contains its tokenizer and "
    "a hash of its\n"
    "content. The separator may contain the escape sequences \\n, \\t, \\r, \\0 and \\\\.\n"
    "Each line of an input *.jsonl is an object with `text`, a document. Bad lines are left out and written to "
    "OUTPUT.bad_lines.jsonl.\n\n"
    "Examples:\n"
    "  terse data build shakespeare.txt -o shakespeare.h5 --tokenizer char\n"
    "  terse data build part-*.txt -o corpus.h5 --separator '\\n\\n'\n"
    "  terse data build part-*.jsonl -o corpus.h5 --tokenizer tokenizer.json\n"
    "  terse data build validation.txt -o validation.h5 --tokenizer corpus.h5";

constexpr const char* kInspectMore =
    "Examples:\n"
    "  terse data inspect corpus.h5\n"
    "  terse data inspect corpus.h5 --verify";

void require_files(const std::vector<std::string>& names) {
  std::error_code ignored;
  for (const std::string& name : names)
    if (!std::filesystem::exists(name, ignored)) throw UsageError(fmt::format("no such file: {}.", name));
}

bool is_token_store(const std::filesystem::path& file) {
  return data::is_hdf5(file) && data::describe_store(file).tokens > 0;  // throws for another HDF5 file
}

int build_data(const BuildRequest& request) {
  require_files(request.inputs);
  if (!request.separator.empty() && std::all_of(request.inputs.begin(), request.inputs.end(), data::is_json_lines))
    throw UsageError("--separator has no effect on JSON Lines, where each line is a document.");
  const std::vector<std::filesystem::path> inputs(request.inputs.begin(), request.inputs.end());
  std::vector<std::filesystem::path> read = inputs;
  read.push_back(request.tokenizer);  // the tokenizer may be a file
  require_output({request.output, read, "a token store", is_token_store, request.overwrite});
  data::BuildOptions options;
  options.separator = unescape(request.separator);
  options.overwrite = request.overwrite;
  options.progress = show_progress;
  options.max_bad_lines = request.max_bad_lines;
  const auto tokenizer = request.tokenizer == "char" ? data::train_char_tokenizer(inputs, options.separator)
                                                     : resolve_tokenizer(request.tokenizer);
  print_result("{}", data::to_text(data::build_store(inputs, request.output, *tokenizer, options)));
  return kDone;
}

// Returns the beginning of the first document, safe to print.
std::string first_text(const data::TokenStore& store) {
  constexpr int64_t kShown = 200;  // tokens
  const auto& starts = store.documents();
  const int64_t end = starts.size() > 1 ? starts[1] : store.size();
  std::vector<int32_t> ids(static_cast<size_t>(std::min(end, kShown)));
  if (ids.empty()) return "";
  store.read(0, ids);
  return printable(store.tokenizer()->decode(ids)) + (end > kShown ? " ..." : "");
}

nlohmann::json to_json(const data::StoreInfo& info) {
  return {{"path", info.path},
          {"file_bytes", info.file_bytes},
          {"format_version", info.format_version},
          {"tokens", info.tokens},
          {"documents", info.documents},
          {"longest_document", info.longest_document},
          {"shortest_document", info.shortest_document},
          {"token_bytes", info.token_bytes},
          {"text_bytes", info.text_bytes},
          {"vocab_size", info.vocab_size},
          {"tokenizer", info.tokenizer_id},
          {"content_sha256", info.content_sha256},
          {"separator", info.separator},
          {"sources", info.sources},
          {"lines", info.lines},
          {"bad_lines", info.bad_lines},
          {"created_by", info.created_by}};
}

int inspect_data(const std::string& path, bool verify, bool json) {
  require_files({path});
  if (!data::is_hdf5(path))
    throw UsageError(
        fmt::format("{0} is not a token store. If it is a text file, build one: terse data build {0} -o {1}", path,
                    std::filesystem::path(path).replace_extension(".h5").string()));
  const auto store = data::TokenStore::open(path);
  if (verify) store->verify();
  if (json) {
    nlohmann::json object = to_json(store->info());
    object["first_text"] = first_text(*store);
    if (verify) object["verified"] = true;
    print_result("{}\n", object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    return kDone;
  }
  print_result("{}", data::to_text(store->info()));
  if (verify) print_result("all tokens were read, and the content hash is correct\n");
  print_result("\nfirst document:\n{}\n", first_text(*store));
  return kDone;
}

void add_build(const Command& parent) {
  const Command command = parent.add("build", "Build a token store from text files and JSON Lines");
  const auto request = std::make_shared<BuildRequest>();
  command.arguments("INPUT", request->inputs,
                    "Text files (UTF-8, or any bytes with the byte tokenizer) and JSON Lines (*.jsonl)");
  command.required_option("-o,--output", "FILE", request->output, "Token store to write (HDF5)");
  command.option("--tokenizer", "NAME|FILE", request->tokenizer,
                 "byte, char, a task, a tokenizer file or a token store (default: byte)");
  command.option("--separator", "S", request->separator, "Text that separates documents (default: each file is one)");
  command.number("--max-bad-lines", request->max_bad_lines, 0, 1,
                 "Share of the lines of a JSON Lines file that may be bad (default: 0.01)");
  command.flag("--overwrite", request->overwrite, "Replace an existing token store");
  command.finish(kNoGlobals, kBuildMore, [request] { return build_data(*request); });
}

void add_inspect(const Command& parent) {
  const Command command = parent.add("inspect", "Show what a token store contains");
  const auto path = std::make_shared<std::string>();
  const auto verify = std::make_shared<bool>(false), json = std::make_shared<bool>(false);
  command.argument("FILE", *path, "Token store (HDF5)");
  command.flag("--verify", *verify, "Read all tokens and compare their hash with the stored hash");
  command.flag("--json", *json, "Print as JSON");
  command.finish(kNoGlobals, kInspectMore, [=] { return inspect_data(*path, *verify, *json); });
}

}  // namespace

void add_data(const Command& parent) {
  const Command command = parent.add("data", "Build or inspect a token store");
  add_build(command);
  add_inspect(command);
  command.finish_group();
}

}  // namespace terse::launch
