// Full disks: simulated ones that end at any byte, a real file system of half a megabyte, resource limits of the
// process, and folders without write permission.
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>
#include <thread>

#include "checkpoints/load.h"
#include "tests/checkpoints/support.h"
#include "tests/support/simulated_disk.h"

namespace terse::checkpoints {
namespace {

namespace fs = std::filesystem;
using support::SimulatedDisk;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const Path kDir = "/run/checkpoints";
constexpr uint64_t kRoomy = uint64_t{1} << 40;

// A disk with checkpoints 100 and 200, and `room` more bytes of space.
std::shared_ptr<SimulatedDisk> disk_with_room(uint64_t room) {
  const auto disk = std::make_shared<SimulatedDisk>(kRoomy);
  save_two(kDir, {.async = false, .fs = disk});
  disk->set_capacity(kRoomy - disk->free_bytes(kDir) + room);
  return disk;
}

// Returns the errno of saving this state, from save() or from wait(); 0 when both succeed.
int save_error(Store& store, int64_t step, const StateDict& state) {
  try {
    store.save(example_info(step), state);
    store.wait();
    return 0;
  } catch (const DiskError& error) {
    EXPECT_NE(error.error(), 0) << error.what();
    return error.error();
  }
}

// The bytes of the checkpoint's folder and of the line in `latest`, which is written beside the old one.
uint64_t bytes_to_save(int64_t step) {
  const auto disk = disk_with_room(kRoomy);
  Store store(kDir, {.keep = 3, .async = false, .fs = disk});
  store.save(example_info(step), example_state(step));
  uint64_t bytes = step_name(step).size() + 1;
  for (const Entry& entry : disk->list(kDir / step_name(step))) bytes += entry.bytes;
  return bytes;
}

TEST(FullDisk, AtAnyByteIsReportedAndCostsNothingOlder) {
  const uint64_t needed = bytes_to_save(300);
  for (uint64_t room = 0; room < needed + 50; room += 7) {
    SCOPED_TRACE(room);
    const auto disk = disk_with_room(room);
    disk->pretend_room();
    Store store(kDir, {.async = room % 2 == 0, .fs = disk});
    EXPECT_EQ(save_error(store, 300, example_state(300)), room < needed ? ENOSPC : 0);
    EXPECT_THAT(temporaries_in(*disk, kDir), IsEmpty());
    const auto loaded = load_latest(*disk, kDir);
    ASSERT_TRUE(loaded.has_value());
    // The checkpoint is already in place when there is no space for the new line in `latest`.
    EXPECT_EQ(loaded->info.step, room < needed - 9 ? 200 : 300);
    expect_same(loaded->state, example_state(loaded->info.step));
    EXPECT_THAT(loaded->rejected, IsEmpty());
    EXPECT_GE(list_steps(*disk, kDir).size(), 2u);
    disk->set_capacity(kRoomy);
    EXPECT_EQ(save_error(store, 300, example_state(300)), 0);
    EXPECT_EQ(load_latest(*disk, kDir)->info.step, 300);
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(FullDisk, TooLittleRoomIsSaidBeforeAnythingIsWritten) {
  const auto disk = disk_with_room(1000);
  Store store(kDir, {.async = true, .fs = disk});
  const int64_t operations = disk->operations();
  try {
    store.save(example_info(300), example_state(300));
    FAIL() << "expected an error";
  } catch (const DiskError& error) {
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("not enough free space for checkpoint step-300 in /run/checkpoints: needed 67."),
                      HasSubstr(" KiB, free 1000 B")));
    EXPECT_EQ(error.error(), ENOSPC);
  }
  EXPECT_EQ(disk->operations(), operations + 1);
  EXPECT_EQ(load_latest(*disk, kDir)->info.step, 200);
}

// Simulates another program that fills the disk after the free space was measured.
class RoomyIo : public support::HookedFileSystem {
 public:
  using HookedFileSystem::HookedFileSystem;
  uint64_t free_bytes(const Path&) override { return kRoomy; }
};

// Lowers a limit of this process for the lifetime of the object. A write over the size limit is an error, not a signal.
class Limit {
 public:
  Limit(__rlimit_resource resource, uint64_t value) : resource_(resource), handler_(::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(resource_, &before_);
    const rlimit lowered{value, before_.rlim_max};
    EXPECT_EQ(::setrlimit(resource_, &lowered), 0);
  }
  ~Limit() {
    ::setrlimit(resource_, &before_);
    ::signal(SIGXFSZ, handler_);
  }
  Limit(const Limit&) = delete;
  Limit& operator=(const Limit&) = delete;

 private:
  __rlimit_resource resource_;
  sighandler_t handler_;
  rlimit before_{};
};

// Runs `body` in a thread. For this thread and the threads that it starts, `dir` is a real file system of 512 KiB. No
// other thread sees it, and it vanishes with the thread, even when the process is killed. Returns false when this
// process may not mount.
bool on_small_file_system(const Path& dir, const std::function<void()>& body) {
  bool mounted = false;
  std::thread([&] {
    mounted = ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
              ::mount("tmpfs", dir.c_str(), "tmpfs", 0, "size=512k") == 0;
    if (!mounted) return;
    try {
      body();
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
  }).join();
  return mounted;
}

// Each step takes 40 KB more than the previous one.
StateDict growing_state(int64_t step) {
  StateDict state = example_state(step);
  for (int64_t i = 0; i < step; ++i) state.add("part/" + std::to_string(i), torch::full({10000}, 0.1 * step));
  return state;
}

// Saves ever larger checkpoints until the disk refuses one with `error`. The older checkpoints and the run must
// survive.
void fill(const Path& dir, StoreOptions options, int error) {
  const auto real = posix_file_system();
  options.keep = 100;
  Store store(dir, options);
  int64_t step = 0;
  uint64_t room = 0;
  int found = 0;
  while (found == 0) {
    ASSERT_LT(++step, 20) << "the disk never gets full";
    room = real->free_bytes(dir);
    found = save_error(store, step, growing_state(step));
  }
  ASSERT_GT(step, 2);
  for (int again = 0; again < 3; ++again) {
    EXPECT_EQ(found, error) << std::strerror(found);
    EXPECT_THAT(temporaries_in(*real, dir), IsEmpty());
    if (error == ENOSPC) {  // in the other case other programs use the disk too
      EXPECT_EQ(real->free_bytes(dir), room);
    }
    EXPECT_EQ(list_checkpoints(dir).size(), static_cast<size_t>(step - 1));
    for (int64_t older = 1; older < step; ++older) {
      EXPECT_THAT(verify(dir / step_name(older)), IsEmpty());
      expect_same(load(dir / step_name(older)).state, growing_state(older));
    }
    EXPECT_EQ(store.load_latest()->info.step, step - 1);
    found = save_error(store, step, growing_state(step));
  }
  fs::remove_all(dir / step_name(1));
  fs::remove_all(dir / step_name(2));
  EXPECT_EQ(save_error(store, step, example_state(step)), 0);
  expect_latest(dir, step);
}

TEST(FullDisk, OnARealFileSystemOlderCheckpointsStayAndTheRunGoesOn) {
  for (const bool async : {false, true}) {
    for (const bool measured : {true, false}) {
      SCOPED_TRACE(std::string(async ? "async" : "sync") + (measured ? ", measured" : ", filled by others"));
      const TemporaryFolder folder;
      const auto fs = measured ? posix_file_system() : std::make_shared<RoomyIo>(posix_file_system());
      const StoreOptions options{.async = async, .fs = fs};
      if (on_small_file_system(folder.path(), [&] { fill(folder.path() / "checkpoints", options, ENOSPC); })) continue;
      std::cout << "mounting is not permitted here: a limit on the size of files stands in for the full disk\n";
      const Limit limit(RLIMIT_FSIZE, 150'000);
      fill(folder.path() / "checkpoints", options, EFBIG);
    }
  }
}

TEST(FullDisk, AFileSizeLimitIsAnErrorLikeAnyOther) {
  const TemporaryFolder folder;
  save_two(folder.path());
  const uint64_t shard = fs::file_size(folder.path() / "step-200" / "rank-0.h5");
  Store store(folder.path(), {.async = false, .fs = support::unsynced_file_system()});
  {
    const Limit limit(RLIMIT_FSIZE, shard / 2);
    EXPECT_EQ(save_error(store, 300, example_state(300)), EFBIG);
  }
  EXPECT_THAT(names_in(folder.path()), ::testing::ElementsAre("latest", "step-100", "step-200"));
  expect_latest(folder.path(), 200);
}

TEST(FullDisk, RunningOutOfDescriptorsIsAnErrorLikeAnyOther) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer opens a pipe when it looks at the type of an error, and fails where there is none";
#endif
  const TemporaryFolder folder;
  save_two(folder.path());
  Store store(folder.path(), {.async = false, .fs = support::unsynced_file_system()});
  {
    const Limit limit(RLIMIT_NOFILE, 3);
    EXPECT_EQ(save_error(store, 300, example_state(300)), EMFILE);
  }
  // Without a descriptor, the failed save could not list its folder to remove it. So wait() removes it.
  store.wait();
  EXPECT_THAT(names_in(folder.path()), ::testing::ElementsAre("latest", "step-100", "step-200"));
  expect_latest(folder.path(), 200);
}

// Returns 0 when opening a store in `dir` fails with EACCES for a user who is not root.
int open_without_rights(const Path& dir) {
  if (::geteuid() == 0 && ::seteuid(65534) != 0) return 3;
  try {
    const Store store(dir, {});
    return 1;
  } catch (const DiskError& error) {
    return error.error() == EACCES ? 0 : 2;
  }
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
  const pid_t child = ::fork();  // seteuid changes the user of the whole process
  if (child == 0) ::_exit(open_without_rights(shut));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace terse::checkpoints
