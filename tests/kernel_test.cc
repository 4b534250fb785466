// Times of single kernels by hand, the search that finds their constants, and data-parallel attention.
#include <catch2/catch.hpp>
#include <cmath>

#include "catalog/catalog.h"
#include "cli/engine_fit.h"
#include "cli/kernel_fit.h"
#include "core/memory.h"
#include "core/operations.h"
#include "core/step.h"

using namespace kvroof;

namespace {

/// 1 TB/s, 100 TFLOPS, 100 cores, 10 MB of cache.
Device round_device() {
  Device d;
  d.memory = {{"HBM", {80e9}, {1e12}, std::nullopt, std::nullopt}};
  d.peak[int(Arithmetic::bf16)] = FlopRate{100e12};
  d.cores = 100;
  d.cache = Cache{{10e6}, std::nullopt};
  d.achievable.compute = 0.5;
  return d;
}

}  // namespace

TEST_CASE("decode attention: launch, tiles, bytes") {
  Device d = round_device();
  AttentionRate rate{0.5, {10e-6}, {2e-6}, 0, 0};
  // 10 sequences x 8 KV heads = 80 tiles on 100 cores: 1.6 us; 2*10*8*128*6400*2 B = 262.144 MB at 0.5 TB/s: 524.288 us
  AttentionCall call{8, 8, 128, 10, 6400};
  CHECK(attention_time(d, rate, format("bf16"), call, false).value == Approx(535.888e-6));
  // 6337 tokens are read as 100 pages of 64
  call.context = 6337;
  CHECK(attention_time(d, rate, format("bf16"), call, false).value == Approx(535.888e-6));
}

TEST_CASE("few tiles do not draw the whole bandwidth") {
  Device d = round_device();
  AttentionRate rate{0.8, {}, {}, 2.0, 0};
  CHECK(attention_share(rate, d, 1, 256) == Approx(0.02));    // one of 100 cores, twice its share
  CHECK(attention_share(rate, d, 1, 2560) == Approx(0.2));    // ten pieces
  CHECK(attention_share(rate, d, 100, 2560) == Approx(0.8));  // all cores: the fraction binds
}

TEST_CASE("a matrix that stays in the cache runs at the cache's share") {
  Device d = round_device();
  LinearRate rate{0.5, {5e-6}, 0, 2.0};
  CHECK(linear_time(d, rate, format("bf16"), 1e6, 1, false).value == Approx(9e-6));  // 2 MB at 0.5 TB/s
  CHECK(linear_time(d, rate, format("bf16"), 1e6, 1, true).value == Approx(6e-6));   // at 2 TB/s
  // 2*1e6*1000 flops at 50 TFLOPS = 40 us, beyond the bytes
  CHECK(linear_time(d, rate, format("bf16"), 1e6, 1000, false).value == Approx(45e-6));
}

TEST_CASE("a cache is warm where all of it fits the last level, a matrix where half of that does") {
  Device d = round_device();  // 10 MB
  AttentionRate attention{0.5, {}, {}, 0, 1};
  // one KV head of 128: 512 B a token
  auto share = [&](i64 tokens) {
    double bytes = 512.0 * double(tokens);
    return bytes / 1e12 / attention_time(d, attention, format("bf16"), {1, 1, 128, 1, tokens}, true).value;
  };
  CHECK(share(64 * 305) == Approx(1));  // 9.99 MB
  CHECK(share(64 * 306) == Approx(0.5));
  LinearRate linear{0.5, {}, 0, 1};
  CHECK(linear_time(d, linear, format("bf16"), 2.49e6, 1, true).value == Approx(4.98e-6));
  CHECK(linear_time(d, linear, format("bf16"), 2.51e6, 1, true).value == Approx(10.04e-6));
}

TEST_CASE("an all-reduce takes the faster of its two algorithms") {
  AllReduceRate rate{{5e-6}, {100e9}, {20e-6}, {400e9}};
  CHECK(all_reduce_time(rate, Bytes{1e5}).value == Approx(6e-6));
  CHECK(all_reduce_time(rate, Bytes{4e6}).value == Approx(30e-6));
}

TEST_CASE("the fit finds the constants a table was made with") {
  Device d = round_device();
  LinearRate truth{0.7, {6e-6}, 0.4, 1.5};
  FitTask task;
  std::vector<double> elements, rows;
  for (int i = 0; i < 60; ++i) {
    elements.push_back(1e5 * std::pow(1.15, i));
    rows.push_back(i % 3 == 0 ? 512 : 8);
    task.ids.push_back("row" + std::to_string(i));
    task.measured.push_back(linear_time(d, truth, format("bf16"), elements.back(), rows.back(), true).value);
    task.weights.push_back(1);
  }
  task.usual = {0.8, 4e-6, 0.6, 1.2};
  task.most = {1, 1e-3, 1, 10};
  task.pull = 0;
  task.seconds = [&](const std::vector<double>& c, std::size_t i) {
    return linear_time(d, {c[0], {c[1]}, c[2], c[3]}, format("bf16"), elements[i], rows[i], true).value;
  };
  Fitted f = fit_constants(task);
  CHECK(f.constants[0] == Approx(0.7).epsilon(0.02));
  CHECK(f.constants[1] == Approx(6e-6).epsilon(0.02));
  CHECK(f.constants[2] == Approx(0.4).epsilon(0.02));
  CHECK(f.fit.rows == 60);
  CHECK(f.fit.error < 0.02);
}

TEST_CASE("data-parallel attention keeps each latent once and copies the attention's weights") {
  Model model = Catalog::built_in().model("deepseek-r1");
  Device device = Catalog::built_in().device("h200-sxm");
  Engine engine = Catalog::built_in().engine("sglang");
  Deployment whole, groups;
  whole.tp = groups.tp = 8;
  groups.attention_dp = 8;
  Workload w{4096, 64, 0};
  Memory a = fit(model, device, whole, w, engine), b = fit(model, device, groups, w, engine);
  CHECK(b.weights > a.weights);
  CHECK(b.max_tokens > 4 * a.max_tokens);  // eight ranks no longer hold the same latents
  // By hand: per layer the split matrices q up, kv up and o are whole on each rank.
  double copied = 1536.0 * 128 * 192 + 512.0 * 128 * 256 + 128.0 * 128 * 7168;
  CHECK((b.weights - a.weights).value == Approx(61 * copied * 7 / 8).epsilon(0.01));
  Step at_64 = decode_step(model, device, groups, w, engine, {1, 1});
  CHECK(at_64.expected >= at_64.floor);
}

TEST_CASE("attention groups must divide the ranks") {
  Model model = Catalog::built_in().model("deepseek-r1");
  Deployment d;
  d.tp = 8;
  d.attention_dp = 3;
  std::vector<Problem> found = problems(model, Catalog::built_in().device("h200-sxm"), d, {}, Engine{});
  REQUIRE(found.size() == 1);
  CHECK(found[0].path == "--attention-dp");
  CHECK(found[0].what == "3 does not divide the 8 ranks of tp");
}

TEST_CASE("decode attention bound by arithmetic: 4 flops an element of a query's head and token") {
  Device d = round_device();
  AttentionRate rate{1, {}, {}, 0, 0};
  AttentionCall call{64, 1, 128, 10, 6400};  // 4 * 10 * 64 * 128 * 6400 flops at 50 TFLOPS against 32.8 MB at 1 TB/s
  CHECK(attention_time(d, rate, format("bf16"), call, false).value == Approx(4 * 10 * 64 * 128 * 6400 / 50e12));
}

TEST_CASE("keys and values that stay in the cache run at the cache's share, unless the memory's is more") {
  Device d = round_device();
  AttentionCall call{1, 1, 128, 1, 6400};  // 3.2768 MB of the cache's 10
  CHECK(attention_time(d, {0.5, {}, {}, 0, 2}, format("bf16"), call, true).value == Approx(1.6384e-6));
  CHECK(attention_time(d, {0.5, {}, {}, 0, 2}, format("bf16"), call, false).value == Approx(6.5536e-6));
  CHECK(attention_time(d, {0.5, {}, {}, 0, 0.1}, format("bf16"), call, true).value == Approx(6.5536e-6));
}

TEST_CASE("a range is wide enough for a group that nothing was fitted on") {
  // Two groups with means of .2 and -.2, each with two rows .1 from its mean: .14 within, .28 between.
  Spread s = spread_of({{"a", {0.1, 0.3}}, {"b", {-0.1, -0.3}}});
  CHECK(s.rows == 4);
  CHECK(s.groups == 2);
  CHECK(s.mean == Approx(0).margin(1e-12));
  CHECK(s.within == Approx(std::sqrt(0.04 / 2)));
  CHECK(s.between == Approx(std::sqrt(0.08)));
  CHECK(s.high() == Approx(std::exp(1.2816 * std::sqrt(0.02 + 0.08 * 1.5))));
  CHECK(s.low() == Approx(1 / s.high()));
  CHECK(spread_of({{"a", {0.1, 0.3}}}).within == 0);  // one group says nothing of another
}
