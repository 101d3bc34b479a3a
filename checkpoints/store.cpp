// The background save, and the public functions on the real file system.
#include "checkpoints/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <mutex>
#include <thread>

#include "checkpoints/folder.h"
#include "checkpoints/writer.h"

namespace terse::checkpoints {

namespace {

constexpr uint64_t kMinShardBytes = 4 << 10;
constexpr uint64_t kMaxOptionShardBytes = 1 << 30;

// Two threads in HDF5 at once (saving, and reading data) need a library that was built for it.
bool hdf5_is_thread_safe() {
  hbool_t safe = false;
  return H5is_library_threadsafe(&safe) >= 0 && safe;
}

std::filesystem::path without_slash(const std::filesystem::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

}  // namespace

struct Store::Impl {
  std::filesystem::path dir;
  StoreOptions options;
  std::thread writer;
  std::exception_ptr failure;                   // of the last save; read after the writer has been joined
  std::mutex folder;                            // one reads or writes it
  Scratch scratch;                              // touched by the writer, or after it has been joined
  std::map<std::string, torch::Tensor> copies;  // on the host, reused from save to save

  // Replaces the job's tensors by copies that training does not touch.
  void copy_to_host(SaveJob& job);
  void write(const SaveJob& job);
  void join();
};

void Store::Impl::copy_to_host(SaveJob& job) {
  std::erase_if(copies, [&](const auto& item) { return !job.tensors.contains(item.first); });
  for (auto& [name, shard] : job.tensors) {
    torch::Tensor& copy = copies[name];
    const torch::Tensor source = shard.data.detach();
    if (!copy.defined() || copy.scalar_type() != source.scalar_type() || copy.numel() != source.numel()) {
      // Pinned memory lets the device copy at full speed.
      copy = torch::empty({source.numel()}, torch::TensorOptions(source.scalar_type()).pinned_memory(source.is_cuda()));
    }
    copy.view(source.sizes()).copy_(source);
    shard.data = copy;
  }
}

void Store::Impl::write(const SaveJob& job) {
  const std::lock_guard lock(folder);
  Io& io = *options.io;
  try {
    write_checkpoint(io, dir, scratch, job);
    prune(io, dir, scratch, job.info.step, options.keep);
    scratch.clear(io, dir);
  } catch (...) {
    // Now, not at the next start: on a full disk what this save wrote is the room that others lack.
    scratch.try_clear(io, dir);
    throw;
  }
}

void Store::Impl::join() {
  if (writer.joinable()) writer.join();
}

Store::Store(std::filesystem::path dir, StoreOptions options) : impl_(std::make_unique<Impl>()) {
  if (!options.io) options.io = posix_io();
  options.keep = std::max<int64_t>(options.keep, 2);
  options.shard_bytes = std::clamp(options.shard_bytes, kMinShardBytes, kMaxOptionShardBytes);
  options.async = options.async && hdf5_is_thread_safe();
  impl_->dir = without_slash(dir);
  impl_->options = std::move(options);
  Io& io = *impl_->options.io;
  make_folders(io, impl_->dir);
  io.require_writable(impl_->dir);
  remove_leftovers(io, impl_->dir);
}

Store::Store(std::filesystem::path dir, int64_t keep, bool async)
    : Store(std::move(dir), StoreOptions{.keep = keep, .async = async}) {}

Store::~Store() {
  try {
    wait();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "terse: the last checkpoint was not saved: %s\n", error.what());
  }
}

void Store::wait() {
  impl_->join();
  impl_->scratch.try_clear(*impl_->options.io, impl_->dir);  // what a failed save could not remove either
  if (impl_->failure) std::rethrow_exception(std::exchange(impl_->failure, nullptr));
}

void Store::save(const CheckpointInfo& info, const StateDict& state) {
  wait();
  SaveJob job = make_job(info, state, impl_->options.shard_bytes);
  const uint64_t needed = needed_bytes(job);
  const uint64_t available = impl_->options.io->free_bytes(impl_->dir);
  if (needed > available) {
    throw DiskError(fmt::format("no room for checkpoint {} in {}: it needs {}, {} are free", step_name(info.step),
                                impl_->dir.string(), format_bytes(needed), format_bytes(available)),
                    ENOSPC);
  }
  if (!impl_->options.async) return impl_->write(job);
  impl_->copy_to_host(job);
  impl_->writer = std::thread([impl = impl_.get(), job = std::move(job)] {
    try {
      impl->write(job);
    } catch (...) {
      impl->failure = std::current_exception();
    }
  });
}

std::optional<Store::Loaded> Store::load_latest() const {
  const std::lock_guard lock(impl_->folder);
  return checkpoints::load_latest(*impl_->options.io, impl_->dir);
}

std::optional<Store::Loaded> load_latest(const std::filesystem::path& dir) {
  return load_latest(*posix_io(), without_slash(dir));
}

Store::Loaded load(const std::filesystem::path& checkpoint) {
  Store::Loaded loaded;
  const std::vector<std::string> defects =
      check_checkpoint(*posix_io(), without_slash(checkpoint), Depth::kData, &loaded);
  if (defects.empty()) return loaded;
  throw CorruptError(fmt::format("checkpoint {} is damaged: {}", checkpoint.string(), defect_summary(defects)));
}

std::vector<std::string> verify(const std::filesystem::path& checkpoint) {
  return check_checkpoint(*posix_io(), without_slash(checkpoint), Depth::kData, nullptr);
}

std::string describe(const std::filesystem::path& checkpoint) {
  const Manifest manifest = read_manifest(*posix_io(), checkpoint);
  uint64_t bytes = 0;
  std::set<std::string> tensors;
  for (const FileEntry& file : manifest.files) {
    bytes += file.bytes;
    for (const Piece& piece : file.pieces) tensors.insert(piece.name);
  }
  return fmt::format("step {} ({}), {} tensors, {} in {} files, score {}, config {}, saved {} by terse {}",
                     manifest.info.step, manifest.info.stage, tensors.size(), format_bytes(bytes),
                     manifest.files.size(), manifest.info.score, manifest.info.config_hash, manifest.created,
                     manifest.version);
}

std::vector<std::filesystem::path> list_checkpoints(const std::filesystem::path& dir) {
  const auto io = posix_io();
  std::vector<std::filesystem::path> paths;
  if (io->kind(dir) == EntryKind::kNone) return paths;
  for (const StepEntry& entry : list_steps(*io, dir)) paths.push_back(dir / step_name(entry.step));
  return paths;
}

}  // namespace terse::checkpoints
