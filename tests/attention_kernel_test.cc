// The measured kernel against the reference: every format, shape, group, paging and team; and what is not a number.
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>

#include "measure/kernel.h"
#include "measure/reference.h"
#include "measure/rows.h"

using namespace kvroof;

namespace {

/// A filled cache with its queries and the reference's answer.
struct Trial {
  AttentionShape shape;
  std::vector<std::int32_t> blocks;
  std::vector<std::byte> memory;
  std::vector<float> queries;

  explicit Trial(const AttentionShape& s, unsigned seed = 1)
      : shape(s),
        blocks(block_table(s, seed)),
        memory(std::size_t(extent_of(s).bytes())),
        queries(make_queries(s, seed)) {
    fill(shape, memory.data(), blocks, seed);
  }
  KvView view() const { return view_of(shape, memory.data(), blocks); }
  std::vector<double> reference() const { return reference_attention(shape, view(), queries); }
  std::vector<float> kernel(Team& team) const {
    std::vector<float> out(std::size_t(shape.query_heads() * shape.value_dim), -1.0F);
    AttentionKernel kernel(shape, team.size());
    kernel.run(view(), queries, out, team);
    return out;
  }
};

/// Largest difference, over the largest value of the reference.
double error_of(const std::vector<float>& got, const std::vector<double>& expected) {
  double most = 0, off = 0;
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    most = std::max(most, std::abs(expected[i]));
    if (!(std::abs(double(got[i]) - expected[i]) <= off)) off = std::abs(double(got[i]) - expected[i]);
  }
  return off / most;
}

Team& team_of(int threads) {
  static Team one({}), two({0, 0}), five({0, 0, 0, 0, 0});
  return threads == 1 ? one : threads == 2 ? two : five;
}

void check(const AttentionShape& shape, int threads) {
  INFO(name_of(shape) << ", " << threads << " threads");
  Trial p(shape);
  CHECK(error_of(p.kernel(team_of(threads)), p.reference()) < kernel_tolerance(shape));
}

}  // namespace

TEST_CASE("two tokens by hand") {
  // Scores 0 and ln 3 after scaling: weights 1/4 and 3/4 of values 4 and 8 are 7.
  AttentionShape s{.kv_heads = 1, .group = 1, .key_dim = 64, .value_dim = 32, .context = 2, .format = format("f32")};
  std::vector<float> memory(2 * 64 + 2 * 32, 0.0F);
  memory[64] = 1;  // the second token's key
  for (int i = 0; i < 32; ++i) memory[std::size_t(128 + i)] = 4, memory[std::size_t(160 + i)] = 8;
  std::vector<float> queries(64, 0.0F), out(32);
  queries[0] = float(8 * std::log(3.0));  // sqrt(64) undone
  KvView view = view_of(s, reinterpret_cast<const std::byte*>(memory.data()), {});
  CHECK(reference_attention(s, view, queries)[0] == Approx(7));
  AttentionKernel kernel(s, 1);
  kernel.run(view, queries, out, team_of(1));
  for (float v : out) CHECK(v == Approx(7).epsilon(1e-6));
}

TEST_CASE("rows of every format take what core says and read back") {
  std::vector<float> values(64);
  for (std::size_t i = 0; i < 64; ++i) values[i] = float(i) / 32 - 1;
  struct {
    const char* name;
    i64 bytes;
    double step;  ///< half of it is the most a value may be off
  } rows[] = {{"f32", 256, 0},
              {"bf16", 128, 1.0 / 256},
              {"fp16", 128, 1.0 / 2048},
              {"int8", 68, 1.0 / 127},
              {"q8_0", 68, 1.0 / 126}};
  for (const auto& row : rows) {
    INFO(row.name);
    const Format& f = format(row.name);
    REQUIRE(row_bytes(f, 64) == row.bytes);
    std::vector<std::byte> bytes(std::size_t(row.bytes));
    encode_row(f, values.data(), 64, bytes.data());
    for (i64 i = 0; i < 64; ++i)
      CHECK(std::abs(decode(f, bytes.data(), 64, i) - double(values[std::size_t(i)])) <= row.step / 2 + 1e-12);
  }
}

TEST_CASE("half precision, at its edges") {
  struct {
    float value;
    std::uint16_t bits;
  } rows[] = {{0, 0},          {1, 0x3c00},         {-2, 0xc000},           {65504, 0x7bff},
              {65519, 0x7bff}, {65520, 0x7c00},     {6.1035156e-5F, 0x400}, {5.9604645e-8F, 1},
              {2.9e-8F, 0},    {0.333252F, 0x3555}, {1.0004883F, 0x3c00}};  // half-way to 1.00097: to even
  for (const auto& row : rows) {
    INFO(row.value);
    CHECK(to_half(row.value) == row.bits);
  }
  for (std::uint32_t bits = 0; bits < 0x7c00; ++bits) REQUIRE(to_half(from_half(std::uint16_t(bits))) == bits);
  CHECK(std::isnan(from_half(to_half(NAN))));
  CHECK(to_bfloat(1.00390625F) == 0x3f80);  // half-way, to even
  CHECK(to_bfloat(1.01171875F) == 0x3f82);
  CHECK(std::isnan(from_bfloat(to_bfloat(NAN))));
}

TEST_CASE("a shape's bytes are those of its rows") {
  for (std::string_view f : row_formats())
    for (const AttentionShape& s : {AttentionShape{.format = format(f)}, latent_shape(16, 100, format(f)),
                                    AttentionShape{.kv_heads = 3, .key_dim = 192, .context = 77, .format = format(f)}})
      CHECK(cache_bytes(s).value == double(extent_of(s).bytes()));
  AttentionShape s{.kv_heads = 8, .group = 4, .context = 1024};
  CHECK(cache_bytes(s).value == 1024.0 * 8 * 2 * 128 * 2);
  CHECK(attention_flops(s).value == 1024.0 * 32 * 2 * 2 * 128);
  CHECK(attention_flops(latent_shape(16, 10, format("bf16"))).value == 10.0 * 16 * 2 * (576 + 512));
}

TEST_CASE("the kernel equals the reference: formats, groups, paging, threads") {
  for (std::string_view f : row_formats())
    for (i64 group : {1, 2, 3, 4, 5, 7, 8, 9, 16, 32})
      for (Paging paging : {Paging::contiguous, Paging::in_order, Paging::random})
        for (int threads : {1, 2, 5})
          check({.kv_heads = 2,
                 .group = group,
                 .key_dim = 64,
                 .value_dim = 64,
                 .context = 203,
                 .format = format(f),
                 .paging = paging},
                threads);
}

TEST_CASE("every instruction set this machine has gives the same answer") {
  std::vector<std::string> sets = instruction_sets();
  REQUIRE(!sets.empty());
  for (const std::string& set : sets) {
    use_instruction_set(set);
    INFO(set);
    CHECK(instruction_set() == set);
    for (std::string_view f : row_formats())
      for (i64 group : {1, 2, 7, 12})
        check({.kv_heads = 2,
               .group = group,
               .key_dim = 192,
               .value_dim = 128,
               .context = 203,
               .format = format(f),
               .paging = Paging::random},
              2);
  }
  use_instruction_set(sets[0]);
}

TEST_CASE("the kernel equals the reference: widths of heads, and latents") {
  for (std::string_view f : row_formats()) {
    for (auto [key, value] :
         {std::pair<i64, i64>(32, 32), {64, 64}, {96, 96}, {128, 128}, {192, 128}, {256, 256}, {576, 512}})
      for (i64 group : {1, 4, 12})
        check({.kv_heads = 1, .group = group, .key_dim = key, .value_dim = value, .context = 131, .format = format(f)},
              2);
    for (i64 heads : {1, 7, 16, 128})
      for (Paging paging : {Paging::contiguous, Paging::random}) {
        AttentionShape s = latent_shape(heads, 75, format(f));
        s.paging = paging;
        check(s, 2);
      }
  }
}

TEST_CASE("the kernel equals the reference: every context up to three tiles, and a long one") {
  for (i64 context = 1; context <= 200; ++context)
    for (i64 group : {1, 3, 5})
      check({.kv_heads = 1, .group = group, .key_dim = 32, .value_dim = 32, .context = context}, context % 2 ? 2 : 5);
  check({.kv_heads = 3, .group = 7, .context = 5003, .paging = Paging::random}, 2);
}

TEST_CASE("the thread split does not change more than the last digits") {
  for (i64 group : {3, 5}) {
    Trial p({.kv_heads = 3, .group = group, .context = 777});
    std::vector<float> one = p.kernel(team_of(1)), five = p.kernel(team_of(5));
    std::vector<double> other(five.begin(), five.end());
    CHECK(error_of(one, other) < kernel_tolerance(p.shape));
    CHECK(p.kernel(team_of(1)) == one);  // and the same split gives the same bits
  }
}

TEST_CASE("scores far apart and large do not overflow") {
  for (float size : {100.0F, 1e4F, 1e30F})
    for (i64 group : {2, 6}) {
      Trial p({.kv_heads = 1, .group = group, .key_dim = 64, .value_dim = 64, .context = 100});
      for (float& q : p.queries) q *= size;
      std::vector<double> expected = p.reference();
      std::vector<float> got = p.kernel(team_of(2));
      for (std::size_t i = 0; i < got.size(); ++i) REQUIRE(std::isfinite(got[i]));
      if (size < 1e3F)
        CHECK(error_of(got, expected) <
              10 * kernel_tolerance(p.shape));  // f32 scores of some hundreds: their last digits count
    }
}

TEST_CASE("what is not finite stays so where the reference says so, and nowhere else") {
  const float specials[] = {NAN, INFINITY, -INFINITY};
  for (const char* f : {"f32", "bf16", "fp16"})
    for (float special : specials)
      for (bool in_key : {true, false})
        for (i64 group : {1, 3, 12}) {
          AttentionShape s{
              .kv_heads = 2, .group = group, .key_dim = 64, .value_dim = 64, .context = 90, .format = format(f)};
          Trial p(s);
          std::vector<float> row(64, 0.5F);
          row[7] = special;
          KvView v = p.view();
          i64 at = v.row(1, 41);
          encode_row(s.format, row.data(), 64, p.memory.data() + (in_key ? 0 : extent_of(s).keys) + at * v.key_row);
          std::vector<double> expected = p.reference();
          std::vector<float> got = p.kernel(team_of(2));
          INFO(f << " " << special << (in_key ? " key" : " value") << " group " << group);
          bool all_agree = true;
          for (std::size_t i = 0; i < got.size(); ++i) all_agree &= std::isfinite(got[i]) == std::isfinite(expected[i]);
          CHECK(all_agree);
        }
}

TEST_CASE("an infinite key leaves the queries that it does not reach their numbers, wherever its token lies") {
  for (i64 token : {0, 15, 31, 47, 62, 63})
    for (float special : {INFINITY, -INFINITY}) {
      AttentionShape s{.kv_heads = 1, .group = 12, .key_dim = 64, .value_dim = 64, .context = 64};
      Trial p(s);
      std::vector<float> row(64, 0.5F);
      row[7] = special;
      KvView v = p.view();
      encode_row(s.format, row.data(), 64, p.memory.data() + v.row(0, token) * v.key_row);
      std::vector<double> expected = p.reference();
      std::vector<float> got = p.kernel(team_of(1));
      INFO("token " << token << ", " << special);
      bool all_agree = true;
      for (std::size_t i = 0; i < got.size(); ++i) all_agree &= std::isfinite(got[i]) == std::isfinite(expected[i]);
      CHECK(all_agree);
    }
}

TEST_CASE("a query that is no number has no result, whatever its bits; its neighbours have theirs") {
  for (i64 group : {3, 12})
    for (std::uint32_t bits : {0x7fc00000U, 0x7fffffffU, 0xffffffffU}) {
      Trial p({.kv_heads = 2, .group = group, .key_dim = 64, .value_dim = 64, .context = 90});
      p.queries[std::size_t((group + 1) * 64 + 5)] = std::bit_cast<float>(bits);
      std::vector<float> got = p.kernel(team_of(2));
      for (std::size_t i = 0; i < got.size(); ++i) REQUIRE(std::isnan(got[i]) == (i64(i) / 64 == group + 1));
    }
}

TEST_CASE("shapes the kernel can't run are told, all at once") {
  CHECK(problems(AttentionShape{}).empty());
  CHECK(problems(latent_shape(128, 1, format("q8_0"))).empty());
  std::vector<Problem> found =
      problems(AttentionShape{.kv_heads = 0, .group = 300, .key_dim = 48, .context = 0, .format = format("nvfp4")});
  REQUIRE(found.size() == 5);
  CHECK(found[3].what == "'48' is not a multiple of 32 up to 1024");
  CHECK(found[4].what == "no kernel for 'nvfp4'");
}
