// Reads and writes the text files that make a checkpoint folder complete in itself. They hold the shape of its model,
// its tokenizer and the configuration of its run. With them, a copy of the folder alone can be evaluated, sampled from,
// and trained on.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "checkpoints/store.h"
#include "configs/run_config.h"
#include "data/chat/chat_format.h"
#include "trainer/model/spec.h"

namespace terse::trainer {

// The files of a checkpoint beside its tensors. Checkpoints of older builds have none of them.
constexpr const char* kShapeFile = "config.json";          // see hf_config.h
constexpr const char* kVocabularyFile = "tokenizer.json";  // data::Tokenizer::definition()
constexpr const char* kRunConfigFile = "config.yaml";      // the resolved configuration, as the run folder holds it
constexpr const char* kChatTemplateFile = "chat_template.jinja";  // only where the run has a chat template
// A run with LoRA also has an adapter_config.json (adapter_config.h). Its checkpoints hold the frozen weights and,
// under the names of PEFT, the adapters.

// Returns these files for the checkpoints of a run.
std::map<std::string, std::string> self_description(const configs::RunConfig& config, const ModelSpec& spec,
                                                    const data::ChatFormat& chat);

// Loads a checkpoint folder, or the newest sound checkpoint of a run folder. Returns nullopt when `target` is neither,
// or a run folder without checkpoints. Throws DataError when it is damaged. With several ranks, all call it, and the
// first decides what the target is.
std::optional<checkpoints::Store::Loaded> load_target(const std::filesystem::path& target,
                                                      const checkpoints::Wanted& wanted,
                                                      const checkpoints::Readers& readers = {});

// A checkpoints::Wanted: all of each weight, and nothing of the training state.
std::optional<checkpoints::Range> weights_only(const std::string& name, const std::vector<int64_t>& shape);

// Returns the shape that a checkpoint's config.json tells, with its adapters, once its weights have been compared with
// it. Throws DataError, which names the file and the key, or the tensor with both shapes.
ModelSpec saved_spec(const checkpoints::Store::Loaded& loaded);
// Throws DataError, which names the tensor with both shapes, when the weights are not those of a model of this shape.
void require_weights(const ModelSpec& spec, const checkpoints::Store::Loaded& loaded);
// Returns the id of the tokenizer that the checkpoint was trained with; "" in one of a very old build.
std::string saved_tokenizer(const checkpoints::Store::Loaded& loaded);

}  // namespace terse::trainer
