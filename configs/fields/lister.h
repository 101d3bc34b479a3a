// Declares the language of the field lists: an item describes an option, a group describes a section, and the lister
// adds them to a FieldTable.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "configs/fields.h"
#include "configs/task_catalog.h"
#include "configs/yaml/arity.h"

namespace terse::configs {

struct Item {
  Item(std::string_view name_, bool& v, std::string_view help_, Rule rule_ = {})
      : Item(name_, help_, std::move(rule_), &v) {}
  Item(std::string_view name_, std::string& v, std::string_view help_, Rule rule_ = {})
      : Item(name_, help_, std::move(rule_), &v) {}
  // These types have no default rule: a number must state its range, and a list or a map its rule.
  Item(std::string_view name_, int64_t& v, std::string_view help_, Rule rule_)
      : Item(name_, help_, std::move(rule_), &v) {}
  Item(std::string_view name_, double& v, std::string_view help_, Rule rule_)
      : Item(name_, help_, std::move(rule_), &v) {}
  Item(std::string_view name_, std::vector<std::string>& v, std::string_view help_, Rule rule_)
      : Item(name_, help_, std::move(rule_), &v) {}
  Item(std::string_view name_, std::map<std::string, double>& v, std::string_view help_, Rule rule_)
      : Item(name_, help_, std::move(rule_), &v) {}

  std::string_view name;
  std::string_view help;
  Rule rule;
  ValuePtr value;

 private:
  Item(std::string_view name_, std::string_view help_, Rule rule_, ValuePtr v)
      : name(name_), help(help_), rule(std::move(rule_)), value(v) {}
};

template <class S>
struct Group {
  Group(std::string_view name_, S& members_, std::string_view help_) : name(name_), members(members_), help(help_) {}
  std::string_view name;
  S& members;
  std::string_view help;
};

// The options that the tasks declare.
struct Declared {
  TaskOptions& options;
};

// The tasks of a mixture, each with a name.
struct Parts {
  std::map<std::string, Task>& tasks;
};

class Lister;

// Each lists the members of one struct.
void list(Lister& l, Run& s);
void list(Lister& l, RopeScaling& s);
void list(Lister& l, Model& s);
void list(Lister& l, Lora& s);
void list(Lister& l, Chat& s);
void list(Lister& l, Tokenizer& s);
void list(Lister& l, Data& s);
void list(Lister& l, Task& s);
void list(Lister& l, Optimizer& s);
void list(Lister& l, Pretrain& s);
void list(Lister& l, Sft& s);
void list(Lister& l, Penalty& s);
void list(Lister& l, Student& s);
void list(Lister& l, Rl& s);
void list(Lister& l, Eval& s);
void list(Lister& l, Engine& s);
void list(Lister& l, Parallel& s);
void list(Lister& l, Checkpoint& s);
void list(Lister& l, RunConfig& s);

class Lister {
 public:
  Lister(FieldTable& table, std::string section) : table_(table), section_(std::move(section)) {}

  template <class S, class... Items>
  void members(const S&, const Items&... items) {
    static_assert(sizeof...(Items) == arity<S>(),
                  "the field list and the members of the struct in run_config.h differ");
    (add(items), ...);
  }

 private:
  void add(const Item& item) {
    table_.fields.push_back({join(section_, item.name), item.value, std::string(item.help), item.rule});
  }
  void add(const Declared& declared) {
    const TaskCatalog* catalog = declared.options.catalog();
    if (catalog == nullptr) return;
    std::vector<OptionValue>& values = declared.options.values();
    for (size_t i = 0; i < values.size(); ++i) {
      const TaskOption& option = catalog->options[i];
      const ValuePtr value = std::visit([](auto& v) { return ValuePtr(&v); }, values[i]);
      table_.fields.push_back({join(section_, option.name), value, option.help, option.rule});
    }
  }
  template <class S>
  void add(const Group<S>& group) {
    Lister inner(table_, join(section_, group.name));
    table_.sections.push_back({inner.section_, std::string(group.help)});
    list(inner, group.members);
  }

  void add(const Parts& parts) {
    if (section_ != parent_of(kMixtureSection)) return;  // a mixture holds no mixture
    table_.sections.push_back({std::string(kMixtureSection),
                               "The tasks of a mixture, by names of your own. Each one has the options of `task`: "
                               "`gsm: {name: gsm8k, path: train.jsonl, weight: 3}`"});
    for (auto& [name, task] : parts.tasks)
      add(Group(join(last_of(kMixtureSection), name), task, "A task of the mixture"));
  }

  FieldTable& table_;
  std::string section_;
};

}  // namespace terse::configs
