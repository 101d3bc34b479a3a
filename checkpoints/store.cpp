// Runs saves in a background thread, and binds the public functions to the real file system. `folder` serializes saves
// and loads of one Store.
#include "checkpoints/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <exception>
#include <future>
#include <mutex>
#include <set>

#include "checkpoints/load.h"
#include "checkpoints/save.h"

namespace terse::checkpoints {

namespace {

constexpr uint64_t kMinShardBytes = 4 << 10;
constexpr uint64_t kMaxOptionShardBytes = 1 << 30;

// A background save and a reader of data may call HDF5 at the same time. That is only safe if the library was built for
// it.
bool hdf5_is_thread_safe() {
  hbool_t safe = false;
  return H5is_library_threadsafe(&safe) >= 0 && safe;
}

std::filesystem::path without_slash(const std::filesystem::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

void check_ranks(const StoreOptions& options) {
  if (options.ranks < 1 || options.rank < 0 || options.rank >= options.ranks) {
    throw std::invalid_argument(
        fmt::format("checkpoints of rank {} of {} ranks: expected a rank from 0 to the number of ranks - 1",
                    options.rank, options.ranks));
  }
  const auto is_plain = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_'; };
  const std::string& token = options.token;
  const bool named = !token.empty() && token.size() <= 64 && std::all_of(token.begin(), token.end(), is_plain);
  if (options.ranks > 1 && !named) {
    throw std::invalid_argument(
        fmt::format("checkpoints of {} ranks need a token of 1 to 64 letters, digits, '-' and '_', found \"{}\"",
                    options.ranks, token));
  }
}

}  // namespace

struct Store::Impl {
  Impl(std::filesystem::path path, StoreOptions checked)
      : dir(std::move(path)), options(std::move(checked)), names(*options.fs, dir) {}

  const std::filesystem::path dir;
  const StoreOptions options;
  std::future<void> writing;  // the last save, until wait() has taken its result
  std::mutex folder;          // held while the checkpoints/ folder is read or written
  TemporaryNames names;       // used by the background save, and by other calls only when no save runs
  std::map<std::string, torch::Tensor> copies;  // on the host, reused from save to save
  std::map<int64_t, int64_t> attempts;          // how often the save of each step has begun

  // Prepares this rank's part of a save. What the caller's thread finds wrong is thrown with one rank, and becomes the
  // refusal with several.
  SaveRequest prepare(const CheckpointInfo& info, const StateDict& state);
  // Replaces the request's tensors by copies on the host, which training does not change.
  void copy_to_host(SaveRequest& request);
  void write(const SaveRequest& request);
};

SaveRequest Store::Impl::prepare(const CheckpointInfo& info, const StateDict& state) {
  SaveRequest request;
  try {
    request = make_request(info, state);
    if (options.ranks == 1) require_room(*options.fs, dir, request, " for checkpoint " + step_name(info.step));
    if (options.async) copy_to_host(request);
  } catch (...) {
    if (options.ranks == 1) throw;
    request = {.info = info, .refusal = std::current_exception()};
  }
  request.attempt = ++attempts[info.step];
  return request;
}

void Store::Impl::copy_to_host(SaveRequest& request) {
  std::erase_if(copies, [&](const auto& item) { return !request.tensors.contains(item.first); });
  for (auto& [name, shard] : request.tensors) {
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

void Store::Impl::write(const SaveRequest& request) {
  const std::lock_guard lock(folder);
  save_checkpoint(dir, options, names, request);
}

Store::Store(std::filesystem::path dir, StoreOptions options) {
  if (!options.fs) options.fs = posix_file_system();
  options.keep = std::max<int64_t>(options.keep, 2);
  options.shard_bytes = std::clamp(options.shard_bytes, kMinShardBytes, kMaxOptionShardBytes);
  options.async = options.async && hdf5_is_thread_safe();
  check_ranks(options);
  impl_ = std::make_unique<Impl>(without_slash(dir), std::move(options));
  FileSystem& fs = *impl_->options.fs;
  make_folders(fs, impl_->dir);
  fs.require_writable(impl_->dir);
  if (impl_->options.rank == 0) impl_->names.remove_leftovers();
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
  std::future<void> last = std::move(impl_->writing);
  if (last.valid()) last.wait();
  impl_->names.try_clear();  // retries what a failed save could not remove
  if (last.valid()) last.get();
}

bool Store::idle(std::chrono::milliseconds patience) const {
  const std::future<void>& last = impl_->writing;
  return !last.valid() || last.wait_for(patience) == std::future_status::ready;
}

void Store::save(const CheckpointInfo& info, const StateDict& state) {
  wait();
  auto write = [impl = impl_.get(), request = impl_->prepare(info, state)] { impl->write(request); };
  if (!impl_->options.async) return write();
  impl_->writing = std::async(std::launch::async, std::move(write));
}

std::optional<Store::Loaded> Store::load_latest(const Wanted& wanted, const Exchange& exchange,
                                                const std::function<bool()>& interrupted) const {
  const std::lock_guard lock(impl_->folder);
  const StoreOptions& options = impl_->options;
  return checkpoints::load_latest(*options.fs, impl_->dir, {wanted, options.rank, options.ranks, interrupted},
                                  exchange);
}

std::optional<Store::Loaded> load_latest(const std::filesystem::path& dir, const Wanted& wanted,
                                         const Readers& readers) {
  return load_latest(*posix_file_system(), without_slash(dir),
                     {wanted, readers.rank, readers.ranks, readers.interrupted}, readers.exchange);
}

Store::Loaded load(const std::filesystem::path& checkpoint, const Wanted& wanted, const Readers& readers) {
  return load(*posix_file_system(), without_slash(checkpoint),
              {wanted, readers.rank, readers.ranks, readers.interrupted}, readers.exchange);
}

// One of the two files may be missing from a damaged checkpoint.
bool is_checkpoint(const std::filesystem::path& folder) {
  std::error_code ignored;
  return std::filesystem::exists(folder / kManifestName, ignored) ||
         std::filesystem::exists(folder / kManifestHashName, ignored);
}

std::vector<std::string> verify(const std::filesystem::path& checkpoint) {
  return check_checkpoint(*posix_file_system(), without_slash(checkpoint), Depth::kData, nullptr);
}

std::string describe(const std::filesystem::path& checkpoint) {
  const Manifest manifest = read_manifest(*posix_file_system(), checkpoint);
  uint64_t bytes = 0;
  std::set<std::string> tensors, ranks;
  for (const FileEntry& file : manifest.files) {
    bytes += file.bytes;
    for (const Piece& piece : file.pieces) tensors.insert(piece.name);
    if (is_shard_name(file.name)) ranks.insert(file.name.substr(0, file.name.find('.')));
  }
  const std::string by_ranks = ranks.size() > 1 ? fmt::format(" of {} ranks", ranks.size()) : "";
  const double score = manifest.info.score;
  return fmt::format("step {} ({}), {} tensors, {} in {} files{}, {}, config {}, saved {} by terse {}",
                     manifest.info.step, manifest.info.stage, tensors.size(), format_bytes(bytes),
                     manifest.files.size(), by_ranks,
                     std::isnan(score) ? "without a score" : fmt::format("score {}", score), manifest.info.config_hash,
                     manifest.created, manifest.version);
}

std::vector<std::filesystem::path> list_checkpoints(const std::filesystem::path& dir) {
  const auto fs = posix_file_system();
  std::vector<std::filesystem::path> paths;
  if (fs->kind(dir) == EntryKind::kNone) return paths;
  for (const StepEntry& entry : list_steps(*fs, dir)) paths.push_back(dir / step_name(entry.step));
  return paths;
}

}  // namespace terse::checkpoints
