// One layer's attention: heads, windows and latents from the keys, biases and norms from the class.
#include <array>

#include <fmt/format.h>

#include "catalog/hf_architecture.h"

namespace kvroof::hf {
namespace {

using namespace std::string_view_literals;

/// Keys that only sliding or only full layers have, before those all layers share.
struct OwnKeys {
  std::string_view query, kv, head_dim, value_dim;
};
constexpr OwnKeys sliding_keys = {"swa_num_attention_heads", "swa_num_key_value_heads", "swa_head_dim",
                                  "swa_v_head_dim"};
constexpr OwnKeys full_keys = {"", "num_global_key_value_heads", "global_head_dim", ""};
constexpr OwnKeys no_keys = {};

const OwnKeys& own_keys(Mixer mixer) {
  if (mixer == Mixer::sliding) return sliding_keys;
  return mixer == Mixer::full ? full_keys : no_keys;
}

/// Zero counts as absent: DeepSeek-VL2 writes v_head_dim 0, others head_dim 0.
std::optional<i64> positive(const Config& c, std::string_view key, i64 most) {
  std::optional<i64> value = key.empty() ? std::nullopt : c.whole(key, 0, most);
  return value && *value > 0 ? value : std::nullopt;
}

/// Falcon, gpt_bigcode, MPT and ChatGLM say MQA by a flag. Falcon's newer code ignores its flag.
std::optional<i64> flagged_kv_heads(const Architecture& a, i64 query) {
  const Config& c = a.config;
  if (is_refined_web_40b(a)) return std::nullopt;
  bool on_by_default = a.traits.type == "falcon" || a.traits.type == "gpt_bigcode";
  if (on_by_default || c.has("multi_query")) {
    bool ignored = c.flag("new_decoder_architecture").value_or(false);
    if (!ignored && c.flag("multi_query").value_or(on_by_default)) return 1;
  }
  if (c.has("multi_query_attention") || c.has("multi_query_group_num"))
    return c.flag("multi_query_attention").value_or(false) ? c.need("multi_query_group_num", 1, query) : query;
  std::optional<std::string> type = c.text("attn_config.attn_type");
  if (type && *type == "multiquery_attention") return 1;
  return std::nullopt;
}

i64 kv_heads(const Architecture& a, const OwnKeys& own, i64 layer, i64 query) {
  if (const Json* blocks = a.config.list("block_configs")) {  // queries per KV head, per block
    Config block((*blocks)[std::size_t(layer)], fmt::format("{}block_configs[{}].", a.config.path(), layer));
    constexpr std::string_view key = "attention.n_heads_in_group";
    i64 in_group = block.need(key, 1, query);
    if (query % in_group != 0) block.fail(key, fmt::format("{} does not divide the {} query heads", in_group, query));
    return query / in_group;
  }
  std::optional<i64> kv = positive(a.config, own.kv, most_heads);
  constexpr std::string_view per_layer[] = {"num_key_value_heads_per_layer"};  // DeciLM-7B
  if (!kv) kv = a.config.whole_of_layer(per_layer, layer, 1, most_heads);
  if (!kv) kv = flagged_kv_heads(a, query);
  if (!kv) kv = a.size(keys::kv_heads, 1, most_heads);
  if (!kv) {
    a.note("num_key_value_heads absent: as many as query heads");
    return query;
  }
  if (query % *kv != 0)
    a.config.fail("num_key_value_heads", fmt::format("{} does not divide the {} query heads", *kv, query));
  return *kv;
}

i64 head_dim(const Architecture& a, const OwnKeys& own, i64 query) {
  if (std::optional<i64> dim = positive(a.config, own.head_dim, most_head_dim)) return *dim;
  std::optional<i64> dim = a.size(keys::head_dim, 0, most_head_dim);
  if (dim && *dim > 0) return *dim;
  i64 across = a.traits.type == "zamba2" ? 2 * a.hidden : a.hidden;
  if (across % query != 0)
    a.config.fail("head_dim", fmt::format("missing, and {} does not divide by the {} query heads", across, query));
  return across / query;
}

Heads heads_of_layer(const Architecture& a, Mixer mixer, i64 layer) {
  const OwnKeys& own = own_keys(mixer);
  Heads h;
  h.query = positive(a.config, own.query, most_heads).value_or(a.query_heads());
  h.kv = kv_heads(a, own, layer, h.query);
  h.key_dim = head_dim(a, own, h.query);
  std::optional<i64> value = positive(a.config, own.value_dim, most_head_dim);
  if (!value) value = positive(a.config, "v_head_dim", most_head_dim);
  h.value_dim = value.value_or(h.key_dim);
  return h;
}

std::optional<Indexer> indexer_of(const Architecture& a, i64 layer) {
  const Config& c = a.config;
  std::optional<i64> top_k = c.whole("index_topk", 1, most_tokens);
  if (!top_k) return std::nullopt;
  if (const Json* types = c.list("indexer_types")) {
    if (i64(types->size()) < a.layers)
      c.fail("indexer_types", fmt::format("has {} entries for {} layers", types->size(), a.layers));
    const Json& type = (*types)[std::size_t(layer)];
    if (type == "shared") return Indexer{0, 0, *top_k};  // attends to what an earlier layer's index picked
    if (type != "full") c.fail("indexer_types", "expected 'full' or 'shared', got " + printable(type.dump()));
  }
  return Indexer{c.need("index_n_heads", 1, most_heads), c.need("index_head_dim", 1, most_head_dim), *top_k};
}

LatentAttention latent_of(const Architecture& a, i64 layer) {
  const Config& c = a.config;
  LatentAttention m;
  m.query_heads = a.query_heads();
  m.kv_lora_rank = a.need(std::array{"kv_lora_rank"sv}, 1, most_head_dim);
  m.rope_dim = a.need(std::array{"qk_rope_head_dim"sv}, 0, most_head_dim);
  m.nope_dim = a.need(std::array{"qk_nope_head_dim"sv}, 0, most_head_dim);
  m.q_lora_rank = c.whole("q_lora_rank", 0, most_head_dim).value_or(0);
  std::optional<i64> value = a.size(std::array{"v_head_dim"sv}, 1, most_head_dim);
  if (!value) a.note("v_head_dim absent: hidden_size / num_attention_heads");
  m.value_dim = value.value_or(a.hidden / m.query_heads);
  m.indexer = indexer_of(a, layer);
  return m;
}

i64 window_of(const Architecture& a, std::string_view kind) {
  if (std::optional<i64> window = a.size(keys::window, 1, most_tokens)) return *window;
  a.config.fail("sliding_window", fmt::format("missing, though some layers are {}", kind));
}

/// Image tokens a cross-attention layer of Llama 3.2 Vision sees: one more than the patches of each tile.
i64 image_tokens(const Architecture& a) {
  const Json* vision = a.config.inherited("vision_config");
  if (!vision || !vision->is_object()) {
    a.note("vision_config absent: cross-attention counts 6404 image tokens (4 tiles of 1601)");
    return 6404;
  }
  Config v(*vision, "vision_config.");
  i64 side = v.need("image_size", 1, 1 << 16) / v.need("patch_size", 1, 1 << 16);
  return v.whole("max_num_tiles", 1, 1024).value_or(4) * (side * side + 1);
}

}  // namespace

bool is_refined_web_40b(const Architecture& a) { return a.type == "RefinedWeb" && a.config.has("n_head_kv"); }

bool is_latent(const Architecture& a) {
  if (!a.config.flag("use_mla").value_or(true)) return false;
  std::optional<i64> rank = a.config.whole("kv_lora_rank", 0, most_head_dim);
  if (a.traits.type == "kimi_linear" && !rank) a.config.fail("kv_lora_rank", "missing");
  return rank.value_or(0) > 0;
}

Attention attention_of(const Architecture& a, Mixer mixer, i64 layer) {
  switch (mixer) {
    case Mixer::none: return NoAttention{};
    case Mixer::recurrent: return recurrent_of(a);
    case Mixer::sliding: return SlidingAttention{heads_of_layer(a, mixer, layer), window_of(a, "sliding")};
    case Mixer::chunked:
      if (a.config.is_null("attention_chunk_size")) return FullAttention{heads_of_layer(a, mixer, layer)};
      return ChunkedAttention{heads_of_layer(a, mixer, layer),
                              a.need(std::array{"attention_chunk_size"sv}, 1, most_tokens)};
    case Mixer::cross: return CrossAttention{heads_of_layer(a, mixer, layer), image_tokens(a)};
    case Mixer::full: break;
  }
  if (is_latent(a)) return latent_of(a, layer);
  return FullAttention{heads_of_layer(a, mixer, layer)};
}

Projections projections_of(const Architecture& a, Mixer mixer) {
  const Traits& t = a.traits;
  Projections p;
  if (mixer == Mixer::none || mixer == Mixer::recurrent) return p;
  if (mixer == Mixer::full && is_latent(a)) {
    if (holds(a.config, t.qkv_bias)) a.note("attention_bias: biases of latent attention are not counted");
    return p;
  }
  p.qkv_bias = holds(a.config, t.qkv_bias);
  p.output_bias = p.qkv_bias && t.output_bias;
  if (std::optional<bool> output = a.config.flag("attention_out_bias")) p.output_bias = *output;
  if (holds(a.config, t.qk_norm_on)) p.qk_norm = t.qk_norm;
  std::optional<std::string> scope = a.config.text("qk_norm_type");  // MiniMax
  if (scope && *scope == "per_head" && p.qk_norm != QkNorm::none) p.qk_norm = QkNorm::head;
  p.output_gate = holds(a.config, t.output_gate);
  p.sinks = t.sinks || holds(a.config, mixer == Mixer::sliding ? Flag{"add_swa_attention_sink_bias"}
                                                               : Flag{"add_full_attention_sink_bias"});
  return p;
}

}  // namespace kvroof::hf
