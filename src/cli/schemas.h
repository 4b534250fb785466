// Files of scenarios and settings as JSON Schemas, written from what reads them: the command line's own options, the
// metrics that are judged, the words of a tolerance.
#pragma once

#include "catalog/record.h"
#include "cli/command_line.h"

namespace kvroof {

Json scenarios_schema();
Json settings_schema(const std::vector<CommandLine>& commands);

/// The rule of an option's value where a file gives it. What --help calls the value says what it is: `TOKENS`.
Json option_schema(const Option& option);
/// What these rules refer to: names of models, devices, engines and formats.
Json option_definitions();

}  // namespace kvroof
