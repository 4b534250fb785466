// `kvroof config`: the settings in force and where each came from.
#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/settings.h"

namespace kvroof {
namespace {

/// Of several settings of one key the first stands; the others are what it hides.
Document page_of(const std::vector<Setting>& settings) {
  Document doc;
  doc.json = {{"schema_version", 1}, {"command", "config"}, {"settings", Json::array()}, {"files", Json::array()}};
  doc.csv.columns = {"command", "key", "value", "from", "over"};
  Table table{{"<key", "<of", "~value", "<from", "~over"}, {}};
  for (std::size_t i = 0; i < settings.size(); ++i) {
    const Setting& s = settings[i];
    auto same = [&](const Setting& other) { return other.key == s.key && other.command == s.command; };
    if (std::any_of(settings.begin(), settings.begin() + i64(i), same)) continue;
    std::vector<std::string> over;
    for (std::size_t k = i + 1; k < settings.size(); ++k)
      if (same(settings[k])) over.push_back(settings[k].from);
    std::string values = fmt::format("{}", fmt::join(s.values, ", ")),
                hidden = fmt::format("{}", fmt::join(over, ", "));
    std::string of = s.command.empty() ? "all" : s.command;
    table.rows.push_back({s.key, of, values, s.from, hidden});
    doc.csv.rows.push_back({s.command, s.key, values, s.from, hidden});
    doc.json["settings"].push_back(
        {{"command", s.command}, {"key", s.key}, {"values", s.values}, {"from", s.from}, {"over", over}});
  }
  if (table.rows.empty())
    doc.blocks.push_back(Paragraph{"Nothing is set; every option has its built-in default."});
  else
    doc.blocks.push_back(table);
  Notes notes{{"a flag goes before KVROOF_OPTION, that before .kvroof.yaml, that before the user's file"}};
  for (const auto& [path, there] : settings_files()) {
    notes.lines.push_back(path + (there ? "" : ": not there"));
    doc.json["files"].push_back({{"path", path}, {"exists", there}});
  }
  doc.blocks.push_back(Heading{"Notes"});
  doc.blocks.push_back(notes);
  return doc;
}

}  // namespace

void add_config(CommandLine& line) {
  auto o = std::make_shared<OutputOptions>();
  line.examples =
      "  kvroof config\n  echo 'engine: sglang' > .kvroof.yaml; kvroof config\n"
      "  KVROOF_KV_DTYPE=fp8 kvroof config --json\n\n"
      "Keys are options without their dashes;\n'estimate: {context: 8k}' is for one command.";
  add_options(line, *o);
  line.run = [o] {
    print(page_of(settings()), *o);
    return 0;
  };
}

}  // namespace kvroof
