// A file of scenarios: questions in the words of `estimate`, with what each answer may do and must meet.
//
//   tolerances: {tpot: 2%}                   of all scenarios
//   scenarios:
//     - name: chat on 4 x H100
//       model: llama-3.1-70b                 a name, or a file beside this one
//       hardware: h100-sxm
//       tp: 4                                any option of estimate, without its dashes
//       budgets: {fits: 64 sequences, tpot: < 30ms}
//       tolerances: {throughput: {warn: 2%, error: 5%, direction: higher}}
#pragma once

#include <map>
#include <string>
#include <vector>

#include "catalog/record.h"
#include "cli/command_line.h"
#include "cli/setup_options.h"
#include "cli/tolerance.h"

namespace kvroof {

/// A key of the file's own, beside the options of `estimate`.
struct ScenarioKey {
  const char* name;
  const char* what;
};
inline constexpr ScenarioKey file_keys[] = {{"scenarios", "the questions, at least one"},
                                            {"tolerances", "of all scenarios, by metric"}};
inline constexpr ScenarioKey scenario_keys[] = {{"name", "stands in reports and in the baseline; each once"},
                                                {"budgets", "what a metric must meet, whatever the baseline says"},
                                                {"tolerances", "how much a metric may move; exact unless said here"}};
inline constexpr ScenarioKey tolerance_keys[] = {{"warn", "more than this is a warning"},
                                                 {"error", "more than this fails; beside a warn alone, nothing does"},
                                                 {"direction", "the way the metric may move freely"}};
inline constexpr const char* needed_keys[] = {"name", "model", "hardware"};

struct Scenario {
  std::string name;
  int line = 0;                             ///< where it starts, from 1
  Json options = Json::object();            ///< option -> text, in the file's order
  std::map<std::string, int> option_lines;  ///< from 1
  std::vector<Budget> budgets;
  std::map<const Judged*, Tolerance> tolerances;
};

struct ScenarioFile {
  std::string path;
  std::vector<Scenario> scenarios;
};

/// Throws InputError with all problems of the file at their places.
ScenarioFile read_scenarios(const std::string& path);

/// Reads options by name through the command line's own table, so that they mean what they mean there.
class OptionReader {
 public:
  OptionReader();
  OptionReader(const OptionReader&) = delete;  // what is read goes into a member
  /// Throws InputError.
  SetupOptions read(const Json& options);
  const std::vector<Option>& options() const { return line_.options; }

 private:
  SetupOptions setup_;
  CommandLine line_;
  CommandLineReader reader_;
};

}  // namespace kvroof
