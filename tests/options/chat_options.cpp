// Effects of the options of the chat format, on prompts and on what counts as the answer of a response.
#include <fstream>

#include "rl/tasks/limits.h"
#include "tests/options/option_effects.h"
#include "tests/support/temporary_folder.h"

namespace terse::options {
namespace {

// The problems of a file, as text for any tokenizer.
const Settings kQuestions = {"task.name=gsm8k",
                             "task.path=" TERSE_SOURCE_DIR "/tests/rl/tasks/samples/gsm8k.jsonl",
                             "task.eval_path=" TERSE_SOURCE_DIR "/tests/rl/tasks/samples/gsm8k.jsonl",
                             "tokenizer.kind=byte",
                             "model.max_seq_len=2048",
                             "engine.max_new_tokens=64"};

std::string prompt(const Settings& settings) {
  const auto task = rl::open_task_before_run(load(settings)).task;
  return task->tokenizer().decode(task->problem(rl::Split::kEval, 0).prompt);
}

bool is_right(const Settings& settings, const std::string& before_the_answer) {
  const auto task = rl::open_task_before_run(load(settings)).task;
  const rl::Problem problem = task->problem(rl::Split::kEval, 0);
  std::vector<int32_t> response = task->tokenizer().encode(before_the_answer + problem.item->answer);
  response.push_back(task->tokenizer().eos());
  return task->verify(problem, response).correct;
}

std::string template_file(const support::TemporaryFolder& folder, const std::string& text) {
  const fs::path path = folder.path() / "template.jinja";
  std::ofstream(path) << text;
  return path.string();
}

void chat_template(const Option& option) {
  const support::TemporaryFolder folder;
  const std::string plain = prompt(kQuestions), question = plain.substr(0, plain.size() - 1);
  const std::string file = template_file(folder, "{% for m in messages %}[{{ m.role }}: {{ m.content }}]{% endfor %}");
  EXPECT_EQ(prompt(option.set(file, kQuestions)), "[user: " + question + "]");
  EXPECT_EQ(prompt(option.set("none", kQuestions)), plain);
}

void system_message(const Option& option) {
  EXPECT_EQ(prompt(option.set("Be brief.", kQuestions)), "Be brief." + prompt(kQuestions));
}

void enable_thinking(const Option& option) {
  const support::TemporaryFolder folder;
  const Settings templated =
      kQuestions +
      Settings{"chat.chat_template=" + template_file(folder, "{{ enable_thinking is defined and enable_thinking }}!")};
  EXPECT_EQ(prompt(option.set("on", templated)), "True!");
  EXPECT_EQ(prompt(option.set("off", templated)), "False!");
}

void think_open(const Option& option) {
  const Settings closed = kQuestions + Settings{"chat.think_close=</t>"};
  EXPECT_TRUE(is_right(closed, "1</t>#### "));
  EXPECT_FALSE(is_right(option.set("<t>", closed), "1</t>#### ")) << "the thinking has not begun";
  EXPECT_TRUE(is_right(option.set("<t>", closed), "<t>1</t>#### "));
}

void think_close(const Option& option) {
  EXPECT_FALSE(is_right(kQuestions, "#### 1</t>#### ")) << "two answers";
  EXPECT_TRUE(is_right(option.set("</t>", kQuestions), "#### 1</t>#### "));
}

}  // namespace

OptionEffects chat_effects() {
  return {{"chat.chat_template", "the text of a prompt", chat_template},
          {"chat.system", "a text before a prompt", system_message},
          {"chat.enable_thinking", "a variable of the template", enable_thinking},
          {"chat.think_open", "whether a response without it has an answer", think_open},
          {"chat.think_close", "where the answer of a response begins", think_close}};
}

}  // namespace terse::options
