// Opens the source, chooses the types of the weights, and gives the finished output its name.
#include "trainer/saved_model/convert/convert.h"

#include <fmt/format.h>

#include <cerrno>
#include <stdexcept>

#include "base/durable.h"
#include "base/errors.h"
#include "base/file_system.h"
#include "checkpoints/format/manifest.h"
#include "trainer/saved_model/adapter_config.h"
#include "trainer/saved_model/adapter_files.h"
#include "trainer/saved_model/convert/outputs.h"
#include "trainer/saved_model/saved_model.h"

namespace terse::trainer {

namespace fs = std::filesystem;

namespace {

void require_type(const ConvertRequest& request) {
  const bool fp32 = request.dtype.value_or(GgmlType::kF32) == GgmlType::kF32;
  if (request.format == ModelFormat::kCheckpoint && !fp32) {
    throw std::invalid_argument(fmt::format("a checkpoint holds its weights in fp32, not in {}; leave the type out",
                                            ggml_name(*request.dtype)));
  }
  if (request.format == ModelFormat::kHf && request.dtype == GgmlType::kQ8_0) {
    throw std::invalid_argument(
        "q8_0 is a type of GGUF files; choose fp32, fp16 or bf16 for a folder, or an output that ends with .gguf");
  }
  if (request.format == ModelFormat::kAdapter && (!fp32 || !request.adapter.empty())) {
    throw std::invalid_argument("an adapter is written as it is, in fp32; leave the type and the other adapter out");
  }
}

void count_files(const fs::path& path, Converted& result) {
  if (!fs::is_directory(path)) {
    result.files = 1;
    result.bytes = fs::file_size(path);
    return;
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
    ++result.files;
    result.bytes += entry.file_size();
  }
}

// Writes the adapters of a checkpoint alone.
Converted write_adapter_alone(const ConvertRequest& request) {
  const auto adapters = [](const std::string& name, const std::vector<int64_t>& shape) {
    std::optional<checkpoints::Range> range = weights_only(name, shape);
    if (range && !is_adapter_weight(name)) range = checkpoints::Range{};
    return range;
  };
  const auto loaded = load_target(request.from, adapters);
  if (!loaded || !loaded->state.files.contains(kAdapterConfig)) {
    throw std::invalid_argument(fmt::format(
        "{} holds no adapters. Name a checkpoint folder (step-N), or a run folder, of a run with lora.rank above 0",
        request.from.string()));
  }
  const ModelSpec spec = saved_spec(*loaded);
  const auto config = checkpoints::parse_json(loaded->state.files.at(kAdapterConfig));  // saved_spec() has checked it
  const auto base = config.find("base_model_name_or_path");
  const bool is_named = base != config.end() && base->is_string();
  remove_leftovers(request.to);
  NewFolder folder(request.to);
  write_adapter(folder.path(), spec, loaded->state, is_named ? base->get<std::string>() : "");
  folder.publish();
  Converted result;
  result.dtype = "F32";
  for (const auto& [name, shard] : loaded->state.tensors) result.tensors += is_adapter_weight(name) ? 1 : 0;
  count_files(request.to, result);
  result.left_out = {"the weights of the model"};
  return result;
}

std::vector<OutputWeight> weights_of(const ConvertRequest& request, const ModelFiles& model,
                                     std::vector<std::string>& notes) {
  if (request.format == ModelFormat::kGguf) return gguf_weights(model, request.dtype, notes);
  if (request.format == ModelFormat::kCheckpoint) return output_weights(model, GgmlType::kF32);
  return output_weights(model, request.dtype);
}

void require_room(const fs::path& to, uint64_t needed) {
  const fs::path whole = fs::absolute(to).lexically_normal();
  const fs::path folder = whole.has_filename() ? whole.parent_path() : whole.parent_path().parent_path();
  const uint64_t available = posix_file_system()->free_bytes(folder);
  if (needed <= available) return;
  throw DiskError(fmt::format("not enough free space in {}: needed {}, free {}", folder.string(), format_bytes(needed),
                              format_bytes(available)),
                  ENOSPC);
}

std::vector<std::string> write_output(const ConvertRequest& request, const ConvertSource& source,
                                      const std::vector<OutputWeight>& weights, WrittenBytes& written) {
  if (request.format == ModelFormat::kGguf) return write_gguf_file(request.to, source, weights, written);
  std::vector<std::string> notes;
  NewFolder folder(request.to);
  if (request.format == ModelFormat::kHf) {
    notes = write_hf_folder(folder.path(), source, weights, request.max_shard_bytes, written);
  } else {
    write_checkpoint_folder(folder.path(), request.to, source, weights, written);
  }
  folder.publish();
  return notes;
}

}  // namespace

Converted convert_model(const ConvertRequest& request) {
  require_type(request);
  if (request.format == ModelFormat::kAdapter) return write_adapter_alone(request);
  const bool keeps_vocabulary = request.adapter.empty() && request.format == ModelFormat::kGguf &&
                                is_model_files(request.from) && fs::is_regular_file(request.from);
  const ConvertSource source = open_source(request.from, request.adapter, !keeps_vocabulary);
  Converted result;
  result.notes = source.model->notes();
  const std::vector<OutputWeight> weights = weights_of(request, *source.model, result.notes);
  uint64_t total = 0;
  for (const OutputWeight& weight : weights) total += weight.bytes();
  remove_leftovers(request.to);  // first, because they may take the room that is needed
  require_room(request.to, total);
  WrittenBytes written(request.progress, static_cast<int64_t>(total));
  for (std::string& note : write_output(request, source, weights, written)) result.notes.push_back(std::move(note));
  count_files(request.to, result);
  result.dtype = types_text(weights);
  result.tensors = weights.size();
  if (!keeps_vocabulary) result.left_out = extra_content(source);
  if (!keeps_vocabulary && source.vocabulary.tokenizer == nullptr) result.notes.push_back("the model has no tokenizer");
  return result;
}

}  // namespace terse::trainer
