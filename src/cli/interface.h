// The program's own interface as data, read off its App: what completions, the manual and settings are made from.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace kvroof {

struct OptionInfo {
  std::vector<std::string> longs, shorts;  ///< without dashes; of a positional, its name
  std::string value;                       ///< what --help calls it: `TOKENS`; empty for a flag
  std::string what;
  bool positional = false;
  bool repeated = false;  ///< takes more than one value
  std::vector<std::string> choices;
};

struct CommandInfo {
  std::string name;
  std::string summary;   ///< its first line
  std::string examples;  ///< what --help says below that
  std::vector<OptionInfo> options;
};

/// The options of one command, in the order they were added.
std::vector<OptionInfo> options_of(const CLI::App& command);

/// The commands of the whole program, in the order of --help.
std::vector<CommandInfo> interface_of(const CLI::App& root);

/// What can stand for a value: `models`, `hardware`, `engines`, `formats`, `files` or nothing we know.
std::string kind_of(const OptionInfo& option, const CommandInfo& command);

}  // namespace kvroof
