// main() of the GoogleTest programs: as gtest_main, and with --file=tests/FOLDER/NAME_test.cpp only the tests of that
// file, which is how ctest runs them. Exits with 77 when every test was skipped, and 1 when there was none.
//
// The tests that need a GPU (Gpu/...) are no part of a file's: they have an entry of their own, which shows whether
// they ran.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

namespace {

constexpr int kSkipped = 77;

bool ends_with_path(std::string_view file, std::string_view path) {
  return file.ends_with(path) && (file.size() == path.size() || file[file.size() - path.size() - 1] == '/');
}

// A filter for the tests of a file.
std::string filter_of(std::string_view path) {
  std::string filter;
  const testing::UnitTest& all = *testing::UnitTest::GetInstance();
  for (int s = 0; s < all.total_test_suite_count(); ++s) {
    const testing::TestSuite& suite = *all.GetTestSuite(s);
    for (int t = 0; t < suite.total_test_count(); ++t) {
      const testing::TestInfo& test = *suite.GetTestInfo(t);
      if (!std::string_view(test.file()).ends_with("_test.cpp")) {
        std::cerr << test.file() << " holds a test; tests belong into files that are named ..._test.cpp\n";
        std::exit(1);
      }
      if (ends_with_path(test.file(), path)) filter += std::string(suite.name()) + "." + test.name() + ":";
    }
  }
  if (filter.empty()) filter = "no test:";  // an empty one would choose all
  return filter + "-Gpu/*";
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i], option = "--file=";
    if (!argument.starts_with(option)) {
      std::cerr << "unknown argument '" << argument << "' (known: --file=PATH and GoogleTest's)\n";
      return 64;
    }
    testing::GTEST_FLAG(filter) = filter_of(argument.substr(option.size()));
  }
  const int failed = RUN_ALL_TESTS();
  const testing::UnitTest& all = *testing::UnitTest::GetInstance();
  if (failed != 0 || testing::GTEST_FLAG(list_tests)) return failed;
  if (all.test_to_run_count() == 0) {
    std::cerr << "no test was chosen\n";
    return 1;
  }
  return all.successful_test_count() == 0 ? kSkipped : 0;
}
