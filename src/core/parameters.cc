#include "core/parameters.h"

namespace kvroof {
namespace {

Linear dense(std::string_view name, Split split, i64 parameters) {
  return {name, WeightRole::linear, split, parameters, parameters, false};
}

Linear fused(Linear linear) {
  linear.fused = true;
  return linear;
}

bool has_kv_projection(const LayerGroup& group) { return !group.shares_kv || group.own_kv_projection; }

void add_head_linears(std::vector<Linear>& out, const Model& m, const LayerGroup& g, const Heads& h) {
  i64 gate = g.projections.output_gate ? 2 : 1;
  out.push_back(dense("q", Split::query_heads, m.hidden * h.query * h.key_dim * gate));
  if (has_kv_projection(g)) {
    out.push_back(fused(dense("k", Split::kv_heads, m.hidden * h.kv * h.key_dim)));
    if (!g.projections.value_from_key) out.push_back(fused(dense("v", Split::kv_heads, m.hidden * h.kv * h.value_dim)));
  }
  out.push_back(dense("o", Split::query_heads, h.query * h.value_dim * m.hidden));
}

void add_latent_linears(std::vector<Linear>& out, const Model& m, const LatentAttention& a) {
  i64 key_dim = a.nope_dim + a.rope_dim;
  if (a.q_lora_rank > 0) {
    out.push_back(dense("q down", Split::none, m.hidden * a.q_lora_rank));
    out.push_back(dense("q up", Split::query_heads, a.q_lora_rank * a.query_heads * key_dim));
  } else {
    out.push_back(dense("q", Split::query_heads, m.hidden * a.query_heads * key_dim));
  }
  out.push_back(fused(dense("kv down", Split::none, m.hidden * (a.kv_lora_rank + a.rope_dim))));
  out.push_back(dense("kv up", Split::query_heads, a.kv_lora_rank * a.query_heads * (a.nope_dim + a.value_dim)));
  out.push_back(dense("o", Split::query_heads, a.query_heads * a.value_dim * m.hidden));
  if (a.indexer) {
    const Indexer& x = *a.indexer;
    i64 source = a.q_lora_rank > 0 ? a.q_lora_rank : m.hidden;
    out.push_back(dense("indexer", Split::none, source * x.heads * x.head_dim + m.hidden * (x.head_dim + x.heads)));
  }
}

void add_attention_linears(std::vector<Linear>& out, const Model& m, const LayerGroup& g) {
  if (const Heads* heads = heads_of(g.attention)) add_head_linears(out, m, g, *heads);
  if (const LatentAttention* mla = std::get_if<LatentAttention>(&g.attention)) add_latent_linears(out, m, *mla);
  for (Linear& linear : out) linear.role = WeightRole::attention;
  if (const RecurrentState* state = std::get_if<RecurrentState>(&g.attention))
    out.push_back(dense("mixer", Split::query_heads, state->weights));
}

void add_feed_forward_linears(std::vector<Linear>& out, const Model& m, const FeedForward& ff) {
  if (const DenseFeedForward* d = std::get_if<DenseFeedForward>(&ff)) {
    if (d->matrices == 3)
      out.push_back(dense("gate+up", Split::feed_forward, 2 * m.hidden * d->width));
    else
      out.push_back(dense("up", Split::feed_forward, m.hidden * d->width));
    out.push_back(dense("down", Split::feed_forward, m.hidden * d->width));
  }
  if (const MoeFeedForward* e = std::get_if<MoeFeedForward>(&ff)) {
    i64 width_in = e->expert_hidden > 0 ? e->expert_hidden : m.hidden;
    i64 one = e->matrices * width_in * e->width;
    out.push_back(dense("router", Split::none, m.hidden * e->experts));
    if (e->expert_hidden > 0) out.push_back(dense("latent", Split::none, 2 * m.hidden * e->expert_hidden));
    out.push_back({"experts", WeightRole::expert, Split::experts, e->experts * one, e->top_k * one, false});
    if (e->shared_width > 0)
      out.push_back(dense("shared expert", Split::feed_forward, e->matrices * m.hidden * e->shared_width));
  }
}

i64 head_biases(const Model& m, const LayerGroup& g, const Heads& h) {
  const Projections& p = g.projections;
  i64 n = 0;
  if (p.qkv_bias) {
    n += h.query * h.key_dim * (p.output_gate ? 2 : 1);
    if (has_kv_projection(g)) n += h.kv * h.value_dim + (p.key_bias ? h.kv * h.key_dim : 0);
  }
  if (p.output_bias) n += m.hidden;
  if (p.qk_norm == QkNorm::head) n += has_kv_projection(g) ? 2 * h.key_dim : h.key_dim;
  if (p.qk_norm == QkNorm::all) n += (h.query + (has_kv_projection(g) ? h.kv : 0)) * h.key_dim;
  if (p.sinks) n += h.query;
  return n;
}

i64 latent_norms(const LatentAttention& a) {
  return a.q_lora_rank + a.kv_lora_rank + (a.indexer ? 2 * a.indexer->head_dim : 0);
}

i64 feed_forward_biases(const Model& m, const FeedForward& ff) {
  if (const DenseFeedForward* d = std::get_if<DenseFeedForward>(&ff))
    return d->bias ? (d->matrices - 1) * d->width + m.hidden : 0;
  if (const MoeFeedForward* e = std::get_if<MoeFeedForward>(&ff))
    return (e->router_bias ? e->experts : 0) + (e->shared_gate ? m.hidden : 0);
  return 0;
}

i64 norm_size(const Model& m) { return m.hidden * (m.norm_bias ? 2 : 1); }

}  // namespace

std::vector<Linear> linears(const Model& model, const LayerGroup& group) {
  std::vector<Linear> out;
  out.reserve(12);  // most have fewer; sweeps ask for every layout
  add_attention_linears(out, model, group);
  add_feed_forward_linears(out, model, group.feed_forward);
  if (group.other_weights > 0) out.push_back(dense("other", Split::feed_forward, group.other_weights));
  return out;
}

i64 small_weights(const Model& model, const LayerGroup& group) {
  i64 n = group.norms * norm_size(model) + feed_forward_biases(model, group.feed_forward);
  if (const Heads* heads = heads_of(group.attention)) n += head_biases(model, group, *heads);
  if (const LatentAttention* mla = std::get_if<LatentAttention>(&group.attention)) n += latent_norms(*mla);
  return n;
}

i64 expert_biases(const Model& model, const LayerGroup& group) {
  const MoeFeedForward* e = std::get_if<MoeFeedForward>(&group.feed_forward);
  if (!e || !e->bias) return 0;
  return e->experts * ((e->matrices - 1) * e->width + (e->expert_hidden > 0 ? e->expert_hidden : model.hidden));
}

Parameters count_parameters(const Model& model) {
  Parameters p;
  p.input_embedding = model.vocab * model.hidden;
  p.head = model.tied_embeddings ? 0 : model.vocab * model.hidden;
  p.positions = model.position_embeddings * model.hidden;
  p.encoder = model.encoder_weights;
  p.other = model.other_weights;
  p.final_norm = (model.head_bias ? model.vocab : 0) + (model.final_norm ? norm_size(model) : 0);
  i64 inactive = 0;
  for (const LayerGroup& group : model.layers) {
    i64 biases = expert_biases(model, group), layer = small_weights(model, group) + biases;
    for (const Linear& linear : linears(model, group)) {
      layer += linear.parameters;
      inactive += group.count * (linear.parameters - linear.active);
    }
    if (const MoeFeedForward* e = std::get_if<MoeFeedForward>(&group.feed_forward))
      inactive += group.count * (biases - biases / e->experts * e->top_k);
    p.layers += group.count * layer;
  }
  p.total = p.input_embedding + p.head + p.positions + p.layers + p.encoder + p.other + p.final_norm;
  p.active = p.total - p.encoder - inactive;
  return p;
}

}  // namespace kvroof
