// A folder may look like two formats: a checkpoint has a config.json, too. So checkpoints are recognised first.
#include "trainer/saved_model/convert/source.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>

#include "trainer/saved_model/adapter_files.h"
#include "trainer/saved_model/gguf_model.h"
#include "trainer/saved_model/hf_model.h"

namespace terse::trainer {

namespace fs = std::filesystem;

namespace {

constexpr size_t kShownFiles = 5;

std::string name_of(const fs::path& path) {
  const fs::path whole = fs::absolute(path).lexically_normal();
  const fs::path last = whole.has_filename() ? whole.filename() : whole.parent_path().filename();
  return last.extension() == ".gguf" ? last.stem().string() : last.string();
}

std::vector<std::string> other_files(const fs::path& folder) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!is_hf_file(name)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  if (names.size() > kShownFiles) {
    const std::string more = fmt::format("{} more files", names.size() - kShownFiles + 1);
    names.resize(kShownFiles - 1);
    names.push_back(more);
  }
  return names;
}

}  // namespace

ConvertSource open_source(const fs::path& path, const fs::path& adapter, bool with_vocabulary) {
  ConvertSource source;
  source.path = path;
  source.name = name_of(path);
  if (std::unique_ptr<CheckpointModel> checkpoint = open_checkpoint_model(path)) {
    source.checkpoint = checkpoint.get();
    source.model = std::move(checkpoint);
  } else if (is_model_files(path)) {
    source.is_hf = is_hf_model(path);
    source.is_gguf = !source.is_hf;
    source.model = open_model_files(path);
  } else {
    throw std::invalid_argument(fmt::format(
        "{} holds no model. Name a folder with a config.json and *.safetensors, a GGUF file, a checkpoint folder "
        "(step-N), or a run folder after its first save",
        path.string()));
  }
  if (!adapter.empty()) source.model = merged(std::move(source.model), adapter);
  if (with_vocabulary) source.vocabulary = load_model_vocabulary(source.model->path());
  return source;
}

std::vector<std::string> extra_content(const ConvertSource& source) {
  if (source.checkpoint != nullptr && source.checkpoint->has_training_state()) return {"the state of the training"};
  if (source.is_gguf) return {"further metadata of the GGUF file"};
  if (source.is_hf) return other_files(source.path);
  return {};
}

}  // namespace terse::trainer
