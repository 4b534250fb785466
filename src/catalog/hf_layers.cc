// Which layer is what. The file's own list of layers wins; then the pattern keys of single families; then the
// window rule of the class. Each source is one function that fills the plan or says it does not apply.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "catalog/hf_architecture.h"

namespace kvroof::hf {
namespace {

using Plans = std::vector<LayerPlan>;

struct Word {
  std::string_view word;
  LayerPlan plan;
};
constexpr Word words[] = {
    {"full_attention", {Mixer::full}},
    {"attention", {Mixer::full}},
    {"global_attention", {Mixer::full}},
    {"sliding_attention", {Mixer::sliding}},
    {"local_attention", {Mixer::sliding}},
    {"chunked_attention", {Mixer::chunked}},
    {"linear_attention", {Mixer::recurrent}},
    {"conv", {Mixer::recurrent}},
    {"mamba", {Mixer::recurrent}},
    {"recurrent", {Mixer::recurrent}},
    {"cross_attention", {Mixer::cross}},
};
/// Nemotron-H's sub-blocks: a mixer or a feed-forward, never both.
constexpr Word block_words[] = {{"mamba", {Mixer::recurrent, Follows::nothing}},
                                {"attention", {Mixer::full, Follows::nothing}},
                                {"mlp", {Mixer::none, Follows::dense}},
                                {"moe", {Mixer::none, Follows::experts}},
                                {"M", {Mixer::recurrent, Follows::nothing}},
                                {"*", {Mixer::full, Follows::nothing}},
                                {"-", {Mixer::none, Follows::dense}},
                                {"E", {Mixer::none, Follows::experts}}};

LayerPlan plan_of(const Architecture& a, std::span<const Word> table, std::string_view key, std::string_view word) {
  for (const Word& w : table)
    if (w.word == word) return w.plan;
  a.config.fail(key, "unknown layer type '" + printable(word) + "'");
}

std::vector<std::string> strings(const Architecture& a, std::string_view key) {
  std::vector<std::string> out;
  for (const Json& value : *a.config.list(key)) {
    if (!value.is_string()) a.config.fail(key, "expected a list of strings");
    out.push_back(value.get<std::string>());
  }
  return out;
}

void check_length(const Architecture& a, std::string_view key, std::size_t length) {
  if (i64(length) < a.layers) a.config.fail(key, fmt::format("has {} entries for {} layers", length, a.layers));
}

bool is_sub_block(const Architecture& a) { return a.traits.type == "nemotron_h"; }

bool from_list(const Architecture& a, std::string_view key, Plans& plans) {
  if (!a.config.list(key)) return false;
  std::vector<std::string> list = strings(a, key);
  check_length(a, key, list.size());
  for (i64 i = 0; i < a.layers; ++i)
    plans[std::size_t(i)] =
        plan_of(a, is_sub_block(a) ? std::span<const Word>(block_words) : std::span<const Word>(words), key,
                list[std::size_t(i)]);
  return true;
}

bool from_layer_types(const Architecture& a, Plans& plans) { return from_list(a, "layer_types", plans); }
/// Zamba-2 names its blocks in a list of the same key; its amendment reads it.
bool from_block_types(const Architecture& a, Plans& plans) {
  return a.traits.type != "zamba2" && from_list(a, "layers_block_type", plans);
}

/// RecurrentGemma's cycle, repeated over the layers.
bool from_cycle(const Architecture& a, Plans& plans) {
  for (std::string_view key : {"block_types", "_block_types"}) {
    if (!a.config.list(key)) continue;
    std::vector<std::string> cycle = strings(a, key);
    if (cycle.empty()) a.config.fail(key, "is an empty list");
    for (std::size_t i = 0; i < plans.size(); ++i) {
      LayerPlan plan = plan_of(a, words, key, cycle[i % cycle.size()]);
      plans[i] = plan.mixer == Mixer::full ? LayerPlan{Mixer::sliding} : plan;  // its attention is local
    }
    return true;
  }
  return false;
}

bool from_characters(const Architecture& a, Plans& plans) {
  constexpr std::string_view key = "hybrid_override_pattern";
  std::optional<std::string> pattern = a.config.text(key);
  if (!pattern) return false;
  if (i64(pattern->size()) != a.layers)
    a.config.fail(key, fmt::format("has {} blocks for {} layers", pattern->size(), a.layers));
  for (std::size_t i = 0; i < plans.size(); ++i)
    plans[i] = plan_of(a, block_words, key, std::string_view(*pattern).substr(i, 1));
  return true;
}

/// A list with one number per layer, each naming a mixer.
struct NumberList {
  std::string_view type;
  std::string_view key;
  Mixer zero;
  Mixer one;
};
constexpr NumberList number_lists[] = {
    {"minimax_text_01", "attn_type_list", Mixer::recurrent, Mixer::full},
    {"mimo_v2_flash", "hybrid_layer_pattern", Mixer::full, Mixer::sliding},
    {"llama4_text", "no_rope_layers", Mixer::full, Mixer::chunked},
};

bool from_numbers(const Architecture& a, Plans& plans) {
  for (const NumberList& row : number_lists) {
    if (row.type != a.traits.type) continue;
    std::vector<i64> list = a.config.wholes(row.key, 0, 1);
    if (list.empty()) continue;
    check_length(a, row.key, list.size());
    for (std::size_t i = 0; i < plans.size(); ++i) plans[i].mixer = list[i] == 0 ? row.zero : row.one;
    return true;
  }
  return false;
}

/// Every n-th layer attends fully, the others do not.
void every_nth_full(Plans& plans, i64 period, i64 offset, Mixer others) {
  for (std::size_t i = 0; i < plans.size(); ++i) plans[i].mixer = i64(i) % period == offset ? Mixer::full : others;
}

bool from_period(const Architecture& a, Plans& plans) {
  const Config& c = a.config;
  if (a.traits.type == "llama4_text") {  // without a list of layers: three with chunks, one without positions
    every_nth_full(plans, 4, 3, Mixer::chunked);
    return true;
  }
  if (std::optional<i64> period = c.whole("attn_layer_period", 1, most_layers)) {
    every_nth_full(plans, *period, c.whole("attn_layer_offset", 0, *period - 1).value_or(0), Mixer::recurrent);
    return true;
  }
  if (a.traits.recurrence == Recurrence::gated_delta) {
    std::optional<i64> period = c.whole("full_attention_interval", 1, most_layers);
    if (!period) a.note("full_attention_interval absent: class default 4");
    every_nth_full(plans, period.value_or(4), period.value_or(4) - 1, Mixer::recurrent);
    return true;
  }
  return false;
}

/// Kimi Linear numbers its layers from 1.
bool from_one_based(const Architecture& a, Plans& plans) {
  if (!a.config.has("linear_attn_config")) return false;
  std::vector<bool> named(plans.size());
  for (auto [key, mixer] : {std::pair{"linear_attn_config.full_attn_layers", Mixer::full},
                            {"linear_attn_config.kda_layers", Mixer::recurrent}}) {
    if (!a.config.has(key)) a.config.fail(key, "missing");
    for (i64 number : a.config.wholes(key, 1, a.layers)) {
      std::size_t i = std::size_t(number - 1);
      if (named[i]) a.config.fail(key, fmt::format("names layer {} twice", number));
      named[i] = true;
      plans[i].mixer = mixer;
    }
  }
  auto missing = std::find(named.begin(), named.end(), false);
  if (missing != named.end())
    a.config.fail("linear_attn_config",
                  fmt::format("says nothing of layer {} (counted from 1)", missing - named.begin() + 1));
  return true;
}

bool from_cross_layers(const Architecture& a, Plans& plans) {
  constexpr std::string_view key = "cross_attention_layers";
  if (!a.config.has(key)) return false;
  for (i64 i : a.config.wholes(key, 0, a.layers - 1)) plans[std::size_t(i)].mixer = Mixer::cross;
  return true;
}

/// LFM2 and Bamba: the indices of the layers that attend; all others are recurrent.
bool from_indices(const Architecture& a, Plans& plans) {
  for (std::string_view key : {"full_attn_idxs", "attn_layer_indices"}) {
    if (!a.config.has(key)) continue;
    for (LayerPlan& plan : plans) plan.mixer = Mixer::recurrent;
    for (i64 i : a.config.wholes(key, 0, a.layers - 1)) plans[std::size_t(i)].mixer = Mixer::full;
    return true;
  }
  return false;
}

/// Nemotron-NAS: blocks without attention or feed-forward.
bool from_block_configs(const Architecture& a, Plans& plans) {
  const Json* blocks = a.config.list("block_configs");
  if (!blocks) return false;
  check_length(a, "block_configs", blocks->size());
  for (std::size_t i = 0; i < plans.size(); ++i) {
    if (!(*blocks)[i].is_object()) a.config.fail("block_configs", "expected a list of objects");
    Config block((*blocks)[i], fmt::format("{}block_configs[{}].", a.config.path(), i));
    for (std::string_view key : {"attention.replace_with_linear", "ffn.replace_with_linear"})
      if (block.flag(key).value_or(false)) block.fail(key, "linear blocks are not supported");
    if (block.flag("attention.no_op").value_or(false)) plans[i].mixer = Mixer::none;
    if (block.flag("ffn.no_op").value_or(false)) plans[i].feed_forward = Follows::nothing;
  }
  return true;
}

/// A class all of whose layers are recurrent.
bool from_recurrence(const Architecture& a, Plans& plans) {
  bool pure = a.traits.type == "mamba" || a.traits.type == "falcon_mamba" || a.traits.type == "mamba2";
  if (pure)
    for (LayerPlan& plan : plans) plan = {Mixer::recurrent, Follows::nothing};
  else if (a.traits.recurrence != Recurrence::none && a.traits.type != "zamba2")
    a.config.fail("layer_types", "missing, and nothing else says which layers are recurrent");
  return pure;
}

/// The period of a pattern: sliding_window_pattern is a number, or letters with one G ("LLLG").
i64 window_period(const Architecture& a) {
  for (std::string_view key : {"sliding_window_pattern", "_sliding_window_pattern"}) {
    const Json* value = a.config.find(key);
    if (!value) continue;
    if (!value->is_string()) return a.config.need(key, 1, most_layers);
    std::string letters = value->get<std::string>();
    if (letters.empty() || letters.find('G') != letters.size() - 1 ||
        letters.find_first_not_of('L') != letters.size() - 1)
      a.config.fail(key, "expected letters L with one G at the end, got '" + printable(letters) + "'");
    return i64(letters.size());
  }
  a.note(fmt::format("sliding_window_pattern absent: {} default {}", a.traits.type, a.traits.every));
  return a.traits.every;
}

bool window_is_on(const Architecture& a) {
  std::optional<i64> window = a.size(keys::window, 0, most_tokens);
  if (!window || *window == 0) return false;
  std::optional<i64> most = a.size(keys::max_context, 1, most_tokens);
  return !most || *window < *most || a.traits.slides == Slides::even || a.traits.slides == Slides::but_every;
}

void from_window(const Architecture& a, Plans& plans) {
  if (a.traits.slides == Slides::none || !window_is_on(a)) return;
  const Config& c = a.config;
  i64 first = 0;
  i64 period = 0;
  if (a.traits.slides == Slides::flagged) {
    if (!c.flag("use_sliding_window").value_or(false)) return;
    first = c.whole("max_window_layers", 0, most_tokens).value_or(0);
  }
  if (a.traits.slides == Slides::even) period = 2;
  if (a.traits.slides == Slides::but_every) period = window_period(a);
  for (std::size_t i = 0; i < plans.size(); ++i)
    if (i64(i) >= first && (period == 0 || i64(i + 1) % period != 0)) plans[i].mixer = Mixer::sliding;
}

}  // namespace

i64 count_layers(const Architecture& a) {
  if (std::optional<i64> count = a.size(keys::layers, 1, most_layers)) return *count;
  i64 listed = 0;
  if (const Json* list = a.config.list("layers_block_type")) listed = i64(list->size());
  if (std::optional<std::string> pattern = a.config.text("hybrid_override_pattern")) listed = i64(pattern->size());
  if (listed > most_layers) a.config.fail("num_hidden_layers", fmt::format("the pattern lists {} layers", listed));
  return listed > 0 ? listed : a.need(std::span(keys::layers).subspan(2), 1, most_layers);
}

std::vector<LayerPlan> plan_layers(const Architecture& a) {
  Plans plans(std::size_t(a.layers), LayerPlan{});
  constexpr std::array sources = {from_layer_types,  from_characters,    from_block_types, from_cycle,
                                  from_numbers,      from_period,        from_one_based,   from_indices,
                                  from_cross_layers, from_block_configs, from_recurrence};
  for (auto source : sources)
    if (source(a, plans)) return plans;
  from_window(a, plans);
  return plans;
}

std::vector<LayerGroup> merged(const std::vector<LayerGroup>& layers) {
  std::vector<LayerGroup> groups;
  for (const LayerGroup& layer : layers) {
    auto same = std::find_if(groups.begin(), groups.end(), [&](LayerGroup group) {
      group.count = layer.count;
      return group == layer;
    });
    if (same == groups.end())
      groups.push_back(layer);
    else
      same->count += layer.count;
  }
  return groups;
}

}  // namespace kvroof::hf
