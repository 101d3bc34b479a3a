// The program `terse`, in which one rank gets a signal, or sleeps, at an exact place:
//
//   TERSE_FAULT="RANK SIGNAL COUNT PLACE" TERSE_FAULT_MARK=FILE mpirun ... faulty_terse run ...
//
// SIGNAL is KILL, STOP, TERM, INT, HUP, USR1 or USR2. The rank gets it when it reaches PLACE for the COUNT-th time,
// after it has created FILE. With SLEEP, the thread that reaches PLACE sleeps for 10 seconds instead. A process without
// a launcher is rank 0.
//
//   start          before MPI starts
//   left           right after MPI has been finalised
//   end            before the process ends, if MPI was started
//   phase NAME     World::enter(NAME)
//   call NAME      before a collective operation whose name begins with NAME
//   data NAME      right after such an operation was passed to the thread that moves the data
//   token          before tokens are sampled, one for each unfinished response
//   gate           before the promotion gate of the student
//   text           before a text is read to be tokenized
//   hash           after the main thread has hashed a large file of a checkpoint
//   report         before the report of a finished run is written
//   write          before the background thread syncs a file or folder of a checkpoint
//   send MESSAGE   before a message is sent; name_of_message() below lists their names
//   sent MESSAGE   right after a message was sent
//   await WHAT     before waiting for a message
//   read MESSAGE   after a message has arrived, before it is handled
//
// The program itself has no code for this. The linker (--wrap) replaces World::start, fsync, the functions of
// MessageChannel and some others with the functions below. World::start returns a world that forwards to the real one,
// and so do its groups.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <thread>

#include "base/sha256.h"
#include "launch/cli.h"
#include "launch/report/report.h"
#include "launch/startup.h"
#include "rl/async/rollout_messages.h"
#include "rl/compression/student.h"
#include "rl/engine/sampler.h"
#include "trainer/parallel/mpi/message_channel.h"
#include "trainer/parallel/world.h"

namespace terse::trainer {
namespace {

using torch::Tensor;
using Counts = std::vector<int64_t>;

class Fault {
 public:
  Fault() {
    const char *wanted = std::getenv("TERSE_FAULT"), *mine = std::getenv("OMPI_COMM_WORLD_RANK");
    if (mine == nullptr) mine = std::getenv("SLURM_PROCID");  // started by srun
    if (mine == nullptr) mine = "0";                          // alone
    if (wanted == nullptr) return;
    std::istringstream words(wanted);
    std::string rank, signal;
    words >> rank >> signal >> count_ >> std::ws;
    std::getline(words, place_);
    const std::map<std::string, int> signals = {{"KILL", SIGKILL}, {"STOP", SIGSTOP}, {"TERM", SIGTERM},
                                                {"INT", SIGINT},   {"HUP", SIGHUP},   {"USR1", SIGUSR1},
                                                {"USR2", SIGUSR2}, {"SLEEP", kSleep}};
    signal_ = signals.at(signal);
    if (rank != mine) count_ = 0;
  }
  // `place` matches when it begins with the place that was asked for.
  void at(const std::string& place) {
    if (count_ == 0 || !place.starts_with(place_) || ++seen_ != count_) return;
    std::ofstream(std::getenv("TERSE_FAULT_MARK")) << getpid();
    if (signal_ == kSleep) {
      std::this_thread::sleep_for(std::chrono::seconds(10));
    } else {
      raise(signal_);
    }
  }

 private:
  static constexpr int kSleep = 0;  // no signal has this number
  std::string place_;
  int signal_ = 0;
  int64_t count_ = 0;  // 0: never
  std::atomic<int64_t> seen_ = 0;
};

Fault& fault() {
  static Fault one;
  return one;
}

template <typename Call>
auto with_faults(std::string_view name, const Call& call) {
  fault().at(fmt::format("call {}", name));
  auto result = call();
  fault().at(fmt::format("data {}", name));
  return result;
}

class FaultyCollectives final : public Collectives {
 public:
  explicit FaultyCollectives(std::unique_ptr<Collectives> owned) : owned_(std::move(owned)), real_(*owned_) {}
  explicit FaultyCollectives(Collectives& real) : real_(real) {}

  int64_t rank() const override { return real_.rank(); }
  int64_t size() const override { return real_.size(); }
  torch::Device device() const override { return real_.device(); }
  const char* backend() const override { return real_.backend(); }

  Work all_reduce(std::string_view name, Tensor values, Reduce reduce) override {
    return with_faults(name, [&] { return real_.all_reduce(name, values, reduce); });
  }
  Work all_gather(std::string_view name, Tensor mine, Tensor all, Counts counts) override {
    return with_faults(name, [&] { return real_.all_gather(name, mine, all, counts); });
  }
  Work reduce_scatter(std::string_view name, Tensor all, Tensor mine, Counts counts) override {
    return with_faults(name, [&] { return real_.reduce_scatter(name, all, mine, counts); });
  }
  Work all_to_all(std::string_view name, Tensor send, Counts sent, Tensor receive, Counts received) override {
    return with_faults(name, [&] { return real_.all_to_all(name, send, sent, receive, received); });
  }
  Work broadcast(std::string_view name, Tensor values, int64_t root) override {
    return with_faults(name, [&] { return real_.broadcast(name, values, root); });
  }
  std::unique_ptr<Collectives> split(std::string_view name, int64_t color, int64_t key) override {
    return std::make_unique<FaultyCollectives>(with_faults(name, [&] { return real_.split(name, color, key); }));
  }

 private:
  std::unique_ptr<Collectives> owned_;
  Collectives& real_;
};

class FaultyWorld final : public World {
 public:
  explicit FaultyWorld(std::unique_ptr<World> real) : real_(std::move(real)) {}
  ~FaultyWorld() override {
    group_.reset();
    real_.reset();
    fault().at("left");
  }
  const Place& place() const override { return real_->place(); }
  Collectives& group(torch::Device device) override {
    if (!group_) group_ = std::make_unique<FaultyCollectives>(real_->group(device));
    return *group_;
  }
  std::vector<std::string> gather(std::string_view name, const std::string& mine) override {
    return with_faults(name, [&] { return real_->gather(name, mine); });
  }
  MessageChannel& messages() override { return real_->messages(); }
  void enter(std::string_view phase) override {
    real_->enter(phase);
    fault().at(fmt::format("phase {}", phase));
  }
  [[noreturn]] void abort(int code, const std::string& message) override {
    real_->abort(code, message);
    std::abort();  // never reached; g++ does not see that the call above does not return
  }

 private:
  std::unique_ptr<World> real_;
  std::unique_ptr<Collectives> group_;
};

// Rank 0 sends instructions. The ranks that generate send reports to it.
std::string name_of_message(const std::string& bytes, bool instruction) {
  if (!instruction) return rl::decode_report(bytes).ticket < 0 ? "heartbeat" : "rollouts";
  switch (rl::decode_instruction(bytes).kind) {
    case rl::Instruction::Kind::kWeights:
      return "weights";
    case rl::Instruction::Kind::kGenerate:
      return "work";
    case rl::Instruction::Kind::kCancel:
      return "cancel";
    case rl::Instruction::Kind::kEnd:
      return "end";
  }
  return "unknown";
}

bool leads() {
  return std::string_view(std::getenv("OMPI_COMM_WORLD_RANK")) == "0";
}

std::optional<MessageChannel::Message> read(std::optional<MessageChannel::Message> message) {
  if (message) fault().at(fmt::format("read {}", name_of_message(message->bytes, !leads())));
  return message;
}

}  // namespace
}  // namespace terse::trainer

// --wrap needs the mangled names.
using terse::trainer::MessageChannel;

bool started = false;

std::unique_ptr<terse::trainer::World> real_start(const terse::trainer::WorldOptions& options) asm(
    "__real__ZN5terse7trainer5World5startERKNS0_12WorldOptionsE");
std::unique_ptr<terse::trainer::World> faulty_start(const terse::trainer::WorldOptions& options) asm(
    "__wrap__ZN5terse7trainer5World5startERKNS0_12WorldOptionsE");
std::unique_ptr<terse::trainer::World> faulty_start(const terse::trainer::WorldOptions& options) {
  terse::trainer::fault().at("start");
  started = true;
  return std::make_unique<terse::trainer::FaultyWorld>(real_start(options));
}

void real_send(MessageChannel* channel, int64_t rank, std::string bytes) asm(
    "__real__ZN5terse7trainer14MessageChannel4sendElNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE");
void faulty_send(MessageChannel* channel, int64_t rank, std::string bytes) asm(
    "__wrap__ZN5terse7trainer14MessageChannel4sendElNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE");
void faulty_send(MessageChannel* channel, int64_t rank, std::string bytes) {
  const std::string name = terse::trainer::name_of_message(bytes, terse::trainer::leads());
  terse::trainer::fault().at("send " + name);
  real_send(channel, rank, std::move(bytes));
  terse::trainer::fault().at("sent " + name);
}

std::optional<MessageChannel::Message> real_take(MessageChannel* channel) asm(
    "__real__ZN5terse7trainer14MessageChannel4takeEv");
std::optional<MessageChannel::Message> faulty_take(MessageChannel* channel) asm(
    "__wrap__ZN5terse7trainer14MessageChannel4takeEv");
std::optional<MessageChannel::Message> faulty_take(MessageChannel* channel) {
  return terse::trainer::read(real_take(channel));
}

std::optional<MessageChannel::Message> real_wait(
    MessageChannel* channel, const MessageChannel::Wait& wait,
    double seconds) asm("__real__ZN5terse7trainer14MessageChannel4waitERKNS1_4WaitEd");
std::optional<MessageChannel::Message> faulty_wait(
    MessageChannel* channel, const MessageChannel::Wait& wait,
    double seconds) asm("__wrap__ZN5terse7trainer14MessageChannel4waitERKNS1_4WaitEd");
std::optional<MessageChannel::Message> faulty_wait(MessageChannel* channel, const MessageChannel::Wait& wait,
                                                   double seconds) {
  terse::trainer::fault().at("await " + wait.what);
  return terse::trainer::read(real_wait(channel, wait, seconds));
}

std::vector<terse::rl::Draw>
real_sample_rows(float* logits, int64_t rows, int64_t vocab, const terse::trainer::LogitTransform& transform, const std::vector<terse::rl::DrawKey>& keys) asm(
    "__real__ZN5terse2rl11sample_rowsEPfllRKNS_7trainer14LogitTransformERKSt6vectorINS0_7DrawKeyESaIS7_EE");
std::vector<terse::rl::Draw>
faulty_sample_rows(float* logits, int64_t rows, int64_t vocab, const terse::trainer::LogitTransform& transform, const std::vector<terse::rl::DrawKey>& keys) asm(
    "__wrap__ZN5terse2rl11sample_rowsEPfllRKNS_7trainer14LogitTransformERKSt6vectorINS0_7DrawKeyESaIS7_EE");
std::vector<terse::rl::Draw> faulty_sample_rows(float* logits, int64_t rows, int64_t vocab,
                                                const terse::trainer::LogitTransform& transform,
                                                const std::vector<terse::rl::DrawKey>& keys) {
  terse::trainer::fault().at("token");
  return real_sample_rows(logits, rows, vocab, transform, keys);
}

void real_write_report(const std::vector<std::filesystem::path>& run_dirs, const std::filesystem::path& output) asm(
    "__real__ZN5terse6launch12write_reportERKSt6vectorINSt10filesystem7__cxx114pathESaIS4_EERKS4_");
void faulty_write_report(const std::vector<std::filesystem::path>& run_dirs, const std::filesystem::path& output) asm(
    "__wrap__ZN5terse6launch12write_reportERKSt6vectorINSt10filesystem7__cxx114pathESaIS4_EERKS4_");
void faulty_write_report(const std::vector<std::filesystem::path>& run_dirs, const std::filesystem::path& output) {
  terse::trainer::fault().at("report");
  real_write_report(run_dirs, output);
}

bool real_run_gate(terse::rl::Student* student, terse::rl::CompressionController& controller) asm(
    "__real__ZN5terse2rl7Student8run_gateERNS0_21CompressionControllerE");
bool faulty_run_gate(terse::rl::Student* student, terse::rl::CompressionController& controller) asm(
    "__wrap__ZN5terse2rl7Student8run_gateERNS0_21CompressionControllerE");
bool faulty_run_gate(terse::rl::Student* student, terse::rl::CompressionController& controller) {
  terse::trainer::fault().at("gate");
  return real_run_gate(student, controller);
}

using Progress = std::function<void(int64_t, int64_t)>;
std::string real_sha256_file(const std::string& path, const Progress& progress) asm(
    "__real__ZN5terse11sha256_fileERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEERKSt8functionIFvllEE");
std::string faulty_sha256_file(const std::string& path, const Progress& progress) asm(
    "__wrap__ZN5terse11sha256_fileERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEERKSt8functionIFvllEE");
std::string faulty_sha256_file(const std::string& path, const Progress& progress) {
  terse::trainer::fault().at("text");
  return real_sha256_file(path, progress);
}

std::string real_sha256_bytes(std::string_view bytes) asm(
    "__real__ZN5terse12sha256_bytesB5cxx11ESt17basic_string_viewIcSt11char_traitsIcEE");
std::string faulty_sha256_bytes(std::string_view bytes) asm(
    "__wrap__ZN5terse12sha256_bytesB5cxx11ESt17basic_string_viewIcSt11char_traitsIcEE");
constexpr size_t kLargeFile = 16 << 10;  // larger than a configuration, which is also hashed
std::string faulty_sha256_bytes(std::string_view bytes) {
  std::string hash = real_sha256_bytes(bytes);
  if (bytes.size() >= kLargeFile && gettid() == getpid()) terse::trainer::fault().at("hash");
  return hash;
}

extern "C" int __real_fsync(int file);
extern "C" int __wrap_fsync(int file) {
  if (gettid() != getpid()) terse::trainer::fault().at("write");
  return __real_fsync(file);
}

int main(int argc, char** argv) {
  terse::launch::prepare_process(argv);
  const int code = terse::launch::run_program(argc, argv);
  if (started) terse::trainer::fault().at("end");
  terse::launch::end_process(code);
}
