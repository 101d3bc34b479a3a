// Effects of the options of texts and tokenizers, on the token store in the run folder and on what training and
// validation read from it.
#include <cmath>

#include "base/errors.h"
#include "data/store/token_store.h"
#include "data/tokenizers/bpe/train_bpe.h"
#include "data/tokenizers/char_tokenizer.h"
#include "data/tokenizers/tokenizer_factory.h"
#include "tests/options/option_effects.h"

namespace terse::options {
namespace {

// The token store that a run has made of this text; null if there is none.
std::shared_ptr<const data::TokenStore> store_of(const Observed& run, const std::string& text) {
  for (const auto& entry : fs::directory_iterator(run.dir() / "data")) {
    if (entry.path().extension() != ".h5") continue;
    auto store = data::TokenStore::open(entry.path());
    std::vector<int32_t> tokens(static_cast<size_t>(store->size()));
    store->read(0, tokens);
    if (store->tokenizer()->decode(tokens) == text) return store;
  }
  return nullptr;
}

int64_t vocabulary(const Observed& run) {
  return run.weights().at("embed_tokens.weight").size(0);
}

nlohmann::json stream(const Observed& run) {
  return run.saved(1).state.extra.at("progress").at("extra").at("stream");
}

// A text in a temporary file.
class TextFile {
 public:
  explicit TextFile(const std::string& text) { std::ofstream(path()) << text; }
  std::string path() const { return folder_.path() / "other.txt"; }

 private:
  support::TemporaryFolder folder_;
};

std::string repeated(const std::string& word, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += word;
  return all;
}

void tokenizer_kind(const Option& option) {
  EXPECT_EQ(vocabulary(pretrain(option.set("byte"))), 258);
  EXPECT_EQ(vocabulary(pretrain(option.set("char"))), 5) << "a, b, c, | and z";
  const support::TemporaryFolder folder;
  data::BpeTraining training;
  training.vocab_size = 258;
  training.special_tokens = {"<eos>"};
  const TextFile text("abab");
  data::save_tokenizer(folder.path() / "tokenizer.json", *data::train_bpe_tokenizer({text.path()}, training));
  EXPECT_EQ(vocabulary(pretrain(option.set("bpe", {"tokenizer.path=" + folder.path().string()}))), 258)
      << "256 bytes, <eos> and ab";
}

// The tokenizer of the file has characters that the text does not have.
void tokenizer_path(const Option& option) {
  const support::TemporaryFolder folder;
  const fs::path path = folder.path() / "tokenizer.json";
  data::save_tokenizer(path, data::CharTokenizer({U'a', U'b', U'c', U'|', U'z', U'x', U'y'}));
  EXPECT_EQ(vocabulary(pretrain(option.set(path, {"tokenizer.kind=char"}))), 7);
}

void train(const Option& option) {
  const TextFile other(repeated("xyxxy", 60));
  const Observed& run = pretrain(option.set(other.path()));
  EXPECT_NE(store_of(run, repeated("xyxxy", 60)), nullptr);
  EXPECT_EQ(store_of(run, base::text()), nullptr);
  EXPECT_NE(run.metric("loss").at(0), pretrain().metric("loss").at(0));
}

// The validation loss is that of data.val, and training does not change with it.
void val(const Option& option) {
  const TextFile easy(repeated("abcab|", 20)), hard(repeated("q\x01w\x7f", 30));
  const Settings more = {"pretrain.steps=30", "pretrain.optimizer.lr=0.01", "checkpoint.every=0"};
  const Observed &on_easy = pretrain(option.set(easy.path(), more)), &on_hard = pretrain(option.set(hard.path(), more));
  EXPECT_TRUE(same_training(on_easy, on_hard));
  EXPECT_LT(on_easy.metric("val_loss").back() + 1, on_hard.metric("val_loss").back());
  EXPECT_NE(stream(pretrain(option.set(easy.path()))).at("end_token"), stream(pretrain()).at("end_token"))
      << "nothing of the training text is held out then";
}

// Only the end of the text has the byte z. A small held-out part consists of it alone, so its loss is high.
void val_fraction(const Option& option) {
  const auto end = static_cast<double>(base::text().size());
  for (const double fraction : {0.1, 0.4}) {
    const Observed& run = pretrain(option.set(fmt::format("{}", fraction)));
    EXPECT_NEAR(stream(run).at("end_token").get<double>(), end * (1 - fraction), 1);
    EXPECT_EQ(stream(run).at("first_token"), 0);
  }
  const Settings more = {"pretrain.steps=30", "pretrain.optimizer.lr=0.01", "checkpoint.every=0",
                         "pretrain.eval_batches=50"};
  EXPECT_LT(pretrain(option.set("0.4", more)).metric("val_loss").back() + 0.5,
            pretrain(option.set("0.1", more)).metric("val_loss").back());
}

// The separator ends a document and is not part of it.
void separator(const Option& option) {
  const Observed& run = pretrain(option.set("\"|\""));
  std::string without = base::text();
  std::erase(without, '|');
  const auto store = store_of(run, without);
  ASSERT_NE(store, nullptr);
  EXPECT_EQ(store->info().documents, 91);
  EXPECT_EQ(store_of(pretrain(), base::text())->info().documents, 1);
  EXPECT_NE(run.metric("loss").at(0), pretrain().metric("loss").at(0));
}

// One of ten lines is bad.
void max_bad_lines(const Option& option) {
  const support::TemporaryFolder folder;
  const std::string path = (folder.path() / "text.jsonl").string();
  std::ofstream file(path);
  for (int i = 0; i < 9; ++i) file << R"({"text": "abcab)" << i << "\"}\n";
  file << "nothing\n";
  file.close();
  const Settings lines = {"data.train=" + path, "data.val=" + path};
  EXPECT_EQ(pretrain(option.set("0.1", lines)).result().at("steps"), 3);
  EXPECT_THAT(support::read_file(pretrain(option.set("0.1", lines)).dir() / "data/bad_lines.jsonl"),
              ::testing::HasSubstr("\"line\":10"));
  try {
    pretrain(option.set("0.09", lines));
    ADD_FAILURE() << "any share is taken";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("1 of 10 lines"));
  }
}

}  // namespace

OptionEffects data_effects() {
  return {{"tokenizer.kind", "size of the vocabulary", tokenizer_kind},
          {"tokenizer.path", "size of the vocabulary", tokenizer_path},
          {"data.train", "the token store of the run, and the first loss", train},
          {"data.val", "the loss of validation alone", val},
          {"data.val_fraction", "where training ends and validation begins", val_fraction},
          {"data.separator", "documents of the token store", separator},
          {"data.max_bad_lines", "whether a file with bad lines is taken", max_bad_lines}};
}

}  // namespace terse::options
