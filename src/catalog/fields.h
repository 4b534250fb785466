// Each spec lists its members once; reading, unknown keys, printing and round trips all walk these lists.
//
// fields(spec, f) calls f(key, member) for a required key and f(key, member, fallback) for one that may be
// absent. The keys are the catalogue's vocabulary, so they are API. Kinds of a variant name themselves.
#pragma once

#include "core/engine.h"
#include "core/hardware.h"
#include "core/model.h"
#include "core/step.h"

namespace kvroof {

template <class Self, class T>
concept Of = std::same_as<std::remove_const_t<Self>, T>;

template <Of<Heads> S, class F>
void fields(S& h, F&& f) {
  f("q_heads", h.query);
  f("kv_heads", h.kv);
  f("head_dim", h.key_dim);
  f("value_dim", h.value_dim, h.key_dim);
}
template <Of<FullAttention> S, class F>
void fields(S& a, F&& f) {
  fields(a.heads, f);
}
template <Of<SlidingAttention> S, class F>
void fields(S& a, F&& f) {
  fields(a.heads, f);
  f("window", a.window);
}
template <Of<ChunkedAttention> S, class F>
void fields(S& a, F&& f) {
  fields(a.heads, f);
  f("chunk", a.chunk);
}
template <Of<CrossAttention> S, class F>
void fields(S& a, F&& f) {
  fields(a.heads, f);
  f("encoder_tokens", a.encoder_tokens);
}
template <Of<Indexer> S, class F>
void fields(S& x, F&& f) {
  f("heads", x.heads);
  f("head_dim", x.head_dim);
  f("top_k", x.top_k);
}
template <Of<LatentAttention> S, class F>
void fields(S& a, F&& f) {
  f("q_heads", a.query_heads);
  f("kv_lora_rank", a.kv_lora_rank);
  f("rope_dim", a.rope_dim);
  f("nope_dim", a.nope_dim);
  f("value_dim", a.value_dim);
  f("q_lora_rank", a.q_lora_rank, i64(0));
  f("indexer", a.indexer, std::optional<Indexer>());
  f("expanded", a.expanded, false);
}
template <Of<RecurrentState> S, class F>
void fields(S& a, F&& f) {
  f("conv", a.conv_elements);
  f("state", a.state_elements);
  f("heads", a.heads, i64(1));
  f("weights", a.weights);
}
template <Of<NoAttention> S, class F>
void fields(S&, F&&) {}

template <Of<Projections> S, class F>
void fields(S& p, F&& f) {
  f("qkv_bias", p.qkv_bias, false);
  f("key_bias", p.key_bias, true);
  f("output_bias", p.output_bias, false);
  f("qk_norm", p.qk_norm, QkNorm::none);
  f("output_gate", p.output_gate, false);
  f("sinks", p.sinks, false);
  f("value_from_key", p.value_from_key, false);
}
template <Of<NoFeedForward> S, class F>
void fields(S&, F&&) {}
template <Of<DenseFeedForward> S, class F>
void fields(S& d, F&& f) {
  f("width", d.width);
  f("bias", d.bias, false);
}
template <Of<MoeFeedForward> S, class F>
void fields(S& e, F&& f) {
  f("experts", e.experts);
  f("top_k", e.top_k);
  f("width", e.width);
  f("shared_width", e.shared_width, i64(0));
  f("bias", e.bias, false);
  f("router_bias", e.router_bias, false);
  f("shared_gate", e.shared_gate, false);
  f("expert_hidden", e.expert_hidden, i64(0));
}
template <Of<LayerGroup> S, class F>
void fields(S& g, F&& f) {
  f("count", g.count);
  f("attention", g.attention);
  f("projections", g.projections, Projections{});
  f("feed_forward", g.feed_forward);
  f("norms", g.norms, i64(2));
  f("shares_kv", g.shares_kv, false);
  f("own_kv_projection", g.own_kv_projection, true);
  f("other_weights", g.other_weights, i64(0));
}
template <Of<WeightFormats> S, class F>
void fields(S& w, F&& f) {
  f("linears", w.linears, format("bf16"));
  f("experts", w.experts, format("bf16"));
  f("embeddings", w.embeddings, format("bf16"));
  f("attention", w.attention, std::optional<Format>());
}

struct PublishedParameters {
  std::optional<i64> published;
  bool exact = false;
  bool operator==(const PublishedParameters&) const = default;
};
template <Of<PublishedParameters> S, class F>
void fields(S& p, F&& f) {
  f("published", p.published, std::optional<i64>());
  f("exact", p.exact, false);
}

template <Of<Model> S, class F>
void fields(S& m, F&& f) {
  f("name", m.name);
  f("family", m.family);
  f("aliases", m.aliases, std::vector<std::string>());
  f("hidden", m.hidden);
  f("vocab", m.vocab);
  f("max_context", m.max_context, std::optional<i64>());
  f("tied_embeddings", m.tied_embeddings, false);
  f("norm_bias", m.norm_bias, false);
  f("final_norm", m.final_norm, true);
  f("head_bias", m.head_bias, false);
  f("position_embeddings", m.position_embeddings, i64(0));
  f("encoder_weights", m.encoder_weights, i64(0));
  f("other_weights", m.other_weights, i64(0));
  f("weights", m.weights, WeightFormats{});
  f("cache_format", m.cache_format, std::optional<Format>());
  f("state_format", m.state_format, std::optional<Format>());
  f("layers", m.layers);
  PublishedParameters published{m.published_parameters, m.published_exact};
  f("parameters", published, PublishedParameters{});
  if constexpr (!std::is_const_v<S>) {
    m.published_parameters = published.published;
    m.published_exact = published.exact;
  }
  f("source", m.source);
  f("confidence", m.confidence);
  f("notes", m.notes, std::vector<std::string>());
}

// ---- devices -------------------------------------------------------------------------------------------

template <Of<MemoryTier> S, class F>
void fields(S& t, F&& f) {
  f("kind", t.kind);
  f("capacity", t.capacity);
  f("bandwidth", t.bandwidth);
  f("link", t.link, std::optional<Bandwidth>());
  f("marketed", t.marketed, std::optional<Bytes>());
}
template <Of<Cache> S, class F>
void fields(S& c, F&& f) {
  f("capacity", c.capacity);
  f("bandwidth", c.bandwidth, std::optional<Bandwidth>());
}
template <Of<Link> S, class F>
void fields(S& l, F&& f) {
  f("kind", l.kind);
  f("per_direction", l.per_direction);
  f("pair", l.pair, std::optional<Bandwidth>());
  f("domain", l.domain, i64(1));
}
template <Of<LinearRate> S, class F>
void fields(S& r, F&& f) {
  f("fraction", r.fraction);
  f("launch", r.launch, Seconds{});
  f("compute", r.compute, 0.0);
  f("cached", r.cached, 0.0);
}
template <Of<AttentionRate> S, class F>
void fields(S& r, F&& f) {
  f("fraction", r.fraction);
  f("launch", r.launch, Seconds{});
  f("tile", r.tile, Seconds{});
  f("reach", r.reach, 0.0);
  f("cached", r.cached, 0.0);
}
template <Of<AllReduceRate> S, class F>
void fields(S& r, F&& f) {
  f("latency", r.latency);
  f("rate", r.rate);
  f("bulk_latency", r.bulk_latency);
  f("bulk_rate", r.bulk_rate);
}
template <Of<KernelFit> S, class F>
void fields(S& k, F&& f) {
  f("rows", k.rows);
  f("error", k.error);
  f("low", k.low);
  f("high", k.high);
}
template <Of<TimedAttention> S, class F>
void fields(S& k, F&& f) {
  f("engine", k.engine);
  f("kernel", k.kernel);
  f("format", k.format);
  fields(k.rate, f);
  fields(k.fit, f);
}
template <Of<TimedLinear> S, class F>
void fields(S& k, F&& f) {
  f("engine", k.engine);
  f("kernel", k.kernel);
  f("format", k.format);
  fields(k.rate, f);
  fields(k.fit, f);
}
template <Of<TimedAllReduce> S, class F>
void fields(S& k, F&& f) {
  f("engine", k.engine);
  f("kernel", k.kernel);
  f("ranks", k.ranks);
  f("nodes", k.nodes, i64(1));
  fields(k.rate, f);
  fields(k.fit, f);
}
template <Of<KernelTable> S, class F>
void fields(S& k, F&& f) {
  f("attention", k.attention, std::vector<TimedAttention>());
  f("linears", k.linears, std::vector<TimedLinear>());
  f("all_reduce", k.all_reduce, std::vector<TimedAllReduce>());
}

template <Of<CoreCost> S, class F>
void fields(S& c, F&& f) {
  f("format", c.format);
  f("element", c.element);
  f("score", c.score);
  f("rate", c.rate);
  f("block", c.block, i64{1});
  f("from_group", c.from_group, i64{1});
  f("fraction", c.fraction, std::optional<double>());
  f("overlap", c.overlap, std::optional<Overlap>());
}

/// The latencies of a small all-reduce over 2, 4 and 8 devices.
struct AllReduce {
  Seconds two, four, eight;
  bool operator==(const AllReduce&) const = default;
};
template <Of<AllReduce> S, class F>
void fields(S& r, F&& f) {
  f("2", r.two, Seconds{});
  f("4", r.four, r.two);
  f("8", r.eight, r.four);
}
template <class T>
using ByArithmetic = std::array<std::optional<T>, 7>;

template <Of<Achievable> S, class F>
void fields(S& a, F&& f) {
  f("basis", a.basis, a.basis);
  f("compute", a.compute, a.compute);
  f("overlap", a.overlap, a.overlap);
  f("linears", a.linears, a.linears);
  f("attention", a.attention, a.attention);
  f("core", a.core, a.core);
  AllReduce r{a.all_reduce[0], a.all_reduce[1], a.all_reduce[2]};
  f("all_reduce", r, r);
  if constexpr (!std::is_const_v<S>) {
    a.all_reduce[0] = r.two;
    a.all_reduce[1] = r.four;
    a.all_reduce[2] = r.eight;
  }
  f("network_latency", a.network_latency, a.network_latency);
  f("hop", a.hop, a.hop);
  f("link", a.link, a.link);
  f("layer_latency", a.layer, a.layer);
  f("layer_latency_per_1024_hidden", a.layer_per_1024_hidden, a.layer_per_1024_hidden);
  f("step", a.step, a.step);
  f("core_rate", a.core_rate, a.core_rate);
  f("source", a.source, a.source);
}
/// The one measure that has no dimension in core; read with or without its unit.
struct Watts {
  double value = 0;
  bool operator==(const Watts&) const = default;
};
template <Of<Price> S, class F>
void fields(S& p, F&& f) {
  f("per_hour", p.dollars_per_hour);
  f("source", p.source);
}
/// `achievable` is read by the catalogue, which starts it from the device class's default.
template <Of<Device> S, class F>
void fields(S& d, F&& f) {
  f("name", d.name);
  f("vendor", d.vendor);
  f("class", d.device_class);
  f("aliases", d.aliases, std::vector<std::string>());
  f("year", d.year, std::optional<i64>());
  f("status", d.status, std::string("shipping"));
  f("peak", d.peak, ByArithmetic<FlopRate>());
  f("memory", d.memory);
  f("cache", d.cache, std::optional<Cache>());
  f("cores", d.cores, std::optional<i64>());
  f("link", d.link, std::optional<Link>());
  f("network", d.network, std::optional<Bandwidth>());
  f("host_link", d.host_link, std::optional<Bandwidth>());
  std::optional<Watts> power = d.watts ? std::optional(Watts{*d.watts}) : std::nullopt;
  f("power", power, std::optional<Watts>());
  if constexpr (!std::is_const_v<S>) d.watts = power ? std::optional(power->value) : std::nullopt;
  f("price", d.price, std::optional<Price>());
  f("achievable", d.achievable, d.achievable);
  f("source", d.source);
  f("confidence", d.confidence);
  f("notes", d.notes, std::vector<std::string>());
}

// ---- engines -------------------------------------------------------------------------------------------

template <Of<ActivationRule> S, class F>
void fields(S& a, F&& f) {
  f("base", a.base, Bytes{});
  f("logits_bytes", a.logits_bytes, 0.0);
  f("hidden_bytes", a.hidden_bytes, 0.0);
  f("expert_bytes", a.expert_bytes, 0.0);
  f("forward_hidden_bytes", a.forward_hidden_bytes, 0.0);
  f("forward_width_bytes", a.forward_width_bytes, 0.0);
  f("sampler_sequences", a.sampler_sequences, i64(0));
  f("small_sampler_sequences", a.small_sampler_sequences, i64(0));
  f("large_memory", a.large_memory, Bytes{});
}
template <Of<Engine> S, class F>
void fields(S& e, F&& f) {
  f("name", e.name);
  f("aliases", e.aliases, std::vector<std::string>());
  f("version", e.version, std::string());
  f("layout", e.layout);
  f("block_tokens", e.block_tokens, i64(1));
  f("memory_fraction", e.memory_fraction, 1.0);
  f("fraction_of", e.fraction_of, FractionOf::total);
  f("fraction_flag", e.fraction_flag, std::string());
  f("runtime", e.runtime, Bytes{});
  f("runtime_tp", e.runtime_tp, Bytes{});
  f("graphs", e.graphs, Bytes{});
  f("small_graphs", e.small_graphs, Bytes{});
  f("activation", e.activation, ActivationRule{});
  f("divides_heads", e.divides_heads, false);
  f("pipelined", e.pipelined, true);
  f("reports_requests", e.reports_requests, false);
  f("sliding_ratio", e.sliding_ratio, 1.0);
  f("state_ratio", e.state_ratio, 0.0);
  f("state_slots", e.state_slots, i64(0));
  f("slots_per_request", e.slots_per_request, i64(1));
  f("follows_cache_format", e.follows_cache_format, false);
  f("since", e.since, std::string());
  f("full_windows", e.full_windows, false);
  f("unshares_kv", e.unshares_kv, false);
  f("expert_hidden_tile", e.expert_hidden_tile, i64(1));
  f("expert_width_tile", e.expert_width_tile, i64(1));
  f("keeps_rotary_tables", e.keeps_rotary_tables, false);
  f("pads_values", e.pads_values, false);
  f("packs_sparse_latents", e.packs_sparse_latents, false);
  f("conv", e.conv, std::optional<Format>());
  f("state", e.state, std::optional<Format>());
  f("f32_states", e.f32_states, std::vector<std::string>());
  f("matrix_vector", e.matrix_vector, false);
  f("k_quants", e.k_quants, 1.0);
  f("hidden_launch", e.hidden_launch, Seconds{});
  f("layer", e.layer, Seconds{});
  f("layer_per_log2_tp", e.layer_per_log2_tp, Seconds{});
  f("stage", e.stage, Seconds{});
  f("moe_layer", e.moe_layer, Seconds{});
  f("step", e.step, Seconds{});
  f("sequence_layer", e.sequence_layer, Seconds{});
  f("sequence", e.sequence, Seconds{});
  f("prefill_overlap", e.prefill_overlap, 0.0);
  f("prompt_op", e.prompt_op, Seconds{});
  f("prompt_moe_layer", e.prompt_moe_layer, Seconds{});
  f("prompts_first", e.prompts_first, false);
  f("request", e.request, Seconds{});
  f("expert_compute", e.expert_compute, 1.0);
  f("kv_flag", e.kv_flag, std::string());
  f("command", e.command, std::string());
  f("log_line", e.log_line, std::string());
  f("source", e.source);
}

// ---- ranges --------------------------------------------------------------------------------------------

template <Of<RangeRule> S, class F>
void fields(S& r, F&& f) {
  f("low", r.low);
  f("high", r.high);
  f("experts_low", r.experts_low, 0.0);
  f("experts_high", r.experts_high, 0.0);
  f("ttft_low", r.ttft_low, 0.0);
  f("ttft_high", r.ttft_high, 0.0);
  f("experts_ttft_low", r.experts_ttft_low, 0.0);
  f("experts_ttft_high", r.experts_ttft_high, 0.0);
}
/// As the catalogue has it: the rule and where it was found.
struct RangeEntry {
  RangeRule rule;
  std::string source;
};
template <Of<RangeEntry> S, class F>
void fields(S& r, F&& f) {
  fields(r.rule, f);
  f("source", r.source);
}

}  // namespace kvroof
