// Why a figure moved: the recorded inputs compared, and each difference tried alone.
//
// Inputs are JSON, so a difference is a path with an old and a new value; those that only make sense together (an
// attention kind and its fields, a model's name and its shape) are one. Each is put into the old inputs alone and the
// question asked again: what moves is its effect. What the effects leave unexplained is theirs together, and what the
// old inputs answer differently today is kvroof's own doing.
#pragma once

#include "cli/answers.h"

namespace kvroof {

struct Cause {
  std::string file;  ///< empty: none to point at
  int line = 0;      ///< from 1; 0: the file as a whole
  std::string what;  ///< `h100-sxm memory[0].bandwidth`
  std::string before, now;

  std::string text() const;  ///< `hardware.yaml:412: h100-sxm memory[0].bandwidth 3.35 TB/s -> 3 TB/s`
  bool operator==(const Cause&) const = default;
};

/// One figure's share of a cause; no change where the figure came or went.
struct Effect {
  std::size_t cause = 0;
  std::optional<double> change;
  bool operator==(const Effect&) const = default;
};

/// What moved one figure: alone, and together beyond that.
struct Attribution {
  std::vector<Effect> effects;  ///< largest first
  double together = 0;
};

/// Where the causes of one comparison are looked for.
struct CauseContext {
  const ScenarioFile& file;
  const Catalog& catalog;  ///< the newer one
  bool recorded;           ///< the older answers were recorded, by whatever kvroof there was
};

/// One Attribution per metric of a scenario; `causes` collects the distinct causes of all scenarios.
std::vector<Attribution> causes_of(const Scenario& scenario, const Answers& before, const Answers& now,
                                   const CauseContext& context, Replay& replay, std::vector<Cause>& causes);
/// What stops a scenario that reads as before from being answered: each difference that does so alone, else all.
std::vector<Effect> causes_of_loss(const Scenario& scenario, const Answers& before, const Answers& now,
                                   const CauseContext& context, Replay& replay, std::vector<Cause>& causes);

}  // namespace kvroof
