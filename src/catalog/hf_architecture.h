// The text model of a config.json while it is being read: its object, its class's traits, and the sizes all
// layers share. The steps from here on: what each layer is (plan), what it attends with, its feed-forward.
#pragma once

#include <string>
#include <vector>

#include "catalog/hf_traits.h"
#include "core/model.h"

namespace kvroof::hf {

/// Bounds of single sizes, far above any model, which keep every product of two or three below 2^63.
inline constexpr i64 most_hidden = 1 << 20, most_layers = 1 << 12, most_heads = 1 << 14, most_head_dim = 1 << 16,
                     most_width = 1 << 24, most_experts = 1 << 16, most_vocab = 1 << 28, most_tokens = i64(1) << 40;

struct Architecture {
  Config config;
  Traits traits;
  std::string type;     ///< model_type as the file says it
  bool nested = false;  ///< inside a multimodal file
  std::vector<std::string>* notes = nullptr;
  i64 hidden = 0;
  i64 layers = 0;

  /// Adds a note once.
  void note(std::string text) const;
  /// A size of the file, or the default of its class with a note.
  std::optional<i64> size(Keys keys, i64 least, i64 most) const;
  i64 need(Keys keys, i64 least, i64 most) const;
  i64 query_heads() const;
};

namespace keys {
inline constexpr std::string_view layers[] = {"num_decoder_layers", "decoder_layers", "num_hidden_layers", "n_layer",
                                              "n_layers",           "num_layers"};
inline constexpr std::string_view hidden[] = {"hidden_size", "n_embd", "d_model", "n_embed"};
inline constexpr std::string_view heads[] = {"num_attention_heads", "decoder_attention_heads", "n_head", "n_heads",
                                             "num_heads"};
inline constexpr std::string_view kv_heads[] = {"num_key_value_heads", "num_kv_heads", "n_head_kv",
                                                "attn_config.kv_n_heads", "num_attention_groups"};
inline constexpr std::string_view head_dim[] = {"head_dim", "kv_channels", "attention_head_dim", "d_kv",
                                                "hidden_size_per_head"};
inline constexpr std::string_view width[] = {"intermediate_size",
                                             "ffn_hidden_size",
                                             "n_inner",
                                             "decoder_ffn_dim",
                                             "ffn_dim",
                                             "d_ff",
                                             "ff_intermediate_size",
                                             "ffn_config.ffn_hidden_size",
                                             "block_ff_dim"};
inline constexpr std::string_view vocab[] = {"padded_vocab_size", "vocab_size"};
inline constexpr std::string_view max_context[] = {
    "max_position_embeddings", "n_positions",         "seq_length", "max_seq_len",
    "max_target_positions",    "max_sequence_length", "seq_len",    "model_max_length"};
inline constexpr std::string_view window[] = {"sliding_window", "attention_window_size", "sliding_window_size"};
inline constexpr std::string_view experts[] = {"num_experts", "n_routed_experts", "num_local_experts",
                                               "moe_num_experts", "ffn_config.moe_num_experts"};
inline constexpr std::string_view top_k[] = {"num_experts_per_tok",
                                             "num_experts_per_token",
                                             "experts_per_token",
                                             "top_k_experts",
                                             "moe_topk",
                                             "moe_top_k",
                                             "moe_k",
                                             "num_selected_experts",
                                             "ffn_config.moe_top_k"};
inline constexpr std::string_view expert_width[] = {"moe_intermediate_size", "expert_ffn_hidden_size"};
inline constexpr std::string_view shared_width[] = {"shared_expert_intermediate_size",
                                                    "moe_shared_expert_intermediate_size", "shared_intermediate_size",
                                                    "share_expert_dim"};
inline constexpr std::string_view shared_experts[] = {"n_shared_experts", "num_shared_experts", "num_shared_expert",
                                                      "moe_num_shared_experts"};
}  // namespace keys

/// How a layer mixes tokens, and where a pattern says it, which feed-forward follows.
enum class Mixer { full, sliding, chunked, cross, recurrent, none };
enum class Follows { by_rule, nothing, dense, experts };
struct LayerPlan {
  Mixer mixer = Mixer::full;
  Follows feed_forward = Follows::by_rule;
};

/// The number of layers, from the file's key or the length of its pattern.
i64 count_layers(const Architecture& a);
std::vector<LayerPlan> plan_layers(const Architecture& a);

Attention attention_of(const Architecture& a, Mixer mixer, i64 layer);
Projections projections_of(const Architecture& a, Mixer mixer);
bool is_latent(const Architecture& a);
/// Falcon-40B's first class: it has n_head_kv KV heads and two norms, and no flag says so.
bool is_refined_web_40b(const Architecture& a);

FeedForward feed_forward_of(const Architecture& a, Follows follows, i64 layer);
DenseFeedForward dense_feed_forward(const Architecture& a, i64 layer);
MoeFeedForward expert_feed_forward(const Architecture& a);
bool has_experts(const Architecture& a);

/// State and weights of one recurrent layer of the class's kind.
RecurrentState recurrent_of(const Architecture& a);

/// What the general rules do not say of single families: encoders, shared caches, per-layer embeddings. The
/// model's groups are still one per layer here, in order.
void amend(const Architecture& a, Model& model);

/// Formats of the checkpoint, from its dtype and quantization_config.
WeightFormats weight_formats(const Architecture& a, bool experts);

/// The format of keys and values that the checkpoint asks for.
std::optional<Format> cache_format(const Architecture& a);
/// The format of recurrent states that the file names.
std::optional<Format> state_format(const Architecture& a);

/// Layers of count 1, in order, merged into groups of equal ones.
std::vector<LayerGroup> merged(const std::vector<LayerGroup>& layers);

}  // namespace kvroof::hf
