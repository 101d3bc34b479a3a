// Compares the plan's bytes with hand counts, with the tensors that a step really allocates, and with ZeRO's 1/n.
#include "launch/plan/memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "launch/plan/stage_memory.h"
#include "tests/support/tensor_bytes.h"
#include "tests/support/tiny_model.h"
#include "trainer/optimizer.h"
#include "trainer/train.h"

namespace terse::launch::plan {
namespace {

using trainer::AdamW;
using trainer::FlatParams;
using trainer::resolve;
using trainer::Transformer;

double bytes_of(const std::vector<Consumer>& consumers, const std::string& name) {
  const auto found =
      std::find_if(consumers.begin(), consumers.end(), [&](const Consumer& c) { return c.name == name; });
  return found == consumers.end() ? 0 : found->bytes;
}

struct Example {
  configs::Model model;
  int64_t vocab = 256;
  int64_t sequences = 4, micro_batch = 4;
  configs::Lora lora = {};
};

// Measures the peak of a model, its optimizer and an update on random tokens.
double measured(const Example& example) {
  const support::CountTensorBytes count;
  Transformer model(resolve(example.model, example.vocab, example.lora), torch::kCPU, 1);
  AdamW optimizer(model.params(), {});
  std::vector<data::Sequence> sequences = support::random_sequences(
      std::vector<int64_t>(static_cast<size_t>(example.sequences), example.model.max_seq_len), 1, example.vocab);
  for (data::Sequence& sequence : sequences) std::fill(sequence.weights.begin() + 1, sequence.weights.end(), 1.0f);
  const data::Batch batch = data::pack(sequences);
  model.params().zero_grad();
  trainer::accumulate_cross_entropy(model, {batch, example.sequences}, {example.micro_batch}, 1,
                                    {.dropout = trainer::DropoutKey{}});
  optimizer.step(1e-3);
  return count.bytes().peak();
}

Run run_of(const Example& example) {
  Run run;
  run.config.stages = {"pretrain"};
  run.config.model = example.model;
  run.config.lora = example.lora;
  run.config.pretrain.batch_size = example.sequences;
  run.config.pretrain.micro_batch = example.micro_batch;
  run.vocab = example.vocab;
  run.machine = configs::load_hardware("laptop");
  return run;
}

double predicted(const Example& example) {
  const Run run = run_of(example);
  return total_bytes(step_memory(run, shape_of(run, "pretrain")));
}

// A plan promises an error of at most a tenth. These examples are closer: only temporary memory of kernels and LibTorch
// is missing.
void expect_close(const Example& example) {
  const double real = measured(example), plan = predicted(example);
  EXPECT_NEAR(plan / real, 1, 0.05) << "planned " << plan / 0x1p20 << " MiB, used " << real / 0x1p20 << " MiB";
}

// With 30 million parameters, the states take most of the memory.
TEST(PlanMemory, ThirtyMillionParametersUseWhatIsPlanned) {
  Example example;
  example.model.layers = 8;
  example.model.hidden_size = 512;
  example.model.heads = 8;
  example.model.max_seq_len = 128;
  example.vocab = 4096;
  expect_close(example);
}

// With 1,024 tokens through a narrow model, the activations take most of the memory.
Example narrow() {
  Example example;
  example.model.layers = 4;
  example.model.hidden_size = 128;
  example.model.heads = 4;
  return example;
}

TEST(PlanMemory, ActivationsAreWhatIsPlanned) {
  expect_close(narrow());
}

TEST(PlanMemory, MicroBatchesAreWhatIsPlanned) {
  Example example = narrow();
  example.micro_batch = 1;
  expect_close(example);
}

TEST(PlanMemory, ActivationCheckpointingIsWhatIsPlanned) {
  Example example = narrow();
  example.model.activation_checkpointing = true;
  expect_close(example);
}

TEST(PlanMemory, Bf16IsWhatIsPlanned) {
  Example example = narrow();
  example.model.precision = "bf16";
  expect_close(example);
}

TEST(PlanMemory, EveryOptionOfTheModelIsWhatIsPlanned) {
  Example example = narrow();
  example.model.kv_heads = 2;
  example.model.qk_norm = true;
  example.model.qkv_bias = true;
  example.model.tie_embeddings = false;
  expect_close(example);
}

TEST(PlanMemory, LoraIsWhatIsPlanned) {
  for (const char* precision : {"fp32", "bf16"}) {
    for (const double dropout : {0.0, 0.1}) {
      Example example = narrow();
      example.model.precision = precision;
      example.lora = {.rank = 8, .alpha = 16, .dropout = dropout, .targets = configs::Lora{}.targets, .init = ""};
      expect_close(example);
    }
  }
}

// 2 layers, D 8, 2 heads of 4, F 16, V 10, tied: 80 + 2 (24*8 + 8*8 + 3*16*8 + 16) + 8 = 1,400 parameters.
ModelSpec tiny(bool bf16 = false) {
  configs::Model model;
  model.layers = 2;
  model.hidden_size = 8;
  model.heads = 2;
  model.intermediate_size = 16;
  model.max_seq_len = 32;
  model.precision = bf16 ? "bf16" : "fp32";
  return resolve(model, 10);
}

TEST(PlanMemory, UnitsAreAllParameters) {
  EXPECT_THAT(unit_sizes(tiny()), ::testing::ElementsAre(80, 656, 656, 8));
  for (const bool odd : {false, true}) {
    const ModelSpec spec = support::tiny_spec({.qk_norm = odd, .qkv_bias = odd, .tied = !odd});
    EXPECT_EQ(shard_elements(unit_sizes(spec), 1), static_cast<double>(FlatParams(spec, torch::kCPU, 1).size()));
  }
}

TEST(PlanMemory, OneRankByHand) {
  const auto fp32 = state_bytes(tiny(), {}, false);
  EXPECT_EQ(bytes_of(fp32, "weights"), 5600);
  EXPECT_EQ(bytes_of(fp32, "fp32 masters"), 0);  // the weights are the masters
  EXPECT_EQ(bytes_of(fp32, "AdamW moments"), 11200);
  EXPECT_EQ(bytes_of(fp32, "gradients"), 5600 + 4 * 80);  // the last term is the tied head's
  EXPECT_EQ(total_bytes(state_bytes(tiny(true), {}, false)), 18 * 1400 + 4 * 80);
  EXPECT_EQ(total_bytes(state_bytes(tiny(true), {}, true)), 20 * 1400);
  for (const Moment moment : {Moment::kHead, Moment::kBlock})
    EXPECT_TRUE(unit_bytes(tiny(), {}, false, moment).empty());
}

// Rank 2 on all projections: 4 of 2 (8 + 8) and 3 of 2 (8 + 16) elements in each block.
TEST(PlanMemory, LoraByHand) {
  ModelSpec spec = tiny(), bf16 = tiny(true);
  spec.lora.rank = bf16.lora.rank = 2;
  EXPECT_THAT(trained_sizes(spec), ::testing::ElementsAre(0, 272, 272, 0));
  EXPECT_THAT(trained_sizes(tiny()), ::testing::ElementsAre(80, 656, 656, 8));
  EXPECT_EQ(static_cast<double>(FlatParams(spec, torch::kCPU, 1).size()), 544);
  const auto one = state_bytes(spec, {}, false);
  EXPECT_EQ(bytes_of(one, kFrozen), 4 * 1400);
  EXPECT_EQ(bytes_of(one, "weights"), 4 * 544);
  EXPECT_EQ(bytes_of(one, "AdamW moments"), 8 * 544);
  EXPECT_EQ(bytes_of(one, "gradients"), 4 * 544);
  EXPECT_EQ(total_bytes(one), 4 * 1400 + 16 * 544);
  const auto four = state_bytes(bf16, {4, 4, 3, false}, false);
  EXPECT_EQ(bytes_of(four, kFrozen), 2 * 1400) << "every rank has all frozen weights";
  EXPECT_EQ(bytes_of(four, "AdamW moments"), 8 * 544 / 4);
  // Activations: the scaled row of each of seven adapters.
  EXPECT_EQ(block_bytes_per_token(spec, false) - block_bytes_per_token(tiny(), false), 7 * 2 * 4);
}

TEST(PlanMemory, FourRanksByHand) {
  // Shards of 20 + 164 + 164 + 2 = 350 elements; blocks of 656.
  const auto one = state_bytes(tiny(true), {4, 4, 1, false}, false);
  EXPECT_EQ(bytes_of(one, "weights"), 2800);
  EXPECT_EQ(bytes_of(one, "fp32 masters"), 1400);
  EXPECT_EQ(bytes_of(one, "AdamW moments"), 2800);
  EXPECT_EQ(bytes_of(one, "gradients"), 1400 + 4 * 20);
  EXPECT_EQ(bytes_of(one, "gradients of a pass"), 5600 + 4 * 80);
  EXPECT_EQ(bytes_of(state_bytes(tiny(true), {4, 4, 1, false}, true), "gradients of a pass"), 2800);
  const auto two = state_bytes(tiny(true), {4, 4, 2, false}, false);
  EXPECT_EQ(bytes_of(two, "weights"), 2800);
  EXPECT_EQ(bytes_of(two, "gradients"), 1400 + 4 * 20);
  EXPECT_EQ(bytes_of(two, "gradients of a pass"), 0);
  for (const bool bf16 : {false, true}) {
    EXPECT_EQ(bytes_of(state_bytes(tiny(bf16), {4, 4, 3, false}, false), "weights"), 0);  // gathered from masters
    EXPECT_EQ(bytes_of(state_bytes(tiny(bf16), {4, 4, 3, false}, false), "fp32 masters"), 1400);
  }
  EXPECT_EQ(bytes_of(state_bytes(tiny(), {4, 4, 1, false}, false), "fp32 masters"), 1400);
}

TEST(PlanMemory, UnitsOfFourRanksByHand) {
  const auto gathered = [](bool bf16, Moment moment) {
    return bytes_of(unit_bytes(tiny(bf16), {4, 4, 3, false}, false, moment), "gathered units");
  };
  EXPECT_EQ(gathered(true, Moment::kHead), 2 * 88);  // the embedding and the final norm
  EXPECT_EQ(gathered(true, Moment::kBlock), 2 * 80 + 2 * 2 * 656);
  EXPECT_EQ(gathered(false, Moment::kBlock), 4 * 80 + 2 * 4 * 656);

  const auto on_way = [](bool bf16, bool cuda, Moment moment, PlannedSharding sharding) {
    return bytes_of(unit_bytes(tiny(bf16), sharding, cuda, moment), "gradients in transfer");
  };
  const PlannedSharding one{4, 4, 1, false}, two{4, 4, 2, false}, nodes{8, 2, 2, true};
  EXPECT_EQ(on_way(false, false, Moment::kHead, one), 0);
  EXPECT_EQ(on_way(false, false, Moment::kBlock, one), 4 * 656);
  EXPECT_EQ(on_way(false, false, Moment::kHead, two), 4 * (8 + 80));
  EXPECT_EQ(on_way(false, false, Moment::kBlock, two), 12 * 656);
  // Two ranks on each of four nodes: the part of a unit that a rank owns is held five times.
  EXPECT_EQ(on_way(false, false, Moment::kBlock, nodes), 4 * 5 * 656 / 2 + 4 * 656);
  EXPECT_EQ(on_way(true, false, Moment::kBlock, two), 12 * 656);
  EXPECT_EQ(on_way(true, true, Moment::kBlock, two), 4 * 656 + 4 * 656 / 4 + 2 * 656);
  EXPECT_EQ(on_way(true, true, Moment::kBlock, one), 4 * 656 + 4 * 656 / 4);
}

// The sequences of each pass, and the waiting sums in units of a whole gradient.
using Loads = std::vector<std::pair<int64_t, double>>;
Loads loads_of(bool bf16, PlannedSharding sharding, bool cuda, int64_t sequences, int64_t micro_batch) {
  const double whole = 4 * (bf16 ? 1400 : 1480);  // in fp32 including the tied head's
  Loads loads;
  for (const PassLoad& load : pass_loads(tiny(bf16), sharding, cuda, sequences, micro_batch))
    loads.emplace_back(load.sequences, load.waiting_bytes / whole);
  return loads;
}

TEST(PlanMemory, SumsThatWaitByHand) {
  const auto loads = [](int64_t ranks, int64_t zero, int64_t sequences, int64_t micro_batch) {
    return loads_of(false, {ranks, 4, zero, false}, false, sequences, micro_batch);
  };
  EXPECT_EQ(loads(1, 1, 8, 8), Loads({{8, 0}}));
  EXPECT_EQ(loads(1, 1, 8, 4), Loads({{4, 1}}));  // the sum of the first four
  EXPECT_EQ(loads(1, 1, 8, 1), Loads({{1, 3}}));  // the sums of four, two and one sequences
  EXPECT_EQ(loads(1, 1, 9, 8), Loads({{4, 1}, {5, 0}}));
  EXPECT_EQ(loads(4, 1, 8, 2), Loads({{2, 0}}));
  EXPECT_EQ(loads(4, 1, 8, 1), Loads({{1, 1}}));
  EXPECT_EQ(loads(4, 2, 8, 2), Loads({{2, 0}}));
  EXPECT_EQ(loads(4, 2, 8, 1), Loads({{1, 4 / 4.0}}));   // one sequence of every rank
  EXPECT_EQ(loads(4, 3, 16, 1), Loads({{1, 8 / 4.0}}));  // two sequences and one sequence of every rank
  EXPECT_EQ(loads_of(true, {4, 4, 2, false}, true, 12, 2), Loads({{2, 0}, {1, 1 / 4.0}}));
  EXPECT_EQ(loads_of(true, {4, 4, 1, false}, true, 8, 1), Loads({{1, 0}}));
}

TEST(PlanMemory, UnitsThatDoNotDivideAreRoundedUp) {
  EXPECT_EQ(shard_elements({10, 7}, 4), 3 + 2);
}

TEST(PlanMemory, ShardsFallAsOneOverN) {
  for (const int64_t ranks : {2, 4, 8}) {
    const auto n = static_cast<double>(ranks);
    EXPECT_EQ(bytes_of(state_bytes(tiny(true), {ranks, 8, 1, false}, true), "AdamW moments"), 8 * 1400 / n);
    EXPECT_EQ(bytes_of(state_bytes(tiny(true), {ranks, 8, 2, false}, true), "gradients"), 4 * 1400 / n);
    EXPECT_EQ(total_bytes(state_bytes(tiny(true), {ranks, 8, 3, false}, true)), 16 * 1400 / n);
  }
}

TEST(PlanMemory, HierarchicalShardsInsideANode) {
  EXPECT_EQ(bytes_of(state_bytes(tiny(true), {32, 4, 1, true}, false), "AdamW moments"), 8 * 350);
  EXPECT_EQ(bytes_of(state_bytes(tiny(true), {32, 4, 1, false}, false), "AdamW moments"),
            8 * shard_elements({80, 656, 656, 8}, 32));
}

TEST(PlanMemory, ActivationsOfABlockByHand) {
  // D 8, Q 24, A 8, F 16, H 2: (4*8 + 24 + 8 + 48) elements, and 4 (2 + 2) bytes of roots and log-sum-exp.
  EXPECT_EQ(block_bytes_per_token(tiny(), false), 4 * 112 + 16);
  EXPECT_EQ(block_bytes_per_token(tiny(true), true), 2 * 112 + 16);
  // bf16 on the CPU: fp32 (16 + 24 + 8 + 32), bf16 copies of what products take (16 + 8 + 16).
  EXPECT_EQ(block_bytes_per_token(tiny(true), false), 4 * 80 + 2 * 40 + 16);
}

TEST(PlanMemory, CheckpointingKeepsInputsAndRunsOneBlockAgain) {
  ModelSpec spec = tiny();
  const Pass pass{100, 0};
  const double whole = activation_bytes(spec, false, pass);
  const double beside = workspace_bytes(spec, false, pass, Moment::kBlock);
  spec.activation_checkpointing = true;
  const double block = 100 * block_bytes_per_token(spec, false), input = 100 * 8 * 4;
  EXPECT_EQ(whole - activation_bytes(spec, false, pass), 2 * (block - input));
  EXPECT_EQ(workspace_bytes(spec, false, pass, Moment::kBlock) - beside, block + input);
}

// V 10^5, so that the logits of 167 rows are in memory at a time. Others: the weights as panels, and for each row a
// hidden state and its gradient.
TEST(PlanMemory, TheHeadHoldsTheLogitsOfAFewRows) {
  configs::Model small;
  small.hidden_size = 8;
  small.heads = 2;
  const ModelSpec spec = resolve(small, 100'000);
  const auto rows_of_logits = [&](int64_t rows) {
    const double others = 4.0 * (8 * 100'000 + 2 * 8 * static_cast<double>(rows));
    return (workspace_bytes(spec, false, {rows, rows}, Moment::kHead) - others) / (4 * 100'000);
  };
  EXPECT_EQ(rows_of_logits(10), 10);
  EXPECT_EQ(rows_of_logits(167), 167);
  EXPECT_EQ(rows_of_logits(168), 167);
  EXPECT_EQ(rows_of_logits(5000), 167);
}

TEST(PlanMemory, KeysAndValuesByHand) {
  const auto keys_and_values = [](bool bf16, bool cuda, const Generation& generation) {
    return bytes_of(engine_bytes(tiny(bf16), generation, cuda), "keys and values");
  };
  // 3 sequences of 32 tokens, 2 layers, 2 heads of 4, keys and values, fp32.
  const Generation three{.sequences = 3, .prompt_tokens = 4, .requests = 3, .prompts = 3};
  EXPECT_EQ(keys_and_values(false, false, three), 3 * 32 * 2 * 8 * 2 * 4);
  EXPECT_EQ(keys_and_values(true, true, three), 3 * 32 * 2 * 8 * 2 * 2);
  // One request of 9 tokens takes a page of 32. On the CPU, the rest of the memory is never touched.
  const Generation one{.sequences = 3, .prompt_tokens = 4, .requests = 1, .prompts = 1, .tokens = 9};
  EXPECT_EQ(keys_and_values(false, false, one), 32 * 2 * 8 * 2 * 4);
  EXPECT_EQ(keys_and_values(true, false, one), 32 * 2 * 8 * 2 * 2) << "bf16 beside bf16 weights";
  EXPECT_EQ(keys_and_values(true, true, one), 3 * 32 * 2 * 8 * 2 * 2);
  // A limit of two and a half pages.
  Generation limited = three;
  limited.cache_bytes = 2.5 * 32 * 2 * 8 * 2 * 4;
  EXPECT_EQ(keys_and_values(false, false, limited), 2 * 32 * 2 * 8 * 2 * 4);
}

TEST(PlanMemory, WeightsToDecodeWithByHand) {
  const Generation one{.sequences = 1, .prompt_tokens = 4, .requests = 1, .prompts = 1};
  const auto packed = [&](const ModelSpec& spec) {
    return bytes_of(engine_bytes(spec, one, false), "weights to decode with");
  };
  ModelSpec lora = tiny();
  lora.lora.rank = 2;
  EXPECT_EQ(packed(tiny()), 4 * (1400 + 80));  // and the head, transposed
  EXPECT_EQ(packed(lora), 4 * (1400 + 544));   // the embedding is that of the model
  EXPECT_EQ(packed(tiny(true)), 2 * (1400 + 80));
}

TEST(PlanMemory, PromptsOfAGroupRunOnce) {
  const Generation alone{.sequences = 64, .prompt_tokens = 50, .requests = 64, .prompts = 64};
  Generation groups = alone;
  groups.prompts = 8;
  // V 10: the logits of 56 prompts. A row has q|k|v 24, feed-forward 3 * 16, and 3 (8 + 8), in fp32.
  const double rows = 64 * 50 - 8 * 50, row = 4 * (24 + 48 + 48);
  EXPECT_EQ(decoding_bytes(tiny(), alone, false) - decoding_bytes(tiny(), groups, false), rows * row + 56 * 10 * 4);
}

// 24 layers, 2 key and value heads of 64. On the CPU, rows attend to pages in place.
TEST(PlanMemory, ALongContextIsNotCopiedOnTheCpu) {
  configs::Model model;
  model.layers = 24;
  model.hidden_size = 896;
  model.heads = 14;
  model.kv_heads = 2;
  model.intermediate_size = 4864;
  model.max_seq_len = 8192;
  model.precision = "bf16";
  const Generation generation{.sequences = 64, .prompt_tokens = 300, .requests = 64, .prompts = 8};
  const double bytes = decoding_bytes(resolve(model, 151'936), generation, false);
  // 2,400 rows of the prompts, and 64 responses.
  const double row = 4 * (1152 + 3 * 4864 + 3 * (896 + 896)), logits = 4 * 151'936;
  EXPECT_EQ(bytes, 2400 * row + (8 + 64) * logits);
}

// 10 prompts of 500 tokens in chunks of 1,000, beside which 20 sequences decode.
TEST(PlanMemory, LongPromptsRunInChunks) {
  const Generation parts{.sequences = 20, .prompt_tokens = 500, .requests = 20, .prompts = 10, .chunk = 1000};
  EXPECT_EQ(decoding_bytes(tiny(), parts, false), (1000 + 20) * 4 * (24 + 48 + 48) + (10 + 20) * 10 * 4);
}

TEST(PlanMemory, CheckpointsByHand) {
  EXPECT_EQ(checkpoint_bytes(tiny(), {}, false), 12 * 1400);
  EXPECT_EQ(checkpoint_bytes(tiny(true), {}, true), 28 * 1400);  // fp32, and the student with its average
  EXPECT_EQ(checkpoint_bytes(tiny(), {4, 4, 1, false}, false), 12 * 350);
  EXPECT_EQ(checkpoint_bytes(tiny(), {}, false, true), 8 * 1400);  // the stage resumes with its moments
  ModelSpec lora = tiny(true);
  lora.lora.rank = 2;
  EXPECT_EQ(checkpoint_bytes(lora, {4, 4, 1, false}, false), 12 * 544 / 4 + 2 * 1400 / 4);
  EXPECT_EQ(checkpoint_file_bytes(1000), 1000);
  EXPECT_EQ(checkpoint_file_bytes(1e12), 256 << 20);
}

}  // namespace
}  // namespace terse::launch::plan
