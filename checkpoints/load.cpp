// Scans from the newest checkpoint to older ones, or reads one; the ranks exchange their findings after each step.
//
// A rank takes part in every exchange, even after an error. If it left early, the other ranks would wait for it.
#include "checkpoints/load.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "checkpoints/failure.h"

namespace terse::checkpoints {

namespace {

using nlohmann::json;

constexpr int kScans = 100;  // maximum number of scans of a folder whose checkpoints are pruned meanwhile

// Runs work on all ranks and gathers the results.
class Round {
 public:
  // Throws std::invalid_argument when several ranks have no exchange.
  Round(const LoadShare& share, const Exchange& exchange) : share_(share), exchange_(exchange) {
    if (alone() || exchange) return;
    throw std::invalid_argument(fmt::format("{} ranks cannot agree on a checkpoint without an exchange", share.ranks));
  }
  bool alone() const { return share_.ranks == 1; }
  bool is_first() const { return share_.rank == 0; }

  // Returns the results of `work` on all ranks in rank order. When it threw on one rank, all ranks throw that failure.
  std::vector<json> each(const std::function<json()>& work) const {
    if (alone()) return {work()};
    json mine;
    try {
      mine = {{"done", work()}};
    } catch (...) {
      mine = {{"failed", failure_text(with_context(std::current_exception(), fmt::format("rank {}: ", share_.rank)))}};
    }
    const std::vector<std::string> texts = exchange_(mine.dump(-1, ' ', false, json::error_handler_t::replace));
    if (texts.size() != static_cast<size_t>(share_.ranks)) {
      throw std::logic_error(fmt::format("the exchange returned {} texts, expected one from each of the {} ranks",
                                         texts.size(), share_.ranks));
    }
    std::vector<json> results;
    for (const std::string& text : texts) {
      json theirs = parse_json(text);
      if (theirs.contains("failed")) std::rethrow_exception(parse_failure(theirs["failed"].get<std::string>()));
      results.push_back(std::move(theirs.at("done")));
    }
    return results;
  }

 private:
  const LoadShare& share_;
  const Exchange& exchange_;
};

// The steps to try, newest first, as listed by rank 0. On a network file system another rank's listing may lag behind.
std::vector<StepEntry> steps_to_try(FileSystem& fs, const FileSystem::Path& dir, const Round& round) {
  const json listed = round.each([&] {
    json list = json::array();
    if (!round.is_first() || fs.kind(dir) == EntryKind::kNone) return list;
    for (const StepEntry& entry : list_steps(fs, dir)) list.push_back({entry.step, static_cast<int>(entry.kind)});
    return list;
  })[0];
  std::vector<StepEntry> steps;
  for (const json& item : listed) steps.push_back({item.at(0), static_cast<EntryKind>(item.at(1).get<int>())});
  return steps;
}

// All ranks' defects after one step of reading.
class Verdict {
 public:
  bool sound() const { return defects_.empty(); }
  bool gone() const { return gone_; }  // a rank found a defect and the folder no longer exists
  std::string text() const { return defect_summary(defects_); }

  // Runs `read` on each rank. Returns whether no rank found a defect and all ranks read the same manifest.
  bool ask(const Round& round, const std::function<std::vector<std::string>()>& read, const std::string& manifest,
           const std::function<bool()>& is_gone) {
    const std::vector<json> answers = round.each([&] {
      json defects = read();
      const bool gone = !defects.empty() && is_gone();
      return json{{"defects", std::move(defects)}, {"manifest", manifest}, {"gone", gone}};
    });
    std::set<std::string> known;
    for (size_t rank = 0; rank < answers.size(); ++rank) {
      for (const json& defect : answers[rank].at("defects")) {
        if (known.insert(defect).second) defects_.push_back(defect);
      }
      gone_ = gone_ || answers[rank].at("gone").get<bool>();
    }
    for (size_t rank = 1; rank < answers.size() && sound(); ++rank) {
      if (answers[rank].at("manifest") == answers[0].at("manifest")) continue;
      defects_.push_back(fmt::format("{}: rank {} and rank 0 read different contents", kManifestName, rank));
    }
    return sound();
  }

 private:
  std::vector<std::string> defects_;
  bool gone_ = false;
};

// Reads one checkpoint on all ranks. Returns nullopt, with the defects in `verdict`, when any rank found a defect.
std::optional<Store::Loaded> read_together(FileSystem& fs, const FileSystem::Path& checkpoint, const LoadShare& share,
                                           const Round& round, Verdict& verdict) {
  CheckpointReader reader(fs, checkpoint, Depth::kData, /*keep=*/true, share);
  const auto is_gone = [&] { return fs.kind(checkpoint) == EntryKind::kNone; };
  const auto ask = [&](const auto& read) { return verdict.ask(round, read, reader.manifest_sha256(), is_gone); };
  if (!ask([&] { return reader.read_own(); })) return std::nullopt;
  if (!round.alone() && !ask([&] { return reader.read_others(); })) return std::nullopt;
  return reader.take();
}

struct Scan {
  std::optional<Store::Loaded> loaded;
  std::vector<std::string> rejected;
  bool any = false;      // there was at least one step-N entry
  bool changed = false;  // an entry was removed while it was read
};

Scan scan_once(FileSystem& fs, const FileSystem::Path& dir, const LoadShare& share, const Round& round) {
  Scan scan;
  for (const StepEntry& entry : steps_to_try(fs, dir, round)) {
    scan.any = true;
    const std::string name = step_name(entry.step);
    if (entry.kind != EntryKind::kFolder) {
      scan.rejected.push_back(name + ": it is not a folder");
      continue;
    }
    Verdict verdict;
    if ((scan.loaded = read_together(fs, dir / name, share, round, verdict))) {
      scan.loaded->rejected = scan.rejected;
      return scan;
    }
    if (verdict.gone()) scan.changed = true;
    scan.rejected.push_back(name + ": " + verdict.text());
  }
  return scan;
}

}  // namespace

std::optional<Store::Loaded> load_latest(FileSystem& fs, const FileSystem::Path& dir, const LoadShare& share,
                                         const Exchange& exchange) {
  const Round round(share, exchange);
  Scan scan;
  // A run that trains in another process may prune a checkpoint that is about to be read. Then a newer one exists, so
  // the scan is repeated.
  for (int i = 0; i < kScans; ++i) {
    scan = scan_once(fs, dir, share, round);
    if (!scan.changed) break;
  }
  if (scan.loaded || !scan.any) return std::move(scan.loaded);
  throw DataError(fmt::format("no usable checkpoint in {}:\n  {}", dir.string(), fmt::join(scan.rejected, "\n  ")));
}

Store::Loaded load(FileSystem& fs, const FileSystem::Path& checkpoint, const LoadShare& share,
                   const Exchange& exchange) {
  Verdict verdict;
  auto loaded = read_together(fs, checkpoint, share, Round(share, exchange), verdict);
  if (loaded) return std::move(*loaded);
  throw DataError(fmt::format("checkpoint {} is damaged: {}", checkpoint.string(), verdict.text()));
}

}  // namespace terse::checkpoints
