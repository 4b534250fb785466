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

std::optional<Budget> missed_budget(const Scenario& scenario, const Judged& metric, const std::optional<double>& now) {
  for (const Budget& b : scenario.budgets)
    if (b.metric == &metric && !(now && b.met(*now))) return b;
  return std::nullopt;
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

/// Why an answer has no figure of the metric.
std::string why_missing(const Judged& metric, const Answer& answer) {
  auto figure = [&](const char* name) { return answer.figures[std::size_t(find_judged(name) - judged().data())]; };
  if (metric.metric->needs_load && !answer.loaded) return "needs a load (input, output, concurrency or rate)";
  if (figure("shortfall").value_or(0) > 0) return "it does not fit";
  if (metric.name == "cost" && figure("throughput")) return "the price is not known";
  if (answer.loaded) return "the load can't be served";
  return "there is none";
}

/// The metrics that both sides answer, or that only one does.
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

const Figures& no_figures() {
  static const Figures none(judged().size());
  return none;
}

ScenarioCheck check_of_new(const Scenario& scenario, const Figures& now) {
  ScenarioCheck check = check_of(scenario, no_figures(), now);
  check.outcome = std::max(check.outcome, Finding::added);
  check.one_sided = true;
  return check;
}

/// A scenario that only the older side answers; it is gone as a whole, and so is what it promised.
ScenarioCheck check_of_gone(const std::string& name, int line, const Figures& before, const std::string& why) {
  Scenario promises_nothing;
  promises_nothing.name = name;
  promises_nothing.line = line;
  ScenarioCheck check = check_of(promises_nothing, before, no_figures());
  check.outcome = Finding::gone;
  check.one_sided = true;
  check.error = why;
  return check;
}

/// Compares what two sides answer, scenario by scenario.
struct Sides {
  const Answers &before, &now;
  const CauseContext& context;
  Check check;
  Replay replay = {};
  Unanswered unanswered{context.file};

  static const Answer* answer_in(const Answers& answers, const std::string& name) {
    auto found = answers.by_name.find(name);
    return found == answers.by_name.end() ? nullptr : &found->second;
  }

  /// What can't be read is nobody's answer. What can't be answered is gone if nothing but its inputs changed since;
  /// in a new or edited scenario it is a mistake.
  const std::string* mistake(const Answer* was, const Answer& is) const {
    if (was && was->fault == Fault::unreadable) return &was->error;
    if (is.fault == Fault::none) return nullptr;
    bool was_answered = was && was->fault == Fault::none;
    bool gone = is.fault != Fault::unreadable && was_answered && was->options == is.options;
    return gone ? nullptr : &is.error;
  }

  /// A model or device that is not there any more is said at the scenario; it has no line of its own to point at.
  std::vector<Effect> causes_of_gone(const Scenario& s, const Answer& is) {
    if (is.fault == Fault::unanswerable) return causes_of_loss(s, before, now, context, replay, check.causes);
    check.causes.push_back({context.file.path, s.line, fmt::format("'{}': {}", s.name, first_line(is.error)), "", ""});
    return {{check.causes.size() - 1, {}}};
  }

  void gone(const Scenario& s, const Answer& was, const Answer& is) {
    ScenarioCheck one = check_of_gone(s.name, s.line, was.figures, first_line(is.error));
    std::vector<Effect> effects = causes_of_gone(s, is);
    for (MetricCheck& m : one.metrics) m.attribution.effects = effects;
    check.scenarios.push_back(one);
  }

  void both(const Scenario& s, const Answer& was, const Answer& is) {
    ScenarioCheck one = check_of(s, was.figures, is.figures);
    if (moved(one)) {
      std::vector<Attribution> moved_by = causes_of(s, before, now, context, replay, check.causes);
      for (MetricCheck& m : one.metrics) m.attribution = moved_by[std::size_t(m.metric - judged().data())];
    }
    std::stable_sort(one.metrics.begin(), one.metrics.end(), graver);
    check.scenarios.push_back(one);
  }

  void scenario(const Scenario& s) {
    const Answer *was = answer_in(before, s.name), &is = now.by_name.at(s.name);
    if (const std::string* error = mistake(was, is)) return unanswered.add(s, *error);
    if (is.fault != Fault::none)
      gone(s, *was, is);
    else if (was && was->fault == Fault::none)
      both(s, *was, is);
    else
      check.scenarios.push_back(check_of_new(s, is.figures));
    for (MetricCheck& m : check.scenarios.back().metrics)
      if (m.budget && !m.now) m.missing = why_missing(*m.metric, is);
  }
};

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
  Sides sides{before, now, context, {context.file.path, against, {}, {}}};
  for (const Scenario& s : context.file.scenarios) sides.scenario(s);
  sides.unanswered.throw_if_any();
  Check& check = sides.check;
  for (const auto& [name, answer] : before.by_name)
    if (!now.by_name.count(name))
      check.scenarios.push_back(check_of_gone(name, 0, answer.figures, "not in " + context.file.path + " any more"));
  std::stable_sort(check.scenarios.begin(), check.scenarios.end(), [](const auto& a, const auto& b) {
    if (a.outcome != b.outcome) return a.outcome > b.outcome;
    double first = a.metrics.empty() ? 0 : size_of(a.metrics[0]),
           second = b.metrics.empty() ? 0 : size_of(b.metrics[0]);
    return first > second;
  });
  return std::move(check);
}

}  // namespace kvroof
