// What an engine takes on a rank beside weights and cache: its libraries, captured graphs, activations, padding.
//
// These are what a profiling run finds in use before the room for KV is known. The rules and their constants were
// fitted on logs that state each part (engines: in hardware.yaml names them).
#pragma once

#include "core/deployment.h"
#include "core/engine.h"
#include "core/hardware.h"
#include "core/model.h"

namespace kvroof {

/// Peak of the activations of a rank of the stage in the run by which the engine sizes its room for KV.
Bytes activation_bytes(const Model& model, const Device& device, const Deployment& deployment, const Engine& engine,
                       i64 stage);

/// Context, libraries and communication buffers of a rank, and graphs where they are taken out of the room.
Bytes runtime_bytes(const Device& device, const Deployment& deployment, const Engine& engine);

/// Tables of rotary positions that an engine keeps whole on every rank: longest context x rotary dim x 2 B, one for
/// each kind of attention (vLLM's rotary_embedding.py; 2.5 GiB for Llama 4 Scout's 10M tokens).
Bytes rotary_tables(const Model& model, const Engine& engine);

/// What the engine's kernels add to a rank's weights by widening mxfp4 experts to whole tiles.
Bytes expert_padding(const Model& model, const Deployment& deployment, const Engine& engine, i64 stage);

}  // namespace kvroof
