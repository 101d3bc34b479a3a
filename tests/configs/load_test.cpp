// Tests files, bases, overrides, derivation, input files, the hash and differences.
#include "configs/load.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/configs/test_files.h"

namespace terse::configs {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

// Changes the working directory of the process, and restores it at the end.
class WorkingDirectory {
 public:
  explicit WorkingDirectory(const fs::path& path) : old_(fs::current_path()) { fs::current_path(path); }
  ~WorkingDirectory() { fs::current_path(old_); }

 private:
  fs::path old_;
};

TEST(Load, MissingFileSuggestsItsNeighbours) {
  support::TemporaryFolder folder;
  write(folder.path() / "quickstart.yaml", kValid);
  EXPECT_EQ(refusal_of_file(folder.path() / "quikstart.yaml"),
            "configuration: no such file: " + (folder.path() / "quikstart.yaml").string() + "; did you mean " +
                (folder.path() / "quickstart.yaml").string() + "?");
  EXPECT_THAT(refusal_of_file(folder.path() / "quickstart"), HasSubstr("quickstart.yaml?"));
  EXPECT_THAT(refusal_of_file(folder.path() / "quickstart.yml"), HasSubstr("quickstart.yaml?"));
  EXPECT_THAT(refusal_of_file(folder.path() / "zebra.yaml"), HasSubstr("that folder contains quickstart.yaml"));
  EXPECT_THAT(refusal_of_file(folder.path() / "none" / "x.yaml"),
              HasSubstr("the folder " + (folder.path() / "none").string() + " does not exist"));
  EXPECT_THAT(refusal_of_file(folder.path()), HasSubstr("is a folder, expected a YAML file"));
}

TEST(Load, NearerFilesWinOverTheirBases) {
  support::TemporaryFolder folder;
  write(folder.path() / "deep/far.yaml",
        "stages: [sft, rl]\nsft: {steps: 1}\nrl: {steps: 1, prompts: 5, demonstrations: 7}\ntask: {forms: {states: 1, "
        "direct: "
        "1}}\n");
  write(folder.path() / "middle.yaml", "base: deep/far.yaml\nrl:\n  prompts: 6\ntask: {forms: {compact: 2}}\n");
  const auto path = write(folder.path() / "near.yaml", "base: middle.yaml\nstages: [rl]\nrl:\n  steps: 9\n");
  const LoadedConfig loaded = load(path.string());
  EXPECT_EQ(loaded.config.rl.steps, 9);
  EXPECT_EQ(loaded.config.rl.prompts, 6);
  EXPECT_EQ(loaded.config.rl.demonstrations, 7);
  EXPECT_THAT(loaded.config.stages, ElementsAre("rl"));
  EXPECT_THAT(loaded.config.task.forms, ElementsAre(testing::Pair("compact", 2.0)));  // replaced as a whole
  EXPECT_EQ(loaded.origin.at("rl.steps"), path.string() + ":4");
  EXPECT_EQ(loaded.origin.at("rl.prompts"), (folder.path() / "middle.yaml:3").string());
  EXPECT_EQ(loaded.origin.at("rl.demonstrations"), (folder.path() / "deep/far.yaml:3").string());
  EXPECT_EQ(loaded.origin.count("rl.group_size"), 0u);
}

TEST(Load, MistakesOfAllFilesAreShownTogether) {
  support::TemporaryFolder folder;
  write(folder.path() / "base.yaml", "stages: [sft]\nsft: {steps: x}\n");
  const std::string text =
      refusal_of_file(write(folder.path() / "my.yaml", "base: base.yaml\nrun: {seed: y}\n"), {"engine.top_k=z"});
  EXPECT_THAT(text, StartsWith("3 mistakes"));
  EXPECT_LT(text.find("my.yaml:2:13"), text.find("base.yaml:2:14"));
  EXPECT_LT(text.find("base.yaml:2:14"), text.find("--set 'engine.top_k=z'"));
}

TEST(Load, CyclesOfBasesAreNamed) {
  support::TemporaryFolder folder;
  write(folder.path() / "b.yaml", "base: ./c.yaml\n");
  write(folder.path() / "c.yaml", kValid + "base: a.yaml\n");
  const std::string text = refusal_of_file(write(folder.path() / "a.yaml", "base: b.yaml\n"));
  const auto at = [&](const char* name) { return (folder.path() / name).string(); };
  EXPECT_EQ(text, at("c.yaml:4:7: base: base files form a cycle: ") + at("a.yaml -> ") + at("b.yaml -> ") +
                      at("c.yaml -> ") + at("a.yaml"));
  EXPECT_THAT(refusal_of_file(write(folder.path() / "self.yaml", "base: self.yaml\n")), HasSubstr("form a cycle"));
}

TEST(Load, BadBasesAreNamedWhereTheyStand) {
  support::TemporaryFolder folder;
  write(folder.path() / "quickstart.yaml", kValid);
  const auto with_base = [&](const std::string& base) {
    return refusal_of_file(write(folder.path() / "my.yaml", "base: " + base + "\nrun: {seed: x}\n"));
  };
  EXPECT_THAT(with_base("quikstart.yaml"),
              AllOf(HasSubstr("my.yaml:1:7: base: no such file: "), HasSubstr("did you mean"), HasSubstr("run.seed")));
  EXPECT_THAT(with_base("[a.yaml]"), HasSubstr("base: expected the path of one YAML file, found a list"));
  EXPECT_THAT(with_base(""), HasSubstr("found nothing"));
  EXPECT_THAT(with_base("."), HasSubstr("is a folder"));
}

TEST(Load, AMissingBaseRaisesNoComplaintsAboutWhatItMayHold) {
  support::TemporaryFolder folder;
  const std::string text =
      refusal_of_file(write(folder.path() / "my.yaml", "base: gone.yaml\nstages: [sft]\nmodel: {heads: 5}\n"));
  EXPECT_THAT(text, Not(HasSubstr("mistakes")));
}

TEST(Load, EndlessChainsEnd) {
  support::TemporaryFolder folder;
  for (int i = 0; i < 40; ++i) write(folder.path() / fmt::format("{}.yaml", i), fmt::format("base: {}.yaml\n", i + 1));
  EXPECT_THAT(refusal_of_file(folder.path() / "0.yaml"), HasSubstr("more than 32 base files"));
}

TEST(Load, OverridesWinInOrder) {
  const LoadedConfig loaded = load_text(
      kValid, "my.yaml", {"run.seed=3", " run.seed = 4 ", "stages=[sft, rl]", "rl.steps=2", "rl.optimizer.lr=1e-3"});
  EXPECT_EQ(loaded.config.run.seed, 4);
  EXPECT_THAT(loaded.config.stages, ElementsAre("sft", "rl"));
  EXPECT_EQ(loaded.config.rl.optimizer.lr, 1e-3);
  EXPECT_EQ(loaded.origin.at("run.seed"), "--set");
  EXPECT_EQ(loaded.origin.at("sft.steps"), "my.yaml:3");
}

TEST(Load, OverridesTakeTextsAsTheyStand) {
  const auto separator = [](const std::string& text) {
    return accepted(kValid, {"data.separator=" + text}).data.separator;
  };
  EXPECT_EQ(separator("a: [b}, #c"), "a: [b}, #c");
  EXPECT_EQ(separator(""), "");
  EXPECT_EQ(separator("a=b"), "a=b");
  EXPECT_EQ(separator("\"\\n\\n\""), "\n\n");
  EXPECT_EQ(separator("'it''s'"), "it's");
  EXPECT_EQ(separator("null"), "null");
}

TEST(Load, OverridesChangeMapsByEntryOrAsAWhole) {
  const std::string yaml = kValid + "task: {forms: {states: 1, direct: 2}}\n";
  EXPECT_THAT(accepted(yaml, {"task.forms.states=0.5"}).task.forms,
              ElementsAre(testing::Pair("direct", 2.0), testing::Pair("states", 0.5)));
  EXPECT_THAT(accepted(yaml, {"task.forms={compact: 1}"}).task.forms, ElementsAre(testing::Pair("compact", 1.0)));
  EXPECT_THAT(accepted(yaml, {"task.forms={}"}).task.forms, IsEmpty());
}

TEST(Load, BadOverridesAreNamed) {
  const auto bad = [](const std::string& text) { return refusal(kValid, {text}); };
  EXPECT_EQ(bad("run.seed"), "--set 'run.seed': has no '='; expected key=value, e.g. --set run.seed=...");
  EXPECT_THAT(bad("seed=3"),
              AllOf(StartsWith("--set 'seed=3': unknown key 'seed'"), HasSubstr("did you mean run.seed?")));
  EXPECT_THAT(bad("sft.step=3"), HasSubstr("did you mean sft.steps?"));
  EXPECT_THAT(bad("sftt.steps=3"), HasSubstr("did you mean sft.steps?"));
  EXPECT_THAT(bad("lr=3"),
              HasSubstr("did you mean pretrain.optimizer.lr, sft.optimizer.lr, rl.student.lr or rl.optimizer.lr?"));
  EXPECT_THAT(bad("rl.lr=3"), HasSubstr("did you mean rl.student.lr or rl.optimizer.lr?"));
  EXPECT_THAT(bad("run.seed=three"),
              HasSubstr("--set 'run.seed=three': run.seed: expected a whole number, found 'three'"));
  EXPECT_THAT(bad("run.seed="), HasSubstr("expected a whole number, found ''"));
  EXPECT_THAT(bad("run.seed=\"3\""), HasSubstr("remove the quotes"));
  EXPECT_THAT(bad("model=3"), HasSubstr("model is a section; set one of its keys: depth, layers"));
  EXPECT_THAT(bad("model.heads.x=3"), HasSubstr("model.heads is a value, so it has no keys below it"));
  EXPECT_THAT(bad("stages=sft"), HasSubstr("write [sft]"));
  EXPECT_THAT(bad("stages=[sft"), HasSubstr("not valid YAML"));
  EXPECT_THAT(bad("stages="), HasSubstr("found nothing"));
  EXPECT_THAT(bad("task.forms.stats=1"), HasSubstr("did you mean states?"));
  EXPECT_THAT(bad("task.forms.states=lots"), HasSubstr("task.forms.states: expected a number"));
  EXPECT_THAT(bad("base=x.yaml"), HasSubstr("base cannot be set here"));
  EXPECT_THAT(bad("=3"), HasSubstr("unknown key ''"));
  EXPECT_THAT(bad(""), HasSubstr("has no '='"));
  EXPECT_THAT(bad("run.name=\xff"), HasSubstr("not UTF-8"));
  EXPECT_THAT(bad("..=1"), HasSubstr("unknown key"));
  EXPECT_THAT(bad("sft..steps=1"), HasSubstr("did you mean sft.steps?"));
}

TEST(Load, OverridesCanMendAFile) {
  EXPECT_EQ(accepted("stages: [sft]\n", {"sft.steps=3"}).sft.steps, 3);
  EXPECT_EQ(accepted(kValid + "model: {heads: 5}\n", {"model.hidden_size=80"}).model.hidden_size, 80);
}

TEST(Depth, DerivesTheShape) {
  const LoadedConfig loaded = load_text(kValid + "model: {depth: 6}\n", "my.yaml");
  const Model& model = loaded.config.model;
  EXPECT_THAT((std::vector{model.layers, model.hidden_size, model.heads, model.kv_heads, model.intermediate_size}),
              ElementsAre(6, 384, 6, 0, 0));
  EXPECT_EQ(loaded.origin.at("model.hidden_size"), "derived from model.depth");
  EXPECT_EQ(loaded.origin.at("model.depth"), "my.yaml:4");
}

TEST(Depth, LeavesWhatIsSetBesideIt) {
  const Model model = accepted(kValid + "model: {depth: 6, hidden_size: 96}\n").model;
  EXPECT_THAT((std::vector{model.layers, model.hidden_size, model.heads}), ElementsAre(6, 96, 1));
  EXPECT_EQ(accepted(kValid + "model: {depth: 2, heads: 8}\n").model.heads, 8);
  EXPECT_EQ(accepted(kValid + "model: {depth: 4, head_dim: 32}\n").model.heads, 8);
}

TEST(Depth, ReplacesWhatIsSetFartherAway) {
  const std::string yaml =
      kValid + "model: {layers: 3, hidden_size: 64, heads: 4, kv_heads: 4, head_dim: 32, intermediate_size: 192}\n";
  const Model model = accepted(yaml, {"model.depth=2", "model.layers=5"}).model;
  EXPECT_THAT((std::vector{model.layers, model.hidden_size, model.heads, model.kv_heads, model.head_dim,
                           model.intermediate_size}),
              ElementsAre(5, 128, 2, 0, 0, 0));
  EXPECT_EQ(accepted(yaml, {"model.depth=0"}).model.hidden_size, 64);
}

TEST(Depth, IsValidForAnyHiddenSize) {
  for (int size = 2; size <= 1000; size += 2) {
    const RunConfig config = accepted(kValid + fmt::format("model: {{depth: 3, hidden_size: {}}}\n", size));
    EXPECT_THAT(check(config), IsEmpty()) << size;
  }
}

TEST(InputFiles, AreFoundFromWorkingDirectoryThenFolderThenItsParent) {
  support::TemporaryFolder folder;
  const fs::path root = fs::canonical(folder.path());
  const auto path =
      write(root / "project/configs/my.yaml", "stages: [pretrain]\npretrain: {steps: 1}\ndata: {train: data/x.txt}\n");
  fs::create_directories(root / "elsewhere");
  const auto found = [&](const fs::path& cwd) {
    const WorkingDirectory at(cwd);
    return load(fs::relative(path, cwd).string()).config.data.train;
  };
  write(root / "project/data/x.txt", "text");
  EXPECT_EQ(found(root / "project"), "data/x.txt");
  EXPECT_EQ(found(root / "elsewhere"), (root / "project/data/x.txt").string());
  EXPECT_EQ(found(root / "project/configs"), (root / "project/data/x.txt").string());
  write(root / "project/configs/data/x.txt", "text");
  EXPECT_EQ(found(root / "elsewhere"), (root / "project/configs/data/x.txt").string());
  EXPECT_EQ(found(root / "project"), "data/x.txt");
}

TEST(InputFiles, OfABaseAreFoundBesideTheBase) {
  support::TemporaryFolder folder;
  write(folder.path() / "a/base.yaml", "stages: [pretrain]\npretrain: {steps: 1}\ndata: {train: x.txt}\n");
  write(folder.path() / "a/x.txt", "text");
  const auto path = write(folder.path() / "b/c/my.yaml", "base: ../../a/base.yaml\n");
  EXPECT_EQ(load(path.string()).config.data.train, (folder.path() / "a/x.txt").string());
}

TEST(InputFiles, MissingOnesAreNamedAsWrittenAndAsResolved) {
  support::TemporaryFolder folder;
  const auto path = write(folder.path() / "configs/my.yaml",
                          "stages: [pretrain]\npretrain: {steps: 1}\ndata:\n  train: data/nix.txt\n");
  const std::string text = refusal_of_file(path);
  EXPECT_THAT(text, StartsWith(path.string() + ":4:3: data.train: no such file 'data/nix.txt'; searched "));
  EXPECT_THAT(text, AllOf(HasSubstr((fs::current_path() / "data/nix.txt").string()),
                          HasSubstr((folder.path() / "configs/data/nix.txt").string()),
                          HasSubstr((folder.path() / "data/nix.txt").string())));
  EXPECT_EQ(load(path.string(), {}, InputFiles::kMayBeMissing).config.data.train, "data/nix.txt");
  EXPECT_THAT(refusal_of_file(path, {"data.train=~/x.txt"}), HasSubstr("'~' is not expanded"));
  EXPECT_THAT(refusal_of_file(path, {"data.train=" + folder.path().string()}),
              HasSubstr("is a folder, expected a file"));
  write(folder.path() / "corpus.txt", "x");
  EXPECT_THAT(refusal_of_file(path, {"data.train=" + (folder.path() / "corpsu.txt").string()}),
              HasSubstr("did you mean"));
}

TEST(InputFiles, OfModelInitAreFoldersOrFiles) {
  support::TemporaryFolder folder;
  const fs::path base = write(folder.path() / "runs/base/config.yaml", kValid).parent_path();
  const auto path = write(folder.path() / "configs/my.yaml", kValid + "model: {init: runs/base}\n");
  EXPECT_EQ(load(path.string()).config.model.init, base.string());
  const fs::path file = write(folder.path() / "my.gguf", "");
  EXPECT_EQ(load(path.string(), {"model.init=" + file.string()}).config.model.init, file.string());
  EXPECT_THAT(refusal_of_file(path, {"model.init=runs/nix"}),
              HasSubstr("model.init: no such file or folder 'runs/nix'; searched "));
  EXPECT_EQ(load(path.string(), {"model.init=runs/nix"}, InputFiles::kMayBeMissing).config.model.init, "runs/nix");
}

TEST(InputFiles, OfTheChatTemplateAreFilesOrWords) {
  support::TemporaryFolder folder;
  const fs::path file = write(folder.path() / "configs/mine.jinja", "x");
  const auto path = write(folder.path() / "configs/my.yaml", kValid + "chat: {chat_template: mine.jinja}\n");
  const RunConfig found = load(path.string()).config;
  EXPECT_EQ(found.chat.chat_template, file.string());
  for (const std::string word : {"auto", "none"})
    EXPECT_EQ(load(path.string(), {"chat.chat_template=" + word}).config.chat.chat_template, word);
  EXPECT_THAT(refusal_of_file(path, {"chat.chat_template=nnoe"}),
              AllOf(HasSubstr("chat.chat_template: no such file 'nnoe'; searched "),
                    HasSubstr("; expected auto, none, or a file")));
  RunConfig moved = found;
  moved.chat.chat_template = "elsewhere/mine.jinja";
  EXPECT_EQ(numerics_hash(moved), numerics_hash(found)) << "the folder of the file does not count";
  moved.chat.chat_template = "elsewhere/other.jinja";
  EXPECT_NE(numerics_hash(moved), numerics_hash(found));
}

// A shape that differs from the defaults in every option, and would also change options that are none of a shape.
Model other_shape() {
  Model shape;
  shape.depth = 9;
  shape.layers = 30;
  shape.hidden_size = 576;
  shape.heads = 9;
  shape.kv_heads = 3;
  shape.head_dim = 66;
  shape.intermediate_size = 1536;
  shape.max_seq_len = 8192;
  shape.rope_theta = 1e5;
  shape.rope_scaling = {"llama3", 32, 2, 5, 4096};
  shape.norm_eps = 1e-5;
  shape.qk_norm = shape.qkv_bias = true;
  shape.tie_embeddings = false;
  shape.init_std = 0.04;
  shape.precision = "bf16";
  shape.activation_checkpointing = true;
  shape.init = "nix";
  return shape;
}

TEST(ModelInit, GivesTheShapeThatNothingElseSets) {
  support::TemporaryFolder folder;
  const std::string init = write(folder.path() / "source/config.json", "").parent_path().string();
  const auto path = write(folder.path() / "my.yaml", kValid + "model: {init: source, max_seq_len: 500}\n");
  std::string asked;
  const auto load_with = [&](const std::vector<std::string>& overrides) {
    return load(path.string(), overrides, InputFiles::kMustExist, {}, [&](const RunConfig& config) {
      asked = config.model.init;
      return std::optional(other_shape());
    });
  };
  const LoadedConfig loaded = load_with({"model.norm_eps=1e-4", "model.rope_scaling.factor=7"});
  EXPECT_EQ(asked, init);
  Model expected = other_shape();
  expected.depth = 0;
  expected.max_seq_len = 500;
  expected.norm_eps = 1e-4;
  expected.rope_scaling.factor = 7;
  expected.precision = "fp32";
  expected.activation_checkpointing = false;
  expected.init = init;
  RunConfig wanted = loaded.config;
  wanted.model = expected;
  EXPECT_THAT(differences(wanted, loaded.config), ::testing::IsEmpty());
  EXPECT_EQ(loaded.origin.at("model.layers"), "derived from model.init");
  EXPECT_EQ(loaded.origin.at("model.norm_eps"), "--set");
  EXPECT_EQ(loaded.origin.count("model.precision"), 0u);
  EXPECT_EQ(load_with({"model.depth=2"}).config.model.hidden_size, 128) << "depth was set, so it decides";
}

TEST(ModelInit, DecidesBeforeTheRulesBetweenOptions) {
  support::TemporaryFolder folder;
  write(folder.path() / "source/config.json", "");
  const auto path = write(folder.path() / "my.yaml", kValid + "model: {init: source, heads: 5}\n");
  const auto shape = [](const RunConfig&) {
    Model model;
    model.hidden_size = 80;
    return std::optional(model);
  };
  EXPECT_EQ(load(path.string(), {}, InputFiles::kMustExist, {}, shape).config.model.heads, 5);
  EXPECT_THROW(load(path.string()), ConfigError) << "5 heads do not divide the default of hidden_size";
  const auto unknown = [](const RunConfig&) { return std::optional<Model>(); };
  EXPECT_THROW(load(path.string(), {}, InputFiles::kMustExist, {}, unknown), ConfigError);
}

// Without the origin of hidden_size, the message would blame the line of heads alone.
TEST(ModelInit, IsNamedWhereAShapeFromItBreaksARule) {
  support::TemporaryFolder folder;
  write(folder.path() / "source/config.json", "");
  const auto path = write(folder.path() / "my.yaml", kValid + "model:\n  init: source\n  heads: 5\n");
  const auto mistake = [&](int64_t hidden_size, int64_t kv_heads) {
    try {
      load(path.string(), {}, InputFiles::kMustExist, {}, [&](const RunConfig&) {
        Model model;
        model.hidden_size = hidden_size;
        model.kv_heads = kv_heads;
        return std::optional(model);
      });
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  const std::string file = path.string();
  EXPECT_THAT(mistake(96, 0), HasSubstr(fmt::format("(model.heads: {0}:6, model.hidden_size: derived from model.init, "
                                                    "{0}:5)",
                                                    file)));
  EXPECT_THAT(mistake(80, 3), HasSubstr(fmt::format("(model.kv_heads: derived from model.init, {0}:5, model.heads: "
                                                    "{0}:6)",
                                                    file)));
}

TEST(LoadSaved, ReadsWhatWasPrintedAndFollowsNoBase) {
  RunConfig config = accepted(kValid);
  config.data.train = "gone.txt";
  config.model.init = "runs/gone";
  EXPECT_EQ(load_saved(to_yaml(config), "step-1/config.yaml", toy_defaults()), config);
  support::TemporaryFolder folder;
  write(folder.path() / "other.yaml", kValid);
  const std::string name = (folder.path() / "config.yaml").string();
  for (const char* text : {"base: other.yaml\n", "{base: other.yaml}\n"}) {
    try {
      load_saved(text, name);
      ADD_FAILURE() << "expected an error for " << text;
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr(name), HasSubstr("base file")));
    }
  }
  EXPECT_THROW(load_saved("model: {layers: 0}\n", name), ConfigError);
  EXPECT_THROW(load_saved("", name), ConfigError);
}

TEST(Hash, CountsModelInitByTheNameOfItsFolder) {
  RunConfig a, b;
  a.model.init = "runs/base";
  EXPECT_NE(numerics_hash(a), numerics_hash(b));
  b.model.init = "/elsewhere/base/";
  EXPECT_EQ(numerics_hash(a), numerics_hash(b));
  b.model.init = "runs/other";
  EXPECT_NE(numerics_hash(a), numerics_hash(b));
}

TEST(Hash, ChangesWithTheNumbersOnly) {
  const auto hash = [](const std::vector<std::string>& overrides) {
    return numerics_hash(accepted(kValid, overrides));
  };
  const std::string plain = hash({});
  EXPECT_EQ(plain.size(), 16u);
  for (const char* same : {"run.name=other", "run.dir=/tmp/x", "run.device=cpu", "run.threads=3", "run.log_every=3",
                           "checkpoint.every=7", "checkpoint.keep=5", "checkpoint.async=false", "rl.eval_every=3",
                           "sft.eval_every=9", "rl.trace_every=1", "pretrain.eval_every=1"}) {
    EXPECT_EQ(hash({same}), plain) << same;
  }
  for (const char* other :
       {"run.seed=2", "sft.steps=11", "model.layers=4", "rl.optimizer.lr=0.01", "engine.max_batch=8",
        "task.forms.states=1", "stages=[sft, eval]", "eval.samples=5", "data.separator=x"}) {
    EXPECT_NE(hash({other}), plain) << other;
  }
  EXPECT_EQ(hash({"model.depth=2"}), hash({"model.layers=2", "model.hidden_size=128", "model.heads=2"}));
}

TEST(Hash, TakesTheNameOfAnInputFileWithoutItsFolder) {
  RunConfig a, b;
  a.data.train = "data/x.txt";
  b.data.train = "/somewhere/else/x.txt";
  EXPECT_EQ(numerics_hash(a), numerics_hash(b));
  b.data.train = "data/y.txt";
  EXPECT_NE(numerics_hash(a), numerics_hash(b));
}

TEST(Differences, NameKeysAndBothValues) {
  const RunConfig a = accepted(kValid), b = accepted(kValid, {"model.layers=4", "run.name=x"});
  EXPECT_EQ(a, a);
  EXPECT_FALSE(a == b);
  const auto found = differences(a, b);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].key + found[0].before + found[0].after, "run.namerunx");
  EXPECT_FALSE(found[0].changes_numbers);
  EXPECT_EQ(found[1].key + found[1].before + found[1].after, "model.layers34");
  EXPECT_TRUE(found[1].changes_numbers);
}

}  // namespace
}  // namespace terse::configs
