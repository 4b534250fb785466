// A check in the two forms CI systems read: JUnit's XML (GitLab, Jenkins, CircleCI, Azure, Buildkite) and GitHub's
// workflow commands. Both carry names from a file, so both escape.
#include <fmt/format.h>

#include "cli/check_report.h"
#include "render/svg.h"

namespace kvroof {
namespace {

constexpr std::size_t most_annotations = 10;

std::string replaced(const std::string& text, std::initializer_list<std::pair<char, std::string_view>> table) {
  std::string out;
  for (char c : text) {
    std::string_view put;
    for (const auto& [from, to] : table)
      if (c == from) put = to;
    if (put.empty())
      out += c;
    else
      out += put;
  }
  return out;
}

/// Line ends and tabs as references, which attributes keep; what XML 1.0 forbids is replaced.
std::string xml(std::string_view text) {
  constexpr std::pair<char, std::string_view> kept[] = {{'\n', "&#10;"}, {'\r', "&#13;"}, {'\t', "&#9;"}};
  std::string out;
  for (std::size_t end = 0; !text.empty(); text.remove_prefix(end)) {
    end = std::min(text.find_first_of("\n\r\t"), text.size());
    out += escaped(text.substr(0, end));
    for (const auto& [c, reference] : kept)
      if (end < text.size() && text[end] == c) out += reference;
    end += end < text.size();
  }
  return out;
}

std::string message_of(const std::string& text) { return replaced(text, {{'%', "%25"}, {'\r', "%0D"}, {'\n', "%0A"}}); }

std::string property_of(const std::string& text) {
  return replaced(text, {{'%', "%25"}, {'\r', "%0D"}, {'\n', "%0A"}, {':', "%3A"}, {',', "%2C"}});
}

/// The first cause that stands in a file, else the scenario itself.
std::pair<std::string, int> place_of(const ScenarioCheck& s, const Check& check) {
  for (const MetricCheck& m : s.metrics)
    for (const Effect& e : m.attribution.effects)
      if (const Cause& c = check.causes[e.cause]; !c.file.empty()) return {c.file, c.line};
  return {check.file, s.line};
}

bool warned(const ScenarioCheck& s) {
  return std::any_of(s.metrics.begin(), s.metrics.end(), [](const MetricCheck& m) { return m.warned; });
}

std::string annotation(const char* kind, const ScenarioCheck& s, const Check& check) {
  auto [file, line] = place_of(s, check);
  std::string place = "file=" + property_of(file) + (line > 0 ? fmt::format(",line={}", line) : "");
  return fmt::format("::{} {},title={}::{}\n", kind, place, property_of(s.name),
                     message_of(fmt::format("{}", fmt::join(sentences_of(s, check), "\n"))));
}

}  // namespace

std::string check_junit(const Check& check) {
  std::size_t failures = 0;
  std::string cases;
  for (const ScenarioCheck& s : check.scenarios) {
    cases += fmt::format("    <testcase classname=\"{}\" name=\"{}\" time=\"0\"", xml(check.file), xml(s.name));
    if (s.outcome == Finding::same) {
      cases += "/>\n";
      continue;
    }
    std::vector<std::string> lines = sentences_of(s, check);
    std::string text = xml(fmt::format("{}", fmt::join(lines, "\n")));
    if (fails(s.outcome)) {
      ++failures;
      cases += fmt::format(">\n      <failure message=\"{}\" type=\"{}\">{}</failure>\n    </testcase>\n",
                           xml(lines[0]), name_of(s.outcome), text);
    } else {
      cases += fmt::format(">\n      <system-out>{}</system-out>\n    </testcase>\n", text);
    }
  }
  std::string counts =
      fmt::format("tests=\"{}\" failures=\"{}\" errors=\"0\" time=\"0\"", check.scenarios.size(), failures);
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {0}>\n  <testsuite name=\"kvroof check\" {0}>\n{1}"
      "  </testsuite>\n</testsuites>\n",
      counts, cases);
}

std::string check_annotations(const Check& check) {
  std::string out;
  std::size_t errors = 0, warnings = 0;
  for (const ScenarioCheck& s : check.scenarios)
    if (fails(s.outcome) && errors++ < most_annotations)
      out += annotation("error", s, check);
    else if (!fails(s.outcome) && warned(s) && warnings++ < most_annotations)
      out += annotation("warning", s, check);
  return out + fmt::format("kvroof check against {}: {}\n", check.against, summary_of(check));
}

}  // namespace kvroof
