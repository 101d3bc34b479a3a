// Strict reading of one checkpoint folder, by one process or by several ranks that share the hashing.
#pragma once

#include <string>
#include <vector>

#include "checkpoints/folder.h"

namespace terse::checkpoints {

enum class Depth {
  kHashes,  // sizes and hashes of all files, and that nothing else lies in the folder
  kData,    // also the content of the files
};

// One rank's part of a load.
struct LoadShare {
  Wanted wanted;  // empty: everything
  int rank = 0;
  int ranks = 1;
  std::function<bool()> interrupted = {};  // polled between two files; empty: never interrupted
};

// Reads a checkpoint in two steps, because nothing is parsed before its hash has been checked, and other ranks check
// most of the hashes. The second step may begin only when no rank found a defect in the first. With one rank the second
// step does nothing. Each step returns defects, which begin with the file's name, or throws Interrupted. Both may throw
// std::invalid_argument, when `wanted` asks for elements that a tensor does not have.
class CheckpointReader {
 public:
  // With `keep`, the wanted tensors are kept for take(). Otherwise they are read and discarded.
  CheckpointReader(FileSystem& fs, FileSystem::Path checkpoint, Depth depth, bool keep, LoadShare share = {});

  // Step 1: reads the folder, the manifest, and the files that this rank hashes.
  std::vector<std::string> read_own();
  // Step 2: reads the wanted files that other ranks hashed.
  std::vector<std::string> read_others();

  // SHA-256 of the manifest that read_own() read; empty when it could not be read or does not match MANIFEST.sha256.
  const std::string& manifest_sha256() const { return manifest_sha256_; }
  // Moves the result out. Call it only after both steps found no defects.
  Store::Loaded take();

 private:
  void defect(const std::string& file, const std::string& what);
  void check_name();
  void check_entries(const std::vector<Entry>& entries);
  void allocate();
  bool is_needed(const Piece& piece) const;
  bool is_needed(const FileEntry& file) const;
  void read_file(const FileEntry& file, bool hash);
  // Takes the content of a file whose hash is right.
  void use(const FileEntry& file, std::string_view bytes);
  void read_tensors(const FileEntry& file, std::string_view bytes);

  FileSystem& fs_;
  FileSystem::Path checkpoint_;
  Depth depth_;
  bool keep_;
  LoadShare share_;
  Manifest manifest_;
  std::string manifest_sha256_;
  std::vector<int> hashers_;  // the rank that hashes each file
  Store::Loaded loaded_;
  std::vector<std::string> defects_;
};

// Assigns each file to the rank that hashes it. Every rank gets neighbouring files of about the same total size. If as
// many ranks load as saved, each rank hashes about the files that it wrote and needs.
std::vector<int> hashing_ranks(const std::vector<FileEntry>& files, int ranks);

// Returns all defects of a checkpoint; empty when it is sound. With `loaded` and no defects, fills its info, state and
// path.
std::vector<std::string> check_checkpoint(FileSystem& fs, const FileSystem::Path& checkpoint, Depth depth,
                                          Store::Loaded* loaded);

// Joins the first few defects in one line.
std::string defect_summary(const std::vector<std::string>& defects);

}  // namespace terse::checkpoints
