// The expected time of a step and of a prompt, worked out a second time: op by op from the formulas of
// docs/how-it-computes.md, each with the launch, the share of the bandwidth and the rate that its device and engine
// have. Bytes and stages are those of by_hand.h; nothing of the core but the structs of a spec and the table of
// formats.
#pragma once

#include <array>

#include "by_hand.h"

namespace kvroof {

struct PartByHand {
  double memory = 0, compute = 0, fixed = 0, bytes = 0, flops = 0;
  double seconds() const { return memory + compute + fixed; }
};

class StepByHand {
 public:
  std::array<PartByHand, 8> parts;
  double launching = 0;  ///< of the host, in a pass that reads prompts

  /// A decode step of the setup's workload.
  static StepByHand decode(const Setup& s) {
    StepByHand step(s);
    double at_once = step.hand_.sequences(), rows = at_once * double(s.w.query_tokens);
    double own = step.hand_.group_sequences();
    step.stream_from(step.hand_.resident());
    step.matrices(rows, rows / double(s.d.attention_dp), rows);
    for (const LayerGroup& g : s.model.layers) step.decode_attention(g, own);
    step.constants(rows, own);
    return step;
  }

  /// `tokens` of one prompt read after `cached`, which fill no memory of account. Where all groups of data-parallel
  /// attention read one each, attention is what one of so many takes.
  static StepByHand prompt(const Setup& s, double tokens, double cached, bool one_a_group) {
    StepByHand step(s);
    step.stream_from(std::max(1.0, step.hand_.rank_weights(0, step.hand_.layers_of(0)).bytes()));
    double groups = double(s.d.attention_dp);
    step.matrices(tokens, one_a_group ? tokens / groups : tokens, 1);
    for (const LayerGroup& g : s.model.layers) step.prompt_attention(g, tokens, cached, one_a_group ? 1 / groups : 1);
    step.constants(tokens, 1);
    return step;
  }

  double seconds() const {
    double sum = 0;
    for (const PartByHand& p : parts) sum += p.seconds();
    return sum;
  }

 private:
  explicit StepByHand(const Setup& s) : s_(s), hand_{s}, a_(s.device.achievable) {}

  PartByHand& part(PartKind kind) { return parts[std::size_t(kind)]; }
  double peak(Arithmetic a) const { return a_.compute * hand_.peak(a); }

  /// Bytes lie in the tiers as the resident ones do: the fastest filled first, the last takes what does not fit.
  void stream_from(double resident) {
    double left = resident;
    for (const MemoryTier& tier : s_.device.memory) {
      bool last = &tier == &s_.device.memory.back();
      double here = last ? left : std::min(left, tier.capacity.value);
      double speed = std::min(tier.bandwidth.value, tier.link.value_or(tier.bandwidth).value);
      seconds_a_byte_ += here / resident / speed;
      left -= here;
    }
  }

  /// `times` ops alike: the launch, and the shorter of streaming and arithmetic hidden as far as the device hides it.
  void op(PartKind kind, double times, double launch, double bytes, double share, double flops, double flops_a_second) {
    op(kind, times, launch, bytes, share, flops, flops_a_second, a_.overlap.hidden);
  }
  void op(PartKind kind, double times, double launch, double bytes, double share, double flops, double flops_a_second,
          double hidden) {
    PartByHand& p = part(kind);
    double memory = times * bytes / share * seconds_a_byte_, compute = times * flops / flops_a_second;
    p.memory += memory;
    p.compute += compute - hidden * std::min(memory, compute);
    p.fixed += times * std::max(0.0, launch - s_.engine.hidden_launch.value);
    p.bytes += times * bytes;
    p.flops += times * flops;
  }

  template <class Rate>
  Rate rate(const std::array<std::optional<Rate>, 7>& rates, Arithmetic a, Rate datasheet) const {
    for (Arithmetic w : wider_by_hand(a))
      if (rates[std::size_t(w)]) return *rates[std::size_t(w)];
    return datasheet;
  }
  LinearRate linear_rate(Arithmetic a) const { return rate(a_.linears, a, LinearRate{1, {}}); }

  double share(const Format& f, bool expert) const {
    double share = linear_rate(f.arithmetic).fraction;
    if (expert) share = std::max(share, linear_rate(Arithmetic::bf16).fraction);
    if (s_.engine.matrix_vector && a_.core_rate && s_.device.cores)
      share = std::min(share, double(*s_.device.cores) * a_.core_rate->value / s_.device.memory[0].bandwidth.value);
    bool k_quant = f.name == "q2_k" || f.name == "q3_k" || f.name == "q4_k" || f.name == "q5_k" || f.name == "q6_k";
    return k_quant ? share * s_.engine.k_quants : share;
  }

  static double bytes_of(const Format& f, double elements) {
    double scales = double(f.vector_scale_bytes) * elements / double(1 << 20);
    return elements * double(f.bytes) / double(f.elements) + scales;
  }

  /// A matrix of which a rank holds `elements`, or what rides along with one and is not launched.
  void matrix(const LayerGroup& g, const Format& f, double elements, double rows, bool launched = true) {
    double launch = launched ? linear_rate(f.arithmetic).launch.value : 0;
    if (launched) launching += double(g.count) * s_.engine.prompt_op.value;
    op(PartKind::weights, double(g.count), launch, bytes_of(f, elements), share(f, false), 2 * rows * elements,
       peak(f.arithmetic));
  }

  double distinct(const MoeFeedForward& e, double rows) const {
    double n = double(e.experts), k = double(e.top_k);
    if (e.top_k >= e.experts) return n;
    if (s_.d.expert_skew > 0) return skewed(e, rows);
    return std::max(k, n * (1 - std::pow(1 - k / n, rows)));
  }

  /// Chances of i^-s, summing to k; what would pass 1 is 1 and the rest shares what is left.
  double skewed(const MoeFeedForward& e, double rows) const {
    std::vector<double> weight;
    for (i64 i = 1; i <= e.experts; ++i) weight.push_back(std::pow(double(i), -s_.d.expert_skew));
    i64 certain = 0;
    for (;; ++certain) {
      double rest = 0;
      for (i64 i = certain; i < e.experts; ++i) rest += weight[std::size_t(i)];
      double scale = double(e.top_k - certain) / rest;
      if (certain < e.top_k && scale * weight[std::size_t(certain)] >= 1) continue;
      double sum = double(certain);
      for (i64 i = certain; i < e.experts; ++i) sum += 1 - std::pow(1 - scale * weight[std::size_t(i)], rows);
      return std::max(double(e.top_k), sum);
    }
  }

  /// Experts that the step reads of all, times what a rank holds of each. With expert parallelism the busiest of `ep`
  /// ranks sets the pace: the mean and the largest of so many normal deviations, which Harter (1961) tabulates.
  double experts_read(const MoeFeedForward& e, double rows) const {
    if (s_.d.ep <= 1) return distinct(e, rows);
    const double largest[] = {0, 0.5642, 1.0294, 1.4236, 1.7660, 2.0697, 2.3437, 2.5947, 2.8269};  // 1, 2, 4, ... 256
    double ranks = double(s_.d.ep), doublings = std::min(8.0, std::log2(ranks));
    double from = std::min(7.0, std::floor(doublings));
    double deviation = largest[int(from)] + (doublings - from) * (largest[int(from) + 1] - largest[int(from)]);
    double held = double(e.experts) / ranks, touched = distinct(e, rows) / double(e.experts);
    double busiest = held * touched + deviation * std::sqrt(held * touched * (1 - touched));
    return ranks * std::min(held, std::max(1.0, busiest));
  }

  /// All matrices of all layers, over `rows`; those that a group of data-parallel attention has whole, over `own`.
  void matrices(double rows, double own, double head_rows) {
    const Model& m = s_.model;
    double hidden = double(m.hidden), tp = double(s_.d.tp), group = double(hand_.group_tp);
    Format linear = hand_.linear(), projection = hand_.projection(), plain = m.weights.embeddings;
    double bf16 = share(*find_format("bf16"), false), bf16_expert = share(*find_format("bf16"), true);
    for (const LayerGroup& g : m.layers) {
      if (const Heads* h = heads_of(g.attention)) {
        double q = double(h->query), k = double(h->key_dim), v = double(h->value_dim);
        matrix(g, projection, hidden * q * k * (g.projections.output_gate ? 2 : 1) / group, own);
        if (hand_.projects_kv(g) && g.attention.index() != 5) {  // an encoder's keys and values are made once
          double kv = double(up(h->kv, hand_.group_tp));
          matrix(g, projection, hidden * kv * k, own, false);
          if (!g.projections.value_from_key) matrix(g, projection, hidden * kv * v, own, false);
        }
        matrix(g, projection, q * v * hidden / group, own);
      }
      if (const auto* a = std::get_if<LatentAttention>(&g.attention)) {
        double q = double(a->query_heads), key = double(a->nope_dim + a->rope_dim), v = double(a->value_dim);
        double down = double(a->q_lora_rank), from = down > 0 ? down : hidden, r = double(a->kv_lora_rank);
        if (down > 0) matrix(g, projection, hidden * down, own);
        matrix(g, projection, from * q * key / group, own);
        matrix(g, projection, hidden * (r + double(a->rope_dim)), own, false);
        matrix(g, projection, r * q * (double(a->nope_dim) + v) / group, own);
        matrix(g, projection, q * v * hidden / group, own);
        if (a->indexer) {
          double x = double(a->indexer->heads), dim = double(a->indexer->head_dim);
          matrix(g, projection, from * x * dim + hidden * (x + dim), own);
        }
      }
      if (const auto* r = std::get_if<RecurrentState>(&g.attention)) matrix(g, linear, double(r->weights) / group, own);
      if (const auto* f = std::get_if<DenseFeedForward>(&g.feed_forward)) {
        matrix(g, linear, double(f->matrices - 1) * hidden * double(f->width) / tp, rows);  // gate and up are one
        matrix(g, linear, hidden * double(f->width) / tp, rows);
      }
      if (const auto* e = std::get_if<MoeFeedForward>(&g.feed_forward)) {
        double in = double(e->expert_hidden > 0 ? e->expert_hidden : m.hidden), wide = double(e->width);
        double n = double(e->matrices), read = experts_read(*e, rows), count = double(g.count);
        Format expert = hand_.expert();
        matrix(g, linear, hidden * double(e->experts), own);
        if (e->expert_hidden > 0) matrix(g, linear, 2 * hidden * double(e->expert_hidden), own);
        if (e->shared_width > 0) matrix(g, linear, n * hidden * double(e->shared_width) / tp, rows);
        op(PartKind::experts, count, linear_rate(expert.arithmetic).launch.value,
           read * bytes_of(expert, n * in * wide / tp), share(expert, true),
           2 * rows * double(e->top_k) * n * in * wide / tp, s_.engine.expert_compute * peak(expert.arithmetic));
        launching += count * (s_.engine.prompt_op + s_.engine.prompt_moe_layer).value;
        if (e->bias)
          op(PartKind::experts, count, 0, read * bytes_of(plain, ((n - 1) * wide + in) / tp), bf16_expert, 0, 1);
      }
      if (g.other_weights > 0) matrix(g, linear, double(g.other_weights) / tp, rows);
      op(PartKind::weights, double(g.count), 0, bytes_of(plain, double(hand_.small(g))), bf16, 0, 1);
    }
    Format head = hand_.embedding();
    double last =
        double(m.vocab) * hidden / tp + double((m.head_bias ? m.vocab : 0) + (m.final_norm ? hand_.norm() : 0));
    op(PartKind::head, 1, linear_rate(head.arithmetic).launch.value, bytes_of(head, last), share(head, false),
       2 * head_rows * last, peak(head.arithmetic));
    double other = double(m.other_weights) / tp;
    op(PartKind::weights, 1, 0, bytes_of(linear, other), share(linear, false), 2 * head_rows * other,
       peak(linear.arithmetic));
  }

  /// Cached tokens that a query attends to, or that an indexer looks at.
  i64 attended(const LayerGroup& g, i64 tokens) const {
    if (const auto* a = std::get_if<SlidingAttention>(&g.attention)) return std::min(tokens, a->window);
    if (const auto* a = std::get_if<ChunkedAttention>(&g.attention)) return std::min(tokens, a->chunk);
    if (const auto* a = std::get_if<CrossAttention>(&g.attention)) return a->encoder_tokens;
    return tokens;
  }

  /// Flops of one new token over the tokens attended. A prompt expands latents into keys and values of every head.
  double attention_flops(const LayerGroup& g, i64 tokens, bool prompt) const {
    double t = double(attended(g, tokens));
    if (const Heads* h = heads_of(g.attention)) return 2 * double(h->query) * double(h->key_dim + h->value_dim) * t;
    if (const auto* r = std::get_if<RecurrentState>(&g.attention))
      return 6 * double(r->state_elements) + 2 * double(r->conv_elements);
    const auto& a = std::get<LatentAttention>(g.attention);
    double q = double(a.query_heads), index = 0;
    double wide =
        prompt || a.expanded ? double(a.nope_dim + a.rope_dim + a.value_dim) : double(2 * a.kv_lora_rank + a.rope_dim);
    if (a.indexer) {
      index = 2 * double(a.indexer->heads * a.indexer->head_dim) * t;
      t = std::min(t, double(a.indexer->top_k));
    }
    return 2 * q * wide * t + index;
  }

  /// Pieces of work that a sequence and layer give the cores of a rank.
  i64 tiles(const LayerGroup& g) const {
    i64 shards = 1;
    if (const Heads* h = heads_of(g.attention)) shards = h->kv;
    if (const auto* r = std::get_if<RecurrentState>(&g.attention)) shards = r->heads;
    if (const auto* a = std::get_if<LatentAttention>(&g.attention); a && a->expanded) shards = a->query_heads;
    return up(shards, hand_.group_tp);
  }

  void decode_attention(const LayerGroup& g, double sequences) {
    if (g.attention.index() == 6) return;
    Arithmetic arithmetic = s_.d.cache.key.arithmetic == Arithmetic::fp8 ? Arithmetic::fp8 : Arithmetic::bf16;
    AttentionRate rate = this->rate(a_.attention, arithmetic, AttentionRate{1, {}, {}});
    i64 kept = hand_.kept(g, s_.w.context), read = attended(g, kept);
    if (const auto* a = std::get_if<LatentAttention>(&g.attention); a && a->indexer && !a->expanded)
      read = std::min(read, a->indexer->top_k);
    const CoreCost* core = measured_cores(g);
    if (core && core->fraction) rate.fraction = *core->fraction;
    double pieces = sequences * double(tiles(g)), share = rate.fraction, launch = rate.launch.value;
    bool state = g.attention.index() == 4;
    if (rate.reach > 0 && s_.device.cores && !state)  // a piece is cut further: 256 tokens each
      share = std::min(share, rate.reach * std::min(1.0, pieces * double(up(read, 256)) / double(*s_.device.cores)));
    if (s_.device.cores) launch += rate.tile.value * pieces / double(*s_.device.cores);
    Exact bytes{s_.d.tp};
    hand_.cache(bytes, g, kept, true, hand_.group_tp, 1);
    double asked = double(s_.w.query_tokens);
    double flops = sequences * asked * attention_flops(g, kept, false) / double(hand_.group_tp);
    double flops_a_second = peak(arithmetic);
    double hidden = a_.overlap.hidden;
    if (core) flops_a_second = flops / (sequences * core_time(*core, g, kept, read));
    if (core && core->overlap) hidden = core->overlap->hidden;
    op(PartKind::kv_cache, double(g.count), launch, sequences * bytes.bytes(), share, flops, flops_a_second, hidden);
  }

  /// Where the kernel's own work on keys of that format was measured, that stands for the rate of its arithmetic.
  /// Of several the one for the largest groups that this one reaches.
  const CoreCost* measured_cores(const LayerGroup& g) const {
    if (g.attention.index() == 4 || g.attention.index() == 6) return nullptr;
    const CoreCost* found = nullptr;
    for (const CoreCost& core : a_.core)
      if (core.format.name == s_.d.cache.key.name && sharing(g) >= double(core.from_group))
        if (!found || found->from_group < core.from_group) found = &core;
    return found;
  }

  /// Query heads of a rank to each of its KV heads.
  double sharing(const LayerGroup& g) const {
    double ranks = double(hand_.group_tp);
    if (const Heads* h = heads_of(g.attention)) return double(h->query) / ranks / double(up(h->kv, hand_.group_tp));
    const auto& a = std::get<LatentAttention>(g.attention);
    return a.expanded ? double(a.query_heads) / ranks / double(up(a.query_heads, hand_.group_tp))
                      : double(a.query_heads) / ranks;
  }

  /// On one sequence: each cached element is decoded once for the queries that share it (a latent twice, as key and as
  /// value), each score takes its sum and its softmax, and the flops go at the cores' own rate.
  double core_time(const CoreCost& core, const LayerGroup& g, i64 kept, i64 read) const {
    double queries = 0, elements = 0, group = double(hand_.group_tp), asked = double(s_.w.query_tokens);
    double flops = attention_flops(g, kept, false);
    if (const Heads* h = heads_of(g.attention)) {
      queries = double(h->query);
      elements = double(read * (h->key_dim + h->value_dim)) * double(up(h->kv, hand_.group_tp));
    } else {
      const auto& a = std::get<LatentAttention>(g.attention);
      queries = double(a.query_heads);
      double held = a.expanded ? double(up(a.query_heads, hand_.group_tp)) : 1;
      elements = held * flops / (2 * queries);
    }
    double lanes = asked * sharing(g), worked = asked;
    if (core.block > 1) worked *= std::ceil(lanes / double(core.block)) * double(core.block) / lanes;
    return elements * core.element.value + worked * queries * double(read) / group * core.score.value +
           worked * flops / group / core.rate.value;
  }

  void prompt_attention(const LayerGroup& g, double tokens, double cached, double prompts) {
    if (g.attention.index() == 6) return;
    AttentionRate rate = this->rate(a_.attention, Arithmetic::bf16, AttentionRate{1, {}, {}});
    launching += double(g.count) * s_.engine.prompt_op.value;
    Exact bytes{s_.d.tp};
    i64 all = i64(cached + tokens);
    hand_.cache(bytes, g, hand_.kept(g, all), true, hand_.group_tp, 1);
    double flops =
        tokens * attention_flops(g, std::max<i64>(1, i64(cached + tokens / 2)), true) / double(hand_.group_tp);
    op(PartKind::kv_cache, double(g.count), rate.launch.value, prompts * bytes.bytes(), rate.fraction, prompts * flops,
       peak(Arithmetic::bf16));
  }

  double all_reduce(double payload, i64 n) const {
    if (n == 1) return 0;
    const Device& d = s_.device;
    double latency = a_.all_reduce[n == 2 ? 0 : n <= 4 ? 1 : 2].value, link = 0;
    if (d.link && n <= d.link->domain) {
      link = (n == 2 && d.link->pair ? *d.link->pair : d.link->per_direction).value;
    } else {
      latency = std::max(latency, a_.network_latency.value);
      link = (d.network ? *d.network : d.host_link ? *d.host_link : d.link->per_direction).value;
    }
    if (n > 8) latency *= std::log2(double(n)) / std::log2(8.0);
    return latency + 2 * double(n - 1) / double(n) * payload / (a_.link * link);
  }

  void constants(double rows, double sequences) {
    const Engine& e = s_.engine;
    double mixers = 0, cross = 0, feed_forwards = 0, experts = 0;
    for (const LayerGroup& g : s_.model.layers) {
      cross += g.attention.index() == 5 ? double(g.count) : 0;
      mixers += g.attention.index() != 6 ? double(g.count) : 0;
      feed_forwards += std::holds_alternative<NoFeedForward>(g.feed_forward) ? 0 : double(g.count);
      experts += std::holds_alternative<MoeFeedForward>(g.feed_forward) ? double(g.count) : 0;
    }
    // as papers count them: one mixer and one feed-forward, and a look at an encoder belongs to its layer
    double layers = std::max(mixers - cross, feed_forwards);
    double row = 2 * double(s_.model.hidden), own = rows / double(s_.d.attention_dp);
    part(PartKind::collectives).fixed =
        mixers * all_reduce(own * row, hand_.group_tp) + feed_forwards * all_reduce(rows * row, s_.d.tp);
    part(PartKind::layer_overhead).fixed =
        layers * (e.layer.value + e.layer_per_log2_tp.value * std::log2(double(s_.d.tp)) + a_.layer.value +
                  a_.layer_per_1024_hidden.value * double(s_.model.hidden) / 1024) +
        experts * e.moe_layer.value;
    part(PartKind::step_overhead).fixed =
        e.step.value + a_.step.value + sequences * (e.sequence.value + layers * e.sequence_layer.value);
    part(PartKind::stage_hops).fixed = double(s_.d.pp - 1) * (a_.hop.value + e.stage.value);
  }

  const Setup& s_;
  ByHand hand_;
  const Achievable& a_;
  double seconds_a_byte_ = 0;
};

}  // namespace kvroof
