#include "cli/plan_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "cli/axes.h"

namespace kvroof {

std::optional<double> dollars(const Offer& offer, const Choice& c) {
  return offer.device.price ? std::optional(offer.device.price->dollars_per_hour * double(c.devices())) : std::nullopt;
}

std::optional<double> token_cost(const Offer& offer, const Choice& c) {
  std::optional<double> hour = dollars(offer, c);
  return hour ? std::optional(*hour / 3600 / c.usual.tokens_per_second * 1e6) : std::nullopt;
}

std::optional<double> token_energy(const Offer& offer, const Choice& c) {
  const std::optional<double>& watts = offer.device.watts;
  return watts ? std::optional(*watts * double(c.devices()) / c.usual.tokens_per_second) : std::nullopt;
}

Seconds tpot_of(const PlanRequest& r, const Serving& s) { return r.demand.pessimistic ? s.tpot_high : s.tpot; }

Seconds ttft_of(const PlanRequest& r, const Serving& s) { return r.demand.pessimistic ? s.ttft_high : s.ttft; }

Choices choices_of(const PlanRequest& r, const Model& model, const Offer& offer) {
  Choices choices = r.choices;
  choices.max_devices = offer.most;
  choices.base = deployment_of(r.options.cache, r.options.layout, model, offer.engine);
  return choices;
}

double score(const PlanRequest& r, const Offer& offer, const Choice& c) {
  switch (r.objective) {
    case Objective::cost: return dollars(offer, c).value_or(INFINITY);
    case Objective::devices: return double(c.devices());
    case Objective::throughput: return -c.serving.tokens_per_second;
    case Objective::energy:
      return offer.device.watts ? *offer.device.watts * double(c.devices()) / c.serving.tokens_per_second : INFINITY;
  }
  return 0;
}

bool can_be_done(const PlanRequest& r, const ModelPlan& p) {
  return !p.ranking.empty() || (!p.unpriced.empty() && !r.demand.dollars_per_hour);
}

void rank(ModelPlan& plan, const PlanRequest& r) {
  for (std::size_t i = 0; i < r.offers.size(); ++i) {
    if (!plan.devices[i].best) continue;
    bool known = std::isfinite(score(r, r.offers[i], *plan.devices[i].best)) &&
                 (!r.demand.dollars_per_hour || r.offers[i].device.price);
    (known ? plan.ranking : plan.unpriced).push_back(i);
  }
  auto by = [&](auto key) { return [&, key](std::size_t a, std::size_t b) { return key(a) < key(b); }; };
  auto devices = [&](std::size_t i) {
    const Choice& c = *plan.devices[i].best;
    return std::tuple(dollars(r.offers[i], c).value_or(INFINITY), c.devices(), c.serving.tpot);
  };
  auto scores = [&](std::size_t i) { return std::pair(score(r, r.offers[i], *plan.devices[i].best), devices(i)); };
  std::stable_sort(plan.ranking.begin(), plan.ranking.end(), by(scores));
  std::stable_sort(plan.unpriced.begin(), plan.unpriced.end(), by(devices));
}

std::optional<double> wins_below(const PlanRequest& r, const ModelPlan& p, std::size_t offer) {
  if (p.ranking.empty() || offer == p.ranking[0] || r.objective != Objective::cost) return std::nullopt;
  std::optional<double> best = dollars(r.offers[p.ranking[0]], *p.devices[p.ranking[0]].best);
  return best ? std::optional(*best / double(p.devices[offer].best->devices())) : std::nullopt;
}

std::vector<std::size_t> failing(const PlanRequest& r, const ModelPlan& p) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < r.offers.size(); ++i)
    if (!p.devices[i].best) found.push_back(i);
  std::stable_sort(found.begin(), found.end(), [&](std::size_t a, std::size_t b) {
    const Miss &x = p.devices[a].miss, &y = p.devices[b].miss;
    return x.obstacle != y.obstacle ? x.obstacle > y.obstacle : x.best < y.best;
  });
  return found;
}

std::vector<FrontPoint> front_of(const ModelPlan& p) {
  std::vector<FrontPoint> points;
  for (const DevicePlan& d : p.devices) points.insert(points.end(), d.front.begin(), d.front.end());
  return pareto(std::move(points));
}

SetupOptions options_of(const PlanRequest& r, const Model& model, const Offer& offer, const Choice& c) {
  SetupOptions o = r.options;
  o.model.model = model.id;
  o.hardware.device = offer.device.id;
  o.hardware.prices.clear();
  if (offer.own_price) o.hardware.prices = {fmt::format("{}/h", offer.device.price->dollars_per_hour)};
  if (c.d.tp > 1) o.layout.tp = std::to_string(c.d.tp);
  if (c.d.pp > 1) o.layout.pp = std::to_string(c.d.pp);
  if (c.d.dp > 1) o.layout.dp = std::to_string(c.d.dp);
  if (c.d.weights) o.model.weights = std::string(c.d.weights->name);
  bool asked = !r.choices.kv.empty() && r.choices.kv[0];
  if (asked) o.cache.kv_dtype = std::string(c.d.cache.key.name);
  if (!r.demand.serves()) {
    o.batch = fmt::format("{}", std::ceil(r.demand.amount() / double(c.d.dp) * (1 - 1e-12)));
    return o;
  }
  o.input = std::to_string(r.demand.load.input);
  o.output = std::to_string(r.demand.load.output);
  (r.demand.has_rate() ? o.rate : o.concurrency) = fmt::format("{}", r.demand.amount());
  return o;
}

std::string command_of(const PlanRequest& r, const ModelPlan& p, std::size_t offer) {
  return "kvroof estimate " + arguments_of(options_of(r, p.model, r.offers[offer], *p.devices[offer].best));
}

}  // namespace kvroof
