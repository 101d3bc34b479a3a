// Compares files by identity and not by name, so that a link to an input is recognised.
#include "launch/output_file.h"

#include <fmt/format.h>

#include "launch/exit_codes.h"

namespace terse::launch {

namespace fs = std::filesystem;

void require_output(const OutputFile& output) {
  const std::string name = output.path.string();
  std::error_code ignored;
  if (name.empty()) throw UsageError("the path of the output is empty.");
  for (const fs::path& input : output.inputs) {
    if (fs::equivalent(output.path, input, ignored))
      throw UsageError(
          fmt::format("the output {} is also the input {}, which would be overwritten. Choose another output.", name,
                      input.string()));
  }
  if (fs::is_directory(output.path, ignored)) throw UsageError(fmt::format("the output {} is a folder.", name));
  const fs::path folder = output.path.has_parent_path() ? output.path.parent_path() : fs::path(".");
  if (!fs::is_directory(folder, ignored))
    throw UsageError(
        fmt::format("the folder {} of the output {} does not exist. If the path is correct, create it: mkdir -p {}",
                    folder.string(), output.path.filename().string(), folder.string()));
  if (!fs::exists(output.path, ignored)) return;
  bool same_kind = false;
  try {
    same_kind = output.is_of_kind(output.path);
  } catch (const std::exception&) {
    // A file that cannot be read is not of this kind.
  }
  if (!same_kind)
    throw UsageError(
        fmt::format("{} exists already and is not {}, so it is not replaced. Choose another output, or remove it.",
                    name, output.kind));
  if (!output.overwrite) throw UsageError(fmt::format("{} exists already. Use --overwrite to replace it.", name));
}

}  // namespace terse::launch
