// The comparison behind `kvroof check`: each metric of each scenario before and now, judged, with what moved it.
#pragma once

#include "cli/cause.h"

namespace kvroof {

/// In order of gravity, worst last.
enum class Finding { same, within, added, better, worse, gone, broken };

/// A figure that is not the same as before, or misses its budget.
struct MetricCheck {
  const Judged* metric = nullptr;
  std::optional<double> before, now;
  Finding outcome = Finding::same;
  bool warned = false;                ///< within tolerance, but beyond its warning
  std::optional<Budget> budget = {};  ///< the one that is missed
  std::string missing = {};           ///< why there is no figure to hold against it
  Attribution attribution = {};

  /// Share of the old value; none where there is none.
  std::optional<double> relative() const;
};

struct ScenarioCheck {
  std::string name;
  int line = 0;  ///< in the file of scenarios, from 1; 0 when it is not there any more
  Finding outcome = Finding::same;
  bool one_sided = false;                 ///< came or went as a whole
  std::string error = {};                 ///< why there is no answer any more
  std::vector<MetricCheck> metrics = {};  ///< worst first, without those that stayed the same
};

struct Check {
  std::string file;                      ///< of scenarios
  std::string against;                   ///< the baseline or catalogue compared with
  std::vector<ScenarioCheck> scenarios;  ///< worst first
  std::vector<Cause> causes;

  int count(Finding outcome) const;  ///< scenarios by their gravest metric
  bool passes() const;               ///< all are the same or within their tolerance
};

const char* name_of(Finding outcome);
/// A change that somebody has to accept.
constexpr bool fails(Finding outcome) { return outcome >= Finding::added; }

/// Throws InputError for what can't be read, and for new or edited scenarios that can't be answered.
Check compare(const Answers& before, const Answers& now, const CauseContext& context, const std::string& against);

}  // namespace kvroof
