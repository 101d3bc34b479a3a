// Checks a state, and splits it into shard files. Everything that cannot be stored exactly is refused here.
#include "checkpoints/save_request.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cerrno>
#include <cmath>

#include "base/formats/tensor_shape.h"

namespace terse::checkpoints {

namespace {

using nlohmann::json;

constexpr size_t kMaxNameBytes = 512;
constexpr uint64_t kFixedOverhead = 64 << 10;  // manifest header, HDF5 superblocks, folders

[[noreturn]] void refuse(const std::string& what) {
  throw std::invalid_argument("cannot save a checkpoint: " + what);
}

// JSON has no NaN and no infinity, and nlohmann writes them as null. A resumed run would then differ silently.
void check_extra(const json& value, const std::string& where, int depth) {
  if (depth > kMaxJsonDepth) refuse(fmt::format("extra{} is nested more than {} levels deep", where, kMaxJsonDepth));
  if (value.is_number_float() && !std::isfinite(value.get<double>())) {
    refuse(fmt::format("extra{} is {}, which JSON cannot represent", where, value.get<double>()));
  }
  if (value.is_binary() || value.is_discarded()) refuse(fmt::format("extra{} is not JSON", where));
  for (auto it = value.begin(); value.is_structured() && it != value.end(); ++it) {
    const std::string key = value.is_object() ? it.key() : std::to_string(it - value.begin());
    check_extra(*it, where + "/" + key, depth + 1);
  }
}

std::string extra_text(const json& extra) {
  check_extra(extra, "", 0);
  std::string text;
  try {
    text = extra.dump(1) + "\n";
  } catch (const json::exception& error) {
    refuse(fmt::format("extra: {}", error.what()));  // a text that is not UTF-8
  }
  if (text.size() > kMaxExtraBytes) {
    refuse(fmt::format("the size of extra is {}, expected at most {}", format_bytes(text.size()),
                       format_bytes(kMaxExtraBytes)));
  }
  return text;
}

void check_files(const std::map<std::string, std::string>& files) {
  if (files.size() > kMaxTextFiles) refuse(fmt::format("{} text files, at most {}", files.size(), kMaxTextFiles));
  for (const auto& [name, text] : files) {
    if (!is_text_name(name)) {
      refuse(
          fmt::format("a text file called {}; a name has letters, digits, '.', '_' and '-', and is not that of "
                      "another file of a checkpoint",
                      json(name).dump(-1, ' ', true, json::error_handler_t::replace)));
    }
    if (text.size() > kMaxTextBytes) {
      refuse(fmt::format("file {} has {}, at most {}", name, format_bytes(text.size()), format_bytes(kMaxTextBytes)));
    }
  }
}

void check_name(const std::string& name) {
  if (name.empty() || name.size() > kMaxNameBytes || name.find('\0') != std::string::npos) {
    refuse(fmt::format("a tensor name of {} bytes is invalid: expected 1 to {} bytes without a zero byte", name.size(),
                       kMaxNameBytes));
  }
  try {
    static_cast<void>(json(name).dump());
  } catch (const json::exception&) {
    refuse(fmt::format("tensor {}: its name is not UTF-8",
                       json(name).dump(-1, ' ', true, json::error_handler_t::replace)));
  }
}

void check_shard(const std::string& name, const Shard& shard) {
  check_name(name);
  if (!shard.data.defined()) refuse(fmt::format("tensor {} is undefined", name));
  if (shard.data.layout() != torch::kStrided || shard.data.is_meta()) {
    refuse(fmt::format("tensor {} is not a dense tensor with data", name));
  }
  if (find_dtype(shard.data.scalar_type()) == nullptr) {
    refuse(fmt::format("tensor {} has dtype {}; the supported dtypes are {}", name,
                       torch::toString(shard.data.scalar_type()), dtype_names()));
  }
  const std::optional<int64_t> elements = element_count(shard.shape);
  if (!elements) refuse(fmt::format("tensor {} has an invalid shape [{}]", name, fmt::join(shard.shape, ", ")));
  if (shard.begin < 0 || shard.begin > shard.end || shard.end > *elements) {
    refuse(fmt::format("tensor {}: the shard has elements {} to {}, but the shape has {} elements", name, shard.begin,
                       shard.end, *elements));
  }
  if (shard.data.numel() != shard.end - shard.begin) {
    refuse(fmt::format("tensor {}: the data has {} elements, but the shard has elements {} to {}", name,
                       shard.data.numel(), shard.begin, shard.end));
  }
}

// The size of the request on disk, rounded up.
uint64_t needed_bytes(const SaveRequest& request) {
  uint64_t bytes = kFixedOverhead + request.extra.size();
  for (const auto& [name, text] : request.files) bytes += text.size();
  for (const auto& [name, shard] : request.tensors) bytes += shard.data.nbytes() + kPieceOverhead;
  return bytes + bytes / 256;  // chunk indices
}

}  // namespace

SaveRequest make_request(const CheckpointInfo& info, const StateDict& state) {
  if (info.step < 0) refuse(fmt::format("step {} is negative", info.step));
  for (const auto& [name, shard] : state.tensors) check_shard(name, shard);
  check_files(state.files);
  return {.info = info, .tensors = state.tensors, .extra = extra_text(state.extra), .files = state.files};
}

void require_room(FileSystem& fs, const FileSystem::Path& folder, const SaveRequest& request,
                  const std::string& purpose) {
  const uint64_t needed = needed_bytes(request);
  const uint64_t available = fs.free_bytes(folder);
  if (needed <= available) return;
  throw DiskError(fmt::format("not enough free space{} in {}: needed {}, free {}", purpose, folder.string(),
                              format_bytes(needed), format_bytes(available)),
                  ENOSPC);
}

std::vector<Piece> pieces_of(const SaveRequest& request) {
  std::vector<Piece> pieces;
  for (const auto& [name, shard] : request.tensors)
    pieces.push_back({name, find_dtype(shard.data.scalar_type()), shard.shape, shard.begin, shard.end});
  return pieces;
}

std::vector<std::vector<Piece>> plan_shards(const std::vector<Piece>& tensors, uint64_t shard_bytes) {
  std::vector<std::vector<Piece>> files;
  uint64_t room = 0;
  for (const Piece& tensor : tensors) {
    const auto width = static_cast<uint64_t>(tensor.dtype->bytes);
    int64_t begin = tensor.begin;
    do {
      if (files.empty() || room < kPieceOverhead + width) {
        files.emplace_back();
        room = shard_bytes;
      }
      const auto fits = static_cast<int64_t>((room - kPieceOverhead) / width);
      const int64_t end = std::min(tensor.end, begin + fits);
      files.back().push_back({tensor.name, tensor.dtype, tensor.shape, begin, end});
      room -= kPieceOverhead + files.back().back().bytes();
      begin = end;
    } while (begin < tensor.end);
  }
  return files;
}

}  // namespace terse::checkpoints
