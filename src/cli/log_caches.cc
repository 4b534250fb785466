// The caches a log sizes one by one: SGLang's pools, TensorRT-LLM's blocks, llama.cpp's cells.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/log_check.h"
#include "core/parameters.h"
#include "render/number.h"

namespace kvroof {
namespace {

using CacheKind = LogCache::Kind;

/// Which layers of a model a cache serves.
struct Layers {
  bool full = false, sliding = false, recurrent = false;
};
constexpr Layers growing{true, true, false}, only_full{true, false, false}, only_sliding{false, true, false},
    states{false, false, true};

bool serves(const Layers& layers, const LayerGroup& g) {
  if (g.shares_kv) return false;
  if (std::holds_alternative<RecurrentState>(g.attention)) return layers.recurrent;
  if (std::holds_alternative<SlidingAttention>(g.attention) || std::holds_alternative<ChunkedAttention>(g.attention))
    return layers.sliding;
  return layers.full &&
         (std::holds_alternative<FullAttention>(g.attention) || std::holds_alternative<LatentAttention>(g.attention));
}

i64 layer_count_of(const LogSetup& s, const Layers& layers) {
  i64 count = 0;
  std::vector<i64> held = stage_layers(s.model, 0, s.d.pp, Stages::spread);
  for (std::size_t i = 0; i < held.size(); ++i)
    if (serves(layers, s.model.layers[i])) count += held[i];
  return count;
}

/// Bytes of one token (or state) on a rank, keys and values apart; latents, indices and convolutions count as keys.
struct Bytes2 {
  double key = 0, value = 0;
  double total() const { return key + value; }
};

Bytes2 bytes_of_layers(const LogSetup& s, const Layers& layers) {
  Bytes2 sum;
  std::vector<i64> held = stage_layers(s.model, 0, s.d.pp, Stages::spread);
  for (std::size_t i = 0; i < held.size(); ++i) {
    const LayerGroup& g = s.model.layers[i];
    if (!serves(layers, g)) continue;
    double copies = double(held[i]) * rank_share(g.attention, s.d.attention_tp());
    for (const Part& part : stored(g.attention, 1))
      (part.role == Role::value || part.role == Role::state ? sum.value : sum.key) +=
          copies * bytes_of(Parts{part}, s.d.cache).value;
  }
  return sum;
}

std::optional<i64> window_of(const Model& model) {
  for (const LayerGroup& g : model.layers) {
    if (const auto* w = std::get_if<SlidingAttention>(&g.attention)) return w->window;
    if (const auto* c = std::get_if<ChunkedAttention>(&g.attention)) return c->chunk;
  }
  return std::nullopt;
}

Comparison sized(std::string quantity, const Reading& logged, double low, double high) {
  return {std::move(quantity), Tie::exact, LoggedUnit::bytes, logged, low, high};
}

void take(std::vector<Comparison> rows, LogCheck& check) {
  check.rows.insert(check.rows.end(), rows.begin(), rows.end());
}

/// Rows under the first format that makes all agree; a format the log states stays. `rows_in` prices a setup.
template <class RowsIn>
void try_formats(const LogSetup& s, bool stated, std::span<const std::string_view> names, LogCheck& check,
                 RowsIn rows_in) {
  std::vector<Comparison> rows = rows_in(s);
  if (!all_agree(rows))
    for (std::string_view name : names) {
      LogSetup other = s;
      other.d.cache.key = other.d.cache.value = format(name);
      std::vector<Comparison> tried = rows_in(other);
      if (!all_agree(tried)) continue;
      if (stated) {
        for (Comparison& row : rows)
          if (!row.agrees()) row.cause = "would agree with a cache in " + std::string(name);
      } else {
        rows = std::move(tried);
        check.notes.push_back("assumed, because only so the sizes agree and the log doesn't say: a cache in " +
                              std::string(name));
      }
      break;
    }
  for (Comparison& row : rows)
    if (!row.agrees() && row.cause.empty())
      row.cause = fmt::format("{} times the bytes of this shape: another format, layer count or model",
                              significant(row.logged.value / std::max(1.0, row.predicted()), 4));
  take(std::move(rows), check);
}

constexpr std::string_view pool_formats[] = {"bf16", "fp8", "fp8_ds_mla", "int8", "nvfp4", "f32"};

// ---- SGLang --------------------------------------------------------------------------------------------

struct Pool {
  const LogCache* cache;
  Layers layers;
  std::string name;
};

std::vector<Pool> pools_of(const EngineLog& log, const LogSetup& s, LogCheck& check) {
  std::vector<const LogCache*> kv;
  std::vector<Pool> pools;
  for (const LogCache& c : log.caches)
    if (c.kind == CacheKind::recurrent)
      pools.push_back({&c, states, "states"});
    else if (c.tokens)
      kv.push_back(&c);
  bool both = layer_count_of(s, only_full) > 0 && layer_count_of(s, only_sliding) > 0;
  bool split = both && (kv.size() > 1 || log.swa_tokens);
  i64 most = 0;
  for (const LogCache* c : kv) most = std::max(most, *c->tokens);
  bool seen_full = false, seen_sliding = false;
  for (const LogCache* c : kv) {
    bool sliding = split && (log.swa_tokens ? *c->tokens == *log.swa_tokens && !seen_sliding : *c->tokens < most);
    if (sliding ? seen_sliding : seen_full) {
      check.notes.push_back(
          fmt::format("a further pool of {} tokens isn't compared: a draft model's", count(double(*c->tokens))));
      continue;
    }
    (sliding ? seen_sliding : seen_full) = true;
    pools.push_back({c,
                     !split    ? growing
                     : sliding ? only_sliding
                               : only_full,
                     !split    ? "pool"
                     : sliding ? "sliding pool"
                               : "full pool"});
  }
  return pools;
}

/// Pools hold a page (states a slot) beyond what they are counted by.
std::vector<Comparison> rows_of_pools(const EngineLog& log, const LogSetup& s, const std::vector<Pool>& pools) {
  std::vector<Comparison> rows;
  for (const Pool& p : pools) {
    Bytes2 one = bytes_of_layers(s, p.layers);
    double least = double(p.cache->tokens.value_or(0));
    double most = least + double(std::clamp<i64>(log.arguments.page_tokens.value_or(64), 1, 4096));
    if (p.cache->kind == CacheKind::recurrent) most = least + 1;
    bool states_pool = p.cache->kind == CacheKind::recurrent;
    auto add = [&](const char* part, const std::optional<Reading>& logged, double bytes) {
      if (logged) rows.push_back(sized(p.name + ", " + part, *logged, least * bytes, most * bytes));
    };
    add(states_pool ? "conv" : "keys", p.cache->key, one.key);
    add(states_pool ? "states" : "values", p.cache->value, one.value);
    add("all", p.cache->total, one.total());
  }
  return rows;
}

/// What SGLang leaves for the pools: the static share of what was free, less the weights.
void tokens_from_room(const EngineLog& log, const LogSetup& s, LogCheck& check) {
  if (!log.free_at_start || !log.free_after_load || !log.tokens) return;
  if (!s.d.memory_fraction) {
    check.notes.push_back("mem_fraction_static isn't logged, so the tokens aren't predicted from the room");
    return;
  }
  double kept_back = 1 - *s.d.memory_fraction;
  double room = log.free_after_load->value - kept_back * log.free_at_start->value;
  double half = log.free_after_load->half_step + kept_back * log.free_at_start->half_step;
  auto tokens = [&](double bytes) {
    return double(allocate(s.model, s.d, s.w, s.engine, 0, {std::max(0.0, bytes)}).max_tokens);
  };
  check.rows.push_back({"KV tokens",
                        Tie::modelled,
                        LoggedUnit::tokens,
                        {double(*log.tokens), 0},
                        tokens(room - half),
                        tokens(room + half)});
}

void compare_pools(const EngineLog& log, LogSetup s, LogCheck& check) {
  std::vector<Pool> pools = pools_of(log, s, check);
  bool stated = !log.arguments.kv_dtype.empty() && log.arguments.kv_dtype != "auto";
  for (const Pool& p : pools)
    if (const Format* f = find_format(p.cache->key_format); f && p.cache->kind != CacheKind::recurrent) {
      s.d.cache.key = s.d.cache.value = *f;
      stated = true;
    }
  std::vector<Pool> state_pools, kv_pools;
  for (const Pool& p : pools) (p.cache->kind == CacheKind::recurrent ? state_pools : kv_pools).push_back(p);
  for (std::string_view name : {"f32", "bf16"}) {
    s.d.cache.state = format(name);
    std::vector<Comparison> rows = rows_of_pools(log, s, state_pools);
    if (!all_agree(rows) && name == "f32") continue;
    if (name != "f32") check.notes.push_back("states in bf16: only so their pool's size agrees");
    take(std::move(rows), check);
    break;
  }
  try_formats(s, stated, pool_formats, check,
              [&](const LogSetup& setup) { return rows_of_pools(log, setup, kv_pools); });
  tokens_from_room(log, s, check);
}

// ---- TensorRT-LLM --------------------------------------------------------------------------------------

void compare_blocks(const EngineLog& log, const LogSetup& s, LogCheck& check) {
  if (log.blocks && log.tokens && log.arguments.block_tokens) {
    double slots = double(*log.blocks) * double(*log.arguments.block_tokens);
    check.rows.push_back(
        {"KV tokens of all blocks", Tie::exact, LoggedUnit::tokens, {double(*log.tokens), 0}, slots, slots});
  }
  std::optional<i64> tokens = log.tokens;
  if (!log.caches.empty() && log.caches.back().total && tokens) {
    const Reading& total = *log.caches.back().total;
    bool stated = !log.arguments.kv_dtype.empty();
    try_formats(s, stated, pool_formats, check, [&](const LogSetup& setup) {
      double bytes = double(*tokens) * bytes_of_layers(setup, growing).total();
      return std::vector<Comparison>{sized("blocks' bytes", total, bytes, bytes)};
    });
    if (log.free_after_load && !s.d.memory_fraction)
      check.notes.push_back(fmt::format("the share of free memory isn't logged; the allocation is {} of it",
                                        percent(total.value / log.free_after_load->value)));
  }
  if (log.free_after_load && s.d.memory_fraction && tokens) {
    auto predicted = [&](double free) {
      return double(allocate(s.model, s.d, s.w, s.engine, 0, {std::max(0.0, free) * *s.d.memory_fraction}).max_tokens);
    };
    check.rows.push_back({"KV tokens",
                          Tie::modelled,
                          LoggedUnit::tokens,
                          {double(*tokens), 0},
                          predicted(log.free_after_load->low()),
                          predicted(log.free_after_load->high())});
  }
}

// ---- llama.cpp -----------------------------------------------------------------------------------------

struct Latent {
  std::string_view words;
  double key = 0, value = 0;  ///< elements of a token and layer
};

/// MLA is cached as the latent alone, with a transposed copy, or expanded to heads, as file and options have it.
std::vector<Latent> latents(const Model& model) {
  for (const LayerGroup& g : model.layers)
    if (const auto* m = std::get_if<LatentAttention>(&g.attention)) {
      double latent = double(m->kv_lora_rank + m->rope_dim), heads = double(m->query_heads);
      return {{"the latent alone", latent, 0},
              {"the latent and a copy of it as values", latent, double(m->kv_lora_rank)},
              {"keys and values expanded to heads (a file without split latents)",
               heads * double(m->nope_dim + m->rope_dim), heads * double(m->value_dim)}};
    }
  return {};
}

std::optional<Layers> layers_of(const LogCache& c, const LogSetup& s) {
  i64 full = layer_count_of(s, only_full), sliding = layer_count_of(s, only_sliding);
  if (!c.layers) return growing;
  if (c.kind == CacheKind::sliding) return *c.layers == sliding ? std::optional(only_sliding) : std::nullopt;
  if (*c.layers == full + sliding) return growing;
  if (*c.layers == full) return only_full;
  if (*c.layers == sliding) return only_sliding;
  return std::nullopt;
}

void compare_cells(const LogCache& c, const LogSetup& s, const Layers& layers, const std::string& name,
                   LogCheck& check) {
  if (!c.context || !c.layers || !c.tokens) return;
  i64 step = s.engine.block_tokens;
  i64 per_stream = ceil_div(std::max<i64>(1, *c.context), std::max<i64>(1, c.streams));
  i64 low = per_stream, high = round_up(per_stream, step);
  std::optional<i64> window = window_of(s.model);
  if (window && !layers.full && *c.tokens < low) {
    i64 sequences = c.streams == 1 ? c.sequences.value_or(1) : 1;
    low = std::min(per_stream, *window * sequences + c.ubatch.value_or(512));
    high = round_up(low, step);
  }
  check.rows.push_back(
      {name + " cells", Tie::exact, LoggedUnit::tokens, {double(*c.tokens), 0}, double(low), double(high)});
}

std::vector<Comparison> rows_of_cache(const LogCache& c, const std::string& name, double cells, const Bytes2& one) {
  std::vector<Comparison> rows;
  auto add = [&](const char* part, const std::optional<Reading>& logged, double bytes) {
    if (logged) rows.push_back(sized(name + part, *logged, cells * bytes, cells * bytes));
  };
  bool states_cache = c.kind == CacheKind::recurrent;
  add(states_cache ? " conv" : " keys", c.key, one.key);
  add(states_cache ? " states" : " values", c.value, one.value);
  if (!c.key && !c.value) add(" cache", c.total, one.total());
  return rows;
}

void compare_cache_of_cells(const LogCache& c, LogSetup s, LogCheck& check) {
  const Format* key = find_format(c.key_format);
  const Format* value = find_format(c.value_format);
  bool states_only = layer_count_of(s, growing) == 0 && layer_count_of(s, states) > 0;
  LogCache cache = c;
  if (states_only) cache.kind = CacheKind::recurrent;
  if (cache.kind == CacheKind::recurrent) {
    s.d.cache.conv = key ? *key : format("f32");
    s.d.cache.state = value ? *value : format("f32");
    double copies = states_only && !c.layers ? 1 : double(c.tokens.value_or(1)) * double(1 + c.snapshots);
    take(rows_of_cache(cache, "state", copies, bytes_of_layers(s, states)), check);
    return;
  }
  std::optional<Layers> layers = layers_of(c, s);
  if (!layers || !c.tokens) {
    check.notes.push_back(fmt::format("a cache of {} isn't compared: {}",
                                      c.layers ? count(double(*c.layers)) + " layers" : "unknown length",
                                      c.layers ? "no set of this model's layers, so a draft's" : "n_ctx isn't logged"));
    return;
  }
  if (key) s.d.cache.key = *key;
  if (value || key) s.d.cache.value = value ? *value : *key;
  std::string name = !layers->full ? "sliding" : layers->sliding || !window_of(s.model) ? "KV" : "full";
  compare_cells(c, s, *layers, name, check);
  double cells = double(*c.tokens) * double(c.streams);
  std::vector<Comparison> rows = rows_of_cache(c, name, cells, bytes_of_layers(s, *layers));
  std::vector<Latent> ways = latents(s.model);
  for (const Latent& way : ways) {
    double count = double(layer_count_of(s, *layers));
    std::vector<Comparison> tried = rows_of_cache(
        c, name, cells,
        {count * s.d.cache.key.size(way.key, 1 << 20).value, count * s.d.cache.value.size(way.value, 1 << 20).value});
    if (!all_agree(tried)) continue;
    check.notes.push_back("MLA is cached as " + std::string(way.words));
    rows = std::move(tried);
    break;
  }
  for (Comparison& row : rows)
    if (!row.agrees())
      row.cause = fmt::format("{} times the bytes of this shape: another model or format",
                              significant(row.logged.value / std::max(1.0, row.predicted()), 4));
  take(std::move(rows), check);
}

void compare_file_size(const EngineLog& log, const LogSetup& s, LogCheck& check) {
  if (!log.model_size || !log.bits_per_weight) return;
  Parameters p = count_parameters(s.model);
  double bytes = double(p.total - p.encoder) * log.bits_per_weight->value / 8;
  Comparison row{"weights", Tie::weights, LoggedUnit::bytes, *log.model_size, bytes, bytes};
  if (!row.agrees()) row.cause = "the file holds another number of parameters: a draft head, or another model";
  check.rows.push_back(row);
  check.notes.push_back(fmt::format("weights: this shape's parameters at the file's own {} bits",
                                    significant(log.bits_per_weight->value, 3)));
}

}  // namespace

void compare_caches(const EngineLog& log, const LogSetup& setup, LogCheck& check) {
  if (log.engine == LogEngine::sglang) compare_pools(log, setup, check);
  if (log.engine == LogEngine::trtllm) compare_blocks(log, setup, check);
  if (log.engine != LogEngine::llamacpp) return;
  compare_file_size(log, setup, check);
  for (const LogCache& cache : log.caches) compare_cache_of_cells(cache, setup, check);
}

}  // namespace kvroof
