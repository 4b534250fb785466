#include "cli/plan_wishes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/plan_page.h"
#include "cli/side_by_side.h"
#include "render/number.h"

namespace kvroof {
namespace {

constexpr i64 any_number = 4096;  ///< of devices
constexpr int halvings = 10;

/// All that limits a plan, as it is asked for or given up.
struct Wish {
  Demand demand;
  i64 max_devices = 0;  ///< of each kind; 0: as many as are offered
};

/// Three digits, none of them less than was found.
double rounded_up(double value) {
  double unit = std::pow(10.0, std::floor(std::log10(value)) - 2);
  return std::ceil(value / unit * (1 - 1e-9)) * unit;
}

double rounded_down(double value) {
  double unit = std::pow(10.0, std::floor(std::log10(value)) - 2);
  return std::floor(value / unit * (1 + 1e-9)) * unit;
}

/// A limit that can be given up, and what a choice takes of it.
struct Limit {
  bool (*is_set)(const PlanRequest&);
  void (*lift)(Wish&);
  void (*set)(Wish&, double);
  void (*keep)(Wish&, const PlanRequest&);  ///< as it was asked for
  double (*taken)(const PlanRequest&, const Offer&, const Choice&);
  double (*asked)(const PlanRequest&);  ///< nothing less than that need be tried
  double (*rounded)(double);
  std::string (*words)(const PlanRequest&, double);
};

bool serves_users(const PlanRequest& r) { return !r.demand.has_rate(); }
double cents_up(double dollars) { return std::ceil(dollars * 100 * (1 - 1e-12)) / 100; }
double itself(double value) { return value; }

/// What can be bought first, then how fast it is.
constexpr Limit limits[] = {
    {[](const PlanRequest& r) { return r.demand.dollars_per_hour.has_value(); },
     [](Wish& w) { w.demand.dollars_per_hour.reset(); }, [](Wish& w, double v) { w.demand.dollars_per_hour = v; },
     [](Wish& w, const PlanRequest& r) { w.demand.dollars_per_hour = r.demand.dollars_per_hour; },
     [](const PlanRequest&, const Offer& o, const Choice& c) { return dollars(o, c).value_or(INFINITY); },
     [](const PlanRequest& r) { return *r.demand.dollars_per_hour; }, cents_up,
     [](const PlanRequest&, double v) { return money(v) + "/h"; }},
    {[](const PlanRequest&) { return true; }, [](Wish& w) { w.max_devices = any_number; },
     [](Wish& w, double v) { w.max_devices = i64(v); }, [](Wish& w, const PlanRequest&) { w.max_devices = 0; },
     [](const PlanRequest&, const Offer&, const Choice& c) { return double(c.devices()); },
     [](const PlanRequest&) { return 1.0; }, itself,
     [](const PlanRequest& r, double v) {
       return fmt::format("{} devices{}", count(v), r.owned ? "" : " (--max-devices)");
     }},
    {[](const PlanRequest& r) { return r.demand.tpot.has_value(); }, [](Wish& w) { w.demand.tpot.reset(); },
     [](Wish& w, double v) { w.demand.tpot = Seconds{v}; },
     [](Wish& w, const PlanRequest& r) { w.demand.tpot = r.demand.tpot; },
     [](const PlanRequest& r, const Offer&, const Choice& c) { return tpot_of(r, c.serving).value; },
     [](const PlanRequest& r) { return r.demand.tpot->value; }, rounded_up,
     [](const PlanRequest&, double v) { return "TPOT " + duration({v}); }},
    {[](const PlanRequest& r) { return r.demand.ttft.has_value(); }, [](Wish& w) { w.demand.ttft.reset(); },
     [](Wish& w, double v) { w.demand.ttft = Seconds{v}; },
     [](Wish& w, const PlanRequest& r) { w.demand.ttft = r.demand.ttft; },
     [](const PlanRequest& r, const Offer&, const Choice& c) { return ttft_of(r, c.serving).value; },
     [](const PlanRequest& r) { return r.demand.ttft->value; }, rounded_up,
     [](const PlanRequest&, double v) { return "TTFT " + duration({v}); }},
};

/// Offers and what they could do for a wish.
class Trial {
 public:
  Trial(const PlanRequest& r, const ModelPlan& p) : r_(r), p_(p) {
    for (const Offer& offer : r.offers) {
      choices_.push_back(choices_of(r, p.model, offer));
      choices_.back().front = false;
    }
  }

  struct Able {
    std::size_t offer = 0;
    Choice choice;
  };

  /// Those of the offers that meet the wish, each with the fewest devices that do.
  std::vector<Able> able(const Wish& w, const std::vector<std::size_t>& offers) const {
    std::vector<std::optional<Choice>> found(offers.size());
    side_by_side(offers.size(), [&](std::size_t i) {
      const Offer& offer = r_.offers[offers[i]];
      if (r_.demand.dollars_per_hour && !offer.device.price) return;  // no one knows
      Choices choices = choices_[offers[i]];
      if (w.max_devices > 0) choices.max_devices = w.max_devices;
      if (problems(w.demand, choices).empty())
        found[i] = plan(p_.model, offer.device, offer.engine, offer.range, w.demand, choices, Objective::cost).best;
    });
    std::vector<Able> those;
    for (std::size_t i = 0; i < offers.size(); ++i)
      if (found[i]) those.push_back({offers[i], *found[i]});
    return those;
  }

  std::vector<std::size_t> all() const {
    std::vector<std::size_t> offers(r_.offers.size());
    for (std::size_t i = 0; i < offers.size(); ++i) offers[i] = i;
    return offers;
  }

 private:
  const PlanRequest& r_;
  const ModelPlan& p_;
  std::vector<Choices> choices_;
};

std::vector<std::size_t> offers_of(const std::vector<Trial::Able>& able) {
  std::vector<std::size_t> offers;
  for (const Trial::Able& a : able) offers.push_back(a.offer);
  return offers;
}

/// Tightens a lifted limit as far as some of those who meet the wish still do; they become the ones that do. Nothing
/// where it need not be given up at all.
std::optional<double> tighten(const PlanRequest& r, const Trial& trial, const Limit& limit, Wish& w,
                              std::vector<Trial::Able>& able) {
  auto reach = [&](const Wish& tried) {
    std::vector<Trial::Able> still = trial.able(tried, offers_of(able));
    if (still.empty()) return false;
    able = std::move(still);
    w = tried;
    return true;
  };
  auto at = [&](double value) {
    Wish tried = w;
    limit.set(tried, value);
    return tried;
  };
  auto least_taken = [&] {
    double least = INFINITY;
    for (const Trial::Able& a : able) least = std::min(least, limit.taken(r, r.offers[a.offer], a.choice));
    return limit.rounded(least);
  };
  Wish kept = w;
  limit.keep(kept, r);
  if (reach(kept)) return std::nullopt;
  double low = limit.asked(r), high = least_taken();
  for (int i = 0; i < halvings && high > low * 1.002; ++i) {
    double middle = std::sqrt(low * high);
    if (reach(at(middle)))
      high = std::min(middle, least_taken());
    else
      low = middle;
  }
  high = limit.rounded(high);
  if (!reach(at(high))) limit.set(w, high);  // rounding never takes anything away
  return high;
}

std::string on(const PlanRequest& r, const std::vector<Trial::Able>& able) {
  auto dearer = [&](const Trial::Able& a, const Trial::Able& b) {
    auto key = [&](const Trial::Able& t) {
      return std::pair(dollars(r.offers[t.offer], t.choice).value_or(INFINITY), t.choice.devices());
    };
    return key(a) < key(b);
  };
  const Trial::Able& best = *std::min_element(able.begin(), able.end(), dearer);
  return fmt::format("on {} x {} as {}", best.choice.devices(), r.offers[best.offer].device.id,
                     layout_words(best.choice.d, best.choice.spare));
}

/// The most users or requests a second that something serves with all limits kept.
std::optional<std::string> fewer_users(const PlanRequest& r, const Trial& trial) {
  double high = r.demand.asked(), low = serves_users(r) ? 1 : high / 1024;
  Wish w{r.demand, 0};
  auto set = [&](double amount) { (serves_users(r) ? w.demand.load.concurrency : w.demand.load.rate) = amount; };
  set(low);
  std::vector<Trial::Able> able = trial.able(w, trial.all());
  if (able.empty() || low >= high) return std::nullopt;
  while (serves_users(r) ? high - low > 1 : high > low * 1.01) {
    double middle = serves_users(r) ? std::floor((low + high) / 2) : std::sqrt(low * high);
    set(middle);
    std::vector<Trial::Able> still = trial.able(w, offers_of(able));
    if (still.empty())
      high = middle;
    else
      low = middle, able = std::move(still);
  }
  if (!serves_users(r)) low = rounded_down(low);
  set(low);
  able = trial.able(w, offers_of(able));
  if (able.empty()) return std::nullopt;
  return fmt::format("{} {}, {}", serves_users(r) ? count(low) : significant(low, 3),
                     !serves_users(r) ? "requests/s"
                     : low == 1       ? "user"
                                      : "users",
                     on(r, able));
}

}  // namespace

std::vector<std::string> nearest_wishes(const PlanRequest& r, const ModelPlan& p) {
  Trial trial(r, p);
  std::vector<std::string> wishes;
  for (const Limit& limit : limits) {
    if (!limit.is_set(r)) continue;
    Wish w{r.demand, 0};
    limit.lift(w);
    std::vector<Trial::Able> able = trial.able(w, trial.all());
    if (able.empty()) continue;
    if (std::optional<double> value = tighten(r, trial, limit, w, able))
      wishes.push_back(limit.words(r, *value) + ", " + on(r, able));
  }
  if (std::optional<std::string> fewer = fewer_users(r, trial)) wishes.push_back(*fewer);
  if (!wishes.empty()) return wishes;
  Wish w{r.demand, 0};
  for (const Limit& limit : limits) limit.lift(w);
  std::vector<Trial::Able> able = trial.able(w, trial.all());
  if (!able.empty()) {
    std::string given_up;
    for (const Limit& limit : limits)
      if (limit.is_set(r))
        if (std::optional<double> value = tighten(r, trial, limit, w, able)) given_up += limit.words(r, *value) + ", ";
    return {given_up + on(r, able)};
  }
  for (std::size_t i : failing(r, p))
    if (const Miss& m = p.devices[i].miss; m.obstacle == Obstacle::memory)
      return {fmt::format("{} more memory on each {} at least, at {}", size({m.best}), r.offers[i].device.id,
                          layout_words(m.d, 0))};
  return {};
}

}  // namespace kvroof
