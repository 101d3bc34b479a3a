// Every operation checks all of its arguments before start() sees the CollectiveOp.
#include "trainer/parallel/collectives/collective_op.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace terse::trainer {

namespace {

constexpr std::pair<torch::ScalarType, const char*> kDtypes[] = {
    {torch::kFloat32, "float32"}, {torch::kBFloat16, "bfloat16"}, {torch::kFloat64, "float64"},
    {torch::kInt64, "int64"},     {torch::kInt32, "int32"},       {torch::kUInt8, "uint8"}};

bool is_exchanged(torch::ScalarType dtype) {
  return std::any_of(std::begin(kDtypes), std::end(kDtypes), [&](const auto& each) { return each.first == dtype; });
}

bool same_device(torch::Device wanted, torch::Device found) {
  return wanted.type() == found.type() &&
         (!wanted.has_index() || !found.has_index() || wanted.index() == found.index());
}

[[noreturn]] void refuse(const CollectiveOp& op, const std::string& problem) {
  throw std::invalid_argument(fmt::format("{} \"{}\": {}", name_of(op.kind), op.name, problem));
}

void check_tensor(const CollectiveOp& op, const char* which, const torch::Tensor& tensor, torch::Device device) {
  if (!tensor.defined()) refuse(op, fmt::format("the {} is an undefined tensor", which));
  if (!is_exchanged(tensor.scalar_type()))
    refuse(op,
           fmt::format("the {} is of {}, but collectives support float32, bfloat16, float64, int64, int32 and uint8",
                       which, name_of(tensor.scalar_type())));
  if (!same_device(device, tensor.device()))
    refuse(op, fmt::format("the {} is on {}, but the group's tensors are on {}", which, tensor.device().str(),
                           device.str()));
  if (!tensor.is_contiguous())
    refuse(op, fmt::format("the {} of shape {} is not contiguous", which, fmt::join(tensor.sizes(), "x")));
}

// Requires one count for each rank, and that the counts add up to the elements of `tensor`.
void check_counts(const CollectiveOp& op, const char* which, const std::vector<int64_t>& counts,
                  const torch::Tensor& tensor, int64_t size) {
  if (static_cast<int64_t>(counts.size()) != size)
    refuse(op, fmt::format("the {} has {} counts, but the group has {} ranks", which, counts.size(), size));
  if (std::any_of(counts.begin(), counts.end(), [](int64_t count) { return count < 0; }))
    refuse(op, fmt::format("the counts of the {} are {}; none may be negative", which, counts));
  const int64_t sum = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  if (sum != tensor.numel())
    refuse(op, fmt::format("the counts of the {} are {} and add up to {}, but the {} has {} elements", which, counts,
                           sum, which, tensor.numel()));
}

void check_share(const CollectiveOp& op, const char* which, const torch::Tensor& tensor, int64_t count) {
  if (tensor.numel() != count)
    refuse(op, fmt::format("the {} has {} elements, but this rank's count is {}", which, tensor.numel(), count));
}

void check(const CollectiveOp& op, int64_t rank, int64_t size, torch::Device device) {
  check_tensor(op, "input", op.in, device);
  check_tensor(op, "output", op.out, device);
  if (op.in.scalar_type() != op.out.scalar_type())
    refuse(op, fmt::format("the input is of {}, but the output is of {}", name_of(op.in.scalar_type()),
                           name_of(op.out.scalar_type())));
  switch (op.kind) {
    case Kind::kAllGather:
      check_counts(op, "output", op.out_counts, op.out, size);
      check_share(op, "input", op.in, op.out_counts[rank]);
      break;
    case Kind::kReduceScatter:
      check_counts(op, "input", op.in_counts, op.in, size);
      check_share(op, "output", op.out, op.in_counts[rank]);
      break;
    case Kind::kAllToAll:
      check_counts(op, "input", op.in_counts, op.in, size);
      check_counts(op, "output", op.out_counts, op.out, size);
      if (op.in_counts[rank] != op.out_counts[rank])
        refuse(op, fmt::format("this rank sends itself {} elements and receives {} from itself", op.in_counts[rank],
                               op.out_counts[rank]));
      break;
    case Kind::kBroadcast:
      if (op.root < 0 || op.root >= size)
        refuse(op, fmt::format("the root is rank {}, but the group has {} ranks", op.root, size));
      break;
    default:
      break;
  }
}

}  // namespace

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::kAllReduce:
      return "all_reduce";
    case Kind::kAllGather:
      return "all_gather";
    case Kind::kReduceScatter:
      return "reduce_scatter";
    case Kind::kAllToAll:
      return "all_to_all";
    case Kind::kBroadcast:
      return "broadcast";
    case Kind::kSplit:
      return "split";
    case Kind::kEnd:
      return "end";
  }
  return "unknown operation";
}

const char* name_of(Reduce reduce) {
  return reduce == Reduce::kSum ? "sum" : reduce == Reduce::kMax ? "maximum" : "minimum";
}

const char* name_of(torch::ScalarType dtype) {
  for (const auto& [each, name] : kDtypes)
    if (each == dtype) return name;
  return toString(dtype);
}

void check_color(std::string_view name, int64_t color) {
  if (color < 0) throw std::invalid_argument(fmt::format("split \"{}\": the color {} is negative", name, color));
}

Work CheckedCollectives::start_checked(CollectiveOp op) {
  check(op, rank(), size(), device());
  return start(std::move(op));
}

Work CheckedCollectives::all_reduce(std::string_view name, torch::Tensor values, Reduce reduce) {
  return start_checked(
      {.kind = Kind::kAllReduce, .name = std::string(name), .in = values, .out = values, .reduce = reduce});
}

Work CheckedCollectives::all_gather(std::string_view name, torch::Tensor mine, torch::Tensor all,
                                    std::vector<int64_t> counts) {
  return start_checked({.kind = Kind::kAllGather,
                        .name = std::string(name),
                        .in = std::move(mine),
                        .out = std::move(all),
                        .out_counts = std::move(counts)});
}

Work CheckedCollectives::reduce_scatter(std::string_view name, torch::Tensor all, torch::Tensor mine,
                                        std::vector<int64_t> counts) {
  return start_checked({.kind = Kind::kReduceScatter,
                        .name = std::string(name),
                        .in = std::move(all),
                        .out = std::move(mine),
                        .in_counts = std::move(counts)});
}

Work CheckedCollectives::all_to_all(std::string_view name, torch::Tensor send, std::vector<int64_t> send_counts,
                                    torch::Tensor receive, std::vector<int64_t> receive_counts) {
  return start_checked({.kind = Kind::kAllToAll,
                        .name = std::string(name),
                        .in = std::move(send),
                        .out = std::move(receive),
                        .in_counts = std::move(send_counts),
                        .out_counts = std::move(receive_counts)});
}

Work CheckedCollectives::broadcast(std::string_view name, torch::Tensor values, int64_t root) {
  return start_checked(
      {.kind = Kind::kBroadcast, .name = std::string(name), .in = values, .out = values, .root = root});
}

}  // namespace terse::trainer
