// A model's shape: everything about it that decides bytes and flops, and nothing else.
//
// A model is an ordered list of layer groups; a 5:1 hybrid is two groups. A group says how many layers it
// has, how they attend and what their feed-forward is, plus the few flags (biases, norms) without which a
// parameter count is not exact. Dimensions are elements; counts are per layer unless said otherwise.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/attention.h"
#include "core/dtype.h"

namespace kvroof {

/// How much a catalogue entry is to be trusted: looked up in two sources or first-party, one good source,
/// recalled or derived, conflicting.
enum class Confidence { A, B, C, D };

/// Norms over queries and keys: none, one weight vector of head_dim each, or one over all heads.
enum class QkNorm { none, head, all };

/// What the projections around attention carry beyond q, k, v and o matrices.
struct Projections {
  bool qkv_bias = false;
  bool key_bias = true;  ///< with qkv_bias: false leaves the key bias out (Whisper)
  bool output_bias = false;
  QkNorm qk_norm = QkNorm::none;
  bool output_gate = false;     ///< the query projection is doubled by a gate (Qwen3-Next)
  bool sinks = false;           ///< one learned sink per query head (gpt-oss)
  bool value_from_key = false;  ///< no value matrix (Gemma 4's full layers)
  bool operator==(const Projections&) const = default;
};

struct NoFeedForward {
  bool operator==(const NoFeedForward&) const = default;
};

/// matrices: 3 when gated (SwiGLU: gate, up, down), else 2.
struct DenseFeedForward {
  i64 width = 0;
  i64 matrices = 3;
  bool bias = false;
  bool operator==(const DenseFeedForward&) const = default;
};

struct MoeFeedForward {
  i64 experts = 0;
  i64 top_k = 0;
  i64 width = 0;         ///< of one expert
  i64 shared_width = 0;  ///< of all shared experts together; 0: none
  i64 matrices = 3;
  bool bias = false;         ///< biases in the experts
  bool router_bias = false;  ///< one bias or correction per expert
  bool shared_gate = false;  ///< a hidden-wide gate before the shared expert (Qwen2-MoE)
  i64 expert_hidden = 0;     ///< experts live in a narrower latent (Nemotron-3 Super); 0: hidden
  bool operator==(const MoeFeedForward&) const = default;
};

using FeedForward = std::variant<NoFeedForward, DenseFeedForward, MoeFeedForward>;

struct LayerGroup {
  i64 count = 0;
  Attention attention;
  Projections projections;
  FeedForward feed_forward;
  i64 norms = 2;                  ///< weight vectors of hidden size
  bool shares_kv = false;         ///< reads an earlier layer's cache and owns none (Gemma 3n, CLA)
  bool own_kv_projection = true;  ///< shares_kv layers that still carry k and v matrices (Gemma 3n)
  i64 other_weights = 0;          ///< parameters per layer that no other field explains
  bool operator==(const LayerGroup&) const = default;
};

/// Formats the checkpoint is published in; `--weights` replaces linears and experts.
struct WeightFormats {
  Format linears = format("bf16");
  Format experts = format("bf16");
  Format embeddings = format("bf16");  ///< input embedding and head; norms and biases too
  std::optional<Format> attention;     ///< the projections around attention, where they are not as the linears
  bool operator==(const WeightFormats&) const = default;
};

struct Model {
  std::string id;
  std::string name;
  std::string family;                ///< Hugging Face model_type, or the like
  std::vector<std::string> aliases;  ///< Hugging Face repositories and names seen in logs
  i64 hidden = 0;
  i64 vocab = 0;
  std::optional<i64> max_context;
  bool tied_embeddings = false;
  bool norm_bias = false;  ///< LayerNorm with bias: each norm has two vectors
  bool final_norm = true;
  bool head_bias = false;
  i64 position_embeddings = 0;  ///< rows of learned positions
  i64 encoder_weights = 0;      ///< resident but not read while decoding: encoder, vision or audio tower
  i64 other_weights = 0;        ///< parameters read each step that no other field explains
  WeightFormats weights;
  std::optional<double> weight_bytes;  ///< of the checkpoint, exact, where its files were read
  std::optional<Format> cache_format;  ///< of keys and values, as the checkpoint asks; some engines follow
  std::optional<Format> state_format;  ///< of recurrent states, as the config asks
  std::vector<LayerGroup> layers;
  std::optional<i64> published_parameters;
  bool published_exact = false;  ///< published to the last digit, not a nominal size
  std::string source;
  Confidence confidence = Confidence::C;
  std::vector<std::string> notes;  ///< caveats and the defaults an importer filled in

  i64 layer_count() const;
};

/// One thing wrong with a spec: where (`layers[1].attention.kv_heads`), what, and what to do about it.
struct Problem {
  std::string path;
  std::string what;
  std::string hint;
};

/// All that is wrong with it; the functions of core are total on a model without problems.
std::vector<Problem> problems(const Model& model);

/// The same model with g KV heads in every layer that has heads (`g` divides the query heads, or is 0 for MHA).
/// MLA layers become full attention with keys and values per head, the shape the latent compresses.
Model with_kv_heads(Model model, i64 kv_heads);

}  // namespace kvroof
