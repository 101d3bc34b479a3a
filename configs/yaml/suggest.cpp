// Computes edit distances, and finds what a mistyped or misplaced key meant.
#include "configs/yaml/suggest.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace terse::configs {
namespace {

constexpr size_t kLongestWord = 64;  // longer words are no typos of options, and the time is quadratic

// Names that other trainers use for the same option.
constexpr std::array<std::pair<std::string_view, std::string_view>, 26> kSynonyms = {{
    {"learning_rate", "lr"},
    {"max_lr", "lr"},
    {"n_layer", "layers"},
    {"n_layers", "layers"},
    {"num_layers", "layers"},
    {"num_hidden_layers", "layers"},
    {"d_model", "hidden_size"},
    {"n_embd", "hidden_size"},
    {"width", "hidden_size"},
    {"n_head", "heads"},
    {"n_heads", "heads"},
    {"num_attention_heads", "heads"},
    {"head_width", "head_dim"},
    {"context", "max_seq_len"},
    {"block_size", "max_seq_len"},
    {"max_position_embeddings", "max_seq_len"},
    {"d_ff", "intermediate_size"},
    {"ffn_width", "intermediate_size"},
    {"num_generations", "group_size"},
    {"max_steps", "steps"},
    {"max_iters", "steps"},
    {"grad_clip", "clip_grad_norm"},
    {"dtype", "precision"},
    {"gpu", "cuda"},
    {"bfloat16", "bf16"},
    {"float32", "fp32"},
}};

std::string normalised(std::string_view word) {
  std::string out(word);
  for (char& c : out) c = c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

// Returns our name for a synonym, and otherwise the normalised word itself.
std::string translated(std::string_view word) {
  const std::string plain = normalised(word);
  const auto* const found =
      std::find_if(kSynonyms.begin(), kSynonyms.end(), [&](const auto& pair) { return pair.first == plain; });
  return found == kSynonyms.end() ? plain : std::string(found->second);
}

// Returns the largest number of edits that still counts as a typo of a word of this length.
size_t tolerance(size_t length) {
  return length <= 3 ? 1 : length <= 7 ? 2 : 3;
}

std::vector<std::string> all_paths(const FieldTable& table) {
  std::vector<std::string> paths;
  for (const Field& field : table.fields) paths.push_back(field.path);
  for (const Section& section : table.sections) paths.push_back(section.path);
  return paths;
}

// Returns whether `word` is `candidate` with letters left out. This is the most common typo, so it decides between
// equal distances.
bool leaves_out_letters(std::string_view word, std::string_view candidate) {
  size_t read = 0;
  for (const char c : candidate) read += read < word.size() && word[read] == c ? 1 : 0;
  return read == word.size();
}

std::vector<std::string> words_of(const std::string& name) {
  std::vector<std::string> words(1);
  for (const char c : normalised(name)) {
    if (c == '_') {
      words.emplace_back();
    } else {
      words.back().push_back(c);
    }
  }
  return words;
}

// Returns whether `name` is `candidate` with whole words left out, such as --max-tokens for --max-new-tokens. `name`
// must have at least two words, because one word alone matches too much.
bool leaves_out_words(const std::string& name, const std::string& candidate) {
  const std::vector<std::string> words = words_of(name), all = words_of(candidate);
  size_t read = 0;
  for (const std::string& word : all) read += read < words.size() && words[read] == word ? 1 : 0;
  const auto empty = std::count(words.begin(), words.end(), "");
  return read == words.size() && std::ssize(words) - empty >= 2;
}

// Returns the paths that end in `key`. If some of them are inside `section`, it returns only those.
std::vector<std::string> ending_in(const std::vector<std::string>& paths, std::string_view section,
                                   const std::string& key) {
  std::vector<std::string> inside, anywhere;
  for (const std::string& path : paths) {
    if (last_of(path) != key) continue;
    anywhere.push_back(path);
    if (!section.empty() && path.starts_with(std::string(section) + ".")) inside.push_back(path);
  }
  return inside.empty() ? anywhere : inside;
}

}  // namespace

size_t edit_distance(std::string_view a_in, std::string_view b_in) {
  const std::string a = normalised(a_in), b = normalised(b_in);
  std::vector<size_t> before_last(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    std::swap(before_last, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  if (word.empty() || word.size() > kLongestWord) return "";
  const std::string meant = translated(word);
  if (std::find(known.begin(), known.end(), meant) != known.end()) return meant;
  std::string best;
  size_t best_distance = tolerance(word.size()) + 1;
  for (const std::string& candidate : known) {
    const size_t distance = edit_distance(word, candidate);
    // The words have too little in common if the distance reaches the length of the candidate.
    if (distance > best_distance || distance >= candidate.size()) continue;
    if (distance == best_distance && (best.empty() || !leaves_out_letters(word, candidate))) continue;
    best = candidate;
    best_distance = distance;
  }
  if (!best.empty()) return best;
  const auto longer = std::find_if(known.begin(), known.end(), [&](const std::string& candidate) {
    return leaves_out_words(std::string(word), candidate);
  });
  return longer == known.end() ? "" : *longer;
}

std::vector<std::string> nearest_paths(const FieldTable& table, std::string_view section, std::string_view key) {
  if (key.empty() || key.size() > kLongestWord) return {};
  const std::vector<std::string> paths = all_paths(table);
  const std::string meant = translated(key);
  // Tries the right word in the wrong place first, then a typo in this place, then a typo in the wrong place.
  if (auto found = ending_in(paths, section, meant); !found.empty()) return found;
  if (const std::string sibling = nearest(meant, table.keys_of(section)); !sibling.empty())
    return {join(section, sibling)};
  std::vector<std::string> words;
  for (const std::string& path : paths) words.emplace_back(last_of(path));
  const std::string word = nearest(meant, words);
  return word.empty() ? std::vector<std::string>() : ending_in(paths, section, word);
}

}  // namespace terse::configs
