// The page of a check: how many of each outcome, the causes, then the changes, worst first and the rest folded.
#include <fmt/format.h>

#include <set>

#include "cli/check_report.h"
#include "render/number.h"

namespace kvroof {
namespace {

constexpr std::size_t largest_comment = 64000;  // GitHub takes 65,536 characters
constexpr std::size_t rows_of_scenario = 3;     // the rest mostly follows from the worst

/// Names come from a file; a line break would break the table.
std::string one_line(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 32) c = ' ';
  return text;
}

std::string signed_percent(double share) { return (share > 0 ? "+" : "") + percent(share); }

std::string change_of(const MetricCheck& m) {
  std::optional<double> share = m.relative();
  return share ? signed_percent(*share) : m.before && m.now ? "from 0" : "";
}

std::string value_of(const MetricCheck& m, const std::optional<double>& value) {
  return value ? judged_text(*m.metric, *value) : "-";
}

std::string outcome_word(const MetricCheck& m) { return m.warned ? "warning" : name_of(m.outcome); }

/// `1, 3`: the numbers of the causes.
std::string numbers_of(const Attribution& moved_by) {
  std::string out;
  for (const Effect& e : moved_by.effects) out += (out.empty() ? "" : ", ") + std::to_string(e.cause + 1);
  return out;
}

std::string effect_text(const MetricCheck& m, const std::optional<double>& change) {
  if (!change) return "";
  return m.before && *m.before != 0 ? signed_percent(*change / *m.before)
                                    : (*change < 0 ? "-" : "+") + judged_text(*m.metric, std::abs(*change));
}

/// `+8.9 % by 1, -3 % by 2, +0.1 % together`.
std::string split_text(const MetricCheck& m) {
  std::string out;
  for (const Effect& e : m.attribution.effects) {
    std::string effect = effect_text(m, e.change);
    out += fmt::format("{}{}{}", out.empty() ? "" : ", ", effect.empty() ? "" : effect + " by ", e.cause + 1);
  }
  if (m.attribution.together != 0) out += ", " + effect_text(m, m.attribution.together) + " together";
  return out;
}

void causes(const Check& check, Document& doc) {
  std::vector<std::set<std::string>> scenarios(check.causes.size());
  for (const ScenarioCheck& s : check.scenarios)
    for (const MetricCheck& m : s.metrics)
      for (const Effect& e : m.attribution.effects) scenarios[e.cause].insert(s.name);
  Facts facts;
  doc.json["causes"] = Json::array();
  for (std::size_t i = 0; i < check.causes.size(); ++i) {
    const Cause& c = check.causes[i];
    std::size_t n = scenarios[i].size();
    facts.rows.push_back(
        {std::to_string(i + 1), one_line(fmt::format("{}  ({} scenario{})", c.text(), n, n == 1 ? "" : "s"))});
    Json json = {{"what", c.what}, {"before", c.before}, {"now", c.now}, {"scenarios", n}};
    if (!c.file.empty()) json["file"] = c.file;
    if (c.line > 0) json["line"] = c.line;
    doc.json["causes"].push_back(json);
  }
  if (facts.rows.empty()) return;
  doc.blocks.push_back(Heading{"Causes"});
  doc.blocks.push_back(facts);
}

Json json_of(const MetricCheck& m) {
  Json j = {{"metric", m.metric->key}, {"outcome", name_of(m.outcome)}};
  if (m.before) j["before"] = *m.before;
  if (m.now) j["now"] = *m.now;
  if (std::optional<double> share = m.relative()) j["relative"] = *share;
  if (m.warned) j["warned"] = true;
  if (m.budget) j["budget"] = m.budget->text;
  if (!m.missing.empty()) j["missing"] = m.missing;
  j["causes"] = Json::array();
  for (const Effect& e : m.attribution.effects) {
    Json effect = {{"cause", e.cause + 1}};
    if (e.change) effect["change"] = *e.change;
    j["causes"].push_back(effect);
  }
  if (m.attribution.together != 0) j["together"] = m.attribution.together;
  return j;
}

/// A scenario that came or went is one row, unless it misses a budget.
bool is_whole(const ScenarioCheck& s) { return s.one_sided && s.outcome != Finding::broken; }

struct Rows {
  Table table{{"~scenario", "<metric", "before", "now", "change", "<outcome", "<cause"}, {}};
  Notes splits, budgets;
  std::size_t left_out = 0;
};

void add_rows(const ScenarioCheck& s, std::size_t most, Rows& rows) {
  std::string name = one_line(s.name);
  if (is_whole(s)) {
    if (rows.table.rows.size() >= most) return void(++rows.left_out);
    std::string cause = s.metrics.empty() ? "" : numbers_of(s.metrics[0].attribution);
    rows.table.rows.push_back({name, "all", "", "", "", name_of(s.outcome), cause});
    return;
  }
  std::size_t shown = 0;
  for (const MetricCheck& m : s.metrics) {
    bool folded = most != all_rows && !m.budget && shown++ >= rows_of_scenario;
    if (folded || rows.table.rows.size() >= most) {
      ++rows.left_out;
      continue;
    }
    rows.table.rows.push_back({name, m.metric->name, value_of(m, m.before), value_of(m, m.now), change_of(m),
                               outcome_word(m), numbers_of(m.attribution)});
    if (m.attribution.effects.size() > 1)
      rows.splits.lines.push_back(name + " " + m.metric->name + ": " + split_text(m));
    if (m.budget)
      rows.budgets.lines.push_back(fmt::format("{} {}: {}, asked for {}", name, m.metric->name,
                                               m.now ? value_of(m, m.now) : m.missing, m.budget->text));
  }
}

void changes(const Check& check, std::size_t most, std::string_view way_to_all, Document& doc) {
  Rows rows;
  doc.json["scenarios"] = Json::array();
  for (const ScenarioCheck& s : check.scenarios) {
    if (s.outcome == Finding::same) continue;
    add_rows(s, most, rows);
    Json json = {{"name", s.name}, {"outcome", name_of(s.outcome)}};
    if (s.line > 0) json["line"] = s.line;
    if (!s.error.empty()) json["error"] = s.error;
    json["metrics"] = Json::array();
    for (const MetricCheck& m : s.metrics) {
      json["metrics"].push_back(json_of(m));
      auto number = [](const std::optional<double>& v) { return v ? fmt::format("{}", *v) : std::string(); };
      doc.csv.rows.push_back(
          {s.name, m.metric->key, number(m.before), number(m.now), number(m.relative()), name_of(m.outcome),
           m.budget ? m.budget->text : "",
           m.attribution.effects.empty() ? "" : check.causes[m.attribution.effects[0].cause].text()});
    }
    doc.json["scenarios"].push_back(json);
  }
  auto section = [&](const char* title, const Notes& notes) {
    if (notes.lines.empty()) return;
    doc.blocks.push_back(Heading{title});
    doc.blocks.push_back(notes);
  };
  section("Budgets missed", rows.budgets);
  if (rows.table.rows.empty()) return;
  doc.blocks.push_back(Heading{"Changes, worst first"});
  doc.blocks.push_back(rows.table);
  if (rows.left_out > 0)
    doc.blocks.push_back(Paragraph{fmt::format("  and {} more; {}", count(double(rows.left_out)), way_to_all)});
  section("Several causes, each alone", rows.splits);
}

}  // namespace

std::string summary_of(const Check& check) {
  std::string out;
  for (int o = int(Finding::broken); o >= 0; --o)
    if (int n = check.count(Finding(o)); n > 0)
      out += fmt::format("{}{} {}", out.empty() ? "" : ", ", count(n), name_of(Finding(o)));
  return out;
}

std::string sentence_of(const MetricCheck& m) {
  std::string change = change_of(m);
  std::string text = fmt::format("{} {}: {} -> {}{}", m.metric->name, outcome_word(m), value_of(m, m.before),
                                 value_of(m, m.now), change.empty() ? "" : " (" + change + ")");
  if (!m.missing.empty()) text += ", " + m.missing;
  return m.budget ? text + ", asked for " + m.budget->text : text;
}

std::vector<std::string> sentences_of(const ScenarioCheck& s, const Check& check) {
  std::vector<std::string> lines;
  std::vector<std::size_t> named;
  if (is_whole(s)) lines.push_back(s.error.empty() ? "not in " + check.against : s.error);
  for (const MetricCheck& m : s.metrics) {
    if (fails(s.outcome) && m.outcome == Finding::within && !m.warned) continue;
    if (!is_whole(s)) lines.push_back(sentence_of(m));
    for (const Effect& e : m.attribution.effects)
      if (std::find(named.begin(), named.end(), e.cause) == named.end()) named.push_back(e.cause);
  }
  for (std::size_t cause : named)
    if (const Cause& c = check.causes[cause]; !(is_whole(s) && c.before.empty() && c.now.empty()))
      lines.push_back("because " + c.text());  // what is gone has said its error
  return lines;
}

Document check_page(const Check& check, std::size_t rows, std::string_view way_to_all) {
  Document doc;
  doc.json = {{"schema_version", 1},      {"command", "check"},       {"scenarios_file", check.file},
              {"against", check.against}, {"passes", check.passes()}, {"counts", Json::object()}};
  for (int o = 0; o <= int(Finding::broken); ++o) doc.json["counts"][name_of(Finding(o))] = check.count(Finding(o));
  doc.csv.columns = {"scenario", "metric", "before", "now", "relative", "outcome", "budget", "cause"};
  std::size_t n = check.scenarios.size();
  doc.blocks.push_back(Heading{fmt::format("{} scenario{} against {}: {}", count(double(n)), n == 1 ? "" : "s",
                                           check.against, summary_of(check))});
  causes(check, doc);
  changes(check, rows, way_to_all, doc);
  return doc;
}

std::string check_markdown(const Check& check) {
  for (std::size_t rows = 200;; rows /= 2) {
    std::string text = render(check_page(check, rows, "'kvroof check --all' shows them"), OutputFormat::markdown, {});
    if (text.size() <= largest_comment) return text;
    if (rows == 0) return text.substr(0, text.rfind('\n', largest_comment) + 1);
  }
}

}  // namespace kvroof
