// A plan as data: every device, every point of the front, every miss, in base units.
#include "cli/describe.h"
#include "cli/plan_page.h"

namespace kvroof {
namespace {

const char* name_of(Obstacle o) {
  constexpr const char* names[] = {"none", "layout", "memory", "ttft", "tpot", "devices", "budget"};
  return names[int(o)];
}

Json json_of_choice(const PlanRequest& r, const ModelPlan& p, std::size_t offer) {
  const Choice& c = *p.devices[offer].best;
  const Serving& s = c.serving;
  Json j = {{"hardware", r.offers[offer].device.id},
            {"devices", c.devices()},
            {"replicas", c.d.dp},
            {"spare_replicas", c.spare},
            {"tp", c.d.tp},
            {"pp", c.d.pp},
            {"weights", weight_format_of(p.model, c.d)},
            {"kv_dtype", cache_format_of(c.d.cache)},
            {"engine", r.offers[offer].engine.id},
            {"tpot_seconds", s.tpot.value},
            {"tpot_low_seconds", s.tpot_low.value},
            {"tpot_high_seconds", s.tpot_high.value}};
  if (r.demand.serves()) {
    j["ttft_seconds"] = s.ttft.value;
    j["ttft_low_seconds"] = s.ttft_low.value;
    j["ttft_high_seconds"] = s.ttft_high.value;
  }
  j["tokens_per_second"] = s.tokens_per_second;
  j["usual_tokens_per_second"] = c.usual.tokens_per_second;
  if (std::optional<double> cost = dollars(r.offers[offer], c)) {
    j["dollars_per_hour"] = *cost;
    j["dollars_per_million_tokens"] = *token_cost(r.offers[offer], c);
  }
  if (std::optional<double> energy = token_energy(r.offers[offer], c)) j["joules_per_token"] = *energy;
  j["basis"] = name_of(s.basis);
  j["command"] = command_of(r, p, offer);
  return j;
}

Json json_of_front(const PlanRequest& r, const ModelPlan& p) {
  Json front = Json::array();
  for (const FrontPoint& f : front_of(p))
    front.push_back({{"hardware", r.offers[f.device].device.id},
                     {"tp", f.d.tp},
                     {"pp", f.d.pp},
                     {"weights", weight_format_of(p.model, f.d)},
                     {"kv_dtype", cache_format_of(f.d.cache)},
                     {"concurrency", f.concurrency},
                     {"tokens_per_second_per_user", f.user_speed},
                     {"tokens_per_second_per_device", f.device_speed},
                     {"ttft_seconds", f.ttft.value}});
  return front;
}

Json json_of_misses(const PlanRequest& r, const ModelPlan& p) {
  Json misses = Json::array();
  for (std::size_t i : failing(r, p)) {
    const Miss& m = p.devices[i].miss;
    misses.push_back({{"hardware", r.offers[i].device.id},
                      {"obstacle", name_of(m.obstacle)},
                      {"reason", reason(r, m)},
                      {"best", m.best},
                      {"limit", m.limit},
                      {"tp", m.d.tp},
                      {"pp", m.d.pp}});
  }
  return misses;
}

}  // namespace

Json data_of(const PlanRequest& r, const ModelPlan& p) {
  Json json = {{"model", p.model.id}, {"choices", Json::array()}, {"unpriced", Json::array()}};
  for (std::size_t i : p.ranking) json["choices"].push_back(json_of_choice(r, p, i));
  for (std::size_t i : p.unpriced) json["unpriced"].push_back(json_of_choice(r, p, i));
  json["front"] = json_of_front(r, p);
  json["misses"] = json_of_misses(r, p);
  json["nearest"] = p.wishes;
  return json;
}

void add_rows(Table& csv, const PlanRequest& r, const ModelPlan& p) {
  static constexpr const char* keys[] = {"hardware",
                                         "devices",
                                         "replicas",
                                         "spare_replicas",
                                         "tp",
                                         "pp",
                                         "weights",
                                         "kv_dtype",
                                         "tpot_seconds",
                                         "tpot_high_seconds",
                                         "ttft_seconds",
                                         "tokens_per_second",
                                         "dollars_per_hour",
                                         "dollars_per_million_tokens",
                                         "joules_per_token",
                                         "command"};
  if (csv.columns.empty()) {
    csv.columns = {"model"};
    for (const char* key : keys) csv.columns.emplace_back(key);
  }
  for (const std::vector<std::size_t>* offers : {&p.ranking, &p.unpriced})
    for (std::size_t i : *offers) {
      Json j = json_of_choice(r, p, i);
      std::vector<std::string> row = {p.model.id};
      for (const char* key : keys)
        row.push_back(!j.contains(key) ? "" : j[key].is_string() ? j[key].get<std::string>() : j[key].dump());
      csv.rows.push_back(std::move(row));
    }
}

}  // namespace kvroof
