// A plan asked for and found: the devices on offer, what is demanded of them, and the order of those that can do it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/setup_options.h"
#include "core/plan.h"

namespace kvroof {

/// A kind of device that may be taken, and how many of it.
struct Offer {
  Device device;
  Engine engine;
  RangeRule range;
  i64 most = 64;
  bool own_price = false;  ///< the user's, not the catalogue's
};

/// All that was found for one model.
struct ModelPlan {
  Model model;
  std::vector<DevicePlan> devices;    ///< one for each offer
  std::vector<std::size_t> ranking;   ///< offers that can do it, best first
  std::vector<std::size_t> unpriced;  ///< those that can but have no price where cost decides
  std::vector<std::string> wishes;    ///< where it can't be done: what could be
};

struct PlanRequest {
  SetupOptions options;  ///< what all layouts share, as text
  Demand demand;
  Choices choices;
  Objective objective = Objective::cost;
  std::vector<Offer> offers;
  bool owned = false;  ///< the offers are what there is, not what could be had
};

/// Whether it can be done, as far as is known: a budget needs a price.
bool can_be_done(const PlanRequest& request, const ModelPlan& plan);

/// What a model's layouts on an offer are chosen from.
Choices choices_of(const PlanRequest& request, const Model& model, const Offer& offer);

/// Orders the offers by the objective.
void rank(ModelPlan& plan, const PlanRequest& request);

/// What to type to see the choice explained, without `kvroof estimate`.
SetupOptions options_of(const PlanRequest& request, const Model& model, const Offer& offer, const Choice& choice);

/// An hour of all its devices, where their price is known.
std::optional<double> dollars(const Offer& offer, const Choice& choice);
/// The times that limits hold for: with --confidence p90 the upper end of the range.
Seconds tpot_of(const PlanRequest& request, const Serving& serving);
Seconds ttft_of(const PlanRequest& request, const Serving& serving);
/// What the objective makes of it: smaller is better, infinite where it is unknown.
double score(const PlanRequest& request, const Offer& offer, const Choice& choice);
/// The price of one device at which an offer would cost what the best one does.
std::optional<double> wins_below(const PlanRequest& request, const ModelPlan& plan, std::size_t offer);
/// Of a million tokens and of a token in the usual state, where price and power are known.
std::optional<double> token_cost(const Offer& offer, const Choice& choice);
std::optional<double> token_energy(const Offer& offer, const Choice& choice);
/// The offers that can't, the nearest first.
std::vector<std::size_t> failing(const PlanRequest& request, const ModelPlan& plan);
/// The front over all offers.
std::vector<FrontPoint> front_of(const ModelPlan& plan);
/// `kvroof estimate ...`: what shows the choice explained.
std::string command_of(const PlanRequest& request, const ModelPlan& plan, std::size_t offer);

}  // namespace kvroof
