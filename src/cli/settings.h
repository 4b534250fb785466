// Where an option's value may come from besides the command line, and in which order.
//
// A flag, then KVROOF_OPTION in the environment, then .kvroof.yaml of this folder or the nearest above it, then the
// user's config.yaml, then what is built in. Keys are the options' own names; in a file a command's name may hold a
// mapping for that command alone. A key nobody knows is an error at its place: a typo must not pass for a setting.
#pragma once

#include <string>
#include <vector>

#include "cli/command_line.h"

namespace kvroof {

struct Setting {
  std::string command;  ///< empty: all that have the option
  std::string key;
  std::vector<std::string> values;
  std::string from;  ///< `KVROOF_TP`, `.kvroof.yaml:3`
};

/// Whether a file or the environment may give the option: actions are no settings.
bool is_setting(const Option& option);

/// Those of all layers, the strongest first. Throws InputError.
std::vector<Setting> settings();

/// The files that would be read, with whether they are there, the strongest first.
std::vector<std::pair<std::string, bool>> settings_files();

}  // namespace kvroof
