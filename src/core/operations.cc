#include "core/operations.h"

#include <algorithm>
#include <cmath>

namespace kvroof {

Placement::Placement(const Device& device, Bytes resident) : device_(device), resident_(larger(resident, Bytes{1})) {
  double whole = std::max(1.0, resident.value), left = whole;
  for (const MemoryTier& tier : device.memory) {
    double here = std::min(left, tier.capacity.value);
    share_.push_back(here / whole);
    left -= here;
  }
  if (left > 0) share_.back() += left / whole;  // does not fit: the slowest tier stands for the rest
}

Seconds Placement::stream(Bytes bytes, double fraction) const {
  Seconds sum;
  for (std::size_t i = 0; i < share_.size(); ++i)
    if (share_[i] > 0) sum += share_[i] * bytes / (fraction * device_.memory[i].reachable());
  return sum;
}

Seconds Placement::stream_bound(Bytes bytes) const {
  Seconds most;
  Bytes left = bytes;
  double times = std::max(1.0, bytes / resident_);  // states move twice a step: read and written
  for (const MemoryTier& tier : device_.memory) {
    bool last = &tier == &device_.memory.back();
    Bytes here = last ? left : smaller(left, times * tier.capacity);
    most = larger(most, here / tier.reachable());
    left -= here;
  }
  return most;
}

Pass::Pass(const Model& model, const Device& device, const Deployment& deployment, const Engine& engine, Bytes resident)
    : model_(model),
      device_(device),
      d_(deployment),
      engine_(engine),
      placement_(device, resident),
      scale_(checkpoint_scale(model, deployment)) {}

StepPart& Pass::part(std::string_view name) {
  for (StepPart& p : parts_)
    if (p.name == name) return p;
  parts_.push_back({name, "", {}, {}, {}, {}, {}, {}});
  return parts_.back();
}

/// One op: launch, then memory and arithmetic overlapping as the device's `overlap` says.
void Pass::add(std::string_view name, double times, Seconds launch, Bytes bytes, double fraction, Flops flops,
               Arithmetic arithmetic) {
  std::optional<FlopRate> peak = device_.peak_for(arithmetic);
  Seconds memory = placement_.stream(bytes, fraction);
  Seconds compute = peak ? flops / (device_.achievable.compute * *peak) : Seconds{};
  Seconds beyond = device_.achievable.overlap == Overlap::max ? larger(Seconds{}, compute - memory) : compute;
  launch = larger(Seconds{}, launch - engine_.hidden_launch);
  StepPart& p = part(name);
  p.memory += times * memory;
  p.compute += times * beyond;
  p.fixed += times * launch;
  p.seconds += times * (launch + memory + beyond);
  p.bytes += times * bytes;
  p.flops += times * flops;
  if (peak) least_compute_ += times * (flops / *peak);
}

/// The share of the bandwidth a matrix in that format reaches: the device's, unless the engine's kernels reach less.
double Pass::linear_fraction(const Format& f) const {
  double fraction = device_.achievable.linear_rate(f.arithmetic).fraction;
  if (f.name.size() > 2 && f.name.substr(f.name.size() - 2) == "_k") fraction *= engine_.k_quants;
  const std::optional<Bandwidth>& core_rate = device_.achievable.core_rate;
  if (engine_.matrix_vector && core_rate && device_.cores)
    fraction = std::min(fraction, double(*device_.cores) * *core_rate / device_.memory[0].bandwidth);
  return fraction;
}

void Pass::add_fixed(std::string_view name, Seconds seconds) {
  if (seconds.value <= 0) return;
  part(name).fixed += seconds;
  part(name).seconds += seconds;
}

void Pass::linears(const LayerGroup& g, double tokens) {
  double layers = double(g.count);
  const auto* moe = std::get_if<MoeFeedForward>(&g.feed_forward);
  bool cross = std::holds_alternative<CrossAttention>(g.attention);
  for (const Linear& l : kvroof::linears(model_, g)) {
    if (cross && l.split == Split::kv_heads) continue;  // the encoder's keys and values are made once
    const Format& f = format_of(model_, d_, l.role);
    double share = split_share(l.split, g.attention, d_);
    bool everywhere = l.split == Split::feed_forward || l.split == Split::experts || l.split == Split::vocabulary;
    double rows = everywhere ? tokens : tokens / double(d_.attention_dp);  // a group attends to its own sequences
    double read = double(l.parameters) * share, least = read;
    bool experts = l.role == WeightRole::expert && moe;
    if (experts) {
      double one = double(l.parameters) / double(moe->experts);
      read = one * share *
             (d_.ep > 1 ? double(d_.ep) * busiest_rank_experts(*moe, tokens, d_.ep) : distinct_experts(*moe, tokens));
      least = one * double(moe->top_k) * share;
    }
    const LinearRate& rate = device_.achievable.linear_rate(f.arithmetic);
    add(experts ? "experts" : "weights", layers, l.fused ? Seconds{} : rate.launch, scale_ * f.size(read, 1 << 20),
        fraction, Flops{2.0 * rows * double(l.active) * share}, f.arithmetic);
    least_bytes_ += (layers * scale_) * f.size(least, 1 << 20);
  }
  Bytes small = scale_ * model_.weights.embeddings.size(double(small_weights(model_, g)), 1 << 20);
  if (small.value > 0) add("weights", layers, {}, small, linear_fraction(format("bf16")), {}, Arithmetic::bf16);
  least_bytes_ += layers * small;
}

/// Bytes of one sequence's shared prefix in a layer that keeps it whole.
Bytes Pass::prefix_bytes(const LayerGroup& g, i64 tokens) const {
  bool whole = std::holds_alternative<FullAttention>(g.attention) && d_.eviction.kind == EvictionKind::none;
  return whole && tokens > 0 ? layer_moved(g, tokens, d_) : Bytes{};
}

void Pass::decode_attention(const LayerGroup& g, double batch, const Workload& w) {
  if (std::holds_alternative<NoAttention>(g.attention)) return;
  double layers = double(g.count), share = rank_share(g.attention, d_.attention_tp());
  batch = std::ceil(batch / double(d_.attention_dp));  // the fullest group holds up the others
  Bytes bytes = batch * share * layer_moved(g, w.context, d_);
  i64 kept = kept_tokens(g.attention, w.context, d_.eviction);
  Flops flops = batch * double(w.query_tokens) / double(d_.attention_tp()) * attention_flops(g.attention, kept);
  Arithmetic format = d_.cache.key.arithmetic == Arithmetic::fp8 ? Arithmetic::fp8 : Arithmetic::bf16;
  const AttentionRate& rate = device_.achievable.attention_rate(format);
  double tiles = batch * double(ceil_div(shards(g.attention), d_.attention_tp()));
  double fraction = attention_share(rate, device_, tiles, kept);
  add("kv cache", layers, rate.launch + tile_time(rate, device_, tiles), bytes, fraction, flops, format);
  // With cascade attention at its best a common prefix is read once, not once per sequence.
  least_bytes_ += layers * (bytes - std::max(0.0, batch - 1) * share * prefix_bytes(g, w.shared_prefix));
}

void Pass::prefill_attention(const LayerGroup& g, double tokens, double cached) {
  if (std::holds_alternative<NoAttention>(g.attention)) return;
  // Each new token attends to those before it: the mean of the first and the last one's context.
  double mean = cached + tokens / 2;
  i64 attended = i64(std::max(1.0, mean));
  Flops flops = tokens / double(d_.tp) * attention_flops(g.attention, attended);
  if (const auto* latent =
          std::get_if<LatentAttention>(&g.attention))  // prompts are not absorbed: keys and values per head
    flops = tokens / double(d_.tp) *
            Flops{2.0 * double(latent->query_heads) * double(latent->nope_dim + latent->rope_dim + latent->value_dim) *
                  double(attended)};
  double share = rank_share(g.attention, d_.attention_tp());
  Bytes bytes = share * layer_moved(g, i64(cached + tokens), d_);
  const AttentionRate& rate = device_.achievable.attention_rate(Arithmetic::bf16);
  add("kv cache", double(g.count), rate.launch, bytes, rate.fraction, flops, Arithmetic::bf16);
}

void Pass::collectives(const LayerGroup& g, double tokens) {
  if (d_.tp <= 1) return;
  bool mixer = !std::holds_alternative<NoAttention>(g.attention),
       ff = !std::holds_alternative<NoFeedForward>(g.feed_forward);
  Bytes payload{tokens * double(model_.hidden) * 2};
  // Under data-parallel attention a gather before and a scatter after the feed-forward stand for its all-reduce.
  Seconds after_mixer = all_reduce(device_, 1.0 / double(d_.attention_dp) * payload, d_.attention_tp());
  Seconds after_ff = all_reduce(device_, payload, d_.tp);
  add_fixed("collectives", double(g.count) * (double(mixer) * after_mixer + double(ff) * after_ff));
}

/// The head reads all of its matrix; a tied head reads the input embedding. The final norm rides along.
void Pass::head(double rows) {
  Parameters p = count_parameters(model_);
  double count = double(model_.tied_embeddings ? p.input_embedding : p.head) / double(d_.tp) + double(p.final_norm);
  const Format& f = embedding_format(model_, d_);
  const LinearRate& rate = device_.achievable.linear_rate(f.arithmetic);
  Bytes bytes = scale_ * f.size(count, 1 << 20);
  add("head", 1, rate.launch, bytes, linear_fraction(f), Flops{2.0 * rows * count}, f.arithmetic);
  least_bytes_ += bytes;
  if (p.other == 0) return;
  const Format& linear = format_of(model_, d_, WeightRole::linear);
  double share = double(p.other) / double(d_.tp);
  Bytes others = scale_ * linear.size(share, 1 << 20);
  add("weights", 1, {}, others, linear_fraction(linear), Flops{2.0 * rows * share}, linear.arithmetic);
  least_bytes_ += others;
}

void Pass::overheads(double batch) {
  const Achievable& a = device_.achievable;
  double layers = double(model_.layer_count()), moe_layers = 0;
  for (const LayerGroup& g : model_.layers)
    if (std::holds_alternative<MoeFeedForward>(g.feed_forward)) moe_layers += double(g.count);
  double sequences = std::ceil(batch / double(d_.attention_dp));  // each group schedules its own
  add_fixed("layer overhead", layers * (engine_.layer + std::log2(double(d_.tp)) * engine_.layer_per_log2_tp + a.layer +
                                        double(model_.hidden) / 1024.0 * a.layer_per_1024_hidden) +
                                  moe_layers * engine_.moe_layer);
  add_fixed("step overhead", a.step + engine_.step + sequences * (engine_.sequence + layers * engine_.sequence_layer));
  if (d_.pp > 1) add_fixed("stage hops", double(d_.pp - 1) * a.hop);
}

const std::vector<StepPart>& Pass::parts() {
  for (StepPart& p : parts_) {
    Seconds most = larger(p.memory, larger(p.compute, p.fixed));
    p.bound = most == p.memory ? "memory" : most == p.compute ? "compute" : "latency";
  }
  return parts_;
}

Seconds Pass::seconds() const {
  Seconds sum;
  for (const StepPart& p : parts_) sum += p.seconds;
  return sum;
}

namespace {

/// The expected largest of `count` standard normal draws, at powers of two (order statistics; Harter 1961).
double largest_of(i64 count) {
  constexpr double at[] = {0, 0.5642, 1.0294, 1.4236, 1.7660, 2.0697, 2.3437, 2.5947, 2.8269};
  double log = std::min(8.0, std::log2(double(count)));
  int below = std::min(7, int(log));
  return at[below] + (log - below) * (at[below + 1] - at[below]);
}

}  // namespace

double distinct_experts(const MoeFeedForward& moe, double tokens) {
  double experts = double(moe.experts), k = double(moe.top_k);
  if (moe.top_k >= moe.experts) return experts;
  return std::max(k, experts * -std::expm1(tokens * std::log1p(-k / experts)));
}

double busiest_rank_experts(const MoeFeedForward& moe, double tokens, i64 ranks) {
  double held = double(moe.experts) / double(ranks), touched = distinct_experts(moe, tokens) / double(moe.experts);
  double spread = std::sqrt(held * touched * (1 - touched));
  return std::min(held, held * touched + largest_of(ranks) * spread);
}

Seconds all_reduce(const Device& device, Bytes payload, i64 tp) {
  if (tp <= 1) return {};
  const Achievable& a = device.achievable;
  Seconds latency = a.all_reduce[tp <= 2 ? 0 : tp <= 4 ? 1 : 2];
  bool in_domain = device.link && tp <= device.link->domain;
  std::optional<Bandwidth> across = device.network ? device.network : device.host_link;
  if (!device.link && !across) return latency;  // unpublished: problems() refuses it, a measured row is told so
  Bandwidth link = in_domain ? (tp == 2 && device.link->pair ? *device.link->pair : device.link->per_direction)
                             : across.value_or(device.link ? device.link->per_direction : Bandwidth{});
  if (!in_domain) latency = larger(latency, a.network_latency);
  if (tp > 8) latency = latency * (std::log2(double(tp)) / 3.0);
  return latency + 2.0 * double(tp - 1) / double(tp) * payload / (a.link * link);
}

Bytes resident_bytes(const Model& model, const Deployment& d, const Workload& w) {
  Bytes sum = rank_weights(model, d, 0);
  for (const LayerGroup& g : model.layers)
    sum += double(ceil_div(w.batch, d.attention_dp)) * double(ceil_div(g.count, d.pp)) *
           rank_share(g.attention, d.attention_tp()) * layer_stored(g, w.context, d);
  return sum;
}

}  // namespace kvroof
