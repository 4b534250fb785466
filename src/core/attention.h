// Kinds of attention: what a layer keeps per sequence, what one decode step moves, and how far TP splits it.
//
// MHA, GQA and MQA are one kind, full attention, with n_kv heads. Every kind answers the same questions in
// elements, never bytes: the role of a part picks its number format (an index is fp8 + scale, a state f32,
// while keys and values are bf16). Formulas and sources: the README's page of physics.
//
// To add a kind: one struct here with the functions the concept names, and its name in the variant.
#pragma once

#include <concepts>
#include <optional>
#include <string_view>
#include <variant>

#include "core/quantity.h"

namespace kvroof {

enum class Role { key, value, latent, index, conv, state };

/// Elements of one role; `vector` of them share a per-vector scale where the format has one.
struct Part {
  Role role = Role::key;
  double elements = 0;
  i64 vector = 1;
};

/// The parts of one layer for one sequence, at most three (latent and index; conv and state; key and value).
struct Parts {
  Part part[3];
  int count = 0;

  constexpr Parts() = default;
  constexpr Parts(std::initializer_list<Part> list) {
    for (const Part& p : list) part[count++] = p;
  }
  const Part* begin() const { return part; }
  const Part* end() const { return part + count; }
};

/// Query and KV heads of one layer; MHA when kv == query, MQA when kv == 1, else GQA.
struct Heads {
  i64 query = 0;
  i64 kv = 0;
  i64 key_dim = 0;
  i64 value_dim = 0;  ///< differs from key_dim in few models (MiMo-V2: 192 and 128)
  bool operator==(const Heads&) const = default;
};

struct FullAttention {
  Heads heads;
  static constexpr std::string_view name = "full";
  Parts stored(i64 tokens) const;
  Parts moved(i64 tokens) const { return stored(tokens); }
  Flops flops(i64 tokens) const;
  i64 shards() const { return heads.kv; }
  bool operator==(const FullAttention&) const = default;
};

/// Each token sees the last `window` tokens; the cache never grows past them.
struct SlidingAttention {
  Heads heads;
  i64 window = 0;
  static constexpr std::string_view name = "sliding";
  Parts stored(i64 tokens) const;
  Parts moved(i64 tokens) const { return stored(tokens); }
  Flops flops(i64 tokens) const;
  i64 shards() const { return heads.kv; }
  bool operator==(const SlidingAttention&) const = default;
};

/// Each token sees the tokens of its own chunk (Llama 4); the fullest moment of a chunk is counted.
struct ChunkedAttention {
  Heads heads;
  i64 chunk = 0;
  static constexpr std::string_view name = "chunked";
  Parts stored(i64 tokens) const;
  Parts moved(i64 tokens) const { return stored(tokens); }
  Flops flops(i64 tokens) const;
  i64 shards() const { return heads.kv; }
  bool operator==(const ChunkedAttention&) const = default;
};

/// The sparse indexer of DeepSeek-V3.2: a small key per token picks the `top_k` latents a step attends to.
struct Indexer {
  i64 heads = 0;
  i64 head_dim = 0;
  i64 top_k = 0;
  bool operator==(const Indexer&) const = default;
};

/// Multi-head latent attention: one latent of kv_lora_rank + rope_dim per token serves all heads.
/// Decoding is absorbed: each query head works on the latent itself.
struct LatentAttention {
  i64 query_heads = 0;
  i64 kv_lora_rank = 0;
  i64 rope_dim = 0;
  i64 nope_dim = 0;
  i64 value_dim = 0;
  i64 q_lora_rank = 0;  ///< 0: queries are projected directly
  std::optional<Indexer> indexer;
  bool expanded = false;  ///< cached as keys and values of every head: GGUF files from before llama.cpp kept latents
  static constexpr std::string_view name = "mla";
  Parts stored(i64 tokens) const;
  Parts moved(i64 tokens) const;
  Flops flops(i64 tokens) const;
  i64 shards() const { return expanded ? query_heads : 1; }
  Heads heads_expanded() const { return {query_heads, query_heads, nope_dim + rope_dim, value_dim}; }
  bool operator==(const LatentAttention&) const = default;
};

/// Constant state per sequence: Mamba, gated delta net, RG-LRU, lightning attention, short convolution.
/// Read and written each step. `weights` is the layer's parameter count, which differs by family.
struct RecurrentState {
  i64 conv_elements = 0;
  i64 state_elements = 0;
  i64 heads = 1;  ///< how far TP splits the state
  i64 weights = 0;
  static constexpr std::string_view name = "recurrent";
  Parts stored(i64 tokens) const;
  Parts moved(i64 tokens) const;
  Flops flops(i64 tokens) const;
  i64 shards() const { return heads; }
  bool operator==(const RecurrentState&) const = default;
};

/// Keys and values of an encoder's output (T5, Whisper, vision): constant while decoding.
struct CrossAttention {
  Heads heads;
  i64 encoder_tokens = 0;
  static constexpr std::string_view name = "cross";
  Parts stored(i64 tokens) const;
  Parts moved(i64 tokens) const { return stored(tokens); }
  Flops flops(i64 tokens) const;
  i64 shards() const { return heads.kv; }
  bool operator==(const CrossAttention&) const = default;
};

/// A layer without a mixer: the feed-forward sub-blocks of Nemotron-H, no-op layers of Nemotron-NAS.
struct NoAttention {
  static constexpr std::string_view name = "none";
  Parts stored(i64) const { return {}; }
  Parts moved(i64) const { return {}; }
  Flops flops(i64) const { return {}; }
  i64 shards() const { return 1; }
  bool operator==(const NoAttention&) const = default;
};

template <class Kind>
concept AttentionKind = requires(const Kind& kind, i64 tokens) {
  { Kind::name } -> std::convertible_to<std::string_view>;
  { kind.stored(tokens) } -> std::same_as<Parts>;
  { kind.moved(tokens) } -> std::same_as<Parts>;
  { kind.flops(tokens) } -> std::same_as<Flops>;
  { kind.shards() } -> std::same_as<i64>;
};

template <AttentionKind... Kinds>
using AttentionOneOf = std::variant<Kinds...>;
using Attention = AttentionOneOf<FullAttention, SlidingAttention, ChunkedAttention, LatentAttention, RecurrentState,
                                 CrossAttention, NoAttention>;

inline Parts stored(const Attention& a, i64 tokens) {
  return std::visit([&](const auto& kind) { return kind.stored(tokens); }, a);
}
inline Parts moved(const Attention& a, i64 tokens) {
  return std::visit([&](const auto& kind) { return kind.moved(tokens); }, a);
}
/// Arithmetic of one decode step of one sequence over all query heads.
inline Flops attention_flops(const Attention& a, i64 tokens) {
  return std::visit([&](const auto& kind) { return kind.flops(tokens); }, a);
}
/// Of one token of a prompt that attends to `tokens`: MLA is not absorbed there, keys and values stand per head. With
/// an indexer it attends to the top-k, and scans the index of all.
Flops prompt_flops(const Attention& attention, i64 tokens);
inline i64 shards(const Attention& a) {
  return std::visit([](const auto& kind) { return kind.shards(); }, a);
}
inline std::string_view kind_name(const Attention& a) {
  return std::visit([](const auto& kind) { return std::string_view(kind.name); }, a);
}
/// Window or chunk of the kinds that keep no more; 0 where every token is kept, or none.
i64 limit_of(const Attention& attention);
/// Of `tokens` cached ones those that a query works on: a window's, an indexer's choice, an encoder's; of a state one.
i64 attended_tokens(const Attention& attention, i64 tokens);
/// The query/KV heads of the kinds that have them; null for MLA, states and none.
const Heads* heads_of(const Attention& a);
Heads* heads_of(Attention& a);
/// Query heads of any kind; 0 for states and none.
i64 query_heads(const Attention& a);
/// MHA, GQA-8, MQA, MLA, recurrent … as people say it.
std::string_view sharing_name(const Heads& heads);

}  // namespace kvroof
