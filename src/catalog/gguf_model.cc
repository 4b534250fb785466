// From a GGUF header to a Model: what file this is, the tensors outside the layers, and the formats.
//
// Parameters and bytes come from the tensors, to the last digit. A tensor no field explains is counted in
// other_weights and named in a note, so that the fields always add up to the file.
#include <algorithm>
#include <charconv>
#include <unordered_map>

#include <fmt/format.h>

#include "catalog/gguf_layer.h"

namespace kvroof {
namespace {

constexpr i64 most_layers = 4096;  // the deepest models have 162

struct NamedTensors {
  std::vector<GgufLayer> layers;
  std::map<std::string_view, const GgufTensor*> outside;
  i64 draft_elements = 0;  ///< of the multi-token-prediction layers after the model's own
};

std::string in_quotes(std::string_view text) {
  std::string out;
  for (unsigned char c : text.substr(0, 60)) out += c >= 32 && c < 127 ? char(c) : '?';
  return "\"" + out + "\"";
}

const std::string* text_of(const GgufHeader& h, std::string_view key) {
  auto found = h.metadata.find(key);
  return found == h.metadata.end() ? nullptr : std::get_if<std::string>(&found->second);
}

std::string architecture(const GgufHeader& h) {
  if (const std::string* type = text_of(h, "general.type"); type && *type != "model")
    throw GgufRefused{fmt::format("general.type is {}, expected \"model\"", in_quotes(*type))};
  const std::string* arch = text_of(h, "general.architecture");
  if (!arch || arch->empty()) throw GgufRefused{"general.architecture is missing"};
  if (*arch == "clip") throw GgufRefused{"general.architecture is \"clip\": a vision projector, not a language model"};
  if (in_quotes(*arch) != "\"" + *arch + "\"")
    throw GgufRefused{fmt::format("general.architecture is {}", in_quotes(*arch))};
  return *arch;
}

/// Keys that change the cache in a way no kind of attention here describes.
void refuse_unknown_attention(const GgufKeys& keys) {
  for (std::string_view key : {"attention.compress_ratios", "attention.cross_attention_layers", "decoder_block_count"})
    if (keys.find(key))
      throw GgufRefused{fmt::format("{} is not understood: no attention kind describes it", keys.full(key))};
  const GgufValue* causal = keys.find("attention.causal");
  if (causal && std::get_if<bool>(causal) && !std::get<bool>(*causal))
    throw GgufRefused{keys.full("attention.causal") + " is false: an encoder keeps no KV cache"};
}

/// nvfp4 and ternary files keep a factor per tensor or expert beside the weight; it is no parameter of the model.
bool is_quantization_scale(const GgufTensor& t, const std::unordered_map<std::string_view, const GgufTensor*>& all) {
  std::string_view name = t.name;
  for (std::string_view ending : {".input_scale", ".scale"}) {
    if (!name.ends_with(ending)) continue;
    auto weight = all.find(std::string(name.substr(0, name.size() - ending.size())) + ".weight");
    return t.elements == 1 || (weight != all.end() && find_gguf_type(weight->second->type)->name == "nvfp4");
  }
  return false;
}

/// Rotary factors are constants written into the file, not parameters either.
bool is_constant(std::string_view name) {
  return name.starts_with("rope_freqs.") || name.starts_with("rope_factors_") || name.ends_with(".rope_freqs.weight") ||
         name.ends_with(".rope_factors_long.weight") || name.ends_with(".rope_factors_short.weight");
}

/// N and the rest of "blk.N.rest"; nothing for other names.
std::optional<std::pair<i64, std::string_view>> layer_name(std::string_view name) {
  if (!name.starts_with("blk.")) return std::nullopt;
  name.remove_prefix(4);
  i64 index = 0;
  auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  if (error != std::errc() || index < 0 || end == name.data() + name.size() || *end != '.') return std::nullopt;
  return std::pair{index, name.substr(std::size_t(end - name.data()) + 1)};
}

NamedTensors sort_tensors(const GgufHeader& h, i64 blocks, i64 drafts, const GgufKeys& keys) {
  std::unordered_map<std::string_view, const GgufTensor*> all;
  for (const GgufTensor& t : h.tensors) all.emplace(t.name, &t);
  NamedTensors out;
  out.layers.resize(std::size_t(blocks - drafts));
  for (i64 i = 0; i < blocks - drafts; ++i) out.layers[std::size_t(i)].index = i;
  for (const GgufTensor& t : h.tensors) {
    if (is_constant(t.name) || is_quantization_scale(t, all)) continue;
    auto name = layer_name(t.name);
    if (!name)
      out.outside.emplace(t.name, &t);
    else if (name->first >= blocks)
      throw GgufRefused{
          fmt::format("{} is {}, but there is a tensor {}", keys.full("block_count"), blocks, in_quotes(t.name))};
    else if (name->first >= blocks - drafts)
      out.draft_elements += t.elements;
    else
      out.layers[std::size_t(name->first)].left.emplace(name->second, &t);
  }
  for (const GgufLayer& l : out.layers)
    if (l.left.empty())
      throw GgufRefused{fmt::format("blk.{} has no tensors, but {} is {}", l.index, keys.full("block_count"), blocks)};
  return out;
}

i64 take_outside(NamedTensors& tensors, std::string_view name) {
  auto found = tensors.outside.find(name);
  if (found == tensors.outside.end()) return 0;
  i64 elements = found->second->elements;
  tensors.outside.erase(found);
  return elements;
}

/// Rows of the embedding decide; the metadata may count the tokens without the padding.
i64 vocabulary(const GgufHeader& h, const GgufKeys& keys, i64 embedding, i64 hidden, GgufNotes& notes) {
  std::optional<i64> given = keys.integer("vocab_size", i64(1) << 32);
  if (auto tokens = h.metadata.find("tokenizer.ggml.tokens"); !given && tokens != h.metadata.end())
    if (const GgufArray* list = std::get_if<GgufArray>(&tokens->second)) given = list->length;
  if (embedding == 0 || embedding % hidden != 0) {
    if (!given)
      throw GgufRefused{keys.full("vocab_size") +
                        " is missing, and so are tokenizer.ggml.tokens and token_embd.weight"};
    notes.add(fmt::format("token_embd.weight has {} elements, not rows of {}", embedding, hidden));
    return *given;
  }
  i64 rows = embedding / hidden;
  if (given && *given != rows)
    notes.add(
        fmt::format("the vocabulary has {} tokens, token_embd.weight {} rows: the rows are counted", *given, rows));
  return rows;
}

bool is_tower(std::string_view name) {
  for (std::string_view prefix : {"v.", "a.", "mm.", "model.vision.", "model.audio."})
    if (name.starts_with(prefix)) return true;
  return false;
}

void read_outside(Model& m, NamedTensors& tensors, const GgufHeader& h, const GgufKeys& keys, GgufNotes& notes) {
  m.vocab = vocabulary(h, keys, take_outside(tensors, "token_embd.weight"), m.hidden, notes);
  i64 head = take_outside(tensors, "output.weight");
  m.tied_embeddings = head == 0;
  if (head > 0 && head != m.vocab * m.hidden)
    notes.add(fmt::format("output.weight has {} elements, the rule counts {}", head, m.vocab * m.hidden));
  m.final_norm = take_outside(tensors, "output_norm.weight") > 0;
  m.norm_bias = take_outside(tensors, "output_norm.bias") > 0;
  m.head_bias = take_outside(tensors, "output.bias") > 0;
  m.position_embeddings = take_outside(tensors, "position_embd.weight") / m.hidden;
  i64 lookup = take_outside(tensors, "per_layer_token_embd.weight");
  if (lookup > 0)
    notes.add(fmt::format(
        "per_layer_token_embd.weight ({} parameters) is looked up a row at a time: counted as encoder_weights",
        lookup));
  if (tensors.draft_elements > 0)
    notes.add(
        fmt::format("{}: {} parameters of draft layers are counted as encoder_weights, read by no plain decode step",
                    keys.full("nextn_predict_layers"), tensors.draft_elements));
  m.encoder_weights = lookup + tensors.draft_elements;
  std::string named;
  for (const auto& [name, tensor] : tensors.outside) {
    (is_tower(name) ? m.encoder_weights : m.other_weights) += tensor->elements;
    if (!is_tower(name) && named.size() < 100) named += (named.empty() ? "" : ", ") + in_quotes(name);
  }
  if (m.other_weights > 0) notes.add(fmt::format("other_weights: {} parameters of {}", m.other_weights, named));
}

void add_group(Model& m, LayerGroup group) {
  for (LayerGroup& known : m.layers) {
    group.count = known.count;
    if (known == group) {
      ++known.count;
      return;
    }
  }
  group.count = 1;
  m.layers.push_back(group);
}

void read_layers(Model& m, NamedTensors& tensors, const GgufKeys& keys, const GgufShape& shape, GgufNotes& notes) {
  std::map<std::string_view, i64> left;
  for (GgufLayer& l : tensors.layers) {
    for (LayerGroup& group : gguf_layer_groups(keys, shape, l, m.norm_bias, notes)) add_group(m, group);
    for (const auto& [suffix, tensor] : l.left) left[suffix] += tensor->elements;
  }
  std::string named;
  i64 elements = 0;
  for (const auto& [suffix, count] : left) {
    elements += count;
    if (named.size() < 100) named += (named.empty() ? "" : ", ") + in_quotes(suffix);
  }
  if (elements > 0) notes.add(fmt::format("other_weights of layers: {} parameters of {}", elements, named));
}

/// full_attention_interval n means: layers n-1, 2n-1 … attend, the rest keep a state.
void check_interval(const GgufKeys& keys, const NamedTensors& tensors, GgufNotes& notes) {
  i64 interval = keys.integer("full_attention_interval").value_or(0);
  if (interval == 0) return;
  for (const GgufLayer& l : tensors.layers)
    if (((l.index + 1) % interval == 0) == l.has_prefix("ssm_"))
      notes.add(fmt::format("{} {} does not agree with the tensors of blk.{}: the tensors are followed",
                            keys.full("full_attention_interval"), interval, l.index));
}

bool is_expert(std::string_view name) {
  if (name.find("_exps.") != name.npos) return true;
  auto layer = layer_name(name);
  if (!layer || !layer->second.starts_with("ffn_")) return false;
  std::string_view of = layer->second.substr(layer->second.find('.') + 1);
  return !of.empty() && of[0] >= '0' && of[0] <= '9';  // ffn_up.7.weight
}

/// ggml's names are those of the format table, but for f16.
const Format* row_of(const GgufType& type) { return find_format(type.name); }

/// Of the formats ggml computes with, the one whose bytes per element come nearest.
const Format& nearest_row(const GgufType& type) {
  const Format* best = &format("q4_0");
  auto distance = [&](const Format& f) {
    double d = double(f.bytes) / double(f.elements) - double(type.bytes) / double(type.block);
    return d < 0 ? -d : d;
  };
  for (const Format& f : formats())
    if (f.arithmetic == Arithmetic::fp16 && distance(f) < distance(*best)) best = &f;
  return *best;
}

/// The format that holds most elements of a role's matrices.
std::optional<Format> most_used(const GgufHeader& h, auto in_role, std::string_view role, GgufNotes& notes) {
  std::map<int, i64> elements;
  for (const GgufTensor& t : h.tensors)
    if (t.dims.size() >= 2 && in_role(std::string_view(t.name))) elements[t.type] += t.elements;
  if (elements.empty()) return std::nullopt;
  auto most = std::max_element(elements.begin(), elements.end(), [](auto& a, auto& b) { return a.second < b.second; });
  const GgufType& type = *find_gguf_type(most->first);
  if (const Format* row = row_of(type)) return *row;
  const Format& near = nearest_row(type);
  notes.add(fmt::format(
      "most {} are {} ({:.4g} bits), for which there is no format: {} is used; the file's weight bytes are exact", role,
      type.name, 8.0 * double(type.bytes) / double(type.block), near.name));
  return near;
}

WeightFormats weight_formats(const GgufHeader& h, GgufNotes& notes) {
  auto embedding = [](std::string_view n) { return n == "token_embd.weight" || n == "output.weight"; };
  auto linear = [](std::string_view n) { return n.starts_with("blk.") && !is_expert(n); };
  WeightFormats w;
  if (auto f = most_used(h, linear, "linear weights", notes)) w.linears = w.experts = *f;
  if (auto f = most_used(h, is_expert, "expert weights", notes)) w.experts = *f;
  if (auto f = most_used(h, embedding, "embeddings", notes)) w.embeddings = *f;
  return w;
}

void count_file(ModelFile& out, const GgufHeader& h) {
  double bytes = 0;
  i64 elements = 0;
  std::unordered_map<std::string_view, const GgufTensor*> all;
  for (const GgufTensor& t : h.tensors) all.emplace(t.name, &t);
  for (const GgufTensor& t : h.tensors) {
    bytes += t.bytes;
    if (!is_constant(t.name) && !is_quantization_scale(t, all)) elements += t.elements;
  }
  out.weight_bytes = i64(bytes);
  out.model->published_parameters = elements;
  out.model->published_exact = true;
}

Model read_model(const GgufHeader& h, std::string_view name) {
  Model m;
  GgufNotes notes{h.notes};
  GgufKeys keys(h, architecture(h));
  refuse_unknown_attention(keys);
  i64 blocks = keys.required("block_count", most_layers),
      drafts = keys.integer("nextn_predict_layers", most_layers).value_or(0);
  if (drafts >= blocks)
    throw GgufRefused{fmt::format("{} is {}, of which {} are draft layers", keys.full("block_count"), blocks, drafts)};
  const std::string* title = text_of(h, "general.name");
  m.id = name;
  m.name = title && !title->empty() ? *title : std::string(name);
  m.family = keys.arch();
  GgufShape shape = gguf_shape(keys, blocks - drafts, notes);
  m.hidden = shape.hidden;
  m.max_context = keys.integer("context_length", i64(1) << 40);
  NamedTensors tensors = sort_tensors(h, blocks, drafts, keys);
  check_interval(keys, tensors, notes);
  read_outside(m, tensors, h, keys, notes);
  read_layers(m, tensors, keys, shape, notes);
  m.weights = weight_formats(h, notes);
  m.source = fmt::format("GGUF header of {}", name);
  m.confidence = Confidence::B;
  m.notes = std::move(notes.lines);
  return m;
}

}  // namespace

ModelFile gguf_model(const GgufHeader& header, std::string_view name) {
  ModelFile out;
  try {
    out.model = read_model(header, name);
    count_file(out, header);
    if (std::vector<Problem> found = problems(*out.model); !found.empty())
      throw GgufRefused{
          fmt::format("{} {}{}", found[0].path, found[0].what, found[0].hint.empty() ? "" : ": " + found[0].hint)};
  } catch (const GgufRefused& refused) {
    out = {std::nullopt, fmt::format("{}: {}", name, refused.what), std::nullopt};
  } catch (const std::exception& e) { out = {std::nullopt, fmt::format("{}: {}", name, e.what()), std::nullopt}; }
  return out;
}

}  // namespace kvroof
