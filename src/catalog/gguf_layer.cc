// Sources: keys and tensor names of llama.cpp's gguf-py constants; hard-coded window patterns of its model files;
// sizes of recurrent states as its memory-recurrent allocates them.
#include "catalog/gguf_layer.h"

#include <algorithm>

#include <fmt/format.h>

namespace kvroof {
namespace {

/// Which layers slide when the file does not say. Period p: all but every p-th; `full_first` puts the full layer
/// first of its period, not last. `window` is llama.cpp's default where the key may be missing.
struct WindowPattern {
  std::string_view arch;
  i64 period;
  bool full_first;
  i64 window;
  bool chunked;
};
constexpr WindowPattern window_patterns[] = {
    {"gemma2", 2, false, 4096, false}, {"gemma3", 6, false, 0, false},      {"gemma3n", 5, false, 0, false},
    {"cohere2", 4, false, 0, false},   {"gpt-oss", 2, false, 0, false},     {"gptoss", 2, false, 0, false},
    {"olmo2", 4, false, 0, false},     {"exaone4", 4, false, 0, false},     {"afmoe", 4, false, 0, false},
    {"plamo3", 8, false, 0, false},    {"smallthinker", 4, true, 0, false}, {"llama4", 4, false, 8192, true},
};

const WindowPattern* find_pattern(std::string_view arch) {
  for (const WindowPattern& p : window_patterns)
    if (p.arch == arch) return &p;
  return nullptr;
}

std::vector<bool> periodic(i64 layers, i64 period, bool full_first) {
  std::vector<bool> out;
  for (i64 i = 0; i < layers; ++i)
    out.push_back(period == 0 || (full_first ? i % period != 0 : i % period < period - 1));
  return out;
}

void read_windows(const GgufKeys& keys, GgufShape& shape, GgufNotes& notes) {
  const WindowPattern* known = find_pattern(keys.arch());
  std::string key = keys.full("attention.sliding_window");
  std::optional<i64> window = keys.integer("attention.sliding_window", i64(1) << 31);
  std::optional<i64> chunk = keys.integer("attention.chunk_size", i64(1) << 31);
  shape.sliding.assign(std::size_t(shape.layers), false);
  if (known && known->chunked) {
    if (window == 0) return;  // how a file without chunks says so
    window = chunk ? chunk : known->window;
    shape.chunked = true;
    if (!chunk)
      notes.add(fmt::format("{} is missing: {} as in llama.cpp", keys.full("attention.chunk_size"), known->window));
  } else if (chunk) {
    notes.add(
        fmt::format("{} is not understood for this architecture and left out", keys.full("attention.chunk_size")));
  }
  if (!window && known && known->window > 0) {
    window = known->window;
    notes.add(fmt::format("{} is missing: {} as in llama.cpp", key, known->window));
  }
  if (window.value_or(0) == 0) return;
  shape.window = *window;
  const GgufValue* pattern = keys.find("attention.sliding_window_pattern");
  if (pattern && std::holds_alternative<GgufArray>(*pattern)) {
    std::vector<i64> flags = keys.per_layer("attention.sliding_window_pattern", shape.layers);
    shape.sliding.assign(flags.begin(), flags.end());
  } else if (pattern) {
    shape.sliding =
        periodic(shape.layers, keys.required("attention.sliding_window_pattern"), known && known->full_first);
  } else if (known) {
    shape.sliding = periodic(shape.layers, known->period, known->full_first);
    notes.add(
        fmt::format("which layers slide is not in the file: the {} of every {} is full, as llama.cpp has it for {}",
                    known->full_first ? "first" : "last", known->period, keys.arch()));
  } else {
    notes.add(fmt::format("{} is {}, but the file does not say which layers slide: all are counted as full attention",
                          key, *window));
  }
}

/// Elements that are not what the fields multiply to; the total parameters are then the file's, not the rule's.
void expect_elements(GgufNotes& notes, std::string_view what, i64 found, i64 expected) {
  if (found != expected)
    notes.add(fmt::format("{}: the tensors have {} elements, the metadata gives {}", what, found, expected));
}

bool keeps_state(const GgufLayer& l) {
  return l.has_prefix("ssm_") || l.has_prefix("shortconv.") || l.has_prefix("time_mix_");
}

bool is_latent(const GgufLayer& l) { return l.has("attn_kv_a_mqa.weight"); }

bool attends(const GgufLayer& l) {
  return l.has("attn_q.weight") || l.has("attn_qkv.weight") || l.has("attn_q_a.weight") || is_latent(l);
}

i64 head_dim(const GgufKeys& keys, const GgufShape& shape, std::string_view key, bool sliding, i64 query) {
  std::string of_window = std::string(key) + "_swa";
  if (sliding)
    if (std::optional<i64> dim = keys.integer(of_window)) return *dim;
  if (std::optional<i64> dim = keys.integer(key)) return *dim;
  return shape.hidden / query;
}

Heads read_heads(const GgufKeys& keys, const GgufShape& shape, i64 index) {
  Heads h;
  h.query = shape.query_heads[std::size_t(index)];
  h.kv = shape.kv_heads[std::size_t(index)];
  bool sliding = shape.sliding[std::size_t(index)] && !shape.chunked;
  for (auto [count, key] : {std::pair{h.query, "attention.head_count"}, std::pair{h.kv, "attention.head_count_kv"}})
    if (count == 0)
      throw GgufRefused{fmt::format("{} is 0 in layer {}, which has attention tensors", keys.full(key), index)};
  h.key_dim = head_dim(keys, shape, "attention.key_length", sliding, h.query);
  h.value_dim = head_dim(keys, shape, "attention.value_length", sliding, h.query);
  return h;
}

void take_head_matrices(LayerGroup& g, const Heads& h, i64 hidden, GgufLayer& l, GgufNotes& notes) {
  Projections& p = g.projections;
  const i64 q = hidden * h.query * h.key_dim, k = hidden * h.kv * h.key_dim, v = hidden * h.kv * h.value_dim;
  i64 gate = 0;
  if (const auto found = l.left.find("attn_gate.weight"); found != l.left.end() && found->second->elements == q)
    gate = l.take_elements("attn_gate.weight");
  if (i64 fused = l.take_elements("attn_qkv.weight"); fused > 0) {
    p.output_gate = gate > 0 || fused == 2 * q + k + v;
    expect_elements(notes, "attn_qkv", fused + gate, (p.output_gate ? 2 * q : q) + k + v);
  } else {
    i64 queries = l.take_elements("attn_q.weight") + gate;
    p.output_gate = queries == 2 * q;
    expect_elements(notes, "attn_q", queries, p.output_gate ? 2 * q : q);
    bool has_key = l.has("attn_k.weight");
    g.own_kv_projection = has_key || !g.shares_kv;
    p.value_from_key = has_key && !l.has("attn_v.weight");
    if (g.own_kv_projection) expect_elements(notes, "attn_k", l.take_elements("attn_k.weight"), k);
    if (g.own_kv_projection && !p.value_from_key) expect_elements(notes, "attn_v", l.take_elements("attn_v.weight"), v);
  }
  expect_elements(notes, "attn_output", l.take_elements("attn_output.weight") + l.take_elements("attn_out.weight"),
                  h.query * h.value_dim * hidden);
}

void take_head_vectors(LayerGroup& g, const Heads& h, GgufLayer& l, GgufNotes& notes) {
  Projections& p = g.projections;
  if (l.take("attn_qkv.bias")) p.qkv_bias = true;
  if (l.take("attn_q.bias")) {
    p.qkv_bias = true;
    p.key_bias = l.take("attn_k.bias") != nullptr || !g.own_kv_projection;
    if (!l.take("attn_v.bias") && g.own_kv_projection) notes.add("attn_q has a bias, attn_v has none");
  }
  p.output_bias = l.take("attn_output.bias") || l.take("attn_out.bias");  // attn_out: files made by Ollama
  p.sinks = l.take("attn_sinks.weight") != nullptr || l.take("attn_sinks") != nullptr;
  if (const GgufTensor* norm = l.take("attn_q_norm.weight")) {
    p.qk_norm = norm->elements == h.key_dim ? QkNorm::head : QkNorm::all;
    i64 keys = l.take_elements("attn_k_norm.weight");
    i64 expected = p.qk_norm == QkNorm::head ? h.key_dim : h.query * h.key_dim;
    expect_elements(notes, "attn_q_norm", norm->elements, expected);
    if (g.own_kv_projection)
      expect_elements(notes, "attn_k_norm", keys, p.qk_norm == QkNorm::head ? h.key_dim : h.kv * h.key_dim);
  }
}

void read_head_attention(LayerGroup& g, const GgufKeys& keys, const GgufShape& shape, GgufLayer& l, GgufNotes& notes) {
  Heads h = read_heads(keys, shape, l.index);
  bool windowed = shape.sliding[std::size_t(l.index)];
  if (windowed && shape.chunked)
    g.attention = ChunkedAttention{h, shape.window};
  else if (windowed)
    g.attention = SlidingAttention{h, shape.window};
  else
    g.attention = FullAttention{h};
  g.shares_kv = l.index >= shape.layers - shape.shared_kv_layers;
  take_head_matrices(g, h, shape.hidden, l, notes);
  take_head_vectors(g, h, l, notes);
  if (keys.find("attention.indexer.key_length"))
    notes.add(keys.full("attention.indexer.*") + ": an index beside plain attention is not counted");
}

std::optional<Indexer> read_indexer(const GgufKeys& keys, GgufLayer& l) {
  if (!l.has_prefix("indexer.")) return std::nullopt;
  for (std::string_view part : {"attn_q_b.weight", "attn_k.weight", "k_norm.weight", "k_norm.bias", "proj.weight"})
    l.take("indexer." + std::string(part));
  return Indexer{keys.required("attention.indexer.head_count"), keys.required("attention.indexer.key_length"),
                 keys.required("attention.indexer.top_k", i64(1) << 31)};
}

void take_latent_matrices(const LatentAttention& a, i64 hidden, GgufLayer& l, GgufNotes& notes) {
  const i64 key_dim = a.nope_dim + a.rope_dim, up = a.kv_lora_rank * a.query_heads * (a.nope_dim + a.value_dim);
  i64 queries =
      l.take_elements("attn_q.weight") + l.take_elements("attn_q_a.weight") + l.take_elements("attn_q_b.weight");
  expect_elements(
      notes, "attn_q", queries,
      a.q_lora_rank > 0 ? a.q_lora_rank * (hidden + a.query_heads * key_dim) : hidden * a.query_heads * key_dim);
  expect_elements(notes, "attn_kv_a_mqa", l.take_elements("attn_kv_a_mqa.weight"),
                  hidden * (a.kv_lora_rank + a.rope_dim));
  i64 whole = l.take_elements("attn_kv_b.weight");  // some files hold it whole and in halves: the halves then stay left
  expect_elements(notes, "attn_kv_b",
                  whole > 0 ? whole : l.take_elements("attn_k_b.weight") + l.take_elements("attn_v_b.weight"), up);
  expect_elements(notes, "attn_output", l.take_elements("attn_output.weight"), a.query_heads * a.value_dim * hidden);
  for (std::string_view norm : {"attn_q_a_norm.weight", "attn_kv_a_norm.weight"}) l.take(norm);
}

LatentAttention read_latent(const GgufKeys& keys, const GgufShape& shape, GgufLayer& l, GgufNotes& notes) {
  LatentAttention a;
  a.query_heads = shape.query_heads[std::size_t(l.index)];
  a.kv_lora_rank = keys.required("attention.kv_lora_rank");
  a.q_lora_rank = keys.integer("attention.q_lora_rank").value_or(0);
  a.rope_dim = keys.required("rope.dimension_count");
  bool absorbed = keys.find("attention.key_length_mla") != nullptr;
  i64 key_dim = keys.required(absorbed ? "attention.key_length_mla" : "attention.key_length");
  a.value_dim = keys.required(absorbed ? "attention.value_length_mla" : "attention.value_length");
  if (key_dim < a.rope_dim)
    throw GgufRefused{fmt::format("{} {} is less than {} {}",
                                  keys.full(absorbed ? "attention.key_length_mla" : "attention.key_length"), key_dim,
                                  keys.full("rope.dimension_count"), a.rope_dim)};
  a.nope_dim = key_dim - a.rope_dim;
  a.expanded = !absorbed;
  if (!absorbed)
    notes.add(fmt::format(
        "{} is missing: of such a file llama.cpp caches keys and values of every head, {} x ({} + {}) elements per "
        "token and layer, not the latent of {} + {}; converted anew it caches the latent",
        keys.full("attention.key_length_mla"), a.query_heads, key_dim, a.value_dim, a.kv_lora_rank, a.rope_dim));
  a.indexer = read_indexer(keys, l);
  take_latent_matrices(a, shape.hidden, l, notes);
  return a;
}

/// Convolution and state elements of one sequence; weights are what the rest of the layer leaves.
RecurrentState read_state(const GgufKeys& keys, const GgufShape& shape, const GgufLayer& l) {
  if (l.has_prefix("shortconv.")) {
    i64 taps = std::max<i64>(keys.required("shortconv.l_cache"), 1);
    return {.conv_elements = shape.hidden * (taps - 1), .state_elements = 0, .heads = shape.hidden};
  }
  if (l.has_prefix("time_mix_")) {
    i64 head = std::max<i64>(keys.required("wkv.head_size"), 1), shifts = keys.integer("token_shift_count").value_or(2);
    return {.conv_elements = shape.hidden * shifts,
            .state_elements = shape.hidden * head,
            .heads = std::max<i64>(shape.hidden / head, 1)};
  }
  i64 taps = std::max<i64>(keys.required("ssm.conv_kernel"), 1);
  if (std::optional<i64> dim = keys.integer("kda.head_dim")) {
    i64 heads = shape.query_heads[std::size_t(l.index)];
    return {.conv_elements = 3 * (taps - 1) * heads * *dim,
            .state_elements = heads * *dim * *dim,
            .heads = std::max<i64>(heads, 1)};
  }
  i64 inner = keys.required("ssm.inner_size"), state = keys.required("ssm.state_size");
  i64 groups = keys.integer("ssm.group_count").value_or(0);
  // Mamba-1 has no groups; its time_step_rank is a projection's rank, and every channel stands alone.
  i64 heads = groups > 0 ? keys.required("ssm.time_step_rank") : inner;
  return {.conv_elements = (taps - 1) * (inner + 2 * groups * state),
          .state_elements = state * inner,
          .heads = std::max<i64>(heads, 1)};
}

struct Matrices {
  i64 width = 0;
  i64 matrices = 3;
  i64 inner = 0;  ///< what the matrices read and write: the hidden size, or the experts' own
  i64 copies = 1;
};

/// up, gate and down of one kind (`of` is "", "_exps", "_shexp"), gate possibly fused into up.
Matrices take_matrices(std::string_view of, GgufLayer& l, GgufNotes& notes) {
  auto name = [&](std::string_view part) { return fmt::format("ffn_{}{}.weight", part, of); };
  const GgufTensor* down = l.take(name("down"));
  if (!down || down->dims.size() < 2)
    throw GgufRefused{fmt::format("blk.{}.{} is missing or no matrix", l.index, name("down"))};
  if (std::max(down->dims[0], down->dims[1]) > i64(1) << 32)
    throw GgufRefused{fmt::format("blk.{}.{} has {} rows of {}", l.index, name("down"), down->dims[1], down->dims[0])};
  Matrices m{down->dims[0], 3, down->dims[1], down->dims.size() > 2 ? down->dims[2] : 1};
  i64 up = l.take_elements(name("up")) + l.take_elements(name("gate_up")) + l.take_elements(name("gate"));
  if (up == down->elements) m.matrices = 2;
  expect_elements(notes, name("up"), up, (m.matrices - 1) * down->elements);
  return m;
}

/// True when every bias of that kind is there, which is what the rule counts.
bool take_biases(std::string_view of, const Matrices& m, GgufLayer& l) {
  auto elements = [&](std::string_view part) {
    auto found = l.left.find(fmt::format("ffn_{}{}.bias", part, of));
    return found == l.left.end() ? 0 : found->second->elements;
  };
  if (elements("up") + elements("gate") + elements("gate_up") != m.copies * (m.matrices - 1) * m.width) return false;
  if (elements("down") != m.copies * m.inner) return false;
  for (std::string_view part : {"up", "gate", "gate_up", "down"}) l.take(fmt::format("ffn_{}{}.bias", part, of));
  return true;
}

/// Files of 2023 and early 2024 hold each expert's matrices by themselves: ffn_up.7.weight.
Matrices take_single_experts(i64 experts, GgufLayer& l, GgufNotes& notes) {
  Matrices one;
  for (i64 e = 0; e < experts; ++e) one = take_matrices(fmt::format(".{}", e), l, notes);
  one.copies = experts;
  return one;
}

MoeFeedForward read_experts(const GgufKeys& keys, const GgufShape& shape, GgufLayer& l, GgufNotes& notes) {
  MoeFeedForward e;
  e.experts = keys.required("expert_count", 1 << 16);
  std::vector<i64> used = keys.per_layer("expert_used_count", shape.layers);
  if (used.empty()) throw GgufRefused{keys.full("expert_used_count") + " is missing"};
  e.top_k = used[std::size_t(l.index)];
  Matrices m =
      l.has("ffn_down_exps.weight") ? take_matrices("_exps", l, notes) : take_single_experts(e.experts, l, notes);
  if (m.copies != e.experts)
    throw GgufRefused{
        fmt::format("{} is {}, but blk.{} has {} experts", keys.full("expert_count"), e.experts, l.index, m.copies)};
  e.width = m.width;
  e.matrices = m.matrices;
  if (m.inner != shape.hidden) e.expert_hidden = m.inner;
  if (e.expert_hidden > 0)
    expect_elements(notes, "ffn_latent",
                    l.take_elements("ffn_latent_down.weight") + l.take_elements("ffn_latent_up.weight"),
                    2 * shape.hidden * e.expert_hidden);
  e.bias = take_biases("_exps", m, l);
  expect_elements(notes, "ffn_gate_inp", l.take_elements("ffn_gate_inp.weight"), shape.hidden * e.experts);
  e.router_bias = l.take("ffn_gate_inp.bias") || l.take("exp_probs_b.bias") || l.take("exp_probs_b");
  for (std::string_view of :
       {"_shexp", ""}) {  // a dense path beside the experts (Arctic) is a shared expert by another name
    if (l.has(fmt::format("ffn_down{}.weight", of))) e.shared_width += take_matrices(of, l, notes).width;
  }
  e.shared_gate = l.take("ffn_gate_inp_shexp.weight") != nullptr;
  return e;
}

FeedForward read_feed_forward(const GgufKeys& keys, const GgufShape& shape, GgufLayer& l, GgufNotes& notes) {
  if (l.has("ffn_down_exps.weight") || l.has("ffn_down.0.weight")) return read_experts(keys, shape, l, notes);
  if (!l.has("ffn_down.weight")) return NoFeedForward{};
  Matrices m = take_matrices("", l, notes);
  expect_elements(notes, "ffn_down", m.inner * m.width, shape.hidden * m.width);
  return DenseFeedForward{m.width, m.matrices, take_biases("", m, l)};
}

bool is_norm(std::string_view suffix, const GgufTensor& t, i64 hidden) {
  return suffix.find("norm") != suffix.npos && suffix.ends_with(".weight") && t.elements == hidden &&
         !suffix.starts_with("ssm_") && !suffix.starts_with("time_mix_");
}

i64 take_norms(GgufLayer& l, i64 hidden, bool norm_bias, GgufNotes& notes) {
  std::vector<std::string> found;
  for (const auto& [suffix, tensor] : l.left)
    if (is_norm(suffix, *tensor, hidden)) found.push_back(std::string(suffix));
  for (const std::string& suffix : found) {
    l.take(suffix);
    std::string bias = suffix.substr(0, suffix.size() - 6) + "bias";
    if (norm_bias && !l.take(bias)) notes.add(suffix + " has no bias, though the final norm has one");
  }
  return i64(found.size());
}

}  // namespace

GgufShape gguf_shape(const GgufKeys& keys, i64 layers, GgufNotes& notes) {
  GgufShape shape;
  shape.layers = layers;
  shape.hidden = keys.required("embedding_length");
  if (shape.hidden == 0) throw GgufRefused{keys.full("embedding_length") + " is 0"};
  shape.query_heads = keys.per_layer("attention.head_count", layers);
  if (shape.query_heads.empty()) shape.query_heads.assign(std::size_t(layers), 0);
  shape.kv_heads = keys.per_layer("attention.head_count_kv", layers);
  if (shape.kv_heads.empty()) shape.kv_heads = shape.query_heads;
  shape.shared_kv_layers = std::min(keys.integer("attention.shared_kv_layers").value_or(0), layers);
  read_windows(keys, shape, notes);
  return shape;
}

std::vector<LayerGroup> gguf_layer_groups(const GgufKeys& keys, const GgufShape& shape, GgufLayer& l, bool norm_bias,
                                          GgufNotes& notes) {
  LayerGroup g;
  g.count = 1;
  g.attention = NoAttention{};
  bool state = keeps_state(l);
  bool beside = state && l.has("attn_q.weight") && l.has("ssm_in.weight") && shape.kv_heads[std::size_t(l.index)] > 0;
  if ((!state || beside) && is_latent(l))
    g.attention = read_latent(keys, shape, l, notes);
  else if ((!state || beside) && attends(l))
    read_head_attention(g, keys, shape, l, notes);
  g.feed_forward = read_feed_forward(keys, shape, l, notes);
  g.norms = take_norms(l, shape.hidden, norm_bias, notes);
  if (!state) {
    g.other_weights = l.elements_left();
    return {g};
  }
  RecurrentState mixer = read_state(keys, shape, l);
  mixer.weights = l.elements_left();
  l.left.clear();
  if (!beside) {
    g.attention = mixer;
    return {g};
  }
  notes.add("attention and a recurrent state run side by side in a layer: written as two layers");
  LayerGroup second;
  second.count = 1;
  second.attention = mixer;
  second.feed_forward = NoFeedForward{};
  second.norms = 0;
  return {g, second};
}

}  // namespace kvroof
