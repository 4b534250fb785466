// Rows about memory that serving engines logged, in one form whatever table they stand in.
//
// Two tables hold them: the project's own (reports/measured/kv_memory.csv), where every flag is a column, and tables
// with a free-text note per row, from which a few clear patterns are read. Nothing is ever read from the columns in
// which such a table keeps its own predictions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "catalog/logged_shape.h"
#include "catalog/measured.h"
#include "core/deployment.h"

namespace kvroof {

/// Which of an engine's pools a figure is about.
enum class PoolPart { all, key, value, state, conv };
enum class PoolLayers { all, sliding, full };

struct LoggedMemory {
  std::string id, group, quantity, unit;
  std::string engine, version, model, attention_kind, formats;  ///< as written
  std::optional<double> value;
  double half_digit = 0;  ///< of the value's last logged digit
  double unit_bytes = 1;  ///< bytes of one unit; 1 for counts

  LoggedShape shape;
  Deployment layout;  ///< tp, pp, formats, draft; what the row leaves open has its default
  std::optional<Format> weights;
  bool all_f32 = false;        ///< `--dtype float32` widens weights and activations too
  std::optional<i64> context;  ///< longest request, or the tokens a pool or context was sized for
  std::optional<i64> batched_tokens, block_tokens, blocks, page_tokens, full_layers;
  std::optional<bool> prefix_caching;
  i64 sequences = 1;
  int latent_mode = 0;  ///< ik_llama.cpp's -mla
  bool flash_attention = true;
  bool heads_expanded = false;  ///< KV heads stored once per query head
  bool windows_in_full = false;
  PoolPart part = PoolPart::all;
  PoolLayers pool = PoolLayers::all;
  double device_share = 1;  ///< of the layers, when a figure is of one of several devices

  std::string device;
  std::optional<double> memory_gib, memory_fraction;
  std::optional<double> room_gib;  ///< for KV on the tightest rank as logged, in this row or its group
  double room_half_digit = 0.005;
  std::optional<double> rank_excess_gib;  ///< what the tightest rank holds more than the logged one
  std::string problem;                    ///< why it can't be predicted; empty when it can
};

/// The rows of a table with a `measured_quantity` column, whose flags stand in notes.
std::vector<LoggedMemory> logged_memory_with_notes(const MeasuredTable& table);
/// The rows of the project's own table, which has a column for every flag.
std::vector<LoggedMemory> logged_memory(const MeasuredTable& table);

}  // namespace kvroof
