// A World that consists of some ranks of another one, with new rank numbers. Only its messages() still
// use the rank numbers of the whole world.
#include <cstdlib>
#include <iterator>
#include <set>
#include <stdexcept>

#include "trainer/parallel/world.h"

namespace terse::trainer {

namespace {

class WorldPart final : public World {
 public:
  WorldPart(World& whole, torch::Device device, std::string_view name, int64_t color)
      : whole_(whole), group_(whole.group(device).split(name, color, whole.place().rank)), place_(whole.place()) {
    place_.rank = group_->rank();
    place_.ranks = group_->size();
    torch::Tensor nodes = torch::empty({place_.ranks}, torch::TensorOptions(torch::kInt64).device(device));
    group_
        ->all_gather("nodes", torch::full({1}, place_.node, nodes.options()), nodes,
                     std::vector<int64_t>(static_cast<size_t>(place_.ranks), 1))
        .wait();
    nodes = nodes.cpu();
    const std::set<int64_t> all(nodes.data_ptr<int64_t>(), nodes.data_ptr<int64_t>() + place_.ranks);
    place_.nodes = static_cast<int64_t>(all.size());
    place_.node = std::distance(all.begin(), all.find(place_.node));
  }

  const Place& place() const override { return place_; }
  Collectives& group(torch::Device device) override {
    if (group_->device() != device)
      throw std::logic_error("the tensors of this part of the world are on " + group_->device().str() + ", not on " +
                             device.str());
    return *group_;
  }
  std::vector<std::string> gather(std::string_view name, const std::string& mine) override {
    return all_gather_bytes(*group_, name, mine);
  }
  MessageChannel& messages() override { return whole_.messages(); }  // uses the ranks of the whole world
  void enter(std::string_view phase) override { whole_.enter(phase); }
  [[noreturn]] void abort(int code, const std::string& message) override {
    whole_.abort(code, message);
    std::abort();  // g++ does not see that a virtual function never returns
  }

 private:
  World& whole_;
  std::unique_ptr<Collectives> group_;
  Place place_;
};

}  // namespace

std::unique_ptr<World> split(World& world, torch::Device device, std::string_view name, int64_t color) {
  return std::make_unique<WorldPart>(world, device, name, color);
}

}  // namespace terse::trainer
