#include "cli/describe.h"

#include <fmt/format.h>

#include "render/number.h"

namespace kvroof {

std::string sharing_of(const LayerGroup& group) {
  if (const Heads* heads = heads_of(group.attention)) {
    std::string name(sharing_name(*heads));
    return name == "GQA" ? "GQA-" + std::to_string(heads->kv) : name;
  }
  if (std::holds_alternative<LatentAttention>(group.attention)) return "MLA";
  return std::string(kind_name(group.attention));
}

std::string kinds_of(const Model& model) {
  std::string all;
  std::vector<std::string> seen;
  for (const LayerGroup& g : model.layers) {
    if (std::holds_alternative<NoAttention>(g.attention)) continue;
    std::string one = sharing_of(g);
    if (const auto* s = std::get_if<SlidingAttention>(&g.attention)) one += " window " + count(double(s->window));
    if (const auto* c = std::get_if<ChunkedAttention>(&g.attention)) one += " chunk " + count(double(c->chunk));
    if (std::holds_alternative<CrossAttention>(g.attention)) one += " cross";
    if (std::find(seen.begin(), seen.end(), one) != seen.end()) continue;
    seen.push_back(one);
    all += (all.empty() ? "" : " + ") + one;
  }
  return all;
}

std::string shape_of(const LayerGroup& group) {
  if (const Heads* h = heads_of(group.attention)) {
    std::string dims =
        h->key_dim == h->value_dim ? std::to_string(h->key_dim) : fmt::format("{}/{}", h->key_dim, h->value_dim);
    return fmt::format("{}:{} heads of {}", h->query, h->kv, dims);
  }
  if (const auto* m = std::get_if<LatentAttention>(&group.attention))
    return fmt::format("{} heads, latent {}+{}", m->query_heads, m->kv_lora_rank, m->rope_dim) +
           (m->indexer ? fmt::format(", index {}", m->indexer->head_dim) : "");
  if (const auto* r = std::get_if<RecurrentState>(&group.attention))
    return fmt::format("state {}", count(double(r->state_elements + r->conv_elements)));
  return "-";
}

std::string cache_format_of(const CacheFormats& formats) {
  if (formats.key == formats.value) return std::string(formats.key.name);
  return fmt::format("{} K, {} V", formats.key.name, formats.value.name);
}

std::string weight_format_of(const Model& model, const Deployment& deployment) {
  Format linears = format_of(model, deployment, WeightRole::linear),
         experts = format_of(model, deployment, WeightRole::expert);
  bool has_experts = false;
  for (const LayerGroup& g : model.layers) has_experts |= std::holds_alternative<MoeFeedForward>(g.feed_forward);
  if (!has_experts || linears == experts) return std::string(linears.name);
  return fmt::format("{} with {} experts", linears.name, experts.name);
}

}  // namespace kvroof
