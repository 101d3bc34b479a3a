// Problem i of the stream is the task's training problem i, in a form drawn for i.
#include "rl/tasks/trace_stream.h"

#include <fmt/format.h>

#include "base/errors.h"
#include "base/philox.h"
#include "data/pack.h"

namespace terse::rl {

TraceStream::TraceStream(const TokenizedTask& task, int64_t batch_size, uint64_t seed)
    : task_(task), batch_size_(batch_size), seed_(seed) {}

data::Batch TraceStream::next(int64_t begin, int64_t end) {
  data::require_range(begin, end, batch_size_);
  const std::vector<std::string> forms = task_.forms();
  std::vector<data::Sequence> sequences;
  for (int64_t i = cursor_ + begin; i < cursor_ + end; ++i) {
    const Problem problem = task_.problem(Split::kTrain, index_in(IndexSpace::kSft, i));
    const std::vector<double> shares = task_.form_shares(problem);
    const auto words = philox(seed_, RandomStream::kForm, static_cast<uint64_t>(i), 0);
    double u = uniform01(words[0]);
    size_t form = 0;
    while (form + 1 < forms.size() && u >= shares[form]) u -= shares[form++];
    sequences.push_back(data::prompt_and_response(problem.prompt, task_.trace(problem, forms[form])));
  }
  cursor_ += batch_size_;
  return data::pack(sequences);
}

nlohmann::json TraceStream::state() const {
  return {{"task", task_.name()}, {"cursor", cursor_}};
}

void TraceStream::restore(const nlohmann::json& state) {
  if (state.at("task") != task_.name()) {
    throw DataError(fmt::format("the saved data cursor belongs to task {}, but this run has task {}",
                                state.at("task").get<std::string>(), task_.name()));
  }
  cursor_ = state.at("cursor");
}

}  // namespace terse::rl
