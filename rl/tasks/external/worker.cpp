// Pipes are read and written without blocking.
#include "rl/tasks/external/worker.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <thread>
#include <utility>

namespace terse::rl {

namespace {

constexpr size_t kBlock = 1 << 16;  // bytes that are read at once; other programs get their turn in between

}  // namespace

void Worker::start(const std::vector<std::string>& command, const nlohmann::json& greeting,
                   PoolClock::time_point until) {
  process_.emplace(command);
  lines_ = LineBuffer(kLongestLine);
  messages_ = LineBuffer(kLongestMessage);
  to_write_ = greeting.dump() + "\n";
  written_ = 0;
  last_message.clear();
  concurrency = 1;
  phase = Phase::kStarting;
  deadline = until;
}

std::map<int64_t, PoolRequest> Worker::stop() {
  phase = Phase::kOff;
  process_.reset();
  to_write_.clear();
  written_ = 0;
  return std::exchange(asked, {});
}

void Worker::send(int64_t id, PoolRequest request) {
  to_write_ += fmt::format("{{\"id\":{},", id) + request.body.substr(1) + "\n";
  asked.emplace(id, std::move(request));
}

void Worker::write() {
  while (has_to_write() && process_->input() >= 0) {
    const ssize_t count =
        retry([&] { return ::write(process_->input(), to_write_.data() + written_, to_write_.size() - written_); });
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (count < 0) break;
    written_ += static_cast<size_t>(count);
  }
  to_write_.clear();
  written_ = 0;
}

Worker::Got Worker::read_some(int descriptor, std::string& bytes) {
  bytes.resize(kBlock);
  const ssize_t count = retry([&] { return ::read(descriptor, bytes.data(), bytes.size()); });
  bytes.resize(count > 0 ? static_cast<size_t>(count) : 0);
  if (count > 0) return Got::kBytes;
  return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? Got::kNothing : Got::kEnd;
}

std::string Worker::read(const std::function<bool(const std::string&)>& take_line,
                         const std::function<void(const std::string&)>& take_message) {
  const auto pass_on = [&](const std::string& line) {
    if (!line.empty()) last_message = line;
    take_message(line);
    return true;
  };
  const Got errors = process_->errors() < 0 ? Got::kNothing : read_some(process_->errors(), buffer_);
  if (errors == Got::kBytes && !messages_.add(buffer_, pass_on)) pass_on(messages_.rest() + "...");
  if (errors == Got::kEnd) process_->close_errors();
  const Got output = read_some(process_->output(), buffer_);
  bool accepted = true;
  const bool fits =
      output != Got::kBytes || lines_.add(buffer_, [&](const std::string& line) { return accepted = take_line(line); });
  if (!accepted) return "";  // `take_line` knows what went wrong
  if (!fits) return fmt::format("wrote a line of more than {} bytes", kLongestLine);
  if (output == Got::kBytes) return "";
  // A program closes its output shortly before it has ended.
  for (int i = 0; output == Got::kEnd && i < 100 && !process_->has_ended(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  if (process_->has_ended()) return process_->how();
  return output == Got::kEnd ? "closed its standard output" : "";
}

}  // namespace terse::rl
