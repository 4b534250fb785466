// The closed loop of serving: known limits and laws.
#include "core/serving.h"

#include <catch2/catch.hpp>

#include "catalog/catalog.h"

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
  CHECK(s.ttft.value == Approx(s.prefill.value));
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
    CHECK(s.requests_per_second <= 1 / s.prefill.value);
    CHECK(s.requests_per_second * (s.ttft.value + double(output - 1) * s.tpot.value) == Approx(400).epsilon(0.01));
  }
  CHECK(serving({1024, 128, 0, 0.001, 0}).requests_per_second == Approx(0.001));
  CHECK(!serving({1024, 128, 8, 0, 0}, 0).stable);
}

TEST_CASE("a rate settles at the concurrency it needs, or at none") {
  Serving settled = serving({1024, 256, 0, 4, 0});
  CHECK(settled.stable);
  CHECK(settled.requests_per_second == Approx(4).epsilon(0.01));
  CHECK(!serving({1024, 256, 0, 4000, 0}).stable);
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

}  // namespace
}  // namespace kvroof
