// Parameter counts against published totals, to the last digit.
#include "core/parameters.h"

#include <catch2/catch.hpp>

#include "catalog/catalog.h"

namespace kvroof {
namespace {

TEST_CASE("published totals") {
  struct {
    const char* model;
    i64 total;
  } rows[] = {{"llama-2-7b", 6738415616},     {"llama-2-70b", 68976648192},      {"llama-3.1-8b", 8030261248},
              {"llama-3.1-70b", 70553706496}, {"mistral-7b-v0.1", 7241732096},   {"mixtral-8x7b", 46702792704},
              {"qwen2.5-7b", 7615616512},     {"qwen3-0.6b", 596049920},         {"qwen3-30b-a3b", 30532122624},
              {"deepseek-v3", 671026419200},  {"deepseek-v2-lite", 15706484224}, {"gemma-7b", 8537680896},
              {"gemma-2-9b", 9241705984},     {"t5-v1.1-xxl", 11135332352},      {"phi-2", 2779683840},
              {"bloom-176b", 176247271424},   {"falcon-180b", 179522565120}};
  for (const auto& row : rows) {
    INFO(row.model);
    CHECK(count_parameters(Catalog::built_in().model(row.model)).total == row.total);
  }
}

TEST_CASE("every total that the catalogue calls exact is exact") {
  const Catalog& catalog = Catalog::built_in();
  int exact = 0;
  for (const std::string& id : catalog.ids("models")) {
    Model m = catalog.model(id);
    if (!m.published_exact) continue;
    INFO(id);
    CHECK(count_parameters(m).total == m.published_parameters);
    ++exact;
  }
  CHECK(exact >= 92);
}

TEST_CASE("Llama-3-8B reads all but its input embedding in a step") {
  Parameters p = count_parameters(Catalog::built_in().model("llama-3-8b"));
  CHECK((p.total - p.input_embedding) * 2 == 15009849344);
}

TEST_CASE("active parameters: DeepSeek-V3 about 37 B, Mixtral 12.9 B") {
  CHECK(count_parameters(Catalog::built_in().model("deepseek-v3")).active == 37552297472);
  CHECK(count_parameters(Catalog::built_in().model("mixtral-8x7b")).active == Approx(12.9e9).epsilon(0.01));
}

TEST_CASE("biases of experts that a token passes by are not active") {
  Model m = Catalog::built_in().model("gpt-oss-120b"), plain = m;  // 36 layers, 4 of 128 experts, 3 x 2880 biases each
  for (LayerGroup& g : plain.layers) std::get<MoeFeedForward>(g.feed_forward).bias = false;
  CHECK(count_parameters(m).total - count_parameters(plain).total == 36 * 128 * 3 * 2880);
  CHECK(count_parameters(m).active - count_parameters(plain).active == 36 * 4 * 3 * 2880);
}

TEST_CASE("shrinking KV heads removes their projections: Llama-2-7B as GQA-8 is 12 % smaller") {
  Model m = Catalog::built_in().model("llama-2-7b");
  double before = double(count_parameters(m).total), after = double(count_parameters(with_kv_heads(m, 8)).total);
  CHECK(after / before == Approx(0.8805).epsilon(0.001));
}

TEST_CASE("MLA spelled out as MHA: 128 heads with keys of 128 + 64 and values of 128") {
  Model mha = with_kv_heads(Catalog::built_in().model("deepseek-v3"), 0);
  const Heads* heads = heads_of(mha.layers[0].attention);
  REQUIRE(heads);
  CHECK(std::array{heads->query, heads->kv, heads->key_dim, heads->value_dim} ==
        std::array<i64, 4>{128, 128, 192, 128});
}

TEST_CASE("a token of an answer passes no encoder") {
  Parameters p = count_parameters(Catalog::built_in().model("llama-3.2-11b-vision"));
  CHECK(p.encoder == 867749395);
  CHECK(p.active == p.total - p.encoder);
}

}  // namespace
}  // namespace kvroof
