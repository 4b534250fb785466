#include "core/attention.h"

#include <algorithm>

namespace kvroof {
namespace {

Parts keys_and_values(const Heads& h, i64 tokens) {
  double t = double(tokens);
  return {{Role::key, t * double(h.kv * h.key_dim), h.key_dim},
          {Role::value, t * double(h.kv * h.value_dim), h.value_dim}};
}

/// Scores and weighted sum of every query head over `tokens`: a multiply and an add each.
Flops score_flops(const Heads& h, i64 tokens) {
  return {2.0 * double(h.query) * double(h.key_dim + h.value_dim) * double(tokens)};
}

}  // namespace

Parts FullAttention::stored(i64 tokens) const { return keys_and_values(heads, tokens); }
Flops FullAttention::flops(i64 tokens) const { return score_flops(heads, tokens); }

Parts SlidingAttention::stored(i64 tokens) const { return keys_and_values(heads, std::min(tokens, window)); }
Flops SlidingAttention::flops(i64 tokens) const { return score_flops(heads, std::min(tokens, window)); }

Parts ChunkedAttention::stored(i64 tokens) const { return keys_and_values(heads, std::min(tokens, chunk)); }
Flops ChunkedAttention::flops(i64 tokens) const { return score_flops(heads, std::min(tokens, chunk)); }

Parts LatentAttention::stored(i64 tokens) const {
  if (expanded) return keys_and_values(heads_expanded(), tokens);
  double t = double(tokens);
  Parts parts = {{Role::latent, t * double(kv_lora_rank + rope_dim), kv_lora_rank + rope_dim}};
  if (indexer && indexer->head_dim > 0)
    parts.part[parts.count++] = {Role::index, t * double(indexer->head_dim), indexer->head_dim};
  return parts;
}

Parts LatentAttention::moved(i64 tokens) const {
  if (!indexer || expanded) return stored(tokens);
  Parts parts = stored(std::min(tokens, indexer->top_k));
  parts.part[1] = {Role::index, double(tokens) * double(indexer->head_dim),
                   indexer->head_dim};  // the whole index is scanned
  return parts;
}

Flops LatentAttention::flops(i64 tokens) const {
  if (expanded) return score_flops(heads_expanded(), tokens);
  i64 attended = indexer ? std::min(tokens, indexer->top_k) : tokens;
  double scan = indexer ? 2.0 * double(indexer->heads * indexer->head_dim) * double(tokens) : 0;
  return {2.0 * double(query_heads) * double(2 * kv_lora_rank + rope_dim) * double(attended) + scan};
}

Parts RecurrentState::stored(i64) const {
  return {{Role::conv, double(conv_elements), std::max<i64>(conv_elements, 1)},
          {Role::state, double(state_elements), std::max<i64>(state_elements, 1)}};
}

Parts RecurrentState::moved(i64 tokens) const {
  Parts parts = stored(tokens);  // read and written each step
  for (int i = 0; i < parts.count; ++i) parts.part[i].elements *= 2;
  return parts;
}

/// Decay, rank-one update and read-out of each state element: three multiply-adds.
Flops RecurrentState::flops(i64) const { return {6.0 * double(state_elements) + 2.0 * double(conv_elements)}; }

Parts CrossAttention::stored(i64) const { return keys_and_values(heads, encoder_tokens); }
Flops CrossAttention::flops(i64) const { return score_flops(heads, encoder_tokens); }

i64 limit_of(const Attention& a) {
  if (const auto* s = std::get_if<SlidingAttention>(&a)) return s->window;
  if (const auto* c = std::get_if<ChunkedAttention>(&a)) return c->chunk;
  return 0;
}

i64 attended_tokens(const Attention& a, i64 tokens) {
  if (i64 limit = limit_of(a)) return std::min(tokens, limit);
  if (const auto* cross = std::get_if<CrossAttention>(&a)) return cross->encoder_tokens;
  const auto* mla = std::get_if<LatentAttention>(&a);
  if (mla && mla->indexer && !mla->expanded) return std::min(tokens, mla->indexer->top_k);
  return std::holds_alternative<RecurrentState>(a) ? 1 : tokens;
}

const Heads* heads_of(const Attention& a) {
  return std::visit(
      [](const auto& kind) -> const Heads* {
        if constexpr (requires { kind.heads.kv; })
          return &kind.heads;
        else
          return nullptr;
      },
      a);
}

Heads* heads_of(Attention& a) { return const_cast<Heads*>(heads_of(const_cast<const Attention&>(a))); }

i64 query_heads(const Attention& a) {
  if (const Heads* heads = heads_of(a)) return heads->query;
  if (const LatentAttention* mla = std::get_if<LatentAttention>(&a)) return mla->query_heads;
  return 0;
}

std::string_view sharing_name(const Heads& heads) {
  if (heads.kv == heads.query) return "MHA";
  return heads.kv == 1 ? "MQA" : "GQA";
}

Flops prompt_flops(const Attention& attention, i64 tokens) {
  const auto* latent = std::get_if<LatentAttention>(&attention);
  if (!latent) return attention_flops(attention, tokens);
  double attended = double(tokens), index = 0;
  if (latent->indexer) {
    attended = double(std::min(tokens, latent->indexer->top_k));
    index = 2.0 * double(latent->indexer->heads * latent->indexer->head_dim) * double(tokens);
  }
  return Flops{2.0 * double(latent->query_heads) * double(latent->nope_dim + latent->rope_dim + latent->value_dim) *
                   attended +
               index};
}

}  // namespace kvroof
