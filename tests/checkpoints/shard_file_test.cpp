// Untrusted shard images: every HDF5 feature is refused that a plain array of checksummed numbers does not need.
#include "checkpoints/format/shard_file.h"

#include <random>

#include "tests/checkpoints/support.h"

namespace terse::checkpoints {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;

Piece piece(const std::string& name, int64_t elements, const char* dtype = "float32") {
  return {name, find_dtype(dtype), {elements}, 0, elements};
}

std::string valid_image() {
  torch::manual_seed(3);
  const ShardImage image = build_shard({{piece("w", 1000), torch::rand({1000})}, {piece("e", 0), torch::rand({0})}});
  return std::string(image.bytes());
}

void expect_refused(std::string_view image, const std::vector<Piece>& pieces,
                    const ::testing::Matcher<std::string>& why) {
  std::vector<PieceData> items;
  for (const Piece& item : pieces) items.push_back({item, {}});
  try {
    read_shard(image, items);
    FAIL() << "expected an error";
  } catch (const Hdf5Error& error) {
    EXPECT_THAT(std::string(error.what()), why);
  }
}

// An HDF5 image with the content that `fill` creates.
std::string hand_made(const std::function<void(hid_t)>& fill) {
  MemoryFile file;
  fill(file.id());
  const ShardImage image = file.finish();
  return std::string(image.bytes());
}

struct Layout {
  hid_t id = H5Pcreate(H5P_DATASET_CREATE);
  ~Layout() { H5Pclose(id); }
  operator hid_t() const { return id; }
};

void add_dataset(hid_t file, hsize_t elements, hid_t layout, bool write = true, hid_t type = H5T_IEEE_F32LE,
                 std::vector<hsize_t> dims = {}) {
  if (dims.empty()) dims = {elements};
  const hid_t space = H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr);
  const hid_t dataset = H5Dcreate2(file, "w", type, space, H5P_DEFAULT, layout, H5P_DEFAULT);
  ASSERT_GE(dataset, 0);
  const std::vector<char> zeros(write ? elements * H5Tget_size(type) : 0);
  if (write) {
    ASSERT_GE(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros.data()), 0);
  }
  const hid_t text = H5Tcopy(H5T_C_S1);
  H5Tset_size(text, 7);
  H5Tset_strpad(text, H5T_STR_NULLPAD);
  const hid_t scalar = H5Screate(H5S_SCALAR);
  const hid_t attribute = H5Acreate2(dataset, "dtype", text, scalar, H5P_DEFAULT, H5P_DEFAULT);
  H5Awrite(attribute, text, "float32");
  H5Aclose(attribute), H5Sclose(scalar), H5Tclose(text), H5Dclose(dataset), H5Sclose(space);
}

void chunk(hid_t layout, hsize_t elements) {
  H5Pset_chunk(layout, 1, &elements);
}

TEST(ShardFile, ComesBackAndTellsOtherProgramsWhatItHolds) {
  const torch::Tensor numbers = torch::rand({3000000});  // several chunks
  const ShardImage image = build_shard({{piece("w", 3000000), numbers}});
  const torch::Tensor back = torch::empty({3000000});
  read_shard(image.bytes(), {{piece("w", 3000000), back}});
  EXPECT_TRUE(same_bits(back, numbers));
  EXPECT_THAT(image.bytes(), AllOf(HasSubstr("dtype"), HasSubstr("float32"), HasSubstr("shape"), HasSubstr("begin")));
  EXPECT_LT(image.bytes().size(), numbers.nbytes() + 16384);
}

TEST(ShardFile, ReadingDoesNotChangeTheImage) {
  const std::string image = valid_image();
  const std::string before = image;
  read_shard(image, {{piece("w", 1000), torch::empty({1000})}, {piece("e", 0), {}}});
  EXPECT_EQ(image, before);
}

TEST(ShardFile, TwoImagesCanBeOpenAtOnce) {
  MemoryFile first, second;
  const Layout layout;
  add_dataset(first.id(), 4, layout);
  EXPECT_EQ(H5Lexists(second.id(), "w", H5P_DEFAULT), 0);
  const std::string image = valid_image();
  const ReadOnlyImage a(image), b(image);
  EXPECT_NE(a.id(), b.id());
}

// Flips a bit in every byte of an image. Returns 0 when each read gave the right numbers or an error, and most reads
// gave an error.
int try_all_flips() {
  const std::string image = valid_image();
  const torch::Tensor right = torch::empty({1000});
  const std::vector<PieceData> items = {{piece("w", 1000), torch::empty({1000})}, {piece("e", 0), {}}};
  read_shard(image, {{piece("w", 1000), right}, {piece("e", 0), {}}});
  std::mt19937 random(5);
  size_t found = 0;
  for (size_t at = 0; at < image.size(); ++at) {
    std::string flipped = image;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << (random() % 8)));
    try {
      read_shard(flipped, items);
      if (!same_bits(items[0].data, right)) return 1;
    } catch (const Hdf5Error&) {
      ++found;
    }
  }
  return found > 4000 ? 0 : 2;
}

// Normally the hash in the manifest reveals flipped bits. For bits that flip in memory, the checksums of HDF5's newest
// format must reveal them. The test runs in its own process: a crash is then a failure, and HDF5 leaks some memory in
// failed reads and reports it at exit.
TEST(ShardFile, AFlippedBitNeverGivesWrongNumbersOrACrash) {
  EXPECT_EXIT(::_exit(try_all_flips()), ::testing::ExitedWithCode(0), "");
}

TEST(ShardFile, ATruncatedOrRandomImageIsAnError) {
  const std::string image = valid_image();
  for (size_t size = 0; size < image.size(); size += 37) {
    expect_refused(std::string_view(image).substr(0, size), {piece("w", 1000), piece("e", 0)}, HasSubstr("cannot"));
  }
  std::mt19937 random(1);
  std::string noise(4096, '\0');
  for (char& byte : noise) byte = static_cast<char>(random());
  expect_refused(noise, {piece("w", 1000)}, HasSubstr("open it as HDF5"));
}

TEST(ShardFile, RefusesLinks) {
  const TemporaryFolder folder;
  write_bytes(folder.path() / "victim.h5", valid_image());
  const std::string victim = (folder.path() / "victim.h5").string();
  prepare_hdf5();
  const auto external =
      hand_made([&](hid_t file) { H5Lcreate_external(victim.c_str(), "/w", file, "w", H5P_DEFAULT, H5P_DEFAULT); });
  expect_refused(external, {piece("w", 1000)}, HasSubstr("soft or external link"));
  const auto soft = hand_made([&](hid_t file) { H5Lcreate_soft("/elsewhere", file, "w", H5P_DEFAULT, H5P_DEFAULT); });
  expect_refused(soft, {piece("w", 1000)}, HasSubstr("soft or external link"));
  const auto group =
      hand_made([&](hid_t file) { H5Gclose(H5Gcreate2(file, "w", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)); });
  expect_refused(group, {piece("w", 1000)}, HasSubstr("not a dataset"));
}

TEST(ShardFile, RefusesStorageOutsideTheFile) {
  const TemporaryFolder folder;
  const std::string secret = (folder.path() / "secret").string();
  write_bytes(secret, std::string(4000, 's'));
  prepare_hdf5();
  const auto external = hand_made([&](hid_t file) {
    const Layout layout;
    H5Pset_external(layout, secret.c_str(), 0, 4000);
    add_dataset(file, 1000, layout, false);
  });
  expect_refused(external, {piece("w", 1000)}, HasSubstr("its data is in an external file"));
  expect_refused(external, {piece("w", 0)}, HasSubstr("its data is in an external file"));
  write_bytes(folder.path() / "victim.h5", valid_image());
  const auto virtual_dataset = hand_made([&](hid_t file) {
    const Layout layout;
    const hsize_t elements = 1000;
    const hid_t space = H5Screate_simple(1, &elements, nullptr);
    H5Pset_virtual(layout, space, (folder.path() / "victim.h5").c_str(), "/w", space);
    add_dataset(file, 1000, layout, false);
    H5Sclose(space);
  });
  expect_refused(virtual_dataset, {piece("w", 1000)}, HasSubstr("layout is not chunked"));
}

TEST(ShardFile, RefusesOtherLayoutsAndFilters) {
  prepare_hdf5();
  const auto with = [](const std::function<void(hid_t)>& set_up) {
    return hand_made([&](hid_t file) {
      const Layout layout;
      set_up(layout);
      add_dataset(file, 1000, layout);
    });
  };
  const auto filters = HasSubstr("Fletcher32 is not its only filter");
  expect_refused(with([](hid_t) {}), {piece("w", 1000)}, HasSubstr("layout is not chunked"));
  expect_refused(with([](hid_t l) { H5Pset_layout(l, H5D_COMPACT); }), {piece("w", 1000)}, HasSubstr("not chunked"));
  expect_refused(with([](hid_t l) { chunk(l, 100); }), {piece("w", 1000)}, filters);
  expect_refused(with([](hid_t l) { chunk(l, 100), H5Pset_deflate(l, 9); }), {piece("w", 1000)}, filters);
  expect_refused(with([](hid_t l) { chunk(l, 100), H5Pset_fletcher32(l), H5Pset_shuffle(l); }), {piece("w", 1000)},
                 filters);
  EXPECT_NO_THROW(read_shard(with([](hid_t l) { chunk(l, 100), H5Pset_fletcher32(l); }), {{piece("w", 1000), {}}}));
}

// The dataset declares 2^42 elements and stores none. Reading it would allocate 16 TiB of zeros.
TEST(ShardFile, RefusesSizeBombs) {
  prepare_hdf5();
  const hsize_t huge = hsize_t{1} << 42;
  const auto bomb = hand_made([&](hid_t file) {
    const Layout layout;
    chunk(layout, 1 << 20), H5Pset_fletcher32(layout);
    add_dataset(file, huge, layout, false);
  });
  EXPECT_LT(bomb.size(), 4096u);
  expect_refused(bomb, {piece("w", static_cast<int64_t>(huge))}, HasSubstr("not all its elements are stored"));
  // A manifest cannot declare this size either, because its tensors must fit their files. With a size that fits, the
  // shapes differ.
  expect_refused(bomb, {piece("w", 1 << 20)}, HasSubstr("it has 4398046511104 elements, the manifest lists 1048576"));
  const auto hollow = hand_made([&](hid_t file) {
    const Layout layout;
    chunk(layout, 100), H5Pset_fletcher32(layout);
    add_dataset(file, 1000, layout, false);
  });
  expect_refused(hollow, {piece("w", 1000)}, HasSubstr("not all its elements are stored"));
}

TEST(ShardFile, RefusesOtherTypesAndShapes) {
  prepare_hdf5();
  const auto typed = [](hid_t type, std::vector<hsize_t> dims = {}) {
    return hand_made([&](hid_t file) {
      const Layout layout;
      const std::vector<hsize_t> chunks(std::max<size_t>(dims.size(), 1), 10);
      H5Pset_chunk(layout, static_cast<int>(chunks.size()), chunks.data());
      H5Pset_fletcher32(layout);
      add_dataset(file, 1000, layout, true, type, dims);
    });
  };
  expect_refused(typed(H5T_IEEE_F32BE), {piece("w", 1000)}, HasSubstr("not stored as float32"));
  expect_refused(typed(H5T_STD_I32LE), {piece("w", 1000)}, HasSubstr("not stored as float32"));
  expect_refused(typed(H5T_STD_REF_OBJ), {piece("w", 1000)}, HasSubstr("not stored as float32"));
  expect_refused(typed(H5T_IEEE_F32LE, {10, 100}), {piece("w", 1000)},
                 AnyOf(HasSubstr("chunks"), HasSubstr("elements")));
  expect_refused(typed(H5T_STD_U16LE), {piece("w", 1000, "bfloat16")}, HasSubstr("dtype attribute is not bfloat16"));
  const ShardImage bytes = build_shard({{piece("w", 3, "uint8"), torch::tensor({0, 1, 2}, torch::kUInt8)}});
  expect_refused(bytes.bytes(), {piece("w", 3, "bool")}, HasSubstr("dtype attribute is not bool"));
  const ShardImage bools = build_shard({{piece("w", 3, "bool"), torch::tensor({0, 1, 2}, torch::kUInt8)}});
  expect_refused(bools.bytes(), {piece("w", 3, "bool")}, HasSubstr("bytes other than 0 (false) and 1 (true)"));
}

TEST(ShardFile, ErrorsPrintNothingAndLeaveHdf5sOwnSettings) {
  H5E_auto2_t before = nullptr, after = nullptr;
  void* data = nullptr;
  H5Eget_auto2(H5E_DEFAULT, &before, &data);
  ::testing::internal::CaptureStderr();
  expect_refused("no HDF5", {piece("w", 1)}, HasSubstr("open it as HDF5"));
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  H5Eget_auto2(H5E_DEFAULT, &after, &data);
  EXPECT_EQ(before, after);
}

// An end-to-end test: all hashes of the checkpoint are right, but a shard reads another file.
TEST(ShardFile, AMaliciousCheckpointWithRightHashesIsRejected) {
  const TemporaryFolder folder;
  save_two(folder.path());
  const Path checkpoint = folder.path() / "step-200";
  const auto external = hand_made([&](hid_t file) {
    const Layout layout;
    H5Pset_external(layout, "/etc/passwd", 0, 96);
    add_dataset(file, 24, layout, false);
  });
  write_bytes(checkpoint / "rank-0.h5", external);
  seal(checkpoint, [](auto& manifest) {
    manifest["tensors"] = {
        {{"name", "w"}, {"dtype", "float32"}, {"shape", {24}}, {"begin", 0}, {"end", 24}, {"file", "rank-0.h5"}}};
  });
  const auto loaded = load_latest(folder.path());
  EXPECT_EQ(loaded->info.step, 100);
  EXPECT_THAT(loaded->rejected,
              ::testing::ElementsAre("step-200: rank-0.h5: dataset w: its data is in an external file"));
}

}  // namespace
}  // namespace terse::checkpoints
