// The KV cache in bytes, exactly: what a sequence stores, what a step moves, by layer group, whole or per rank.
//
// Elements come from the attention kinds, bytes from the formats; a rank of tensor parallelism holds
// ceil(shards/tp)/shards of a layer's cache, which covers GQA replication and MLA replication alike.
// These are ideal bytes; what an engine allocates for them is in allocation.h.
#pragma once

#include <vector>

#include "core/deployment.h"
#include "core/engine.h"
#include "core/model.h"

namespace kvroof {

/// Bytes of the parts in the formats their roles take.
Bytes bytes_of(const Parts& parts, const CacheFormats& formats);

/// Share of a layer's cache that one rank holds: 1/8 of 8 KV heads at tp 8 and also at tp 16; 1 for MLA.
double rank_share(const Attention& attention, i64 tp);

/// Tokens a layer keeps of `tokens` seen, after eviction. Windows and states are untouched by it.
i64 kept_tokens(const Attention& attention, i64 tokens, const Eviction& eviction);

/// One f32 score per kept token and KV head: what H2O keeps beside the cache of a layer.
Bytes score_bytes(const Attention& attention, i64 kept, const Eviction& eviction);

/// Stored bytes of one layer of the group, one sequence, all heads; 0 when it shares another layer's.
Bytes layer_stored(const LayerGroup& group, i64 tokens, const Deployment& deployment);
/// Bytes one decode step reads (and for states writes) of one layer's cache for one sequence, all heads.
Bytes layer_moved(const LayerGroup& group, i64 tokens, const Deployment& deployment);

/// Of them what all sequences can have in common at best: kept tokens of a prefix of `prefix` tokens. H2O may keep none
/// but those; its scores are each sequence's own.
Bytes layer_common(const LayerGroup& group, i64 tokens, i64 prefix, const Deployment& deployment);

/// Tokens of a common prefix of `prefix` that a layer without a window keeps of `tokens` for all sequences alike, so
/// that they can be stored once. StreamingLLM drops those between its sinks and the window; H2O keeps what each
/// sequence looked at, which is its own.
i64 kept_in_common(i64 tokens, i64 prefix, const Eviction& eviction);

/// Bytes of one layer, all heads, that are stored once for all sequences.
Bytes layer_shared(const LayerGroup& group, i64 tokens, i64 prefix, const Deployment& deployment);

/// Stored bytes of one sequence over all layers, unsharded.
Bytes sequence_cache(const Model& model, i64 tokens, const Deployment& deployment);
/// Growth of one sequence per token once every window is full.
Bytes cache_per_token(const Model& model, const Deployment& deployment);
/// Growth per token while every window is still filling.
Bytes cache_per_token_within_windows(const Model& model, const Deployment& deployment);
/// Constant part of one sequence: recurrent states and cross-attention.
Bytes state_per_sequence(const Model& model, const Deployment& deployment);

/// How layers that do not divide by the stages are laid out. spread: evenly. inner: vLLM's get_pp_indices gives one
/// more to the stages before the last, which holds the head.
enum class Stages { spread, inner };
Stages stages_of(const Engine& engine);
/// Layers of each group that stage `stage` of `pp` holds; over the stages they sum to the groups' counts. Groups do not
/// say how they alternate, so each is taken to run evenly through the model.
std::vector<i64> stage_layers(const Model& model, i64 stage, i64 pp, Stages stages);

}  // namespace kvroof
