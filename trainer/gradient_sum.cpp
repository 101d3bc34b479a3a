// A single process sums the parts of the tree one after the other. Several ranks work in rounds of one backward pass
// each. The gradient of a unit travels to the unit's owners while the pass computes the next unit.
#include "trainer/gradient_sum.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "trainer/kernels/kernels.h"

namespace terse::trainer {

namespace {

using Backward = std::function<void(SequenceRange)>;

// Computes the gradient of one node in params.whole_grad(), which must be zero before. Splits the node until each part
// fits into one pass.
void sum_node(FlatParams& params, SequenceRange node, const MicroBatching& batch, const Backward& backward) {
  if (batch.fits(node)) return backward(node);
  const int64_t middle = node.begin + kernels::tree_half(node.count());
  sum_node(params, {node.begin, middle}, batch, backward);
  torch::Tensor& grad = params.whole_grad();
  const torch::Tensor left = grad.clone();
  grad.zero_();
  sum_node(params, {middle, node.end}, batch, backward);
  grad.add_(left);
}

// A gradient that is zero need not be copied. This test is cheaper than a copy, and it stops at the first number that
// is not 0.
bool is_zero(const torch::Tensor& grad) {
  const float* values = grad.data_ptr<float>();
  return std::all_of(values, values + grad.numel(), [](float value) { return value == 0; });
}

// Splits a range into the fewest parts that fit into one pass each.
std::vector<SequenceRange> chunks(SequenceRange range, const MicroBatching& batch) {
  std::vector<SequenceRange> parts;
  for (int64_t begin = range.begin; begin < range.end; begin = parts.back().end) {
    int64_t end = begin + 1;
    while (end < range.end && batch.fits({begin, end + 1})) ++end;
    parts.push_back({begin, end});
  }
  return parts;
}

// The sum over several ranks.
class SharedSum final : public PassObserver {
 public:
  SharedSum(FlatParams& params, const MicroBatching& batch)
      : params_(params),
        sharding_(params.sharding()),
        batch_(batch),
        keeps_whole_(params.whole_grad().defined()),
        trees_(params.grad_units(), TreeSum(batch.sequences())),
        sums_(params.grad_units()) {
    for (int64_t rank = 0; rank < sharding_.ranks(); ++rank) {
      const SequenceRange share = share_of(batch.sequences(), rank, sharding_.ranks());
      if (params.sums_as_tree()) {
        passes_.push_back(
            tree_nodes(batch.sequences(), share, [&](SequenceRange node) { return keeps_whole_ || batch.fits(node); }));
      } else if (!keeps_whole_) {
        passes_.push_back(chunks(share, batch));
      } else {
        passes_.emplace_back();
        if (share.count() > 0) passes_.back().push_back(share);
      }
      rounds_ = std::max(rounds_, passes_.back().size());
    }
  }

  void run(const Backward& backward) {
    for (round_ = 0; round_ < rounds_; ++round_) {
      const std::optional<SequenceRange> mine = pass_of(sharding_.rank());
      if (mine) {
        pass(*mine, backward);
      } else {
        dummy_pass();
      }
      receive();
    }
  }

  void unit_begins(size_t unit) override {
    if (!computes()) return;
    params_.begin_grad(unit);
    if (unit + 1 == params_.units() && params_.grad_units() > params_.units()) params_.begin_grad(params_.units());
  }

  void unit_ends(size_t unit) override {
    send(unit);
    if (unit + 1 == params_.units() && params_.grad_units() > params_.units()) send(params_.units());
    params_.close(unit);
  }

 private:
  // The gradient of a unit on its way to the unit's owners. The buffers must live until the transfer has finished.
  struct Sent {
    size_t grad_unit;
    Work work;
    torch::Tensor send, receive;
  };

  std::optional<SequenceRange> pass_of(int64_t rank) const {
    const std::vector<SequenceRange>& passes = passes_[static_cast<size_t>(rank)];
    return round_ < passes.size() ? std::optional(passes[round_]) : std::nullopt;
  }
  bool computes() const { return pass_of(sharding_.rank()).has_value(); }

  void pass(SequenceRange range, const Backward& backward) {
    const size_t last = params_.units() - 1;
    if (batch_.fits(range)) {
      params_.observe(this);
      unit_begins(last);
      backward(range);
      params_.observe(nullptr);
      unit_ends(0);
      return;
    }
    params_.whole_grad().zero_();
    if (params_.sums_as_tree()) {
      sum_node(params_, range, batch_, backward);
    } else {
      for (const SequenceRange& part : chunks(range, batch_)) backward(part);
    }
    for (size_t unit = last + 1; unit-- > 0;) unit_ends(unit);
  }

  // A round in which this rank has nothing to compute. It makes the same collective calls in the same order as the
  // other ranks.
  void dummy_pass() {
    const size_t last = params_.units() - 1;
    params_.open(0);
    params_.open(last);
    {
      torch::NoGradGuard forward;
      for (size_t unit = 1; unit < last; ++unit) {
        params_.open(unit);
        params_.close(unit);
      }
    }
    torch::AutoGradMode backward(true);
    for (size_t unit = last; unit > 0; --unit) {
      unit_ends(unit);
      if (unit > 1) params_.open(unit - 1);
    }
    unit_ends(0);
  }

  // Only one unit is in flight at a time. So at most two units' gradients are in memory: this one and that of the unit
  // being computed.
  void send(size_t g) {
    receive();
    const ParamUnit& unit = params_.weights_of(g);
    if (unit.size() == 0) return;
    const int64_t shards = sharding_.shards->size(), own = params_.owned_grad(g).numel();
    const std::vector<int64_t> counts = shard_counts(unit, shards), none(counts.size(), 0);
    const torch::TensorOptions fp32 = params_.master().options();
    const std::string name = "gradient of " + unit.name + (g == params_.units() ? " (head)" : "");
    Sent& sent = sent_.emplace(Sent{g, {}, {}, {}});
    if (params_.sums_as_tree()) {
      std::vector<int64_t> arriving;
      int64_t total = 0;
      for (int64_t shard = 0; shard < shards; ++shard) {
        arriving.push_back(pass_of(rank_of_shard(shard)) ? own : 0);
        total += arriving.back();
      }
      sent.send = computes() ? params_.pass_grad(g) : torch::empty({0}, fp32);
      sent.receive = torch::empty({total}, fp32);
      sent.work = sharding_.shards->all_to_all(name, sent.send, computes() ? counts : none, sent.receive, arriving);
    } else {
      sent.send = computes() ? params_.pass_grad(g).to(torch::kFloat32) : torch::zeros({unit.size()}, fp32);
      sent.receive = torch::empty({own}, fp32);
      sent.work = sharding_.shards->reduce_scatter(name, sent.send, sent.receive, counts);
    }
    params_.drop_grad(g);
  }

  // Waits for the unit in flight, if there is one. Frees its buffers as early as possible.
  void receive() {
    if (!sent_) return;
    torch::NoGradGuard no_grad;
    const size_t g = sent_->grad_unit;
    sent_->work.wait();
    torch::Tensor received = std::move(sent_->receive);
    sent_.reset();
    if (params_.sums_as_tree()) {
      const int64_t own = params_.owned_grad(g).numel();
      int64_t at = 0;
      for (int64_t shard = 0; shard < sharding_.shards->size(); ++shard) {
        if (const auto range = pass_of(rank_of_shard(shard))) {
          trees_[g].add(*range, received.narrow(0, at, own));
          at += own;
        }
      }
    } else {
      sums_[g] = sums_[g].defined() ? sums_[g].add_(received) : received;
    }
    received.reset();
    if (round_ + 1 == rounds_) {
      add_to_owned(g);
    } else {
      trees_[g].leave_buffers();
    }
  }

  void add_to_owned(size_t g) {
    if (params_.sums_as_tree()) {
      if (sharding_.replicas != nullptr) exchange_nodes(g);
      for (const auto& [range, sum] : trees_[g].waiting()) params_.owned_grad(g).add_(sum);
      trees_[g] = trees_[g].empty_copy();
    } else {
      if (sharding_.replicas != nullptr) sharding_.replicas->all_reduce("gradient", sums_[g], Reduce::kSum).wait();
      params_.owned_grad(g).add_(sums_[g]);
      sums_[g].reset();
    }
  }

  // Each replica holds the nodes of its own ranks. All replicas gather all nodes.
  void exchange_nodes(size_t g) {
    Collectives& replicas = *sharding_.replicas;
    const int64_t own = params_.owned_grad(g).numel();
    std::vector<std::vector<SequenceRange>> nodes;
    std::vector<int64_t> counts;
    for (int64_t replica = 0; replica < replicas.size(); ++replica) {
      TreeSum ranges = trees_[g].empty_copy();
      for (int64_t shard = 0; shard < sharding_.shards->size(); ++shard)
        for (const SequenceRange& pass : passes_[static_cast<size_t>(replica * sharding_.shards->size() + shard)])
          ranges.add(pass, {});
      nodes.emplace_back();
      for (const auto& [range, none] : ranges.waiting()) nodes.back().push_back(range);
      counts.push_back(own * static_cast<int64_t>(nodes.back().size()));
    }
    std::vector<torch::Tensor> waiting = {torch::empty({0}, params_.master().options())};
    for (const auto& [range, sum] : trees_[g].waiting()) waiting.push_back(sum);
    const torch::Tensor mine = torch::cat(waiting);
    waiting.clear();
    trees_[g] = trees_[g].empty_copy();
    torch::Tensor all = torch::empty({std::accumulate(counts.begin(), counts.end(), int64_t{0})}, mine.options());
    replicas.all_gather("gradient across nodes", mine, all, counts).wait();
    int64_t at = 0;
    for (const std::vector<SequenceRange>& ranges : nodes)
      for (const SequenceRange& range : ranges) {
        trees_[g].add(range, all.narrow(0, at, own));
        at += own;
      }
  }

  // Returns the rank in `everyone` of a rank in `shards`. Shards are consecutive ranks.
  int64_t rank_of_shard(int64_t shard) const { return sharding_.rank() - sharding_.shards->rank() + shard; }

  FlatParams& params_;
  const Sharding& sharding_;
  const MicroBatching& batch_;
  bool keeps_whole_;
  std::vector<std::vector<SequenceRange>> passes_;  // of each rank
  size_t rounds_ = 0, round_ = 0;
  std::optional<Sent> sent_;
  std::vector<TreeSum> trees_;       // of each grad unit
  std::vector<torch::Tensor> sums_;  // the same where sums are not trees
};

}  // namespace

void sum_gradients(FlatParams& params, const MicroBatching& batch, const Backward& backward) {
  if (batch.sequences() == 0) return;
  if (params.sharding().distributed()) return SharedSum(params, batch).run(backward);
  const SequenceRange all{0, batch.sequences()};
  torch::Tensor& grad = params.whole_grad();
  if (!params.sums_as_tree()) {
    for (const SequenceRange& part : chunks(all, batch)) {
      backward(part);
      params.collect_pass();
    }
  } else if (batch.fits(all)) {
    backward(all);
  } else if (is_zero(grad)) {
    sum_node(params, all, batch, backward);
  } else {
    const torch::Tensor before = grad.clone();
    grad.zero_();
    sum_node(params, all, batch, backward);
    grad.add_(before);
  }
}

SequenceRange own_share(const Sharding& sharding, int64_t sequences) {
  return share_of(sequences, sharding.rank(), sharding.ranks());
}

torch::Tensor gather_shares(const Sharding& sharding, const std::vector<int64_t>& rows_of_sequence,
                            const torch::Tensor& mine) {
  if (!sharding.distributed()) return mine;
  const int64_t columns = mine.size(1), sequences = static_cast<int64_t>(rows_of_sequence.size());
  const auto rows_of = [&](SequenceRange range) {
    return std::accumulate(rows_of_sequence.begin() + range.begin, rows_of_sequence.begin() + range.end, int64_t{0});
  };
  std::vector<int64_t> counts;
  for (int64_t rank = 0; rank < sharding.ranks(); ++rank)
    counts.push_back(rows_of(share_of(sequences, rank, sharding.ranks())) * columns);
  const torch::Device device = sharding.everyone->device();
  torch::Tensor all = torch::empty({rows_of({0, sequences}), columns}, mine.options().device(device));
  sharding.everyone->all_gather("values of sequences", mine.to(device).contiguous(), all, counts).wait();
  return all.cpu();
}

}  // namespace terse::trainer
