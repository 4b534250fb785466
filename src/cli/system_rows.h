// Rows of the tables of whole systems, each as a Setup and what it was asked for: decoding end to end, MoE serving.
//
// A row names its device and model as its source did; the catalogue resolves both, else a row's own bandwidth stands
// for the device. `validate` predicts a row from this, `fit` finds what an engine costs with it.
#pragma once

#include "cli/measured_row.h"
#include "core/setup.h"

namespace kvroof {

struct SystemRow {
  Setup setup;
  std::optional<Load> load;  ///< serving in a closed loop; else one decode step
  i64 capacity = 0;          ///< sequences that the loop may run at once
  double sequences = 1;      ///< decoded together over all replicas
  /// A batch whose prompts are all read before it decodes, where the row's rate counts the time of both.
  std::optional<Load> prompts_first;

  /// Requests of one length that an engine admits together and that end together: all prompts are read at once.
  bool in_step = false;

  /// Between two tokens of a sequence, run by `engine`.
  Seconds per_token(const Engine& engine) const;
  /// With the range and the floor of it.
  Serving predicted() const { return predicted(setup.engine); }
  Serving predicted(const Engine& engine) const;
  /// The same with the mean time to the first token that a benchmark sees: it sends ten times as many requests as it
  /// keeps in the system, the first of them all at once.
  Serving benchmarked(const Engine& engine) const;

  void set_capacity();

 private:
  Serving lockstep(const Engine& engine) const;
};

/// What the row says, or why it can't be read in `skipped`.
std::optional<SystemRow> decode_row(const Row& row, Names& names, std::string& skipped);
std::optional<SystemRow> moe_row(const Row& row, Names& names, std::string& skipped);

/// Whether errors on this row say anything: not saturated, not a trap, not a weak source.
bool is_judged(const Row& row);
bool is_serving(const Row& row);

}  // namespace kvroof
