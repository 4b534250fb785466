// Sizes nobody has yet and numbers nobody means: exact where they can be, refused with a reason where not. Under the
// sanitizers an overflow would end these tests.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <limits>

#include "catalog/catalog.h"
#include "core/setup.h"

namespace kvroof {
namespace {

const Catalog& catalog() { return Catalog::built_in(); }

std::string text_of(const std::vector<Problem>& problems) {
  std::string text;
  for (const Problem& p : problems) text += p.path + ": " + p.what + (p.hint.empty() ? "" : " (" + p.hint + ")") + "\n";
  return text;
}

/// A thousand groups, no two alike: full attention of 1 to 1000 KV heads of one element each.
Model of_many_groups(i64 layers_each) {
  Model m;
  m.id = "many";
  m.hidden = 64;
  m.vocab = 1000;
  for (i64 i = 1; i <= 1000; ++i)
    m.layers.push_back({.count = layers_each,
                        .attention = FullAttention{{i, i, 1, 1}},
                        .projections = {},
                        .feed_forward = DenseFeedForward{i, 3, false}});
  return m;
}

TEST_CASE("a million tokens, a hundred thousand sequences, ten thousand devices: bytes to the last one", "[limits]") {
  Setup s{.model = catalog().model("llama-3.1-405b"),  // 126 layers, 8 KV heads of 128, bf16
          .device = catalog().device("h100-sxm"),
          .d = {},
          .engine = catalog().engine("ideal"),
          .range = {0.8, 1.3},
          .w = {1'000'000, 100'000, 0}};
  s.d.tp = 8;
  s.d.pp = 10;
  s.d.dp = 125;
  REQUIRE(s.d.devices() == 10'000);
  CHECK(text_of(s.problems()).empty());
  CHECK(sequence_cache(s.model, 1'000'000, s.d).value == 126.0 * 8 * 256 * 2 * 1'000'000);
  Step step = s.step();
  double cache = 126.0 * 256 * 2 * 1e6 * 10'000;  // one KV head a rank, 10,000 sequences in each of ten stages
  CHECK(step.floor_memory.value > cache / 3.35e12);
  CHECK(step.floor_memory.value == Approx(cache / 3.35e12).epsilon(0.01));
  CHECK(std::isfinite(step.high.value));
  CHECK(!s.memory().fits);
}

TEST_CASE("a thousand layer groups are the sum of a thousand groups", "[limits]") {
  Model m = of_many_groups(65);
  CHECK(text_of(problems(m)).empty());
  CHECK(sequence_cache(m, 1000, {}).value == 65.0 * 1000 * (1000 * 1001 / 2) * 2 * 2);
  for (const char* id : {"ideal", "vllm", "sglang", "trtllm", "llamacpp"}) {
    Setup s{m, catalog().device("h200-sxm"), {}, catalog().engine(id), {0.8, 1.3}, {1000, 1, 0}};
    INFO(id);
    CHECK(text_of(s.problems()).empty());
    CHECK(std::isfinite(s.step().expected.value));
    CHECK(s.memory().max_sequences >= 0);
  }
}

TEST_CASE("stages that would take minutes to lay out are refused", "[limits]") {
  Setup s{of_many_groups(65), catalog().device("h200-sxm"), {}, catalog().engine("vllm"), {0.8, 1.3}, {1000, 1, 0}};
  s.d.pp = 1000;
  CHECK(text_of(s.problems()) ==
        "--pp: 1000 stages of 65000 layers in 1000 groups are more than can be laid out "
        "(write layers that are alike as one group)\n");
  s.d.pp = 2;
  CHECK(text_of(s.problems()).rfind("--pp: 2 stages of 65000 layers in 1000 groups", 0) == 0);
  s.d.pp = 1;
  CHECK(text_of(s.problems()).empty());
}

TEST_CASE("devices of impossible figures", "[limits]") {
  constexpr double least = std::numeric_limits<double>::denorm_min();
  Device device = catalog().device("h100-sxm");
  auto with = [&](auto change) {
    Device d = device;
    change(d);
    return text_of(problems(d));
  };
  CHECK(with([](Device& d) { d.memory[0].capacity = {0x1p53}; }).empty());
  CHECK(with([](Device& d) { d.memory[0].capacity = {0x1.0000000000001p53}; }) ==
        "memory[0].capacity: is more than 8 PiB (bytes stay exact only below 2^53)\n");
  CHECK(with([](Device& d) { d.memory[0].capacity = {INFINITY}; }) ==
        "memory[0].capacity: must be more than 0 bytes\n"
        "memory[0].capacity: is more than 8 PiB (bytes stay exact only below 2^53)\n");
  CHECK(with([](Device& d) { d.memory[0].bandwidth = {least}; }) ==
        "memory[0].bandwidth: must lie between 1 and 1e21 B/s\n");
  CHECK(with([](Device& d) { d.memory[0].bandwidth = {-1}; }) == "memory[0].bandwidth: must be more than 0 B/s\n");
  CHECK(with([](Device& d) { d.memory[0].bandwidth = {NAN}; }) == "memory[0].bandwidth: must be more than 0 B/s\n");
  CHECK(with([](Device& d) { d.peak[int(Arithmetic::bf16)] = FlopRate{1e300}; }) ==
        "peak.bf16: must lie between 1 and 1e21 flop/s\n");
  CHECK(with([](Device& d) { d.achievable.compute = 1; }).empty());
  CHECK(with([](Device& d) { d.achievable.compute = least; }) == "achievable.compute: must lie in (0, 1]\n");
}

TEST_CASE("cells of a tiny window over 2^40 tokens stay within 63 bits", "[limits]") {
  Model m;
  m.id = "tiny";
  m.hidden = m.vocab = 1;
  m.layers.push_back(
      {.count = 1, .attention = SlidingAttention{{1, 1, 1, 1}, 1}, .projections = {}, .feed_forward = {}});
  for (bool unified : {true, false}) {
    Setup s{m, catalog().device("h200-sxm"), {}, catalog().engine("llamacpp"), {0.8, 1.3}, {i64(1) << 40, 1, 0}};
    s.d.unified = unified;
    CHECK(text_of(s.problems()).empty());
    Memory memory = s.memory();
    CHECK(memory.max_sequences > 0);
    CHECK(memory.max_tokens / (i64(1) << 40) == memory.max_sequences);
  }
}

TEST_CASE("measured sizes beyond what stays exact", "[limits]") {
  Setup s{catalog().model("qwen3-0.6b"), catalog().device("h200-sxm"), {}, catalog().engine("vllm"), {0.8, 1.3}, {}};
  s.d.kv_room = Bytes{1e300};
  CHECK(text_of(s.problems()) == "--kv-room: is more than 8 PiB (bytes stay exact only below 2^53)\n");
}

/// A number of a model, and what it may be.
struct ModelLimit {
  std::string path;
  i64 least, most;
  std::function<void(Model&, i64)> set;
};

template <class Kind>
Kind& attention_of(Model& m) {
  if (!std::holds_alternative<Kind>(m.layers[0].attention)) m.layers[0].attention = Kind{};
  Kind& kind = std::get<Kind>(m.layers[0].attention);
  if constexpr (requires { kind.heads.kv; }) kind.heads = {1, 1, 1, 1};
  return kind;
}

LatentAttention& latent_of(Model& m) {
  auto& a = attention_of<LatentAttention>(m);
  a = {};
  a.query_heads = a.kv_lora_rank = a.value_dim = 1;
  a.indexer = Indexer{1, 1, 1};
  return a;
}

RecurrentState& state_of(Model& m) {
  auto& a = attention_of<RecurrentState>(m);
  a = {0, 0, 1, 0};
  return a;
}

MoeFeedForward& moe_of(Model& m) {
  MoeFeedForward moe;
  moe.experts = moe.top_k = moe.width = 1;
  m.layers[0].feed_forward = moe;
  return std::get<MoeFeedForward>(m.layers[0].feed_forward);
}

TEST_CASE("every number of a model has limits, and its message says them", "[limits]") {
  constexpr i64 heads = 1 << 16, dim = 1 << 20, hidden = 1 << 22, tokens = i64(1) << 40, elements = i64(1) << 45;
  const std::string a = "layers[0].attention", f = "layers[0].feed_forward";
  const std::vector<ModelLimit> limits = {
      {"hidden", 1, hidden, [](Model& m, i64 n) { m.hidden = n; }},
      {"vocab", 1, i64(1) << 32, [](Model& m, i64 n) { m.vocab = n; }},
      {"position_embeddings", 0, i64(1) << 32, [](Model& m, i64 n) { m.position_embeddings = n; }},
      {"encoder_weights", 0, elements, [](Model& m, i64 n) { m.encoder_weights = n; }},
      {"other_weights", 0, elements, [](Model& m, i64 n) { m.other_weights = n; }},
      {"layers[0].count", 1, 1 << 16, [](Model& m, i64 n) { m.layers[0].count = n; }},
      {"layers[0].norms", 0, 16, [](Model& m, i64 n) { m.layers[0].norms = n; }},
      {"layers[0].other_weights", 0, elements, [](Model& m, i64 n) { m.layers[0].other_weights = n; }},
      {a + ".q_heads", 1, heads, [](Model& m, i64 n) { attention_of<FullAttention>(m).heads.query = n; }},
      {a + ".kv_heads", 1, heads,
       [](Model& m, i64 n) {
         attention_of<FullAttention>(m).heads = {heads, n, 1, 1};
       }},
      {a + ".head_dim", 1, dim, [](Model& m, i64 n) { attention_of<FullAttention>(m).heads.key_dim = n; }},
      {a + ".value_dim", 1, dim, [](Model& m, i64 n) { attention_of<FullAttention>(m).heads.value_dim = n; }},
      {a + ".window", 1, tokens, [](Model& m, i64 n) { attention_of<SlidingAttention>(m).window = n; }},
      {a + ".chunk", 1, tokens, [](Model& m, i64 n) { attention_of<ChunkedAttention>(m).chunk = n; }},
      {a + ".encoder_tokens", 1, tokens, [](Model& m, i64 n) { attention_of<CrossAttention>(m).encoder_tokens = n; }},
      {a + ".q_heads", 1, heads, [](Model& m, i64 n) { latent_of(m).query_heads = n; }},
      {a + ".kv_lora_rank", 1, dim, [](Model& m, i64 n) { latent_of(m).kv_lora_rank = n; }},
      {a + ".rope_dim", 0, dim, [](Model& m, i64 n) { latent_of(m).rope_dim = n; }},
      {a + ".nope_dim", 0, dim, [](Model& m, i64 n) { latent_of(m).nope_dim = n; }},
      {a + ".value_dim", 1, dim, [](Model& m, i64 n) { latent_of(m).value_dim = n; }},
      {a + ".q_lora_rank", 0, dim, [](Model& m, i64 n) { latent_of(m).q_lora_rank = n; }},
      {a + ".indexer.heads", 0, heads, [](Model& m, i64 n) { latent_of(m).indexer->heads = n; }},
      {a + ".indexer.head_dim", 0, dim, [](Model& m, i64 n) { latent_of(m).indexer->head_dim = n; }},
      {a + ".indexer.top_k", 1, tokens, [](Model& m, i64 n) { latent_of(m).indexer->top_k = n; }},
      {a + ".conv", 0, tokens, [](Model& m, i64 n) { state_of(m).conv_elements = n; }},
      {a + ".state", 0, tokens, [](Model& m, i64 n) { state_of(m).state_elements = n; }},
      {a + ".heads", 1, heads, [](Model& m, i64 n) { state_of(m).heads = n; }},
      {a + ".weights", 0, tokens, [](Model& m, i64 n) { state_of(m).weights = n; }},
      {f + ".width", 1, hidden * 8,
       [](Model& m, i64 n) {
         m.layers[0].feed_forward = DenseFeedForward{n, 3, false};
       }},
      {f + ".experts", 1, heads, [](Model& m, i64 n) { moe_of(m).experts = n; }},
      {f + ".top_k", 1, heads,
       [](Model& m, i64 n) {
         moe_of(m).experts = heads, std::get<MoeFeedForward>(m.layers[0].feed_forward).top_k = n;
       }},
      {f + ".width", 1, hidden * 8, [](Model& m, i64 n) { moe_of(m).width = n; }},
      {f + ".shared_width", 0, hidden * 8, [](Model& m, i64 n) { moe_of(m).shared_width = n; }},
      {f + ".expert_hidden", 0, hidden, [](Model& m, i64 n) { moe_of(m).expert_hidden = n; }},
  };
  Model plain = of_many_groups(1);
  plain.layers.resize(1);
  plain.hidden = plain.vocab = 1;
  for (const ModelLimit& limit : limits) {
    auto said = [&](i64 value) {
      Model m = plain;
      limit.set(m, value);
      return text_of(problems(m));
    };
    INFO(limit.path);
    CHECK(said(limit.least).empty());
    CHECK(said(limit.most).empty());
    std::string range = fmt::format(", expected {} to {}\n", limit.least, limit.most);
    CHECK(said(limit.least - 1).find(fmt::format("{}: is {}{}", limit.path, limit.least - 1, range)) == 0);
    CHECK(said(limit.most + 1).find(fmt::format("{}: is {}{}", limit.path, limit.most + 1, range)) == 0);
  }
}

TEST_CASE("what no single number shows: heads that don't divide, more chosen than there are, too many layers",
          "[limits]") {
  Model m = of_many_groups(1);
  m.layers.resize(1);
  attention_of<FullAttention>(m).heads = {6, 4, 1, 1};
  CHECK(text_of(problems(m)) ==
        "layers[0].attention.kv_heads: 4 does not divide the 6 query heads (every group of query heads shares one KV "
        "head)\n");
  attention_of<FullAttention>(m).heads = {8, 4, 1, 1};
  moe_of(m).top_k = 2;
  CHECK(text_of(problems(m)) == "layers[0].feed_forward.top_k: is more than the number of experts\n");
  moe_of(m).experts = 2;
  CHECK(problems(m).empty());
  m.layers.clear();
  CHECK(text_of(problems(m)) == "layers: a model needs at least one layer group\n");
  CHECK(problems(of_many_groups(65)).empty());
  Model many = of_many_groups(65);
  many.layers[0].count = 65 + 65'536 - 65'000;
  CHECK(problems(many).empty());
  ++many.layers[0].count;
  CHECK(text_of(problems(many)) == "layers: more than 65,536 layers in all\n");
}

TEST_CASE("a model of 1e15 parameters is the largest, whatever they are", "[limits]") {
  Model plain = of_many_groups(1);
  plain.layers.resize(1);
  plain.hidden = 1 << 20;
  plain.vocab = 1;
  const std::function<void(Model&)> large[] = {
      [](Model& m) { m.vocab = i64(1) << 30; },
      [](Model& m) { m.layers[0].other_weights = i64(1) << 45, m.layers[0].count = 30; },
      [](Model& m) {
        attention_of<FullAttention>(m).heads = {1 << 16, 1, 4096, 4096};
      },
      [](Model& m) {
        latent_of(m) = {}, latent_of(m).query_heads = 1 << 16,
        std::get<LatentAttention>(m.layers[0].attention).value_dim = 1 << 16;
      },
      [](Model& m) { state_of(m).weights = i64(1) << 40, m.layers[0].count = 1000; },
      [](Model& m) {
        m.layers[0].feed_forward = DenseFeedForward{1 << 24, 3, false}, m.layers[0].count = 20;
      },
      [](Model& m) { moe_of(m).experts = 1 << 16, std::get<MoeFeedForward>(m.layers[0].feed_forward).width = 1 << 14; },
      [](Model& m) { moe_of(m).shared_width = 1 << 24, m.layers[0].count = 20; },
  };
  for (const auto& grow : large) {
    Model m = plain;
    CHECK(problems(m).empty());
    grow(m);
    CHECK(text_of(problems(m)) == "layers: more than 1e15 parameters (check the widths)\n");
  }
}

TEST_CASE("what can't be laid out is told by the option that asks for it", "[limits]") {
  const Catalog& c = catalog();
  auto said = [&](const char* model, auto set, const char* engine = "vllm") {
    Setup s{c.model(model), c.device("h100-sxm"), {}, c.engine(engine), {1, 1}, {}};
    set(s);
    return text_of(s.problems());
  };
  const char* dense = "llama-3.1-8b";
  constexpr i64 most = 1 << 20;
  CHECK(said(dense, [](Setup& s) { s.d.tp = 0; }) == "--tp: is 0, expected 1 to 1048576\n");
  CHECK(said(dense, [](Setup& s) { s.d.pp = most + 1; }) == "--pp: is 1048577, expected 1 to 1048576\n");
  CHECK(said(dense, [](Setup& s) { s.d.dp = most; }).empty());
  CHECK(said(dense, [](Setup& s) { s.d.dp = most + 1; }) == "--dp: is 1048577, expected 1 to 1048576\n");
  CHECK(said("mixtral-8x7b", [](Setup& s) { s.d.tp = 4, s.d.ep = 2; }) ==
        "--ep: 2 must equal tp (4): experts are split over the tensor-parallel ranks\n");
  CHECK(said(dense, [](Setup& s) { s.d.kv_room = Bytes{0}; }).empty());
  auto one_head = [](Setup& s) {
    s.model.layers[0].attention = FullAttention{{1, 1, 128, 128}};
    s.d.tp = 2;
  };
  CHECK(said(dense, one_head) == "--tp: 2 does not divide the 1 query heads of llama-3.1-8b (use a divisor of 1)\n");
  CHECK(said(dense, [](Setup& s) { s.d.ep = 0; }) == "--ep: is 0, expected 1 to 1048576\n");
  CHECK(said(dense, [](Setup& s) { s.w.context = 0; }) == "--context: is 0, expected 1 to 1099511627776\n");
  CHECK(said(dense, [](Setup& s) { s.w.context = (i64(1) << 40) + 1; }) ==
        "--context: is 1099511627777, expected 1 to 1099511627776\n");
  CHECK(said(dense, [](Setup& s) { s.w.batch = (i64(1) << 32) + 1; }) ==
        "--batch: is 4294967297, expected 1 to 4294967296\n");
  CHECK(said(dense, [](Setup& s) { s.w.shared_prefix = 4096; }).empty());
  CHECK(said(dense, [](Setup& s) { s.w.shared_prefix = 4097; }) ==
        "--shared-prefix: is 4097, expected 0 to the context of 4096\n");
  CHECK(said(dense, [](Setup& s) { s.w.shared_prefix = -1; }) ==
        "--shared-prefix: is -1, expected 0 to the context of 4096\n");
  CHECK(said(dense, [](Setup& s) { s.d.tp = 5; }) ==
        "--tp: 5 does not divide the 32 query heads of llama-3.1-8b (use a divisor of 32)\n");
  CHECK(said("phi-4", [](Setup& s) { s.d.tp = 4; }) ==
        "--tp: 4 neither divides the 10 KV heads of phi-4 nor is a multiple of them, which vllm needs\n");
  CHECK(said(
            "phi-4", [](Setup& s) { s.d.tp = 4; }, "ideal")
            .empty());
  CHECK(said(dense, [](Setup& s) { s.d.pp = 33; }) == "--pp: 33 is more than the 32 layers of llama-3.1-8b\n");
  CHECK(said(dense, [](Setup& s) { s.d.pp = 32; }).empty());
  CHECK(said(dense, [](Setup& s) { s.d.ep = s.d.tp = 2; }) == "--ep: llama-3.1-8b has no experts to split\n");
  CHECK(said("mixtral-8x7b", [](Setup& s) { s.d.ep = s.d.tp = 8; }).empty());
  CHECK(said("mixtral-8x7b", [](Setup& s) { s.d.ep = s.d.tp = 16; }) ==
        "--ep: 16 ranks for the 8 experts of mixtral-8x7b\n");
  CHECK(said("mixtral-8x7b", [](Setup& s) { s.d.ep = 4; }) ==
        "--ep: 4 must equal tp (1): experts are split over the tensor-parallel ranks\n");
  CHECK(said(dense, [](Setup& s) { s.d.expert_skew = 1; }) ==
        "--expert-skew: llama-3.1-8b has no experts for tokens to fall on\n");
  CHECK(said("mixtral-8x7b", [](Setup& s) { s.d.expert_skew = 1; }).empty());
  CHECK(said(dense, [](Setup& s) { s.d.tp = 2, s.device.link.reset(), s.device.host_link.reset(); }) ==
        "--tp: h100-sxm has no known link, so tensor parallelism over 2 devices can't be timed (use --pp, or another "
        "device)\n");
  CHECK(said(dense, [](Setup& s) { s.device.link.reset(), s.device.host_link.reset(); }).empty());
  CHECK(said(dense, [](Setup& s) { s.d.max_context = 4095; }) ==
        "--max-model-len: 4095 is less than the context of 4096\n");
  CHECK(said(dense, [](Setup& s) { s.d.max_context = 4096; }).empty());
  for (double fraction : {0.0, 1.01})
    CHECK(said(dense, [&](Setup& s) { s.d.memory_fraction = fraction; }) == "--memory-fraction: must lie in (0, 1]\n");
  for (double fraction : {0.01, 1.0}) CHECK(said(dense, [&](Setup& s) { s.d.memory_fraction = fraction; }).empty());
  CHECK(said(dense, [](Setup& s) { s.d.kv_room = Bytes{0x1p53}; }).empty());
  CHECK(said(dense, [](Setup& s) { s.d.kv_room = Bytes{0x1p54}; }) ==
        "--kv-room: is more than 8 PiB (bytes stay exact only below 2^53)\n");
  CHECK(said(dense, [](Setup& s) {
          s.w = {i64(1) << 40, i64(1) << 32, 0};
        }) == "--context: the cache asked for is beyond 8 EiB (bytes stay exact only below 2^53)\n");
}

TEST_CASE("an engine's numbers have limits", "[limits]") {
  auto said = [](auto set) {
    Engine e;
    set(e);
    return text_of(problems(e));
  };
  CHECK(said([](Engine&) {}).empty());
  CHECK(said([](Engine& e) { e.block_tokens = 0; }) == "block_tokens: must be at least 1\n");
  CHECK(said([](Engine& e) { e.block_tokens = 1 << 20; }).empty());
  CHECK(said([](Engine& e) { e.block_tokens = (1 << 20) + 1; }) == "block_tokens: must be at most 1,048,576\n");
  for (double share : {0.0, 1.01}) {
    CHECK(said([&](Engine& e) { e.memory_fraction = share; }) == "memory_fraction: must lie in (0, 1]\n");
    CHECK(said([&](Engine& e) { e.sliding_ratio = share; }) == "sliding_ratio: must lie in (0, 1]\n");
    CHECK(said([&](Engine& e) { e.k_quants = share; }) == "k_quants: must lie in (0, 1]\n");
    CHECK(said([&](Engine& e) { e.expert_compute = share; }) == "expert_compute: must lie in (0, 1]\n");
  }
  CHECK(said([](Engine& e) { e.memory_fraction = e.sliding_ratio = e.k_quants = 0.01; }).empty());
  CHECK(said([](Engine& e) { e.expert_hidden_tile = 0; }) == "expert_hidden_tile: must be at least 1\n");
  CHECK(said([](Engine& e) { e.expert_width_tile = 0; }) == "expert_width_tile: must be at least 1\n");
  CHECK(said([](Engine& e) { e.slots_per_request = 0; }) == "slots_per_request: must be at least 1\n");
  CHECK(said([](Engine& e) { e.state_ratio = -0.01; }) == "state_ratio: must not be negative\n");
}

TEST_CASE("a device's numbers have limits", "[limits]") {
  auto said = [](auto set) {
    Device d = catalog().device("h100-sxm");
    set(d);
    return text_of(problems(d));
  };
  CHECK(said([](Device&) {}).empty());
  CHECK(said([](Device& d) { d.memory.push_back(d.memory[0]), d.memory[1].bandwidth = {4e12}; }) ==
        "memory[1]: is faster than the tier before it (list tiers fastest first)\n");
  CHECK(said([](Device& d) { d.memory.push_back(d.memory[0]); }).empty());
  CHECK(said([](Device& d) { d.memory[0].capacity = {0}; }) == "memory[0].capacity: must be more than 0 bytes\n");
  CHECK(said([](Device& d) { d.memory[0].bandwidth = {0}; }) == "memory[0].bandwidth: must be more than 0 B/s\n");
  CHECK(said([](Device& d) { d.memory[0].bandwidth = {1e22}; }) ==
        "memory[0].bandwidth: must lie between 1 and 1e21 B/s\n");
  CHECK(said([](Device& d) { d.memory[0].bandwidth = {1}; }).empty());
  CHECK(said([](Device& d) { d.memory[0].bandwidth = {1e21}; }).empty());
  CHECK(said([](Device& d) { d.memory[0].bandwidth = {0.99}; }) ==
        "memory[0].bandwidth: must lie between 1 and 1e21 B/s\n");
  CHECK(said([](Device& d) { d.cores = 0; }) == "cores: must be at least 1 (leave it out if unknown)\n");
  CHECK(said([](Device& d) { d.cores = 1; }).empty());
  CHECK(said([](Device& d) { d.watts = 0; }) == "power: must be more than 0 W (leave it out if unknown)\n");
  const std::string link = "link: needs a bandwidth and a domain of at least 1 device\n";
  CHECK(said([](Device& d) { d.link->per_direction = {0}; }) == link);
  CHECK(said([](Device& d) { d.link->domain = 0; }) == link);
  CHECK(said([](Device& d) { d.link->domain = 1; }).empty());
  CHECK(said([](Device& d) { d.achievable.compute = 1.01; }) == "achievable.compute: must lie in (0, 1]\n");
  CHECK(said([](Device& d) { d.achievable.compute = 0; }) == "achievable.compute: must lie in (0, 1]\n");
  CHECK(said([](Device& d) { d.achievable.overlap.hidden = 1.01; }) ==
        "achievable.overlap: must lie in [0, 1] (sum is 0, max is 1)\n");
  Achievable none;
  CHECK(none.attention_rate(Arithmetic::bf16).fraction == 1);  // a datasheet's bandwidth, until it is known better
  CHECK(none.linear_rate(Arithmetic::bf16).fraction == 1);
}

TEST_CASE("experts and heads are split by what holds fewest of them", "[limits]") {
  Setup s{catalog().model("mixtral-8x7b"), catalog().device("h100-sxm"), {}, catalog().engine("vllm"), {1, 1}, {}};
  s.model.layers.push_back(s.model.layers[0]);
  std::get<MoeFeedForward>(s.model.layers[1].feed_forward).experts = 64;
  s.d.tp = s.d.ep = 16;
  CHECK(text_of(s.problems()) == "--ep: 16 ranks for the 8 experts of mixtral-8x7b\n");
  Setup groups{catalog().model("llama-3.1-8b"), catalog().device("h100-sxm"), {}, catalog().engine("vllm"), {1, 1}, {}};
  groups.d.tp = 64;
  groups.d.attention_dp = 32;  // two ranks attend together
  CHECK(groups.problems().empty());
}

TEST_CASE("at the limit it is still answered: a cache of 8 EiB, no room for a model without a cache", "[limits]") {
  Model tiny;
  tiny.id = "tiny";
  tiny.hidden = tiny.vocab = 1;
  tiny.layers.push_back({.count = 1, .attention = FullAttention{{1, 1, 1, 1}}, .projections = {}, .feed_forward = {}});
  // 4 bytes a token, 2^32 sequences
  CHECK(problems(tiny, {}, {i64(1) << 29, i64(1) << 32, 0}).empty());
  CHECK(text_of(problems(tiny, {}, {(i64(1) << 29) + 1, i64(1) << 32, 0})) ==
        "--context: the cache asked for is beyond 8 EiB (bytes stay exact only below 2^53)\n");
  tiny.layers[0].attention = NoAttention{};
  Deployment none;
  none.kv_room = Bytes{0};
  for (const char* engine : {"ideal", "vllm", "sglang", "trtllm", "llamacpp"}) {
    CAPTURE(engine);
    CHECK(fit(tiny, catalog().device("h100-sxm"), none, {4096, 8, 0}, catalog().engine(engine)).fits);
  }
}

TEST_CASE("every rate of a device is checked, the first one too, and the blocks that its kernel works on", "[limits]") {
  for (std::size_t a = 0; a < Device{}.peak.size(); ++a) {
    Device device = catalog().device("h100-sxm");
    device.peak[a] = FlopRate{0};
    CHECK(text_of(problems(device)).find("peak." + std::string(name_of(Arithmetic(a)))) != std::string::npos);
  }
  for (i64 block : {0, 1, 1024, 1025}) {
    Device device = catalog().device("h100-sxm");
    device.achievable.core = {{format("bf16"), {}, {}, FlopRate{1e12}, block, 1, {}, {}}};
    CHECK(text_of(problems(device)) ==
          (block == 1 || block == 1024 ? "" : "achievable.core: block must lie in [1, 1024], from_group above 0\n"));
  }
  for (double hidden : {-0.1, 0.0, 1.0, 1.1}) {
    Device device = catalog().device("h100-sxm");
    device.achievable.core = {{format("bf16"), {}, {}, FlopRate{1e12}, 1, 1, {}, Overlap{hidden}}};
    CHECK(text_of(problems(device)) ==
          (hidden == 0 || hidden == 1 ? "" : "achievable.core: overlap must lie in [0, 1] (sum is 0, max is 1)\n"));
  }
}

}  // namespace
}  // namespace kvroof
