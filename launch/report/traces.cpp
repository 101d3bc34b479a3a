// Streams the trace files. Only the first and the last response to each problem stay in memory.
#include "launch/report/traces.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include "base/jsonl.h"
#include "base/utf8.h"
#include "launch/report/json_fields.h"

namespace terse::launch::report {
namespace {

constexpr size_t kMaxPairs = 16;
constexpr size_t kMaxPerDifficulty = 64;  // kept while reading
constexpr size_t kMaxCharacters = 4000;   // of a prompt or a response

std::string shortened(const std::string& text) {
  if (text.size() <= kMaxCharacters) return text;
  const size_t kept = whole_characters(std::string_view(text).substr(0, kMaxCharacters));
  return text.substr(0, kept) + " … (" + std::to_string(text.size() - kept) + " more bytes)";
}

struct Entry {
  std::string prompt;
  int64_t first_at = 0, last_at = 0;
  Trace first, last;
};

// By difficulty, then by problem. Problems of different difficulties may share a number, and a task may number its
// problems anew. So the prompt is part of the key.
using Entries = std::map<int64_t, std::map<std::pair<int64_t, std::string>, Entry>>;

void add(Entries& entries, const nlohmann::json& line, int64_t at) {
  const int64_t difficulty = integer_of(line, "difficulty");
  auto& problems = entries[difficulty];
  const std::pair key{integer_of(line, "problem"), shortened(text_of(line, "prompt"))};
  if (problems.size() >= kMaxPerDifficulty && !problems.contains(key)) return;
  const auto [found, is_new] = problems.try_emplace(key);
  Entry& entry = found->second;
  const Trace trace{text_of(line, "stage"),     integer_of(line, "step"), shortened(text_of(line, "response")),
                    integer_of(line, "tokens"), flag_of(line, "correct"), text_of(line, "form")};
  // A resumed run may repeat an evaluation. The later line counts.
  if (is_new || at <= entry.first_at) entry.first = trace, entry.first_at = at;
  if (is_new || at >= entry.last_at) entry.last = trace, entry.last_at = at;
  entry.prompt = key.second;
}

}  // namespace

std::vector<TracePair> read_trace_pairs(const std::filesystem::path& folder, int64_t from,
                                        const std::function<int64_t(const std::string&, int64_t)>& global_step,
                                        int64_t& skipped) {
  std::vector<std::string> files;
  std::error_code missing;
  for (const auto& file : std::filesystem::directory_iterator(folder, missing))
    if (file.path().extension() == ".jsonl") files.push_back(file.path().string());
  std::sort(files.begin(), files.end());
  Entries entries;
  for (const std::string& file : files) {
    for (JsonlReader reader(file); reader.next();) {
      const nlohmann::json& line = reader.object();
      if (!reader.is_object()) {
        ++skipped;
      } else if (text_of(line, "logged_for") == "eval" && line.contains("response")) {
        const int64_t at = global_step(text_of(line, "stage"), integer_of(line, "step"));
        if (at >= from) add(entries, line, at);
      }
    }
  }

  // The difficulties take turns, so that a few of them cannot crowd out the others.
  std::vector<std::tuple<int64_t, size_t, TracePair>> chosen;
  for (size_t round = 0; round < kMaxPerDifficulty && chosen.size() < kMaxPairs; ++round) {
    for (const auto& [difficulty, problems] : entries) {
      size_t paired = 0;
      for (const auto& [key, entry] : problems) {
        if (entry.first_at == entry.last_at || paired++ != round || chosen.size() >= kMaxPairs) continue;
        chosen.emplace_back(difficulty, round, TracePair{entry.prompt, difficulty, entry.first, entry.last});
      }
    }
  }
  std::sort(chosen.begin(), chosen.end(), [](const auto& a, const auto& b) {
    return std::tie(std::get<0>(a), std::get<1>(a)) < std::tie(std::get<0>(b), std::get<1>(b));
  });
  std::vector<TracePair> pairs;
  for (auto& item : chosen) pairs.push_back(std::move(std::get<2>(item)));
  return pairs;
}

}  // namespace terse::launch::report
