// quantization_config -> the formats a checkpoint is published in.
//
// The block names a method and a list of modules left alone; both differ by tool. Embeddings, head and norms
// stay in the file's dtype. One format stands for all linears, so where the attention of a mixture of experts
// is left alone, its linears count as unquantised: the experts are nearly all of the weights.
#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <span>

#include <fmt/format.h>

#include "catalog/hf_architecture.h"

namespace kvroof::hf {
namespace {

/// One row: a method (or quant_algo), what the weights look like, and the format. 0 or "": any.
struct Row {
  std::string_view method;
  std::string_view type;  ///< of config_groups.*.weights: int or float
  i64 bits = 0;
  i64 group = 0;
  bool blocks = false;  ///< has weight_block_size, or strategy "block"
  std::string_view format;
  std::string_view stand_in{};  ///< of the same size, where the table of formats lacks the first
};
constexpr Row rows[] = {
    {"fp8", "", 0, 0, true, "fp8_block"},
    {"fp8", "", 0, 0, false, "fp8"},
    {"fbgemm_fp8", "", 0, 0, false, "fp8"},
    {"FP8", "", 0, 0, false, "fp8"},
    {"FP8_PB_WO", "", 0, 0, false, "fp8_block"},
    {"NVFP4", "", 0, 0, false, "nvfp4"},
    {"NVFP4_AWQ", "", 0, 0, false, "nvfp4"},
    {"W4A16_NVFP4", "", 0, 0, false, "nvfp4"},
    {"MXFP4", "", 0, 0, false, "mxfp4"},
    {"mxfp4", "", 0, 0, false, "mxfp4"},
    {"modelopt_fp4", "", 0, 0, false, "nvfp4"},
    {"awq", "", 4, 0, false, "awq"},
    {"gptq", "", 4, 0, false, "awq"},
    {"auto-round", "", 4, 0, false, "awq"},
    {"awq", "", 8, 0, false, "w8a8"},
    {"gptq", "", 8, 0, false, "w8a8"},
    {"auto-round", "", 8, 0, false, "w8a8"},
    {"W4A16_AWQ", "", 0, 0, false, "awq"},
    {"W8A8_SQ_PER_CHANNEL", "", 0, 0, false, "w8a8"},
    {"INT8", "", 0, 0, false, "w8a8"},
    {"bitsandbytes", "", 4, 0, false, "nf4", "q4_0"},
    {"bitsandbytes", "", 8, 0, false, "w8a8"},
    {"groups", "float", 8, 0, true, "fp8_block"},
    {"groups", "float", 8, 0, false, "fp8"},
    {"groups", "float", 4, 16, false, "nvfp4"},
    {"groups", "float", 4, 32, false, "mxfp4"},
    {"groups", "int", 8, 0, false, "w8a8"},
    {"groups", "int", 4, 32, false, "int4_g32", "q4_0"},
    {"groups", "int", 4, 128, false, "int4"},
    {"groups", "int symmetric", 4, 128, false, "int4_sym"},
    {"double", "", 4, 0, false, "nf4_double"},
};

Format format_of(const Row& row) {
  const Format* found = find_format(row.format);
  return found ? *found : format(row.stand_in);
}

const Row* find_row(std::string_view method, std::string_view type, i64 bits, i64 group, bool blocks) {
  for (const Row& row : rows)
    if (row.method == method && row.type == type && (row.bits == 0 || row.bits == bits) &&
        (row.group == 0 || row.group == group) && row.blocks == blocks)
      return &row;
  return nullptr;
}

bool mentions(std::string_view module, std::span<const std::string_view> words) {
  for (std::string_view word : words)
    if (module.find(word) != std::string_view::npos) return true;
  return false;
}

bool mentions(std::string_view module, std::initializer_list<std::string_view> words) {
  return mentions(module, std::span(words.begin(), words.size()));
}

/// How much of the model a group speaks for: feed-forwards and experts outweigh all else.
std::size_t weight_of_targets(const Config& group) {
  const Json* targets = group.list("targets");
  std::size_t weight = 1;
  if (targets)
    for (const Json& target : *targets)
      if (target.is_string()) weight += mentions(target.get_ref<const std::string&>(), {"mlp", "expert"}) ? 1000 : 1;
  return weight;
}

/// compressed-tensors and ModelOpt describe the weights in groups.
const Row* row_of_groups(const Config& q) {
  const Json* groups = q.find("config_groups");
  if (!groups || !groups->is_object()) return nullptr;
  std::size_t heaviest = 0;
  const Row* best = nullptr;
  for (const auto& [name, group] : groups->items()) {
    if (!group.is_object()) q.fail("config_groups", "expected objects");
    Config g(group, fmt::format("{}config_groups.{}.", q.path(), printable(name)));
    if (!g.has("weights")) continue;
    std::string type = g.text("weights.type").value_or("int");
    i64 bits = g.need("weights.num_bits", 1, 64), size = g.whole("weights.group_size", -1, most_hidden).value_or(0);
    bool blocks = g.text("weights.strategy").value_or("") == "block";
    bool symmetric = g.flag("weights.symmetric").value_or(true) && type == "int" && bits == 4 && size == 128;
    const Row* row = find_row("groups", symmetric ? "int symmetric" : type, bits, size, blocks);
    if (!row)
      g.fail("weights",
             fmt::format("{} bits of type {}, group size {}: not a format of the table", bits, printable(type), size));
    if (std::size_t weight = weight_of_targets(g); weight > heaviest) {
      heaviest = weight;
      best = row;
    }
  }
  return best;
}

/// "model.layers.7.self_attn" -> 7; -1 for patterns over all layers.
i64 layer_number(std::string_view module) {
  std::size_t at = module.find("layers.");
  if (at == std::string_view::npos) return -1;
  i64 number = -1;
  for (char c : module.substr(at + 7)) {
    if (c < '0' || c > '9' || number > 1'000'000) break;
    number = (number < 0 ? 0 : number) * 10 + (c - '0');
  }
  return number;
}

bool covers(const std::set<i64>& layers, i64 count) { return layers.contains(-1) || i64(layers.size()) * 2 > count; }

/// Which kinds of module a list leaves alone in most layers, and what of it is not followed.
struct LeftAlone {
  bool attention = false;
  bool shared = false;  ///< shared experts, beside experts that are quantised
  bool dense = false;
  std::vector<std::string> unread;  ///< entries that are neither a whole kind of module nor of no weight
};

/// Modules whose weights are not counted as linears, or are too small to matter.
constexpr std::string_view beside_linears[] = {"vision",  "visual", "audio",  "mtp",       "norm",       "indexer",
                                               "lm_head", "embed",  "router", "projector", "linear_attn"};

/// A list of modules, sorted by what it names in which layers.
struct Modules {
  std::map<std::string_view, std::set<i64>> layers;  ///< of a word
  std::set<i64> of(std::string_view word) const {
    auto found = layers.find(word);
    return found == layers.end() ? std::set<i64>{} : found->second;
  }
  bool all(std::initializer_list<std::string_view> words, i64 count) const {
    return std::all_of(words.begin(), words.end(), [&](std::string_view word) { return covers(of(word), count); });
  }
};

/// The matrices of a layer that a pattern may name; a name that says only "attn" or "mlp" means all of them.
constexpr std::string_view attention_words[] = {"q_proj",   "k_proj",    "v_proj",   "o_proj",
                                                "qkv_proj", "kv_a_proj", "kv_b_proj"};
constexpr std::string_view dense_words[] = {"gate_up_proj", "gate_proj", "up_proj", "down_proj"};

/// The word of `words` in the module's name, or `whole` where it has none of them.
std::string_view word_of(std::string_view module, std::span<const std::string_view> words, std::string_view whole) {
  for (std::string_view word : words)
    if (module.find(word) != std::string_view::npos) return word;
  return whole;
}

LeftAlone left_alone(const Architecture& a, const Config& q) {
  std::set<i64> attention, shared;
  Modules modules;
  LeftAlone alone;
  for (std::string_view key : {"modules_to_not_convert", "ignored_layers", "ignore", "exclude_modules"}) {
    const Json* list = q.list(key);
    if (!list) continue;
    for (const Json& value : *list) {
      if (!value.is_string()) q.fail(key, "expected a list of strings");
      std::string_view module = value.get_ref<const std::string&>();
      if (mentions(module, beside_linears)) continue;
      i64 layer = layer_number(module);
      bool attends = mentions(module, {"attn", "attention"}), feeds = mentions(module, {"mlp", "feed_forward", "ffn"});
      if (attends) attention.insert(layer);
      if (mentions(module, {"shared_expert", "mlp*", "mlp\\.("}) || module.ends_with(".mlp")) shared.insert(layer);
      std::string_view word = word_of(module, attention_words, attends && !feeds ? "attention" : "");
      if (word.empty()) word = word_of(module, dense_words, feeds && !attends ? "mlp" : "");
      if (word.empty())
        alone.unread.emplace_back(module);
      else
        modules.layers[word].insert(layer);
    }
  }
  alone.shared = covers(shared, a.layers);
  bool each =
      modules.all({"q_proj", "k_proj", "v_proj", "o_proj"}, a.layers) || modules.all({"qkv_proj", "o_proj"}, a.layers);
  alone.attention =
      covers(modules.of("attention"), a.layers) || each || (covers(attention, a.layers) && has_experts(a));
  alone.dense = covers(modules.of("mlp"), a.layers) || modules.all({"gate_proj", "up_proj", "down_proj"}, a.layers) ||
                modules.all({"gate_up_proj", "down_proj"}, a.layers);
  for (const auto& [word, layers] : modules.layers) {
    bool feeds =
        word == "mlp" || std::find(std::begin(dense_words), std::end(dense_words), word) != std::end(dense_words);
    if (!(feeds ? alone.dense : alone.attention)) alone.unread.emplace_back(word);
  }
  return alone;
}

std::string method_of(const Config& q) {
  for (std::string_view key : {"quant_algo", "quant_method"}) {
    std::optional<std::string> name = q.text(key);
    if (name && *name != "modelopt" && *name != "compressed-tensors" && *name != "MIXED_PRECISION") return *name;
  }
  return "groups";
}

i64 bits_of(const Config& q) {
  if (std::optional<i64> bits = q.whole(std::array<std::string_view, 3>{"bits", "w_bit", "num_bits"}, 1, 64))
    return *bits;
  if (q.flag("load_in_4bit").value_or(false)) return 4;
  return q.flag("load_in_8bit").value_or(false) ? 8 : 0;
}

const Row& row_of(const Config& q) {
  std::string method = method_of(q);
  if (method == "bitsandbytes" && q.flag("bnb_4bit_use_double_quant").value_or(false) && bits_of(q) == 4)
    method = "double";
  if (method == "groups") {
    if (const Row* row = row_of_groups(q)) return *row;
    q.fail("quant_method", "nothing says how the weights are quantised");
  }
  if (const Row* row = find_row(method, "", bits_of(q), 0, q.has("weight_block_size"))) return *row;
  if (const Row* row = find_row(method, "", bits_of(q), 0, false)) return *row;
  q.fail("quant_method", fmt::format("'{}'{} is not supported", printable(method),
                                     bits_of(q) ? fmt::format(" with {} bits", bits_of(q)) : ""));
}

/// Experts with a format of their own beside the method of the rest.
const Format* expert_format(const Architecture& a, const Config& q) {
  if (a.config.text("expert_dtype").value_or("") == "fp4" && !q.has("moe_quant_algo")) return &format("mxfp4");
  std::optional<std::string> algorithm = q.text("moe_quant_algo");
  if (!algorithm) return nullptr;
  const Row* row = find_row(*algorithm, "", 0, 0, false);
  if (!row) q.fail("moe_quant_algo", fmt::format("'{}' is not supported", printable(*algorithm)));
  return &format(row->format);
}

void apply(const Architecture& a, const Config& q, bool experts, WeightFormats& formats) {
  Format stored = format_of(row_of(q));
  if (std::optional<i64> group = q.whole("group_size", -1, most_hidden); stored.name == "awq" && group && *group != 128)
    a.note(fmt::format("quantization_config.group_size {}: scales counted as in groups of 128", *group));
  if (q.flag("lm_head").value_or(false))
    a.note("quantization_config.lm_head: the head is quantised too, but counts in the file's dtype");
  LeftAlone alone = left_alone(a, q);
  formats.experts = stored;
  if (const Format* own = expert_format(a, q)) {
    formats.experts = *own;
    if (!q.has("weight_block_size")) return;
    formats.linears = format("fp8_block");
    return;
  }
  if (experts && (alone.attention || stored.name == "mxfp4")) {
    if (!alone.shared)
      a.note("quantization_config: attention is left alone, so all linears beside the experts count as unquantised");
    return;
  }
  if (!experts && !alone.unread.empty())
    a.note(fmt::format("quantization_config: {} ({} such) left alone, but counted as quantised",
                       printable(alone.unread.front()), alone.unread.size()));
  if (method_of(q) == "groups" && q.find("config_groups")->size() > 1)
    a.note(fmt::format("quantization_config: several formats are mixed; all linears count as {}", stored.name));
  Format whole = formats.linears;
  if (!(alone.dense && !experts)) formats.linears = stored;
  bool differs = alone.attention != (alone.dense && !experts);
  if (differs) formats.attention = alone.attention ? whole : stored;
}

const Json* quantization(const Architecture& a) {
  const Json* block = a.config.inherited("quantization_config");
  if (!block) block = a.config.inherited("compression_config");
  if (block && !block->is_object()) a.config.fail("quantization_config", "expected an object");
  return block;
}

/// compressed-tensors and newer ModelOpt describe it as they do weights, older ModelOpt by a name.
std::string asked_of_cache(const Config& q) {
  const Json* scheme = q.find("kv_cache_scheme");
  if (scheme && scheme->is_object()) {
    i64 bits = q.need("kv_cache_scheme.num_bits", 1, 64);
    std::string type = q.text("kv_cache_scheme.type").value_or("int");
    return bits == 8 && type == "float" ? "FP8" : fmt::format("{}-bit {}", bits, printable(type));
  }
  if (scheme && scheme->is_string()) return scheme->get<std::string>();
  return q.text("kv_cache_quant_algo").value_or("");
}

}  // namespace

std::optional<Format> cache_format(const Architecture& a) {
  const Json* block = quantization(a);
  std::string asked = block ? asked_of_cache(Config(*block, "quantization_config.")) : "";
  if (asked.empty()) return std::nullopt;
  if (asked == "FP8" || asked == "fp8") {
    a.note(
        "quantization_config: the checkpoint asks for an fp8 KV cache: vLLM from 0.11 on and TensorRT-LLM follow by "
        "themselves, others when told to (--kv-dtype fp8)");
    return format("fp8");
  }
  a.note(fmt::format("quantization_config: the checkpoint asks for a KV cache in {}, which is left to --kv-dtype",
                     printable(asked)));
  return std::nullopt;
}

WeightFormats weight_formats(const Architecture& a, bool experts) {
  WeightFormats formats;
  for (std::string_view key : {"torch_dtype", "dtype"}) {
    const Json* value = a.config.inherited(key);
    if (!value) continue;
    if (!value->is_string()) a.config.fail(key, "expected a string");
    std::string name = value->get<std::string>();
    if (name.starts_with("torch.")) name = name.substr(6);
    const Format* found = find_format(name);
    if (!found) a.config.fail(key, "unknown number format '" + printable(name) + "'");
    formats = {*found, *found, *found, std::nullopt};
  }
  const Json* block = quantization(a);
  if (!block) return formats;
  Config q(*block, "quantization_config.");
  apply(a, q, experts, formats);
  return formats;
}

}  // namespace kvroof::hf
