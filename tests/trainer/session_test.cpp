// Reading the state that a session saved.
#include "trainer/session.h"

#include <gtest/gtest.h>

namespace terse::trainer {
namespace {

TEST(ReadSaved, AKeyThatIsMissingOrOfAnotherKindIsADamagedCheckpointAndNoBug) {
  const nlohmann::json saved = {{"step", 3}};
  EXPECT_NO_THROW(read_saved([&] { EXPECT_EQ(saved.at("step").get<int64_t>(), 3); }));
  EXPECT_THROW(read_saved([&] { saved.at("cursor").get<int64_t>(); }), configs::CorruptError);
  EXPECT_THROW(read_saved([&] { saved.at("step").get<std::string>(); }), configs::CorruptError);
}

}  // namespace
}  // namespace terse::trainer
