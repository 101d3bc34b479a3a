// Tests reading saved state, and a stop whose checkpoint cannot be written.
#include "trainer/session.h"

#include <gtest/gtest.h>

#include <fstream>

#include "data/tokenizers/byte_tokenizer.h"
#include "tests/support/temporary_folder.h"

namespace terse::trainer {
namespace {

TEST(ReadSaved, AKeyThatIsMissingOrOfAnotherKindIsADamagedCheckpointAndNoBug) {
  const nlohmann::json saved = {{"step", 3}};
  EXPECT_NO_THROW(read_saved([&] { EXPECT_EQ(saved.at("step").get<int64_t>(), 3); }));
  EXPECT_THROW(read_saved([&] { saved.at("cursor").get<int64_t>(); }), DataError);
  EXPECT_THROW(read_saved([&] { saved.at("step").get<std::string>(); }), DataError);
}

// A background save fails after the call that requests it. The session must not report success before that.
TEST(Session, AStopWhoseCheckpointTheDiskRefusesIsAnError) {
  const support::TemporaryFolder folder;
  configs::RunConfig config;
  config.run.device = "cpu";
  config.model.layers = 1;
  config.model.hidden_size = config.model.intermediate_size = 16;
  config.model.heads = 1;
  config.checkpoint.async = true;
  const auto chat = data::ChatFormat::plain(std::make_shared<data::ByteTokenizer>());
  const std::unique_ptr<World> world = World::start({});
  Interrupts interrupts;
  Session session(config, folder.path(), *chat, *world, &interrupts);
  std::filesystem::remove_all(folder.path() / "checkpoints");
  std::ofstream(folder.path() / "checkpoints") << "a file where the folder was";
  session.step_done();
  interrupts.request(Interrupt::kSaveAndStop);
  EXPECT_THROW(session.maybe_save({"pretrain", 1, 0, 0, {}}, nullptr, 0), DiskError);
}

}  // namespace
}  // namespace terse::trainer
