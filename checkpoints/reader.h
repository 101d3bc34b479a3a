// Strict reading of one checkpoint folder, alone or as one of several ranks that share the hashing.
#pragma once

#include <string>
#include <vector>

#include "checkpoints/folder.h"

namespace terse::checkpoints {

enum class Depth {
  kHashes,  // sizes and hashes of all files, and that nothing else lies in the folder
  kData,    // also everything inside the files
};

// What one rank does of a load.
struct LoadShare {
  Wanted wanted;  // empty: everything
  int rank = 0;
  int ranks = 1;
  std::function<bool()> interrupted = {};  // asked between two files; empty: never
};

// Two steps, because nothing is parsed before its hash is right and other ranks check most of the hashes: the second
// may only begin when no rank found a defect in the first. With one rank the second has nothing to do. Each returns
// defects, which begin with the file's name, or throws Interrupted. Both may throw std::invalid_argument: `wanted` asks
// for what no tensor has.
class CheckpointReader {
 public:
  // `keep`: the wanted tensors are kept for take(); otherwise they are only looked at.
  CheckpointReader(FileSystem& fs, FileSystem::Path checkpoint, Depth depth, bool keep, LoadShare share = {});

  // The folder, the manifest, and the files that this rank hashes.
  std::vector<std::string> read_own();
  // The wanted files that other ranks hashed.
  std::vector<std::string> read_others();

  // SHA-256 of the manifest that read_own() found; empty when it found none that is sound.
  const std::string& manifest_sha256() const { return manifest_sha256_; }
  // After both steps without defects.
  Store::Loaded take();

 private:
  void defect(const std::string& file, const std::string& what);
  void check_name();
  void check_entries(const std::vector<Entry>& entries);
  void allocate();
  bool is_needed(const Piece& piece) const;
  bool is_needed(const FileEntry& file) const;
  void read_file(const FileEntry& file, bool hash);
  void read_tensors(const FileEntry& file, std::string_view bytes);

  FileSystem& fs_;
  FileSystem::Path checkpoint_;
  Depth depth_;
  bool keep_;
  LoadShare share_;
  Manifest manifest_;
  std::string manifest_sha256_;
  std::vector<int> hashers_;  // of each file
  Store::Loaded loaded_;
  std::vector<std::string> defects_;
};

// Which rank hashes each file: every rank gets about as many bytes and files that are neighbours, so that ranks of the
// number that saved get about the files that they wrote and want.
std::vector<int> hashing_ranks(const std::vector<FileEntry>& files, int ranks);

// All defects of a checkpoint; empty when sound. With `loaded` and no defects, its info, state and path are filled.
std::vector<std::string> check_checkpoint(FileSystem& fs, const FileSystem::Path& checkpoint, Depth depth,
                                          Store::Loaded* loaded);

// The first few of them in one line.
std::string defect_summary(const std::vector<std::string>& defects);

}  // namespace terse::checkpoints
