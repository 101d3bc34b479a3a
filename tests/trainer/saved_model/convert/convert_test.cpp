// Converts the models that transformers has saved, and reads the outputs back: tensors keep their bytes, and models
// their logits. `scripts/compare_model.sh --tiny` does the same with transformers and the Python package gguf.
#include "trainer/saved_model/convert/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/formats/gguf/quantization.h"
#include "base/formats/gguf/writer.h"
#include "checkpoints/store.h"
#include "configs/load.h"
#include "data/pack.h"
#include "data/tokenizers/tokenizer_factory.h"
#include "tests/trainer/saved_model/convert/support.h"
#include "trainer/model/transformer.h"
#include "trainer/saved_model/checkpoint_model.h"
#include "trainer/saved_model/gguf_model.h"
#include "trainer/saved_model/initial_weights.h"
#include "trainer/saved_model/model_files.h"
#include "trainer/saved_model/model_vocabulary.h"
#include "trainer/saved_model/saved_model.h"

namespace terse::trainer {
namespace {

using namespace converting;
using support::read_file;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

double largest_difference(const ModelFiles& files, const json& expected) {
  torch::NoGradGuard no_grad;
  ModelSpec spec = files.spec();
  spec.bf16 = false;
  Transformer model(spec, torch::kCPU, 0, {}, Purpose::kInference);
  model.fill([&](const ParamInfo& info, int64_t begin, int64_t end, float* out) { files.read(info, begin, end, out); });
  const std::vector<int32_t> tokens = expected["tokens"];
  const data::Batch batch = data::pack({data::Sequence{tokens, std::vector<float>(tokens.size())}});
  const torch::Tensor logits = model.hidden(batch).x.matmul(model.params().head().t());
  double largest = 0;
  for (int64_t t = 0; t < logits.size(0); ++t) {
    const torch::Tensor there = torch::tensor(expected["logits"][static_cast<size_t>(t)].get<std::vector<float>>());
    largest = std::max(largest, (logits[t] - there).abs().max().item<double>());
  }
  return largest;
}

TEST_F(Convert, EveryWayKeepsBytesAndLogits) {
  const std::map<std::string, GgmlType> types = {
      {"llama", GgmlType::kF32}, {"mistral", GgmlType::kBF16}, {"qwen2", GgmlType::kF16}, {"qwen3", GgmlType::kF32}};
  for (const std::string name : kModels) {
    SCOPED_TRACE(name);
    const auto original = tensors_of(model(name));
    const json expected = json_of(kFixtures / name / "expected.json");
    to_hf(model(name), name + "-hf");
    EXPECT_EQ(tensors_of(folder_ / (name + "-hf")), original);
    to_checkpoint(model(name), name + "-checkpoint");
    to_hf(folder_ / (name + "-checkpoint"), name + "-2", types.at(name));
    EXPECT_EQ(tensors_of(folder_ / (name + "-2")), original) << "by way of a checkpoint";
    to_gguf(folder_ / (name + "-checkpoint"), name + ".gguf", types.at(name));
    to_hf(folder_ / (name + ".gguf"), name + "-3", types.at(name));
    EXPECT_EQ(tensors_of(folder_ / (name + "-3")), original) << "by way of a GGUF file";
    to_gguf(folder_ / (name + "-3"), name + "-2.gguf");
    EXPECT_EQ(tensors_of_gguf(folder_ / (name + "-2.gguf")), tensors_of_gguf(folder_ / (name + ".gguf")));
    EXPECT_LT(largest_difference(*open_model_files(folder_ / (name + "-3")), expected), 1e-5);
    EXPECT_LT(largest_difference(*open_model_files(folder_ / (name + ".gguf")), expected), 1e-5);
    EXPECT_LT(largest_difference(*open_checkpoint_model(folder_ / (name + "-checkpoint")), expected), 1e-5);
  }
}

// The fixtures' GGUF files are those of the Python package gguf, with llama.cpp's order of rows.
TEST_F(Convert, AGgufFileHasTheTensorsOfThePythonPackage) {
  for (const std::string name : kModels) {
    to_gguf(model(name), name + ".gguf", GgmlType::kF32);
    auto ours = tensors_of_gguf(folder_ / (name + ".gguf")), theirs = tensors_of_gguf(kFixtures / name / "model.gguf");
    if (name == "llama") {  // computed in fp64 here and in fp32 there
      const std::string a = ours.at("rope_freqs.weight").second, b = theirs.at("rope_freqs.weight").second;
      ASSERT_EQ(a.size(), b.size());
      for (size_t i = 0; i < a.size(); i += 4) {
        float x = 0, y = 0;
        std::memcpy(&x, a.data() + i, 4);
        std::memcpy(&y, b.data() + i, 4);
        EXPECT_NEAR(x, y, 1e-5);
      }
      ours.erase("rope_freqs.weight");
      theirs.erase("rope_freqs.weight");
    }
    EXPECT_EQ(ours, theirs) << name;
  }
}

TEST_F(Convert, TheFilesBesideTheWeightsSurvive) {
  to_checkpoint(model("qwen2"), "checkpoint");
  to_gguf(folder_ / "checkpoint", "model.gguf");
  to_hf(folder_ / "model.gguf", "hf");
  json config = json_of(folder_ / "hf/config.json");
  EXPECT_EQ(config["vocab_size"], 32) << "two more than the tokenizer has";
  EXPECT_EQ(config["eos_token_id"], json::array({29, 27}));
  EXPECT_EQ(config["bos_token_id"], 28);
  EXPECT_EQ(config["torch_dtype"], "float32");
  EXPECT_EQ(config["architectures"], json::array({"Qwen2ForCausalLM"}));
  EXPECT_EQ(config["rms_norm_eps"], 1e-6) << "the decimal, and not the fp32 number of the GGUF file";
  EXPECT_EQ(json_of(folder_ / "hf/generation_config.json"), json({{"bos_token_id", 28}, {"eos_token_id", {29, 27}}}));
  const json tokenizer_config = json_of(folder_ / "hf/tokenizer_config.json");
  EXPECT_EQ(tokenizer_config["bos_token"], "<bos>");
  EXPECT_EQ(tokenizer_config["eos_token"], "<eos>");
  EXPECT_EQ(tokenizer_config["tokenizer_class"], "PreTrainedTokenizerFast");
  EXPECT_EQ(tokenizer_config["chat_template"], kTemplate);
  EXPECT_EQ(read_file(folder_ / "hf/chat_template.jinja"), kTemplate);
  const std::string id = data::parse_tokenizer(tiny_tokenizer(), "test")->id();
  for (const char* path : {"checkpoint", "model.gguf", "hf"}) {
    const ModelVocabulary vocabulary = load_model_vocabulary(folder_ / path);
    ASSERT_NE(vocabulary.tokenizer, nullptr) << path;
    EXPECT_EQ(vocabulary.chat_template, kTemplate) << path;
    EXPECT_EQ(vocabulary.tokenizer->vocab_size(), 30) << path;
    EXPECT_EQ(vocabulary.tokenizer->bos(), 28) << path;
    EXPECT_THAT(vocabulary.tokenizer->eos_ids(), ElementsAre(29, 27)) << path;
    EXPECT_THAT(vocabulary.tokenizer->encode("abcab"), ElementsAre(27, 26)) << path;
    EXPECT_EQ(vocabulary.tokenizer->id(), id) << path;
  }
  to_hf(model("qwen2"), "again");
  EXPECT_EQ(json_of(folder_ / "again/generation_config.json")["top_p"], 0.8) << "a folder keeps what it samples with";
}

TEST_F(Convert, AGgufFileHasTheKeysOfLlamaCpp) {
  const Converted result = to_gguf(model("llama"), "m.gguf", GgmlType::kF16);
  EXPECT_EQ(result.dtype, "F16 and F32");
  const GgufFile file(folder_ / "m.gguf");
  EXPECT_EQ(file.text("general.architecture"), "llama");
  EXPECT_EQ(file.text("general.name"), "given-llama");
  EXPECT_EQ(file.integer("general.file_type"), 1);
  for (const auto& [key, value] : std::map<std::string, int64_t>{{"block_count", 2},
                                                                 {"context_length", 64},
                                                                 {"embedding_length", 24},
                                                                 {"feed_forward_length", 40},
                                                                 {"attention.head_count", 4},
                                                                 {"attention.head_count_kv", 2},
                                                                 {"attention.key_length", 10},
                                                                 {"attention.value_length", 10},
                                                                 {"rope.dimension_count", 10},
                                                                 {"vocab_size", 32}}) {
    EXPECT_EQ(file.integer("llama." + key), value) << key;
    EXPECT_EQ(file.find("llama." + key)->type, GgufType::kUint32) << key << ": llama.cpp reads no other type";
  }
  EXPECT_EQ(file.number("llama.rope.freq_base"), 100000);
  EXPECT_EQ(file.number("llama.attention.layer_norm_rms_epsilon"), static_cast<double>(1e-6f));
  EXPECT_EQ(file.text("tokenizer.ggml.model"), "gpt2");
  EXPECT_EQ(file.text("tokenizer.ggml.pre"), "gpt-2");
  EXPECT_EQ(file.texts("tokenizer.ggml.tokens").size(), 32u);
  EXPECT_EQ(file.texts("tokenizer.ggml.tokens").back(), "[PAD31]");
  EXPECT_EQ(file.integers("tokenizer.ggml.token_type").back(), 5);
  EXPECT_EQ(file.integers("tokenizer.ggml.token_type")[29], 3);
  EXPECT_THAT(file.texts("tokenizer.ggml.merges"), ElementsAre("a b", "ab c"));
  EXPECT_EQ(file.integer("tokenizer.ggml.bos_token_id"), 28);
  EXPECT_EQ(file.integer("tokenizer.ggml.eos_token_id"), 29);
  EXPECT_EQ(file.integer("tokenizer.ggml.eot_token_id"), 27);
  EXPECT_FALSE(file.boolean("tokenizer.ggml.add_bos_token"));
  EXPECT_EQ(file.text("tokenizer.chat_template"), kTemplate);
  for (const GgufTensor& tensor : file.tensors())
    EXPECT_EQ(tensor.type, tensor.shape.size() == 1 ? GgmlType::kF32 : GgmlType::kF16) << tensor.name;
}

TEST_F(Convert, AGgufFileKeepsItsMetadata) {
  to_gguf(model("llama"), "m.gguf");
  to_gguf(folder_ / "m.gguf", "half.gguf", GgmlType::kF16);
  const GgufFile before(folder_ / "m.gguf"), after(folder_ / "half.gguf");
  EXPECT_EQ(after.integer("general.file_type"), 1);
  EXPECT_EQ(after.metadata().size(), before.metadata().size());
  for (const GgufEntry& entry : before.metadata()) {
    if (entry.key == "general.file_type") continue;
    ASSERT_TRUE(after.has(entry.key)) << entry.key;
    EXPECT_EQ(after.find(entry.key)->bytes, entry.value.bytes) << entry.key;
  }
  EXPECT_EQ(after.tensor("rope_freqs.weight").bytes, before.tensor("rope_freqs.weight").bytes);
}

// With such a base, each frequency is divided by 1 or by the whole factor, which F16 holds exactly.
TEST_F(Convert, RopeFactorsOfAnotherTypeBecomeF32) {
  const GgufFile given(kFixtures / "llama/model.gguf");
  GgufMetadata metadata;
  for (const GgufEntry& entry : given.metadata()) {
    if (entry.key == "llama.rope.freq_base") {
      metadata.add_float32(entry.key, 1e30f);
    } else if (entry.key != kGgufAlignmentKey) {
      metadata.add(entry);
    }
  }
  const std::vector<float> factors = {1, 8, 8, 8, 8};
  std::vector<GgufSpec> specs;
  for (const GgufTensor& tensor : given.tensors()) {
    const bool is_factors = tensor.name == kGgufRopeFactors;
    specs.push_back({std::string(tensor.name), is_factors ? GgmlType::kF16 : tensor.type, tensor.shape});
  }
  GgufWriter writer(folder_ / "half.gguf", metadata, specs);
  for (const GgufTensor& tensor : given.tensors()) {
    const bool is_factors = tensor.name == kGgufRopeFactors;
    writer.write(tensor.name, is_factors ? quantize(GgmlType::kF16, factors, tensor.name) : std::string(tensor.bytes));
  }
  writer.finish();
  to_gguf(folder_ / "half.gguf", "out.gguf");
  const GgufFile out(folder_ / "out.gguf");
  const GgufTensor& tensor = out.tensor(kGgufRopeFactors);
  EXPECT_EQ(tensor.type, GgmlType::kF32);
  std::vector<float> values(5);
  out.read_rows(tensor, 0, 1, values);
  EXPECT_EQ(values, factors);
}

TEST_F(Convert, ADamagedFileBesideTheWeightsIsNamed) {
  fs::remove(model("qwen3") / "tokenizer.json");
  for (const char* text : {"{", "[]"}) {
    std::ofstream(model("qwen3") / "generation_config.json") << text;
    EXPECT_THAT(complaint([&] { to_hf(model("qwen3"), "hf"); }),
                HasSubstr("given-qwen3/generation_config.json: it is not"));
  }
}

TEST_F(Convert, ACheckpointIsSoundAndGivesARunItsFirstWeights) {
  const Converted result = to_checkpoint(model("llama"), "step-7");
  EXPECT_THAT(checkpoints::verify(folder_ / "step-7"), IsEmpty());
  EXPECT_EQ(result.dtype, "F32");
  const auto loaded = checkpoints::load(folder_ / "step-7");
  EXPECT_EQ(loaded.info.step, 7) << "as the name of the folder says";
  EXPECT_EQ(saved_spec(loaded).vocab, 32);
  const auto config = configs::load_saved(loaded.state.files.at(kRunConfigFile), "config.yaml");
  EXPECT_THAT(config.stages, ElementsAre("pretrain"));
  EXPECT_EQ(config.model.head_dim, 10);
  Transformer fresh(saved_spec(loaded), torch::kCPU, 1);
  load_initial_weights(fresh, folder_ / "step-7", saved_tokenizer(loaded), {});
  checkpoints::StateDict state;
  fresh.save(state);
  for (const auto& [name, shard] : loaded.state.tensors)
    EXPECT_TRUE(torch::equal(state.tensors.at(name).data.reshape({-1}), shard.data.reshape({-1}))) << name;
}

// A checkpoint of a run also holds the state of the training, here in files that hold parts of tensors.
TEST_F(Convert, ACheckpointOfARunLosesItsTrainingStateOnly) {
  to_checkpoint(model("llama"), "first");
  checkpoints::StateDict state = checkpoints::load(folder_ / "first").state;
  state.tensors["optimizer.m/model.norm.weight"] = state.tensors.at("model.norm.weight");
  state.extra["progress"] = {{"step", 9}};
  checkpoints::Store store(folder_ / "run/checkpoints", {.keep = 9, .async = false, .shard_bytes = 5000});
  store.save({9, "rl", "abc", 0.5}, state);
  store.save({12, "rl", "abc", 0.5}, state);
  const Converted result = to_hf(folder_ / "run", "hf");
  EXPECT_THAT(result.left_out, ElementsAre("the state of the training"));
  EXPECT_EQ(tensors_of(folder_ / "hf"), tensors_of(model("llama")));
  to_checkpoint(folder_ / "run/checkpoints/step-9", "small");
  const auto loaded = checkpoints::load(folder_ / "small");
  EXPECT_EQ(loaded.info.step, 9);
  EXPECT_EQ(loaded.info.stage, "rl");
  EXPECT_EQ(loaded.state.files.at(kRunConfigFile), state.files.at(kRunConfigFile));
  EXPECT_FALSE(loaded.state.tensors.contains("optimizer.m/model.norm.weight"));
  // The newest checkpoint is damaged, so the one before is used, and a note says so.
  std::fstream(folder_ / "run/checkpoints/step-12/rank-0.1.h5", std::ios::in | std::ios::out).seekp(3000).put('x');
  EXPECT_THAT(to_hf(folder_ / "run", "hf2").notes, Contains(AllOf(HasSubstr("step-12"), HasSubstr("step-9"))));
  EXPECT_THAT(complaint([&] { to_hf(folder_ / "run/checkpoints/step-12", "hf3"); }),
              AllOf(HasSubstr("step-12"), HasSubstr("rank-0.1.h5")));
}

TEST_F(Convert, ATokenizerOfTersesOwnStaysBesideTheModel) {
  const fs::path given = model("qwen3");
  const std::string own =
      R"({"format":"terse-tokenizer","version":1,"kind":"symbol","name":"s","symbols":["a","<eos>"]})";
  std::ofstream(given / "tokenizer.json") << own;
  fs::remove(given / "tokenizer_config.json");
  fs::remove(given / "generation_config.json");
  const Converted result = to_hf(given, "hf");
  EXPECT_THAT(result.notes, Contains(HasSubstr("terse's own format")));
  EXPECT_FALSE(fs::exists(folder_ / "hf/tokenizer_config.json"));
  EXPECT_EQ(load_model_vocabulary(folder_ / "hf").tokenizer->id(), load_model_vocabulary(given).tokenizer->id());
  EXPECT_EQ(json_of(folder_ / "hf/config.json")["eos_token_id"], 1);
  const Converted gguf = to_gguf(given, "m.gguf");
  EXPECT_THAT(gguf.notes, Contains(HasSubstr("the file has no vocabulary, because llama.cpp has no counterpart")));
  EXPECT_EQ(GgufFile(folder_ / "m.gguf").text("tokenizer.ggml.model"), "none");
  EXPECT_THAT(to_hf(folder_ / "m.gguf", "again").notes, Contains("the model has no tokenizer"));
}

TEST_F(Convert, WhatHasNoPlaceInTheFormatIsRefused) {
  EXPECT_THAT(complaint([&] { to_hf(model("qwen3"), "hf", GgmlType::kQ8_0); }), HasSubstr("q8_0 is a type of GGUF"));
  EXPECT_THAT(complaint([&] { convert(model("qwen3"), "c", ModelFormat::kCheckpoint, GgmlType::kBF16); }),
              HasSubstr("a checkpoint holds its weights in fp32"));
  EXPECT_THAT(complaint([&] { to_checkpoint(kFixtures / "qwen3", "c"); }), HasSubstr("has no tokenizer"));
  EXPECT_THAT(complaint([&] { to_hf(folder_.path(), "hf"); }), HasSubstr("holds no model. Name a folder"));
  json config = json_of(model("qwen2") / "config.json");
  config["rope_parameters"] = json_of(kFixtures / "llama/config.json")["rope_parameters"];
  std::ofstream(model("qwen2") / "config.json") << config.dump();
  EXPECT_THAT(complaint([&] { to_gguf(model("qwen2"), "m.gguf"); }), HasSubstr("only for models of Llama"));
  json tokenizer = json::parse(tiny_tokenizer());
  tokenizer["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Split"}, {"pattern", {{"Regex", "[a-c]+"}}}, {"behavior", "Isolated"}, {"invert", false}},
        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
  std::ofstream(model("qwen3") / "tokenizer.json") << tokenizer.dump();
  EXPECT_THAT(complaint([&] { to_gguf(model("qwen3"), "m.gguf"); }),
              AllOf(HasSubstr("[a-c]+"), HasSubstr("tokenizer.ggml.pre has no word")));
  EXPECT_THAT(folder_.names(), UnorderedElementsAre("given-qwen2", "given-qwen3")) << "nothing is left";
}

TEST_F(Convert, AnOutputIsReplacedAsAWhole) {
  to_hf(model("qwen3"), "out");
  std::ofstream(folder_ / "out/old") << "old";
  fs::create_directory(folder_ / "out.tmp-999999999-1-1");  // of a process that was killed
  to_hf(model("llama"), "out");
  EXPECT_EQ(tensors_of(folder_ / "out"), tensors_of(model("llama")));
  EXPECT_FALSE(fs::exists(folder_ / "out/old"));
  EXPECT_FALSE(fs::exists(folder_ / "out/model.safetensors.index.json"));
  EXPECT_THAT(folder_.names(), UnorderedElementsAre("given-llama", "given-qwen3", "out"));
}

TEST_F(Convert, ProgressEndsAtAllBytes) {
  int64_t last = 0, whole = 0;
  convert_model({.from = model("llama"),
                 .to = folder_ / "hf",
                 .dtype = GgmlType::kBF16,
                 .progress = [&](int64_t done, int64_t total) {
                   EXPECT_GT(done, last);
                   last = done;
                   whole = total;
                 }});
  EXPECT_EQ(last, whole);
  EXPECT_EQ(whole, ParamLayout(open_model_files(model("llama"))->spec()).size * 2);
}

}  // namespace
}  // namespace terse::trainer
