// A disk in memory that forgets what was not synced. Tests use it to check that data survives a power cut.
//
// Each file and folder has its present content and the durable content that is certainly on the device. A power cut
// keeps a random part of the difference: any subset of the changes of folders, and any blocks of the unsynced bytes of
// a file. The other blocks become zeros, and the file may end anywhere. Real file systems lose less.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <utility>

#include "base/file_system.h"

namespace terse::support {

// The operation at which the power fails throws this, and so does every later one on that disk.
class PowerCut : public DiskError {
 public:
  PowerCut() : DiskError("the power is off", EIO) {}
};

class SimulatedDisk : public FileSystem {
 public:
  explicit SimulatedDisk(uint64_t capacity = uint64_t{1} << 40) : capacity_(capacity) {}

  // Cuts the power before operation `at` (1: the next one; 0: never). A write still stores half of its bytes.
  void cut_power_at(int64_t at) { operations_ = 0, cut_at_ = at; }
  int64_t operations() const { return operations_; }
  bool is_off() const { return off_; }
  void set_capacity(uint64_t bytes) { capacity_ = bytes; }
  // free_bytes() reports plenty of space, as if others filled the disk only after the check.
  void pretend_room() { pretend_room_ = true; }
  // exchange() returns false, as on a file system without an atomic swap.
  void forbid_exchange() { can_exchange_ = false; }

  // A copy of the disk as it is after the power cut. This disk does not change, so that a test can try several seeds.
  std::shared_ptr<SimulatedDisk> after_power_cut(uint64_t seed) const {
    std::mt19937_64 random(seed);
    auto disk = std::make_shared<SimulatedDisk>(capacity_);
    std::map<const Node*, std::shared_ptr<Node>> done;
    disk->root_ = survivor(*root_, random, done);
    disk->can_exchange_ = can_exchange_;
    return disk;
  }

  std::unique_ptr<OutputFile> create(const Path& path) override {
    const std::lock_guard lock(mutex_);
    step();
    if (find(path) != nullptr) fail("create", path, EEXIST);
    auto file = std::make_shared<Node>();
    change(path.parent_path(), {{path.filename(), file}});
    return std::make_unique<File>(*this, file, path);
  }
  void make_folder(const Path& path) override {
    const std::lock_guard lock(mutex_);
    step();
    if (find(path) != nullptr) fail("create folder", path, EEXIST);
    auto folder = std::make_shared<Node>();
    folder->is_folder = true;
    change(path.parent_path(), {{path.filename(), folder}});
  }
  void sync_file(const Path& path) override {
    const std::lock_guard lock(mutex_);
    step();
    Node& file = need(path);
    file.durable_bytes = file.bytes;
  }
  void sync_folder(const Path& path) override {
    const std::lock_guard lock(mutex_);
    step();
    Node& folder = need(path);
    folder.durable_entries = folder.entries;
    folder.unsynced.clear();
  }
  void rename(const Path& from, const Path& to) override {
    const std::lock_guard lock(mutex_);
    step();
    const std::shared_ptr<Node> node = find(from);
    const std::shared_ptr<Node> target = find(to);
    if (node == nullptr) fail("rename", from, ENOENT);
    if (from.parent_path() != to.parent_path()) fail("rename", from, EXDEV);  // no test needs it
    if (target != nullptr && (target->is_folder || node->is_folder)) fail("rename", to, ENOTEMPTY);
    change(from.parent_path(), {{from.filename(), nullptr}, {to.filename(), node}});
  }
  bool exchange(const Path& a, const Path& b) override {
    const std::lock_guard lock(mutex_);
    step();
    if (!can_exchange_) return false;
    const std::shared_ptr<Node> first = find(a), second = find(b);
    if (first == nullptr || second == nullptr) fail("exchange", a, ENOENT);
    change(a.parent_path(), {{a.filename(), second}, {b.filename(), first}});
    return true;
  }
  void remove(const Path& path) override {
    const std::lock_guard lock(mutex_);
    step();
    const Node& node = need(path);
    if (!node.entries.empty()) fail("remove", path, ENOTEMPTY);
    change(path.parent_path(), {{path.filename(), nullptr}});
  }

  std::string read(const Path& path, uint64_t max_bytes) override {
    const std::lock_guard lock(mutex_);
    step();
    const Node& node = need(path);
    if (node.is_folder) fail("read", path, EISDIR);
    if (node.bytes.size() > max_bytes) fail("read", path, EFBIG);
    return node.bytes;
  }
  std::vector<Entry> list(const Path& path) override {
    const std::lock_guard lock(mutex_);
    step();
    std::vector<Entry> entries;
    for (const auto& [name, node] : need(path).entries)
      entries.push_back({name, kind_of(node.get()), node->bytes.size()});
    return entries;
  }
  EntryKind kind(const Path& path) override {
    const std::lock_guard lock(mutex_);
    step();
    return kind_of(find(path).get());
  }
  uint64_t free_bytes(const Path&) override {
    const std::lock_guard lock(mutex_);
    step();
    return pretend_room_ ? uint64_t{1} << 40 : capacity_ - std::min(capacity_, used(*root_));
  }
  void require_writable(const Path& path) override {
    const std::lock_guard lock(mutex_);
    step();
    need(path);
  }

 private:
  struct Node;
  using Change = std::vector<std::pair<std::string, std::shared_ptr<Node>>>;  // a null node removes the name
  struct Node {
    bool is_folder = false;
    std::string bytes, durable_bytes;
    std::map<std::string, std::shared_ptr<Node>> entries, durable_entries;
    std::vector<Change> unsynced;  // each is atomic
  };

  class File : public OutputFile {
   public:
    File(SimulatedDisk& disk, std::shared_ptr<Node> node, Path path)
        : disk_(disk), node_(std::move(node)), path_(std::move(path)) {}
    void write(std::string_view bytes) override {
      const std::lock_guard lock(disk_.mutex_);
      if (disk_.operations_ + 1 == disk_.cut_at_) node_->bytes += bytes.substr(0, bytes.size() / 2);
      disk_.step();
      const uint64_t used_bytes = used(*disk_.root_);
      const uint64_t room = disk_.capacity_ - std::min(disk_.capacity_, used_bytes);
      node_->bytes += bytes.substr(0, room);
      if (bytes.size() > room) fail("write", path_, ENOSPC);
    }
    void sync() override {
      const std::lock_guard lock(disk_.mutex_);
      disk_.step();
      node_->durable_bytes = node_->bytes;
    }
    void close() override {
      const std::lock_guard lock(disk_.mutex_);
      disk_.step();
    }

   private:
    SimulatedDisk& disk_;
    std::shared_ptr<Node> node_;
    Path path_;
  };

  [[noreturn]] static void fail(const char* what, const Path& path, int error) {
    throw DiskError(std::string("cannot ") + what + " " + path.string() + ": " + std::strerror(error), error);
  }

  static EntryKind kind_of(const Node* node) {
    if (node == nullptr) return EntryKind::kNone;
    return node->is_folder ? EntryKind::kFolder : EntryKind::kFile;
  }

  static uint64_t used(const Node& node) {
    uint64_t bytes = node.bytes.size();
    for (const auto& [name, child] : node.entries) bytes += used(*child);
    return bytes;
  }

  void step() {
    if (++operations_ == cut_at_) off_ = true;
    if (off_) throw PowerCut();
  }

  std::shared_ptr<Node> find(const Path& path) const {
    std::shared_ptr<Node> node = root_;
    for (const Path& part : path.relative_path()) {
      const auto next = node->entries.find(part.string());
      if (next == node->entries.end()) return nullptr;
      node = next->second;
    }
    return node;
  }

  Node& need(const Path& path) const {
    const std::shared_ptr<Node> node = find(path);
    if (node == nullptr) fail("find", path, ENOENT);
    return *node;
  }

  static void apply(const Change& change, std::map<std::string, std::shared_ptr<Node>>& entries) {
    for (const auto& [name, node] : change) {
      if (node == nullptr) {
        entries.erase(name);
      } else {
        entries[name] = node;
      }
    }
  }

  void change(const Path& folder, Change change) {
    Node& node = need(folder);
    apply(change, node.entries);
    node.unsynced.push_back(std::move(change));
  }

  static std::string surviving_bytes(const Node& node, std::mt19937_64& random) {
    if (node.bytes == node.durable_bytes || random() % 4 == 0) return node.durable_bytes;
    std::string bytes = node.bytes;
    const size_t safe = node.durable_bytes.size();
    for (size_t at = safe; at < bytes.size(); at += 512) {
      if (random() % 2 == 0) bytes.replace(at, 512, std::string(std::min<size_t>(512, bytes.size() - at), '\0'));
    }
    if (random() % 2 == 0) bytes.resize(safe + random() % (bytes.size() - safe + 1));
    return random() % 4 == 0 ? node.bytes : bytes;
  }

  static std::shared_ptr<Node> survivor(const Node& node, std::mt19937_64& random,
                                        std::map<const Node*, std::shared_ptr<Node>>& done) {
    auto& copy = done[&node];
    if (copy != nullptr) return copy;
    copy = std::make_shared<Node>();
    const std::shared_ptr<Node> result = copy;
    result->is_folder = node.is_folder;
    result->bytes = result->durable_bytes = surviving_bytes(node, random);
    auto entries = node.durable_entries;
    const bool all = random() % 4 == 0;
    for (const Change& change : node.unsynced) {
      if (all || random() % 2 == 0) apply(change, entries);
    }
    for (const auto& [name, child] : entries) result->entries[name] = survivor(*child, random, done);
    result->durable_entries = result->entries;
    return result;
  }

  static std::shared_ptr<Node> folder_node() {
    auto node = std::make_shared<Node>();
    node->is_folder = true;
    return node;
  }

  mutable std::mutex mutex_;
  std::shared_ptr<Node> root_ = folder_node();
  uint64_t capacity_;
  int64_t operations_ = 0;
  int64_t cut_at_ = 0;
  bool off_ = false;
  bool pretend_room_ = false;
  bool can_exchange_ = true;
};

}  // namespace terse::support
