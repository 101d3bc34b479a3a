// Counts what has been written of the tensor that is due.
#include "base/formats/tensor_stream.h"

#include <fmt/format.h>

#include <stdexcept>

#include "base/formats/tensor_shape.h"

namespace terse {

TensorStream::TensorStream(const std::filesystem::path& path, std::string_view head,
                           std::vector<StreamedTensor> tensors, uint64_t alignment)
    : tensors_(std::move(tensors)), alignment_(alignment), temporary_(path), file_(disk_->create(temporary_.path())) {
  file_->write(head);
  fill_up(head.size());
  skip_empty();
}

void TensorStream::write(std::string_view tensor, std::string_view bytes) {
  if (bytes.empty()) return;
  if (next_ == tensors_.size() || tensors_[next_].name != tensor) {
    throw std::logic_error(fmt::format("tensor {} is written, but {} is due", quote(tensor),
                                       next_ == tensors_.size() ? "none" : quote(tensors_[next_].name)));
  }
  const uint64_t due = tensors_[next_].bytes;
  if (bytes.size() > due - written_) {
    throw std::logic_error(
        fmt::format("tensor {} has {} bytes, but {} are written", quote(tensor), due, written_ + bytes.size()));
  }
  file_->write(bytes);
  written_ += bytes.size();
  if (written_ < due) return;
  fill_up(due);
  ++next_;
  written_ = 0;
  skip_empty();
}

void TensorStream::close() {
  if (next_ < tensors_.size()) {
    throw std::logic_error(fmt::format("{} of {} bytes of tensor {} are written", written_, tensors_[next_].bytes,
                                       quote(tensors_[next_].name)));
  }
  file_->close();
}

void TensorStream::fill_up(uint64_t bytes) {
  const uint64_t zeros = (alignment_ - bytes % alignment_) % alignment_;
  if (zeros > 0) file_->write(std::string(zeros, '\0'));
}

void TensorStream::skip_empty() {
  while (next_ < tensors_.size() && tensors_[next_].bytes == 0) ++next_;
}

}  // namespace terse
