// The places of a window are computed once for each index space.
#include "rl/tasks/mixture.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <stdexcept>

#include "base/errors.h"
#include "data/permutation.h"
#include "rl/tasks/index_space.h"
#include "rl/tasks/messages.h"

namespace terse::rl {

namespace {

constexpr uint64_t kOrderOfPlaces = 0x6D697874757265;  // keeps this permutation apart from those of epochs

// Calls `make`, and names the part in what it throws.
template <class Make>
auto for_part(const std::string& name, const Make& make) {
  const auto text = [&](const std::exception& error) { return fmt::format("task.mixture.{}: {}", name, error.what()); };
  try {
    return make();
  } catch (const ConfigError& error) {
    throw ConfigError(text(error));
  } catch (const DataError& error) {
    throw DataError(text(error));
  } catch (const DiskError& error) {
    throw DiskError(text(error), error.error());
  } catch (const MachineError& error) {
    throw MachineError(text(error));
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(text(error));
  }
}

// One of the 1000 places of a window: the number of its task, and how many earlier places of the window this task has.
struct Place {
  size_t part;
  int64_t earlier;
};

std::vector<Place> places_of(const std::vector<int64_t>& quotas, uint64_t seed) {
  const data::Permutation shuffled(seed ^ kOrderOfPlaces, 0, kMixturePeriod);
  std::vector<size_t> owner;
  for (size_t part = 0; part < quotas.size(); ++part)
    owner.insert(owner.end(), static_cast<size_t>(quotas[part]), part);
  std::vector<int64_t> given(quotas.size(), 0);
  std::vector<Place> places;
  for (int64_t i = 0; i < kMixturePeriod; ++i) {
    const size_t part = owner[static_cast<size_t>(shuffled(i))];
    places.push_back({part, given[part]++});
  }
  return places;
}

class Mixture final : public Task, public Demonstrations {
 public:
  Mixture(const configs::Task& config, int64_t seed) : seed_(seed) {
    if (config.mixture.empty())
      throw ConfigError("task.mixture has no task, but task mixture mixes those that are listed there");
    std::vector<double> weights;
    for (const auto& [name, part] : config.mixture) {
      if (part.name == config.name)
        throw ConfigError(fmt::format("task.mixture.{}.name: is {}, but a mixture holds no mixture", name, part.name));
      names_.push_back(name);
      tasks_.push_back(for_part(name, [&] { return make_task(part, seed); }));
      weights.push_back(part.weight);
    }
    share_out(weights);
    require_one_vocabulary();
    refuse_evaluated();
  }

  std::string name() const override { return "mixture"; }
  const data::Tokenizer* tokenizer() const override { return tasks_[0]->tokenizer(); }

  std::vector<Part> parts() const override {
    std::vector<Part> all;
    for (size_t p = 0; p < tasks_.size(); ++p) all.push_back({names_[p], tasks_[p].get()});
    return all;
  }

  Item item(Split split, int64_t index) const override {
    if (split == Split::kEval) return evaluation_item(index);
    const IndexSpace space = space_of(index);
    const int64_t n = place_in_space(index);
    const Place& place = places_[static_cast<size_t>(space)][static_cast<size_t>(n % kMixturePeriod)];
    const Task& task = *tasks_[place.part];
    const int64_t own = index_in(space, n / kMixturePeriod * quotas_[place.part] + place.earlier);
    const std::optional<int64_t> size = task.size(Split::kTrain);
    return of_part(place.part, index, task.item(Split::kTrain, size ? item_in_epoch(own, *size, seed_) : own));
  }

  std::vector<Difficulty> difficulties() const override {
    std::vector<Difficulty> all;
    for (size_t p = 0; p < tasks_.size(); ++p) {
      for (const Difficulty& difficulty : tasks_[p]->difficulties()) all.emplace_back(difficulty.value, names_[p]);
    }
    return all;
  }

  Item item(Split split, int64_t index, const Difficulty& difficulty) const override {
    const size_t p = number_of(difficulty.task);
    if (p == tasks_.size()) throw std::invalid_argument(fmt::format("the mixture has no task '{}'", difficulty.task));
    const int64_t first = split == Split::kTrain ? first_index(space_of(index)) : 0;
    return of_part(p, first + mixed(p, index - first), tasks_[p]->item(split, index, Difficulty(difficulty.value)));
  }

  std::vector<Item> evaluation_items(int64_t per_difficulty) const override {
    std::vector<Item> all;
    for (size_t p = 0; p < tasks_.size(); ++p) {
      for (Item& item : tasks_[p]->evaluation_items(per_difficulty)) {
        const int64_t index = mixed(p, item.index);
        all.push_back(of_part(p, index, std::move(item)));
      }
    }
    return all;
  }

  Verdict verify(const Item& item, const Response& response) const override {
    const size_t p = number_of(item.task);
    return p < tasks_.size() ? tasks_[p]->verify(item, response) : Verdict{.status = VerifyStatus::kError};
  }

  void report_to(const std::function<void(const std::string&)>& sink) const override {
    for (size_t p = 0; p < tasks_.size(); ++p) {
      if (!sink) {
        tasks_[p]->report_to({});
        continue;
      }
      tasks_[p]->report_to([sink, name = names_[p]](const std::string& text) { sink(name + ": " + text); });
    }
  }

  std::optional<TokenLimits> token_limits() const override {
    TokenLimits most;
    for (const auto& task : tasks_) {
      const std::optional<TokenLimits> limits = task->token_limits();
      if (!limits) return std::nullopt;
      most = {std::max(most.prompt, limits->prompt), std::max(most.response, limits->response)};
    }
    return most;
  }

  // Without solutions of every task, fine-tuning would meet problems that it cannot use.
  const Demonstrations* demonstrations() const override {
    return std::all_of(tasks_.begin(), tasks_.end(), [](const auto& task) { return task->demonstrations() != nullptr; })
               ? this
               : nullptr;
  }

  std::vector<std::string> forms() const override {
    std::vector<std::string> all;
    for (const auto& task : tasks_) {
      for (const std::string& form : task->demonstrations()->forms())
        if (std::find(all.begin(), all.end(), form) == all.end()) all.push_back(form);
    }
    return all;
  }

  std::vector<double> form_shares() const override {
    std::vector<double> all(forms().size(), 0);
    for (size_t p = 0; p < tasks_.size(); ++p) {
      const std::vector<double> own = shares_of(p);
      for (size_t f = 0; f < all.size(); ++f)
        all[f] += own[f] * static_cast<double>(quotas_[p]) / static_cast<double>(kMixturePeriod);
    }
    return all;
  }
  std::vector<double> form_shares(const Item& item) const override { return shares_of(checked_number_of(item)); }

  std::string solution(const Item& item, std::string_view form) const override {
    return tasks_[checked_number_of(item)]->demonstrations()->solution(item, form);
  }

  std::optional<int64_t> max_solution_tokens(std::string_view form) const override {
    std::optional<int64_t> most;
    for (const auto& task : tasks_) {
      const std::vector<std::string> own = task->demonstrations()->forms();
      if (std::find(own.begin(), own.end(), form) == own.end()) continue;
      const std::optional<int64_t> tokens = task->demonstrations()->max_solution_tokens(form);
      if (!tokens) return std::nullopt;
      most = std::max(most.value_or(0), *tokens);
    }
    if (!most) throw std::invalid_argument(fmt::format("mixture: unknown form '{}'", form));
    return most;
  }

  // One curriculum serves all tasks, so they must have the same forms.
  bool can_be_thinned() const override {
    return std::all_of(tasks_.begin(), tasks_.end(), [&](const auto& task) {
      return task->demonstrations()->can_be_thinned() && task->demonstrations()->forms() == forms();
    });
  }

 private:
  void share_out(const std::vector<double>& weights) {
    quotas_ = mixture_quotas(weights);
    for (size_t p = 0; p < quotas_.size(); ++p) {
      if (quotas_[p] > 0) continue;
      throw ConfigError(
          fmt::format("task.mixture.{}.weight: is {} of {} in all, which is less than one of {} problems, so the task "
                      "would give none; raise it, or leave the task out",
                      names_[p], weights[p], std::accumulate(weights.begin(), weights.end(), 0.0), kMixturePeriod));
    }
    for (size_t space = 0; space < places_.size(); ++space) {
      const int64_t first = first_index(static_cast<IndexSpace>(space));
      places_[space] = places_of(quotas_, static_cast<uint64_t>(seed_) ^ static_cast<uint64_t>(first));
    }
  }

  void require_one_vocabulary() const {
    const auto own = [](const Task& task) { return task.tokenizer() == nullptr ? "" : task.tokenizer()->id(); };
    const std::string first = own(*tasks_[0]);
    for (size_t p = 1; p < tasks_.size(); ++p) {
      const std::string other = own(*tasks_[p]);
      if (other == first) continue;
      const auto told = [](const std::string& id) {
        return id.empty() ? std::string("takes the tokenizer of the run") : "brings the tokenizer " + id;
      };
      throw ConfigError(fmt::format(
          "task.mixture: {} {}, but {} {}, and one model has one tokenizer; mix tasks that share a tokenizer",
          names_[0], told(first), names_[p], told(other)));
    }
  }

  void refuse_evaluated() const {
    if (tasks_.size() == 1) return;
    std::map<std::string, std::pair<size_t, int64_t>> evaluated;  // prompt to task and item
    const auto size = [&](size_t p, Split split) { return tasks_[p]->size(split).value_or(0); };
    for (size_t p = 0; p < tasks_.size(); ++p) {
      for (int64_t i = 0; i < size(p, Split::kEval); ++i)
        evaluated.insert({text_of_prompt(tasks_[p]->item(Split::kEval, i).prompt), {p, i}});
    }
    for (size_t p = 0; p < tasks_.size(); ++p) {
      for (int64_t i = 0; i < size(p, Split::kTrain); ++i) {
        const auto found = evaluated.find(text_of_prompt(tasks_[p]->item(Split::kTrain, i).prompt));
        if (found == evaluated.end() || found->second.first == p) continue;
        throw DataError(
            fmt::format("task.mixture: {} trains on the prompt of its item {}, which {} evaluates on as its item {}; "
                        "give both tasks the same eval_path, or remove the problem from one of them",
                        names_[p], i, names_[found->second.first], found->second.second));
      }
    }
  }

  // The index in the mixture of an item of a task.
  int64_t mixed(size_t part, int64_t index) const {
    return index * static_cast<int64_t>(tasks_.size()) + static_cast<int64_t>(part);
  }

  // Without an end, so a finite task begins again.
  Item evaluation_item(int64_t index) const {
    if (index < 0) throw std::invalid_argument(fmt::format("mixture: no problem {}; expected 0 or more", index));
    const auto part = static_cast<size_t>(index) % tasks_.size();
    const int64_t own = index / static_cast<int64_t>(tasks_.size());
    const std::optional<int64_t> size = tasks_[part]->size(Split::kEval);
    return of_part(part, index, tasks_[part]->item(Split::kEval, size ? own % *size : own));
  }

  Item of_part(size_t part, int64_t index, Item item) const {
    item.task = names_[part];
    item.index = index;
    return item;
  }

  // The size of the mixture for a name that no task has.
  size_t number_of(const std::string& name) const {
    return static_cast<size_t>(std::find(names_.begin(), names_.end(), name) - names_.begin());
  }
  size_t checked_number_of(const Item& item) const {
    const size_t p = number_of(item.task);
    if (p == tasks_.size()) throw std::invalid_argument("mixture: this item was not made by the mixture");
    return p;
  }

  // The shares of one task's forms, parallel to forms().
  std::vector<double> shares_of(size_t part) const {
    const std::vector<std::string> all = forms(), own = tasks_[part]->demonstrations()->forms();
    const std::vector<double> shares = tasks_[part]->demonstrations()->form_shares();
    std::vector<double> out(all.size(), 0);
    for (size_t f = 0; f < own.size(); ++f)
      out[static_cast<size_t>(std::find(all.begin(), all.end(), own[f]) - all.begin())] = shares[f];
    return out;
  }

  int64_t seed_;
  std::vector<std::string> names_;  // of the tasks, ascending
  std::vector<std::unique_ptr<Task>> tasks_;
  std::vector<int64_t> quotas_;
  std::array<std::vector<Place>, kIndexSpaces> places_;  // of each index space
};

}  // namespace

std::vector<int64_t> mixture_quotas(const std::vector<double>& weights) {
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<int64_t> quotas;
  std::vector<double> rests;
  for (const double weight : weights) {
    const double exact = weight / total * static_cast<double>(kMixturePeriod);
    quotas.push_back(static_cast<int64_t>(std::floor(exact)));
    rests.push_back(exact - std::floor(exact));
  }
  for (int64_t left = kMixturePeriod - std::accumulate(quotas.begin(), quotas.end(), int64_t{0}); left > 0; --left) {
    const auto most = std::max_element(rests.begin(), rests.end());
    ++quotas[static_cast<size_t>(most - rests.begin())];
    *most = -1;
  }
  return quotas;
}

std::unique_ptr<Task> make_mixture(const configs::Task& config, int64_t seed) {
  return std::make_unique<Mixture>(config, seed);
}

}  // namespace terse::rl
