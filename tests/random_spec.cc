#include "random_spec.h"

#include <fmt/format.h>

#include <cstdlib>

#include "catalog/record.h"
#include "catalog/writer.h"

namespace kvroof {

/// splitmix64 (Steele, Lea, Flood 2014): any seed does, and the same on every machine.
i64 Draws::below(i64 n) {
  if (drawing_) {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    taken_.push_back(i64((z ^ (z >> 31)) % std::uint64_t(n)));
  } else if (at_ >= taken_.size()) {
    taken_.push_back(0);
  }
  return taken_[at_++] % n;
}

namespace {

const Format& any_format(Draws& c) {
  std::span<const Format> all = formats();
  return all[std::size_t(c.below(i64(all.size())))];
}

Heads heads(Draws& c) {
  i64 kv = c.of<i64>({1, 2, 4, 8, 3, 12, 32}), group = c.of<i64>({1, 2, 8, 4, 7});
  i64 dim = c.of<i64>({1, 64, 128, 80, 256, 192});
  return {kv * group, kv, dim, c.rarely(4) ? c.of<i64>({2, 128, 96}) : dim};
}

LatentAttention latent(Draws& c) {
  LatentAttention a;
  a.query_heads = c.of<i64>({1, 8, 16, 128, 6});
  a.kv_lora_rank = c.of<i64>({1, 512, 256});
  a.rope_dim = c.of<i64>({0, 64, 32});
  a.nope_dim = c.of<i64>({0, 128, 64});
  a.value_dim = c.of<i64>({1, 128, 64});
  a.q_lora_rank = c.of<i64>({0, 1536, 768});
  if (c.rarely(3)) a.indexer = Indexer{c.of<i64>({1, 64}), c.of<i64>({1, 128}), c.of<i64>({1, 2048, 512})};
  a.expanded = !a.indexer && a.nope_dim + a.rope_dim > 0 && c.rarely(8);
  return a;
}

RecurrentState state(Draws& c) {
  i64 n = c.of<i64>({1, 8, 32, 48});
  return {n * c.of<i64>({0, 1, 384}), n * c.of<i64>({1, 0, 16384}), n, c.of<i64>({0, 1, 12'345'678})};
}

Attention attention(Draws& c) {
  switch (c.below(8)) {
    case 1: return SlidingAttention{heads(c), c.of<i64>({1, 4096, 1024, 128})};
    case 2: return latent(c);
    case 3: return state(c);
    case 4: return ChunkedAttention{heads(c), c.of<i64>({1, 8192})};
    case 5: return CrossAttention{heads(c), c.of<i64>({1, 1500, 512})};
    case 6: return NoAttention{};
    default: return FullAttention{heads(c)};
  }
}

FeedForward feed_forward(Draws& c) {
  i64 matrices = c.of<i64>({3, 2});
  switch (c.below(4)) {
    case 0: return DenseFeedForward{c.of<i64>({1, 14336, 11008, 4097}), matrices, c.rarely(4)};
    case 1: return NoFeedForward{};
    default: break;
  }
  MoeFeedForward moe;
  moe.experts = c.of<i64>({1, 8, 64, 128, 256, 60});
  moe.top_k = std::min(moe.experts, c.of<i64>({1, 2, 8, 4}));
  moe.width = c.of<i64>({1, 2048, 768, 1407});
  moe.shared_width = c.of<i64>({0, 2048, 5632});
  moe.matrices = matrices;
  moe.bias = c.rarely(4);
  moe.router_bias = c.rarely(4);
  moe.shared_gate = c.rarely(8);
  moe.expert_hidden = c.rarely(8) ? 1024 : 0;
  return moe;
}

LayerGroup layer_group(Draws& c) {
  LayerGroup g;
  g.count = 1 + c.of<i64>({0, 1, 4, 31, 79}) + c.below(2);
  g.attention = attention(c);
  g.feed_forward = feed_forward(c);
  g.projections.qkv_bias = c.rarely(4);
  g.projections.key_bias = !c.rarely(8);
  g.projections.output_bias = c.rarely(8);
  g.projections.qk_norm = c.of({QkNorm::none, QkNorm::none, QkNorm::head, QkNorm::all});
  g.projections.output_gate = c.rarely(8);
  g.projections.sinks = c.rarely(8);
  g.projections.value_from_key = c.rarely(16);
  g.norms = c.of<i64>({2, 1, 4, 0});
  g.shares_kv = c.rarely(8);
  g.own_kv_projection = !c.rarely(3);
  g.other_weights = c.rarely(8) ? c.of<i64>({1, 777'777}) : 0;
  return g;
}

Model model(Draws& c) {
  Model m;
  m.id = m.name = "random";
  m.hidden = c.of<i64>({1, 4096, 2048, 5120, 8192, 2880});
  m.vocab = c.of<i64>({1, 128256, 32000, 151936, 50257});
  for (i64 left = c.of<i64>({1, 1, 2, 3, 1}); left > 0; --left) m.layers.push_back(layer_group(c));
  m.tied_embeddings = c.rarely(3);
  m.norm_bias = c.rarely(8);
  m.final_norm = !c.rarely(8);
  m.head_bias = c.rarely(8);
  m.position_embeddings = c.rarely(8) ? 1024 : 0;
  m.encoder_weights = c.rarely(8) ? 400'000'001 : 0;
  m.other_weights = c.rarely(8) ? 1'000'003 : 0;
  if (c.rarely(3)) m.weights.linears = any_format(c);
  if (c.rarely(3)) m.weights.experts = any_format(c);
  if (c.rarely(8)) m.weights.attention = any_format(c);
  if (c.rarely(8)) m.weights.embeddings = format("f32");
  if (c.rarely(2)) m.max_context = c.of<i64>({131072, 4097});
  return m;
}

/// Tiers fastest first, as a device must list them.
Device device(Draws& c) {
  Device d;
  d.id = d.name = "random";
  Bandwidth bandwidth{c.of({1e12, 3.35e12, 8e12, 936e9, 1e9})};
  for (i64 left = c.of<i64>({1, 1, 1, 2, 3}); left > 0; --left) {
    MemoryTier tier;
    tier.kind = "memory";
    tier.capacity = {double(c.of<i64>({80, 24, 192, 8, 1, 1000}) * 1'073'741'823)};
    tier.bandwidth = bandwidth;
    if (c.rarely(6)) tier.link = bandwidth = 0.5 * bandwidth;
    d.memory.push_back(tier);
    bandwidth = c.of({0.25, 1.0, 0.1}) * bandwidth;
  }
  for (std::optional<FlopRate>& rate : d.peak)
    if (!c.rarely(2)) rate = FlopRate{c.of({1e15, 989e12, 60e12, 5e12})};
  if (c.rarely(2)) d.cache = Cache{{c.of({50e6, 1e6, 256e6})}, std::nullopt};
  if (d.cache && c.rarely(2)) d.cache->bandwidth = Bandwidth{c.of({5e12, 20e12, 1e12})};
  d.cores = c.of<i64>({1, 132, 304});
  d.link = Link{"link", {c.of({450e9, 25e9})}, std::nullopt, c.of<i64>({8, 1, 72})};
  Achievable& a = d.achievable;
  a.compute = c.of({1.0, 0.5, 0.8});
  a.overlap.hidden = c.of({1.0, 0.0, 0.3});
  a.linears[int(Arithmetic::bf16)] = LinearRate{c.of({1.0, 0.8, 0.45}), {c.of({0.0, 4e-6})}};
  a.attention[int(Arithmetic::bf16)] =
      AttentionRate{c.of({1.0, 0.8, 0.45}), {c.of({0.0, 9e-6})}, {c.of({0.0, 2e-6})}, c.of({0.0, 0.5, 1.0})};
  for (Seconds& latency : a.all_reduce) latency = {c.of({0.0, 5e-6})};
  a.layer = {c.of({0.0, 3e-6})};
  a.step = {c.of({0.0, 100e-6})};
  if (c.rarely(3)) a.linears[int(Arithmetic::fp8)] = LinearRate{c.of({0.9, 0.3}), {c.of({0.0, 7e-6})}};
  if (c.rarely(3))
    a.attention[int(Arithmetic::fp8)] = AttentionRate{c.of({0.7, 0.2}), {c.of({0.0, 5e-6})}, {}, c.of({0.0, 2.0})};
  if (c.rarely(4)) d.link->pair = 0.25 * d.link->per_direction;
  if (c.rarely(3)) d.network = Bandwidth{c.of({50e9, 12.5e9})};
  if (c.rarely(3)) d.host_link = Bandwidth{c.of({64e9, 1e9})};
  if (d.host_link && c.rarely(4)) d.link.reset();
  a.all_reduce[2] = {c.of({0.0, 11e-6})};
  a.network_latency = {c.of({0.0, 30e-6})};
  a.link = c.of({0.7, 1.0});
  a.hop = {c.of({0.0, 10e-6})};
  a.layer_per_1024_hidden = {c.of({0.0, 0.5e-6})};
  if (c.rarely(3)) a.core_rate = Bandwidth{c.of({10e9, 1e12})};
  auto cores = [&](i64 block, i64 from_group) {
    CoreCost cost;
    cost.format = format("bf16");
    cost.element = {c.of({0.0, 1e-12})}, cost.score = {c.of({0.0, 1e-11})}, cost.rate = {c.of({1e12, 1e11})};
    cost.block = block, cost.from_group = from_group;
    return cost;
  };
  if (c.rarely(4)) a.core.push_back(cores(1, 1));
  if (c.rarely(6)) {  // a kernel for many queries of a head
    a.core.push_back(cores(c.of<i64>({1, 16}), c.of<i64>({1, 4, 16})));
    if (c.rarely(2)) a.core.back().fraction = c.of({0.3, 1.0});
    if (c.rarely(2)) a.core.back().overlap = Overlap{c.of({0.0, 0.4, 1.0})};
  }
  return d;
}

/// Layouts by the rules that physics.md states; constants of real engines are in hardware.yaml.
Engine engine(Draws& c) {
  Engine e;
  e.id = e.name = "random";
  e.layout = c.of({Layout::exact, Layout::paged, Layout::paged_up, Layout::cells, Layout::token_pool});
  e.block_tokens = e.layout == Layout::exact ? 1 : c.of<i64>({16, 64, 256, 1});
  e.memory_fraction = c.of({1.0, 0.9, 0.5});
  e.fraction_of = c.of({FractionOf::total, FractionOf::free_before_load, FractionOf::free_after_load});
  e.runtime = {c.of({0.0, 268'435'457.0})};
  e.pipelined = !c.rarely(2);
  e.layer = {c.of({0.0, 12e-6})};
  e.sequence = {c.of({0.0, 2e-6})};
  e.sequence_layer = {c.of({0.0, 0.5e-6})};
  e.layer_per_log2_tp = {c.of({0.0, 4e-6})};
  e.moe_layer = {c.of({0.0, 20e-6})};
  e.step = {c.of({0.0, 300e-6})};
  e.stage = {c.of({0.0, 15e-6})};
  e.hidden_launch = {c.of({0.0, 3e-6})};
  e.matrix_vector = c.rarely(3);
  e.k_quants = c.of({1.0, 0.6});
  e.prefill_overlap = c.of({0.0, 0.4});
  if (c.rarely(2)) e.conv = format("bf16");
  if (c.rarely(2)) e.state = format("bf16");
  if (c.rarely(4)) e.f32_states = {"random"};
  e.prompt_op = {c.of({0.0, 40e-6, 5e-3})};
  e.prompt_moe_layer = {c.of({0.0, 300e-6})};
  e.request = {c.of({0.0, 40e-3})};
  e.expert_compute = c.of({1.0, 0.3});
  e.runtime_tp = {c.of({0.0, 300'000'001.0})};
  e.graphs = {c.of({0.0, 500'000'003.0})};
  e.small_graphs = {c.of({0.0, 100'000'007.0})};
  e.keeps_rotary_tables = c.rarely(3);
  e.expert_hidden_tile = c.of<i64>({1, 256});
  e.expert_width_tile = c.of<i64>({1, 128});
  ActivationRule& a = e.activation;
  a.base = {c.of({0.0, 123'456'789.0})};
  a.logits_bytes = c.of({0.0, 14.9});
  a.hidden_bytes = c.of({0.0, 2.0});
  a.expert_bytes = c.of({0.0, 2.0});
  a.forward_hidden_bytes = c.of({0.0, 14.0});
  a.forward_width_bytes = c.of({0.0, 6.0});
  a.sampler_sequences = c.of<i64>({16, 1024});
  a.small_sampler_sequences = c.of<i64>({8, 256});
  a.large_memory = {c.of({0.0, 70.0 * 1'073'741'824})};
  return e;
}

Deployment deployment(Draws& c) {
  Deployment d;
  d.tp = c.of<i64>({1, 1, 2, 4, 8, 16, 3, 6});
  d.pp = c.of<i64>({1, 1, 1, 2, 3, 4, 7});
  d.ep = c.rarely(4) ? d.tp : 1;
  d.attention_dp = c.rarely(8) ? d.tp : c.rarely(16) ? 2 : 1;
  if (c.rarely(2)) d.weights = any_format(c);
  if (c.rarely(2)) d.cache.key = d.cache.value = any_format(c);
  if (c.rarely(4)) d.cache.value = any_format(c);
  if (c.rarely(8)) d.cache.state = format("bf16");
  d.states_given = c.rarely(2);
  switch (c.below(6)) {
    case 4: d.eviction = {EvictionKind::streaming, c.of<i64>({4, 0}), c.of<i64>({1, 2044}), 0, 0}; break;
    case 5: d.eviction = {EvictionKind::heavy_hitters, 0, 0, c.of<i64>({1, 1024}), c.of({0.0, 0.25})}; break;
    default: break;
  }
  if (!c.rarely(3)) d.activation_bytes = Bytes{c.of({0.0, 2'000'000'001.0})};
  if (c.rarely(4)) d.sampler_sequences = c.of<i64>({64, 100'000});
  d.expert_skew = c.rarely(6) ? c.of({0.5, 1.2}) : 0;
  d.dp = c.of<i64>({1, 1, 2});
  d.batched_tokens = c.of<i64>({8192, 2048, 512});
  return d;
}

Workload workload(Draws& c) {
  Workload w;
  w.context = 1 + c.of<i64>({0, 1, 15, 4095, 8191, 131071, 999'999}) + c.below(2);
  w.batch = c.of<i64>({1, 2, 7, 16, 64, 256, 100'000});
  w.shared_prefix = c.rarely(4) ? c.of<i64>({w.context / 2, w.context, 1}) : 0;
  w.query_tokens = c.rarely(6) ? 4 : 1;
  return w;
}

std::string of(const Deployment& d) {
  std::string text = fmt::format(
      "deployment: tp {}, pp {}, ep {}, attention_dp {}, key {}, value {}, state {}, activations {}, eviction {} "
      "sinks {} window {} budget {} share {}, skew {}, dp {}, batched tokens {}",
      d.tp, d.pp, d.ep, d.attention_dp, d.cache.key.name, d.cache.value.name, d.cache.state.name,
      d.activation_bytes ? d.activation_bytes->value : -1, int(d.eviction.kind), d.eviction.sinks, d.eviction.window,
      d.eviction.budget_tokens, d.eviction.budget_share, d.expert_skew, d.dp, d.batched_tokens);
  return d.weights ? text + fmt::format(", weights {}", d.weights->name) : text;
}

}  // namespace

Setup random_setup(Draws& c) {
  Model m = model(c);
  Workload w = workload(c);
  Deployment d = deployment(c);
  Engine e = engine(c);
  return {std::move(m), device(c), std::move(d), std::move(e), {0.8, 1.3}, w};
}

std::string in_words(const Setup& s) {
  return fmt::format("{}\n{}engine: {}\n{}\nworkload: context {}, batch {}, shared prefix {}, query tokens {}\n",
                     yaml_entry(s.model), yaml_entry(s.device), record_of(s.engine).dump(), of(s.d), s.w.context,
                     s.w.batch, s.w.shared_prefix, s.w.query_tokens);
}

namespace {

bool is_valid(const Setup& s) { return problems(s.device).empty() && s.possible(); }

/// Why the spec made of these numbers is a counterexample.
std::optional<std::string> failure(const Property& property, const std::vector<i64>& taken) {
  Draws c(taken);
  Setup s = random_setup(c);
  return is_valid(s) ? property(s) : std::nullopt;
}

/// Each number by itself to 0, to half, one down, for as long as anything becomes simpler.
std::vector<i64> shrunk(const Property& property, std::vector<i64> taken) {
  for (bool simpler = true; simpler;) {
    simpler = false;
    for (std::size_t i = 0; i < taken.size(); ++i)
      for (i64 less : {i64(0), taken[i] / 2, taken[i] - 1}) {
        if (less < 0 || less >= taken[i]) continue;
        std::vector<i64> candidate = taken;
        candidate[i] = less;
        if (!failure(property, candidate)) continue;
        taken = candidate;
        simpler = true;
      }
  }
  return taken;
}

}  // namespace

Held hold(const Property& property, i64 count, std::uint64_t seed) {
  if (const char* asked = std::getenv("RANDOM_SPECS")) count = std::atoll(asked);
  Held o;
  while (o.checked < count) {
    Draws c(seed++);
    Setup s = random_setup(c);
    if (!is_valid(s)) {
      ++o.refused;
      continue;
    }
    ++o.checked;
    if (!property(s)) continue;
    std::vector<i64> least = shrunk(property, c.taken());
    Draws again(least);
    o.counterexample = *failure(property, least) + "\n" + in_words(random_setup(again));
    return o;
  }
  return o;
}

}  // namespace kvroof
