// Effects of the options of the model, on the shapes of the saved weights and on the first loss with equal weights.
#include <cmath>

#include "tests/options/option_effects.h"

namespace terse::options {
namespace {

const std::string kBlock = "layers.0.";

std::vector<int64_t> shape(const Observed& run, const std::string& name) {
  const Weights weights = run.weights();
  const auto found = weights.find(name);
  return found == weights.end() ? std::vector<int64_t>{} : found->second.sizes().vec();
}

double first_loss(const Observed& run) {
  return run.metric("loss").at(0);
}

// The initial weights: with a learning rate of 0, the first checkpoint still has them.
Weights initial(const Settings& settings) {
  return finetune(settings + Settings{"sft.optimizer.lr=0"}).weights(1);
}

// Expects that the settings leave the initial weights equal and change the first loss.
void expect_other_loss_of_equal_weights(const Settings& settings) {
  EXPECT_TRUE(same(initial(settings), initial({})));
  EXPECT_NE(first_loss(finetune(settings)), first_loss(finetune()));
}

void depth(const Option& option) {
  const Observed& run = finetune(option.set("2"));
  EXPECT_EQ(run.weights().count("layers.1.input_layernorm.weight"), 1u);
  EXPECT_EQ(run.weights().count("layers.2.input_layernorm.weight"), 0u);
  EXPECT_EQ(shape(run, "embed_tokens.weight").at(1), 128);
  EXPECT_EQ(run.config.model.heads, 2);
}

void layers(const Option& option) {
  const Weights weights = finetune(option.set("3")).weights();
  EXPECT_EQ(weights.count("layers.2.input_layernorm.weight"), 1u);
  EXPECT_EQ(weights.count("layers.3.input_layernorm.weight"), 0u);
  EXPECT_EQ(finetune().weights().count("layers.1.input_layernorm.weight"), 0u);
}

void hidden_size(const Option& option) {
  EXPECT_EQ(shape(finetune(option.set("24")), "norm.weight"), std::vector<int64_t>{24});
}

// The heads divide the hidden size among themselves.
void heads(const Option& option) {
  const Settings norm = {"model.qk_norm=true"};
  EXPECT_EQ(shape(finetune(option.set("4", norm)), kBlock + "self_attn.q_norm.weight"), std::vector<int64_t>{4});
  EXPECT_EQ(shape(finetune(norm), kBlock + "self_attn.q_norm.weight"), std::vector<int64_t>{8});
  expect_other_loss_of_equal_weights(option.set("4"));
}

void kv_heads(const Option& option) {
  const Observed& run = finetune(option.set("1"));
  EXPECT_EQ(shape(run, kBlock + "self_attn.k_proj.weight"), (std::vector<int64_t>{8, 16}));
  EXPECT_EQ(shape(run, kBlock + "self_attn.v_proj.weight"), (std::vector<int64_t>{8, 16}));
  EXPECT_EQ(shape(run, kBlock + "self_attn.q_proj.weight"), (std::vector<int64_t>{16, 16}));
}

void head_dim(const Option& option) {
  const Observed& run = finetune(option.set("12"));
  EXPECT_EQ(shape(run, kBlock + "self_attn.q_proj.weight"), (std::vector<int64_t>{24, 16}));
  EXPECT_EQ(shape(run, kBlock + "self_attn.o_proj.weight"), (std::vector<int64_t>{16, 24}));
}

void intermediate_size(const Option& option) {
  EXPECT_EQ(shape(finetune(option.set("40")), kBlock + "mlp.down_proj.weight"), (std::vector<int64_t>{16, 40}));
}

void vocab_size(const Option& option) {
  EXPECT_EQ(shape(finetune(option.set("20")), "embed_tokens.weight"), (std::vector<int64_t>{20, 16}));
  EXPECT_EQ(shape(finetune(), "embed_tokens.weight"), (std::vector<int64_t>{16, 16}));
}

// The longest sequence of pretraining when pretrain.seq_len is 0.
void max_seq_len(const Option& option) {
  const auto longest = [&](const std::string& value) {
    const Observed& run = pretrain(option.set(value, {"pretrain.seq_len=0", "pretrain.optimizer.lr=0"}));
    return run.saved(1).state.extra.at("progress").at("extra").at("stream").at("context").get<int64_t>();
  };
  EXPECT_EQ(longest("24"), 24);
  EXPECT_EQ(longest("8"), 8);
}

// RoPE acts only between tokens, so the loss of single tokens must not change.
void rope_theta(const Option& option) {
  expect_other_loss_of_equal_weights(option.set("3"));
  const Settings alone = {"pretrain.seq_len=1"};
  EXPECT_EQ(first_loss(pretrain(option.set("3", alone))), first_loss(pretrain(alone)));
  EXPECT_NE(first_loss(pretrain(option.set("3"))), first_loss(pretrain()));
}

// Scales all frequencies by 1/2, unless a setting says otherwise. Windows of 24 tokens.
const Settings kScaled = {"model.rope_scaling.type=llama3", "model.rope_scaling.factor=2",
                          "model.rope_scaling.original_max_seq_len=16"};

void rope_scaling_type(const Option& option) {
  const Settings numbers = {"model.rope_scaling.factor=2", "model.rope_scaling.original_max_seq_len=16"};
  expect_other_loss_of_equal_weights(option.set("llama3", numbers));
  EXPECT_EQ(first_loss(finetune(option.set("none", numbers))), first_loss(finetune()));
}

void rope_scaling_number(const Option& option, const std::string& value) {
  EXPECT_NE(first_loss(finetune(option.set(value, kScaled))), first_loss(finetune(kScaled)));
  EXPECT_EQ(first_loss(finetune(option.set(value))), first_loss(finetune())) << "it acts without a type";
}

void rope_scaling_factor(const Option& option) {
  rope_scaling_number(option, "8");
}
void low_freq_factor(const Option& option) {
  rope_scaling_number(option, "3");
}
void high_freq_factor(const Option& option) {
  rope_scaling_number(option, "1.5");
}
void original_max_seq_len(const Option& option) {
  rope_scaling_number(option, "64");
}

// A large eps makes the normalised values small, and so the logits.
void norm_eps(const Option& option) {
  expect_other_loss_of_equal_weights(option.set("1"));
  const Settings small = {"model.init_std=0.01"};
  const double uniform = std::log(16.0);
  EXPECT_LT(std::abs(first_loss(finetune(option.set("1", small))) - uniform), 1e-4);
  EXPECT_GT(std::abs(first_loss(finetune(small)) - uniform), 1e-4);
}

void qk_norm(const Option& option) {
  const Observed &with = finetune(option.set("true")), &without = finetune();
  for (const char* name : {"q_norm", "k_norm"}) {
    const std::string full = kBlock + "self_attn." + name + ".weight";
    EXPECT_EQ(shape(with, full), std::vector<int64_t>{8});
    EXPECT_FALSE(torch::equal(with.weights().at(full), torch::ones({8}, torch::kFloat64))) << "it does not train";
    EXPECT_EQ(without.weights().count(full), 0u);
  }
  EXPECT_NE(first_loss(with), first_loss(without));
}

void qkv_bias(const Option& option) {
  const Observed &with = finetune(option.set("true")), &without = finetune();
  for (const char* name : {"q_proj", "v_proj"}) {
    const std::string full = kBlock + "self_attn." + name + ".bias";
    EXPECT_EQ(shape(with, full), std::vector<int64_t>{16});
    EXPECT_GT(with.weights().at(full).norm().item<double>(), 0) << "it does not train";
    EXPECT_EQ(without.weights().count(full), 0u);
  }
  EXPECT_EQ(first_loss(with), first_loss(without)) << "biases begin at 0";
}

void tie_embeddings(const Option& option) {
  const Observed &apart = finetune(option.set("false")), &tied = finetune();
  ASSERT_EQ(apart.weights().count(".weight"), 1u) << "lm_head.weight";
  EXPECT_EQ(apart.weights().at(".weight").sizes(), apart.weights().at("embed_tokens.weight").sizes());
  EXPECT_EQ(tied.weights().count(".weight"), 0u);
  EXPECT_NE(first_loss(apart), first_loss(tied));
}

void init_std(const Option& option) {
  const auto deviation = [&](const std::string& value, const std::string& name) {
    const Settings big = {"model.hidden_size=64", "model.intermediate_size=64", "model.layers=2"};
    return initial(option.set(value, big)).at(name).std().item<double>();
  };
  for (const double std : {0.2, 0.05}) {
    const std::string value = fmt::format("{}", std);
    EXPECT_NEAR(deviation(value, kBlock + "mlp.gate_proj.weight") / std, 1, 0.05);
    EXPECT_NEAR(deviation(value, kBlock + "mlp.down_proj.weight") / std, 0.5, 0.03) << "1 / sqrt(2 x 2 layers)";
  }
}

void precision(const Option& option) {
  const double fp32 = first_loss(finetune()), bf16 = first_loss(finetune(option.set("bf16")));
  EXPECT_NE(bf16, fp32);
  EXPECT_NEAR(bf16 / fp32, 1, 0.02);
  EXPECT_TRUE(same(initial(option.set("bf16")), initial({}))) << "master weights are fp32";
}

void kv_cache_dtype(const Option& option) {
  const Settings bf16_model = {"model.precision=bf16"};
  const double fp32 = first_loss(finetune()), bf16 = first_loss(finetune(option.set("bf16")));
  EXPECT_NE(bf16, fp32) << "the learner rounds keys and values as the cache does";
  EXPECT_NEAR(bf16 / fp32, 1, 0.01);
  EXPECT_EQ(first_loss(finetune(option.set("fp32"))), fp32);
  EXPECT_EQ(first_loss(finetune(option.set("bf16", bf16_model))), first_loss(finetune(bf16_model)));
  EXPECT_NE(first_loss(finetune(option.set("fp32", bf16_model))), first_loss(finetune(bf16_model)));
}

// The results must be the same bits, from less memory.
void activation_checkpointing(const Option& option) {
  const Settings deep = {"model.layers=6", "pretrain.seq_len=64", "pretrain.batch_size=8", "pretrain.steps=2"};
  const Observed &without = pretrain(deep), &with = pretrain(option.set("true", deep));
  EXPECT_TRUE(same_training(with, without));
  EXPECT_LT(with.peak_bytes, 0.7 * without.peak_bytes);
}

// With a learning rate of 0, the first checkpoint has the weights that the run began with.
void init(const Option& option) {
  const Observed& source = finetune();
  const auto begun_with = [&](const fs::path& path) { return initial(option.set(path.string())); };
  EXPECT_TRUE(same(begun_with(source.dir() / "checkpoints/step-2"), source.weights(2)));
  EXPECT_TRUE(same(begun_with(source.dir()), source.weights())) << "the newest checkpoint of a run folder";
  EXPECT_FALSE(same(source.weights(2), source.weights()));
}

}  // namespace

OptionEffects model_effects() {
  return {{"model.depth", "layers, hidden size and heads of the saved weights", depth},
          {"model.layers", "blocks of the saved weights", layers},
          {"model.hidden_size", "hidden size of the saved weights", hidden_size},
          {"model.heads", "size of one head, and the first loss of equal weights", heads},
          {"model.kv_heads", "rows of the key and value projections", kv_heads},
          {"model.head_dim", "rows of the query projection", head_dim},
          {"model.intermediate_size", "columns of the down projection", intermediate_size},
          {"model.vocab_size", "rows of the embedding", vocab_size},
          {"model.max_seq_len", "longest window of pretraining", max_seq_len},
          {"model.rope_theta", "the first loss of equal weights, but of one token alone", rope_theta},
          {"model.rope_scaling.type", "the first loss of equal weights", rope_scaling_type},
          {"model.rope_scaling.factor", "the first loss, with a type", rope_scaling_factor},
          {"model.rope_scaling.low_freq_factor", "the first loss, with a type", low_freq_factor},
          {"model.rope_scaling.high_freq_factor", "the first loss, with a type", high_freq_factor},
          {"model.rope_scaling.original_max_seq_len", "the first loss, with a type", original_max_seq_len},
          {"model.norm_eps", "how far the first loss is from that of equal logits", norm_eps},
          {"model.qk_norm", "weights of these norms, which train", qk_norm},
          {"model.qkv_bias", "biases, which begin at 0 and train", qkv_bias},
          {"model.tie_embeddings", "a head of its own", tie_embeddings},
          {"model.init_std", "standard deviation of the initial weights", init_std},
          {"model.precision", "the first loss, a little", precision},
          {"model.kv_cache_dtype", "the first loss, a little, where it is not that of the weights", kv_cache_dtype},
          {"model.activation_checkpointing", "peak memory, and not one bit of the results", activation_checkpointing},
          {"model.init", "the weights that a run begins with", init}};
}

}  // namespace terse::options
