// Measures how fast a tokenizer encodes a file, on one thread. tests/bench/tokenizer_vs_python.py runs it beside the
// `tokenizers` library of Python and compares ids and speed.
//
//   tokenizer_bench TOKENIZER DOCUMENTS [IDS]
//
// TOKENIZER is a tokenizer file or a Hugging Face folder. DOCUMENTS is a file of texts with a zero byte after each. IDS
// receives the ids as 32-bit numbers, with -1 after each document. Prints the seconds of the fastest of three rounds.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <string_view>

#include "base/durable.h"
#include "data/tokenizers/tokenizer_factory.h"

namespace {

int run(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: tokenizer_bench TOKENIZER DOCUMENTS [IDS]\n", stderr);
    return 64;
  }
  const auto tokenizer = terse::data::load_tokenizer(argv[1]);
  std::ifstream file(argv[2], std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  double fastest = 1e30;
  std::vector<int32_t> ids;
  for (int round = 0; round < 3; ++round) {
    ids.clear();
    const auto start = std::chrono::steady_clock::now();
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find('\0', begin), text.size());
      const std::vector<int32_t> found = tokenizer->encode(std::string_view(text).substr(begin, end - begin));
      ids.insert(ids.end(), found.begin(), found.end());
      ids.push_back(-1);
      begin = end + 1;
    }
    fastest = std::min(fastest, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  if (argc > 3) {
    terse::write_durably(argv[3], {reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(int32_t)});
  }
  std::puts(fmt::format("{}", fastest).c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tokenizer_bench: %s\n", error.what());
    return 1;
  }
}
