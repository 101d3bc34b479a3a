// Test doubles of FileSystem over a real one. They count its operations, fail one, kill the process before one, or call
// a function before each.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "base/file_system.h"

namespace terse::support {

struct Operation {
  std::string kind;  // the function's name: "create", "write", "sync", ...
  std::filesystem::path path;
  std::string_view bytes = {};  // of a write
  OutputFile* file = nullptr;   // of a write, the real one
};

// Calls before() ahead of every operation, on the thread of the operation.
class HookedFileSystem : public FileSystem {
 public:
  explicit HookedFileSystem(std::shared_ptr<FileSystem> base) : base_(std::move(base)) {}
  // From now on syncs do nothing. This is much faster, and makes no difference unless the power fails.
  void skip_syncs() { sync_ = false; }

  std::unique_ptr<OutputFile> create(const Path& path) override {
    before({"create", path});
    return std::make_unique<File>(*this, base_->create(path), path);
  }
  void make_folder(const Path& path) override { before({"make_folder", path}), base_->make_folder(path); }
  void sync_file(const Path& path) override {
    before({"sync_file", path});
    if (sync_) base_->sync_file(path);
  }
  void sync_folder(const Path& path) override {
    before({"sync_folder", path});
    if (sync_) base_->sync_folder(path);
  }
  void rename(const Path& from, const Path& to) override { before({"rename", to}), base_->rename(from, to); }
  bool exchange(const Path& a, const Path& b) override { return before({"exchange", b}), base_->exchange(a, b); }
  void remove(const Path& path) override { before({"remove", path}), base_->remove(path); }
  std::string read(const Path& path, uint64_t cap) override { return before({"read", path}), base_->read(path, cap); }
  std::vector<Entry> list(const Path& path) override { return before({"list", path}), base_->list(path); }
  EntryKind kind(const Path& path) override { return before({"kind", path}), base_->kind(path); }
  uint64_t free_bytes(const Path& path) override { return before({"free_bytes", path}), base_->free_bytes(path); }
  void require_writable(const Path& path) override {
    before({"require_writable", path}), base_->require_writable(path);
  }

 protected:
  virtual void before(const Operation&) {}

 private:
  class File : public OutputFile {
   public:
    File(HookedFileSystem& fs, std::unique_ptr<OutputFile> base, Path path)
        : fs_(fs), base_(std::move(base)), path_(std::move(path)) {}
    void write(std::string_view bytes) override {
      fs_.before({"write", path_, bytes, base_.get()});
      base_->write(bytes);
    }
    void sync() override {
      fs_.before({"sync", path_});
      if (fs_.sync_) base_->sync();
    }
    void close() override { fs_.before({"close", path_}), base_->close(); }

   private:
    HookedFileSystem& fs_;
    std::unique_ptr<OutputFile> base_;
    Path path_;
  };

  std::shared_ptr<FileSystem> base_;
  bool sync_ = true;
};

// The real file system without syncs.
inline std::shared_ptr<FileSystem> unsynced_file_system() {
  const auto fs = std::make_shared<HookedFileSystem>(posix_file_system());
  fs->skip_syncs();
  return fs;
}

// Calls any function before each operation.
class CallbackFileSystem : public HookedFileSystem {
 public:
  CallbackFileSystem(std::shared_ptr<FileSystem> base, std::function<void(const Operation&)> callback)
      : HookedFileSystem(std::move(base)), callback_(std::move(callback)) {}

 protected:
  void before(const Operation& operation) override { callback_(operation); }

 private:
  std::function<void(const Operation&)> callback_;
};

// Numbers the operations from 1, and calls special() so that a subclass can act at a chosen one.
class CountingFileSystem : public HookedFileSystem {
 public:
  using HookedFileSystem::HookedFileSystem;
  int64_t count() const { return count_; }
  // Does not number operations that only read. How often a process polls the disk while it waits depends on timing.
  void number_changes_only() { changes_only_ = true; }
  // Chooses operation `at` (1: the next one; 0: none).
  void arm(int64_t at) {
    count_ = 0;
    at_ = at;
  }

 protected:
  void before(const Operation& operation) override {
    static const std::set<std::string> kLooks = {"read", "list", "kind", "free_bytes", "require_writable"};
    if (changes_only_ && kLooks.contains(operation.kind)) return;
    const int64_t number = ++count_;
    if (at_ > 0) special(operation, number - at_);
  }
  virtual void special(const Operation&, int64_t /*distance: 0 at the chosen operation*/) {}

 private:
  std::atomic<int64_t> count_ = 0;
  std::atomic<int64_t> at_ = 0;
  bool changes_only_ = false;
};

// Fails the chosen operation, or (`forever`) this and all later ones. A write still stores half of its bytes.
class FailingFileSystem : public CountingFileSystem {
 public:
  FailingFileSystem(std::shared_ptr<FileSystem> base, int error, bool forever)
      : CountingFileSystem(std::move(base)), error_(error), forever_(forever) {}
  bool failed() const { return failed_; }

 protected:
  void special(const Operation& operation, int64_t distance) override {
    if (distance < 0 || (distance > 0 && !forever_)) return;
    failed_ = true;
    if (operation.file != nullptr) operation.file->write(operation.bytes.substr(0, operation.bytes.size() / 2));
    throw DiskError("cannot " + operation.kind + " " + operation.path.string() + ": " + std::strerror(error_), error_);
  }

 private:
  int error_;
  bool forever_;
  std::atomic<bool> failed_ = false;
};

// Kills the process with SIGKILL before the chosen operation. A write still stores half of its bytes.
class KillingFileSystem : public CountingFileSystem {
 public:
  using CountingFileSystem::CountingFileSystem;

 protected:
  void special(const Operation& operation, int64_t distance) override {
    if (distance != 0) return;
    if (operation.file != nullptr) operation.file->write(operation.bytes.substr(0, operation.bytes.size() / 2));
    ::kill(::getpid(), SIGKILL);
  }
};

}  // namespace terse::support
