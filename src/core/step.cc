#include "core/step.h"

#include <algorithm>
#include <cmath>

namespace kvroof {
namespace {

/// The seconds a rank takes to stream bytes, given where its data lies.
class Placement {
 public:
  /// Fills the tiers, fastest first, with `resident` bytes.
  Placement(const Device& device, Bytes resident) : device_(device) {
    double left = std::max(1.0, resident.value);
    for (const MemoryTier& tier : device.memory) {
      double here = std::min(left, tier.capacity.value);
      share_.push_back(here / std::max(1.0, resident.value));
      left -= here;
    }
    if (left > 0)
      share_.back() += left / std::max(1.0, resident.value);  // does not fit: the slowest tier stands for the rest
  }

  Seconds stream(Bytes bytes, double fraction) const {
    Seconds sum;
    for (std::size_t i = 0; i < share_.size(); ++i)
      if (share_[i] > 0) sum += share_[i] * bytes / (fraction * device_.memory[i].reachable());
    return sum;
  }
  /// Tiers streaming at once: no schedule of these bytes is faster.
  Seconds stream_bound(Bytes bytes) const {
    Seconds most;
    for (std::size_t i = 0; i < share_.size(); ++i)
      if (share_[i] > 0) most = larger(most, share_[i] * bytes / device_.memory[i].reachable());
    return most;
  }

 private:
  const Device& device_;
  std::vector<double> share_;
};

struct StepBuilder {
  const Model& model;
  const Device& device;
  const Deployment& d;
  const Workload& w;
  const Engine& engine;
  double batch;  ///< sequences one stage works on at a time
  Placement placement;
  double scale;  ///< exact bytes of the checkpoint over its formats' own
  std::vector<StepPart> parts = {};
  Bytes least_bytes = {};  ///< of the floor, slowest rank of each stage, summed over stages
  Seconds least_compute = {};

  StepPart& part(std::string_view name) {
    for (StepPart& p : parts)
      if (p.name == name) return p;
    parts.push_back({name, "", {}, {}, {}, {}, {}, {}});
    return parts.back();
  }

  /// One op: launch, then memory and arithmetic overlapping as the device's `overlap` says.
  void add(std::string_view name, double times, Seconds launch, Bytes bytes, double fraction, Flops flops,
           Arithmetic arithmetic) {
    std::optional<FlopRate> peak = device.peak_for(arithmetic);
    Seconds memory = placement.stream(bytes, fraction);
    Seconds compute = peak ? flops / (device.achievable.compute * *peak) : Seconds{};
    Seconds beyond = device.achievable.overlap == Overlap::max ? larger(Seconds{}, compute - memory) : compute;
    StepPart& p = part(name);
    p.memory += times * memory;
    p.compute += times * beyond;
    p.fixed += times * launch;
    p.seconds += times * (launch + memory + beyond);
    p.bytes += times * bytes;
    p.flops += times * flops;
    if (peak) least_compute += times * (flops / *peak);
  }
  void add_fixed(std::string_view name, Seconds seconds) {
    if (seconds.value <= 0) return;
    part(name).fixed += seconds;
    part(name).seconds += seconds;
  }

  void add_linears(const LayerGroup& g, double layers);
  void add_attention(const LayerGroup& g, double layers);
  void add_collectives(const LayerGroup& g, double layers);
  void add_head();
  /// Bytes of one sequence's shared prefix in a layer that keeps it whole.
  Bytes layer_prefix(const LayerGroup& g) const {
    bool whole = std::holds_alternative<FullAttention>(g.attention) && d.eviction.kind == EvictionKind::none;
    return whole ? layer_moved(g, w.shared_prefix, d) : Bytes{};
  }
};

Seconds all_reduce(const Device& device, double payload_bytes, i64 tp) {
  if (tp <= 1) return {};
  const Achievable& a = device.achievable;
  int column = tp <= 2 ? 0 : tp <= 4 ? 1 : 2;
  Seconds latency = a.all_reduce[column];
  bool in_domain = device.link && tp <= device.link->domain;
  std::optional<Bandwidth> across = device.network ? device.network : device.host_link;
  Bandwidth link = in_domain ? (tp == 2 && device.link->pair ? *device.link->pair : device.link->per_direction)
                             : across.value_or(device.link ? device.link->per_direction : Bandwidth{1e9});
  if (tp > 8) latency = latency * (std::log2(double(tp)) / 3.0);
  return latency + Bytes{2.0 * payload_bytes * double(tp - 1) / double(tp)} / (a.link * link);
}

/// What one launch of a matrix takes on a rank, and what it reads at least.
void StepBuilder::add_linears(const LayerGroup& g, double layers) {
  const auto* moe = std::get_if<MoeFeedForward>(&g.feed_forward);
  bool cross = std::holds_alternative<CrossAttention>(g.attention);
  for (const Linear& l : linears(model, g)) {
    if (cross && l.split == Split::kv_heads) continue;  // the encoder's keys and values were made before decoding
    const Format& f = format_of(model, d, l.role);
    double share = split_share(l.split, g.attention, d);
    double read = double(l.parameters) * share, least = read;
    if (l.role == WeightRole::expert && moe) {
      double one = double(l.parameters) / double(moe->experts);
      read = one * distinct_experts(*moe, batch) * share;
      least = one * double(moe->top_k) * share;
    }
    const LinearRate& rate = device.achievable.linear_rate(f.arithmetic);
    std::string_view name = l.role == WeightRole::expert ? "experts" : "weights";
    add(name, layers, rate.launch, scale * f.size(read, 1 << 20), rate.fraction,
        Flops{2.0 * batch * double(l.active) * share}, f.arithmetic);
    least_bytes += layers * (scale * f.size(least, 1 << 20));
  }
  Bytes small = scale * model.weights.embeddings.size(double(small_weights(model, g)), 1 << 20);
  const LinearRate& rate = device.achievable.linear_rate(Arithmetic::bf16);
  if (small.value > 0) add("weights", layers, {}, small, rate.fraction, {}, Arithmetic::bf16);
  least_bytes += layers * small;
}

void StepBuilder::add_attention(const LayerGroup& g, double layers) {
  if (std::holds_alternative<NoAttention>(g.attention)) return;
  double share = rank_share(g.attention, d.tp);
  Bytes bytes = batch * share * layer_moved(g, w.context, d);
  i64 kept = kept_tokens(g.attention, w.context, d.eviction);
  Flops flops = batch / double(d.tp) * attention_flops(g.attention, kept);
  Arithmetic arithmetic = d.cache.key.arithmetic == Arithmetic::fp8 ? Arithmetic::fp8 : Arithmetic::bf16;
  const AttentionRate& rate = device.achievable.attention_rate(arithmetic);
  double tiles = batch * double(ceil_div(shards(g.attention), d.tp));
  Seconds tile = device.cores ? tiles / double(*device.cores) * rate.tile : Seconds{};
  add("kv cache", layers, rate.launch + tile, bytes, rate.fraction, flops, Arithmetic::bf16);
  // With cascade attention at its best a common prefix is read once, not once per sequence.
  Bytes prefix = w.shared_prefix > 0 ? (batch - 1) * share * layer_prefix(g) : Bytes{};
  least_bytes += layers * (bytes - prefix);
}

void StepBuilder::add_collectives(const LayerGroup& g, double layers) {
  if (d.tp <= 1) return;
  bool mixer = !std::holds_alternative<NoAttention>(g.attention),
       ff = !std::holds_alternative<NoFeedForward>(g.feed_forward);
  double payload = batch * double(model.hidden) * 2;
  add_fixed("collectives", layers * double(int(mixer) + int(ff)) * all_reduce(device, payload, d.tp));
}

/// The head reads all of its matrix; a tied head reads the input embedding. The final norm rides along.
void StepBuilder::add_head() {
  Parameters p = count_parameters(model);
  double count = double(model.tied_embeddings ? p.input_embedding : p.head) / double(d.tp) + double(p.other);
  const Format& f = model.weights.embeddings;
  const LinearRate& rate = device.achievable.linear_rate(f.arithmetic);
  Bytes bytes = scale * f.size(count, 1 << 20);
  add("head", 1, rate.launch, bytes, rate.fraction, Flops{2.0 * batch * count}, f.arithmetic);
  least_bytes += bytes;
}

void finish_parts(std::vector<StepPart>& parts) {
  for (StepPart& p : parts) {
    Seconds most = larger(p.memory, larger(p.compute, p.fixed));
    p.bound = most == p.memory ? "memory" : most == p.compute ? "compute" : "latency";
  }
}

/// What the step as a whole waits for most.
std::string_view bound_by(const std::vector<StepPart>& parts) {
  Seconds memory, compute, fixed;
  for (const StepPart& p : parts) {
    memory += p.memory;
    compute += p.compute;
    fixed += p.fixed;
  }
  if (memory >= compute && memory >= fixed) return "memory bandwidth";
  return compute >= fixed ? "compute" : "latency";
}

}  // namespace

double distinct_experts(const MoeFeedForward& moe, double tokens) {
  double experts = double(moe.experts), k = double(moe.top_k);
  if (moe.top_k >= moe.experts) return experts;
  return std::max(k, experts * -std::expm1(tokens * std::log1p(-k / experts)));
}

Step decode_step(const Model& model, const Device& device, const Deployment& d, const Workload& w, const Engine& engine,
                 const RangeRule& range) {
  double in_flight = engine.pipelined ? double(std::min(d.pp, w.batch)) : 1;
  double batch = std::ceil(double(w.batch) / in_flight);
  Bytes resident = rank_weights(model, d, 0);
  for (const LayerGroup& g : model.layers)
    resident += double(w.batch) * double(ceil_div(g.count, d.pp)) * rank_share(g.attention, d.tp) *
                layer_stored(g, w.context, d);
  StepBuilder b{model, device, d, w, engine, batch, Placement(device, resident), checkpoint_scale(model, d)};
  for (const LayerGroup& g : model.layers) {
    double layers = double(g.count);
    b.add_linears(g, layers);
    b.add_attention(g, layers);
    b.add_collectives(g, layers);
  }
  b.add_head();

  const Achievable& a = device.achievable;
  double layers = double(model.layer_count());
  double log2_tp = std::log2(double(d.tp));
  b.add_fixed("layer overhead", layers * (engine.layer + log2_tp * engine.layer_per_log2_tp + a.layer +
                                          double(model.hidden) / 1024.0 * a.layer_per_1024_hidden));
  b.add_fixed("step overhead", a.step + engine.step + batch * engine.sequence);
  if (d.pp > 1) b.add_fixed("stage hops", double(d.pp - 1) * a.hop);

  Step s;
  s.batch = w.batch;
  finish_parts(b.parts);
  for (const StepPart& p : b.parts) s.expected += p.seconds;
  // Where all that a step moves fits the last-level cache, datasheet memory bandwidth bounds nothing.
  bool cached = device.cache && b.least_bytes / double(d.pp) <= device.cache->capacity;
  s.floor_memory = cached ? (device.cache->bandwidth ? b.least_bytes / *device.cache->bandwidth : Seconds{})
                          : b.placement.stream_bound(b.least_bytes);
  s.floor_compute = b.least_compute;
  s.floor_claimed = !cached || device.cache->bandwidth.has_value();
  s.floor = larger(s.floor_memory, s.floor_compute);
  s.low = larger(s.floor, range.low * s.expected);
  s.high = range.high * s.expected;
  s.basis = a.basis;
  s.bound_by = bound_by(b.parts);
  s.parts = std::move(b.parts);
  s.tokens_per_second = double(w.batch) * double(d.dp) / s.expected.value;
  s.tokens_per_second_per_user = 1 / s.expected.value;
  return s;
}

}  // namespace kvroof
