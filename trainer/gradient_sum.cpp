// One process: parts of the tree, one after the other. Several: a round of passes after another, and what each pass
// gave for a unit goes to the unit's owners while the pass goes on with the next unit.
#include "trainer/gradient_sum.h"

#include <algorithm>
#include <deque>
#include <numeric>
#include <optional>

#include "trainer/kernels/kernels.h"

namespace terse::trainer {

namespace {

using Backward = std::function<void(SequenceRange)>;

// The gradient of one node in params.whole_grad(), which is zero before, taken apart until parts fit.
void sum_node(FlatParams& params, SequenceRange node, int64_t limit, const Backward& backward) {
  if (node.count() <= limit) return backward(node);
  const int64_t middle = node.begin + kernels::tree_half(node.count());
  sum_node(params, {node.begin, middle}, limit, backward);
  torch::Tensor& grad = params.whole_grad();
  const torch::Tensor left = grad.clone();
  grad.zero_();
  sum_node(params, {middle, node.end}, limit, backward);
  grad.add_(left);
}

void sum_chunks(SequenceRange range, int64_t limit, const Backward& backward) {
  for (int64_t begin = range.begin; begin < range.end; begin += limit)
    backward({begin, std::min(begin + limit, range.end)});
}

void sum_alone(FlatParams& params, int64_t sequences, int64_t limit, const Backward& backward) {
  const SequenceRange all{0, sequences};
  torch::Tensor& grad = params.whole_grad();
  if (!params.sums_as_tree()) {
    sum_chunks(all, limit, [&](SequenceRange part) {
      backward(part);
      params.collect_pass();
    });
  } else if (sequences <= limit) {
    backward(all);
  } else {
    const torch::Tensor before = grad.clone();
    grad.zero_();
    sum_node(params, all, limit, backward);
    grad.add_(before);
  }
}

// The exchange among several ranks.
class SharedSum final : public PassObserver {
 public:
  SharedSum(FlatParams& params, int64_t sequences, int64_t limit)
      : params_(params),
        sharding_(params.sharding()),
        limit_(limit),
        keeps_whole_(params.whole_grad().defined()),
        trees_(params.grad_units(), TreeSum(sequences)),
        sums_(params.grad_units()) {
    for (int64_t rank = 0; rank < sharding_.ranks(); ++rank) {
      const SequenceRange share = share_of(sequences, rank, sharding_.ranks());
      if (params.sums_as_tree()) {
        passes_.push_back(tree_nodes(sequences, share, keeps_whole_ ? sequences : limit));
      } else {
        passes_.emplace_back();
        sum_chunks(share, keeps_whole_ ? sequences : limit,
                   [&](SequenceRange part) { passes_.back().push_back(part); });
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
        stand_in();
      }
      while (!sent_.empty()) receive();
    }
    for (size_t g = 0; g < params_.grad_units(); ++g) add_to_owned(g);
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
  // What a unit's owners get of one pass; the buffers must stay until it has arrived.
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
    if (range.count() <= limit_) {
      params_.observe(this);
      unit_begins(last);
      backward(range);
      params_.observe(nullptr);
      unit_ends(0);
      return;
    }
    params_.whole_grad().zero_();
    if (params_.sums_as_tree()) {
      sum_node(params_, range, limit_, backward);
    } else {
      sum_chunks(range, limit_, backward);
    }
    for (size_t unit = last + 1; unit-- > 0;) unit_ends(unit);
  }

  // A round in which this rank has nothing to compute: the same exchanges, in the same order.
  void stand_in() {
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

  void send(size_t g) {
    const ParamUnit& unit = params_.weights_of(g);
    const int64_t shards = sharding_.shards->size(), own = params_.owned_grad(g).numel();
    const std::vector<int64_t> counts = shard_counts(unit, shards), none(counts.size(), 0);
    const torch::TensorOptions fp32 = params_.master().options();
    const std::string name = "gradient of " + unit.name + (g == params_.units() ? " (head)" : "");
    Sent sent{g, {}, {}, {}};
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
    sent_.push_back(std::move(sent));
    // Without a whole gradient, two units' gradients live: one on its way, one being computed.
    while (!keeps_whole_ && sent_.size() > 1) receive();
  }

  void receive() {
    torch::NoGradGuard no_grad;
    Sent sent = std::move(sent_.front());
    sent_.pop_front();
    sent.work.wait();
    if (!params_.sums_as_tree()) {
      torch::Tensor& sum = sums_[sent.grad_unit];
      sum = sum.defined() ? sum.add_(sent.receive) : sent.receive;
      return;
    }
    const int64_t own = params_.owned_grad(sent.grad_unit).numel();
    int64_t at = 0;
    for (int64_t shard = 0; shard < sharding_.shards->size(); ++shard) {
      if (const auto range = pass_of(rank_of_shard(shard))) {
        trees_[sent.grad_unit].add(*range, sent.receive.narrow(0, at, own));
        at += own;
      }
    }
  }

  void add_to_owned(size_t g) {
    torch::NoGradGuard no_grad;
    if (params_.sums_as_tree()) {
      if (sharding_.replicas != nullptr) exchange_nodes(g);
      for (const auto& [range, sum] : trees_[g].waiting()) params_.owned_grad(g).add_(sum);
    } else if (sums_[g].defined()) {
      if (sharding_.replicas != nullptr) sharding_.replicas->all_reduce("gradient", sums_[g], Reduce::kSum).wait();
      params_.owned_grad(g).add_(sums_[g]);
    }
  }

  // Every replica has the nodes of its own ranks; each sends its own to all.
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
    std::vector<torch::Tensor> mine = {torch::empty({0}, params_.master().options())};
    for (const auto& [range, sum] : trees_[g].waiting()) mine.push_back(sum);
    torch::Tensor all = torch::empty({std::accumulate(counts.begin(), counts.end(), int64_t{0})}, mine[0].options());
    replicas.all_gather("gradient across nodes", torch::cat(mine), all, counts).wait();
    trees_[g] = trees_[g].empty_copy();
    int64_t at = 0;
    for (const std::vector<SequenceRange>& ranges : nodes)
      for (const SequenceRange& range : ranges) {
        trees_[g].add(range, all.narrow(0, at, own));
        at += own;
      }
  }

  // Of everyone; shards are consecutive ranks.
  int64_t rank_of_shard(int64_t shard) const { return sharding_.rank() - sharding_.shards->rank() + shard; }

  FlatParams& params_;
  const Sharding& sharding_;
  int64_t limit_;
  bool keeps_whole_;
  std::vector<std::vector<SequenceRange>> passes_;  // of each rank
  size_t rounds_ = 0, round_ = 0;
  std::deque<Sent> sent_;
  std::vector<TreeSum> trees_;       // of each grad unit
  std::vector<torch::Tensor> sums_;  // the same where sums are not trees
};

}  // namespace

void sum_gradients(FlatParams& params, int64_t sequences, int64_t limit, const Backward& backward) {
  if (sequences == 0) return;
  if (params.sharding().distributed()) {
    SharedSum(params, sequences, limit).run(backward);
  } else {
    sum_alone(params, sequences, limit, backward);
  }
}

torch::Tensor gather_shares(const Sharding& sharding, int64_t sequences, const torch::Tensor& mine) {
  if (!sharding.distributed()) return mine;
  const int64_t columns = mine.size(1);
  std::vector<int64_t> counts;
  for (int64_t rank = 0; rank < sharding.ranks(); ++rank)
    counts.push_back(share_of(sequences, rank, sharding.ranks()).count() * columns);
  const torch::Device device = sharding.everyone->device();
  torch::Tensor all = torch::empty({sequences, columns}, mine.options().device(device));
  sharding.everyone->all_gather("values of sequences", mine.to(device).contiguous(), all, counts).wait();
  return all.cpu();
}

}  // namespace terse::trainer
