// What a serving engine costs beyond its kernels, found on half of the rows of served systems, and how wide the range
// of what comes out has to be.
//
// Kernel constants stay as they are; the costs of the engine are free. The half is chosen by a fixed hash of the row
// ids and the other half only judges: the errors reported are its own. The ranges come from the half that fits, as the
// rows of one engine, device and model share their error and the next such group has another one.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "catalog/measured.h"
#include "cli/kernel_fit.h"
#include "core/engine.h"

namespace kvroof {

class Names;

/// Rows that tell of a cost: all; those of models with experts; those of loops, where prompts come while others decode.
enum class ToldBy { all, experts, loops };

/// One cost that is free: what is usual and most of it, and where an engine has it.
struct EngineCost {
  const char* name;  ///< its key in the catalogue
  bool is_time;      ///< seconds, else a share
  ToldBy told_by;
  double usual, most;
  double (*get)(const Engine&);
  void (*set)(Engine&, double);
};

std::span<const EngineCost> engine_costs();

struct EngineFit {
  Engine engine;                        ///< with the costs found
  bool experts = false, loops = false;  ///< whether it was fitted on such rows
  i64 rows = 0;                         ///< it was fitted on
  i64 held_out = 0;                     ///< rows that judged
  double error = 0;                     ///< median, held out
  double error_p90 = 0;
  double error_before = 0;  ///< median of the catalogue's costs on the same rows
  double ttft_error = 0;    ///< the same of the time to the first token
  double ttft_error_p90 = 0;
  double ttft_error_before = 0;
  bool tells_of(const EngineCost& cost) const;
};

/// The 80 % interval of log(measured / expected) for a group of rows that nothing was fitted on: groups differ by
/// `between`, the rows of one by `within`. Zero where there are no two groups.
struct Spread {
  i64 rows = 0, groups = 0;
  double mean = 0, within = 0, between = 0;  ///< the mean is that of the groups' means
  double low() const;                        ///< as factors of the expected time
  double high() const;
};

using LogErrors = std::map<std::string, std::vector<double>>;  ///< by group: engine, device and model

Spread spread_of(const LogErrors& logs);

struct ServedFit {
  std::vector<EngineFit> engines;                     ///< one per engine that the tables serve with
  Spread dense, experts, dense_first, experts_first;  ///< of the times between tokens, and to the first
};

/// Slow: every step of the search predicts all rows.
ServedFit fit_served(const std::vector<MeasuredTable>& tables, Names& names);

}  // namespace kvroof
