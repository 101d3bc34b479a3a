// GPU tensors over NCCL. The caller's thread queues the operation on NCCL's stream, behind the work on its own stream
// so far. Meanwhile the group's thread exchanges fingerprints with the other ranks, keeps the tensors alive, and polls
// until the operation has finished on the GPU. So a missing rank is named although GPU kernels already wait for it.
#include "base/errors.h"
#include "trainer/parallel/collectives/backends.h"

#if TERSE_WITH_NCCL
#include <ATen/core/grad_mode.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "trainer/parallel/nccl/nccl_library.h"
#endif

namespace terse::trainer {

#if TERSE_WITH_NCCL

namespace {

using Gpu = c10::impl::VirtualGuardImpl;

ncclDataType_t nccl_type(torch::ScalarType dtype) {
  switch (dtype) {
    case torch::kFloat32:
      return ncclFloat32;
    case torch::kBFloat16:
      return ncclBfloat16;
    case torch::kFloat64:
      return ncclFloat64;
    case torch::kInt64:
      return ncclInt64;
    case torch::kInt32:
      return ncclInt32;
    default:
      return ncclUint8;  // CheckedCollectives rejects all others
  }
}

ncclRedOp_t nccl_op(Reduce reduce) {
  return reduce == Reduce::kSum ? ncclSum : reduce == Reduce::kMax ? ncclMax : ncclMin;
}

// A non-blocking communicator: a call that takes long returns ncclInProgress, and its state is polled. The destructor
// uses ncclCommAbort instead of ncclCommDestroy, because it never waits for other ranks. All operations have finished
// by then.
struct NcclComm {
  ncclComm_t comm = nullptr;
  ~NcclComm() {
    if (comm != nullptr) nccl().comm_abort(comm);
  }
  // The error of NCCL; empty when there is none.
  std::string problem() const {
    const ncclResult_t state = this->state();
    if (state == ncclSuccess || state == ncclInProgress) return "";
    return fmt::format("NCCL: {}: {}", nccl().error_string(state), nccl().last_error(comm));
  }
  ncclResult_t state() const {
    ncclResult_t state = ncclSuccess;
    const ncclResult_t asked = nccl().comm_state(comm, &state);
    return asked == ncclSuccess ? state : asked;
  }
  void require(ncclResult_t result, const char* what) const {
    if (result != ncclSuccess && result != ncclInProgress)
      throw LostError(fmt::format("{} failed: {}: {}", what, nccl().error_string(result), nccl().last_error(comm)));
  }
  // Polls until NCCL has queued the operation on the stream. The group's thread keeps the deadline meanwhile.
  void wait_until_queued(ncclResult_t result, const char* what) const {
    for (Backoff backoff; result == ncclInProgress; backoff.pause()) result = state();
    require(result, what);
  }
};

// An operation on the stream, shared by the caller and the group's thread.
struct Launched {
  explicit Launched(CollectiveOp what) : op(std::move(what)) {}
  ~Launched() {
    if (done != nullptr) Gpu(torch::kCUDA).destroyEvent(done, op.out.device().index());
  }
  CollectiveOp op;
  std::vector<torch::Tensor> kept;  // temporary fp32 tensors
  void* done = nullptr;             // the event behind the operation, once `state` is kQueued
  enum State { kBegun, kQueued, kFailed };
  std::atomic<State> state = kBegun;
  bool finished() const { return state == kFailed || (state == kQueued && Gpu(torch::kCUDA).queryEvent(done)); }
};

class NcclWork final : public Work::State {
 public:
  explicit NcclWork(std::shared_ptr<Launched> launched) : launched_(std::move(launched)) {}
  void wait() override {
    const Gpu gpu(torch::kCUDA);
    gpu.block(launched_->done, gpu.getStream(launched_->op.out.device()));
  }

 private:
  std::shared_ptr<Launched> launched_;
};

// Makes `device` and `stream` the current ones for its lifetime.
class OnStream {
 public:
  OnStream(torch::Device device, c10::Stream stream)
      : device_(gpu_.exchangeDevice(device)), stream_(gpu_.exchangeStream(stream)) {}
  ~OnStream() {
    gpu_.exchangeStream(stream_);
    gpu_.uncheckedSetDevice(device_);
  }
  OnStream(const OnStream&) = delete;
  OnStream& operator=(const OnStream&) = delete;

 private:
  const Gpu gpu_ = Gpu(torch::kCUDA);
  const c10::Device device_;
  const c10::Stream stream_;
};

std::shared_ptr<NcclComm> connect(ProcessGroup& group, torch::Device device) {
  auto comm = std::make_shared<NcclComm>();
  group
      .run({.kind = Kind::kSplit, .name = "nccl"},
           [&](Exchange& exchange) {
             ncclUniqueId id;
             if (exchange.rank() == 0) {
               comm->require(nccl().get_unique_id(&id), "ncclGetUniqueId");
               for (int64_t r = 1; r < exchange.size(); ++r) exchange.send(r, &id, sizeof id);
             } else {
               exchange.receive(0, &id, sizeof id);
             }
             exchange.wait();
             Gpu(device.type()).setDevice(device);
             ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
             config.blocking = 0;
             comm->require(nccl().comm_init(&comm->comm, static_cast<int>(exchange.size()), id,
                                            static_cast<int>(exchange.rank()), &config),
                           "ncclCommInitRankConfig");
             exchange.wait_until([&] { return comm->state() != ncclInProgress; }, "has not set up NCCL in");
             if (const std::string problem = comm->problem(); !problem.empty()) exchange.fail(problem);
           })
      .get();
  return comm;
}

class NcclCollectives final : public GroupCollectives {
 public:
  NcclCollectives(std::shared_ptr<ProcessGroup> group, torch::Device device)
      : GroupCollectives(std::move(group), device),
        comm_(connect(*group_, device)),
        stream_(Gpu(device.type()).getStreamFromGlobalPool(device, /*isHighPriority=*/true)) {}
  const char* backend() const override { return "nccl"; }
  std::unique_ptr<Collectives> split(std::string_view name, int64_t color, int64_t key) override {
    return nccl_collectives(group_->split(name, color, key), device_);
  }

 private:
  Work start(CollectiveOp op) override {
    const auto launched = std::make_shared<Launched>(op);
    group_->run(std::move(op), [launched, comm = comm_](Exchange& exchange) {
      exchange.wait_until(
          [&] {
            if (const std::string problem = comm->problem(); !problem.empty()) exchange.fail(problem);
            return launched->finished();
          },
          "has not finished the GPU work of");
    });
    try {
      queue(*launched);
    } catch (...) {
      launched->state = Launched::kFailed;
      throw;
    }
    return Work(std::make_shared<NcclWork>(launched));
  }

  void queue(Launched& launched) {
    const Gpu gpu(device_.type());
    void* ready = nullptr;
    gpu.record(&ready, gpu.getStream(device_), device_.index(), c10::EventFlag::PYTORCH_DEFAULT);
    gpu.block(ready, stream_);
    gpu.destroyEvent(ready, device_.index());
    const OnStream on_stream(device_, stream_);
    // NCCL would round a sum of bfloat16 at every hop, so such a sum is computed in fp32.
    const bool sums = launched.op.kind == Kind::kReduceScatter ||
                      (launched.op.kind == Kind::kAllReduce && launched.op.reduce == Reduce::kSum);
    if (sums && launched.op.in.scalar_type() == torch::kBFloat16)
      queue_widened(launched);
    else
      queue_op(launched.op);
    gpu.record(&launched.done, stream_, device_.index(), c10::EventFlag::PYTORCH_DEFAULT);
    launched.state = Launched::kQueued;
  }

  void queue_widened(Launched& launched) {
    const at::NoGradGuard no_grad;
    CollectiveOp wide = launched.op;
    wide.in = wide.in.to(torch::kFloat32);
    wide.out = launched.op.kind == Kind::kAllReduce ? wide.in : torch::empty_like(launched.op.out, torch::kFloat32);
    launched.kept = {wide.in, wide.out};
    queue_op(wide);
    launched.op.out.copy_(wide.out);
  }

  void queue_op(const CollectiveOp& op) {
    const NcclLibrary& lib = nccl();
    comm_->require(lib.group_start(), "ncclGroupStart");
    queue_parts(lib, op);
    comm_->wait_until_queued(lib.group_end(), name_of(op.kind));
  }

  void queue_parts(const NcclLibrary& lib, const CollectiveOp& op) {
    const char* in = static_cast<const char*>(op.in.const_data_ptr());
    char* out = static_cast<char*>(op.out.data_ptr());
    const ncclDataType_t type = nccl_type(op.in.scalar_type());
    const ncclRedOp_t reduce_op = nccl_op(op.reduce);
    const int64_t width = op.in.element_size();
    void* const stream = stream_.native_handle();
    const auto cuda_stream = static_cast<cudaStream_t>(stream);
    const ncclComm_t comm = comm_->comm;
    const auto check = [&](ncclResult_t result) { comm_->require(result, name_of(op.kind)); };
    const auto even = [](const std::vector<int64_t>& counts) {
      return std::all_of(counts.begin(), counts.end(), [&](int64_t count) { return count == counts[0]; });
    };
    if (op.kind == Kind::kAllReduce) {
      if (op.out.numel() > 0) check(lib.all_reduce(in, out, op.out.numel(), type, reduce_op, comm, cuda_stream));
    } else if (op.kind == Kind::kBroadcast) {
      if (op.out.numel() > 0)
        check(lib.broadcast(in, out, op.out.numel(), type, static_cast<int>(op.root), comm, cuda_stream));
    } else if (op.kind == Kind::kAllGather && even(op.out_counts)) {
      if (op.in.numel() > 0) check(lib.all_gather(in, out, op.in.numel(), type, comm, cuda_stream));
    } else if (op.kind == Kind::kReduceScatter && even(op.in_counts)) {
      if (op.out.numel() > 0) check(lib.reduce_scatter(in, out, op.out.numel(), type, reduce_op, comm, cuda_stream));
    } else {
      // all_to_all, and operations with uneven counts: one call of NCCL for each share.
      for (int r = 0; r < static_cast<int>(size()); ++r) {
        const int64_t in_count = op.in_counts.empty() ? 0 : op.in_counts[r];
        const int64_t out_count = op.out_counts.empty() ? 0 : op.out_counts[r];
        if (op.kind == Kind::kAllGather && out_count > 0)
          check(lib.broadcast(in, out, out_count, type, r, comm, cuda_stream));
        if (op.kind == Kind::kReduceScatter && in_count > 0)
          check(lib.reduce(in, out, in_count, type, reduce_op, r, comm, cuda_stream));
        if (op.kind == Kind::kAllToAll && in_count > 0) check(lib.send(in, in_count, type, r, comm, cuda_stream));
        if (op.kind == Kind::kAllToAll && out_count > 0) check(lib.receive(out, out_count, type, r, comm, cuda_stream));
        in += in_count * width;
        out += out_count * width;
      }
    }
  }

  const std::shared_ptr<NcclComm> comm_;
  const c10::Stream stream_;
};

}  // namespace

std::unique_ptr<Collectives> nccl_collectives(std::shared_ptr<ProcessGroup> group, torch::Device device) {
  return std::make_unique<NcclCollectives>(std::move(group), device);
}

#else

std::unique_ptr<Collectives> nccl_collectives(std::shared_ptr<ProcessGroup>, torch::Device) {
  throw MachineError("this program was built without NCCL");
}

#endif

}  // namespace terse::trainer
