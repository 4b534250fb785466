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

/// One op: launch, then memory and arithmetic overlapping as the device's `overlap` says. `core`: the arithmetic's
/// time where it is known better than from the peak rate.
void Pass::add(std::string_view name, double times, Seconds launch, Bytes bytes, double fraction, Flops flops,
               Arithmetic arithmetic, std::optional<Seconds> core) {
  std::optional<FlopRate> peak = device_.peak_for(arithmetic);
  Seconds memory = placement_.stream(bytes, fraction);
  Seconds compute = core ? *core : peak ? flops / (device_.achievable.compute * *peak) : Seconds{};
  Seconds beyond = device_.achievable.overlap.join(memory, compute) - memory;
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
    double read = double(l.parameters) * share, least = read;
    if (l.role == WeightRole::expert && moe) {
      double one = double(l.parameters) / double(moe->experts);
      read = one * distinct_experts(*moe, tokens) * share;
      least = one * double(moe->top_k) * share;
    }
    const LinearRate& rate = device_.achievable.linear_rate(f.arithmetic);
    add(l.role == WeightRole::expert ? "experts" : "weights", layers, l.fused ? Seconds{} : rate.launch,
        scale_ * f.size(read, 1 << 20), rate.fraction, Flops{2.0 * tokens * double(l.active) * share}, f.arithmetic);
    least_bytes_ += (layers * scale_) * f.size(least, 1 << 20);
  }
  Bytes small = scale_ * model_.weights.embeddings.size(double(small_weights(model_, g)), 1 << 20);
  if (small.value > 0)
    add("weights", layers, {}, small, device_.achievable.linear_rate(Arithmetic::bf16).fraction, {}, Arithmetic::bf16);
  least_bytes_ += layers * small;
}

/// Bytes of one sequence's shared prefix in a layer that keeps it whole.
Bytes Pass::prefix_bytes(const LayerGroup& g, i64 tokens) const {
  bool whole = std::holds_alternative<FullAttention>(g.attention) && d_.eviction.kind == EvictionKind::none;
  return whole && tokens > 0 ? layer_moved(g, tokens, d_) : Bytes{};
}

/// Time of the cores on cached data, where the device's own kernel was measured on the keys' format. An element is
/// decoded once for all queries that share it; a latent twice, as key and as value.
std::optional<Seconds> Pass::core_time(const Attention& attention, double batch, i64 tokens, Flops flops) const {
  const CoreCost* cost = device_.achievable.core_cost(d_.cache.key);
  double queries = double(query_heads(attention));
  if (!cost || queries == 0) return std::nullopt;
  double elements = attention_flops(attention, tokens).value / (2 * queries) * double(shards(attention));
  double scores = queries * double(tokens) / double(d_.tp);
  return batch * (rank_share(attention, d_.tp) * elements * cost->element + scores * cost->score) + flops / cost->rate;
}

void Pass::decode_attention(const LayerGroup& g, double batch, i64 context, i64 shared_prefix) {
  if (std::holds_alternative<NoAttention>(g.attention)) return;
  double layers = double(g.count), share = rank_share(g.attention, d_.tp);
  Bytes bytes = batch * share * layer_moved(g, context, d_);
  i64 kept = kept_tokens(g.attention, context, d_.eviction);
  Flops flops = batch / double(d_.tp) * attention_flops(g.attention, kept);
  Arithmetic format = d_.cache.key.arithmetic == Arithmetic::fp8 ? Arithmetic::fp8 : Arithmetic::bf16;
  const AttentionRate& rate = device_.achievable.attention_rate(format);
  double tiles = batch * double(ceil_div(shards(g.attention), d_.tp));
  Seconds tile = device_.cores ? tiles / double(*device_.cores) * rate.tile : Seconds{};
  add("kv cache", layers, rate.launch + tile, bytes, rate.fraction, flops, format,
      core_time(g.attention, batch, kept, flops));
  // With cascade attention at its best a common prefix is read once, not once per sequence.
  least_bytes_ += layers * (bytes - (batch - 1) * share * prefix_bytes(g, shared_prefix));
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
  double share = rank_share(g.attention, d_.tp);
  Bytes bytes = share * layer_moved(g, i64(cached + tokens), d_);
  const AttentionRate& rate = device_.achievable.attention_rate(Arithmetic::bf16);
  add("kv cache", double(g.count), rate.launch, bytes, rate.fraction, flops, Arithmetic::bf16);
}

void Pass::collectives(const LayerGroup& g, double tokens) {
  if (d_.tp <= 1) return;
  bool mixer = !std::holds_alternative<NoAttention>(g.attention),
       ff = !std::holds_alternative<NoFeedForward>(g.feed_forward);
  Bytes payload{tokens * double(model_.hidden) * 2};
  add_fixed("collectives", double(g.count) * double(int(mixer) + int(ff)) * all_reduce(device_, payload, d_.tp));
}

/// The head reads all of its matrix; a tied head reads the input embedding. The final norm rides along.
void Pass::head(double rows) {
  Parameters p = count_parameters(model_);
  double count = double(model_.tied_embeddings ? p.input_embedding : p.head) / double(d_.tp) + double(p.final_norm);
  const Format& f = embedding_format(model_, d_);
  const LinearRate& rate = device_.achievable.linear_rate(f.arithmetic);
  Bytes bytes = scale_ * f.size(count, 1 << 20);
  add("head", 1, rate.launch, bytes, rate.fraction, Flops{2.0 * rows * count}, f.arithmetic);
  least_bytes_ += bytes;
  if (p.other == 0) return;
  const Format& linear = format_of(model_, d_, WeightRole::linear);
  double share = double(p.other) / double(d_.tp);
  Bytes others = scale_ * linear.size(share, 1 << 20);
  add("weights", 1, {}, others, device_.achievable.linear_rate(linear.arithmetic).fraction, Flops{2.0 * rows * share},
      linear.arithmetic);
  least_bytes_ += others;
}

void Pass::overheads(double batch) {
  const Achievable& a = device_.achievable;
  double layers = double(model_.layer_count());
  add_fixed("layer overhead", layers * (engine_.layer + std::log2(double(d_.tp)) * engine_.layer_per_log2_tp + a.layer +
                                        double(model_.hidden) / 1024.0 * a.layer_per_1024_hidden));
  add_fixed("step overhead", a.step + engine_.step + batch * engine_.sequence);
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

double distinct_experts(const MoeFeedForward& moe, double tokens) {
  double experts = double(moe.experts), k = double(moe.top_k);
  if (moe.top_k >= moe.experts) return experts;
  return std::max(k, experts * -std::expm1(tokens * std::log1p(-k / experts)));
}

Seconds linear_time(const Device& device, const Format& format, double elements, double rows) {
  const LinearRate& rate = device.achievable.linear_rate(format.arithmetic);
  Seconds memory = format.size(elements, 1 << 20) / (rate.fraction * device.memory[0].bandwidth);
  std::optional<FlopRate> peak = device.peak_for(format.arithmetic);
  Seconds compute = peak ? Flops{2 * elements * rows} / (device.achievable.compute * *peak) : Seconds{};
  return rate.launch + device.achievable.overlap.join(memory, compute);
}

Seconds all_reduce(const Device& device, Bytes payload, i64 tp) {
  if (tp <= 1) return {};
  const Achievable& a = device.achievable;
  Seconds latency = a.all_reduce[tp <= 2 ? 0 : tp <= 4 ? 1 : 2];
  bool in_domain = device.link && tp <= device.link->domain;
  std::optional<Bandwidth> across = device.network ? device.network : device.host_link;
  Bandwidth link = in_domain ? (tp == 2 && device.link->pair ? *device.link->pair : device.link->per_direction)
                             : across.value_or(device.link ? device.link->per_direction : Bandwidth{1e9});
  if (!in_domain) latency = larger(latency, a.network_latency);
  if (tp > 8) latency = latency * (std::log2(double(tp)) / 3.0);
  return latency + 2.0 * double(tp - 1) / double(tp) * payload / (a.link * link);
}

Bytes resident_bytes(const Model& model, const Deployment& d, const Workload& w) {
  Bytes sum = rank_weights(model, d, 0);
  for (const LayerGroup& g : model.layers)
    sum += double(w.batch) * double(ceil_div(g.count, d.pp)) * rank_share(g.attention, d.tp) *
           layer_stored(g, w.context, d);
  return sum;
}

}  // namespace kvroof
