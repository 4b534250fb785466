// `kvroof schema`: a JSON Schema of one of the files people write, for their editor.
#include <iostream>
#include <memory>

#include "catalog/schema.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/schemas.h"

namespace kvroof {
namespace {

using Commands = std::vector<CommandLine>;

constexpr std::string_view of_models[] = {"models"};
constexpr std::string_view of_hardware[] = {"devices", "classes", "kernels", "ranges", "engines"};
constexpr std::string_view of_both[] = {"models", "devices", "classes", "kernels", "ranges", "engines"};

constexpr struct {
  const char* name;
  Json (*schema)(const Commands& commands);
} files[] = {
    {"models", [](const Commands&) { return catalogue_schema("models.yaml of kvroof", of_models); }},
    {"hardware", [](const Commands&) { return catalogue_schema("hardware.yaml of kvroof", of_hardware); }},
    {"catalogue", [](const Commands&) { return catalogue_schema("a catalogue of kvroof", of_both); }},
    {"scenarios", [](const Commands&) { return scenarios_schema(); }},
    {"config", [](const Commands& commands) { return settings_schema(commands); }},
};

}  // namespace

void add_schema(CommandLine& line) {
  auto what = std::make_shared<std::string>();
  line.examples =
      "  kvroof schema scenarios > scenarios.schema.json\n\n"
      "models and hardware are the two files of the catalogue, catalogue a file with\n"
      "entries of both, scenarios what 'check' reads, config .kvroof.yaml. An installed\n"
      "package has them in share/kvroof/schema. A file names its schema to the editor\n"
      "in its first line:\n\n"
      "  # yaml-language-server: $schema=/usr/share/kvroof/schema/config.schema.json";
  std::vector<std::string> names;
  for (const auto& file : files) names.emplace_back(file.name);
  line.option("file", what.get(), "models, hardware, catalogue, scenarios or config")
      .required()
      .one_of(names)
      .metavar("WHAT");
  line.run = [what] {
    for (const auto& file : files)
      if (*what == file.name) std::cout << file.schema(command_lines()).dump(1) << std::endl;
    return 0;
  };
}

}  // namespace kvroof
