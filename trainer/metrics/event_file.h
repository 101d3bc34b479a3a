// Scalars as a TensorBoard event file: TFRecord framing around protobuf messages, both encoded by hand, because they
// are small and their libraries are not.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>

namespace terse::trainer {

// The system refused a write. MetricLogger turns it into one warning.
class EventFileError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class EventFile {
 public:
  // A new file in `folder` (created), named so that it sorts behind those already there: TensorBoard reads them in that
  // order. With `restart_at` the file begins with a mark that makes TensorBoard drop the points of earlier files from
  // that step on. `now`: seconds since 1970. Throws EventFileError.
  EventFile(const std::filesystem::path& folder, std::optional<int64_t> restart_at, double now);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  // Tag to value; values are stored as float, which is all the format has. Throws EventFileError.
  void add(int64_t step, const std::map<std::string, double>& values, double now);

  const std::filesystem::path& path() const { return path_; }

 private:
  void write(const std::string& event);

  std::filesystem::path path_;
  int fd_ = -1;
};

// The tag of a metric: TensorBoard groups by what stands before the first slash, so "loss" of sft becomes "sft/loss"
// and "completions/mean_length" of rl "rl.completions/mean_length".
std::string event_tag(const std::string& stage, const std::string& name);

}  // namespace terse::trainer
