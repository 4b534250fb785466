// Layers with a constant state: its size, and the weights of the mixer that keeps it, for each kind.
//
// A causal convolution of width k keeps the last k - 1 inputs of each channel. Weights are those of the layer's
// own code: projections, convolution, decays and inner norms; the norm before the layer is counted outside.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "catalog/hf_architecture.h"

namespace kvroof::hf {
namespace {

constexpr i64 most_state = 1 << 16;

struct Reader {
  const Architecture& a;

  i64 need(std::initializer_list<std::string_view> keys, i64 most = most_state) const {
    return a.config.need(Keys(keys.begin(), keys.size()), 1, most);
  }
  i64 get(std::initializer_list<std::string_view> keys, i64 otherwise, i64 most = most_state) const {
    Keys names(keys.begin(), keys.size());
    if (std::optional<i64> value = a.config.whole(names, 1, most)) return *value;
    a.note(fmt::format("{} absent: class default {}", names[0], otherwise));
    return otherwise;
  }
  bool flag(std::string_view key, bool otherwise) const { return a.config.flag(key).value_or(otherwise); }
};

i64 sum(std::initializer_list<i64> parts) {
  i64 total = 0;
  for (i64 part : parts) total += part;
  return total;
}

/// Mamba-1: one state per channel; the step size goes through a low rank.
RecurrentState mamba(const Architecture& a) {
  Reader r{a};
  i64 state = r.get({"state_size", "mamba_d_state"}, 16), kernel = r.get({"conv_kernel", "mamba_d_conv"}, 4);
  // Falcon-Mamba's expand key is dead: its intermediate_size rules. Jamba's intermediate_size is the feed-forward's.
  std::optional<i64> inner =
      a.traits.type == "jamba" ? std::nullopt : a.config.whole("intermediate_size", 1, most_width);
  if (!inner) inner = product({r.get({"expand", "mamba_expand"}, 2, 64), a.hidden});
  std::optional<i64> rank =
      a.config.find("time_step_rank") && a.config.find("time_step_rank")->is_string()  // "auto"
          ? std::nullopt
          : a.config.whole(std::array<std::string_view, 2>{"time_step_rank", "mamba_dt_rank"}, 1, most_state);
  i64 dt = rank.value_or(ceil_div(a.hidden, 16));
  i64 inner_norms = a.traits.type == "jamba" ? dt + 2 * state : 0;
  i64 bias = (r.flag("use_conv_bias", r.flag("mamba_conv_bias", true)) ? *inner : 0) +
             (r.flag("use_bias", r.flag("mamba_proj_bias", false)) ? 2 * *inner + a.hidden : 0);
  RecurrentState s;
  s.conv_elements = product({*inner, kernel - 1});
  s.state_elements = product({*inner, state});
  s.heads = std::min(*inner, most_heads);
  s.weights =
      sum({product({a.hidden, 2 * *inner}), product({*inner, kernel}), product({*inner, dt + 2 * state}),
           product({dt, *inner}), *inner, s.state_elements, *inner, product({*inner, a.hidden}), inner_norms, bias});
  return s;
}

/// Mamba-2: heads with a matrix each; B and C shared by groups of heads.
RecurrentState mamba2(const Architecture& a) {
  Reader r{a};
  i64 state = r.need({"ssm_state_size", "mamba_d_state", "state_size"});
  i64 kernel = r.get({"conv_kernel", "mamba_d_conv"}, 4);
  i64 groups = r.get({"n_groups", "mamba_n_groups", "mamba_ngroups"}, 1);
  i64 heads = r.need({"mamba_num_heads", "mamba_n_heads", "n_mamba_heads", "num_heads"}, most_heads);
  std::optional<i64> dim =
      a.config.whole(std::array<std::string_view, 3>{"mamba_head_dim", "mamba_d_head", "mamba_headdim"}, 1, most_state);
  if (!dim && a.traits.type == "mamba2") dim = a.config.whole("head_dim", 1, most_state);
  i64 inner = dim ? product({heads, *dim}) : product({r.get({"expand", "mamba_expand"}, 2, 64), a.hidden});
  if (inner % heads != 0)
    a.config.fail("mamba_num_heads", fmt::format("{} does not divide the inner width {}", heads, inner));
  i64 channels = inner + 2 * product({groups, state});
  i64 bias = (r.flag("use_conv_bias", r.flag("mamba_conv_bias", true)) ? channels : 0) +
             (r.flag("mamba_proj_bias", r.flag("use_bias", r.flag("add_bias_linear", false)))
                  ? inner + channels + heads + a.hidden
                  : 0);
  RecurrentState s;
  s.conv_elements = product({channels, kernel - 1});
  s.state_elements = product({inner, state});
  s.heads = heads;
  s.weights = sum({product({a.hidden, inner + channels + heads}), product({channels, kernel}), 3 * heads, inner,
                   product({inner, a.hidden}), bias});
  return s;
}

/// Gated delta net: a key x value matrix per value head.
RecurrentState gated_delta(const Architecture& a) {
  Reader r{a};
  i64 key_heads = r.need({"linear_num_key_heads"}, most_heads),
      value_heads = r.need({"linear_num_value_heads"}, most_heads);
  i64 key_dim = r.need({"linear_key_head_dim"}), value_dim = r.need({"linear_value_head_dim"});
  i64 kernel = r.get({"linear_conv_kernel_dim"}, 4);
  i64 values = product({value_heads, value_dim}), channels = 2 * product({key_heads, key_dim}) + values;
  RecurrentState s;
  s.conv_elements = product({channels, kernel - 1});
  s.state_elements = product({values, key_dim});
  s.heads = value_heads;
  s.weights = sum({product({a.hidden, channels + values + 2 * value_heads}), product({channels, kernel}),
                   2 * value_heads, value_dim, product({values, a.hidden})});
  return s;
}

/// Kimi delta attention: as gated delta, with a decay per channel from a low rank.
RecurrentState kda(const Architecture& a) {
  Reader r{a};
  i64 heads = r.need({"linear_attn_config.num_heads"}, most_heads), dim = r.need({"linear_attn_config.head_dim"});
  i64 kernel = r.get({"linear_attn_config.short_conv_kernel_size"}, 4);
  i64 inner = product({heads, dim});
  i64 low_rank = product({a.hidden, dim}) + product({dim, inner});
  RecurrentState s;
  s.conv_elements = product({3 * inner, kernel - 1});
  s.state_elements = product({inner, dim});
  s.heads = heads;
  s.weights = sum({product({a.hidden, 4 * inner}), product({3 * inner, kernel}), 2 * low_rank,
                   product({a.hidden, heads}), heads, inner, dim});
  return s;
}

/// MiniMax's lightning attention: linear attention with fixed decays and an output gate.
RecurrentState lightning(const Architecture& a) {
  i64 heads = a.query_heads(), dim = a.need(keys::head_dim, 1, most_state);
  i64 inner = product({heads, dim});
  RecurrentState s;
  s.state_elements = product({inner, dim});
  s.heads = heads;
  s.weights = sum({product({a.hidden, 5 * inner}), inner});
  return s;
}

/// RG-LRU: one number per channel, gates in blocks of one head's channels.
RecurrentState rg_lru(const Architecture& a) {
  Reader r{a};
  i64 heads = a.query_heads(), width = r.get({"lru_width"}, a.hidden, most_hidden), kernel = r.get({"conv1d_width"}, 4);
  if (width % heads != 0) a.config.fail("lru_width", fmt::format("{} does not divide by the {} heads", width, heads));
  RecurrentState s;
  s.conv_elements = product({width, kernel - 1});
  s.state_elements = width;
  s.heads = heads;
  s.weights = sum({product({2 * a.hidden, width}), 2 * width, product({width, kernel}), width,
                   product({width, a.hidden}), a.hidden, 2 * (product({width, width / heads}) + width), width});
  return s;
}

RecurrentState short_conv(const Architecture& a) {
  Reader r{a};
  i64 kernel = r.need({"conv_L_cache"});
  RecurrentState s;
  s.conv_elements = product({a.hidden, kernel - 1});
  s.heads = 1;
  s.weights = sum(
      {product({a.hidden, 4 * a.hidden}), product({a.hidden, kernel}), r.flag("conv_bias", false) ? 5 * a.hidden : 0});
  return s;
}

struct Kind {
  Recurrence recurrence;
  RecurrentState (*read)(const Architecture&);
};
constexpr Kind kinds[] = {{Recurrence::mamba, mamba},
                          {Recurrence::mamba2, mamba2},
                          {Recurrence::gated_delta, gated_delta},
                          {Recurrence::kda, kda},
                          {Recurrence::lightning, lightning},
                          {Recurrence::rg_lru, rg_lru},
                          {Recurrence::short_conv, short_conv}};

}  // namespace

RecurrentState recurrent_of(const Architecture& a) {
  for (const Kind& kind : kinds)
    if (kind.recurrence == a.traits.recurrence) return kind.read(a);
  a.config.fail("layer_types", fmt::format("some layers are recurrent, but {} has no recurrent layer", a.type));
}

/// Nemotron-H says mamba_ssm_cache_dtype, Qwen3.5 mamba_ssm_dtype.
std::optional<Format> state_format(const Architecture& a) {
  for (std::string_view key : {"mamba_ssm_cache_dtype", "mamba_ssm_dtype"}) {
    const Json* value = a.config.inherited(key);
    if (!value || *value == "auto") continue;
    if (!value->is_string()) a.config.fail(key, "expected a string");
    std::string name = value->get<std::string>();
    if (name.starts_with("torch.")) name = name.substr(6);
    if (const Format* found = find_format(name)) return *found;
    a.config.fail(key, "unknown number format '" + printable(name) + "'");
  }
  if (a.traits.type == "nemotron_h")
    a.note(
        "mamba_ssm_cache_dtype absent: states take the engine's format; newer vLLM keeps them in f32 (--state-dtype)");
  return std::nullopt;
}

}  // namespace kvroof::hf
