#include "cli/interface.h"

#include <CLI/CLI.hpp>

namespace kvroof {
namespace {

/// CLI11 describes a set of allowed values as `TEXT:{auto,always,never}`.
std::vector<std::string> choices_of(const CLI::Option& option) {
  std::string type = option.get_type_name();
  std::size_t begin = type.find('{'), end = type.find('}');
  if (begin == std::string::npos || end == std::string::npos) return {};
  return CLI::detail::split(type.substr(begin + 1, end - begin - 1), ',');
}

OptionInfo info_of(const CLI::Option& option) {
  OptionInfo info{
      option.get_lnames(), option.get_snames(), "", option.get_description(), option.get_positional(), false, {}};
  if (info.positional) info.longs = {option.get_name()};
  if (option.get_expected_max() > 0) info.value = option.get_option_text();
  if (option.get_expected_max() > 0 && info.value.empty()) info.value = "VALUE";
  info.repeated = option.get_expected_max() > 1;
  info.choices = choices_of(option);
  return info;
}

}  // namespace

std::vector<OptionInfo> options_of(const CLI::App& command) {
  std::vector<OptionInfo> options;
  for (const CLI::Option* option : command.get_options()) options.push_back(info_of(*option));
  return options;
}

std::vector<CommandInfo> interface_of(const CLI::App& root) {
  std::vector<CommandInfo> commands;
  for (const CLI::App* app : root.get_subcommands([](const CLI::App*) { return true; })) {
    std::string text = app->get_description();
    std::size_t end = std::min(text.find('\n'), text.size());
    CommandInfo command{app->get_name(), text.substr(0, end), "", options_of(*app)};
    if (std::size_t below = text.find_first_not_of('\n', end); below != std::string::npos)
      command.examples = text.substr(below);
    commands.push_back(command);
  }
  return commands;
}

std::string kind_of(const OptionInfo& option, const CommandInfo& command) {
  std::string value = option.value.substr(0, option.value.find_first_of("[."));
  if (value == "MODEL") return "models";
  if (value == "HARDWARE") return "hardware";
  if (value == "ENGINE") return "engines";
  if (value == "FORMAT") return "formats";
  if (value == "NAME" || value == "ACTION")
    return command.name == "models" || command.name == "hardware" || command.name == "engines" ? command.name : "";
  for (const char* file : {"FILE", "PATH", "LOG", "SCENARIOS"})
    if (value == file) return "files";
  return "";
}

}  // namespace kvroof
