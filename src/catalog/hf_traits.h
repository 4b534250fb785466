// What a model_type's class adds to its config.json: defaults, biases, norms, how its layers alternate.
//
// One row per architecture, named by the model_type of the text model; other model_types of the same code are
// aliases of a row. A flag is a key and the value the class has without it. Sources: the modelling code of
// each class (transformers, or the repository's own), checked by the totals of published checkpoints.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "catalog/hf_json.h"
#include "core/model.h"

namespace kvroof::hf {

/// `key` decides, "!key" decides inverted; without the key, or with an empty one, `otherwise` holds.
struct Flag {
  std::string_view key;
  bool otherwise = false;
};
bool holds(const Config& config, Flag flag);

/// Which layers slide when the file has a window but no list of layers.
enum class Slides {
  none,  ///< the window key is not this layer's (or is unused)
  all,
  flagged,    ///< use_sliding_window, and only from layer max_window_layers on (Qwen2)
  even,       ///< layers 0, 2, 4 … (Gemma 2, gpt-oss)
  but_every,  ///< all but each n-th (Gemma 3)
};

/// The mixer of a layer that keeps a constant state.
enum class Recurrence { none, mamba, mamba2, gated_delta, kda, lightning, rg_lru, short_conv };

/// How the feed-forward width relates to the key: Qwen-1 and RecurrentGemma store twice the width.
enum class Width { stored, half };

struct Traits {
  std::string_view type;
  bool tied = false;  ///< tie_word_embeddings of the class
  i64 norms = 2;      ///< per layer
  bool final_norm = true;
  Flag norm_bias{};
  Flag qkv_bias{"attention_bias", false};
  bool output_bias = true;  ///< the same flag also gives the output projection a bias
  Flag mlp_bias{"mlp_bias", false};
  Flag head_bias{};
  i64 matrices = 3;  ///< of a feed-forward: 3 gated, 2 plain
  Width width = Width::stored;
  QkNorm qk_norm = QkNorm::none;
  Flag qk_norm_on{"", true};
  Flag output_gate{};
  bool sinks = false;
  i64 positions_offset = -1;  ///< learned positions: rows beyond the maximum; -1: none
  Slides slides = Slides::none;
  i64 every = 0;  ///< of Slides::but_every, where the file has no sliding_window_pattern
  Recurrence recurrence = Recurrence::none;
  Flag router_bias{};
  bool expert_bias = false;
  bool shared_gate = false;
  bool shared_always = false;  ///< one shared expert that no key mentions (Llama 4)
  std::string_view caveat{};   ///< a rule that is a guess, said as a note
};

/// The row of a model_type or of what it is an alias of; null when there is none.
const Traits* find_traits(std::string_view model_type);

/// Sizes a class fills in where the text config leaves them out.
std::optional<i64> class_default(std::string_view model_type, std::string_view key, bool nested);

}  // namespace kvroof::hf
