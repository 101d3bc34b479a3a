// terse convert: a model of one format as another.
#include "trainer/saved_model/convert/convert.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>

#include "checkpoints/store.h"
#include "launch/commands/command.h"
#include "launch/exit_codes.h"
#include "launch/output.h"
#include "launch/output_file.h"
#include "launch/text.h"
#include "trainer/saved_model/adapter_config.h"
#include "trainer/saved_model/adapter_files.h"
#include "trainer/saved_model/gguf_model.h"
#include "trainer/saved_model/hf_model.h"

namespace terse::launch {
namespace {

namespace fs = std::filesystem;
using trainer::ModelFormat;

struct Request {
  std::string from, to;
  std::string format;  // empty: as the name of the output says
  std::string dtype = "auto";
  std::string adapter;  // empty: none
  bool overwrite = false;
};

constexpr const char* kMore =
    "FROM is a Hugging Face folder (config.json and *.safetensors), a GGUF file of llama.cpp, a checkpoint folder "
    "(step-N), or a run\n"
    "folder, for its newest sound checkpoint. The models are Llama, Mistral, Qwen2 and Qwen3.\n"
    "TO is a GGUF file if its name ends with .gguf, else a folder. `auto` keeps the type of each tensor; quantized "
    "ones become fp32.\n"
    "Adapters of LoRA in a checkpoint are merged into its weights; `--to adapter` writes them alone, as a folder of "
    "PEFT.\n"
    "In a GGUF file, norms and biases stay fp32. A checkpoint has fp32 weights and no optimizer state. It evaluates, "
    "generates, and\n"
    "gives a run its first weights (model.init).\n\n"
    "Examples:\n"
    "  terse convert runs/quickstart quickstart-hf --dtype bf16\n"
    "  terse convert Qwen2.5-0.5B qwen.gguf --dtype q8_0\n"
    "  terse convert model.gguf models/step-0 --to checkpoint";

struct Format {
  ModelFormat format;
  const char* name;  // on the command line
  const char* text;  // for people
  const char* kind;  // of the output, for messages
};
constexpr std::array<Format, 4> kFormats = {{
    {ModelFormat::kHf, "hf", "Hugging Face folder", "a Hugging Face folder"},
    {ModelFormat::kGguf, "gguf", "GGUF file", "a GGUF file"},
    {ModelFormat::kCheckpoint, "checkpoint", "checkpoint", "a checkpoint"},
    {ModelFormat::kAdapter, "adapter", "adapter of PEFT", "an adapter of PEFT"},
}};

const Format& format_of(const Request& request) {
  const bool named_gguf = fs::path(request.to).extension() == ".gguf";
  const std::string name = !request.format.empty() ? request.format : named_gguf ? "gguf" : "hf";
  if (named_gguf && name != "gguf") {
    throw UsageError(fmt::format("--to {} writes a folder, but {} is named like a GGUF file. Choose another name.",
                                 name, request.to));
  }
  return *std::find_if(kFormats.begin(), kFormats.end(), [&](const Format& format) { return name == format.name; });
}

std::optional<GgmlType> type_of(const std::string& dtype) {
  if (dtype == "fp32") return GgmlType::kF32;
  if (dtype == "fp16") return GgmlType::kF16;
  if (dtype == "bf16") return GgmlType::kBF16;
  if (dtype == "q8_0") return GgmlType::kQ8_0;
  return std::nullopt;
}

// A folder with other files than terse convert writes is somebody's work.
void require_replaceable(const fs::path& to, const Format& format) {
  const std::string name = to.string();
  const bool is_adapter = format.format == ModelFormat::kAdapter;
  const bool is_kind = format.format == ModelFormat::kCheckpoint ? checkpoints::is_checkpoint(to)
                       : is_adapter                              ? trainer::is_adapter(to)
                                    : trainer::is_hf_model(to) && !checkpoints::is_checkpoint(to);
  if (!is_kind) {
    throw UsageError(
        fmt::format("{} exists already and is not {}, so it is not replaced. Choose another output, or remove it.",
                    name, format.kind));
  }
  if (format.format == ModelFormat::kCheckpoint) return;
  for (const fs::directory_entry& entry : fs::directory_iterator(to)) {
    const std::string file = entry.path().filename().string();
    const bool ours =
        is_adapter ? file == trainer::kAdapterConfig || file == trainer::kAdapterWeights : trainer::is_hf_file(file);
    if (!ours) {
      throw UsageError(fmt::format(
          "{} holds {}, which terse convert does not write, so the folder is not replaced. Choose another output.",
          name, file));
    }
  }
}

// Whether `inner` is `outer` or lies in it, by any name or link.
bool is_within(const fs::path& inner, const fs::path& outer) {
  std::error_code ignored;
  const fs::path a = fs::weakly_canonical(inner, ignored), b = fs::weakly_canonical(outer, ignored);
  const auto [rest, end] = std::mismatch(b.begin(), b.end(), a.begin(), a.end());
  return rest == b.end();
}

// The output may not change a run or a checkpoint, whose folders have exactly their own files.
void require_own_place(const fs::path& to) {
  const fs::path whole = fs::absolute(to).lexically_normal();
  const fs::path parent = whole.has_filename() ? whole.parent_path() : whole.parent_path().parent_path();
  std::error_code ignored;
  const bool in_run = parent.filename() == "checkpoints" && fs::exists(parent.parent_path() / "config.yaml", ignored);
  if (!in_run && !checkpoints::is_checkpoint(parent)) return;
  throw UsageError(
      fmt::format("the folder {} belongs to {}, which holds its own files only. "
                  "Choose another output.",
                  parent.string(), in_run ? "a run" : "a checkpoint"));
}

void require_folder(const Request& request, const Format& format) {
  const fs::path to = request.to;
  std::error_code ignored;
  if (is_within(request.from, to))
    throw UsageError(
        fmt::format("the output {} would replace the input {}. Choose another output.", request.to, request.from));
  const fs::path whole = fs::absolute(to).lexically_normal();
  const fs::path parent = whole.has_filename() ? whole.parent_path() : whole.parent_path().parent_path();
  if (!fs::is_directory(parent, ignored))
    throw UsageError(
        fmt::format("the folder {} of the output does not exist. If the path is correct, create it: mkdir -p {}",
                    parent.string(), parent.string()));
  if (!fs::exists(fs::symlink_status(to, ignored))) return;
  if (fs::equivalent(to, ".", ignored))
    throw UsageError(
        fmt::format("the output {} is the working folder, which cannot be replaced. Change to another folder, and name "
                    "it from there.",
                    request.to));
  if (!fs::is_directory(to, ignored))
    throw UsageError(fmt::format("{} exists already and is no folder. Choose another output.", request.to));
  if (fs::is_empty(to, ignored)) return;
  require_replaceable(to, format);
  if (!request.overwrite)
    throw UsageError(fmt::format("{} exists already. Use --overwrite to replace it.", request.to));
}

int convert(const Request& request) {
  std::error_code ignored;
  if (!fs::exists(request.from, ignored)) throw UsageError(fmt::format("no such file or folder: {}.", request.from));
  if (!request.adapter.empty() && !trainer::is_adapter(request.adapter)) {
    throw UsageError(fmt::format("{} is no adapter: expected a folder with {} and {}.", request.adapter,
                                 trainer::kAdapterConfig, trainer::kAdapterWeights));
  }
  if (request.to.empty()) throw UsageError("the path of the output is empty.");
  const Format& format = format_of(request);
  require_own_place(request.to);
  if (format.format == ModelFormat::kGguf) {
    require_output({request.to, {request.from}, format.kind, trainer::is_gguf_file, request.overwrite});
  } else {
    require_folder(request, format);
  }
  trainer::ConvertRequest work;
  work.from = request.from;
  const fs::path to(request.to), named = to.has_filename() ? to : to.parent_path();  // "link/" is "link"
  work.to = fs::is_symlink(named, ignored) ? fs::canonical(named) : named;
  work.format = format.format;
  work.dtype = type_of(request.dtype);
  work.adapter = request.adapter;
  work.progress = show_progress;
  const trainer::Converted result = on_user_input([&] { return trainer::convert_model(work); });
  for (const std::string& note : result.notes) warn("note: {}\n", note);
  print_result("{}: {}, {}, {} tensors, {} file{}, {}{}\n", request.to, format.text, result.dtype,
               with_thousands(static_cast<int64_t>(result.tensors)), result.files, result.files == 1 ? "" : "s",
               byte_size(static_cast<int64_t>(result.bytes)),
               result.left_out.empty() ? "" : fmt::format("; left out: {}", fmt::join(result.left_out, ", ")));
  return kDone;
}

}  // namespace

void add_convert(const Command& parent) {
  const Command command = parent.add("convert", "Convert a model: Hugging Face folder, GGUF file, checkpoint");
  const auto request = std::make_shared<Request>();
  command.argument("FROM", request->from,
                   "Hugging Face folder, GGUF file, run folder, or one folder of its checkpoints/");
  command.argument("TO", request->to, "GGUF file or folder to write");
  command.choice("--to", "FORMAT", request->format, {"hf", "gguf", "checkpoint", "adapter"},
                 "hf, gguf, checkpoint or adapter (default: gguf if TO ends with .gguf, else hf)");
  command.choice("--dtype", "TYPE", request->dtype, {"auto", "fp32", "fp16", "bf16", "q8_0"},
                 "auto, fp32, fp16, bf16, or q8_0 for GGUF (default: auto)");
  command.option("--adapter", "FOLDER", request->adapter, "Adapter of PEFT to merge into the weights");
  command.flag("--overwrite", request->overwrite, "Replace an existing output of the same format");
  command.finish(kNoGlobals, kMore, [request] { return convert(*request); });
}

}  // namespace terse::launch
