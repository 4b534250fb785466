// The closed loop of serving: known limits and laws.
#include "core/serving.h"

#include <catch2/catch.hpp>

#include "catalog/catalog.h"
#include "core/setup.h"
#include "random_spec.h"
#include "step_by_hand.h"

namespace kvroof {
namespace {

const Catalog& catalog() { return Catalog::built_in(); }

Serving serving(Load load, i64 capacity = 1000, i64 tp = 2) {
  Deployment d;
  d.tp = tp;
  return serve(catalog().model("qwen3-32b"), catalog().device("h100-sxm"), d, catalog().engine("vllm"), load, capacity,
               {0.87, 1.18});
}

TEST_CASE("one request alone waits for nobody: TPOT is the step, TTFT the prefill") {
  Deployment d;
  d.tp = 2;
  Serving s = serving({1024, 4096, 1, 0, 0});
  Step step = decode_step(catalog().model("qwen3-32b"), catalog().device("h100-sxm"), d, {1024 + 2048, 1, 0},
                          catalog().engine("vllm"), {1, 1});
  CHECK(s.tpot.value == Approx(step.expected.value).epsilon(0.02));
  CHECK(s.ttft.value == Approx(catalog().engine("vllm").request.value + s.prefill.value));
}

TEST_CASE("Little's law: requests in the system = rate x time in it") {
  for (double concurrency : {4.0, 32.0, 200.0}) {
    Serving s = serving({1024, 256, concurrency, 0, 0});
    CHECK(s.requests_per_second * (s.ttft.value + 255 * s.tpot.value) == Approx(s.running).epsilon(1e-3));
    CHECK(s.decoding <= s.running);
  }
}

TEST_CASE("more load never lowers TPOT or TTFT; a prefix cache never raises them") {
  double tpot = 0, ttft = 0;
  for (double concurrency : {1.0, 8.0, 64.0, 256.0}) {
    Serving s = serving({2048, 256, concurrency, 0, 0});
    CHECK(s.tpot.value >= tpot);
    CHECK(s.ttft.value >= ttft);
    tpot = s.tpot.value;
    ttft = s.ttft.value;
  }
  CHECK(serving({2048, 256, 64, 0, 0.6}).tpot <= serving({2048, 256, 64, 0, 0}).tpot);
}

TEST_CASE("KV capacity caps what runs; the rest queues and shows in TTFT") {
  Serving free = serving({1024, 256, 64, 0, 0}), capped = serving({1024, 256, 64, 0, 0}, 16);
  CHECK(capped.running == 16);
  CHECK(capped.tpot < free.tpot);
  CHECK(capped.ttft > free.ttft);
}

TEST_CASE("throughput never exceeds what prefill allows, and little load costs what one request does") {
  for (i64 output : {1, 4, 64}) {
    Serving s = serving({4096, output, 400, 0, 0});
    CHECK(s.requests_per_second <= 1 / s.among_many.value);
    CHECK(s.requests_per_second * (s.ttft.value + double(output - 1) * s.tpot.value) == Approx(400).epsilon(0.01));
  }
  CHECK(serving({1024, 128, 0, 0.001, 0}).requests_per_second == Approx(0.001));
  CHECK(!serving({1024, 128, 8, 0, 0}, 0).stable);
}

TEST_CASE("a short prompt takes as long as the host launches it: 64 layers of 4 matrices and attention") {
  Deployment d;
  d.tp = 8;
  Engine vllm = catalog().engine("vllm");
  Model m = catalog().model("qwen3-32b");
  auto prefill = [&] { return prefill_time(m, catalog().device("h100-sxm"), d, vllm, 1, 0).value; };
  CHECK(prefill() == Approx(64 * 5 * vllm.prompt_op.value));
  vllm.prompt_op = {};
  CHECK(prefill() < 7e-3);  // 8.2 GB of weights, 2.9 ms at the datasheet's bandwidth
}

TEST_CASE("a second user never lowers the throughput, though all is reading prompts") {
  for (i64 output : {1, 2, 16}) {
    Serving one = serving({20'000, output, 1, 0, 0}), two = serving({20'000, output, 2, 0, 0});
    CHECK(two.requests_per_second >= one.requests_per_second * (1 - 1e-9));
  }
}

TEST_CASE("answers of one token, one a minute: requests in the system are still rate x time in it") {
  Load slow{2'000'000, 1, 2, 0, 0};
  Serving s = serving(slow);
  CHECK(s.requests_per_second < 0.1);
  CHECK(s.requests_per_second * s.ttft.value == Approx(2).epsilon(1e-9));
}

TEST_CASE("replicas without users serve none: three users of four replicas are served as three of three") {
  Setup s{catalog().model("llama-3.1-8b"), catalog().device("h100-sxm"), {}, catalog().engine("vllm"), {0.9, 1.2}, {}};
  auto served = [&](i64 dp, double users) {
    s.d.dp = dp;
    return s.serve({2048, 300, users, 0, 0});
  };
  Serving one = served(1, 1);
  for (i64 dp : {1, 4, 64}) CHECK(served(dp, 1).tokens_per_second == one.tokens_per_second);
  CHECK(served(4, 3).tokens_per_second == Approx(3 * one.tokens_per_second));
  CHECK(served(4, 3).running == Approx(3));
  CHECK(served(4, 3).decoding <= 3);
}

TEST_CASE("prompts that wait share a pass, as many as fit its tokens") {
  Deployment d;
  d.tp = 8;
  d.batched_tokens = 4096;
  Engine slow = catalog().engine("vllm");
  slow.prompt_op = {1e-3};  // 320 ms a pass, 4 prompts of 1,024 tokens fit one
  auto served = [&](double users, i64 output) {
    return serve(catalog().model("qwen3-32b"), catalog().device("h100-sxm"), d, slow, {1024, output, users, 0, 0},
                 100'000, {0.87, 1.18});
  };
  CHECK(served(1, 64).ttft.value == Approx(0.320 + slow.request.value));
  CHECK(served(2000, 1).requests_per_second == Approx(4 / 0.320).epsilon(2e-3));
  Serving one_each = served(8, 64), some = served(150, 64);
  CHECK(one_each.requests_per_second < 1 / 0.320);
  CHECK(some.requests_per_second > 2 / 0.320);  // two or three in every pass, and a token comes once a pass
  CHECK(some.tpot.value == Approx(0.320).epsilon(0.05));
}

TEST_CASE("a rate settles at the concurrency it needs, or at none") {
  Serving settled = serving({1024, 256, 0, 4, 0});
  CHECK(settled.stable);
  CHECK(settled.requests_per_second == Approx(4).epsilon(0.01));
  CHECK(!serving({1024, 256, 0, 4000, 0}).stable);
}

TEST_CASE("tokens found in the cache: those in common, or the hit rate's where that is more") {
  CHECK(Load{1000, 100, 1, 0, 0.3, 500}.cached() == 500);
  CHECK(Load{1000, 100, 1, 0, 0.6, 500}.cached() == 600);
  CHECK(Load{1000, 100, 1, 0, 0, 0}.cached() == 0);
}

TEST_CASE("a shared prefix: later prompts read the rest, as at the same hit rate; the first reads all") {
  Serving plain = serving({4096, 256, 32, 0, 0}), shared = serving({4096, 256, 32, 0, 0, 3072});
  Serving hit = serving({4096, 256, 32, 0, 0.75});
  CHECK(shared.prefill == hit.prefill);
  CHECK(shared.ttft == hit.ttft);
  CHECK(shared.tpot == hit.tpot);
  CHECK(shared.first_prefill == plain.prefill);
  CHECK(plain.first_prefill == plain.prefill);
  CHECK(shared.ttft < plain.ttft);
  CHECK(shared.tpot_low >= shared.tpot * 0.87);  // sharing lowers the floor alone, which never lifts it above that
}

/// Llama-3.1-8B keeps 131,072 B a token in bf16. Room for 4,096 + 10 x 2,048 tokens.
i64 capacity(const char* engine, i64 shared_prefix) {
  Deployment d;
  d.kv_room = Bytes{131072.0 * (4096 + 10 * 2048)};
  Setup s{catalog().model("llama-3.1-8b"), catalog().device("h100-sxm"), d, catalog().engine(engine), {0.9, 1.2}, {}};
  return s.capacity({5120, 1024, 1, 0, 0, shared_prefix});
}

TEST_CASE("a shared prefix under a load is held once: 6,144 tokens a request, 4,096 of them in common") {
  for (const char* engine : {"ideal", "vllm", "trtllm", "sglang"}) {
    INFO(engine);
    CHECK(capacity(engine, 0) == 4);      // 24,576 / 6,144
    CHECK(capacity(engine, 4096) == 10);  // (24,576 - 4,096) / 2,048
  }
  CHECK(capacity("vllm", 4111) == 10);  // whole blocks: 256 of 16 tokens, and 15 tokens that each keeps
  CHECK(capacity("llamacpp", 4096) == capacity("llamacpp", 0));  // a copy for each
  i64 before = 0;
  for (i64 shared : {0, 100, 1000, 3000, 5120}) {
    CHECK(capacity("vllm", shared) >= before);
    before = capacity("vllm", shared);
  }
}

TEST_CASE("more in common with others is never worse") {
  Seconds ttft = serving({4096, 256, 32, 0, 0}).ttft;
  for (i64 shared : {1, 1000, 4000, 4096}) {
    Serving s = serving({4096, 256, 32, 0, 0, shared});
    CHECK(s.ttft <= ttft);
    ttft = s.ttft;
  }
  CHECK(problems(Load{1000, 100, 1, 0, 0, 1000}).empty());
  CHECK(problems(Load{1000, 100, 1, 0, 0, 1001}).at(0).path == "--shared-prefix");
}

TEST_CASE("prefill of a long prompt is at least its flops at the dense peak") {
  Model m = catalog().model("llama-3.1-8b");
  Device h100 = catalog().device("h100-sxm");
  double flops = 2.0 * 8192 * double(count_parameters(m).layers);
  CHECK(prefill_time(m, h100, {}, catalog().engine("vllm"), 8192, 0).value >=
        flops / h100.peak_for(Arithmetic::bf16)->value);
  CHECK(prefill_time(m, h100, {}, catalog().engine("vllm"), 16384, 0) >
        prefill_time(m, h100, {}, catalog().engine("vllm"), 8192, 0));
}

/// A prompt chunk by chunk. `one_a_group`: what each of as many prompts as there are groups takes.
struct PromptByHand {
  double kernels = 0, host = 0;
};

PromptByHand prompt_by_hand(const Setup& s, i64 input, i64 found, bool one_a_group) {
  double cached = double(std::min(found, input - 1));
  PromptByHand sum;
  while (cached < double(input)) {
    double tokens = std::min(double(s.d.batched_tokens), double(input) - cached);
    StepByHand pass = StepByHand::prompt(s, tokens, cached, one_a_group);
    sum.kernels += pass.seconds();
    sum.host += pass.launching;
    cached += tokens;
  }
  return sum;
}

/// Something to serve, made of what the spec was to decode.
Load load_of(const Setup& s) {
  Load load;
  load.input = std::min<i64>(s.w.context, 40'000);
  load.output = 1 + s.w.batch % 300;
  load.shared_prefix = std::min(s.w.shared_prefix, load.input);
  (s.w.query_tokens == 1 ? load.concurrency : load.rate) = double(s.w.batch) / 4;
  return load;
}

TEST_CASE("a prompt is the sum of its chunks where its last but one fills the window") {
  Model m = catalog().model("mistral-7b-v0.1");  // windows of 4,096 tokens
  Device h100 = catalog().device("h100-sxm");
  Engine vllm = catalog().engine("vllm");
  Deployment d;
  d.batched_tokens = 512;
  Seconds sum;
  for (i64 k = 0; k < 9; ++k) sum += prefill_time(m, h100, d, vllm, (k + 1) * 512, k * 512);
  CHECK(prefill_time(m, h100, d, vllm, 9 * 512, 0).value == Approx(sum.value).epsilon(1e-9));
}

TEST_CASE("a prompt is the sum of its chunks", "[property]") {
  Held o = hold(
      [](const Setup& s) -> std::optional<std::string> {
        if (s.device.memory.size() > 1 && !ByHand{s}.knows_stages()) return std::nullopt;
        Load load = load_of(s);
        for (bool groups : {false, true}) {
          PromptByHand prompt = prompt_by_hand(s, load.input, load.cached(), groups);
          double hand = prompt.kernels;
          double core = prompt_kernels(s.model, s.device, s.d, s.engine, load.input, load.cached(),
                                       groups ? Prompts::one_a_group : Prompts::one)
                            .value;
          double read = prefill_time(s.model, s.device, s.d, s.engine, load.input, load.cached()).value;
          if (!groups && !close(read, std::max(core, prompt.host), 1e-9))
            return differs("host", read, std::max(core, prompt.host));
          // Straight lines between corners; where memory stops binding in a chunk between them the sum is a bit lower.
          bool exact = load.input - load.cached() <= 2 * s.d.batched_tokens;
          bool straight = s.d.eviction.kind == EvictionKind::none;
          if (exact ? !close(core, hand, 1e-9) : core < hand * (straight ? 1 - 1e-9 : 0.9) || core > hand * 1.1)
            return differs("prompt", core, hand);
        }
        return std::nullopt;
      },
      4000, 3);
  INFO(o.counterexample);
  CHECK(o.counterexample.empty());
}

/// A step of a real number of sequences, in the middle of an answer.
double step_by_hand(Setup s, const Load& load, double batch) {
  auto at = [&](double whole) {
    s.w = {load.input + load.output / 2, i64(whole), load.shared_prefix, 1};
    return StepByHand::decode(s).seconds();
  };
  batch = std::max(1.0, batch);
  double below = std::floor(batch);
  return at(below) + (batch == below ? 0 : (batch - below) * (at(below + 1) - at(below)));
}

/// The equations of docs/how-it-computes.md hold for what the loop came to.
std::optional<std::string> loop_differs(const Setup& s) {
  if (s.device.memory.size() > 1 && !ByHand{s}.knows_stages()) return std::nullopt;
  Load load = load_of(s);
  double most = double(std::min<i64>(s.capacity(load), 1 << 16)), replicas = double(s.d.dp);
  if (load.rate == 0) replicas = std::min(replicas, std::max(1.0, load.concurrency));
  Serving got = s.serve(load);
  if (most == 0) return got.stable ? std::optional<std::string>("serves what does not fit") : std::nullopt;
  double x = got.requests_per_second / replicas, running = got.running / replicas, tpot = got.tpot.value;
  auto kernels_of = [&](Prompts prompts) {
    return prompt_kernels(s.model, s.device, s.d, s.engine, load.input, load.cached(), prompts).value;
  };
  auto read = [&](i64 found) { return prefill_time(s.model, s.device, s.d, s.engine, load.input, found).value; };
  double host = prompt_by_hand(s, load.input, load.cached(), false).host, kernels = kernels_of(Prompts::one);
  double work = s.d.attention_dp > 1 ? kernels_of(Prompts::one_a_group) : kernels;
  double unread = double(load.input - std::min(load.cached(), load.input - 1));
  double a_pass = double(s.d.attention_dp) * std::max(1.0, std::floor(double(s.d.batched_tokens) / unread));
  double others = running > 1 ? 1 - 1 / running : 0, ttft = got.ttft.value;
  double stages = s.engine.pipelined ? std::min(double(s.d.pp), std::max(1.0, running)) : 1;
  double decoding = x * double(load.output - 1) * tpot, here = load.concurrency / replicas;
  double waits = load.rate == 0 && here > running ? (here - running) / x : 0;
  // How many prompts share a pass follows from how many arrive during one.
  double step = step_by_hand(s, load, decoding), up = others / stages * (1 - s.engine.prefill_overlap);
  double together = std::clamp(x * tpot, 1.0, a_pass), extra = std::max(together * work, host - step);
  double hand_tpot = together == 1 ? step / (1 - x * up * extra)
                     : together == a_pass && a_pass > 1
                         ? step / (1 - x / together * up * extra)
                         : std::max(step / (1 - x * up * work), step + up * std::max(0.0, host - step));
  double used = x * std::max(work, host / a_pass) / stages, pass = std::max(together * kernels, host);
  double reading = std::min(1.0, x / together * std::max(together * work, host) / stages);
  double wait = others * (reading * pass + (1 - reading) * step) / 2 / (1 - used);
  wait = std::min(wait, (std::max(1.0, running) - 1) * std::max(work, host / a_pass) / stages + step);
  constexpr double near = 1e-6;
  auto check = [](const char* what, double core, double hand) {
    return close(core, hand, near) ? std::nullopt : std::optional<std::string>(differs(what, core, hand));
  };
  bool full = decoding > 0.999 * most;  // what runs is what memory admits, and the loop stops short of the users
  for (auto& found :
       {check("prefill", got.prefill.value, read(load.cached())),
        check("first prefill", got.first_prefill.value, read(load.shared_prefix > 0 ? 0 : load.cached())),
        check("decoding", got.decoding / replicas, decoding), check("tpot", tpot, full ? tpot : hand_tpot),
        check("ttft", ttft, s.engine.request.value + pass + wait + waits),
        check("in the system", full ? running : x * (ttft - waits + double(load.output - 1) * tpot), running),
        check("tokens/s", got.tokens_per_second, got.requests_per_second * double(load.output)),
        check("high", got.tpot_high.value, s.range.high * tpot),
        check("rate", load.rate > 0 && got.stable ? got.requests_per_second : load.rate, load.rate),
        check("users", load.rate > 0 ? got.concurrency : load.concurrency,
              load.rate > 0 ? got.running : got.concurrency)})
    if (found) return found;
  if (running > most * (1 + near)) return differs("more run than fit", running, most);
  return std::nullopt;
}

TEST_CASE("a closed loop obeys its equations: users, prompts, steps and queue", "[property]") {
  Held o = hold(loop_differs, 1000, 5);
  INFO(o.counterexample);
  CHECK(o.counterexample.empty());
}

TEST_CASE("a measured step sets the pace under a load too, but no faster than the floor") {
  auto tpot = [&](double anchor) {
    Setup s{catalog().model("qwen3-32b"), catalog().device("h100-sxm"), {}, catalog().engine("vllm"), {0.9, 1.2}, {}};
    s.anchor = anchor;
    s.d.tp = 2;
    Serving one = s.serve({1024, 256, 1, 0, 0});
    CHECK(one.basis == (anchor == 1 ? Basis::measured_kernels : Basis::observed));
    return one.tpot.value;
  };
  CHECK(tpot(2) == Approx(2 * tpot(1)).epsilon(1e-6));
  Setup s{catalog().model("qwen3-32b"), catalog().device("h100-sxm"), {}, catalog().engine("vllm"), {0.9, 1.2}, {}};
  s.d.tp = 2;
  s.w = {1024 + 128, 1, 0};
  CHECK(tpot(1e-3) == Approx(s.step().floor.value).epsilon(1e-6));
}

TEST_CASE("what can't be served is told whole") {
  auto said = [](const Load& load) {
    std::string text;
    for (const Problem& p : problems(load)) text += p.path + " " + p.what + "; ";
    return text;
  };
  CHECK(said({1, 1, 1, 0, 0}).empty());
  CHECK(said({0, 1, 1, 0, 0}) == "--input must be at least 1 token; ");
  CHECK(said({1, 0, 1, 0, 0}) == "--output must be at least 1 token; ");
  CHECK(said({1, 1, 1, 0, 0, 2}) == "--shared-prefix is 2, more than the prompt of 1 tokens (--input); ");
  CHECK(said({9, 1, 1, 0, 1}).empty());
  for (double hit : {-0.1, 1.1}) CHECK(said({9, 1, 1, 0, hit}) == "--cache-hit must lie in [0, 1]; ");
  CHECK(said({9, 1, 0.5, 0.5, 0}) == "--rate and --concurrency exclude each other; ");
}

TEST_CASE("answers of one token never decode; what a step alone serves") {
  Serving s = serving({1024, 1, 0, 2, 0});
  CHECK(s.stable);
  CHECK(s.decoding == 0);
  Step step;
  step.expected = {0.02};
  CHECK(served_by_step(step, 10).tokens_per_second == Approx(500));
}

TEST_CASE("under little load TPOT's range begins at the floor of one sequence") {
  Setup s{catalog().model("qwen3-32b"), catalog().device("h100-sxm"), {}, catalog().engine("vllm"), {0.01, 1.2}, {}};
  s.d.tp = 2;
  s.w = {1024 + 128, 1, 0};
  CHECK(s.serve({1024, 256, 1, 0, 0}).tpot_low == s.step().floor);
  CHECK(s.serve({1024, 1, 4, 0, 0}).decoding == 0);  // an answer of one token never decodes
}

TEST_CASE("one group's prompt: its attention's matrices may wait for arithmetic before those of the feed-forward do") {
  // In 34 bytes for 32 elements its matrices wait from 17/32 of the rows on, but a step of both groups, each with half
  // of the rows, has the feed-forward wait first.
  Setup s{catalog().model("llama-3.1-8b"), catalog().device("a100-sxm-80"), {}, catalog().engine("vllm"), {1, 1}, {}};
  s.model.weights.attention = format("q8_0");
  s.device.peak = {};
  s.device.peak[int(Arithmetic::bf16)] = FlopRate{312e12};
  s.device.achievable.linears = {};
  s.device.achievable.overlap.hidden = 1;
  s.d.tp = s.d.attention_dp = 2;
  for (i64 tokens = 25; tokens <= 600; tokens += 25) {
    CAPTURE(tokens);
    double hand = StepByHand::prompt(s, double(tokens), 0, false).seconds();
    CHECK(prompt_kernels(s.model, s.device, s.d, s.engine, tokens, 0, Prompts::one).value ==
          Approx(hand).epsilon(1e-9));
  }
}

}  // namespace
}  // namespace kvroof
