// Full disks and failing devices, at every operation, once and for good: a clear error, nothing older lost, and the
// next save works.
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "checkpoints/folder.h"
#include "tests/checkpoints/support.h"
#include "tests/support/simulated_disk.h"

namespace terse::checkpoints {
namespace {

namespace fs = std::filesystem;
using support::FailingIo;
using support::SimulatedDisk;
using ::testing::AllOf;
using ::testing::HasSubstr;

const Path kDir = "/run/checkpoints";

// A disk with checkpoints 100 and 200.
std::shared_ptr<SimulatedDisk> disk_with_two() {
  const auto disk = std::make_shared<SimulatedDisk>();
  save_two(kDir, {.async = false, .io = disk});
  return disk;
}

void expect_sound(Io& io, const Path& dir, int64_t step) {
  const auto loaded = load_latest(io, dir);
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->info.step, step);
  EXPECT_TRUE(loaded->rejected.empty());
  expect_same(loaded->state, example_state(step));
  EXPECT_GE(list_steps(io, dir).size(), 2u);
}

// Whether saving step 300 fails, in either of the two calls.
bool save_fails(Store& store) {
  try {
    store.save(example_info(300), example_state(300));
    store.wait();
    return false;
  } catch (const DiskError& error) {
    EXPECT_NE(error.error(), 0);
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("cannot "), HasSubstr(kDir.string()), HasSubstr(std::strerror(error.error()))));
    return true;
  }
}

class FailingDisk : public ::testing::TestWithParam<std::tuple<int, bool, bool>> {};

TEST_P(FailingDisk, AtAnyOperationIsReportedAndCostsNothingOlder) {
  const auto [error, forever, async] = GetParam();
  int failures = 0;
  for (int64_t at = 1;; ++at) {
    SCOPED_TRACE(at);
    const auto disk = disk_with_two();
    const auto io = std::make_shared<FailingIo>(disk, error, forever);
    Store store(kDir, {.async = async, .io = io});
    io->arm(at);
    const bool failed = save_fails(store);
    const bool reached = io->failed();
    io->arm(0);
    failures += failed ? 1 : 0;
    // A save that failed may still have put its checkpoint in place (`latest`, or the prune, failed); then it is whole.
    const bool in_place = disk->kind(kDir / "step-300") == EntryKind::kFolder;
    EXPECT_TRUE(failed || in_place);
    expect_sound(*disk, kDir, in_place ? 300 : 200);
    ASSERT_FALSE(save_fails(store));
    expect_sound(*disk, kDir, 300);
    if (::testing::Test::HasFailure()) return;
    if (!reached) break;
  }
  EXPECT_GT(failures, 30);
}

std::string case_name(const ::testing::TestParamInfo<std::tuple<int, bool, bool>>& test) {
  const auto [error, forever, async] = test.param;
  return std::string(error == EIO ? "Eio" : "Enospc") + (forever ? "Forever" : "Once") + (async ? "Async" : "Sync");
}

INSTANTIATE_TEST_SUITE_P(All, FailingDisk,
                         ::testing::Combine(::testing::Values(ENOSPC, EIO), ::testing::Bool(), ::testing::Bool()),
                         case_name);

TEST(FullDisk, AtAnyByteIsReportedAndCostsNothingOlder) {
  const auto measure = [] {
    const auto disk = disk_with_two();
    const uint64_t before = disk->free_bytes(kDir);
    disk->set_capacity(uint64_t{1} << 40);
    Store store(kDir, {.async = false, .io = disk});
    store.save(example_info(300, 1), example_state(300));
    return before - disk->free_bytes(kDir);
  };
  const uint64_t needed = measure() + 8000;
  int failures = 0;
  for (uint64_t room = 0; room < needed; room += 61) {
    SCOPED_TRACE(room);
    const auto disk = disk_with_two();
    disk->set_capacity((uint64_t{1} << 40) - disk->free_bytes(kDir) + room);
    disk->pretend_room();
    Store store(kDir, {.async = room % 2 == 0, .io = disk});
    if (save_fails(store)) {
      ++failures;
      // Nothing of the failed save takes room.
      for (const Entry& entry : disk->list(kDir)) EXPECT_EQ(entry.name.find(".tmp-"), std::string::npos) << entry.name;
      expect_sound(*disk, kDir, disk->kind(kDir / "step-300") == EntryKind::kFolder ? 300 : 200);
    }
    disk->set_capacity(uint64_t{1} << 40);
    ASSERT_FALSE(save_fails(store));
    expect_sound(*disk, kDir, 300);
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(failures, 50);
}

TEST(FullDisk, TooLittleRoomIsSaidBeforeAnythingIsWritten) {
  const auto disk = disk_with_two();
  disk->set_capacity((uint64_t{1} << 40) - disk->free_bytes(kDir) + 1000);
  Store store(kDir, {.async = true, .io = disk});
  const int64_t operations = disk->operations();
  try {
    store.save(example_info(300), example_state(300));
    FAIL() << "expected an error";
  } catch (const DiskError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("no room for checkpoint step-300 in /run/checkpoints: it needs 67."),
                                    HasSubstr(" KiB, 1000 B are free")));
    EXPECT_EQ(error.error(), ENOSPC);
  }
  EXPECT_EQ(disk->operations(), operations + 1);
  expect_sound(*disk, kDir, 200);
}

// Another program takes the room after it was measured.
class RoomyIo : public support::HookedIo {
 public:
  using HookedIo::HookedIo;
  uint64_t free_bytes(const Path&) override { return uint64_t{1} << 40; }
};

// A real file system of 256 KiB, gone with the object.
class SmallMount {
 public:
  explicit SmallMount(const Path& path) : path_(path) {
    ok_ = ::mount("tmpfs", path.c_str(), "tmpfs", 0, "size=256k") == 0;
  }
  ~SmallMount() {
    if (ok_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  SmallMount(const SmallMount&) = delete;
  SmallMount& operator=(const SmallMount&) = delete;
  bool ok() const { return ok_; }

 private:
  Path path_;
  bool ok_;
};

TEST(FullDisk, OnARealFileSystemOlderCheckpointsStayAndTheRunGoesOn) {
  const TemporaryFolder folder;
  const SmallMount mount(folder.path());
  if (!mount.ok()) GTEST_SKIP() << "mounting needs root; the simulated disk above runs everywhere";
  const Path dir = folder.path() / "checkpoints";
  save_two(dir);
  Store store(dir, {.async = true, .io = std::make_shared<RoomyIo>(posix_io())});
  StateDict large = example_state(300);
  large.add("large", torch::rand({100000}));
  for (int i = 0; i < 3; ++i) {
    store.save(example_info(300), large);
    try {
      store.wait();
      FAIL() << "expected an error";
    } catch (const DiskError& error) {
      EXPECT_EQ(error.error(), ENOSPC);
    }
    expect_latest(dir, 200);
    EXPECT_TRUE(verify(dir / "step-100").empty());
  }
  store.save(example_info(300), example_state(300));
  store.wait();
  expect_latest(dir, 300);
  EXPECT_THAT(names_in(dir), ::testing::ElementsAre("latest", "step-200", "step-300"));
}

// Runs `body` in a child process and gives its exit code.
int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  return WEXITSTATUS(status);
}

// 0 when saving step 300 fails with `error` although there is room.
int expect_error(Store& store, int error) {
  try {
    store.save(example_info(300), example_state(300));
    return 1;
  } catch (const DiskError& found) {
    return found.error() == error ? 0 : 2;
  }
}

TEST(FullDisk, AFileSizeLimitIsAnErrorLikeAnyOther) {
  const TemporaryFolder folder;
  save_two(folder.path());
  EXPECT_EQ(in_child([&] {
              Store store(folder.path(), {.async = false, .io = support::unsynced_io()});
              ::signal(SIGXFSZ, SIG_IGN);
              const rlimit limit{2000, 2000};
              ::setrlimit(RLIMIT_FSIZE, &limit);
              return expect_error(store, EFBIG);
            }),
            0);
  expect_latest(folder.path(), 200);
}

TEST(FullDisk, RunningOutOfDescriptorsIsAnErrorLikeAnyOther) {
  const TemporaryFolder folder;
  save_two(folder.path());
  EXPECT_EQ(in_child([&] {
              Store store(folder.path(), {.async = false, .io = support::unsynced_io()});
              const rlimit limit{3, 3};
              ::setrlimit(RLIMIT_NOFILE, &limit);
              return expect_error(store, EMFILE);
            }),
            0);
  expect_latest(folder.path(), 200);
}

TEST(UnusableFolder, IsRefusedBeforeTheFirstStep) {
  const TemporaryFolder folder;
  write_bytes(folder.path() / "file", "x");
  EXPECT_THROW(Store(folder.path() / "file", {}), DiskError);
  EXPECT_THROW(Store(folder.path() / "file" / "below", {}), DiskError);
  EXPECT_THROW(Store("/proc/terse", {}), DiskError);
  const Path shut = folder.path() / "read-only";
  fs::create_directory(shut);
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(shut.c_str(), 0555), 0);
  EXPECT_EQ(in_child([&] {
              if (::geteuid() == 0 && ::seteuid(65534) != 0) return 3;  // root may write anywhere
              try {
                Store store(shut, {});
                return 1;
              } catch (const DiskError& error) {
                return error.error() == EACCES ? 0 : 2;
              }
            }),
            0);
}

TEST(ReadError, AtAnyOperationOfALoadFallsBackOrIsReported) {
  int fallbacks = 0;
  const auto disk = disk_with_two();
  for (int64_t at = 1;; ++at) {
    SCOPED_TRACE(at);
    FailingIo io(disk, EIO, false);
    io.arm(at);
    try {
      const auto loaded = load_latest(io, kDir);
      ASSERT_TRUE(loaded.has_value());
      expect_same(loaded->state, example_state(loaded->info.step));
      if (loaded->info.step == 100) {
        EXPECT_THAT(loaded->rejected,
                    ::testing::ElementsAre(AllOf(HasSubstr("step-200"), HasSubstr(std::strerror(EIO)))));
        ++fallbacks;
      }
    } catch (const DiskError& error) {
      EXPECT_EQ(error.error(), EIO);
    }
    if (!io.failed()) break;
  }
  EXPECT_GE(fallbacks, 4);
}

}  // namespace
}  // namespace terse::checkpoints
