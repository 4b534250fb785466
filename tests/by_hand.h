// A second derivation that knows nothing of the core but its specs: straight from the formulas of
// docs/how-it-computes.md, layer by layer, in whole numbers wherever they are exact. Slow, plain and repetitive on
// purpose: what it shares with the core is the reader's understanding alone.
//
// Bytes are counted in units of 1/(9 * 2^20 * tp) of a byte: every format's block and every rank's share of a matrix is
// then a whole number, and no sum of it is ever rounded.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "core/setup.h"

namespace kvroof {

__extension__ typedef __int128 Wide;
constexpr i64 unit = 9 << 20;

inline i64 up(i64 a, i64 b) { return a / b + (a % b != 0); }

/// Bytes of a rank, exact.
struct Exact {
  i64 tp = 1;
  Wide units = 0;
  void add(const Format& f, i64 elements, i64 over, i64 vector, i64 times) {
    Wide whole = Wide(elements) * (tp / over) * times;
    units += whole * f.bytes * (unit / f.elements);
    if (f.vector_scale_bytes > 0) units += whole * f.vector_scale_bytes * unit / vector;
  }
  double bytes() const { return double((long double)units / ((long double)unit * (long double)tp)); }
};

inline bool ggml(const Format& f) { return f.name[0] == 'q' || f.name.substr(0, 2) == "iq"; }

/// Arithmetic that a format's own is widened to where a device has none of it.
inline const std::vector<Arithmetic>& wider_by_hand(Arithmetic a) {
  static const std::vector<Arithmetic> wider[] = {
      {Arithmetic::fp32, Arithmetic::tf32},
      {Arithmetic::tf32, Arithmetic::fp32},
      {Arithmetic::fp16, Arithmetic::bf16, Arithmetic::fp32},
      {Arithmetic::bf16, Arithmetic::fp16, Arithmetic::fp32},
      {Arithmetic::fp8, Arithmetic::bf16, Arithmetic::fp16, Arithmetic::fp32},
      {Arithmetic::int8, Arithmetic::bf16, Arithmetic::fp16, Arithmetic::fp32},
      {Arithmetic::fp4, Arithmetic::bf16, Arithmetic::fp16, Arithmetic::fp32}};
  return wider[int(a)];
}

struct ByHand {
  const Setup& s;
  const Model& m = s.model;
  const Deployment& d = s.d;
  i64 group_tp = d.tp / d.attention_dp;

  // --- formats

  Format linear() const { return d.weights.value_or(m.weights.linears); }
  Format expert() const { return d.weights.value_or(m.weights.experts); }
  Format projection() const { return d.weights.value_or(m.weights.attention.value_or(m.weights.linears)); }
  /// llama.cpp keeps embeddings and head no narrower than q6_k.
  Format embedding() const {
    if (!d.weights || !ggml(*d.weights)) return m.weights.embeddings;
    double bits = 8.0 * double(d.weights->bytes) / double(d.weights->elements);
    return bits < 6.5625 ? *find_format("q6_k") : *d.weights;
  }

  /// States are in the format that was asked for; else in the config's, but llama.cpp's in its own; else in the
  /// engine's.
  CacheFormats cached() const {
    CacheFormats f = d.cache;
    if (d.states_given) return f;
    f.conv = s.engine.conv.value_or(f.conv);
    bool listed = std::any_of(s.engine.f32_states.begin(), s.engine.f32_states.end(), [&](const std::string& start) {
      return m.family.rfind(start, 0) == 0 || m.id.rfind(start, 0) == 0;
    });
    if (s.engine.state) f.state = listed ? *find_format("f32") : *s.engine.state;
    if (m.state_format && s.engine.layout != Layout::cells) f.state = *m.state_format;
    return f;
  }

  // --- the cache of one layer

  i64 kept(const LayerGroup& g, i64 tokens) const {
    bool keeps_all = g.attention.index() == 0 || g.attention.index() == 3;
    if (!keeps_all || d.eviction.kind == EvictionKind::none) return tokens;
    if (d.eviction.kind == EvictionKind::streaming) return std::min(tokens, d.eviction.sinks + d.eviction.window);
    i64 budget = d.eviction.budget_share > 0 ? up(tokens, 4) : d.eviction.budget_tokens;  // the generator's share
    return std::min(tokens, std::max<i64>(1, budget));
  }

  /// Of `tokens` tokens that are kept: stored, or what a step moves. On a rank of `ranks`, or whole where that is 1.
  void cache(Exact& sum, const LayerGroup& g, i64 tokens, bool moved, i64 ranks, i64 times) const {
    CacheFormats f = cached();
    if (g.shares_kv && !moved) return;
    i64 shards = 1;
    if (const Heads* h = heads_of(g.attention)) {
      shards = h->kv;
      if (const auto* a = std::get_if<SlidingAttention>(&g.attention)) tokens = std::min(tokens, a->window);
      if (const auto* a = std::get_if<ChunkedAttention>(&g.attention)) tokens = std::min(tokens, a->chunk);
      if (const auto* a = std::get_if<CrossAttention>(&g.attention)) tokens = a->encoder_tokens;
      i64 heads = up(h->kv, ranks);
      sum.add(f.key, tokens * heads * h->key_dim, 1, h->key_dim, times);
      sum.add(f.value, tokens * heads * h->value_dim, 1, h->value_dim, times);
    } else if (const auto* a = std::get_if<LatentAttention>(&g.attention); a && a->expanded) {
      shards = a->query_heads;
      i64 heads = up(a->query_heads, ranks), key = a->nope_dim + a->rope_dim;
      sum.add(f.key, tokens * heads * key, 1, key, times);
      sum.add(f.value, tokens * heads * a->value_dim, 1, a->value_dim, times);
    } else if (a) {
      i64 latents = a->indexer && moved ? std::min(tokens, a->indexer->top_k) : tokens;
      sum.add(f.key, latents * (a->kv_lora_rank + a->rope_dim), 1, a->kv_lora_rank + a->rope_dim, times);
      if (a->indexer) sum.add(f.index, tokens * a->indexer->head_dim, 1, a->indexer->head_dim, times);
    } else if (const auto* r = std::get_if<RecurrentState>(&g.attention)) {
      i64 held = up(r->heads, ranks), twice = moved ? 2 : 1;
      sum.add(f.conv, r->conv_elements / r->heads * held * twice, 1, r->conv_elements, times);
      sum.add(f.state, r->state_elements / r->heads * held * twice, 1, r->state_elements, times);
    }
    bool keeps_all = g.attention.index() == 0 || g.attention.index() == 3;
    if (keeps_all && d.eviction.kind == EvictionKind::heavy_hitters)
      sum.add(*find_format("f32"), tokens * up(shards, ranks), 1, 1, times);
  }

  Exact sequence(i64 tokens) const {
    Exact sum;
    for (const LayerGroup& g : m.layers)
      for (i64 layer = 0; layer < g.count; ++layer) cache(sum, g, kept(g, tokens), false, 1, 1);
    return sum;
  }

  // --- the weights of one layer

  i64 norm() const { return m.norm_bias ? 2 * m.hidden : m.hidden; }
  bool projects_kv(const LayerGroup& g) const { return !g.shares_kv || g.own_kv_projection; }

  /// Norms, biases and sinks of one layer, whole on every rank. Experts' biases go with the experts.
  i64 small(const LayerGroup& g) const {
    const Projections& p = g.projections;
    i64 n = g.norms * norm();
    if (const Heads* h = heads_of(g.attention)) {
      if (p.qkv_bias) n += h->query * h->key_dim * (p.output_gate ? 2 : 1);
      if (p.qkv_bias && projects_kv(g)) n += h->kv * h->value_dim;
      if (p.qkv_bias && projects_kv(g) && p.key_bias) n += h->kv * h->key_dim;
      if (p.output_bias) n += m.hidden;
      if (p.qk_norm == QkNorm::head) n += projects_kv(g) ? 2 * h->key_dim : h->key_dim;
      if (p.qk_norm == QkNorm::all) n += h->query * h->key_dim;
      if (p.qk_norm == QkNorm::all && projects_kv(g)) n += h->kv * h->key_dim;
      if (p.sinks) n += h->query;
    }
    if (const auto* a = std::get_if<LatentAttention>(&g.attention))
      n += a->q_lora_rank + a->kv_lora_rank + (a->indexer ? 2 * a->indexer->head_dim : 0);
    if (const auto* f = std::get_if<DenseFeedForward>(&g.feed_forward))
      if (f->bias) n += (f->matrices - 1) * f->width + m.hidden;
    if (const auto* e = std::get_if<MoeFeedForward>(&g.feed_forward))
      n += (e->router_bias ? e->experts : 0) + (e->shared_gate ? m.hidden : 0);
    return n;
  }

  /// Weights of one layer on a rank; in a step only `experts` of them, and no keys and values of an encoder.
  void layer(Exact& sum, const LayerGroup& g, std::optional<i64> experts, i64 times) const {
    auto add = [&](const Format& f, i64 elements, i64 over) { sum.add(f, elements, over, 1 << 20, times); };
    const Projections& p = g.projections;
    if (const Heads* h = heads_of(g.attention)) {
      bool made_once = experts && g.attention.index() == 5;
      i64 gate = p.output_gate ? 2 : 1, kv = up(h->kv, group_tp);
      add(projection(), m.hidden * h->query * h->key_dim * gate, group_tp);
      if (projects_kv(g) && !made_once) {
        add(projection(), m.hidden * kv * h->key_dim, 1);
        if (!p.value_from_key) add(projection(), m.hidden * kv * h->value_dim, 1);
      }
      add(projection(), m.hidden * h->query * h->value_dim, group_tp);
    }
    if (const auto* a = std::get_if<LatentAttention>(&g.attention)) {
      i64 key = a->nope_dim + a->rope_dim, from = a->q_lora_rank > 0 ? a->q_lora_rank : m.hidden;
      if (a->q_lora_rank > 0) add(projection(), m.hidden * a->q_lora_rank, 1);
      add(projection(), from * a->query_heads * key, group_tp);
      add(projection(), m.hidden * (a->kv_lora_rank + a->rope_dim), 1);
      add(projection(), a->kv_lora_rank * a->query_heads * (a->nope_dim + a->value_dim), group_tp);
      add(projection(), a->query_heads * a->value_dim * m.hidden, group_tp);
      if (a->indexer) {
        add(projection(), from * a->indexer->heads * a->indexer->head_dim, 1);
        add(projection(), m.hidden * (a->indexer->head_dim + a->indexer->heads), 1);
      }
    }
    if (const auto* r = std::get_if<RecurrentState>(&g.attention)) add(linear(), r->weights, group_tp);
    if (const auto* f = std::get_if<DenseFeedForward>(&g.feed_forward)) {
      add(linear(), f->matrices * m.hidden * f->width, d.tp);
    }
    if (const auto* e = std::get_if<MoeFeedForward>(&g.feed_forward)) {
      i64 here = experts ? e->top_k : e->experts, in = e->expert_hidden > 0 ? e->expert_hidden : m.hidden;
      add(linear(), m.hidden * e->experts, 1);
      if (e->expert_hidden > 0) add(linear(), 2 * m.hidden * e->expert_hidden, 1);
      add(expert(), here * e->matrices * in * e->width, d.tp);
      add(linear(), e->matrices * m.hidden * e->shared_width, d.tp);
      if (e->bias) add(m.weights.embeddings, here * ((e->matrices - 1) * e->width + in), d.tp);
    }
    add(linear(), g.other_weights, d.tp);
    add(m.weights.embeddings, small(g), 1);
  }

  void head(Exact& sum) const {
    sum.add(embedding(), m.vocab * m.hidden, d.tp, 1 << 20, 1);
    sum.add(embedding(), (m.head_bias ? m.vocab : 0) + (m.final_norm ? norm() : 0), 1, 1 << 20, 1);
  }

  Exact rank_weights(i64 stage, const std::vector<i64>& layers) const {
    Exact sum{d.tp};
    bool first = stage == 0, last = stage == d.pp - 1;
    for (std::size_t i = 0; i < m.layers.size(); ++i) layer(sum, m.layers[i], std::nullopt, layers[i]);
    if (first) {
      sum.add(embedding(), m.vocab * m.hidden + m.encoder_weights, d.tp, 1 << 20, 1);
      sum.add(embedding(), m.position_embeddings * m.hidden, 1, 1 << 20, 1);
    }
    if (last) {
      head(sum);
      if (m.tied_embeddings && first) sum.add(embedding(), -m.vocab * m.hidden, d.tp, 1 << 20, 1);
      sum.add(linear(), m.other_weights, d.tp, 1 << 20, 1);
    }
    return sum;
  }

  /// Layers of each group on a stage. Engines that lay stages out by whole models are checked with one group alone.
  std::vector<i64> layers_of(i64 stage) const {
    std::vector<i64> held;
    for (const LayerGroup& g : m.layers) held.push_back(g.count * (stage + 1) / d.pp - g.count * stage / d.pp);
    if (s.engine.layout != Layout::paged) return held;
    // get_pp_indices: what does not divide goes to the stages before the last, the latest of them first
    std::vector<i64> all(std::size_t(d.pp), m.layers[0].count / d.pp);
    for (i64 i = 0; i < m.layers[0].count % d.pp; ++i) ++all[std::size_t(d.pp - 2 - i)];
    if (m.layers.size() == 1) held[0] = all[std::size_t(stage)];
    return held;
  }
  bool knows_stages() const { return d.pp == 1 || s.engine.layout != Layout::paged || m.layers.size() == 1; }

  // --- what fits on a rank

  double usable() const {
    double sum = 0;
    for (const MemoryTier& tier : s.device.memory) sum += tier.capacity.value;
    return sum;
  }
  bool is_small() const { return usable() < s.engine.activation.large_memory.value; }

  double runtime() const {
    const Engine& e = s.engine;
    double graphs = is_small() && e.small_graphs.value > 0 ? e.small_graphs.value : e.graphs.value;
    return e.runtime.value + graphs + (d.tp > 1 ? e.runtime_tp.value : 0);
  }

  /// The peak of a profiling run: the sampler's logits on the last stage, or a layer's rows; rows that a stage was sent
  /// and those of the experts that a token visits come on top.
  double activations(i64 stage) const {
    if (d.activation_bytes) return d.activation_bytes->value;
    const ActivationRule& a = s.engine.activation;
    double hidden = double(m.hidden), tp = double(d.tp), tokens = double(d.batched_tokens);
    double twice = m.weights.embeddings.name == "f32" ? 2 : 1, dense = 0, experts = 0;
    i64 sampled = d.sampler_sequences > 0 ? d.sampler_sequences
                  : is_small()            ? a.small_sampler_sequences
                                          : a.sampler_sequences;
    for (const LayerGroup& g : m.layers) {
      if (const auto* f = std::get_if<DenseFeedForward>(&g.feed_forward))
        dense = std::max(dense, double(f->width) / tp);
      if (const auto* e = std::get_if<MoeFeedForward>(&g.feed_forward); e && expert().name != "mxfp4") {
        double width = double(e->width) / tp;
        double row = double(e->top_k) * (width + std::max(hidden, double(e->matrices - 1) * width));
        experts = std::max(experts, row);
      }
    }
    double rows = twice * tokens * a.hidden_bytes * hidden;
    double peak = twice * tokens * (a.forward_hidden_bytes * hidden + a.forward_width_bytes * dense);
    double logits = a.logits_bytes + (twice == 2 ? 2 : 0);
    if (stage == d.pp - 1 && a.logits_bytes > 0)
      peak = std::max(peak, double(std::min(sampled, d.batched_tokens)) * logits * double(m.vocab) + rows);
    return a.base.value + peak + (stage > 0 ? 2 * rows : 0) + tokens * a.expert_bytes * experts;
  }

  /// What an engine loads beside the weights: mxfp4 experts widened to tiles, tables of the positions' rotations.
  double beside_weights(const std::vector<i64>& layers) const {
    double sum = 0, full = 0, windowed = 0;
    for (std::size_t i = 0; i < m.layers.size(); ++i) {
      const LayerGroup& g = m.layers[i];
      if (const auto* e = std::get_if<MoeFeedForward>(&g.feed_forward); e && expert().name == "mxfp4") {
        i64 hidden = e->expert_hidden > 0 ? e->expert_hidden : m.hidden, width = up(e->width, d.tp);
        i64 high = up(hidden, s.engine.expert_hidden_tile) * s.engine.expert_hidden_tile;
        i64 wide = up(width, s.engine.expert_width_tile) * s.engine.expert_width_tile;
        sum += double(layers[i] * e->matrices * e->experts) * double(high * wide - hidden * width) * 17 / 32;
      }
      if (const auto* a = std::get_if<LatentAttention>(&g.attention)) full = std::max(full, double(a->rope_dim));
      if (const Heads* h = heads_of(g.attention)) {
        if (g.attention.index() == 1) windowed = std::max(windowed, double(h->key_dim));
        if (g.attention.index() == 0 || g.attention.index() == 2) full = std::max(full, double(h->key_dim));
      }
    }
    if (s.engine.keeps_rotary_tables && m.max_context) sum += 2 * double(*m.max_context) * (full + windowed);
    return sum;
  }

  /// Of a rank of the stage that holds `weights`. Below 0 where not even they fit.
  double room(double weights, i64 stage) const {
    const Engine& e = s.engine;
    double usable = this->usable(), active = activations(stage), kept_back = 1 - e.memory_fraction, runs = runtime();
    if (e.fraction_of == FractionOf::free_after_load) {
      double free = usable - weights - runs - active;
      return free > 0 ? e.memory_fraction * free : free;
    }
    if (e.fraction_of == FractionOf::free_before_load)  // activations live in what is kept back
      return usable - weights - runs - std::max(active, kept_back * usable);
    return usable * e.memory_fraction - weights - runs - active;
  }

  /// Tokens of the common prefix that all sequences keep: of a stream the sinks and what the window still sees of it;
  /// what H2O keeps is each sequence's own.
  i64 kept_alike(const LayerGroup& g) const {
    i64 prefix = s.w.shared_prefix, seen = 0;
    if (!(g.attention.index() == 0 || g.attention.index() == 3)) return 0;
    if (d.eviction.kind == EvictionKind::none) return prefix;
    if (d.eviction.kind == EvictionKind::heavy_hitters) return 0;
    if (s.w.context <= d.eviction.sinks + d.eviction.window) return prefix;  // nothing was dropped yet
    seen = std::max<i64>(0, prefix - std::max(s.w.context - d.eviction.window, d.eviction.sinks));
    return std::min(prefix, d.eviction.sinks) + seen;
  }

  i64 prefix(const LayerGroup& g) const {
    bool keeps_all = g.attention.index() == 0 || g.attention.index() == 3;
    if (!keeps_all) return 0;
    i64 block = s.engine.layout == Layout::exact ? 1 : s.engine.block_tokens;
    if (s.engine.layout == Layout::cells) return 0;
    return kept_alike(g) / block * block;
  }

  /// What `n` sequences take on a rank, where the layout knows no groups of unlike layers. Each of its own tokens is
  /// rounded to the layout's grain.
  double taken(const std::vector<i64>& layers, i64 n) const {
    Exact sum{d.tp};
    const Engine& e = s.engine;
    for (std::size_t i = 0; i < m.layers.size(); ++i) {
      const LayerGroup& g = m.layers[i];
      bool keeps_all = g.attention.index() == 0 || g.attention.index() == 3;
      i64 tokens = kept(g, s.w.context), shared = prefix(g);
      if (const auto* a = std::get_if<SlidingAttention>(&g.attention)) tokens = std::min(tokens, a->window);
      if (const auto* a = std::get_if<ChunkedAttention>(&g.attention)) tokens = std::min(tokens, a->chunk);
      if (e.layout != Layout::exact && e.layout != Layout::token_pool)
        tokens = up(tokens, e.block_tokens) * e.block_tokens;
      if (keeps_all) {
        cache(sum, g, tokens - shared, false, group_tp, layers[i] * n);
        cache(sum, g, shared, false, group_tp, layers[i]);
      } else {
        LayerGroup wide = g;  // a block may reach past the window
        if (auto* a = std::get_if<SlidingAttention>(&wide.attention)) a->window = tokens;
        if (auto* a = std::get_if<ChunkedAttention>(&wide.attention)) a->chunk = tokens;
        cache(sum, wide, tokens, false, group_tp, layers[i] * n);
      }
    }
    return sum.bytes();
  }

  bool only_grows() const {
    for (const LayerGroup& g : m.layers)
      if (!(g.attention.index() == 0 || g.attention.index() == 3 || g.attention.index() == 6)) return false;
    return true;
  }
  bool knows_layout() const {
    switch (s.engine.layout) {
      case Layout::exact: return true;
      case Layout::paged_up: return true;
      case Layout::paged:
      case Layout::token_pool:
      case Layout::cells: return only_grows();
    }
    return false;
  }

  /// The room as the layout cuts it: whole blocks, whole slots.
  double cut(double room, const std::vector<i64>& layers) const {
    Exact token{d.tp};
    for (std::size_t i = 0; i < m.layers.size(); ++i) {
      const Attention& a = m.layers[i].attention;
      if (a.index() == 4 || a.index() == 5 || a.index() == 6) continue;
      cache(token, m.layers[i], 1, false, group_tp, layers[i]);
    }
    double block = token.bytes() * double(s.engine.block_tokens);
    if (block == 0) return room;
    if (s.engine.layout == Layout::paged_up) return std::ceil(room / block - 1e-9) * block;
    if (s.engine.layout == Layout::paged) return std::floor(room / block * (1 + 1e-15)) * block;
    if (s.engine.layout == Layout::token_pool) return std::floor(std::floor(room) / token.bytes()) * token.bytes();
    return room;
  }

  // --- the floor of a step

  double peak(Arithmetic a) const {
    for (Arithmetic w : wider_by_hand(a))
      if (s.device.peak[std::size_t(w)]) return s.device.peak[std::size_t(w)]->value;
    for (const auto& any : s.device.peak)
      if (any) return any->value;
    return INFINITY;
  }

  /// Sequences that a stage works on at once.
  double sequences() const {
    i64 at_once = s.engine.pipelined ? std::min(d.pp, s.w.batch) : 1;
    return double(s.w.batch) / double(at_once);  // the mean of what the stages take turns at
  }
  /// Of them those of the fullest group of data-parallel attention.
  double group_sequences() const {
    return d.attention_dp == 1 ? sequences() : std::ceil(sequences() / double(d.attention_dp));
  }

  /// Tokens of a layer's `kept` that all sequences can have in common: those not of the sequence's own end.
  i64 common(const LayerGroup& g, i64 tokens) const {
    i64 own = s.w.context - s.w.shared_prefix;
    if (const auto* a = std::get_if<SlidingAttention>(&g.attention)) tokens = std::min(tokens, a->window);
    if (const auto* a = std::get_if<ChunkedAttention>(&g.attention)) tokens = std::min(tokens, a->chunk);
    if (g.attention.index() > 3) return 0;
    if (d.eviction.kind == EvictionKind::heavy_hitters && (g.attention.index() == 0 || g.attention.index() == 3))
      return std::min(tokens, s.w.shared_prefix);  // at best all that is kept lies in it
    if (d.eviction.kind == EvictionKind::streaming && (g.attention.index() == 0 || g.attention.index() == 3))
      own = std::min(own, s.d.eviction.window);
    return std::min(s.w.shared_prefix, std::max<i64>(0, tokens - own));
  }

  double least_bytes() const {
    Exact sum{d.tp};
    Exact one{d.tp}, once{d.tp};  // of one sequence, and of them what all read once
    for (const LayerGroup& g : m.layers) {
      i64 tokens = kept(g, s.w.context);
      layer(sum, g, 1, g.count);
      cache(one, g, tokens, true, group_tp, g.count);
      // the scores of H2O are each sequence's own
      Setup plain = s;
      plain.d.eviction.kind = EvictionKind::none;
      i64 in_common = s.w.shared_prefix > 0 ? common(g, tokens) : 0;
      if (in_common > 0) ByHand{plain}.cache(once, g, in_common, true, group_tp, g.count);
    }
    head(sum);
    sum.add(linear(), m.other_weights, d.tp, 1 << 20, 1);
    return sum.bytes() + group_sequences() * (one.bytes() - once.bytes()) + once.bytes();
  }

  /// Times a step can move one resident byte: states twice, a shared cache once for each layer that reads it.
  double moves() const {
    double sharing = 0, twice = 1;
    for (const LayerGroup& g : m.layers) {
      if (g.shares_kv) sharing += double(g.count);
      if (g.attention.index() == 4) twice = 2;
    }
    return twice * (1 + sharing);
  }

  /// What the first stage holds, which stands for all of them.
  double resident() const {
    Exact sum = rank_weights(0, layers_of(0));
    for (const LayerGroup& g : m.layers) {
      i64 layers = up(g.count, d.pp), sequences = up(s.w.batch, d.attention_dp);
      cache(sum, g, kept(g, s.w.context), false, group_tp, layers * sequences);
      Exact once{d.tp};
      cache(once, g, kept_alike(g), false, group_tp, layers * (sequences - 1));
      if (kept_alike(g) > 0) sum.units -= once.units;
    }
    return std::max(1.0, sum.bytes());
  }

  /// All tiers at once, each with what it can hold: the least t in which they deliver all bytes.
  double memory_bound(double bytes) const {
    const auto& tiers = s.device.memory;
    if (tiers.size() == 1) return bytes / tiers[0].reachable().value;
    double times = std::max(double(d.pp) * moves(), bytes / resident());
    double low = 0, high = bytes / tiers.back().reachable().value;
    for (int i = 0; i < 200; ++i) {
      double t = (low + high) / 2, delivered = 0;
      for (std::size_t k = 0; k < tiers.size(); ++k) {
        double most = t * tiers[k].reachable().value;
        bool holds_the_rest = k + 1 == tiers.size();
        delivered += holds_the_rest ? most : std::min(most, times * tiers[k].capacity.value);
      }
      (delivered >= bytes ? high : low) = t;
    }
    return high;
  }

  double floor_memory() const {
    double bytes = least_bytes();
    const auto& cache = s.device.cache;
    if (!cache || bytes / double(d.pp) > cache->capacity.value) return memory_bound(bytes);
    if (!cache->bandwidth) return 0;
    return bytes / std::max(cache->bandwidth->value, s.device.memory[0].reachable().value);
  }

  double floor_compute() const {
    double rows = sequences() * double(s.w.query_tokens), seconds = 0, tp = double(d.tp), gtp = double(group_tp);
    double batch = group_sequences(), own_rows = rows / double(d.attention_dp);
    double hidden = double(m.hidden);
    for (const LayerGroup& g : m.layers) {
      double n = double(g.count), attended = double(kept(g, s.w.context)), attention = 0, matrices = 0, other = 0;
      if (const Heads* h = heads_of(g.attention)) {
        double q = double(h->query), k = double(h->key_dim), v = double(h->value_dim);
        double kv = double(up(h->kv, group_tp)) * double(g.attention.index() != 5 && projects_kv(g));
        if (const auto* a = std::get_if<SlidingAttention>(&g.attention))
          attended = std::min(attended, double(a->window));
        if (const auto* a = std::get_if<ChunkedAttention>(&g.attention))
          attended = std::min(attended, double(a->chunk));
        if (const auto* a = std::get_if<CrossAttention>(&g.attention)) attended = double(a->encoder_tokens);
        attention = 2 * q * (k + v) * attended;
        matrices = hidden * (q * k * (g.projections.output_gate ? 2 : 1) + q * v) / gtp;
        matrices += hidden * kv * (k + (g.projections.value_from_key ? 0 : v));
      }
      if (const auto* a = std::get_if<LatentAttention>(&g.attention)) {
        double q = double(a->query_heads), r = double(a->kv_lora_rank), rope = double(a->rope_dim);
        double nope = double(a->nope_dim), v = double(a->value_dim), down = double(a->q_lora_rank);
        double from = down > 0 ? down : hidden;
        if (a->indexer) {
          double x = double(a->indexer->heads), dim = double(a->indexer->head_dim);
          attention = 2 * x * dim * attended;
          attended = std::min(attended, double(a->indexer->top_k));
          matrices = from * x * dim + hidden * (x + dim);
        }
        attention += a->expanded ? 2 * q * (nope + rope + v) * attended : 2 * q * (2 * r + rope) * attended;
        matrices += hidden * (down + r + rope) + (from * q * (nope + rope) + r * q * (nope + v) + q * v * hidden) / gtp;
      }
      if (const auto* r = std::get_if<RecurrentState>(&g.attention)) {
        attention = 6 * double(r->state_elements) + 2 * double(r->conv_elements);
        seconds += n * 2 * own_rows * double(r->weights) / gtp / peak(linear().arithmetic);
      }
      if (const auto* f = std::get_if<DenseFeedForward>(&g.feed_forward))
        other = double(f->matrices) * hidden * double(f->width) / tp;
      if (const auto* e = std::get_if<MoeFeedForward>(&g.feed_forward)) {
        double in = e->expert_hidden > 0 ? double(e->expert_hidden) : hidden;
        // a router is whole on every rank, and sees the rows of its own group
        seconds +=
            n * 2 * own_rows * hidden * (double(e->experts) + 2 * double(e->expert_hidden)) / peak(linear().arithmetic);
        other = double(e->matrices) * hidden * double(e->shared_width) / tp;
        seconds +=
            n * 2 * rows * double(e->top_k * e->matrices) * in * double(e->width) / tp / peak(expert().arithmetic);
      }
      other += double(g.other_weights) / tp;
      Arithmetic kv = d.cache.key.arithmetic == Arithmetic::fp8 ? Arithmetic::fp8 : Arithmetic::bf16;
      seconds += n * batch * double(s.w.query_tokens) * attention / gtp / peak(kv);
      seconds += n * 2 * own_rows * matrices / peak(projection().arithmetic);
      seconds += n * 2 * rows * other / peak(linear().arithmetic);
    }
    double last = double(m.vocab) * hidden / tp + double((m.head_bias ? m.vocab : 0) + (m.final_norm ? norm() : 0));
    seconds += 2 * rows * last / peak(embedding().arithmetic);
    return seconds + 2 * rows * double(m.other_weights) / tp / peak(linear().arithmetic);
  }
};

inline bool close(double a, double b, double by) { return std::abs(a - b) <= by * std::max(std::abs(a), std::abs(b)); }

inline std::string differs(const char* what, double core, double naive) {
  char text[160];
  std::snprintf(text, sizeof text, "%s: the core says %.17g, by hand %.17g", what, core, naive);
  return text;
}

}  // namespace kvroof
