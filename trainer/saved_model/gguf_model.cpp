// Translates metadata into the keys of config.json, so that one function checks the shapes of all formats.
#include "trainer/saved_model/gguf_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string_view>

#include "base/errors.h"
#include "base/formats/gguf/file.h"
#include "base/formats/tensor_shape.h"
#include "trainer/saved_model/hf_config.h"

namespace terse::trainer {

namespace {

using nlohmann::json;

struct Name {
  std::string_view hf, gguf;
};
constexpr Name kNames[] = {
    {"model.embed_tokens.weight", "token_embd.weight"},
    {"model.norm.weight", "output_norm.weight"},
    {"lm_head.weight", "output.weight"},
};
constexpr Name kBlockNames[] = {
    {"input_layernorm.weight", "attn_norm.weight"},
    {"self_attn.q_proj.weight", "attn_q.weight"},
    {"self_attn.k_proj.weight", "attn_k.weight"},
    {"self_attn.v_proj.weight", "attn_v.weight"},
    {"self_attn.q_proj.bias", "attn_q.bias"},
    {"self_attn.k_proj.bias", "attn_k.bias"},
    {"self_attn.v_proj.bias", "attn_v.bias"},
    {"self_attn.q_norm.weight", "attn_q_norm.weight"},
    {"self_attn.k_norm.weight", "attn_k_norm.weight"},
    {"self_attn.o_proj.weight", "attn_output.weight"},
    {"post_attention_layernorm.weight", "ffn_norm.weight"},
    {"mlp.gate_proj.weight", "ffn_gate.weight"},
    {"mlp.up_proj.weight", "ffn_up.weight"},
    {"mlp.down_proj.weight", "ffn_down.weight"},
};
constexpr std::string_view kRopeFactors = kGgufRopeFactors;

struct Key {
  const char* hf;
  const char* gguf;  // after "llama."
};
constexpr Key kWholeNumbers[] = {
    {"num_hidden_layers", "block_count"},
    {"max_position_embeddings", "context_length"},
    {"hidden_size", "embedding_length"},
    {"intermediate_size", "feed_forward_length"},
    {"num_attention_heads", "attention.head_count"},
};

// Returns the shortest decimal of an fp32 number: 1e-6 and not 9.99999997e-7, which is what the converter was given.
double shortest_decimal(double fp32) {
  return std::stod(fmt::format("{}", static_cast<float>(fp32)));
}

// Reads the shape of one file.
class Shape {
 public:
  explicit Shape(const GgufFile& file) : file_(file), architecture_(file.text("general.architecture")) {
    constexpr std::array<std::string_view, 3> kKnown = {"llama", "qwen2", "qwen3"};
    if (std::find(kKnown.begin(), kKnown.end(), architecture_) == kKnown.end()) {
      fail(fmt::format("general.architecture is {}; expected llama, qwen2 or qwen3", quote(architecture_)));
    }
  }

  bool is_llama() const { return architecture_ == "llama"; }

  ModelSpec spec() const {
    const json config = hf_config();
    ModelSpec spec;
    try {
      spec = spec_from_hf_config(config);
    } catch (const DataError& error) {
      fail(fmt::format("its metadata, under the names of config.json: {}", error.what()));
    }
    if (file_.find_tensor(kRopeFactors) != nullptr) spec.rope_scaling = rope_scaling(spec);
    return spec;
  }

 private:
  std::string key(const char* name) const { return fmt::format("{}.{}", architecture_, name); }

  json hf_config() const {
    refuse_unsupported();
    json config = {{"model_type", architecture_},
                   {"sliding_window", nullptr},
                   {"tie_word_embeddings", file_.find_tensor("output.weight") == nullptr},
                   {"rms_norm_eps", shortest_decimal(file_.number(key("attention.layer_norm_rms_epsilon")))}};
    for (const Key& k : kWholeNumbers) config[k.hf] = file_.integer(key(k.gguf));
    const auto optional = [&](const char* hf, const char* gguf) {
      if (file_.has(key(gguf))) config[hf] = file_.integer(key(gguf));
    };
    config["num_key_value_heads"] = config["num_attention_heads"];
    optional("num_key_value_heads", "attention.head_count_kv");
    optional("head_dim", "attention.key_length");
    if (file_.has(key("rope.freq_base"))) config["rope_theta"] = shortest_decimal(file_.number(key("rope.freq_base")));
    const GgufTensor& embedding = file_.tensor("token_embd.weight");
    config["vocab_size"] = embedding.shape.empty() ? 0 : embedding.shape.front();
    return config;
  }

  void refuse_unsupported() const {
    if (const std::string scaling = key("rope.scaling.type"); file_.has(scaling) && file_.text(scaling) != "none") {
      fail(fmt::format("{} is {}; expected none", scaling, quote(file_.text(scaling))));
    }
    if (file_.has("split.count") && file_.integer("split.count") > 1) {
      fail(fmt::format("split.count is {}: it is a part of a model; join the parts with llama-gguf-split --merge",
                       file_.integer("split.count")));
    }
    for (const char* name : {"expert_count", "attention.sliding_window"}) {
      if (!file_.has(key(name)) || file_.integer(key(name)) == 0) continue;
      fail(fmt::format("{} is {}; expected 0, or no such key", key(name), file_.integer(key(name))));
    }
    const auto same = [&](const char* one, const char* other) {
      if (!file_.has(key(one)) || !file_.has(key(other)) || file_.integer(key(one)) == file_.integer(key(other)))
        return;
      fail(fmt::format("{} is {} and {} is {}; expected equal sizes", key(one), file_.integer(key(one)), key(other),
                       file_.integer(key(other))));
    };
    same("attention.key_length", "attention.value_length");
    same("attention.key_length", "rope.dimension_count");
  }

  // A file of Llama 3.1 or later holds what divides each frequency, and not the numbers that these come from. All
  // models of that family have the same ones but for the largest factor.
  configs::RopeScaling rope_scaling(const ModelSpec& spec) const {
    const GgufTensor& tensor = file_.tensor(kRopeFactors);
    if (tensor.shape != std::vector<int64_t>{spec.head_dim / 2}) {
      fail(fmt::format("tensor {} has shape [{}], expected [{}]", kRopeFactors, fmt::join(tensor.shape, ", "),
                       spec.head_dim / 2));
    }
    std::vector<float> factors(static_cast<size_t>(spec.head_dim / 2));
    file_.read_rows(tensor, 0, 1, factors);
    ModelSpec plain = spec, scaled = spec;
    scaled.rope_scaling.type = "llama3";
    scaled.rope_scaling.factor = *std::max_element(factors.begin(), factors.end());
    const std::vector<double> before = rope_frequencies(plain), after = rope_frequencies(scaled);
    for (size_t i = 0; i < factors.size(); ++i) {
      const double expected = before[i] / after[i];
      if (std::abs(factors[i] - expected) <= 1e-4 * expected) continue;
      fail(
          fmt::format("tensor {}: element {} is {}, but Llama 3's scaling by {} has {} there; other scalings of rotary "
                      "positions are not supported",
                      kRopeFactors, i, factors[i], scaled.rope_scaling.factor, expected));
    }
    return scaled.rope_scaling;
  }

  [[noreturn]] void fail(const std::string& what) const { throw DataError(fmt::format("{}: {}", file_.name(), what)); }

  const GgufFile& file_;
  std::string architecture_;
};

class GgufModel final : public ModelFiles {
 public:
  GgufModel(const std::filesystem::path& path, std::unique_ptr<GgufFile> file, const Shape& shape)
      : ModelFiles(path, shape.spec()), file_(std::move(file)), is_llama_(shape.is_llama()) {
    require_tensors();
  }

  void read(const ParamInfo& info, int64_t begin, int64_t end, float* out) const override {
    const GgufTensor& tensor = file_->tensor(gguf_name(info.name));
    const bool turned = is_llama_ && (info.name.ends_with("q_proj.weight") || info.name.ends_with("k_proj.weight"));
    const int64_t columns = row_elements(tensor.shape);
    read_by_rows(columns, begin, end, out, [&](int64_t first, int64_t count, std::span<float> values) {
      if (!turned) return file_->read_rows(tensor, first, count, values);
      for (int64_t r = 0; r < count; ++r) {
        const int64_t row = gguf_row_of_llama(first + r, spec_.head_dim);
        file_->read_rows(tensor, row, 1,
                         values.subspan(static_cast<size_t>(r * columns), static_cast<size_t>(columns)));
      }
    });
    file_->release(tensor.bytes);
  }

  GgmlType stored_type(const ParamInfo& info) const override {
    const GgmlType type = file_->tensor(gguf_name(info.name)).type;
    return type == GgmlType::kF16 || type == GgmlType::kBF16 ? type : GgmlType::kF32;
  }

 private:
  void require_tensors() const {
    std::set<std::string, std::less<>> known = {std::string(kRopeFactors)};
    for (const ParamInfo& info : ParamLayout(spec_).infos) {
      const GgufTensor& tensor = file_->tensor(*known.insert(gguf_name(info.name)).first);
      if (tensor.shape == info.shape) continue;
      throw DataError(fmt::format("{}: tensor {} has shape [{}]; a model of its metadata has [{}]", file_->name(),
                                  tensor.name, fmt::join(tensor.shape, ", "), fmt::join(info.shape, ", ")));
    }
    for (const GgufTensor& tensor : file_->tensors()) {
      if (known.contains(tensor.name)) continue;
      throw DataError(
          fmt::format("{}: tensor {} is no part of a model of its metadata", file_->name(), quote(tensor.name)));
    }
  }

  std::unique_ptr<GgufFile> file_;
  bool is_llama_;
};

}  // namespace

bool is_gguf_file(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return false;
  std::array<char, 4> magic{};
  std::ifstream(path, std::ios::binary).read(magic.data(), magic.size());
  return std::string_view(magic.data(), magic.size()) == "GGUF";
}

std::unique_ptr<ModelFiles> open_gguf_model(const std::filesystem::path& path) {
  auto file = std::make_unique<GgufFile>(path);
  const Shape shape(*file);
  return std::make_unique<GgufModel>(path, std::move(file), shape);
}

std::string gguf_name(const std::string& hf_name) {
  for (const Name& name : kNames) {
    if (hf_name == name.hf) return std::string(name.gguf);
  }
  constexpr std::string_view kLayers = "model.layers.";
  if (const size_t dot = hf_name.find('.', kLayers.size()); hf_name.starts_with(kLayers) && dot != std::string::npos) {
    const std::string layer = hf_name.substr(kLayers.size(), dot - kLayers.size());
    for (const Name& name : kBlockNames) {
      if (std::string_view(hf_name).substr(dot + 1) == name.hf) return fmt::format("blk.{}.{}", layer, name.gguf);
    }
  }
  throw std::invalid_argument(fmt::format("no tensor of our models is called {}", hf_name));
}

int64_t gguf_row_of_llama(int64_t row, int64_t head_dim) {
  const int64_t half = head_dim / 2, head = row / head_dim, within = row % head_dim;
  return head * head_dim + 2 * (within % half) + within / half;
}

}  // namespace terse::trainer
