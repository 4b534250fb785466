#include "core/explain.h"

#include <algorithm>
#include <cstdio>

#include "core/experts.h"

namespace kvroof {
namespace {

Node leaf(std::string label, double value, Measure measure, std::string why = "") {
  return {std::move(label), value, measure, Rule::given, std::move(why), {}};
}

std::string fixed(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

std::string_view role_name(Role role) {
  constexpr std::string_view names[] = {"keys", "values", "latent", "index", "conv state", "state"};
  return names[int(role)];
}

std::string group_label(const LayerGroup& g) {
  std::string label = std::to_string(g.count) + " x " + std::string(kind_name(g.attention));
  if (g.shares_kv) label += " (shared)";
  return label;
}

Bytes part_bytes(const Part& part, const CacheFormats& formats) {
  Parts one = {part};
  return bytes_of(one, formats);
}

Node explain_group(const LayerGroup& g, const Deployment& d, i64 tokens) {
  Bytes layer = layer_stored(g, tokens, d);
  Node group{group_label(g), double(g.count) * layer.value, Measure::bytes, Rule::product, "", {}};
  group.parts.push_back(leaf("layers", double(g.count), Measure::count));
  Node one{"one layer", layer.value, Measure::bytes, Rule::sum, g.shares_kv ? "reads an earlier layer's cache" : "",
           {}};
  double rest = layer.value;
  if (!g.shares_kv) {
    i64 kept = kept_tokens(g.attention, tokens, d.eviction);
    for (const Part& part : stored(g.attention, kept)) {
      double bytes = part_bytes(part, d.cache).value;
      one.parts.push_back(leaf(std::string(role_name(part.role)), bytes, Measure::bytes,
                               std::to_string(i64(part.elements)) + " elements"));
      rest -= bytes;
    }
    if (rest > 0.5) one.parts.push_back(leaf("scores", rest, Measure::bytes, "H2O: one f32 per kept token and head"));
  }
  if (one.parts.empty()) one.rule = Rule::given;
  group.parts.push_back(std::move(one));
  return group;
}

/// The group with keys and values for every query head and no window.
LayerGroup as_mha(const LayerGroup& g) {
  LayerGroup plain = g;
  if (const auto* latent = std::get_if<LatentAttention>(&g.attention))
    plain.attention = FullAttention{
        {latent->query_heads, latent->query_heads, latent->nope_dim + latent->rope_dim, latent->value_dim}};
  if (Heads* heads = heads_of(plain.attention)) heads->kv = heads->query;
  return plain;
}

LayerGroup without_window(const LayerGroup& g) {
  LayerGroup plain = g;
  const Heads* heads = heads_of(g.attention);
  bool windowed =
      std::holds_alternative<SlidingAttention>(g.attention) || std::holds_alternative<ChunkedAttention>(g.attention);
  if (heads && windowed) plain.attention = FullAttention{*heads};
  return plain;
}

/// Multiplies the product so far by what one change makes of it.
void add_factor(Node& product, double& so_far, double now, const char* label, const char* why) {
  if (so_far == 0 || now == so_far) return;
  product.parts.push_back(leaf(label, now / so_far, Measure::ratio, why));
  so_far = now;
}

Node reductions_of(const LayerGroup& g, const Deployment& d, i64 tokens) {
  double stored_bytes = double(g.count) * layer_stored(g, tokens, d).value;
  Node group{group_label(g), stored_bytes, Measure::bytes, Rule::product, "", {}};
  if (!heads_of(g.attention) && !std::holds_alternative<LatentAttention>(g.attention)) {
    group.rule = Rule::given;
    group.why = "constant";
    return group;
  }
  Deployment plain = d;
  plain.cache = {};
  plain.eviction = {};
  auto bytes = [&](const LayerGroup& of, const Deployment& in) {
    return double(g.count) * layer_stored(of, tokens, in).value;
  };
  LayerGroup owner = g;
  owner.shares_kv = false;
  double now = bytes(as_mha(without_window(owner)), plain);
  group.parts.push_back(leaf("as MHA in bf16, every token", now, Measure::bytes));
  add_factor(group, now, bytes(without_window(owner), plain), "head sharing", "KV heads or latent against query heads");
  add_factor(group, now, bytes(owner, plain), "window", "tokens kept");
  Deployment formatted = plain;
  formatted.cache = d.cache;
  add_factor(group, now, bytes(owner, formatted), "formats", "bytes of an element, scales included");
  add_factor(group, now, bytes(owner, d), "eviction", "quality is not modelled");
  if (g.shares_kv) group.parts.push_back(leaf("shared with an earlier layer", 0, Measure::ratio));
  return group;
}

}  // namespace

Node explain_reductions(const Model& model, const Deployment& d, i64 tokens) {
  Node root{"stored for one sequence", sequence_cache(model, tokens, d).value, Measure::bytes, Rule::sum, "", {}};
  for (const LayerGroup& g : model.layers)
    if (!std::holds_alternative<NoAttention>(g.attention)) root.parts.push_back(reductions_of(g, d, tokens));
  if (root.parts.empty()) root.rule = Rule::given;
  return root;
}

std::string_view name_of(Rule rule) {
  constexpr std::string_view names[] = {"given", "sum", "product", "slowest", "rest"};
  return names[int(rule)];
}

double recomputed(const Node& node) {
  if (node.rule == Rule::given || node.parts.empty()) return node.value;
  double value = node.parts[0].value;
  for (std::size_t i = 1; i < node.parts.size(); ++i) {
    double part = node.parts[i].value;
    switch (node.rule) {
      case Rule::sum: value += part; break;
      case Rule::product: value *= part; break;
      case Rule::slowest: value = std::max(value, part); break;
      case Rule::rest: value -= part; break;
      case Rule::given: break;
    }
  }
  return value;
}

Node explain_cache(const Model& model, const Deployment& d, i64 tokens) {
  Node root{"KV cache of one sequence",
            sequence_cache(model, tokens, d).value,
            Measure::bytes,
            Rule::sum,
            std::to_string(tokens) + " tokens",
            {}};
  for (const LayerGroup& g : model.layers)
    if (!std::holds_alternative<NoAttention>(g.attention)) root.parts.push_back(explain_group(g, d, tokens));
  if (root.parts.empty()) root.rule = Rule::given;
  return root;
}

Node explain_memory(const Model& model, const Device& device, const Memory& m) {
  Node usable{"usable memory", m.usable.value, Measure::bytes, Rule::sum, "", {}};
  for (const MemoryTier& tier : device.memory)
    usable.parts.push_back(leaf(tier.kind, tier.capacity.value, Measure::bytes));
  double room = m.usable.value - m.reserved.value - m.weights.value - m.runtime.value - m.activation.value;
  Node root{"room for KV on a rank", room, Measure::bytes, Rule::rest, "the tightest rank binds", {}};
  root.parts.push_back(std::move(usable));
  root.parts.push_back(leaf("kept back", m.reserved.value, Measure::bytes, "by the memory fraction"));
  root.parts.push_back(leaf("weights", m.weights.value, Measure::bytes, model.id));
  root.parts.push_back(leaf("runtime", m.runtime.value, Measure::bytes, "context, libraries, graphs"));
  root.parts.push_back(leaf("activations", m.activation.value, Measure::bytes, "peak of a full batch of tokens"));
  return root;
}

Node explain_step(const Step& s) {
  Node root{"expected step", s.expected.value, Measure::seconds, Rule::sum, "ops run one after another", {}};
  for (const StepPart& p : s.parts) {
    Node part{
        std::string(p.name()), p.seconds.value, Measure::seconds, Rule::sum, "bound by " + std::string(p.bound()), {}};
    if (p.memory.value > 0) part.parts.push_back(leaf("streaming", p.memory.value, Measure::seconds));
    if (p.compute.value > 0) part.parts.push_back(leaf("arithmetic beyond it", p.compute.value, Measure::seconds));
    if (p.fixed.value > 0) part.parts.push_back(leaf("launches and waits", p.fixed.value, Measure::seconds));
    if (part.parts.empty()) part.rule = Rule::given;
    root.parts.push_back(std::move(part));
  }
  return root;
}

Node explain_floor(const Step& s) {
  Node root{"floor", s.floor.value, Measure::seconds, Rule::slowest, "datasheet peaks; nothing can be faster", {}};
  root.parts.push_back(leaf("least bytes / peak bandwidth", s.floor_memory.value, Measure::seconds,
                            s.floor_claimed ? "" : "all fits the last-level cache: no bound claimed"));
  root.parts.push_back(leaf("flops / peak rate", s.floor_compute.value, Measure::seconds));
  return root;
}

Node explain_experts(const Model& model, const Deployment& d, double tokens) {
  const MoeFeedForward& moe = *experts_of(model);
  double all = double(moe.experts), touched = distinct_experts(moe, tokens, d.expert_skew);
  std::string how = d.expert_skew > 0 ? "the i-th most popular is chosen like i^-" + fixed(d.expert_skew)
                                      : "all are chosen alike: an upper estimate";
  Node root{"experts of a layer that " + fixed(tokens) + " tokens touch",
            touched,
            Measure::count,
            Rule::product,
            "each token chooses " + std::to_string(moe.top_k),
            {}};
  root.parts.push_back(leaf("experts", all, Measure::count));
  root.parts.push_back(leaf("share touched", touched / all, Measure::ratio, std::move(how)));
  return root;
}

}  // namespace kvroof
