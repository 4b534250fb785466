// Rows of engine logs, predicted: room, weights, blocks, tokens, concurrency, pools. A capacity follows from the room
// that the same log states, so it shows the allocation rules alone; the room itself is a row of its own.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <regex>

#include "cli/memory_case.h"
#include "cli/validate.h"
#include "core/engine_memory.h"
#include "core/memory.h"

namespace kvroof {
namespace {

struct Range {
  double predicted = 0, low = 0, high = 0;
  std::string basis = {};
};

double capacity_in(const Allocation& a, const std::string& quantity) {
  if (quantity == "kv_tokens_capacity") return double(a.max_tokens);
  if (quantity == "max_concurrency") return a.concurrency;
  if (quantity == "gpu_blocks") return double(a.blocks);
  i64 block = 0;  // block_size: of the layers that grow
  for (const CacheGroup& g : a.groups)
    if (g.blocks_per_sequence > 0 && (block == 0 || g.block_tokens < block)) block = g.block_tokens;
  return double(block);
}

/// The figure with `room` bytes on every rank; engines size all ranks by the one with the fewest blocks.
double capacity(const MemoryCase& c, const std::string& quantity, double room) {
  Workload w{std::max<i64>(c.row.context.value_or(4096), 1), 1, 0};
  double least = -1;
  for (i64 stage = 0; stage < c.d.pp; ++stage) {
    double value = capacity_in(allocate(c.model, c.d, w, c.engine, stage, {room}), quantity);
    if (least < 0 || value < least) least = value;
  }
  return least;
}

Bytes block_of(const MemoryCase& c) {
  Workload w{std::max<i64>(c.row.context.value_or(4096), 1), 1, 0};
  return allocate(c.model, c.d, w, c.engine, 0, {GiB}).block;
}

/// What the last stage of a pipeline holds more than the first, whose room is the one logged.
Bytes last_stage_excess(const MemoryCase& c) {
  if (c.row.rank_excess_gib) return {*c.row.rank_excess_gib * GiB};
  if (c.d.pp == 1 || !c.device) return {};
  auto held = [&](i64 stage) {
    return loaded_weights(c.model, c.d, c.engine, stage) + activation_bytes(c.model, *c.device, c.d, c.engine, stage);
  };
  return larger(Bytes{}, held(c.d.pp - 1) - held(0));
}

/// The fewest blocks at which a figure reaches `value`.
double blocks_reaching(const MemoryCase& c, const std::string& quantity, double value) {
  double block = block_of(c).value, low = 0, high = 1;
  while (high < 1e12 && capacity(c, quantity, high * block) < value) high *= 2;
  while (high - low > 1) {
    double middle = std::floor((low + high) / 2);
    (capacity(c, quantity, middle * block) < value ? low : high) = middle;
  }
  return high;
}

/// The pool as another line of the same log states it, in bytes.
std::optional<Range> room_from_sibling(const MemoryCase& c, const std::vector<LoggedMemory>& rows) {
  if (c.engine.layout != Layout::paged) return std::nullopt;
  double block = block_of(c).value;
  if (c.row.blocks) {
    double room = double(*c.row.blocks) * block;
    return Range{room, room, room, "blocks named in the log"};
  }
  for (const LoggedMemory& other : rows) {
    bool states_pool =
        other.quantity == "max_concurrency" || other.quantity == "kv_tokens_capacity" || other.quantity == "gpu_blocks";
    if (other.group != c.row.group || other.id == c.row.id || other.quantity == c.row.quantity || !other.value ||
        !states_pool)
      continue;
    double low = blocks_reaching(c, other.quantity, *other.value - other.half_digit);
    double high = blocks_reaching(c, other.quantity, *other.value + other.half_digit + 1e-6) - 1;
    if (high < low) high = low;
    return Range{std::floor((low + high) / 2) * block, low * block, high * block,
                 "pool from the log's " + other.quantity};
  }
  return std::nullopt;
}

Bytes modelled_room(const MemoryCase& c) {
  if (!c.device) throw Skip{"the log names no device whose memory is known"};
  if (!c.row.memory_fraction) throw Skip{"the log states no memory fraction"};
  if (c.model.hidden == 0) throw Skip{"only the cache's shape is known, not the weights"};
  Workload w{std::max<i64>(c.row.context.value_or(4096), 1), 1, 0};
  return fit(c.model, *c.device, c.d, w, c.engine).kv_room;
}

Range predict_capacity(const MemoryCase& c, const std::vector<LoggedMemory>& rows) {
  const std::string& q = c.row.quantity;
  if (q == "block_size") {
    double block = capacity(c, q, GiB);
    return {block, block, block};
  }
  if (!c.row.context && (q == "max_concurrency" || c.engine.reports_requests))
    throw Skip{"the longest request is not stated"};
  Range room;
  if (c.row.blocks || !c.row.room_gib) {
    std::optional<Range> sibling = room_from_sibling(c, rows);
    if (!sibling && !c.row.room_gib) {
      Bytes modelled = modelled_room(c);
      sibling = Range{modelled.value, modelled.value, modelled.value, "modelled room"};
    }
    if (sibling) room = *sibling;
  }
  if (room.basis.empty()) {
    double excess = last_stage_excess(c).value, half = c.row.room_half_digit * GiB;
    double tightest = *c.row.room_gib * GiB - excess;
    room = {tightest, tightest - half, tightest + half, "logged room"};
  }
  return {capacity(c, q, room.predicted), capacity(c, q, room.low), capacity(c, q, room.high), room.basis};
}

Bytes part_of(const CachePool& pool, PoolPart part, bool states) {
  switch (part) {
    case PoolPart::key: return pool.key;
    case PoolPart::value: return pool.value;
    case PoolPart::state: return pool.state;
    case PoolPart::conv: return pool.conv;
    case PoolPart::all: break;
  }
  return states ? pool.conv + pool.state : pool.key + pool.value + pool.index;
}

/// Keys and values, or states, set aside for the context or the pool the row states.
Range predict_pools(const MemoryCase& c) {
  bool states = c.row.quantity == "recurrent_state_bytes";
  if (!c.row.context && !states) throw Skip{"the tokens of the pool are not stated"};
  Bytes sum;
  for (const CachePool& pool :
       pools(c.model, c.d, c.engine, 0, std::max<i64>(c.row.context.value_or(1), 1), c.row.sequences)) {
    bool windowed = pool.limit > 0;
    if (c.row.pool == PoolLayers::sliding && !windowed) continue;
    if (c.row.pool == PoolLayers::full && windowed) continue;
    sum += part_of(pool, c.row.part, states);
  }
  double value = c.row.device_share * sum.value / c.row.unit_bytes;
  return {value, value, value};
}

/// `A vs B`: how much less of a cache the first model needs than the second, in percent.
Range predict_reduction(const LoggedMemory& row, const Catalog& catalog, const std::string& formats) {
  static const std::regex pair("(.+) vs (.+)");
  std::smatch m, f;
  if (!std::regex_match(row.model, m, pair)) throw Skip{"a reduction of what against what is not stated"};
  auto bytes = [&](const std::string& name, const std::string& written) {
    for (const std::string& n : names_of(name)) {
      if (!catalog.has("models", n)) continue;
      Deployment d;
      double scale = 1;
      if (std::smatch bits; std::regex_search(written, bits, std::regex(R"((\d+)-bit)")))
        scale = std::stod(bits[1]) / 16;
      else if (const Format* named = find_format(lower(written)))
        d.cache.key = d.cache.value = *named;
      return scale * cache_per_token(catalog.model(n), d).value;
    }
    throw Skip{"'" + name + "' is not in the catalogue"};
  };
  bool two = std::regex_match(formats, f, pair);
  double percent = 100 * (1 - bytes(m[1], two ? f[1].str() : "") / bytes(m[2], two ? f[2].str() : ""));
  return {percent, percent, percent, "catalogue"};
}

/// Tokens and concurrency of a log whose model is unknown still follow from its blocks or from each other.
std::optional<Range> predict_without_model(const LoggedMemory& row, const std::vector<LoggedMemory>& rows) {
  if (row.layout.cache.key != format("bf16") && !row.blocks) return std::nullopt;
  double tokens = row.blocks ? double(*row.blocks) * 16 : 0;
  for (const LoggedMemory& other : rows)
    if (tokens == 0 && other.group == row.group && other.id != row.id && other.quantity == "kv_tokens_capacity")
      tokens = other.value.value_or(0);
  if (tokens == 0) return std::nullopt;
  if (row.quantity == "kv_tokens_capacity") return Range{tokens, tokens, tokens, "blocks named in the log"};
  if (row.quantity != "max_concurrency" || !row.context) return std::nullopt;
  double requests = tokens / double(*row.context);
  return Range{requests, requests, requests, "the log's tokens"};
}

Range predict(const MemoryCase& c, const std::vector<LoggedMemory>& rows) {
  const std::string& q = c.row.quantity;
  if (q == "kv_available_bytes") {
    double room = modelled_room(c).value / c.row.unit_bytes;
    return {room, room, room, "modelled"};
  }
  if (q == "weights_bytes") {
    if (c.model.hidden == 0) throw Skip{"only the cache's shape is known, not the weights"};
    double weights = loaded_weights(c.model, c.d, c.engine, 0).value / c.row.unit_bytes;
    return {weights, weights, weights, "weights of the catalogue"};
  }
  if (q == "kv_bytes_total" || q == "recurrent_state_bytes") return predict_pools(c);
  if (q == "kv_tokens_capacity" || q == "max_concurrency" || q == "gpu_blocks" || q == "block_size")
    return predict_capacity(c, rows);
  throw Skip{"unknown quantity '" + q + "'"};
}

/// The class a row counts for: what the table calls its attention, else what the model has.
std::string kind_class(const LoggedMemory& row, const std::optional<Model>& model) {
  if (row.quantity == "kv_available_bytes") return "room (model)";
  if (row.quantity == "weights_bytes") return "weights";
  if (!row.attention_kind.empty())
    return row.attention_kind.substr(0, row.attention_kind.find_first_of(" 0123456789:,/"));
  std::string_view kind = "other";
  if (model)
    for (const LayerGroup& g : model->layers)
      if (!std::holds_alternative<NoAttention>(g.attention) && (kind == "other" || kind == FullAttention::name))
        kind = kind_name(g.attention);
  return std::string(kind);
}

Prediction prediction_of(const LoggedMemory& row, const std::vector<LoggedMemory>& rows, const Catalog& catalog) {
  Prediction p{row.id, row.quantity, row.engine, kind_class(row, {}), row.value, {}, {}, {}, "", {}, ""};
  auto set = [&](const Range& r, const std::string& basis) {
    p.predicted = r.predicted;
    p.low = std::min(r.low, r.predicted) - row.half_digit;
    p.high = std::max(r.high, r.predicted) + row.half_digit;
    p.basis = r.basis.empty() ? basis : basis.empty() ? r.basis : r.basis + "; " + basis;
  };
  try {
    if (row.unit.find("% KV reduction") != std::string::npos) {
      set(predict_reduction(row, catalog, row.formats), "");
      return p;
    }
    if (!row.shape.known() && row.problem.empty() && !catalogue_model(row, catalog))
      if (std::optional<Range> r = predict_without_model(row, rows)) {
        set(*r, "");
        return p;
      }
    MemoryCase c = memory_case(row, catalog);
    p.kind = kind_class(row, c.model);
    set(predict(c, rows), c.basis);
  } catch (const Skip& s) { p.skipped = s.why; }
  return p;
}

std::vector<Prediction> predicted(const std::vector<LoggedMemory>& rows, const Catalog& catalog) {
  std::vector<Prediction> found;
  for (const LoggedMemory& row : rows) found.push_back(prediction_of(row, rows, catalog));
  return found;
}

}  // namespace

std::vector<Prediction> predict_memory(const MeasuredTable& table, const Catalog& catalog) {
  return predicted(logged_memory_with_notes(table), catalog);
}

std::vector<Prediction> predict_curated_memory(const MeasuredTable& table, const Catalog& catalog) {
  return predicted(logged_memory(table), catalog);
}

}  // namespace kvroof
