// Finds what the assistant said in a rendered conversation.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "data/chat/jinja/values/text.h"
#include "data/chat/message.h"
#include "data/span.h"

namespace terse::data {

struct TurnFormat {
  // The template appends one of these texts for add_generation_prompt; the longest comes first.
  std::vector<std::string> prompts;
  // The texts of tokens that end a turn.
  std::vector<std::string> ends;
  // Returns the rendered messages before this one with a generation prompt, or nothing where the template fails.
  std::function<std::string(size_t message)> prompt_before;
};

// Returns the spans of RenderedChat::assistant (data/chat/chat_template.h) for a template without {% generation %}.
std::vector<Span> assistant_spans(const jinja::Text& text, const Conversation& conversation, const TurnFormat& format);

// Returns the bytes that {% generation %} blocks have marked.
std::vector<Span> generated_spans(const jinja::Text& text);

// Returns the bytes that are not input.
std::vector<Span> template_spans(const jinja::Text& text);

// Returns the occurrences of these texts in what the assistants of the conversation wrote.
std::vector<Span> occurrences_in_assistant(const jinja::Text& text, const Conversation& conversation,
                                           const std::vector<std::string>& wanted);

// Sorts spans and joins those that touch.
std::vector<Span> joined_spans(std::vector<Span> spans);

}  // namespace terse::data
