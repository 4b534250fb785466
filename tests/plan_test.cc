// Plans against brute force, the front against its definition, and rows against the estimates they name.
#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "cli/axes.h"
#include "cli/plan_request.h"

namespace kvroof {
namespace {

const Catalog& catalog() { return Catalog::built_in(); }

struct Problem200 {
  Model model;
  Device device;
  Engine engine;
  RangeRule range;
  Demand demand;
  Choices choices;
  Objective objective;
};

/// Small enough to try everything, mixed enough to fail in every way.
Problem200 random_problem(std::mt19937& random) {
  auto pick = [&](auto... options) {
    std::common_type_t<decltype(options)...> list[] = {options...};
    return list[std::uniform_int_distribution<std::size_t>(0, sizeof...(options) - 1)(random)];
  };
  using Text = std::string;
  Problem200 p;
  p.model = catalog().model(pick(Text("llama-3.1-8b"), Text("gemma-3-27b"), Text("qwen3-32b"), Text("mixtral-8x7b")));
  p.device = catalog().device(pick(Text("h100-sxm"), Text("l4"), Text("mi300x"), Text("a100-sxm-40")));
  p.engine = catalog().engine(pick(Text("vllm"), Text("sglang"), Text("trtllm")));
  p.range = {0.8, 1.3};
  p.demand.load.input = pick(256, 2048, 8192);
  p.demand.load.output = pick(32, 256);
  if (pick(0, 1, 2) == 0)
    p.demand.load.rate = pick(0.2, 1.0, 5.0, 30.0);
  else
    p.demand.load.concurrency = pick(1, 3, 16, 50);
  if (pick(0, 1, 2) == 0 && !p.demand.has_rate()) p.demand.context = pick(1024, 16384);
  if (pick(0, 1)) p.demand.tpot = Seconds{pick(0.002, 0.015, 0.03, 0.08)};
  if (pick(0, 1) && p.demand.serves()) p.demand.ttft = Seconds{pick(0.05, 0.3, 2.0)};
  p.demand.pessimistic = pick(0, 1);
  p.demand.headroom = pick(0.0, 0.0, 0.2);
  p.demand.spare = pick(0, 0, 1);
  p.device.price = Price{2.0, "by hand"};
  if (pick(0, 1, 2) == 0) p.demand.dollars_per_hour = pick(3.0, 9.0, 20.0);
  p.choices.max_devices = pick(1, 4, 8, 12);
  if (pick(0, 1)) p.choices.weights = {std::nullopt, format("fp8")};
  if (pick(0, 1)) p.choices.kv = {format("bf16"), format("fp8")};
  p.objective = pick(Objective::cost, Objective::devices, Objective::throughput, Objective::energy);
  return p;
}

double wanted(const Problem200& p, const Choice& c) {
  if (p.objective == Objective::throughput) return -c.serving.tokens_per_second;
  return p.objective == Objective::energy ? double(c.devices()) / c.serving.tokens_per_second : double(c.devices());
}

/// Every layout with every number of replicas, one after the other.
std::optional<Choice> by_brute_force(const Problem200& p) {
  std::optional<Choice> best;
  std::size_t best_format = 0, format_index = 0;
  for (const auto& weights : p.choices.weights)
    for (const auto& kv : p.choices.kv) {
      ++format_index;
      for (i64 tp : {1, 2, 4, 8})
        for (i64 pp : {1, 2, 4, 8}) {
          Deployment d;
          if (weights) d.weights = *weights;
          if (kv) d.cache.key = d.cache.value = *kv;
          d.tp = tp;
          d.pp = pp;
          if (tp > (p.device.link ? p.device.link->domain : 8)) continue;
          if (!problems(p.model, p.device, d, {p.demand.tokens(), 1, 0}, p.engine).empty()) continue;
          Replica replica(p.model, p.device, d, p.engine, p.range, p.demand);
          if (replica.capacity() == 0) continue;
          for (d.dp = 1; (d.dp + p.demand.spare) * tp * pp <= p.choices.max_devices; ++d.dp) {
            Choice c{d, p.demand.spare, replica.capacity(), {}};
            if (p.demand.dollars_per_hour && 2.0 * double(c.devices()) > *p.demand.dollars_per_hour) break;
            if (!p.demand.has_rate() && double(d.dp) > p.demand.amount()) break;
            if (!meets(replica, p.demand, d.dp)) continue;
            c.serving = replica.at(p.demand.amount(), d.dp);
            auto key = [&](const Choice& x, std::size_t format) {
              return std::tuple(wanted(p, x), format, x.devices(), x.serving.tpot);
            };
            if (!best || key(c, format_index) < key(*best, best_format)) best = c, best_format = format_index;
            if (p.demand.has_rate() && p.objective == Objective::throughput) break;  // no more tokens than arrive
          }
        }
    }
  return best;
}

TEST_CASE("200 random plans equal brute force") {
  std::mt19937 random(20261124);
  int possible = 0;
  for (int i = 0; i < 200; ++i) {
    Problem200 p = random_problem(random);
    DevicePlan found = plan(p.model, p.device, p.engine, p.range, p.demand, p.choices, p.objective);
    std::optional<Choice> expected = by_brute_force(p);
    INFO("problem " << i << ": " << p.model.id << " on " << p.device.id << " with " << p.engine.id);
    REQUIRE(found.best.has_value() == expected.has_value());
    REQUIRE((found.best || found.miss.obstacle != Obstacle::none));
    if (!expected) continue;
    ++possible;
    CHECK(found.best->d.tp == expected->d.tp);
    CHECK(found.best->d.pp == expected->d.pp);
    CHECK(found.best->d.dp == expected->d.dp);
    CHECK(found.best->d.weights == expected->d.weights);
    CHECK(found.best->d.cache.key == expected->d.cache.key);
    CHECK(found.best->serving.tpot == expected->serving.tpot);
  }
  CHECK(possible > 40);
  CHECK(possible < 160);
}

Demand users_at(double users) {
  Demand d;
  d.load = {2048, 256, users, 0, 0};
  d.tpot = Seconds{0.030};
  return d;
}

TEST_CASE("a plan for n users fits; the most that its devices take and one more does not") {
  Model model = catalog().model("qwen3-32b");
  Device device = catalog().device("h100-sxm");
  Engine engine = catalog().engine("vllm");
  RangeRule range = catalog().range(device.achievable.basis);
  Choices choices;
  choices.max_devices = 8;
  auto devices = [&](i64 users) {
    DevicePlan p = plan(model, device, engine, range, users_at(double(users)), choices, Objective::devices);
    return p.best ? p.best->devices() : 999;
  };
  i64 low = 1, high = 4096;
  REQUIRE(devices(low) < 999);
  REQUIRE(devices(high) == 999);
  while (high - low > 1) {
    i64 middle = (low + high) / 2;
    (devices(middle) < 999 ? low : high) = middle;
  }
  CHECK(devices(low) == 8);
  DevicePlan over = plan(model, device, engine, range, users_at(double(low + 1)), choices, Objective::devices);
  CHECK(over.miss.obstacle == Obstacle::devices);
  CHECK(over.miss.best > 8);
  CHECK(over.miss.limit == 8);
}

TEST_CASE("more users, less time, spares and headroom never take fewer devices") {
  Model model = catalog().model("llama-3.1-8b");
  Device device = catalog().device("l40s");
  Engine engine = catalog().engine("vllm");
  auto devices = [&](const Demand& d) {
    DevicePlan p = plan(model, device, engine, {0.8, 1.3}, d, Choices{}, Objective::devices);
    return p.best ? p.best->devices() : 999;
  };
  i64 before = 0;
  for (double users : {1, 8, 40, 100, 300}) {
    i64 now = devices(users_at(users));
    CHECK(now >= before);
    before = now;
    for (auto change : {+[](Demand& d) { d.spare = 1; }, +[](Demand& d) { d.headroom = 0.5; },
                        +[](Demand& d) { d.pessimistic = true; }, +[](Demand& d) { d.tpot = Seconds{0.025}; }}) {
      Demand harder = users_at(users);
      change(harder);
      CHECK(devices(harder) >= now);
    }
  }
}

TEST_CASE("the front has no dominated point and misses none") {
  std::mt19937 random(7);
  std::uniform_int_distribution<int> speed(1, 30);
  for (int round = 0; round < 100; ++round) {
    std::vector<FrontPoint> points(std::size_t(speed(random) * 3));
    for (FrontPoint& p : points) p.user_speed = speed(random), p.device_speed = speed(random);
    std::vector<FrontPoint> front = pareto(points);
    auto beats = [](const FrontPoint& a, const FrontPoint& b) {
      return a.user_speed >= b.user_speed && a.device_speed >= b.device_speed &&
             (a.user_speed > b.user_speed || a.device_speed > b.device_speed);
    };
    for (const FrontPoint& p : points) {
      bool beaten = std::any_of(points.begin(), points.end(), [&](const FrontPoint& q) { return beats(q, p); });
      bool shown = std::any_of(front.begin(), front.end(), [&](const FrontPoint& f) {
        return f.user_speed == p.user_speed && f.device_speed == p.device_speed;
      });
      REQUIRE(shown == !beaten);
    }
  }
}

TEST_CASE("every choice is what the estimate it names says") {
  PlanRequest r;
  r.demand = users_at(48);
  r.demand.headroom = 0.25;
  r.choices.weights = {std::nullopt, format("fp8")};
  r.choices.kv = {format("fp8")};
  Model model = catalog().model("llama-3.3-70b");
  for (const char* name : {"h100-sxm", "mi300x", "b200-sxm"}) {
    Device device = catalog().device(name);
    Offer offer{device, engine_of({}, device, catalog()), catalog().range(device.achievable.basis), 64};
    DevicePlan found = plan(model, offer.device, offer.engine, offer.range, r.demand, r.choices, Objective::devices);
    INFO(name);
    REQUIRE(found.best);
    SetupOptions o = options_of(r, model, offer, *found.best);
    Setup s = setup_of(o, catalog());
    Serving expected = s.serve(*load_of(o));
    CHECK(expected.tpot == found.best->serving.tpot);
    CHECK(expected.ttft == found.best->serving.ttft);
    CHECK(expected.tokens_per_second == found.best->serving.tokens_per_second);
    CHECK(arguments_of(o).rfind("llama-3.3-70b " + std::string(name) + " --", 0) == 0);
  }
}

TEST_CASE("usually the load is as asked for, and the spare replicas are up") {
  Model model = catalog().model("llama-3.1-8b");
  Device h100 = catalog().device("h100-sxm");
  Engine engine = catalog().engine("vllm");
  RangeRule range = catalog().range(h100.achievable.basis);
  Demand d = users_at(90);
  d.tpot = Seconds{0.012};
  d.headroom = 0.25;
  d.spare = 1;
  std::optional<Choice> c = plan(model, h100, engine, range, d, Choices{}, Objective::cost).best;
  REQUIRE(c);
  CHECK(c->serving.concurrency == 113);  // 112.5 users, whole
  CHECK(c->usual.concurrency == 90);
  Setup up{model, h100, c->d, engine, range, {2048 + 256, 1, 0}};
  up.d.dp = c->d.dp + 1;
  CHECK(c->usual.tokens_per_second == Approx(up.serve(d.load).tokens_per_second).epsilon(1e-9));
  up.d.dp = c->d.dp;
  Load more = d.load;
  more.concurrency = 113;
  CHECK(c->serving.tokens_per_second == Approx(up.serve(more).tokens_per_second).epsilon(1e-9));
  CHECK(c->usual.tpot < c->serving.tpot);
  d.spare = 0;  // headroom alone
  c = plan(model, h100, engine, range, d, Choices{}, Objective::cost).best;
  CHECK(c->serving.concurrency == 113);
  CHECK(c->usual.concurrency == 90);
  Demand one = users_at(1);  // more replicas than users
  one.spare = 2;
  c = plan(model, h100, engine, range, one, Choices{}, Objective::cost).best;
  CHECK(c->usual.concurrency == 1);
  CHECK(c->usual.tokens_per_second == c->serving.tokens_per_second);
}

TEST_CASE("what stands in the way, by hand") {
  Model model = catalog().model("llama-3.1-70b");
  Engine engine = catalog().engine("vllm");
  Device l4 = catalog().device("l4");
  Choices one;
  one.max_devices = 1;
  DevicePlan memory = plan(model, l4, engine, {}, users_at(1), one, Objective::devices);
  CHECK(memory.miss.obstacle == Obstacle::memory);
  CHECK(memory.miss.limit == 0);
  // 128.5 GiB of bf16 weights and about 3 of activations and runtime, against nine tenths of an L4's 22 GiB
  CHECK(memory.miss.best / (1 << 30) == Approx(128.5 + 3 - 0.9 * 22).margin(5));
  CHECK(memory.miss.best == fit(model, l4, {}, {users_at(1).tokens(), 1, 0}, engine).shortfall.value);
  Device h100 = catalog().device("h100-sxm");
  Demand hasty = users_at(1);
  hasty.tpot = Seconds{0.001};
  DevicePlan tpot = plan(model, h100, engine, {}, hasty, Choices{}, Objective::devices);
  CHECK(tpot.miss.obstacle == Obstacle::tpot);
  CHECK(tpot.miss.best > 0.001);
  CHECK(tpot.miss.d.tp == 8);
  Deployment eight;
  eight.tp = 8;
  Replica alone_on_eight(model, h100, eight, engine, {}, hasty);
  CHECK(tpot.miss.best == alone_on_eight.tpot(alone_on_eight.at(1, 1)).value);
  Demand prompt = users_at(1);
  prompt.ttft = Seconds{0.0001};
  CHECK(plan(model, h100, engine, {}, prompt, Choices{}, Objective::devices).miss.obstacle == Obstacle::ttft);
  Demand often = prompt;
  often.load.concurrency = 0;
  often.load.rate = 2;
  double alone = plan(model, h100, engine, {}, prompt, Choices{}, Objective::devices).miss.best;
  CHECK(plan(model, h100, engine, {}, often, Choices{}, Objective::devices).miss.best == Approx(alone).epsilon(0.01));
  Demand poor = users_at(1);
  h100.price = Price{3, "by hand"};
  poor.dollars_per_hour = 5;
  DevicePlan budget = plan(model, h100, engine, {}, poor, Choices{}, Objective::cost);
  CHECK(budget.miss.obstacle == Obstacle::budget);
  CHECK(budget.miss.best == 6);  // 128.5 GiB of weights take two of 79 GiB, at $3 each
}

TEST_CASE(
    "a spare replica takes its share of the devices; decoding alone has no prompt for a prefix to be longer than") {
  Model model = catalog().model("llama-3.1-70b");
  Choices choices;
  choices.max_devices = 2;  // 128.5 GiB of weights on one device of 79 GiB, as the spare replica takes the other
  Demand d = users_at(1);
  d.spare = 1;
  CHECK(plan(model, catalog().device("h100-sxm"), catalog().engine("vllm"), {}, d, choices, Objective::devices)
            .miss.obstacle == Obstacle::memory);
  choices.max_devices = 4;  // no layout that they hold has room for 756 GiB
  CHECK(plan(catalog().model("llama-3.1-405b"), catalog().device("h100-sxm"), catalog().engine("vllm"), {}, users_at(1),
             choices, Objective::devices)
            .miss.obstacle == Obstacle::memory);
  Demand both = users_at(1);
  both.load.rate = 2;
  REQUIRE(problems(both, Choices{}).size() == 1);
  CHECK(problems(both, Choices{})[0].what == "is another way to say --users; give one");
  Demand decoding;
  decoding.context = 4096;
  decoding.load.concurrency = 10;
  decoding.load.shared_prefix = 1000;
  CHECK(problems(decoding, Choices{}).empty());
}

TEST_CASE("what is asked for, with headroom") {
  Demand users, rate;
  users.load.concurrency = 10;
  users.headroom = rate.headroom = 0.25;
  CHECK(users.amount() == 13);  // 12.5 people
  users.load.concurrency = 100;
  users.headroom = 0.1;
  CHECK(users.amount() == 110);  // and not 111 for a last digit
  rate.load.rate = 4;
  CHECK(rate.amount() == 5);
}

TEST_CASE("without prompts a replica's tokens are its users over the step of the fullest") {
  Model m = catalog().model("llama-3.1-8b");
  Device h100 = catalog().device("h100-sxm");
  Demand demand;
  demand.load.concurrency = 10;
  demand.context = 4096;
  Engine vllm = catalog().engine("vllm");
  RangeRule range{0.9, 1.2};
  Replica replica(m, h100, {}, vllm, range, demand);
  Serving s = replica.at(10, 3);  // 4, 3 and 3
  Step four = decode_step(m, h100, {}, {4096, 4, 0}, vllm, range);
  CHECK(s.tpot == four.expected);
  CHECK(s.tokens_per_second == Approx(10 / four.expected.value));
  CHECK(s.concurrency == 10);
}

TEST_CASE("a replica that holds one request serves it; decoding alone, a replica is asked for as many as it holds") {
  Model m = catalog().model("llama-3.1-8b");
  Device h100 = catalog().device("h100-sxm");
  Engine vllm = catalog().engine("vllm");
  RangeRule range{0.9, 1.2};
  Deployment d;
  d.kv_room = Bytes{1.5 * 2304 * 131072};
  Demand one = users_at(1);
  Replica alone(m, h100, d, vllm, range, one);
  CHECK(alone.capacity() == 1);
  CHECK(alone.at(1, 1).ttft.value > 0);
  CHECK(alone.link_share() == 0);  // of one device
  Serving served = alone.at(1, 1);
  one.tpot = served.tpot;
  one.ttft = served.ttft;
  CHECK(alone.in_time(served));  // a limit is met by what just meets it
  Demand decoding;
  decoding.load.concurrency = 10;
  decoding.context = 4096;
  Replica replica(m, h100, {}, vllm, range, decoding);
  CHECK(replica.at_concurrency(8).tpot == replica.at(8, 1).tpot);
  CHECK(replica.at_concurrency(8).tokens_per_second == replica.at(8, 1).tokens_per_second);
}

TEST_CASE("the fullest replica must hold its users") {
  Demand demand;
  demand.load.concurrency = 3;
  demand.context = 4096;
  Deployment d;
  d.kv_room = Bytes{1.5 * 131072 * 4096};  // one sequence and a half
  Model m = catalog().model("llama-3.1-8b");
  Device h100 = catalog().device("h100-sxm");
  Engine ideal = catalog().engine("ideal");
  RangeRule range{1, 1};
  Replica replica(m, h100, d, ideal, range, demand);
  CHECK(replica.capacity() == 1);
  CHECK(!meets(replica, demand, 2));  // two and one
  CHECK(meets(replica, demand, 3));
}

TEST_CASE("how much of a step its links take") {
  Demand demand;
  demand.load = {2048, 256, 4, 0, 0};
  Deployment d;
  d.tp = 8;
  Model m = catalog().model("llama-3.1-8b");
  Device device = catalog().device("h100-sxm");
  Engine vllm = catalog().engine("vllm");
  RangeRule range{1, 1};
  Replica replica(m, device, d, vllm, range, demand);
  Step s = decode_step(m, device, d, {2304, 1, 0}, vllm, range);
  double share = 0;
  for (const StepPart& p : s.parts)
    if (p.kind == PartKind::collectives) share = p.seconds / s.expected;
  CHECK(share > 0.05);
  CHECK(replica.link_share() == Approx(share));
}

TEST_CASE("for throughput alone each user has a replica where devices are free; a second one is no help to one user") {
  Model model = catalog().model("llama-3.1-8b");
  Device h100 = catalog().device("h100-sxm");
  Engine engine = catalog().engine("vllm");
  RangeRule range{0.9, 1.2};
  Choices choices;
  choices.max_devices = 8;
  choices.tp = {1};
  std::optional<Choice> each = plan(model, h100, engine, range, users_at(4), choices, Objective::throughput).best;
  REQUIRE(each);
  CHECK(each->d.dp == 4);
  Demand hasty = users_at(1);
  hasty.ttft = 0.999 * plan(model, h100, engine, range, hasty, Choices{}, Objective::devices).best->serving.ttft;
  Choices one;
  one.max_devices = 1;
  CHECK(plan(model, h100, engine, range, hasty, one, Objective::devices).miss.obstacle == Obstacle::ttft);
}

}  // namespace
}  // namespace kvroof
