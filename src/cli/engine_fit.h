// What a serving engine costs beyond its kernels, found on half of the rows of served systems.
//
// Kernel constants stay as they are; five costs of the engine are free. The half is chosen by a fixed hash of the row
// ids and the other half only judges: the errors reported are its own.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "catalog/measured.h"
#include "cli/kernel_fit.h"
#include "core/engine.h"

namespace kvroof {

class Names;

/// One cost that is free: what is usual and most of it, and where an engine has it.
struct EngineCost {
  const char* name;  ///< its key in the catalogue
  bool is_time;      ///< seconds, else a share
  double usual, most;
  double (*get)(const Engine&);
  void (*set)(Engine&, double);
};

std::span<const EngineCost> engine_costs();

struct EngineFit {
  Engine engine;     ///< with the costs found
  i64 rows = 0;      ///< it was fitted on
  i64 held_out = 0;  ///< rows that judged
  double error = 0;  ///< median, held out
  double error_p90 = 0;
  double error_before = 0;  ///< median of the catalogue's costs on the same rows
  double ttft_error = 0;    ///< the same of the time to the first token
  double ttft_error_p90 = 0;
  double ttft_error_before = 0;
};

/// One per engine that the tables serve with. Slow: every step of the search predicts all rows.
std::vector<EngineFit> fit_engines(const std::vector<MeasuredTable>& tables, Names& names);

}  // namespace kvroof
