#include "cli/engine_fit.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "cli/system_rows.h"
#include "core/hash.h"

namespace kvroof {
namespace {

constexpr EngineCost costs[] = {
    {"layer", true, 10e-6, 1e-3, [](const Engine& e) { return e.layer.value; },
     [](Engine& e, double v) { e.layer = {v}; }},
    {"moe_layer", true, 12e-6, 1e-3, [](const Engine& e) { return e.moe_layer.value; },
     [](Engine& e, double v) { e.moe_layer = {v}; }},
    {"sequence", true, 2e-6, 1e-3, [](const Engine& e) { return e.sequence.value; },
     [](Engine& e, double v) { e.sequence = {v}; }},
    {"sequence_layer", true, 0.2e-6, 1e-4, [](const Engine& e) { return e.sequence_layer.value; },
     [](Engine& e, double v) { e.sequence_layer = {v}; }},
    {"prefill_overlap", false, 0.05, 1, [](const Engine& e) { return e.prefill_overlap; },
     [](Engine& e, double v) { e.prefill_overlap = v; }},
};

struct ServedRows {
  std::vector<SystemRow> systems;
  FitTask task;
  std::vector<SystemRow> judging;
  std::vector<double> judging_measured;
};

Engine with_costs(Engine engine, const std::vector<double>& c) {
  for (std::size_t i = 0; i < std::size(costs); ++i) costs[i].set(engine, c[i]);
  return engine;
}

std::vector<double> errors_of(const ServedRows& r, const Engine& engine) {
  std::vector<double> errors;
  for (std::size_t i = 0; i < r.judging.size(); ++i)
    errors.push_back(std::abs(r.judging[i].per_token(engine).value / r.judging_measured[i] - 1));
  return errors;
}

EngineFit fit_one(ServedRows& r) {
  Engine engine = r.systems.front().setup.engine;
  for (const EngineCost& c : costs) {
    r.task.usual.push_back(c.usual);
    r.task.most.push_back(c.most);
  }
  r.task.weights.assign(r.task.ids.size(), 1);
  r.task.pull = 0.001;
  r.task.seconds = [&](const std::vector<double>& c, std::size_t i) {
    return r.systems[i].per_token(with_costs(engine, c)).value;
  };
  EngineFit f{with_costs(engine, search_constants(r.task, 90)), i64(r.systems.size()), i64(r.judging.size()), 0, 0, 0};
  std::vector<double> errors = errors_of(r, f.engine);
  f.error = quantile(errors, 0.5);
  f.error_p90 = quantile(errors, 0.9);
  f.error_before = quantile(errors_of(r, engine), 0.5);
  return f;
}

}  // namespace

std::span<const EngineCost> engine_costs() { return costs; }

std::vector<EngineFit> fit_engines(const std::vector<MeasuredTable>& tables, Names& names) {
  std::map<std::string, ServedRows> by_engine;
  for (const MeasuredTable& table : tables) {
    bool moe = table.has("silicon_tpot_ms");
    for (std::size_t i = 0; i < table.size(); ++i) {
      Row row{table, i};
      std::string skipped;
      if (!is_judged(row) || (!moe && !is_serving(row))) continue;
      std::optional<SystemRow> r = moe ? moe_row(row, names, skipped) : decode_row(row, names, skipped);
      std::optional<double> figure = row.number(moe ? "silicon_tpot_ms" : "tokens_per_s_total");
      if (!r || !r->load || !figure || *figure <= 0) continue;
      double measured = moe ? *figure * 1e-3 : r->sequences / *figure;
      ServedRows& rows = by_engine[r->setup.engine.id];
      if (fnv1a(row.text("id")) % 2 == 0) {
        rows.task.ids.push_back(row.text("id"));
        rows.task.measured.push_back(measured);
        rows.systems.push_back(std::move(*r));
      } else {
        rows.judging_measured.push_back(measured);
        rows.judging.push_back(std::move(*r));
      }
    }
  }
  std::vector<EngineFit> fits;
  for (auto& [id, rows] : by_engine)
    if (rows.systems.size() >= 20) fits.push_back(fit_one(rows));
  return fits;
}

}  // namespace kvroof
