#include "cli/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kvroof {
namespace {

const Tolerance& tolerance_of(const Scenario& scenario, const Judged& metric) {
  static const Tolerance exact;
  auto found = scenario.tolerances.find(&metric);
  return found == scenario.tolerances.end() ? exact : found->second;
}

const Budget* missed_budget(const Scenario& scenario, const Judged& metric, const std::optional<double>& now) {
  for (const Budget& b : scenario.budgets)
    if (b.metric == &metric && !(now && b.met(*now))) return &b;
  return nullptr;
}

Finding outcome_of(const Scenario& scenario, const MetricCheck& m) {
  if (m.budget) return Finding::broken;
  if (!m.before && !m.now) return Finding::same;
  if (!m.before) return Finding::added;
  if (!m.now) return Finding::gone;
  switch (judge(*m.metric, tolerance_of(scenario, *m.metric), *m.before, *m.now)) {
    case Verdict::same: return Finding::same;
    case Verdict::within: return Finding::within;
    case Verdict::better: return Finding::better;
    case Verdict::worse: return Finding::worse;
  }
  return Finding::same;
}

double size_of(const MetricCheck& m) { return std::abs(m.relative().value_or(m.before || m.now ? 1e300 : 0)); }

bool graver(const MetricCheck& a, const MetricCheck& b) {
  if (a.outcome != b.outcome) return a.outcome > b.outcome;
  return size_of(a) > size_of(b);
}

/// The metrics of one scenario that both sides answer, or that only one does.
ScenarioCheck check_of(const Scenario& scenario, const Figures& before, const Figures& now) {
  ScenarioCheck check{scenario.name, scenario.line};
  for (std::size_t i = 0; i < judged().size(); ++i) {
    const Judged& metric = judged()[i];
    MetricCheck m{&metric, before[i], now[i]};
    m.budget = missed_budget(scenario, metric, m.now);
    m.outcome = outcome_of(scenario, m);
    m.warned = m.before && m.now && warns(metric, tolerance_of(scenario, metric), *m.before, *m.now);
    check.outcome = std::max(check.outcome, m.outcome);
    if (m.outcome != Finding::same) check.metrics.push_back(m);
  }
  return check;
}

bool moved(const ScenarioCheck& check) {
  return std::any_of(check.metrics.begin(), check.metrics.end(),
                     [](const MetricCheck& m) { return m.before != m.now; });
}

/// First line of a message, which the place and the rest of the report complete.
std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

/// A scenario without an answer on one side.
ScenarioCheck one_sided(const Scenario& scenario, const Answer* before, const Answer* now, const CauseContext& context,
                        std::vector<Cause>& causes) {
  Figures none(judged().size());
  bool gone = !now || !now->error.empty();
  ScenarioCheck check = check_of(scenario, gone ? before->figures : none, gone ? none : now->figures);
  check.outcome = gone ? Finding::gone : std::max(check.outcome, Finding::added);
  if (!now) {
    check.error = "not in " + context.file.path + " any more";
    return check;
  }
  if (!gone) return check;
  check.error = first_line(now->error);
  std::size_t cause = causes.size();
  causes.push_back({context.file.path, scenario.line, fmt::format("'{}': {}", scenario.name, check.error), "", ""});
  for (MetricCheck& m : check.metrics) m.attribution.effects.push_back({cause, {}});
  return check;
}

}  // namespace

std::optional<double> MetricCheck::relative() const {
  if (!before || !now) return std::nullopt;
  if (*before == *now) return 0.0;
  return *before == 0 ? std::nullopt : std::optional(*now / *before - 1);
}

int Check::count(Finding outcome) const {
  return int(
      std::count_if(scenarios.begin(), scenarios.end(), [&](const ScenarioCheck& s) { return s.outcome == outcome; }));
}

bool Check::passes() const {
  return std::none_of(scenarios.begin(), scenarios.end(), [](const ScenarioCheck& s) { return fails(s.outcome); });
}

const char* name_of(Finding outcome) {
  constexpr const char* names[] = {"same", "within tolerance", "new", "better", "worse", "gone", "budget missed"};
  return names[int(outcome)];
}

Check compare(const Answers& before, const Answers& now, const CauseContext& context, const std::string& against) {
  Check check{context.file.path, against, {}, {}};
  Replay replay;
  std::string unanswered;
  for (const Scenario& s : context.file.scenarios) {
    auto was = before.by_name.find(s.name);
    const Answer* old = was == before.by_name.end() || !was->second.error.empty() ? nullptr : &was->second;
    const Answer& fresh = now.by_name.at(s.name);
    if (!old && !fresh.error.empty()) {
      unanswered += error_at(context.file, s, fresh.error);
      continue;
    }
    if (!old || !fresh.error.empty()) {
      check.scenarios.push_back(one_sided(s, old, &fresh, context, check.causes));
      continue;
    }
    ScenarioCheck one = check_of(s, old->figures, fresh.figures);
    if (moved(one)) {
      std::vector<Attribution> moved_by = causes_of(s, before, now, context, replay, check.causes);
      for (MetricCheck& m : one.metrics) m.attribution = moved_by[std::size_t(m.metric - judged().data())];
    }
    std::stable_sort(one.metrics.begin(), one.metrics.end(), graver);
    check.scenarios.push_back(one);
  }
  if (!unanswered.empty()) throw InputError{unanswered};
  for (const auto& [name, answer] : before.by_name) {
    Scenario left_out;
    left_out.name = name;
    if (!now.by_name.count(name))
      check.scenarios.push_back(one_sided(left_out, &answer, nullptr, context, check.causes));
  }
  std::stable_sort(check.scenarios.begin(), check.scenarios.end(), [](const auto& a, const auto& b) {
    if (a.outcome != b.outcome) return a.outcome > b.outcome;
    double first = a.metrics.empty() ? 0 : size_of(a.metrics[0]),
           second = b.metrics.empty() ? 0 : size_of(b.metrics[0]);
    return first > second;
  });
  return check;
}

}  // namespace kvroof
