#include "core/schedule.h"

#include <algorithm>
#include <cmath>

#include "core/cache_type.h"
#include "core/experts.h"
#include "core/operations.h"

namespace kvroof {
std::string_view name_of(PartKind kind) {
  static constexpr std::string_view names[] = {"weights", "experts",        "kv cache",      "collectives",
                                               "head",    "layer overhead", "step overhead", "stage hops"};
  return names[int(kind)];
}

namespace {

/// A step moves states in the format that they are stored in.
Deployment as_stored(const Engine& engine, const Model& model, Deployment d) {
  d.cache = formats_in(engine, model, d);
  return d;
}

}  // namespace

Schedule::Schedule(const Model& model, const Device& device, const Deployment& deployment, const Engine& engine)
    : model_(model),
      device_(device),
      d_(as_stored(engine, model, deployment)),
      engine_(engine),
      scale_(checkpoint_scale(model, deployment)),
      resident_weights_(rank_weights(model, deployment, 0, stages_of(engine))) {
  const Achievable& a = device.achievable;
  double layers = double(model.layer_count()), moe_layers = 0, sharing = 0;
  bool states = false;
  dense_.reserve(10 * model.layers.size());
  for (const LayerGroup& g : model.layers) {
    add_linears(g);
    bool mixer = !std::holds_alternative<NoAttention>(g.attention),
         ff = !std::holds_alternative<NoFeedForward>(g.feed_forward);
    mixers_ += double(g.count) * double(mixer);
    if (mixer) prompt_overhead_ += double(g.count) * engine.prompt_op;
    feed_forwards_ += double(g.count) * double(ff);
    if (std::holds_alternative<MoeFeedForward>(g.feed_forward)) moe_layers += double(g.count);
    if (g.shares_kv) sharing += double(g.count);
    states |= std::holds_alternative<RecurrentState>(g.attention);
  }
  most_moves_ = double(d_.pp) * (states ? 2 : 1) * (1 + sharing);
  add_head();
  sum_up();
  // Under data-parallel attention a gather before and a scatter after the feed-forward stand for its all-reduce.
  Bytes row{double(model.hidden) * 2};
  reduce_mixer_ = all_reduce(device, {}, d_.attention_tp());
  reduce_mixer_row_ = (all_reduce(device, row, d_.attention_tp()) - reduce_mixer_) / double(d_.attention_dp);
  reduce_ = all_reduce(device, {}, d_.tp);
  reduce_row_ = all_reduce(device, row, d_.tp) - reduce_;
  layer_overhead_ = layers * (engine.layer + std::log2(double(d_.tp)) * engine.layer_per_log2_tp + a.layer +
                              double(model.hidden) / 1024.0 * a.layer_per_1024_hidden) +
                    moe_layers * engine.moe_layer;
  prompt_overhead_ += moe_layers * engine.prompt_moe_layer;
  step_overhead_ = a.step + engine.step;
  sequence_overhead_ = engine.sequence + layers * engine.sequence_layer;
  stage_hops_ = double(d_.pp - 1) * (a.hop + engine.stage);
}

Work Schedule::work(Flops flops, Arithmetic arithmetic) const {
  std::optional<FlopRate> peak = device_.peak_for(arithmetic);
  if (!peak) return {flops, {}, {}};
  return {flops, flops / (device_.achievable.compute * *peak), flops / *peak};
}

double Schedule::expert_fraction(const Format& f) const {
  return fraction(f, std::max(linear_rate(f).fraction, linear_rate(format("bf16")).fraction));
}

/// What of the bandwidth is reached where memory would allow `fraction`.
double Schedule::fraction(const Format& f, double fraction) const {
  const std::optional<Bandwidth>& core_rate = device_.achievable.core_rate;
  if (engine_.matrix_vector && core_rate && device_.cores)
    fraction = std::min(fraction, double(*device_.cores) * *core_rate / device_.memory[0].bandwidth);
  // Decoding a K-quant costs the cores more, all the more where they are what binds.
  if (f.name.size() > 2 && f.name.substr(f.name.size() - 2) == "_k") fraction *= engine_.k_quants;
  return fraction;
}

MatrixOp Schedule::matrix(PartKind part, double layers, Seconds launch, Bytes bytes, Flops per_row,
                          const Format& f) const {
  MatrixOp op;
  op.part = part;
  op.launch = layers * larger(Seconds{}, launch - engine_.hidden_launch);
  op.bytes = op.least = layers * bytes;
  op.streamed = op.bytes / linear_fraction(f);
  op.per_row = work(layers * per_row, f.arithmetic);
  return op;
}

MatrixOp Schedule::expert_matrix(double layers, Seconds launch, Bytes bytes, Flops per_row, const Format& f) const {
  MatrixOp op = matrix(PartKind::experts, layers, launch, bytes, per_row, f);
  op.streamed = op.bytes / expert_fraction(f);
  op.per_row.reached = op.per_row.reached / engine_.expert_compute;
  return op;
}

/// Each token needs top_k of them at least.
void Schedule::add_experts(const MoeFeedForward& moe, MatrixOp one) {
  one.experts = &moe;
  one.least = double(moe.top_k) * one.bytes;
  experts_.push_back(one);
}

void Schedule::add_linears(const LayerGroup& g) {
  double layers = double(g.count);
  const auto* moe = std::get_if<MoeFeedForward>(&g.feed_forward);
  bool cross = std::holds_alternative<CrossAttention>(g.attention);
  for (const Linear& l : linears(model_, g)) {
    if (cross && l.split == Split::kv_heads) continue;  // the encoder's keys and values are made once
    const Format& f = format_of(model_, d_, l.role);
    double share = split_share(l.split, g.attention, d_);
    bool everywhere = l.split == Split::feed_forward || l.split == Split::experts || l.split == Split::vocabulary;
    double rows = everywhere ? 1 : 1 / double(d_.attention_dp);  // a group attends to its own sequences
    bool experts = l.role == WeightRole::expert && moe;
    double read = double(l.parameters) * share / (experts ? double(moe->experts) : 1);
    Seconds launch = l.fused ? Seconds{} : device_.achievable.linear_rate(f.arithmetic).launch;
    if (!l.fused) prompt_overhead_ += layers * engine_.prompt_op;
    Bytes bytes = scale_ * f.size(read, 1 << 20);
    Flops flops{2.0 * double(l.active) * share};
    if (experts) {
      add_experts(*moe, expert_matrix(layers, launch, bytes, flops, f));
      continue;
    }
    dense_.push_back(matrix(PartKind::weights, layers, launch, bytes, flops, f));
    dense_.back().rows = rows;
  }
  Bytes small = scale_ * model_.weights.embeddings.size(double(small_weights(model_, g)), 1 << 20);
  if (small.value > 0) dense_.push_back(matrix(PartKind::weights, layers, {}, small, {}, format("bf16")));
  if (i64 biases = expert_biases(model_, g)) {
    double one = double(biases) / double(moe->experts) * split_share(Split::experts, g.attention, d_);
    add_experts(*moe,
                expert_matrix(layers, {}, scale_ * model_.weights.embeddings.size(one, 1 << 20), {}, format("bf16")));
  }
}

/// The head reads all of its matrix; a tied head reads the input embedding. The final norm rides along.
void Schedule::add_head() {
  Parameters p = count_parameters(model_);
  double count = double(model_.tied_embeddings ? p.input_embedding : p.head) / double(d_.tp) + double(p.final_norm);
  const Format& f = embedding_format(model_, d_);
  heads_.push_back(matrix(PartKind::head, 1, device_.achievable.linear_rate(f.arithmetic).launch,
                          scale_ * f.size(count, 1 << 20), Flops{2.0 * count}, f));
  if (p.other == 0) return;
  const Format& linear = format_of(model_, d_, WeightRole::linear);
  double share = double(p.other) / double(d_.tp);
  heads_.push_back(matrix(PartKind::weights, 1, {}, scale_ * linear.size(share, 1 << 20), Flops{2.0 * share}, linear));
}

/// What is the same for any number of rows is summed once; those that arithmetic binds first come first.
void Schedule::sum_up() {
  for (const MatrixOp& op : dense_) {
    all_dense_.launch += op.launch;
    all_dense_.bytes += op.bytes;
    all_dense_.streamed += op.streamed;
    all_dense_.per_row += op.per_row * op.rows;
  }
  for (const std::vector<MatrixOp>* ops : {&dense_, &experts_, &heads_})
    for (const MatrixOp& op : *ops) least_weights_ += op.least;
  // An empty matrix has a launch alone. It is as fast as any other, so it has no place in their order.
  std::erase_if(dense_, [](const MatrixOp& op) { return op.streamed.value == 0; });
  std::stable_sort(dense_.begin(), dense_.end(), [](const MatrixOp& a, const MatrixOp& b) {
    return a.rows * a.per_row.reached * b.streamed.value > b.rows * b.per_row.reached * a.streamed.value;
  });
}

AttentionOp Schedule::decode(const LayerGroup& g, const Workload& w) const {
  AttentionOp op;
  if (std::holds_alternative<NoAttention>(g.attention)) return op;
  Arithmetic arithmetic = attention_arithmetic(d_.cache.key);
  i64 tp = d_.attention_tp();
  double share = rank_share(g.attention, tp);
  op.rate = device_.achievable.attention_rate(arithmetic);
  i64 kept = kept_tokens(g.attention, w.context, d_.eviction);
  op.attended = attended_tokens(g.attention, kept);
  if (std::holds_alternative<RecurrentState>(g.attention)) op.rate.reach = 0;  // its kernels cut a head further
  op.layers = double(g.count);
  op.launch = op.rate.launch - engine_.hidden_launch;
  op.tiles = double(ceil_div(shards(g.attention), tp));
  op.bytes = op.layers * share * layer_moved(g, w.context, d_);
  op.common = op.layers * share * layer_common(g, w.context, w.shared_prefix, d_);
  Flops flops = double(w.query_tokens) * attention_flops(g.attention, kept);
  op.per_sequence = work(op.layers / double(tp) * flops, arithmetic);
  if (const CoreCost* core = core_cost(g.attention)) {
    op.per_sequence.reached = op.layers * core_time(*core, g.attention, kept, w.query_tokens);
    op.rate.fraction = core->fraction.value_or(op.rate.fraction);
    op.overlap = core->overlap;
  }
  return op;
}

/// Query heads of a rank that share a cached head.
double Schedule::group_of(const Attention& attention) const {
  double tp = double(d_.attention_tp());
  return double(query_heads(attention)) / tp / std::ceil(double(shards(attention)) / tp);
}

/// That of the device's own kernel, where it was measured on the keys' format.
const CoreCost* Schedule::core_cost(const Attention& attention) const {
  if (query_heads(attention) == 0) return nullptr;
  return device_.achievable.core_cost(d_.cache.key, group_of(attention));
}

/// Time of the cores on one sequence's cached data. An element is decoded once for all queries that share it; a latent
/// twice, as key and as value.
Seconds Schedule::core_time(const CoreCost& cost, const Attention& attention, i64 kept, i64 query_tokens) const {
  double queries = double(query_heads(attention)), tp = double(d_.attention_tp());
  Flops flops = attention_flops(attention, kept);
  double elements = flops.value / (2 * queries) * double(shards(attention));
  double scores = queries * double(attended_tokens(attention, kept)) / tp;
  double asked = double(query_tokens), of_a_head = asked * group_of(attention), block = double(cost.block);
  double worked = cost.block == 1 ? asked : asked * std::ceil(of_a_head / block) * block / of_a_head;  // idle rows too
  return rank_share(attention, d_.attention_tp()) * elements * cost.element + worked * scores * cost.score +
         worked / tp * flops / cost.rate;
}

AttentionOp Schedule::prefill(const LayerGroup& g, double tokens, double cached) const {
  AttentionOp op;
  if (std::holds_alternative<NoAttention>(g.attention)) return op;
  // Each new token attends to those before it: the mean of the first and the last one's context.
  i64 attended = i64(std::max(1.0, cached + tokens / 2));
  Flops flops = prompt_flops(g.attention, attended);
  op.rate = device_.achievable.attention_rate(Arithmetic::bf16);
  op.rate.reach = 0;  // prompts give all cores work
  op.layers = double(g.count);
  op.launch = op.rate.launch - engine_.hidden_launch;
  op.bytes = op.layers * rank_share(g.attention, d_.attention_tp()) * layer_moved(g, i64(cached + tokens), d_);
  op.per_sequence = work(op.layers * tokens / double(d_.attention_tp()) * flops, Arithmetic::bf16);
  return op;
}

Seconds Schedule::collectives(double tokens) const {
  return mixers_ * (reduce_mixer_ + tokens * reduce_mixer_row_) + feed_forwards_ * (reduce_ + tokens * reduce_row_);
}

double Schedule::experts_read(const MoeFeedForward& moe, double rows) const {
  if (d_.ep <= 1) return distinct_experts(moe, rows, d_.expert_skew);
  return double(d_.ep) * busiest_rank_experts(moe, rows, d_.ep, d_.expert_skew);
}

/// Of every group the layers of the fullest stage, by what a layer of it keeps.
template <class Kept>
Bytes Schedule::resident(Kept kept) const {
  Bytes sum;
  for (const LayerGroup& g : model_.layers)
    sum += double(ceil_div(g.count, d_.pp)) * rank_share(g.attention, d_.attention_tp()) * kept(g);
  return sum;
}

Bytes Schedule::resident_sequence(const Workload& w) const {
  return resident([&](const LayerGroup& g) {
    return layer_stored(g, w.context, d_) - layer_shared(g, w.context, w.shared_prefix, d_);
  });
}

Bytes Schedule::resident_shared(const Workload& w) const {
  if (w.shared_prefix == 0) return {};
  return resident([&](const LayerGroup& g) { return layer_shared(g, w.context, w.shared_prefix, d_); });
}

}  // namespace kvroof
