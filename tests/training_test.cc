// Training and uptraining: shares that a reader can check by hand on Llama-2-7B.
#include <catch2/catch.hpp>

#include "catalog/catalog.h"
#include "core/training.h"

using namespace kvroof;

TEST_CASE("fewer KV heads take their share of the parameters, and nothing once the FFN is widened") {
  Model mha = Catalog::built_in().model("llama-2-7b");
  Model mqa = with_kv_heads(mha, 1);
  TrainingCost all = training_cost(mha, 4096), one = training_cost(mqa, 4096);
  // K and V of 31 heads go: 32 layers x 2 x 4096 x 31 x 128
  CHECK(all.parameters - one.parameters == 32LL * 2 * 4096 * 31 * 128);
  CHECK(one.per_token() / all.per_token() == Approx(0.86).margin(0.02));
  std::optional<Model> wide = widened_to(mqa, all.parameters);
  REQUIRE(wide);
  CHECK(training_cost(*wide, 4096).parameters == Approx(double(all.parameters)).epsilon(1e-3));
  CHECK(training_cost(*wide, 4096).per_token() / all.per_token() == Approx(1).margin(0.005));
  CHECK(all.states.value == 16.0 * double(all.parameters));
}

TEST_CASE("uptraining is 5 % of six flops a parameter and token") {
  Model m = Catalog::built_in().model("llama-2-7b");
  CHECK(uptraining_flops(m, 2e12).value == Approx(0.05 * 6 * 6738415616.0 * 2e12));
}
