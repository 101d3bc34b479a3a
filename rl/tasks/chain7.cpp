// Implements the chain7 task, which the header defines.
#include "rl/tasks/chain7.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <numeric>
#include <optional>
#include <stdexcept>

#include "base/philox.h"
#include "data/tokenizers/symbol_tokenizer.h"

namespace terse::rl {
namespace {

using Tokens = std::vector<int32_t>;

constexpr int32_t kModulus = 7;  // the digits 0..6 are their own token ids
enum Symbol : int32_t { kPlus = kModulus, kTimes, kEquals, kGives, kSeparator, kRecheck, kEndThink, kEos, kBos };
const std::vector<std::string> kSymbols = {"0", "1", "2", "3", "4", "5",        "6",     "+",
                                           "*", "=", ">", ";", "?", "</think>", "<eos>", "<bos>"};

constexpr int64_t kMaxOperations = 1000;  // far beyond practical use; keeps a typo from allocating gigabytes
constexpr int64_t kTailTokens = 3;        // </think> answer <eos>
constexpr int64_t kRoomToRamble = 12;     // tokens beyond the longest trace before generation is cut
constexpr uint32_t kHeldOutShare = 8;     // one in this many problems is for evaluation

struct Operation {
  int32_t symbol;  // kPlus or kTimes
  int32_t operand;
  int32_t state;  // after the operation
};

struct Chain {
  int32_t start = 0;
  std::vector<Operation> operations;

  void append(int32_t symbol, int32_t operand) {
    const int32_t state = last();
    operations.push_back({symbol, operand, (symbol == kPlus ? state + operand : state * operand) % kModulus});
  }
  int32_t last() const { return operations.empty() ? start : operations.back().state; }
};

// Item::meta is the chain as text, such as "3+4*2".
std::string to_meta(const Chain& chain) {
  std::string text(1, static_cast<char>('0' + chain.start));
  for (const Operation& op : chain.operations) {
    text += op.symbol == kPlus ? '+' : '*';
    text += static_cast<char>('0' + op.operand);
  }
  return text;
}

std::optional<Chain> parse_meta(const std::string& text) {
  const auto is_digit = [](char c) { return c >= '0' && c < '0' + kModulus; };
  if (text.size() < 3 || text.size() % 2 == 0 || !is_digit(text[0])) return std::nullopt;
  Chain chain{text[0] - '0', {}};
  for (size_t i = 1; i < text.size(); i += 2) {
    if ((text[i] != '+' && text[i] != '*') || !is_digit(text[i + 1])) return std::nullopt;
    chain.append(text[i] == '+' ? kPlus : kTimes, text[i + 1] - '0');
  }
  return chain;
}

Chain chain_of(const Item& item) {
  if (auto chain = parse_meta(item.meta)) return *chain;
  throw std::invalid_argument(
      fmt::format("chain7: item {} has meta '{}'; expected a chain such as 3+4*2", item.index, item.meta));
}

// The random words of one problem, generated four at a time.
class Words {
 public:
  Words(uint64_t seed, Split split, int64_t index, int64_t difficulty)
      : seed_(seed),
        stream_(split == Split::kTrain ? RandomStream::kTrainProblem : RandomStream::kEvalProblem),
        index_(static_cast<uint64_t>(index)),
        block_(static_cast<uint64_t>(difficulty) << 32) {}

  int32_t below(int32_t n) {
    if (used_ == words_.size()) {
      words_ = philox(seed_, stream_, index_, block_++);
      used_ = 0;
    }
    return static_cast<int32_t>(uniform_below(words_[used_++], static_cast<uint32_t>(n)));
  }

 private:
  uint64_t seed_;
  RandomStream stream_;
  uint64_t index_;
  uint64_t block_;
  std::array<uint32_t, 4> words_{};
  size_t used_ = 4;
};

Chain draw_chain(Words& words, int64_t operations) {
  Chain chain{words.below(kModulus), {}};
  for (int64_t i = 0; i < operations; ++i) {
    const bool plus = words.below(2) == 0;
    chain.append(plus ? kPlus : kTimes, plus ? words.below(kModulus) : 1 + words.below(kModulus - 1));
  }
  return chain;
}

// Whether a problem is for evaluation. This depends on its text alone, not on the seed, because a checkpoint of one
// seed may be evaluated under another. Both splits have problems of every number of operations, so a loop that redraws
// until the split fits always ends.
bool held_out(const Chain& chain) {
  uint64_t hash = 0xCBF29CE484222325ull;  // FNV-1a; Philox then mixes its bits
  for (const char c : to_meta(chain)) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
  return philox(hash, RandomStream::kEvalProblem, 0, 0)[0] % kHeldOutShare == 0;
}

void append_steps(const Chain& chain, Tokens& out) {
  int32_t state = chain.start;
  for (const Operation& op : chain.operations) {
    out.insert(out.end(), {state, op.symbol, op.operand, kGives, op.state, kSeparator});
    state = op.state;
  }
}

Tokens think_verbose(const Chain& chain) {
  Tokens out;
  append_steps(chain, out);
  return out;
}

Tokens think_recheck(const Chain& chain) {
  Tokens out = think_verbose(chain);
  out.push_back(kRecheck);
  append_steps(chain, out);
  return out;
}

Tokens think_compact(const Chain& chain) {
  Tokens out;
  for (const Operation& op : chain.operations) out.insert(out.end(), {op.symbol, op.operand, op.state});
  return out;
}

Tokens think_states(const Chain& chain) {
  Tokens out;
  for (const Operation& op : chain.operations) out.push_back(op.state);
  return out;
}

Tokens think_direct(const Chain&) {
  return {};
}

struct Form {
  std::string_view name;
  double share;  // share in supervised fine-tuning, unless task.forms sets the shares
  Tokens (*think)(const Chain&);
};
constexpr Form kForms[] = {{"recheck", .35, think_recheck},
                           {"verbose", .22, think_verbose},
                           {"compact", .22, think_compact},
                           {"states", .18, think_states},
                           {"direct", .03, think_direct}};

std::vector<std::string> form_names() {
  std::vector<std::string> names;
  for (const Form& form : kForms) names.emplace_back(form.name);
  return names;
}

const Form& find_form(std::string_view name) {
  for (const Form& form : kForms) {
    if (form.name == name) return form;
  }
  throw std::invalid_argument(fmt::format("chain7: unknown form '{}'; known: {}", name, fmt::join(form_names(), ", ")));
}

std::string classify(const Chain& chain, const Tokens& thinking) {
  for (const Form& form : kForms) {
    if (form.think(chain) == thinking) return std::string(form.name);
  }
  const Tokens states = think_states(chain);
  auto next = states.begin();
  for (const int32_t token : thinking) {
    next = std::find(next, states.end(), token);
    if (next == states.end()) return std::string(kFormOther);
    ++next;
  }
  return std::string(kFormSkip);
}

std::vector<double> normalised_shares(const std::map<std::string, double>& chosen) {
  for (const auto& [name, share] : chosen) {
    if (std::none_of(std::begin(kForms), std::end(kForms), [&](const Form& form) { return form.name == name; })) {
      throw std::invalid_argument(
          fmt::format("chain7: task.forms has the unknown form '{}'; known: {}", name, fmt::join(form_names(), ", ")));
    }
    if (!(share >= 0) || !std::isfinite(share)) {
      throw std::invalid_argument(fmt::format("chain7: task.forms.{} is {}; expected 0 or more", name, share));
    }
  }
  std::vector<double> shares;
  for (const Form& form : kForms) {
    const auto found = chosen.find(std::string(form.name));
    shares.push_back(chosen.empty() ? form.share : found == chosen.end() ? 0 : found->second);
  }
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  if (!(sum > 0)) throw std::invalid_argument("chain7: task.forms gives no form a share above 0");
  for (double& share : shares) share /= sum;
  return shares;
}

// The number of operations that prompts are filled to; 0: they are not filled.
int64_t filled_operations(const configs::Task& config) {
  return config.options.get<bool>("align") ? config.options.get<int64_t>("align_to") : 0;
}

void check_options(const configs::Task& config, std::vector<configs::Violation>& out) {
  const auto k_min = config.options.get<int64_t>("k_min"), k_max = config.options.get<int64_t>("k_max");
  if (k_min > k_max)
    out.push_back({{"task.k_min", "task.k_max"}, fmt::format("is {}, above task.k_max {}", k_min, k_max)});
  const int64_t filled = filled_operations(config);
  if (config.options.get<bool>("align") && filled < k_max) {
    out.push_back(
        {{"task.align_to", "task.k_max"},
         fmt::format("is {}, below task.k_max {}; prompts are padded to at least the length of the longest problem",
                     filled, k_max)});
  }
}

class Chain7 final : public Task, public Demonstrations {
 public:
  Chain7(const configs::Task& config, int64_t seed)
      : tokenizer_("chain7", kSymbols),
        seed_(static_cast<uint64_t>(seed)),
        k_min_(config.options.get<int64_t>("k_min")),
        k_max_(config.options.get<int64_t>("k_max")),
        filled_operations_(filled_operations(config)),
        shares_(normalised_shares(config.forms)) {
    if (k_min_ < 1 || k_max_ < k_min_ || k_max_ > kMaxOperations) {
      throw std::invalid_argument(
          fmt::format("chain7: task.k_min is {} and task.k_max {}; expected 1 <= k_min <= k_max <= {}", k_min_, k_max_,
                      kMaxOperations));
    }
    const bool aligned = config.options.get<bool>("align");
    if (aligned && (filled_operations_ < k_max_ || filled_operations_ > kMaxOperations)) {
      throw std::invalid_argument(fmt::format("chain7: task.align_to is {}; expected task.k_max ({}) to {}",
                                              filled_operations_, k_max_, kMaxOperations));
    }
  }

  std::string name() const override { return "chain7"; }
  const data::Tokenizer* tokenizer() const override { return &tokenizer_; }
  const Demonstrations* demonstrations() const override { return this; }
  std::vector<std::string> forms() const override { return form_names(); }
  std::vector<double> form_shares() const override { return shares_; }
  bool can_be_thinned() const override { return true; }
  std::optional<TokenLimits> token_limits() const override {
    return TokenLimits{.prompt = 3 + 2 * std::max(k_max_, filled_operations_),
                       .response = 12 * k_max_ + 1 + kTailTokens + kRoomToRamble};
  }

  std::vector<Difficulty> difficulties() const override {
    std::vector<Difficulty> all;
    for (int64_t k = k_min_; k <= k_max_; ++k) all.emplace_back(k);
    return all;
  }

  Item item(Split split, int64_t index) const override {
    // No item has difficulty 0, so nothing else uses these words.
    return item(split, index, k_min_ + Words(seed_, split, index, 0).below(static_cast<int32_t>(k_max_ - k_min_ + 1)));
  }

  Item item(Split split, int64_t index, const Difficulty& wanted) const override {
    const int64_t difficulty = wanted.value;
    if (index < 0 || difficulty < k_min_ || difficulty > k_max_) {
      throw std::invalid_argument(
          fmt::format("chain7: problem {} of difficulty {} does not exist; expected an index from 0 and a difficulty "
                      "in {}..{}",
                      index, difficulty, k_min_, k_max_));
    }
    Words words(seed_, split, index, difficulty);
    Chain chain = draw_chain(words, difficulty);
    while (held_out(chain) != (split == Split::kEval)) chain = draw_chain(words, difficulty);
    return {.index = index,
            .prompt = {{"user", tokenizer_.decode(prompt(chain))}},
            .answer = tokenizer_.decode({chain.last()}),
            .difficulty = difficulty,
            .meta = to_meta(chain)};
  }

  std::optional<int64_t> max_solution_tokens(std::string_view form) const override {
    Chain longest;
    for (int64_t i = 0; i < k_max_; ++i) longest.append(kPlus, 0);
    return std::ssize(find_form(form).think(longest)) + kTailTokens;
  }

  std::string solution(const Item& item, std::string_view form) const override {
    const Chain chain = chain_of(item);
    Tokens out = find_form(form).think(chain);
    out.insert(out.end(), {kEndThink, chain.last()});
    return tokenizer_.decode(out);
  }

  Verdict verify(const Item& item, const Response& response) const override {
    const auto chain = parse_meta(item.meta);
    if (!chain) return {.status = VerifyStatus::kError};
    Tokens tokens;
    try {
      tokens = tokenizer_.encode(response.text);
    } catch (const data::EncodeError&) {
      return verdict(false, std::string(kFormOther));
    }
    const auto tail = tokens.end() - std::min<int64_t>(kTailTokens - 1, std::ssize(tokens));
    const bool ended = response.finished && tokens.end() - tail == kTailTokens - 1 && tail[0] == kEndThink &&
                       std::find(tokens.begin(), tokens.end(), kEos) == tokens.end();
    if (!ended) return verdict(false, std::string(kFormOther));
    return verdict(tail[1] == chain->last(), classify(*chain, {tokens.begin(), tail}));
  }

 private:
  Tokens prompt(const Chain& chain) const {
    Tokens out = {kBos, chain.start};
    for (const Operation& op : chain.operations) out.insert(out.end(), {op.symbol, op.operand});
    const size_t filled = static_cast<size_t>(2 + 2 * filled_operations_);
    if (out.size() < filled) out.resize(filled, kSeparator);
    out.push_back(kEquals);
    return out;
  }

  data::SymbolTokenizer tokenizer_;
  uint64_t seed_;
  int64_t k_min_;
  int64_t k_max_;
  int64_t filled_operations_;  // 0: prompts are not filled
  std::vector<double> shares_;
};

}  // namespace

TaskDeclaration declare_chain7() {
  const configs::Rule operations = configs::between(1, kMaxOperations);
  return {
      .options = {{"k_min", int64_t{1}, "chain7: smallest number of operations in a problem", operations},
                  {"k_max", int64_t{8}, "chain7: largest number of operations; difficulty = operations", operations},
                  {"align", true, "chain7: pad prompts so that operands are at fixed positions (much easier to learn)"},
                  {"align_to", int64_t{8}, "chain7: pad prompts to the length of this many operations (at least k_max)",
                   operations}},
      .forms = form_names(),
      .check = check_options};
}

std::unique_ptr<Task> make_chain7(const configs::Task& config, int64_t seed) {
  return std::make_unique<Chain7>(config, seed);
}

}  // namespace terse::rl
