// The way through a config.json: find the text model, read its class's row, plan the layers, merge them into
// groups, amend what is peculiar to the family, and let the core check the result.
#include "catalog/hf_config.h"

#include <algorithm>
#include <array>
#include <exception>

#include <fmt/format.h>

#include "catalog/hf_architecture.h"

namespace kvroof {
namespace hf {

void Architecture::note(std::string text) const {
  if (std::find(notes->begin(), notes->end(), text) == notes->end()) notes->push_back(std::move(text));
}

std::optional<i64> Architecture::size(Keys names, i64 least, i64 most) const {
  if (std::optional<i64> value = config.whole(names, least, most)) return value;
  for (std::string_view name : names) {
    std::optional<i64> value = class_default(traits.type, name, nested);
    if (!value) continue;
    note(fmt::format("{}{} absent: {} default {}", config.path(), name, traits.type, *value));
    return value;
  }
  return std::nullopt;
}

i64 Architecture::need(Keys names, i64 least, i64 most) const {
  if (std::optional<i64> value = size(names, least, most)) return *value;
  return config.need(names, least, most);
}

i64 Architecture::query_heads() const { return need(keys::heads, 1, most_heads); }

namespace {

using namespace std::string_view_literals;

/// Where a multimodal file keeps its text model.
constexpr std::string_view text_places[] = {"text_config", "llm_config", "language_config",
                                            "thinker_config.text_config"};

Config text_config(const Json& root) {
  Config top(root, "");
  for (std::string_view place : text_places) {
    const Json* found = top.find(place);
    if (!found) continue;
    if (!found->is_object()) top.fail(place, "expected an object");
    return Config(*found, std::string(place) + ".", &root);
  }
  return top;
}

/// Classes that keep no cache of a decoder, or none this model of attention describes.
struct Unsupported {
  std::string_view type;
  std::string_view why;
};
constexpr std::string_view encoder = "is an encoder, which keeps no cache while generating",
                           rwkv = "has a recurrent state that is not modelled";
constexpr Unsupported unsupported[] = {
    {"albert", encoder},
    {"bert", encoder},
    {"clip", encoder},
    {"deberta", encoder},
    {"deberta-v2", encoder},
    {"distilbert", encoder},
    {"electra", encoder},
    {"modernbert", encoder},
    {"nomic_bert", encoder},
    {"roberta", encoder},
    {"siglip", encoder},
    {"vit", encoder},
    {"xlm-roberta", encoder},
    {"rwkv", rwkv},
    {"rwkv5", rwkv},
    {"rwkv6", rwkv},
    {"rwkv7", rwkv},
    {"falcon_h1", "has attention and a state side by side in each layer, which is not modelled"},
};

/// The keys that let a class nobody here knows be taken for a Llama.
constexpr std::string_view llama_keys[] = {"hidden_size", "num_hidden_layers", "num_attention_heads",
                                           "intermediate_size", "vocab_size"};

/// Keys of layers no Llama has.
constexpr std::string_view foreign_keys[] = {"mamba_d_state",      "ssm_state_size",  "ssm_cfg",
                                             "state_size",         "conv_kernel",     "linear_num_value_heads",
                                             "linear_attn_config", "lru_width",       "rwkv_version",
                                             "is_encoder_decoder", "layer_group_size"};

/// Keys of a pattern of layers, which only a list of layers would make plain.
constexpr std::string_view pattern_keys[] = {"global_attn_every_n_layers", "sliding_window_pattern",
                                             "full_attention_interval", "attn_layer_period"};

Traits traits_of(const Config& config, const std::string& type, std::vector<std::string>& notes) {
  if (const Traits* known = find_traits(type)) return *known;
  for (const Unsupported& u : unsupported)
    if (u.type == type) config.fail("model_type", fmt::format("'{}' {}", type, u.why));
  for (std::string_view key : llama_keys)
    if (!config.has(key)) {
      if (type.empty())
        config.fail("model_type", fmt::format("missing, and without {} it cannot be read as a Llama", key));
      config.fail("model_type",
                  fmt::format("'{}' is not known, and without {} it cannot be read as a Llama", printable(type), key));
    }
  for (std::string_view key : foreign_keys)
    if (const Json* value = config.find(key); value && *value != false)
      config.fail("model_type", fmt::format("'{}' is not known, and its {} says it is no Llama", printable(type), key));
  for (std::string_view key : pattern_keys)
    if (config.has(key) && !config.list("layer_types"))
      config.fail("model_type", fmt::format("'{}' is not known, and its {} says that layers differ: layer_types would "
                                            "say which do what",
                                            printable(type), key));
  Traits assumed = *find_traits("llama");
  std::string said = type.empty() ? "model_type absent" : fmt::format("model_type {} is not known", printable(type));
  notes.push_back(said + ": biases, norms and weights are assumed to be those of a Llama");
  return assumed;
}

std::string type_of(const Config& config) {
  const Json* type = config.inherited("model_type");
  if (type && !type->is_string()) config.fail("model_type", "expected a string");
  return type ? type->get<std::string>() : "";
}

void add_layers(const Architecture& a, Model& m) {
  std::vector<LayerPlan> plans = plan_layers(a);
  for (i64 i = 0; i < a.layers; ++i) {
    const LayerPlan& plan = plans[std::size_t(i)];
    LayerGroup layer;
    layer.count = 1;
    layer.attention = attention_of(a, plan.mixer, i);
    layer.projections = projections_of(a, plan.mixer);
    layer.feed_forward = feed_forward_of(a, plan.feed_forward, i);
    layer.norms = a.traits.norms;
    m.layers.push_back(layer);
  }
}

bool tied(const Architecture& a) {
  std::optional<bool> stated = a.config.flag("tie_word_embeddings");
  if (!stated) a.note(fmt::format("tie_word_embeddings absent: {} default {}", a.traits.type, a.traits.tied));
  return stated.value_or(a.traits.tied);
}

std::optional<i64> max_context(const Architecture& a) {
  if (a.traits.type.starts_with("cohere"))  // its model_max_length is the one served
    if (std::optional<i64> stated = a.config.whole("model_max_length", 1, most_tokens)) return stated;
  return a.size(keys::max_context, 1, most_tokens);
}

void note_what_is_left_out(const Architecture& a) {
  for (std::string_view tower : {"vision_config", "audio_config", "visual"})
    if (a.config.inherited(tower)) a.note(fmt::format("{}: this tower's weights are not counted", tower));
  for (std::string_view key : {"num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules"})
    if (std::optional<i64> layers = a.config.whole(key, 0, most_layers); layers.value_or(0) > 0)
      a.note(fmt::format("{}: {} layers that predict further tokens are not counted", key, *layers));
}

/// More than any model has, checked in floating point before exact arithmetic is trusted with it.
void check_plausible(const Model& m) {
  double weights = double(m.vocab) * double(m.hidden) + double(m.position_embeddings) * double(m.hidden);
  double hidden = double(m.hidden);
  for (const LayerGroup& g : m.layers) {
    double layer = double(g.other_weights);
    if (const Heads* h = heads_of(g.attention))
      layer += 4 * hidden * double(h->query) * double(std::max(h->key_dim, h->value_dim));
    if (const auto* l = std::get_if<LatentAttention>(&g.attention))
      layer +=
          double(l->query_heads) * double(l->nope_dim + l->rope_dim + l->value_dim) *
              (hidden + double(l->kv_lora_rank + l->q_lora_rank)) +
          (l->indexer ? double(l->indexer->heads) * double(l->indexer->head_dim) * (hidden + double(l->q_lora_rank))
                      : 0);
    if (const auto* r = std::get_if<RecurrentState>(&g.attention))
      layer += double(r->weights) + double(r->state_elements);
    if (const auto* d = std::get_if<DenseFeedForward>(&g.feed_forward)) layer += 3 * hidden * double(d->width);
    if (const auto* e = std::get_if<MoeFeedForward>(&g.feed_forward))
      layer += hidden * (3 * double(e->experts) * double(e->width) + 3 * double(e->shared_width) + double(e->experts));
    weights += double(g.count) * layer;
  }
  if (weights > 1e15) refuse("the sizes multiply to more than 1e15 weights");
}

bool keeps_states(const Model& m) {
  return std::any_of(m.layers.begin(), m.layers.end(),
                     [](const LayerGroup& g) { return std::holds_alternative<RecurrentState>(g.attention); });
}

Model model_of(const Architecture& a, std::string_view name) {
  Model m;
  m.id = std::string(name);
  m.name = std::string(name.substr(name.rfind('/') + 1));
  m.family = a.type;
  m.hidden = a.hidden;
  m.vocab = a.need(keys::vocab, 1, most_vocab);
  m.max_context = max_context(a);
  m.tied_embeddings = tied(a);
  m.norm_bias = holds(a.config, a.traits.norm_bias);
  m.final_norm = a.traits.final_norm;
  m.head_bias = holds(a.config, a.traits.head_bias);
  if (a.traits.positions_offset >= 0)
    m.position_embeddings = a.need(keys::max_context, 1, most_vocab) + a.traits.positions_offset;
  m.source = fmt::format("config.json of {}", name);
  m.confidence = Confidence::B;
  add_layers(a, m);
  amend(a, m);
  m.layers = merged(m.layers);
  m.weights = weight_formats(a, has_experts(a));
  m.cache_format = cache_format(a);
  m.state_format = keeps_states(m) ? state_format(a) : std::nullopt;
  return m;
}

Model import(std::string_view json_text, std::string_view name) {
  Json root = parse(json_text);
  std::vector<std::string> notes;
  Config config = text_config(root);
  Architecture a{config, {}, type_of(config), !config.path().empty(), &notes};
  a.traits = traits_of(config, a.type, notes);
  if (!a.traits.caveat.empty()) a.note(std::string(a.traits.caveat));
  a.hidden = a.need(keys::hidden, 1, most_hidden);
  a.layers = count_layers(a);
  Model m = model_of(a, name);
  note_what_is_left_out(a);
  check_plausible(m);
  m.notes = std::move(notes);
  if (std::vector<Problem> found = problems(m); !found.empty())
    refuse(fmt::format("{}: {}", found[0].path, found[0].what));
  return m;
}

}  // namespace
}  // namespace hf

ImportedModel import_hf_config(std::string_view json_text, std::string_view name) {
  try {
    return {hf::import(json_text, name), ""};
  } catch (const hf::Refused& refused) { return {std::nullopt, refused.what}; } catch (const std::exception& error) {
    return {std::nullopt, fmt::format("cannot be read: {}", error.what())};
  }
}

}  // namespace kvroof
