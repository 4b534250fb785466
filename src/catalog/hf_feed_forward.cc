// One layer's feed-forward: dense or experts, and which layers have which.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "catalog/hf_architecture.h"

namespace kvroof::hf {
namespace {

/// Widths some classes derive from the key.
i64 derived_width(const Architecture& a, i64 stored) {
  const Config& c = a.config;
  if (a.traits.width == Width::half) {
    if (stored % 2 != 0) c.fail("intermediate_size", fmt::format("{} is not even, but {} halves it", stored, a.type));
    return stored / 2;
  }
  if (a.traits.type == "lfm2" && c.flag("block_auto_adjust_ff_dim").value_or(false)) {
    i64 two_thirds = 2 * stored / 3;
    double wide = std::floor(c.real("block_ffn_dim_multiplier").value_or(1.0) * double(two_thirds));
    i64 step = c.whole("block_multiple_of", 1, most_width).value_or(256);
    if (!(wide >= 0 && wide <= double(most_width))) c.fail("block_ffn_dim_multiplier", "gives an impossible width");
    return round_up(i64(wide), step);
  }
  return stored;
}

/// Nemotron-NAS: a multiple of the hidden size per block, two thirds of it rounded up to 256.
std::optional<i64> block_width(const Architecture& a, i64 layer) {
  const Json* blocks = a.config.list("block_configs");
  if (!blocks) return std::nullopt;
  Config block((*blocks)[std::size_t(layer)], fmt::format("{}block_configs[{}].", a.config.path(), layer));
  constexpr std::string_view key = "ffn.ffn_mult";
  std::optional<double> multiple = block.real(key);
  if (!multiple) block.fail(key, "missing");
  if (!(*multiple > 0 && *multiple <= 64))
    block.fail(key, fmt::format("expected a number from 0 to 64, got {}", *multiple));
  return round_up(i64(2 * *multiple * double(a.hidden) / 3), 256);
}

/// Classes that leave the width to a multiple of hidden when its key is absent or null.
i64 multiple_of_hidden(const Architecture& a) {
  if (std::optional<i64> ratio = a.config.whole("expansion_ratio", 1, 64)) return *ratio * a.hidden;
  for (std::string_view type : {"gpt2", "gptj", "gpt_bigcode", "bloom", "falcon", "mpt", "phi"})
    if (a.traits.type == type) {
      a.note(fmt::format("feed-forward width absent: {} default 4 x hidden", a.type));
      return 4 * a.hidden;
    }
  return a.need(keys::width, 1, most_width);
}

/// Experts in layer i, by whichever of the keys the file has; all layers without one.
bool listed(const Config& c, std::string_view key, i64 layer) {
  std::vector<i64> list = c.wholes(key, 0, most_layers);
  return std::find(list.begin(), list.end(), layer) != list.end();
}

bool has_experts_at(const Architecture& a, i64 layer) {
  const Config& c = a.config;
  auto number = [&](std::string_view key, i64 otherwise) { return c.whole(key, 0, most_layers).value_or(otherwise); };
  auto period = [&](std::string_view key) { return c.whole(key, 1, most_layers).value_or(1); };
  if (const Json* types = c.list("mlp_layer_types")) {
    if (i64(types->size()) < a.layers)
      c.fail("mlp_layer_types", fmt::format("has {} entries for {} layers", types->size(), a.layers));
    const Json& type = (*types)[std::size_t(layer)];
    if (type != "dense" && type != "sparse")
      c.fail("mlp_layer_types", "expected 'dense' or 'sparse', got " + printable(type.dump()));
    return type == "sparse";
  }
  if (const Json* frequency = c.find("moe_layer_freq"); frequency && frequency->is_array()) {
    constexpr std::string_view key[] = {"moe_layer_freq"};
    return c.whole_of_layer(key, layer, 0, 1).value_or(1) == 1;
  }
  if (c.has("moe_layers")) return listed(c, "moe_layers", layer);
  if (c.has("interleave_moe_layer_step")) return (layer + 1) % period("interleave_moe_layer_step") == 0;
  if (c.has("expert_layer_period")) return layer % period("expert_layer_period") == number("expert_layer_offset", 0);
  if (listed(c, "mlp_only_layers", layer)) return false;
  if (c.has("decoder_sparse_step")) return (layer + 1) % period("decoder_sparse_step") == 0;
  if (c.has("moe_layer_start_index")) {
    i64 last = c.whole("moe_layer_end_index", -1, most_layers).value_or(-1);  // ERNIE: -1 is the last layer
    return layer >= number("moe_layer_start_index", 0) && (last < 0 || layer <= last) &&
           (layer + 1) % period("moe_layer_interval") == 0;
  }
  i64 first = std::max(
      {number("first_k_dense_replace", 0), number("num_dense_layers", 0), number("moe_first_k_dense_replace", 0)});
  return layer >= first && layer % period("moe_layer_freq") == 0;
}

i64 shared_width(const Architecture& a, i64 expert_width) {
  const Config& c = a.config;
  if (a.traits.shared_always) return expert_width;
  if (std::optional<i64> width = c.whole(keys::shared_width, 0, most_width)) return *width;
  return c.whole(keys::shared_experts, 0, 1024).value_or(0) * expert_width;
}

}  // namespace

bool has_experts(const Architecture& a) {
  if (a.traits.type == "gemma4_text" && !a.config.flag("enable_moe_block").value_or(false)) return false;
  return a.config.whole(keys::experts, 0, most_experts).value_or(0) > 1;
}

DenseFeedForward dense_feed_forward(const Architecture& a, i64 layer) {
  constexpr std::string_view beside_experts[] = {"intermediate_size_mlp", "dense_intermediate_size"};
  DenseFeedForward d;
  d.matrices = a.traits.matrices;
  d.bias = holds(a.config, a.traits.mlp_bias);
  std::optional<i64> width = block_width(a, layer);
  if (!width && has_experts(a)) width = a.config.whole(beside_experts, 1, most_width);
  if (!width && a.traits.type == "granitemoehybrid") width = a.config.whole("shared_intermediate_size", 1, most_width);
  if (!width) {
    width = a.config.whole_of_layer(keys::width, layer, 1, most_width);
    if (!width) width = a.size(keys::width, 1, most_width);
    if (!width) width = multiple_of_hidden(a);
    width = derived_width(a, *width);
  }
  d.width = *width;
  return d;
}

MoeFeedForward expert_feed_forward(const Architecture& a) {
  const Config& c = a.config;
  MoeFeedForward e;
  e.experts = c.need(keys::experts, 1, most_experts);
  e.top_k = c.need(keys::top_k, 1, most_experts);
  if (e.top_k > e.experts)
    c.fail("num_experts_per_tok", fmt::format("{} is more than the {} experts", e.top_k, e.experts));
  std::optional<i64> width = c.whole(keys::expert_width, 1, most_width);
  e.width = width ? *width : c.need(keys::width, 1, most_width);
  e.shared_width = shared_width(a, e.width);
  e.matrices = a.traits.matrices;
  e.bias = a.traits.expert_bias;
  e.router_bias = holds(c, a.traits.router_bias);
  e.shared_gate = a.traits.shared_gate && e.shared_width > 0;
  e.expert_hidden = c.whole("moe_latent_size", 0, most_hidden).value_or(0);
  if (std::optional<i64> latent = c.whole("routed_expert_hidden_size", 0, most_hidden)) {
    e.expert_hidden = *latent;
    a.note("routed_expert_hidden_size: the weights of experts in a narrower width are an estimate");
  }
  return e;
}

FeedForward feed_forward_of(const Architecture& a, Follows follows, i64 layer) {
  if (follows == Follows::nothing) return NoFeedForward{};
  if (follows == Follows::experts) return expert_feed_forward(a);
  if (follows == Follows::by_rule && has_experts(a) && has_experts_at(a, layer)) return expert_feed_forward(a);
  return dense_feed_forward(a, layer);
}

}  // namespace kvroof::hf
