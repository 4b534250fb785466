#include "cli/log_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/parameters.h"
#include "render/number.h"

namespace kvroof {
namespace {

constexpr double gib = double(1 << 30);
constexpr double weight_tolerance = 0.02;

// ---- what vLLM derives from its room -------------------------------------------------------------------

struct Interval {
  double low = 0, high = 0;
};

/// The least room logged on a pipeline stage; ranks that don't say their stage stand for all.
std::optional<Reading> room_of_stage(const EngineLog& log, i64 stage) {
  std::optional<Reading> least;
  for (const LogRank& rank : log.ranks) {
    std::optional<Reading> room = rank.room;
    if (!room && log.requested && rank.other_than_kv)
      room = Reading{log.requested->value - rank.other_than_kv->value,
                     log.requested->half_step + rank.other_than_kv->half_step};
    if (!room || rank.stage.value_or(stage) != stage) continue;
    if (!least || room->value < least->value) least = room;
  }
  return least;
}

struct PoolSize {
  Interval blocks, tokens, concurrency;
  i64 attention_block = 0;
  bool all_stages = true;
};

/// Sizes at both ends of the room's rounding, least over the stages, as the engine takes them.
std::optional<PoolSize> pool_of(const EngineLog& log, const LogSetup& s) {
  std::optional<PoolSize> pool;
  const Model model = s.whole_context ? with_whole_context(s.model) : s.model;
  bool all_stages = true;
  for (i64 stage = 0; stage < s.d.pp; ++stage) {
    std::optional<Reading> room = room_of_stage(log, stage);
    if (!room) {
      all_stages = false;
      continue;
    }
    Allocation low = allocate(model, s.d, s.w, s.engine, stage, {std::max(0.0, room->low())});
    Allocation high = allocate(model, s.d, s.w, s.engine, stage, {std::max(0.0, room->high())});
    if (low.groups.empty() || (pool && double(high.blocks) >= pool->blocks.high)) continue;
    pool = PoolSize{{double(low.blocks), double(high.blocks)},
                    {double(low.max_tokens), double(high.max_tokens)},
                    {low.concurrency, high.concurrency}};
    for (const CacheGroup& g : low.groups) pool->attention_block = std::max(pool->attention_block, g.block_tokens);
    // V0 and early V1 divide slots by the length, without rounding a request up to whole blocks.
    double slots = double(s.engine.block_tokens) / double(s.w.context);
    if (low.groups.size() == 1) pool->concurrency.high = std::max(high.concurrency, double(high.blocks) * slots);
  }
  if (pool) pool->all_stages = all_stages;
  return pool;
}

std::vector<Comparison> pool_rows(const EngineLog& log, const LogSetup& s) {
  std::vector<Comparison> rows;
  std::optional<PoolSize> pool = pool_of(log, s);
  if (!pool) return rows;
  auto add = [&](const char* quantity, LoggedUnit unit, Reading logged, Interval predicted) {
    if (!pool->all_stages) predicted.low = 0;  // a stage whose room isn't logged may bind
    rows.push_back({quantity, Tie::exact, unit, logged, predicted.low, predicted.high});
  };
  if (log.attention_block)
    rows.push_back({"attention block",
                    Tie::exact,
                    LoggedUnit::tokens,
                    {double(*log.attention_block), 0},
                    double(pool->attention_block),
                    double(pool->attention_block)});
  if (log.blocks) add("blocks", LoggedUnit::tokens, {double(*log.blocks), 0}, pool->blocks);
  if (log.tokens) add("KV tokens", LoggedUnit::tokens, {double(*log.tokens), 0}, pool->tokens);
  if (log.concurrency) add("concurrency", LoggedUnit::times, *log.concurrency, pool->concurrency);
  return rows;
}

// ---- what else it might have been ----------------------------------------------------------------------

/// Something the log may not state. `unstated` says it doesn't; then the change may be assumed, else it is a cause.
struct Supposition {
  const char* words;
  bool (*unstated)(const EngineLog& log, const LogSetup& s);
  void (*change)(LogSetup& s);
};

bool kv_dtype_unstated(const EngineLog& log, const LogSetup&) { return log.arguments.kv_dtype.empty(); }
bool block_unstated(const EngineLog& log, const LogSetup&) { return !log.arguments.block_tokens; }
bool batched_unstated(const EngineLog& log, const LogSetup&) { return !log.arguments.batched_tokens; }
bool caching_unstated(const EngineLog& log, const LogSetup&) { return !log.arguments.prefix_caching; }
bool manager_unstated(const EngineLog&, const LogSetup& s) { return !s.whole_context; }
bool state_unstated(const EngineLog&, const LogSetup&) { return true; }

constexpr Supposition suppositions[] = {
    {"an fp8 KV cache", kv_dtype_unstated, [](LogSetup& s) { s.d.cache.key = s.d.cache.value = format("fp8"); }},
    {"a bf16 KV cache", kv_dtype_unstated, [](LogSetup& s) { s.d.cache.key = s.d.cache.value = format("bf16"); }},
    {"prefix caching", caching_unstated, [](LogSetup& s) { s.d.prefix_caching = true; }},
    {"no prefix caching", caching_unstated, [](LogSetup& s) { s.d.prefix_caching = false; }},
    {"2,048 tokens a step", batched_unstated, [](LogSetup& s) { s.d.batched_tokens = 2048; }},
    {"16,384 tokens a step", batched_unstated, [](LogSetup& s) { s.d.batched_tokens = 16384; }},
    {"every layer at full context (no hybrid cache manager)", manager_unstated,
     [](LogSetup& s) { s.whole_context = true; }},
    {"states in 16 bits", state_unstated, [](LogSetup& s) { s.d.cache.state = format("bf16"); }},
    {"blocks of 32 tokens", block_unstated, [](LogSetup& s) { s.engine.block_tokens = 32; }},
    {"blocks of 64 tokens", block_unstated, [](LogSetup& s) { s.engine.block_tokens = 64; }},
    {"blocks of 128 tokens", block_unstated, [](LogSetup& s) { s.engine.block_tokens = 128; }},
};

struct Found {
  std::string words;
  bool unstated = true;
  LogSetup setup;
};

/// One supposition, or two, under which every row agrees.
std::optional<Found> explained(const EngineLog& log, const LogSetup& s) {
  std::optional<Found> stated;
  auto consider = [&](std::string words, bool unstated, const LogSetup& setup) -> std::optional<Found> {
    if (!all_agree(pool_rows(log, setup))) return std::nullopt;
    Found found{std::move(words), unstated, setup};
    if (unstated) return found;
    if (!stated) stated = found;
    return std::nullopt;
  };
  for (const Supposition& a : suppositions) {
    LogSetup one = s;
    a.change(one);
    if (auto found = consider(a.words, a.unstated(log, s), one)) return found;
  }
  for (const Supposition& a : suppositions)
    for (const Supposition& b : suppositions) {
      LogSetup two = s;
      a.change(two);
      b.change(two);
      bool unstated = a.unstated(log, s) && b.unstated(log, s);
      if (auto found = consider(std::string(a.words) + " and " + b.words, unstated, two)) return found;
    }
  return stated;
}

/// What the sizes themselves say when nothing supposed explains them.
std::string cause_of_tokens(const Comparison& row, const LogSetup& s) {
  double share = row.logged.value / std::max(1.0, row.predicted());
  double layers = double(s.model.layer_count());
  if (std::abs(share - layers / (layers + 1)) < 0.3 / layers && s.d.draft_tokens > 0)
    return "one more layer holds a cache: a draft head";
  if (s.d.tp * s.d.pp > 1 && share < 1 && share > 0.9)
    return "another rank with less room binds; its room isn't logged";
  return fmt::format("a token took {} times the bytes of this shape: another KV format, layer count or grouping",
                     significant(1 / share, 4));
}

void compare_pool(const EngineLog& log, LogSetup& s, LogCheck& check) {
  std::vector<Comparison> rows = pool_rows(log, s);
  if (!all_agree(rows)) {
    std::optional<Found> found = explained(log, s);
    if (found && found->unstated) {
      s = found->setup;
      rows = pool_rows(log, s);
      check.notes.push_back("assumed, because only so the figures agree and the log doesn't say: " + found->words);
    } else {
      for (Comparison& row : rows)
        if (!row.agrees()) row.cause = found ? "would agree with " + found->words : cause_of_tokens(row, s);
    }
  }
  if (std::optional<PoolSize> pool = pool_of(log, s); pool && !pool->all_stages)
    check.notes.push_back("the room of some pipeline stages isn't logged; predictions of the pool are upper bounds");
  check.rows.insert(check.rows.end(), rows.begin(), rows.end());
}

// ---- memory of a rank ----------------------------------------------------------------------------------

/// Cosines and sines of every position the model may see, whole on each rank: 2.5 GiB at ten million positions.
double rotary_table(const Model& m) {
  i64 dim = 0;
  for (const LayerGroup& g : m.layers)
    if (const Heads* heads = heads_of(g.attention)) dim = std::max(dim, heads->key_dim);
  return double(m.max_context.value_or(0)) * double(dim) * 2;
}

double bits_logged(const LogRank& rank, const LogSetup& s) {
  return 8 * rank.weights->value * double(s.d.tp * s.d.pp) / double(count_parameters(s.model).total);
}

std::string_view format_words(const LogSetup& s) { return format_of(s.model, s.d, WeightRole::linear).name; }

std::string cause_of_weights(const EngineLog& log, const LogRank& rank, const LogSetup& s, double predicted) {
  double logged = rank.weights->value, gap = logged - predicted;
  double table = rotary_table(s.model);
  double tower = double(s.model.encoder_weights) * 2 * (1 - 1 / double(s.d.tp));
  auto closes = [&](double bytes) { return bytes > 0 && std::abs(gap - bytes) <= 0.005 * logged; };
  if (closes(table)) return fmt::format("the rotary table, whole on each rank, is {}", size({table}));
  if (closes(tower)) return "the tower is whole on each rank";
  if (closes(tower + table)) return "the tower and the rotary table are whole on each rank";
  std::string bits = fmt::format("{} bits a parameter", significant(bits_logged(rank, s), 3));
  if (gap < 0) return bits + ": a narrower format than assumed";
  if (rank.loading_peak && rank.loading_peak->value < logged)
    return fmt::format("{} while loading; the engine repacked the weights, padded, afterwards",
                       size({rank.loading_peak->value}));
  if (s.model.encoder_weights == 0 && log.arguments.architecture.find("Conditional") != std::string::npos)
    return bits + ": " + log.arguments.architecture + " has a tower, which the entry doesn't hold";
  if (logged < 1.2 * predicted) return bits + ": a draft head, unquantised layers, or buffers beside the weights";
  return bits + ": a wider format than assumed";
}

/// The rank whose weights part most from its stage's.
void compare_weights(const EngineLog& log, const LogSetup& s, LogCheck& check) {
  std::optional<Comparison> worst;
  const LogRank* worst_rank = nullptr;
  for (const LogRank& rank : log.ranks) {
    if (!rank.weights) continue;
    for (i64 stage = 0; stage < s.d.pp; ++stage) {
      if (rank.stage && *rank.stage != stage) continue;
      double bytes = loaded_weights(s.model, s.d, s.engine, stage).value;
      Comparison row{"weights", Tie::weights, LoggedUnit::bytes, *rank.weights, bytes, bytes};
      if (!worst || std::abs(row.difference()) > std::abs(worst->difference())) {
        worst = row;
        worst_rank = &rank;
      }
    }
  }
  if (!worst) return;
  if (log.engine == LogEngine::trtllm) {  // an engine's log doesn't say its weights' format
    worst->tie = Tie::modelled;
    check.notes.push_back(fmt::format("weights: {} bits a parameter logged; their format isn't, and {} is compared",
                                      significant(bits_logged(*worst_rank, s), 3), format_words(s)));
  }
  if (!worst->agrees()) worst->cause = cause_of_weights(log, *worst_rank, s, worst->predicted());
  check.rows.push_back(*worst);
}

void compare_memory(const EngineLog& log, const LogSetup& s, LogCheck& check) {
  if (!s.sized) {
    check.notes.push_back("the log doesn't say the device's memory, so the room isn't predicted; --hardware says it");
    return;
  }
  Memory m = fit(s.model, s.device, s.d, s.w, s.engine);
  const LogRank* tightest = tightest_rank(log);
  for (const LogRank& rank : log.ranks)
    if (!tightest && (rank.activation || rank.non_torch)) tightest = &rank;
  if (!tightest) return;
  auto add = [&](const char* quantity, std::optional<Reading> logged, Bytes predicted) {
    if (logged)
      check.rows.push_back({quantity, Tie::modelled, LoggedUnit::bytes, *logged, predicted.value, predicted.value});
  };
  add("activations", tightest->activation, m.activation);
  add("runtime", tightest->non_torch, m.runtime - s.engine.graphs);
  add("room for KV", tightest->room, m.kv_room);
  Comparison* room = tightest->room ? &check.rows.back() : nullptr;
  if (room && std::abs(room->difference()) > 0.05) {
    double gap = room->logged.value - room->predicted();
    if (log.graphs_taken_out && s.engine.graphs.value == 0)
      room->cause = "CUDA graphs are taken out of the room";
    else if (tightest->weights && std::abs(tightest->weights->value - m.weights.value + gap) < 0.5 * std::abs(gap))
      room->cause = "the weights differ";
    else if (tightest->activation &&
             std::abs(tightest->activation->value - m.activation.value + gap) < 0.5 * std::abs(gap))
      room->cause = "the activation peak differs, as between versions";
    else if (tightest->non_torch && tightest->non_torch->value > 3 * gib)
      room->cause = "other memory in use on the device";
  }
}

}  // namespace

bool Comparison::agrees() const {
  if (tie == Tie::modelled) return true;
  if (tie == Tie::weights) return std::abs(difference()) <= weight_tolerance;
  double slack = 1e-9 * std::max(std::abs(low), std::abs(high));
  return logged.high() + slack >= low && logged.low() - slack <= high;
}

double Comparison::difference() const {
  if (tie == Tie::exact && agrees()) return 0;
  return logged.value != 0 ? predicted() / logged.value - 1 : predicted() == 0 ? 0 : 1;
}

bool all_agree(const std::vector<Comparison>& rows) {
  return std::all_of(rows.begin(), rows.end(), [](const Comparison& row) { return row.agrees(); });
}

bool LogCheck::agrees() const { return all_agree(rows); }

LogCheck check_log(const EngineLog& log, LogSetup& setup) {
  LogCheck check;
  check.notes = setup.assumed;
  if (log.engine == LogEngine::vllm) {
    compare_weights(log, setup, check);
    compare_memory(log, setup, check);
    compare_pool(log, setup, check);
  } else {
    if (log.engine != LogEngine::llamacpp) compare_weights(log, setup, check);
    compare_caches(log, setup, check);
  }
  bool sizes_a_cache =
      std::any_of(check.rows.begin(), check.rows.end(), [](const Comparison& row) { return row.tie == Tie::exact; });
  if (!sizes_a_cache && !check.rows.empty())
    check.notes.push_back("the log gives no size of the KV cache, so none is compared");
  explain_failures(log, setup, check);
  return check;
}

}  // namespace kvroof
