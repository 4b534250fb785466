#include "cli/engine_fit.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <numeric>

#include "cli/system_rows.h"
#include "core/experts.h"
#include "core/hash.h"

namespace kvroof {
namespace {

constexpr EngineCost costs[] = {
    {"layer", true, ToldBy::all, 10e-6, 1e-3, [](const Engine& e) { return e.layer.value; },
     [](Engine& e, double v) { e.layer = {v}; }},
    {"moe_layer", true, ToldBy::experts, 12e-6, 1e-3, [](const Engine& e) { return e.moe_layer.value; },
     [](Engine& e, double v) { e.moe_layer = {v}; }},
    {"step", true, ToldBy::all, 400e-6, 1e-1, [](const Engine& e) { return e.step.value; },
     [](Engine& e, double v) { e.step = {v}; }},
    {"sequence", true, ToldBy::all, 2e-6, 1e-3, [](const Engine& e) { return e.sequence.value; },
     [](Engine& e, double v) { e.sequence = {v}; }},
    {"sequence_layer", true, ToldBy::all, 0.2e-6, 1e-4, [](const Engine& e) { return e.sequence_layer.value; },
     [](Engine& e, double v) { e.sequence_layer = {v}; }},
    {"prefill_overlap", false, ToldBy::loops, 0.05, 1, [](const Engine& e) { return e.prefill_overlap; },
     [](Engine& e, double v) { e.prefill_overlap = v; }},
    {"prompt_op", true, ToldBy::all, 50e-6, 1e-2, [](const Engine& e) { return e.prompt_op.value; },
     [](Engine& e, double v) { e.prompt_op = {v}; }},
    {"prompt_moe_layer", true, ToldBy::experts, 500e-6, 1e-1, [](const Engine& e) { return e.prompt_moe_layer.value; },
     [](Engine& e, double v) { e.prompt_moe_layer = {v}; }},
    {"request", true, ToldBy::loops, 30e-3, 1, [](const Engine& e) { return e.request.value; },
     [](Engine& e, double v) { e.request = {v}; }},
    {"expert_compute", false, ToldBy::experts, 0.5, 1, [](const Engine& e) { return e.expert_compute; },
     [](Engine& e, double v) { e.expert_compute = v; }},
};

/// Times to the first token scatter more. With many users they tell of queues, for which no cost is free.
constexpr double ttft_weight = 0.1;
constexpr double most_without_queue = 16;

/// One figure of a row: the time between two tokens or to the first.
struct Sample {
  std::shared_ptr<const SystemRow> row;
  bool first_token = false;
  double measured = 0;
  bool of_experts() const { return experts_of(row->setup.model) != nullptr; }
  double predicted(const Engine& engine) const {
    return (first_token ? row->benchmarked(engine).ttft : row->per_token(engine)).value;
  }
};

struct ServedRows {
  std::vector<Sample> fitting, judging;
  FitTask task;
};

Engine with_costs(Engine engine, const std::vector<double>& c) {
  for (std::size_t i = 0; i < std::size(costs); ++i) costs[i].set(engine, c[i]);
  return engine;
}

std::vector<double> errors_of(const ServedRows& r, const Engine& engine, bool first_token) {
  std::vector<double> errors;
  for (const Sample& s : r.judging)
    if (s.first_token == first_token) errors.push_back(std::abs(s.predicted(engine) / s.measured - 1));
  return errors;
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / double(values.size());
}

i64 rows_of(const std::vector<Sample>& samples) {
  return i64(std::count_if(samples.begin(), samples.end(), [](const Sample& s) { return !s.first_token; }));
}

EngineFit fit_one(ServedRows& r) {
  Engine engine = r.fitting.front().row->setup.engine;
  for (const EngineCost& c : costs) {
    r.task.usual.push_back(c.usual);
    r.task.most.push_back(c.most);
  }
  r.task.pull = 0.001;
  r.task.seconds = [&](const std::vector<double>& c, std::size_t i) {
    return r.fitting[i].predicted(with_costs(engine, c));
  };
  EngineFit f;
  f.engine = with_costs(engine, search_constants(r.task, 300));
  f.rows = rows_of(r.fitting);
  f.held_out = rows_of(r.judging);
  f.experts = std::any_of(r.fitting.begin(), r.fitting.end(), [](const Sample& s) { return s.of_experts(); });
  f.loops = std::any_of(r.fitting.begin(), r.fitting.end(), [](const Sample& s) { return s.row->load.has_value(); });
  std::vector<double> errors = errors_of(r, f.engine, false), first = errors_of(r, f.engine, true);
  f.error = quantile(errors, 0.5);
  f.error_p90 = quantile(errors, 0.9);
  f.error_before = quantile(errors_of(r, engine, false), 0.5);
  f.ttft_error = quantile(first, 0.5);
  f.ttft_error_p90 = quantile(first, 0.9);
  f.ttft_error_before = quantile(errors_of(r, engine, true), 0.5);
  return f;
}

}  // namespace

std::span<const EngineCost> engine_costs() { return costs; }

bool EngineFit::tells_of(const EngineCost& cost) const {
  return cost.told_by == ToldBy::all || (cost.told_by == ToldBy::experts ? experts : loops);
}

Spread spread_of(const LogErrors& logs) {
  Spread s;
  s.groups = i64(logs.size());
  std::vector<double> means;
  double squares = 0;
  for (const auto& [group, errors] : logs) {
    means.push_back(mean_of(errors));
    s.rows += i64(errors.size());
    for (double e : errors) squares += (e - means.back()) * (e - means.back());
  }
  if (s.groups < 2 || s.rows <= s.groups) return s;
  s.mean = mean_of(means);
  s.within = std::sqrt(squares / double(s.rows - s.groups));
  for (double m : means) s.between += (m - s.mean) * (m - s.mean);
  s.between = std::sqrt(s.between / double(s.groups - 1));
  return s;
}

/// Half of an 80 % interval, in standard deviations: of a row of another group, whose mean is as uncertain as theirs.
static double reach(const Spread& s) {
  constexpr double normal = 1.2816;
  if (s.groups == 0) return 0;
  return normal * std::sqrt(s.within * s.within + s.between * s.between * (1 + 1 / double(s.groups)));
}

double Spread::low() const { return std::exp(mean - reach(*this)); }
double Spread::high() const { return std::exp(mean + reach(*this)); }

ServedFit fit_served(const std::vector<MeasuredTable>& tables, Names& names) {
  std::map<std::string, ServedRows> by_engine;
  for (const MeasuredTable& table : tables) {
    bool moe = table.has("silicon_tpot_ms");
    for (std::size_t i = 0; i < table.size(); ++i) {
      Row row{table, i};
      std::string skipped;
      if (!is_judged(row)) continue;
      std::optional<SystemRow> r = moe ? moe_row(row, names, skipped) : decode_row(row, names, skipped);
      std::optional<double> figure = row.number(moe ? "silicon_tpot_ms" : "tokens_per_s_total");
      if (!r || !(r->load || r->prompts_first) || !figure || *figure <= 0) continue;
      const Setup& setup = r->setup;  // constants of kernels stay, so they have to be the device's own
      if (setup.engine.id == "ideal" || setup.device.achievable.basis != Basis::measured_kernels) continue;
      double measured = moe ? *figure * 1e-3 : r->sequences / *figure;
      ServedRows& rows = by_engine[r->setup.engine.id];
      bool fits = fnv1a(row.text("id")) % 2 == 0;
      auto shared = std::make_shared<const SystemRow>(std::move(*r));
      auto add = [&](bool first_token, double seconds) {
        (fits ? rows.fitting : rows.judging).push_back({shared, first_token, seconds});
        if (!fits) return;
        rows.task.ids.push_back(row.text("id"));
        rows.task.measured.push_back(seconds);
        bool queues = first_token && shared->load->concurrency > most_without_queue;
        rows.task.weights.push_back(queues ? 0 : first_token ? ttft_weight : 1);
      };
      add(false, measured);
      std::optional<double> ttft = row.number(moe ? "silicon_ttft_ms" : "ttft_ms");
      if (ttft && *ttft > 0 && shared->load) add(true, *ttft * 1e-3);
    }
  }
  ServedFit found;
  LogErrors dense, experts, dense_first, experts_first;
  for (auto& [id, rows] : by_engine) {
    if (rows.fitting.empty()) continue;
    Engine engine = rows.fitting.front().row->setup.engine;
    if (rows_of(rows.fitting) >= 20) {
      found.engines.push_back(fit_one(rows));
      engine = found.engines.back().engine;
    }
    for (const Sample& s : rows.fitting) {
      if (!s.row->load) continue;
      LogErrors& logs = s.first_token    ? (s.of_experts() ? experts_first : dense_first)
                        : s.of_experts() ? experts
                                         : dense;
      logs[id + "\n" + s.row->setup.device.id + "\n" + s.row->setup.model.id].push_back(
          std::log(s.measured / s.predicted(engine)));
    }
  }
  found.dense = spread_of(dense);
  found.experts = spread_of(experts);
  found.dense_first = spread_of(dense_first);
  found.experts_first = spread_of(experts_first);
  return found;
}

}  // namespace kvroof
