// Lists every option exactly once: its dotted path, its value, its meaning and its allowed values.
//
// The files of fields/ declare one list per struct of run_config.h, and a list that omits a member does not compile.
// YAML parsing, --set, error messages, the printed config, the JSON schema, docs/config.md, comparison and the hash all
// iterate over the FieldTable that list_fields() returns.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "configs/run_config.h"

namespace terse::configs {

// Points into the RunConfig that the table was made from. A new type of option is one more alternative here; the
// visitors of the other files then fail to compile until they handle it.
using ValuePtr =
    std::variant<bool*, int64_t*, double*, std::string*, std::vector<std::string>*, std::map<std::string, double>*>;

// The values that an option accepts. The bounds apply to numbers and to the values of a map. The choices apply to
// texts, to the elements of a list and to the keys of a map. A double must also be a normal fp32 number or 0, and must
// obey its bounds in fp32, because many places convert it to fp32. So the conversion turns no value into 0, infinity or
// an excluded bound.
struct Rule {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool min_excluded = false;
  bool max_excluded = false;
  std::vector<std::string> choices;  // empty: any text
  bool input_file = false;           // names an input file: load() resolves the path and checks that the file exists
  bool folder_too = false;           // an input_file may also be a folder
  std::vector<std::string> words;    // an input_file may also be one of these words, which name no file
  bool changes_numbers = true;       // part of numerics_hash()
  bool counts_when_set = false;      // but only with another value than the default
};

Rule at_least(double min);
Rule above(double min);                         // min excluded
Rule above_up_to(double min, double max);       // min excluded, max allowed
Rule between(double min, double max);           // both allowed
Rule from_up_to_below(double min, double max);  // max excluded
Rule one_of(std::vector<std::string> choices);
Rule input_file();
Rule input_file_or_folder();
Rule input_file_or_one_of(std::vector<std::string> words);
// Returns the same rule for an option that does not change the numbers of a run: names, folders, cadences, logs.
Rule cosmetic(Rule rule = {});
// Returns the same rule for an option that older builds do not have. Its default leaves numerics_hash() as it was
// there.
Rule newer(Rule rule = {});

struct Field {
  std::string path;  // "rl.optimizer.lr"
  ValuePtr value;
  std::string help;  // one line, with the unit, without a full stop
  Rule rule;
};

struct Section {
  std::string path;  // "rl.optimizer"
  std::string help;
};

struct FieldTable {
  std::vector<Field> fields;  // in the order of declaration, parents before children
  std::vector<Section> sections;

  const Field* find(std::string_view path) const;                    // nullptr: no such option
  bool is_section(std::string_view path) const;                      // "" is the whole configuration
  std::vector<std::string> keys_of(std::string_view section) const;  // fields and subsections directly in it
};

// The table points into `config`, which must outlive it.
FieldTable list_fields(RunConfig& config);

// The task whose problems are those of the tasks in task.mixture, and the section with them.
inline constexpr std::string_view kMixture = "mixture";
inline constexpr std::string_view kMixtureSection = "task.mixture";

// A task of a mixture with default values, for the catalog that the mixture has.
Task new_part(const Task& mixture);
// Whether the name of a task of a mixture consists of letters, digits, '_' and '-', begins with none of the latter two
// and has at most 64 of them. It becomes part of the names of files and metrics.
bool is_part_name(std::string_view name);

// Return the two parts of a path: "rl.optimizer.lr" -> "rl.optimizer" and "lr". join() concatenates them.
std::string_view parent_of(std::string_view path);
std::string_view last_of(std::string_view path);
std::string join(std::string_view section, std::string_view key);

}  // namespace terse::configs
