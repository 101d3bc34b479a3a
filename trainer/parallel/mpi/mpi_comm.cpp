// A message of Requests travels in pieces of kPiece bytes, so that left() shows the progress of a large one. MPI keeps
// the pieces in order.
#include "trainer/parallel/mpi/mpi_comm.h"

#include <fmt/format.h>
#define OMPI_SKIP_MPICXX  // leaves out the C++ bindings, which MPI has removed
#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/errors.h"

namespace terse::trainer::mpi {

namespace {

constexpr int64_t kPiece = 16 << 20;  // bytes; even a slow network completes a piece well within the deadline

void require(int code, const char* what) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw LostError(fmt::format("{} failed: {}", what, std::string(text, length)));
}

}  // namespace

struct Comm::Handle {
  MPI_Comm comm = MPI_COMM_NULL;
  explicit Handle(MPI_Comm made) : comm(made) {
    require(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  }
  ~Handle() {
    int finalised = 0;
    if (MPI_Finalized(&finalised) == MPI_SUCCESS && !finalised) MPI_Comm_free(&comm);
  }
};

Session::Session() {
  int granted = MPI_THREAD_SINGLE;
  require(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &granted), "MPI_Init_thread");
  if (granted < MPI_THREAD_MULTIPLE) {
    MPI_Finalize();
    throw MachineError(
        fmt::format("this MPI grants thread level {}, but terse calls MPI from several threads and needs "
                    "MPI_THREAD_MULTIPLE ({}): use an Open MPI that was built with thread support",
                    granted, static_cast<int>(MPI_THREAD_MULTIPLE)));
  }
}

Session::~Session() {
  MPI_Finalize();
}

void abort_job(int code) {
  MPI_Abort(MPI_COMM_WORLD, code);
  _exit(code);  // in case MPI_Abort returns
}

Comm::Comm(std::shared_ptr<Handle> handle) : handle_(std::move(handle)) {
  int rank = 0, size = 1;
  require(MPI_Comm_rank(handle_->comm, &rank), "MPI_Comm_rank");
  require(MPI_Comm_size(handle_->comm, &size), "MPI_Comm_size");
  rank_ = rank;
  size_ = size;
}

Comm Comm::world() {
  MPI_Comm made = MPI_COMM_NULL;
  require(MPI_Comm_dup(MPI_COMM_WORLD, &made), "MPI_Comm_dup");
  return Comm(std::make_shared<Handle>(made));
}

Comm Comm::duplicate() const {
  MPI_Comm made = MPI_COMM_NULL;
  require(MPI_Comm_dup(handle_->comm, &made), "MPI_Comm_dup");
  return Comm(std::make_shared<Handle>(made));
}

Comm Comm::split(int64_t color, int64_t key) const {
  MPI_Comm made = MPI_COMM_NULL;
  require(MPI_Comm_split(handle_->comm, static_cast<int>(color), static_cast<int>(key), &made), "MPI_Comm_split");
  return Comm(std::make_shared<Handle>(made));
}

int64_t Comm::machine() const {
  MPI_Comm shared = MPI_COMM_NULL;
  require(MPI_Comm_split_type(handle_->comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &shared), "MPI_Comm_split_type");
  int64_t first = rank_;
  const int code = MPI_Bcast(&first, 1, MPI_INT64_T, 0, shared);
  MPI_Comm_free(&shared);
  require(code, "MPI_Bcast");
  return first;
}

void Comm::all_gather(const void* mine, void* all, int64_t bytes) const {
  const int count = static_cast<int>(bytes);
  require(MPI_Allgather(mine, count, MPI_BYTE, all, count, MPI_BYTE, handle_->comm), "MPI_Allgather");
}

std::optional<Message> Comm::poll(int tag, int64_t source) const {
  const int from = source < 0 ? MPI_ANY_SOURCE : static_cast<int>(source);
  int here = 0, bytes = 0;
  MPI_Message message = MPI_MESSAGE_NULL;
  MPI_Status status;
  require(MPI_Improbe(from, tag, handle_->comm, &here, &message, &status), "MPI_Improbe");
  if (!here) return std::nullopt;
  require(MPI_Get_count(&status, MPI_BYTE, &bytes), "MPI_Get_count");
  Message received{.source = status.MPI_SOURCE, .bytes = std::string(bytes, '\0')};
  require(MPI_Mrecv(received.bytes.data(), bytes, MPI_BYTE, &message, MPI_STATUS_IGNORE), "MPI_Mrecv");
  return received;
}

struct Requests::State {
  Comm comm;
  std::vector<MPI_Request> requests = {};
  std::vector<int64_t> peers = {};  // the rank of each request
  std::vector<int> done = {};
  int64_t left = 0;
};

Requests::Requests(const Comm& comm) : state_(std::make_unique<State>(State{.comm = comm})) {}
Requests::~Requests() = default;  // abandons incomplete messages: to ranks that do not answer, or in a job that ends

void Requests::send(int64_t peer, int tag, const void* data, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at += kPiece) {
    state_->requests.push_back(MPI_REQUEST_NULL);
    state_->peers.push_back(peer);
    ++state_->left;
    require(MPI_Isend(static_cast<const char*>(data) + at, static_cast<int>(std::min(kPiece, bytes - at)), MPI_BYTE,
                      static_cast<int>(peer), tag, state_->comm.handle().comm, &state_->requests.back()),
            "MPI_Isend");
  }
}

void Requests::receive(int64_t peer, int tag, void* data, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at += kPiece) {
    state_->requests.push_back(MPI_REQUEST_NULL);
    state_->peers.push_back(peer);
    ++state_->left;
    require(MPI_Irecv(static_cast<char*>(data) + at, static_cast<int>(std::min(kPiece, bytes - at)), MPI_BYTE,
                      static_cast<int>(peer), tag, state_->comm.handle().comm, &state_->requests.back()),
            "MPI_Irecv");
  }
}

bool Requests::test() {
  State& s = *state_;
  if (s.left > 0) {
    s.done.resize(s.requests.size());
    int finished = 0;
    require(MPI_Testsome(static_cast<int>(s.requests.size()), s.requests.data(), &finished, s.done.data(),
                         MPI_STATUSES_IGNORE),
            "MPI_Testsome");
    s.left = finished == MPI_UNDEFINED ? 0 : s.left - finished;
  }
  if (s.left > 0) return false;
  s.requests.clear();
  s.peers.clear();
  return true;
}

int64_t Requests::left() const {
  return state_->left;
}

std::vector<int64_t> Requests::peers() const {
  std::set<int64_t> found;
  for (size_t i = 0; i < state_->requests.size(); ++i)
    if (state_->requests[i] != MPI_REQUEST_NULL) found.insert(state_->peers[i]);
  return {found.begin(), found.end()};
}

}  // namespace terse::trainer::mpi
