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

TEST_CASE("a token of training by hand: activations, matrices and attention") {
  TrainingCost dense = training_cost(Catalog::built_in().model("llama-2-7b"), 4096);
  // 14 x 4096 of the residual stream, three halves of 11008 and 32 heads of 256 cached elements, 2 B each
  CHECK(dense.activations.value == 32.0 * 4096 * (14 * 4096 + 2 * 3 * 11008 + 2 * 32 * 256));
  CHECK(dense.linears_per_token.value == 6 * (6738415616.0 - 32000 * 4096));   // an embedding's row is looked up
  CHECK(dense.attention_per_token.value == 3.0 * 32 * (2 * 32 * 256) * 2048);  // half of the keys on average
  CHECK(dense.width == 11008);
  CHECK(dense.states.value == 16 * 6738415616.0);
  TrainingCost one = training_cost(Catalog::built_in().model("llama-2-7b"), 1);
  CHECK(one.attention_per_token.value == 3.0 * 32 * (2 * 32 * 256));
  TrainingCost experts = training_cost(Catalog::built_in().model("mixtral-8x7b"), 4096);  // two of eight a token
  CHECK(experts.activations.value == 32.0 * 4096 * (14 * 4096 + 2 * 3 * 2 * 14336 + 2 * 8 * 256));
  CHECK(experts.width == 14336);
  Model tied = Catalog::built_in().model("llama-3.2-1b");  // its embedding is the head's matrix, which is multiplied
  CHECK(training_cost(tied, 4096).linears_per_token.value == 6 * double(count_parameters(tied).active));
}

TEST_CASE("what has no feed-forward can't be widened, and the rest is widened to the parameters asked for") {
  Model m = Catalog::built_in().model("llama-2-7b");
  i64 twice = 2 * count_parameters(m).total;
  std::optional<Model> wide = widened_to(m, twice);
  REQUIRE(wide);
  CHECK(count_parameters(*wide).total == Approx(double(twice)).epsilon(1e-4));
  CHECK(count_parameters(*wide).total >= twice);
  m.layers[0].feed_forward = NoFeedForward{};
  CHECK(!widened_to(m, twice));
  CHECK(training_cost(m, 4096).activations.value == 32.0 * 4096 * (14 * 4096 + 2 * 32 * 256));
}

TEST_CASE("latents take no room among a layer's activations, experts what a token visits") {
  TrainingCost c = training_cost(Catalog::built_in().model("deepseek-v3"), 4096);
  double layers = 61.0 * 14 * 7168, dense = 3.0 * 2 * 3 * 18432, experts = 58.0 * 2 * 3 * (8 * 2048 + 2048);
  CHECK(c.activations.value == 4096 * (layers + dense + experts));
}
