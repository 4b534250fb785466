#include "core/cache_type.h"

#include <algorithm>

namespace kvroof {
namespace {

/// The attention as the engine stores it.
Attention stored_by(const Engine& engine, Attention attention) {
  if (Heads* h = heads_of(attention); h && engine.pads_values) h->value_dim = std::max(h->value_dim, h->key_dim);
  return attention;
}

CacheFormats formats_of(const Attention& attention, CacheFormats formats, const Engine& engine) {
  const auto* latent = std::get_if<LatentAttention>(&attention);
  if (latent && latent->indexer && engine.packs_sparse_latents && formats.key == format("fp8"))
    formats.key = format("fp8_ds_mla");
  return formats;
}

CacheType cache_type(const LayerGroup& group, i64 layers, const CacheFormats& given, const Deployment& d,
                     const Engine& engine) {
  Attention attention = stored_by(engine, group.attention);
  CacheFormats formats = formats_of(attention, given, engine);
  CacheType type;
  type.kind = kind_name(attention);
  type.layers = layers;
  type.limit = engine.full_windows ? 0 : limit_of(attention);
  type.is_chunk = std::holds_alternative<ChunkedAttention>(attention);
  if (const auto* cross = std::get_if<CrossAttention>(&attention)) type.cross_tokens = cross->encoder_tokens;
  double share = rank_share(attention, d.attention_tp());
  for (const Part& part : stored(attention, 1)) {
    Bytes bytes = share * bytes_of(Parts{part}, formats);
    switch (part.role) {
      case Role::key:
      case Role::latent: type.key += bytes; break;
      case Role::value: type.value += bytes; break;
      case Role::index: type.index += bytes; break;
      case Role::conv: type.conv += bytes; break;
      case Role::state: type.state += bytes; break;
    }
  }
  type.score = share * score_bytes(attention, 1, d.eviction);
  return type;
}

bool alike(const CacheType& a, const CacheType& b) {
  return a.kind == b.kind && a.limit == b.limit && a.cross_tokens == b.cross_tokens && a.key == b.key &&
         a.value == b.value && a.index == b.index && a.score == b.score && a.conv == b.conv && a.state == b.state;
}

/// The layers of a draft head cache as the model's own growing layers do.
void add_draft(std::vector<CacheType>& types, i64 layers) {
  for (CacheType& t : types)
    if (t.grows() && t.limit == 0) {
      t.layers += layers;
      return;
    }
}

bool keeps_f32_states(const Engine& engine, const Model& model) {
  auto names = [](std::string_view text, const std::string& prefix) { return text.substr(0, prefix.size()) == prefix; };
  return std::any_of(engine.f32_states.begin(), engine.f32_states.end(),
                     [&](const std::string& prefix) { return names(model.family, prefix) || names(model.id, prefix); });
}

}  // namespace

CacheFormats formats_in(const Engine& engine, const Model& model, const Deployment& d) {
  CacheFormats formats = d.cache;
  if (d.states_given) return formats;
  if (engine.conv) formats.conv = *engine.conv;
  if (engine.state) formats.state = keeps_f32_states(engine, model) ? format("f32") : *engine.state;
  // llama.cpp's states are f32 whatever the config says
  if (model.state_format && engine.layout != Layout::cells) formats.state = *model.state_format;
  return formats;
}

std::vector<CacheType> cache_types(const Model& model, const Deployment& d, const Engine& engine, i64 stage) {
  CacheFormats formats = formats_in(engine, model, d);
  std::vector<CacheType> types;
  std::vector<i64> held = stage_layers(model, stage, d.pp, stages_of(engine));
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    const LayerGroup& group = model.layers[i];
    if (std::holds_alternative<NoAttention>(group.attention)) continue;
    if (group.shares_kv && !engine.unshares_kv) continue;
    CacheType type = cache_type(group, held[i], formats, d, engine);
    if (type.layers == 0) continue;
    auto found = std::find_if(types.begin(), types.end(), [&](const CacheType& t) { return alike(t, type); });
    if (found == types.end())
      types.push_back(type);
    else
      found->layers += type.layers;
  }
  if (d.draft_layers > 0 && stage == d.pp - 1) add_draft(types, d.draft_layers);
  return types;
}

i64 kept_by(const CacheType& type, i64 context, const Deployment& d) {
  if (type.limit > 0) return std::min(context, type.limit);
  return kept_tokens(FullAttention{}, context, d.eviction);
}

}  // namespace kvroof
