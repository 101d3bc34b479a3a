// Writes scalars to a TensorBoard event file: TFRecord framing around protobuf messages. Both are encoded by hand,
// because they are small and their libraries are large.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>

namespace terse::trainer {

// The system refused a write. MetricLogger turns this into one warning.
class EventFileError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class EventFile {
 public:
  // Creates a new file in `folder`, and the folder if needed. Its name sorts behind those of existing files, because
  // TensorBoard reads files in this order. With `restart_at` the file begins with a SessionLog record, which makes
  // TensorBoard discard the points of earlier files from that step on. `now`: seconds since 1970. Throws
  // EventFileError.
  EventFile(const std::filesystem::path& folder, std::optional<int64_t> restart_at, double now);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  // Writes one value for each tag. Values are stored as float, the only type of the format. Throws EventFileError.
  void add(int64_t step, const std::map<std::string, double>& values, double now);

  const std::filesystem::path& path() const { return path_; }

 private:
  void write(const std::string& event);

  std::filesystem::path path_;
  int fd_ = -1;
};

// The TensorBoard tag of a metric. TensorBoard groups tags by the text before the first slash, so "loss" of sft becomes
// "sft/loss", and "completions/mean_length" of rl becomes "rl.completions/mean_length".
std::string event_tag(const std::string& stage, const std::string& name);

}  // namespace terse::trainer
