// What single families have that no table can say. One function per family, each over the model as the general
// rules left it: one group per layer, in order.
#include <array>

#include <fmt/format.h>

#include "catalog/hf_architecture.h"
#include "core/parameters.h"

namespace kvroof::hf {
namespace {

using namespace std::string_view_literals;

i64 gated(i64 hidden, i64 width) { return product({3, hidden, width}); }

// Falcon: parallel blocks have one norm, or two in the newer code.
void falcon(const Architecture& a, Model& m) {
  const Config& c = a.config;
  bool parallel = c.flag("parallel_attn").value_or(true);
  bool newer = c.flag("new_decoder_architecture").value_or(is_refined_web_40b(a));
  i64 norms = newer ? c.whole("num_ln_in_parallel_attn", 1, 2).value_or(2) : parallel ? 1 : 2;
  for (LayerGroup& layer : m.layers) layer.norms = norms;
}

// StableLM-2 12B: attention and feed-forward share a norm.
void stablelm(const Architecture& a, Model& m) {
  if (!a.config.flag("use_parallel_residual").value_or(false)) return;
  for (LayerGroup& layer : m.layers) layer.norms = 1;
}

void bloom(const Architecture&, Model& m) { m.other_weights += 2 * m.hidden; }  // the norm over the embedding

void opt(const Architecture& a, Model& m) {
  if (!a.config.flag("do_layer_norm_before").value_or(true)) m.final_norm = false;
  i64 projected = a.config.whole("word_embed_proj_dim", 1, most_hidden).value_or(m.hidden);
  if (projected != m.hidden)
    a.note(fmt::format("word_embed_proj_dim {}: the embedding counts as {} wide, {} weights too many", projected,
                       m.hidden, m.vocab * (m.hidden - projected) - 2 * m.hidden * projected));
}

void mpt(const Architecture& a, Model& m) {
  bool alibi = a.config.flag("attn_config.alibi").value_or(false),
       rope = a.config.flag("attn_config.rope").value_or(false);
  if (!alibi && !rope && a.config.flag("learned_pos_emb").value_or(true))
    m.position_embeddings = a.need(keys::max_context, 1, most_vocab);
}

// PhiMoE and Phi: norms over queries and keys are LayerNorms with bias, of one head.
void phi(const Architecture& a, Model& m) {
  if (!a.config.flag("qk_layernorm").value_or(false)) return;
  for (LayerGroup& layer : m.layers)
    if (const Heads* h = heads_of(layer.attention)) layer.other_weights += 4 * h->key_dim;
}

// Apertus: two learned constants in each activation.
void apertus(const Architecture&, Model& m) {
  for (LayerGroup& layer : m.layers) layer.other_weights += 2;
}

// RecurrentGemma: the output projection alone has a bias.
void recurrent_gemma(const Architecture&, Model& m) {
  for (LayerGroup& layer : m.layers)
    if (heads_of(layer.attention)) layer.projections.output_bias = true;
}

// The last layers read the cache of an earlier one.
void share_last(const Architecture& a, Model& m) {
  i64 shared = a.size(std::array{"num_kv_shared_layers"sv}, 0, a.layers - 1).value_or(0);
  for (i64 i = a.layers - shared; i < a.layers; ++i) m.layers[std::size_t(i)].shares_kv = true;
}

// Hunyuan-Large: cla_share_factor layers share the first one's cache, and carry no key and value matrices.
void hunyuan(const Architecture& a, Model& m) {
  if (!a.config.flag("use_cla").value_or(false)) return;
  i64 factor = a.config.need("cla_share_factor", 1, a.layers);
  for (i64 i = 0; i < a.layers; ++i)
    if (i % factor != 0) {
      LayerGroup& layer = m.layers[std::size_t(i)];
      layer.shares_kv = true;
      layer.own_kv_projection = false;
      const Heads* h = heads_of(layer.attention);
      if (h && layer.projections.qk_norm == QkNorm::head) layer.other_weights += h->key_dim;  // the key norm stays
    }
}

// Blocks without attention or feed-forward have no norm before it.
void nemotron_nas(const Architecture&, Model& m) {
  for (LayerGroup& layer : m.layers)
    layer.norms = !std::holds_alternative<NoAttention>(layer.attention) +
                  !std::holds_alternative<NoFeedForward>(layer.feed_forward);
}

// Llama 3.2 Vision: eight extra embedding rows; cross layers have norms over queries and keys, and two gates.
void mllama(const Architecture&, Model& m) {
  m.other_weights += 8 * m.hidden;
  for (LayerGroup& layer : m.layers)
    if (std::holds_alternative<CrossAttention>(layer.attention)) {
      layer.projections.qk_norm = QkNorm::head;
      layer.other_weights = 2;
    }
}

// Per-layer inputs of Gemma 3n and 4: an embedding per layer, gated into the stream.
void add_per_layer_inputs(const Architecture& a, Model& m) {
  i64 width =
      a.config.whole("hidden_size_per_layer_input", 0, most_width).value_or(a.traits.type == "gemma3n_text" ? 256 : 0);
  if (width == 0) return;
  i64 rows = a.config.whole("vocab_size_per_layer_input", 1, most_vocab).value_or(262144);
  i64 all = product({a.layers, width});
  m.other_weights += product({rows, all}) + product({m.hidden, all}) + width;
  for (LayerGroup& layer : m.layers) layer.other_weights += 2 * product({m.hidden, width}) + m.hidden;
}

// Gemma 3n: AltUp keeps several streams, Laurel is a low-rank path beside each layer.
void gemma3n(const Architecture& a, Model& m) {
  i64 streams = a.config.whole("altup_num_inputs", 1, 64).value_or(4),
      rank = a.config.whole("laurel_rank", 1, most_width).value_or(64);
  m.other_weights += product({2 * (streams - 1), m.hidden, m.hidden});
  i64 altup = streams * streams * streams + streams * streams + m.hidden * streams + 2 * m.hidden;
  for (LayerGroup& layer : m.layers) layer.other_weights += altup + 2 * product({m.hidden, rank}) + m.hidden;
  add_per_layer_inputs(a, m);
  share_last(a, m);
}

// Gemma 4: full layers have their own head size and, by flag, no value matrix; a dense path beside the experts.
void gemma4(const Architecture& a, Model& m) {
  bool value_from_key = a.config.flag("attention_k_eq_v").value_or(false);
  bool double_wide = a.config.flag("use_double_wide_mlp").value_or(false);
  add_per_layer_inputs(a, m);
  share_last(a, m);
  for (LayerGroup& layer : m.layers) {
    layer.own_kv_projection = !layer.shares_kv;
    if (std::holds_alternative<FullAttention>(layer.attention)) layer.projections.value_from_key = value_from_key;
    if (MoeFeedForward* moe = std::get_if<MoeFeedForward>(&layer.feed_forward)) {
      moe->shared_width = a.config.need(keys::width, 1, most_width);
      layer.norms += 3;                                // the dense path and the experts have norms of their own
      layer.other_weights += m.hidden + moe->experts;  // scales of the router's input and of each expert
    }
    DenseFeedForward* dense = std::get_if<DenseFeedForward>(&layer.feed_forward);
    if (dense && layer.shares_kv && double_wide) dense->width *= 2;
  }
}

// MiniMax-M3: some layers choose blocks of keys by an index, whose own cache has no kind here.
void minimax_m3(const Architecture& a, Model& m) {
  const Config& c = a.config;
  if (!c.flag("sparse_attention_config.use_sparse_attention").value_or(false)) return;
  i64 heads = c.need("sparse_attention_config.sparse_num_index_heads", 1, most_heads);
  i64 dim = c.need("sparse_attention_config.sparse_index_dim", 1, most_head_dim);
  std::vector<i64> sparse = c.wholes("sparse_attention_config.sparse_attention_freq", 0, 1);
  if (i64(sparse.size()) < a.layers)
    c.fail("sparse_attention_config.sparse_attention_freq",
           fmt::format("has {} entries for {} layers", sparse.size(), a.layers));
  i64 indexed = 0;
  for (i64 i = 0; i < a.layers; ++i) {
    indexed += sparse[std::size_t(i)];
    m.layers[std::size_t(i)].other_weights += sparse[std::size_t(i)] * product({m.hidden, heads + 1, dim});
  }
  a.note(
      fmt::format("sparse_attention_config: all keys count as read, and the index of {} elements a token in {} layers "
                  "is not counted",
                  dim, indexed));
}

// DeepSeek-V4: every layer keeps a window of one shared head whose key is also its value, and most keep one such
// entry for every `ratio` tokens besides. Per token that is a latent of head_dim / ratio, with the same bytes and
// flops; the window is a head of half the size for keys and half for values. The projections, low-rank on both
// sides, stand in other_weights.
LayerGroup compressed_cache(const Architecture& a, i64 head_dim, i64 ratio) {
  const Config& c = a.config;
  if (head_dim % ratio != 0) c.fail("compress_ratios", fmt::format("{} does not divide head_dim {}", ratio, head_dim));
  LatentAttention latent;
  latent.query_heads = a.query_heads();
  latent.kv_lora_rank = head_dim / ratio;
  latent.value_dim = 1;
  constexpr i64 indexed_ratio = 4;  // the coarser entries are few enough to read all
  if (ratio == indexed_ratio) {
    i64 index_dim = c.need("index_head_dim", 1, most_head_dim);
    latent.indexer = Indexer{c.need("index_n_heads", 1, most_heads), ceil_div(index_dim, ratio),
                             ratio * c.need("index_topk", 1, most_tokens / ratio)};
  }
  LayerGroup group;
  group.count = 1;
  group.attention = latent;
  group.norms = 0;
  return group;
}

i64 weights_of(const Model& m, const LayerGroup& group) {
  i64 weights = small_weights(m, group);
  for (const Linear& linear : linears(m, group)) weights += linear.parameters;
  return weights;
}

void deepseek_v4(const Architecture& a, Model& m) {
  const Config& c = a.config;
  i64 dim = c.need("head_dim", 2, most_head_dim), heads = a.query_heads();
  i64 q_rank = c.need("q_lora_rank", 1, most_head_dim), o_rank = c.need("o_lora_rank", 1, most_head_dim),
      o_groups = c.need("o_groups", 1, most_heads);
  i64 window = c.need("sliding_window", 1, most_tokens);
  i64 all = product({m.hidden, q_rank}) + product({q_rank, heads, dim}) + product({m.hidden, dim}) +
            product({heads, dim, o_rank}) + product({o_groups, o_rank, m.hidden});
  std::vector<i64> ratios = c.wholes("compress_ratios", 0, most_head_dim);
  if (i64(ratios.size()) < a.layers)
    c.fail("compress_ratios", fmt::format("has {} entries for {} layers", ratios.size(), a.layers));
  std::vector<LayerGroup> layers;
  for (i64 i = 0; i < a.layers; ++i) {
    LayerGroup layer = m.layers[std::size_t(i)];
    layer.attention = SlidingAttention{{1, 1, dim - dim / 2, dim / 2}, window};
    layer.other_weights = all - 2 * product({m.hidden, dim});
    layers.push_back(layer);
    if (i64 ratio = ratios[std::size_t(i)]; ratio > 0) {
      layers.push_back(compressed_cache(a, dim, ratio));
      layers[layers.size() - 2].other_weights -= weights_of(m, layers.back());
    }
  }
  m.layers = std::move(layers);
}

// LongCat: each layer is two attentions, each with a dense feed-forward, and one mixture beside them.
void longcat(const Architecture& a, Model& m) {
  MoeFeedForward experts = expert_feed_forward(a);
  i64 zero_experts = a.config.whole("zero_expert_num", 0, most_experts).value_or(0);
  std::vector<LayerGroup> layers;
  for (LayerGroup& layer : m.layers) {
    layer.feed_forward = dense_feed_forward(a, 0);
    layers.insert(layers.end(), 2, layer);
    LayerGroup mixture;
    mixture.count = 1;
    mixture.attention = NoAttention{};
    mixture.feed_forward = experts;
    mixture.norms = 0;
    mixture.other_weights = zero_experts * (m.hidden + 1);  // the router also picks experts that do nothing
    layers.push_back(mixture);
  }
  m.layers = std::move(layers);
}

// Zamba-2: two shared blocks, on twice the hidden size, serve all hybrid layers, each with its own cache.
std::vector<i64> hybrid_layers(const Architecture& a) {
  if (a.config.has("hybrid_layer_ids")) return a.config.wholes("hybrid_layer_ids", 0, a.layers - 1);
  const Json* words = a.config.list("layers_block_type");
  if (!words) a.config.fail("hybrid_layer_ids", "missing (also looked for layers_block_type)");
  std::vector<i64> ids;
  for (std::size_t i = 0; i < words->size(); ++i)
    if ((*words)[i] == "hybrid" || (*words)[i] == "g") ids.push_back(i64(i));
  return ids;
}

void zamba2(const Architecture& a, Model& m) {
  LayerGroup mamba;
  mamba.count = a.layers;
  mamba.attention = recurrent_of(a);
  mamba.norms = 1;
  LayerGroup hybrid = m.layers.front();
  const Heads* h = heads_of(hybrid.attention);
  i64 inner = h->query * h->key_dim, width = std::get<DenseFeedForward>(hybrid.feed_forward).width;
  i64 rank = a.config.whole("adapter_rank", 1, most_width).value_or(128);
  i64 second_half = product({3, m.hidden, inner});  // queries, keys and values read hidden twice
  i64 own = product({m.hidden, m.hidden}) + product({rank, m.hidden + 2 * width});
  hybrid.count = i64(hybrid_layers(a).size());
  if (hybrid.count == 0) a.config.fail("hybrid_layer_ids", "is an empty list");
  hybrid.norms = 3;
  hybrid.other_weights = second_half + own;
  i64 block = second_half + 4 * product({m.hidden, inner}) + gated(m.hidden, width) + 3 * m.hidden;
  i64 copies = a.config.whole("num_mem_blocks", 1, most_layers).value_or(1);
  if (hybrid.count > copies)
    a.note(fmt::format(
        "num_mem_blocks: {} shared blocks serve {} layers; counted once per use, {} weights more than stored", copies,
        hybrid.count, (hybrid.count - copies) * block));
  m.layers = {mamba, hybrid};
}

// Decoder layers of an encoder-decoder model: self-attention, then cross-attention with the feed-forward.
void split_for_cross(Model& m, i64 encoder_tokens) {
  std::vector<LayerGroup> layers;
  for (LayerGroup& self : m.layers) {
    LayerGroup cross = self;
    self.feed_forward = NoFeedForward{};
    self.norms = 1;
    cross.attention = CrossAttention{*heads_of(self.attention), encoder_tokens};
    cross.norms = 2;
    layers.push_back(self);
    layers.push_back(cross);
  }
  m.layers = std::move(layers);
}

void t5(const Architecture& a, Model& m) {
  const Config& c = a.config;
  std::string activation = c.text("feed_forward_proj").value_or("");
  bool is_gated = c.flag("is_gated_act").value_or(activation.starts_with("gated"));
  DenseFeedForward ff = dense_feed_forward(a, 0);
  ff.matrices = is_gated ? 3 : 2;
  for (LayerGroup& layer : m.layers) layer.feed_forward = ff;
  const Heads h = *heads_of(m.layers.front().attention);
  i64 encoder_layers = c.need("num_layers", 1, most_layers);
  i64 layer = 4 * product({m.hidden, h.query, h.key_dim}) + product({ff.matrices, m.hidden, ff.width}) + 2 * m.hidden;
  i64 buckets = product({c.whole("relative_attention_num_buckets", 1, 1 << 16).value_or(32), h.query});
  bool in_each_layer = a.type == "umt5";
  m.encoder_weights = product({encoder_layers, layer}) + m.hidden + buckets * (in_each_layer ? encoder_layers : 1);
  m.other_weights += buckets * (in_each_layer ? a.layers : 1);
  a.note("encoder length is not in the file: cross-attention counts 512 tokens");
  split_for_cross(m, 512);
}

void whisper(const Architecture& a, Model& m) {
  const Config& c = a.config;
  i64 frames = c.need("max_source_positions", 1, most_head_dim), mels = c.need("num_mel_bins", 1, most_head_dim);
  i64 width = c.need("encoder_ffn_dim", 1, most_width), d = m.hidden;
  i64 layer = 4 * product({d, d}) + 3 * d + 2 * product({d, width}) + width + d + 4 * d;
  i64 convolutions = product({3, mels + d, d}) + 2 * d;
  m.encoder_weights =
      product({c.need("encoder_layers", 1, most_layers), layer}) + convolutions + product({frames, d}) + 2 * d;
  for (LayerGroup& decoder : m.layers) decoder.projections.key_bias = false;
  split_for_cross(m, frames);
}

struct Amendment {
  std::string_view row;
  void (*apply)(const Architecture&, Model&);
};
constexpr Amendment amendments[] = {
    {"apertus", apertus},
    {"falcon", falcon},
    {"stablelm", stablelm},
    {"bloom", bloom},
    {"opt", opt},
    {"mpt", mpt},
    {"phi", phi},
    {"hunyuan", hunyuan},
    {"nemotron-nas", nemotron_nas},
    {"mllama_text_model", mllama},
    {"gemma3n_text", gemma3n},
    {"gemma4_text", gemma4},
    {"longcat_flash", longcat},
    {"recurrent_gemma", recurrent_gemma},
    {"minimax_m3", minimax_m3},
    {"deepseek_v4", deepseek_v4},
    {"zamba2", zamba2},
    {"t5", t5},
    {"whisper", whisper},
};

}  // namespace

void amend(const Architecture& a, Model& model) {
  for (const Amendment& amendment : amendments)
    if (amendment.row == a.traits.type) amendment.apply(a, model);
}

}  // namespace kvroof::hf
