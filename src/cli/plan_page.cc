#include "cli/plan_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/cases.h"
#include "cli/describe.h"
#include "render/number.h"

namespace kvroof {
namespace {

constexpr std::size_t rows_shown = 10;  // of a table in text; data holds all

std::string format_words(const Model& m, const Deployment& d) {
  return weight_format_of(m, d) + " / " + cache_format_of(d.cache);
}

/// Formats are the same for all where there is nothing to choose.
bool chooses_formats(const PlanRequest& r) { return r.choices.weights.size() * r.choices.kv.size() > 1; }

std::string demand_words(const Demand& d) {
  std::string who = d.has_rate()
                        ? fmt::format("{} requests/s", significant(d.load.rate))
                        : fmt::format("{} user{}", count(d.load.concurrency), d.load.concurrency == 1 ? "" : "s");
  return d.serves()
             ? fmt::format("{}, {} tokens in, {} out", who, count(double(d.load.input)), count(double(d.load.output)))
             : fmt::format("{} decoding at {} tokens of context", who, count(double(d.context)));
}

std::string limit_words(const Demand& d) {
  std::string text;
  auto add = [&](const std::string& piece) { text += (text.empty() ? "" : ", ") + piece; };
  if (d.tpot) add("TPOT " + duration(*d.tpot));
  if (d.ttft) add("TTFT " + duration(*d.ttft));
  if (!text.empty()) text += d.pessimistic ? " at the upper end of the 80 % range" : " expected";
  if (d.dollars_per_hour) add(money(*d.dollars_per_hour) + "/h");
  return text.empty() ? "none but memory" : text;
}

const char* objective_words(Objective o) {
  constexpr const char* words[] = {"lowest cost", "fewest devices", "most tokens/s", "least energy a token"};
  return words[int(o)];
}

struct PlanPage {
  const PlanRequest& r;
  const ModelPlan& p;
  Document& doc;

  const Choice& choice(std::size_t offer) const { return *p.devices[offer].best; }
  std::string break_even(std::size_t offer) const;

  void head();
  void chosen();
  void reasons_for_it(Notes& notes) const;
  void table_of(const std::string& title, const std::vector<std::size_t>& offers, bool priced);
  void front();
  void misses();
  void nearest_wish();
  void commands();
};

void PlanPage::head() {
  doc.blocks.push_back(Heading{fmt::format("{} for {}", p.model.name, demand_words(r.demand))});
  Facts facts;
  facts.rows.push_back({"limits", limit_words(r.demand)});
  if (r.demand.headroom > 0 || r.demand.spare > 0)
    facts.rows.push_back({"room for", fmt::format("{} {}, {} replica{} down", significant(r.demand.amount()),
                                                  r.demand.has_rate() ? "requests/s" : "users", r.demand.spare,
                                                  r.demand.spare == 1 ? "" : "s")});
  facts.rows.push_back({"wanted", objective_words(r.objective)});
  if (p.model.max_context && r.demand.tokens() > *p.model.max_context)
    facts.rows.push_back(
        {"beware", fmt::format("{} tokens are more than the {} that {} was made for", count(double(r.demand.tokens())),
                               count(double(*p.model.max_context)), p.model.id)});
  doc.blocks.push_back(facts);
}

std::string PlanPage::break_even(std::size_t offer) const {
  std::optional<double> price = wins_below(r, p, offer);
  return price ? money(*price) + "/h" : "";
}

void PlanPage::reasons_for_it(Notes& notes) const {
  std::size_t first = p.ranking[0];
  const Choice& c = choice(first);
  if (p.ranking.size() > 1) {
    std::size_t next = p.ranking[1];
    double a = score(r, r.offers[first], c), b = score(r, r.offers[next], choice(next));
    notes.lines.push_back(
        fmt::format("runner-up: {} x {}, {} {} of it{}", choice(next).devices(), short_name(r.offers[next].device),
                    r.objective == Objective::cost ? "at" : "with", percent(std::abs(b / a)),
                    break_even(next).empty() ? "" : "; it would win below " + break_even(next) + " a device"));
  }
  if (r.demand.tpot)
    notes.lines.push_back(fmt::format("TPOT has {} to spare", percent(1 - tpot_of(r, c.serving) / *r.demand.tpot)));
  notes.lines.push_back(fmt::format("memory of a replica admits {} requests; this load puts {} there",
                                    c.capacity > (i64(1) << 40) ? "any number of" : count(double(c.capacity)),
                                    significant(c.serving.running / double(c.d.dp), 3)));
  notes.lines.push_back(fmt::format("basis of its times: {}", name_of(c.serving.basis)));
  if (!r.demand.pessimistic && r.demand.tpot && *r.demand.tpot < c.serving.tpot_high)
    notes.lines.push_back(
        fmt::format("the upper end of TPOT's range, {}, misses the limit; --confidence p90 plans for it",
                    duration(c.serving.tpot_high)));
  if (const std::optional<Price>& price = r.offers[first].device.price)
    notes.lines.push_back(fmt::format("its price: {}/h a device{}", money(price->dollars_per_hour),
                                      price->source.empty() ? "" : ", " + price->source));
  for (const std::string& note : r.offers[first].device.notes)
    if (note.starts_with("price") && !r.offers[first].own_price) notes.lines.push_back(note);
}

void PlanPage::chosen() {
  if (p.ranking.empty()) return;
  std::size_t first = p.ranking[0];
  const Offer& offer = r.offers[first];
  const Choice& c = choice(first);
  std::optional<double> cost = dollars(offer, c);
  doc.blocks.push_back(Heading{
      fmt::format("Choice: {} x {}{}", c.devices(), offer.device.name, cost ? ", " + money(*cost) + "/h" : "")});
  Facts facts;
  facts.rows = {{"layout", fmt::format("{}, {} weights and KV, engine {}", layout_words(c.d, c.spare),
                                       format_words(p.model, c.d), offer.engine.id)},
                {"TPOT", with_range(c.serving.tpot, c.serving.tpot_low, c.serving.tpot_high)}};
  if (r.demand.serves())
    facts.rows.push_back({"TTFT", with_range(c.serving.ttft, c.serving.ttft_low, c.serving.ttft_high)});
  facts.rows.push_back({"throughput", speed_of(c.serving.tokens_per_second)});
  bool differs = r.demand.headroom > 0 || r.demand.spare > 0;
  if (differs)
    facts.rows.push_back(
        {"usually", fmt::format("{}: the {} asked for, all replicas up", speed_of(c.usual.tokens_per_second),
                                r.demand.has_rate() ? "rate" : "users")});
  std::string when = differs ? ", usually" : "";
  if (cost) facts.rows.push_back({"cost", money(*token_cost(offer, c)) + " a million tokens" + when});
  if (std::optional<double> energy = token_energy(offer, c))
    facts.rows.push_back({"energy", measured(*energy, Measure::joules) + " a token" + when});
  doc.blocks.push_back(facts);
  Notes notes;
  reasons_for_it(notes);
  doc.blocks.push_back(Heading{"Why, and what would change it"});
  doc.blocks.push_back(notes);
}

void PlanPage::table_of(const std::string& title, const std::vector<std::size_t>& offers, bool priced) {
  if (offers.empty()) return;
  doc.blocks.push_back(Heading{title});
  bool formats = chooses_formats(r);
  Table table{{"~device", "count", "<layout"}, {}};
  if (formats) table.columns.emplace_back("<weights/KV");
  table.columns.emplace_back(r.demand.pessimistic ? "TPOT p90" : "TPOT");
  if (r.demand.serves()) table.columns.emplace_back(r.demand.pessimistic ? "TTFT p90" : "TTFT");
  if (priced) table.columns.emplace_back("$/h");
  if (r.objective == Objective::throughput) table.columns.emplace_back("tokens/s");
  if (r.objective == Objective::energy) table.columns.emplace_back("J a token");
  bool compares = r.objective == Objective::cost && !p.ranking.empty();
  if (compares) table.columns.emplace_back("wins at");
  for (std::size_t i : offers) {
    if (table.rows.size() == rows_shown) break;
    const Choice& c = choice(i);
    std::vector<std::string> row = {r.offers[i].device.id, std::to_string(c.devices()), layout_words(c.d, c.spare)};
    if (formats) row.push_back(format_words(p.model, c.d));
    row.push_back(duration(tpot_of(r, c.serving)));
    if (r.demand.serves()) row.push_back(duration(ttft_of(r, c.serving)));
    if (priced) {
      std::optional<double> cost = dollars(r.offers[i], c);
      row.push_back(cost ? fmt::format("{:.2f}", *cost) : "-");
    }
    if (r.objective == Objective::throughput) row.push_back(count(std::round(c.serving.tokens_per_second)));
    if (r.objective == Objective::energy) {
      std::optional<double> energy = token_energy(r.offers[i], c);
      row.push_back(energy ? significant(*energy, 3) : "-");
    }
    if (compares) row.push_back(break_even(i));
    table.rows.push_back(std::move(row));
  }
  doc.blocks.push_back(table);
  if (offers.size() > rows_shown)
    doc.blocks.push_back(Paragraph{fmt::format("and {} more: --format csv", offers.size() - rows_shown)});
  if (r.objective == Objective::cost && p.ranking.empty())
    doc.blocks.push_back(Paragraph{"None of these has a known price, so none is chosen; --price " +
                                   r.offers[offers[0]].device.id + "=2.50/h gives one."});
}

void PlanPage::front() {
  std::vector<FrontPoint> points = front_of(p);
  if (points.empty()) return;
  doc.blocks.push_back(Heading{"What a user's speed costs: the front over all devices and layouts"});
  Table table{{"per user", "per device", "users a replica", "~device", "<layout"}, {}};
  if (chooses_formats(r)) table.columns.emplace_back("<weights/KV");
  std::size_t shown = std::min(points.size(), rows_shown);
  for (std::size_t i = 0; i < shown; ++i) {
    const FrontPoint& f = points[shown == 1 ? 0 : i * (points.size() - 1) / (shown - 1)];
    table.rows.push_back({speed_of(f.user_speed), speed_of(f.device_speed), count(double(f.concurrency)),
                          r.offers[f.device].device.id, layout_words(f.d, 0)});
    if (chooses_formats(r)) table.rows.back().push_back(format_words(p.model, f.d));
  }
  doc.blocks.push_back(table);
}

void PlanPage::misses() {
  std::vector<std::size_t> found = failing(r, p);
  if (found.empty()) return;
  doc.blocks.push_back(Heading{"Why not the others, the nearest first"});
  Facts facts;
  for (std::size_t i = 0; i < std::min(found.size(), rows_shown); ++i)
    facts.rows.push_back({r.offers[found[i]].device.id, reason(r, p.devices[found[i]].miss)});
  doc.blocks.push_back(facts);
  if (found.size() > rows_shown)
    doc.blocks.push_back(Paragraph{fmt::format("and {} more: --json", found.size() - rows_shown)});
}

void PlanPage::nearest_wish() {
  if (can_be_done(r, p)) return;
  bool unpriced = !p.unpriced.empty();
  if (!p.wishes.empty()) {
    doc.blocks.push_back(Heading{unpriced ? "Nothing whose price is known can do it. What could be, all else as asked"
                                          : "It can't be done. What could be, all else as asked"});
    doc.blocks.push_back(Notes{p.wishes});
  } else {
    doc.blocks.push_back(Heading{unpriced ? "The price of what could do it is not known" : "It can't be done"});
  }
}

void PlanPage::commands() {
  Notes notes;
  for (const std::vector<std::size_t>* offers : {&p.ranking, &p.unpriced})
    for (std::size_t i = 0; i < std::min(offers->size(), rows_shown); ++i)
      notes.lines.push_back("$ " + command_of(r, p, (*offers)[i]));
  if (notes.lines.empty()) return;
  doc.blocks.push_back(Heading{"The estimate behind each row"});
  if (r.demand.headroom > 0 || r.demand.spare > 0)
    doc.blocks.push_back(Paragraph{"With the headroom in use and the spare replicas down, as the times above."});
  doc.blocks.push_back(notes);
}

/// What all of the choices take at once, and where that is more than there is: each was planned as if alone.
std::string together(const PlanRequest& r, const std::vector<ModelPlan>& plans) {
  std::vector<i64> taken(r.offers.size(), 0);
  std::optional<double> total = 0.0;
  for (const ModelPlan& p : plans) {
    const std::vector<std::size_t>& able = p.ranking.empty() ? p.unpriced : p.ranking;
    if (!can_be_done(r, p)) continue;
    const Choice& c = *p.devices[able[0]].best;
    taken[able[0]] += c.devices();
    std::optional<double> cost = dollars(r.offers[able[0]], c);
    total = cost && total ? std::optional(*total + *cost) : std::nullopt;
  }
  std::string text, over;
  bool all = std::all_of(plans.begin(), plans.end(), [&](const ModelPlan& p) { return can_be_done(r, p); });
  for (std::size_t i = 0; i < taken.size(); ++i) {
    if (taken[i] == 0) continue;
    text += fmt::format("{}{} x {}",
                        !text.empty() ? ", "
                        : all         ? "All at once: "
                                      : "Those that can be served, at once: ",
                        taken[i], r.offers[i].device.id);
    if (r.owned && taken[i] > r.offers[i].most)
      over = fmt::format("; there are {} of {}", r.offers[i].most, r.offers[i].device.id);
  }
  if (text.empty()) return "All at once: nothing";
  if (total) text += fmt::format(", {}/h", money(*total));
  if (total && r.demand.dollars_per_hour && *total > *r.demand.dollars_per_hour) over += "; more than the budget";
  return text + over;
}

/// Several models: a line each.
void summary(const PlanRequest& r, const std::vector<ModelPlan>& plans, Document& doc) {
  doc.blocks.push_back(Heading{"For " + demand_words(r.demand)});
  doc.blocks.push_back(Facts{{{"limits", limit_words(r.demand)}, {"wanted", objective_words(r.objective)}}});
  Table table{{"~model", "~device", "count", "<layout", "<weights/KV", "TPOT", "$/h"}, {}};
  Notes reasons;
  for (const ModelPlan& p : plans) {
    const std::vector<std::size_t>& able = p.ranking.empty() ? p.unpriced : p.ranking;
    if (!can_be_done(r, p)) {
      std::vector<std::size_t> missed = failing(r, p);
      if (missed.empty()) {
        table.rows.push_back({p.model.id, "-", "", "", "", "", ""});
        reasons.lines.push_back(fmt::format("{}: no price is known of what could", p.model.id));
        continue;
      }
      std::size_t nearest = missed[0];
      table.rows.push_back({p.model.id, "-", "", "", "", "", ""});
      reasons.lines.push_back(
          fmt::format("{}: {}, {}", p.model.id, r.offers[nearest].device.id, reason(r, p.devices[nearest].miss)));
      continue;
    }
    const Choice& c = *p.devices[able[0]].best;
    std::optional<double> cost = dollars(r.offers[able[0]], c);
    table.rows.push_back({p.model.id, r.offers[able[0]].device.id, std::to_string(c.devices()),
                          layout_words(c.d, c.spare), format_words(p.model, c.d), duration(tpot_of(r, c.serving)),
                          cost ? fmt::format("{:.2f}", *cost) : "-"});
  }
  doc.blocks.push_back(table);
  doc.blocks.push_back(Paragraph{together(r, plans)});
  if (reasons.lines.empty()) return;
  doc.blocks.push_back(Heading{"What can't be served, and the nearest it came"});
  doc.blocks.push_back(reasons);
}

}  // namespace

std::string layout_words(const Deployment& d, i64 spare) {
  std::string one = fmt::format("tp {}{}", d.tp, d.pp > 1 ? fmt::format(" pp {}", d.pp) : "");
  return spare > 0 ? fmt::format("{}+{} x {}", d.dp, spare, one) : d.dp > 1 ? fmt::format("{} x {}", d.dp, one) : one;
}

std::string reason(const PlanRequest& r, const Miss& m) {
  std::string at = layout_words(m.d, 0);
  switch (m.obstacle) {
    case Obstacle::memory: return fmt::format("memory: {} short on each device at {}", size({m.best}), at);
    case Obstacle::ttft: return fmt::format("TTFT {} at best, at {}", duration({m.best}), at);
    case Obstacle::tpot:
      return fmt::format("TPOT {} at best, at {}{}", duration({m.best}), at,
                         m.link_share > 0.25 ? fmt::format(" (the link takes {})", percent(m.link_share)) : "");
    case Obstacle::devices:
      return fmt::format("needs {} devices of at most {}{}, at {}", count(m.best), count(m.limit),
                         r.owned ? "" : " (--max-devices)", at);
    case Obstacle::budget: return fmt::format("costs {}/h of at most {}/h", money(m.best), money(m.limit));
    default: return m.why;
  }
}

Document page_of(const PlanRequest& request, const std::vector<ModelPlan>& plans) {
  Document doc;
  doc.json = {{"schema_version", 1}, {"command", "plan"}, {"objective", objective_words(request.objective)}};
  if (plans.size() > 1) summary(request, plans, doc);
  for (const ModelPlan& plan : plans) {
    Document unused;
    PlanPage page{request, plan, plans.size() == 1 ? doc : unused};
    page.head();
    page.chosen();
    page.nearest_wish();
    page.table_of("The best of each device", plan.ranking, true);
    bool by_price = request.objective == Objective::cost || request.demand.dollars_per_hour;
    page.table_of(by_price ? "Without a known price" : "Without a known power", plan.unpriced, !by_price);
    page.front();
    page.misses();
    page.commands();
    add_rows(doc.csv, request, plan);
    doc.json["plans"].push_back(data_of(request, plan));
  }
  return doc;
}

}  // namespace kvroof
