// Sweeps: ranges by hand, rows against single estimates, metrics and their limits.
#include <catch2/catch.hpp>
#include <set>

#include "cli/metric_options.h"
#include "cli/sweep_points.h"

namespace kvroof {
namespace {

using Texts = std::vector<std::string>;

template <class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const InputError& e) { return e.message; }
  return "no error";
}

TEST_CASE("lists and ranges by hand") {
  CHECK(expanded("--tp", "1,2,4", true) == Texts{"1", "2", "4"});
  CHECK(expanded("--batch", "1..4", true) == Texts{"1", "2", "3", "4"});
  CHECK(expanded("--context", "1k..8k*2", true) == Texts{"1024", "2048", "4096", "8192"});
  CHECK(expanded("--context", "1k..6k*2", true) == Texts{"1024", "2048", "4096"});
  CHECK(expanded("--batch", "1..10*1.5", true) == Texts{"1", "2", "3", "5", "8"});  // 1, 1.5, 2.25, 3.375, 5.06, 7.59
  CHECK(expanded("--batch", "8..32+8,64", true) == Texts{"8", "16", "24", "32", "64"});
  CHECK(expanded("--memory-fraction", "80%..90%+5%", false) == Texts{"80%", "85%", "90%"});
  CHECK(expanded("bandwidth", "1TB/s..4TB/s*2", false) == Texts{"1TB/s", "2TB/s", "4TB/s"});
  CHECK(expanded("--rate", "0.1..0.3+0.1", false) == Texts{"0.1", "0.2", "0.3"});
}

TEST_CASE("ranges that say nothing") {
  struct {
    const char *text, *message;
  } rows[] = {
      {"8..1", "--batch: '8..1' runs backwards\n"},
      {"1..8*1", "--batch: '1..8*1' does not grow; expected low..high*factor or low..high+step, such as 1k..128k*2\n"},
      {"1..x", "--batch: 'x' is not a whole number such as 4096, 32k or 1M (in the range '1..x')\n"},
      {"1,,2", "--batch: '1,,2' has an empty place in its list\n"},
      {"0..4", "--batch: '0' is out of range; expected 1 to 1099511627776 (in the range '0..4')\n"},
      {"1..10000000", "--batch: '1..10000000' has more than 1,048,576 values\n"},
  };
  for (const auto& row : rows) CHECK(message_of([&] { expanded("--batch", row.text, true); }) == row.message);
  CHECK(message_of([] { expanded("--kv-room", "1GB..4GiB*2", false); }) ==
        "--kv-room: '1GB..4GiB*2' mixes units; write both ends in the same one\n");
}

SetupOptions wide_options() {
  SetupOptions o;
  o.model.model = "llama-3.1-8b,gemma-3-27b,deepseek-v3";
  o.hardware.device = "h100-sxm,mi300x,apple-m3-max-40";
  o.layout.tp = "1,2,8";
  o.layout.pp = "1,2";
  o.cache.kv_dtype = "bf16,fp8";
  o.context = "1k..64k*8";
  o.batch = "1..64*8";
  return o;
}

/// The options of one point, as a user would type them for a single estimate.
SetupOptions options_at(const SweepSpecs& specs, const SweepWalker& walker) {
  SetupOptions o = specs.options;
  for (std::size_t i = 0; i < specs.axes.size(); ++i) specs.axes[i].place(o) = specs.axes[i].values[walker.at(i)];
  return o;
}

void check_point(const SweepSpecs& specs, SweepWalker& walker, i64 point) {
  bool possible = walker.move_to(point);
  SetupOptions o = options_at(specs, walker);
  INFO(o.model.model << " " << o.hardware.device << " tp " << o.layout.tp << " pp " << o.layout.pp << " context "
                     << o.context << " batch " << o.batch);
  const Catalog& catalog = Catalog::built_in();
  std::string problem = message_of([&] { setup_of(o, catalog); });
  REQUIRE(possible == (problem == "no error"));
  if (!possible) return;
  Setup s = setup_of(o, catalog);
  Memory m = s.memory();
  Outcome row = walker.outcome();
  REQUIRE(row.memory.fits == m.fits);
  REQUIRE(row.memory.max_sequences == m.max_sequences);
  REQUIRE(row.memory.kv_room == m.kv_room);
  REQUIRE(row.memory.shortfall == m.shortfall);
  REQUIRE((row.step != nullptr) == m.fits);
  if (!m.fits) return;
  Step step = s.step();
  REQUIRE(row.step->expected == step.expected);
  REQUIRE(row.step->floor == step.floor);
  REQUIRE(row.step->low == step.low);
  REQUIRE(row.step->high == step.high);
  REQUIRE(row.step->bound_by == step.bound_by);
  REQUIRE(row.step->tokens_per_second == step.tokens_per_second);
}

TEST_CASE("figures that another rank may have are known to be of a rank") {
  for (const Metric& m : metrics()) {
    CAPTURE(m.name);
    bool of_rank = m.name == "max_tokens" || m.name == "weights" || m.name == "kv_room" || m.name == "kv_sequence" ||
                   m.name == "shortfall";
    CHECK(m.of_rank == of_rank);
  }
}

TEST_CASE("rows of a sweep equal single estimates, in order and at random") {
  SetupOptions o = wide_options();
  SweepSpecs specs = specs_of(axes_of(o, Catalog::built_in()), o, Catalog::built_in());
  specs.tells_rank = true;
  i64 points = points_of(specs.axes);
  CHECK(points == 3 * 3 * 3 * 2 * 2 * 3 * 3);
  SweepWalker in_order(specs), at_random(specs);
  for (i64 i = 0; i < points; i += 3) check_point(specs, in_order, i);
  for (i64 i = 0; i < points; i += 5) check_point(specs, at_random, i * 7919 % points);
}

TEST_CASE("a context alone that moves gives what a single estimate gives, past layouts that can't be") {
  SetupOptions o;
  o.model.model = "llama-3.1-8b,deepseek-v3";
  o.hardware.device = "h100-sxm,mi300x";
  o.layout.tp = "1,3,8";
  o.context = "1k..64k*8,100k";
  o.batch = "1,32";
  SweepSpecs specs = specs_of(axes_of(o, Catalog::built_in()), o, Catalog::built_in());
  specs.tells_rank = true;
  SweepWalker walker(specs);
  for (i64 i = 0; i < points_of(specs.axes); ++i) check_point(specs, walker, i);
}

TEST_CASE("a sweep under load equals single estimates") {
  SetupOptions o;
  o.model.model = "qwen3-32b";
  o.hardware.device = "h100-sxm";
  o.layout.tp = "2,4";
  o.input = "1k";
  o.output = "64,256";
  o.concurrency = "1..64*8";
  SweepSpecs specs = specs_of(axes_of(o, Catalog::built_in()), o, Catalog::built_in());
  specs.serves = true;
  SweepWalker walker(specs);
  for (i64 i = 0; i < points_of(specs.axes); ++i) {
    REQUIRE(walker.move_to(i));
    SetupOptions one = options_at(specs, walker);
    Serving expected = setup_of(one, Catalog::built_in()).serve(*load_of(one));
    REQUIRE(walker.outcome().serving);
    CHECK(walker.outcome().serving->tpot == expected.tpot);
    CHECK(walker.outcome().serving->ttft == expected.ttft);
  }
}

TEST_CASE("every metric has one name, one key and one way to get it") {
  std::set<std::string_view> seen;
  for (const Metric& m : metrics()) {
    INFO(m.name);
    CHECK(seen.insert(m.name).second);
    CHECK((m.key == m.name || seen.insert(m.key).second));
    CHECK((m.number != nullptr) != (m.word != nullptr));
    CHECK(&metric(m.name) == &m);
    CHECK(find_metric(m.key) == &m);
  }
}

TEST_CASE("metrics by hand") {
  SetupOptions o;
  o.model.model = "llama-3.1-8b";
  o.hardware.device = "h100-sxm";
  o.layout.dp = "2";
  o.batch = "4";
  Setup s = setup_of(o, Catalog::built_in());
  s.device.price = Price{3.0, "by hand"};
  s.device.watts = 700;
  Memory m = s.memory();
  Step step = s.step();
  step.expected = {0.010};
  step.tokens_per_second = 800;  // two replicas of four sequences at 10 ms
  Outcome row{s, m, &step};
  CHECK(*metric("tpot").number(row) == 0.010);
  CHECK(*metric("user_speed").number(row) == Approx(100));
  CHECK(*metric("device_speed").number(row) == Approx(400));
  CHECK(*metric("price").number(row) == Approx(6));
  CHECK(*metric("cost").number(row) == Approx(6.0 / 3600 / 800 * 1e6));
  CHECK(*metric("energy").number(row) == Approx(1400.0 / 800));
  CHECK(!metric("ttft").number(row));
  s.device.price.reset();
  CHECK(!metric("cost").number(row));
  CHECK(limit_of("--max", "tpot=10ms", true).met(row));
  CHECK(!limit_of("--max", "tpot=9.9ms", true).met(row));
  CHECK(limit_of("--min", "fits=yes", false).met(row));
  CHECK(!limit_of("--max", "cost=99", true).met(row));  // absent
}

TEST_CASE("limits that can't be read") {
  struct {
    const char *text, *message;
  } rows[] = {
      {"tpot", "--max: 'tpot' is not METRIC=VALUE such as tpot=30ms\n"},
      {"tpot=30", "--max tpot: '30' has no unit; expected a time such as 30ms\n"},
      {"bound=memory", "--max: bound is a word and has no bounds\n"},
      {"price=1k", "--max price: '1k' is not a number such as 40/h\n"},
      {"fits=maybe", "--max fits: 'maybe' is not yes or no\n"},
  };
  for (const auto& row : rows) CHECK(message_of([&] { limit_of("--max", row.text, true); }) == row.message);
  CHECK(message_of([] {
          limit_of("--max", "tpott=30ms", true);
        }).rfind("--max: unknown metric 'tpott'; did you mean 'tpot'?\n  metrics: fits, devices, ", 0) == 0);
}

}  // namespace
}  // namespace kvroof
