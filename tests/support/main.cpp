// main() of the GoogleTest programs. It is that of gtest_main with one more option: --file=tests/FOLDER/NAME_test.cpp
// runs only the tests of this file. ctest runs them that way. Exits with 77 when every test was skipped, and with 1
// when there was none.
//
// --file leaves out the tests that need a GPU (Gpu/...). ctest has an entry of their own for them, which shows whether
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

// The GoogleTest filter for the tests of a file.
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
  if (filter.empty()) filter = "no test:";  // an empty filter would choose all tests
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
