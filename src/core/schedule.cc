#include "core/schedule.h"

#include <algorithm>
#include <cmath>

#include "core/operations.h"

namespace kvroof {
namespace {

Arithmetic attention_arithmetic(const Deployment& d) {
  return d.cache.key.arithmetic == Arithmetic::fp8 ? Arithmetic::fp8 : Arithmetic::bf16;
}

}  // namespace

std::string_view name_of(PartKind kind) {
  static constexpr std::string_view names[] = {"weights", "experts",        "kv cache",      "collectives",
                                               "head",    "layer overhead", "step overhead", "stage hops"};
  return names[int(kind)];
}

Schedule::Schedule(const Model& model, const Device& device, const Deployment& deployment, const Engine& engine)
    : model_(model),
      device_(device),
      d_(deployment),
      engine_(engine),
      scale_(checkpoint_scale(model, deployment)),
      resident_weights_(rank_weights(model, deployment, 0)) {
  const Achievable& a = device.achievable;
  dense_.reserve(10 * model.layers.size());
  for (const LayerGroup& g : model.layers) {
    add_linears(g);
    bool mixer = !std::holds_alternative<NoAttention>(g.attention),
         ff = !std::holds_alternative<NoFeedForward>(g.feed_forward);
    reductions_ += double(g.count) * double(int(mixer) + int(ff));
  }
  add_head();
  sum_up();
  reduce_ = all_reduce(device, {}, d_.tp);
  reduce_row_ = all_reduce(device, Bytes{double(model.hidden) * 2}, d_.tp) - reduce_;
  layer_overhead_ = double(model.layer_count()) * (engine.layer + std::log2(double(d_.tp)) * engine.layer_per_log2_tp +
                                                   a.layer + double(model.hidden) / 1024.0 * a.layer_per_1024_hidden);
  step_overhead_ = a.step + engine.step;
  stage_hops_ = double(d_.pp - 1) * a.hop;
}

Work Schedule::work(Flops flops, Arithmetic arithmetic) const {
  std::optional<FlopRate> peak = device_.peak_for(arithmetic);
  if (!peak) return {flops, {}, {}};
  return {flops, flops / (device_.achievable.compute * *peak), flops / *peak};
}

MatrixOp Schedule::matrix(PartKind part, double layers, Seconds launch, Bytes bytes, Flops per_row,
                          Arithmetic arithmetic) const {
  MatrixOp op;
  op.part = part;
  op.launch = layers * larger(Seconds{}, launch - engine_.hidden_launch);
  op.bytes = op.least = layers * bytes;
  op.streamed = op.bytes / device_.achievable.linear_rate(arithmetic).fraction;
  op.per_row = work(layers * per_row, arithmetic);
  return op;
}

void Schedule::add_linears(const LayerGroup& g) {
  double layers = double(g.count);
  const auto* moe = std::get_if<MoeFeedForward>(&g.feed_forward);
  bool cross = std::holds_alternative<CrossAttention>(g.attention);
  for (const Linear& l : linears(model_, g)) {
    if (cross && l.split == Split::kv_heads) continue;  // the encoder's keys and values are made once
    const Format& f = format_of(model_, d_, l.role);
    double share = split_share(l.split, g.attention, d_);
    bool experts = l.role == WeightRole::expert && moe;
    double read = double(l.parameters) * share / (experts ? double(moe->experts) : 1);
    Seconds launch = l.fused ? Seconds{} : device_.achievable.linear_rate(f.arithmetic).launch;
    MatrixOp op = matrix(experts ? PartKind::experts : PartKind::weights, layers, launch,
                         scale_ * f.size(read, 1 << 20), Flops{2.0 * double(l.active) * share}, f.arithmetic);
    if (experts) {
      op.experts = moe;
      op.least = double(moe->top_k) * op.bytes;
    }
    (experts ? experts_ : dense_).push_back(op);
  }
  Bytes small = scale_ * model_.weights.embeddings.size(double(small_weights(model_, g)), 1 << 20);
  if (small.value > 0) dense_.push_back(matrix(PartKind::weights, layers, {}, small, {}, Arithmetic::bf16));
}

/// The head reads all of its matrix; a tied head reads the input embedding. The final norm rides along.
void Schedule::add_head() {
  Parameters p = count_parameters(model_);
  double count = double(model_.tied_embeddings ? p.input_embedding : p.head) / double(d_.tp) + double(p.final_norm);
  const Format& f = embedding_format(model_, d_);
  heads_.push_back(matrix(PartKind::head, 1, device_.achievable.linear_rate(f.arithmetic).launch,
                          scale_ * f.size(count, 1 << 20), Flops{2.0 * count}, f.arithmetic));
  if (p.other == 0) return;
  const Format& linear = format_of(model_, d_, WeightRole::linear);
  double share = double(p.other) / double(d_.tp);
  heads_.push_back(
      matrix(PartKind::weights, 1, {}, scale_ * linear.size(share, 1 << 20), Flops{2.0 * share}, linear.arithmetic));
}

/// What is the same for any number of rows is summed once.
void Schedule::sum_up() {
  for (const MatrixOp& op : dense_) {
    all_dense_.launch += op.launch;
    all_dense_.bytes += op.bytes;
    all_dense_.streamed += op.streamed;
    all_dense_.per_row += op.per_row;
  }
  for (const std::vector<MatrixOp>* ops : {&dense_, &experts_, &heads_})
    for (const MatrixOp& op : *ops) least_weights_ += op.least;
}

/// Bytes of one sequence's shared prefix in a layer that keeps it whole.
Bytes Schedule::prefix_bytes(const LayerGroup& g, i64 tokens) const {
  bool whole = std::holds_alternative<FullAttention>(g.attention) && d_.eviction.kind == EvictionKind::none;
  return whole && tokens > 0 ? layer_moved(g, tokens, d_) : Bytes{};
}

AttentionOp Schedule::decode(const LayerGroup& g, i64 context, i64 shared_prefix) const {
  AttentionOp op;
  if (std::holds_alternative<NoAttention>(g.attention)) return op;
  Arithmetic arithmetic = attention_arithmetic(d_);
  const AttentionRate& rate = device_.achievable.attention_rate(arithmetic);
  double share = rank_share(g.attention, d_.tp);
  i64 kept = kept_tokens(g.attention, context, d_.eviction);
  op.layers = double(g.count);
  op.launch = rate.launch - engine_.hidden_launch;
  if (device_.cores) op.tile = double(ceil_div(shards(g.attention), d_.tp)) / double(*device_.cores) * rate.tile;
  op.bytes = op.layers * share * layer_moved(g, context, d_);
  op.streamed = op.bytes / rate.fraction;
  op.prefix = op.layers * share * prefix_bytes(g, shared_prefix);
  op.per_sequence = work(op.layers / double(d_.tp) * attention_flops(g.attention, kept), arithmetic);
  return op;
}

AttentionOp Schedule::prefill(const LayerGroup& g, double tokens, double cached) const {
  AttentionOp op;
  if (std::holds_alternative<NoAttention>(g.attention)) return op;
  // Each new token attends to those before it: the mean of the first and the last one's context.
  i64 attended = i64(std::max(1.0, cached + tokens / 2));
  Flops flops = attention_flops(g.attention, attended);
  if (const auto* latent =
          std::get_if<LatentAttention>(&g.attention))  // prompts are not absorbed: keys and values per head
    flops = Flops{2.0 * double(latent->query_heads) * double(latent->nope_dim + latent->rope_dim + latent->value_dim) *
                  double(attended)};
  const AttentionRate& rate = device_.achievable.attention_rate(Arithmetic::bf16);
  op.layers = double(g.count);
  op.launch = rate.launch - engine_.hidden_launch;
  op.bytes = op.layers * rank_share(g.attention, d_.tp) * layer_moved(g, i64(cached + tokens), d_);
  op.streamed = op.bytes / rate.fraction;
  op.per_sequence = work(op.layers * tokens / double(d_.tp) * flops, Arithmetic::bf16);
  return op;
}

Seconds Schedule::collectives(double tokens) const {
  return d_.tp <= 1 ? Seconds{} : reductions_ * (reduce_ + tokens * reduce_row_);
}

Bytes Schedule::resident_sequence(i64 context) const {
  Bytes sum;
  for (const LayerGroup& g : model_.layers)
    sum += double(ceil_div(g.count, d_.pp)) * rank_share(g.attention, d_.tp) * layer_stored(g, context, d_);
  return sum;
}

}  // namespace kvroof
