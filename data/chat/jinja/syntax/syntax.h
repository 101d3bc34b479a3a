// Defines the syntax tree of a template. It is immutable once it has been parsed, so any number of threads may render
// it.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/chat/jinja/values/value.h"

namespace terse::data::jinja {

enum class ExpressionKind {
  kConstant,     // constant
  kName,         // name
  kAttribute,    // parts[0].name
  kItem,         // parts[0][parts[1]]
  kSlice,        // parts[0][parts[1]:parts[2]:parts[3]]; the last three may be nullptr
  kCall,         // parts[0](parts[1], ..., keywords)
  kFilter,       // parts[0] | name(parts[1], ..., keywords)
  kTest,         // parts[0] is name(parts[1], ...)
  kBody,         // the text of the block around it, in {% filter %} and {% set %}
  kNot,          // not parts[0]
  kNegative,     // -parts[0]
  kPositive,     // +parts[0]
  kArithmetic,   // parts[0] name parts[1], where name is + - * / // % **
  kConcatenate,  // parts[0] ~ parts[1] ~ ...
  kCompare,      // parts[0] operators[0] parts[1] operators[1] ...
  kAnd,
  kOr,
  kConditional,  // parts[1] if parts[0] else parts[2], which may be nullptr
  kList,
  kTuple,
  kDict,  // keys and values alternate in parts
};

struct Expression;
using ExpressionPointer = std::unique_ptr<const Expression>;

struct Expression {
  ExpressionKind kind = ExpressionKind::kConstant;
  int line = 1;
  int depth = 1;  // of the tree below it
  std::string name;
  Value constant;
  std::vector<ExpressionPointer> parts;
  std::vector<std::pair<std::string, ExpressionPointer>> keywords;
  std::vector<std::string> operators;
};

enum class StatementKind {
  kText,         // text
  kOutput,       // expressions[0]
  kIf,           // bodies[i] if expressions[i]; one body more is for else
  kFor,          // for expressions[0] in expressions[1] if expressions[2], which may be nullptr; bodies[1] is for else
  kSet,          // expressions[0] = expressions[1]; the target is a name, a tuple of names, or namespace.attribute
  kSetBlock,     // expressions[0] = bodies[0] through the filters expressions[1], which may be nullptr
  kMacro,        // name(parameters) with bodies[0]
  kCallBlock,    // expressions[0] calls a macro, whose caller(parameters) is bodies[0]
  kFilterBlock,  // bodies[0] through the filters expressions[0]
  kWith,         // expressions[2 i] = expressions[2 i + 1] in bodies[0]
  kGeneration,   // bodies[0] is what the assistant says
  kBreak,
  kContinue,
};

struct Statement;
using Body = std::vector<Statement>;

struct Parameter {
  std::string name;
  ExpressionPointer otherwise;  // nullptr: none
};

struct Statement {
  StatementKind kind = StatementKind::kText;
  int line = 1;
  Text text;
  std::string name;
  std::vector<Parameter> parameters;
  std::vector<ExpressionPointer> expressions;
  std::vector<Body> bodies;
};

}  // namespace terse::data::jinja
