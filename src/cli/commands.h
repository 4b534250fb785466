// The commands, one row each. A command fills in its command line: the options, and what runs once they are read.
#pragma once

#include <span>
#include <vector>

#include "cli/command_line.h"

namespace kvroof {

struct Command {
  const char* name;
  const char* summary;
  void (*add)(CommandLine& line);
};

void add_kv(CommandLine& line);
void add_estimate(CommandLine& line);
void add_check(CommandLine& line);
void add_sweep(CommandLine& line);
void add_compare(CommandLine& line);
void add_plan(CommandLine& line);
void add_chart(CommandLine& line);
void add_report(CommandLine& line);
void add_validate(CommandLine& line);
void add_fit(CommandLine& line);
void add_train(CommandLine& line);
void add_uptrain(CommandLine& line);
void add_verify(CommandLine& line);
void add_measure(CommandLine& line);
void add_models(CommandLine& line);
void add_hardware(CommandLine& line);
void add_engines(CommandLine& line);
void add_config(CommandLine& line);
void add_schema(CommandLine& line);
void add_completions(CommandLine& line);
void add_man(CommandLine& line);

std::span<const Command> commands();

/// One of them, ready to be read.
CommandLine command_line(const Command& command);

/// All of them: the program's interface, in the order of --help.
std::vector<CommandLine> command_lines();

}  // namespace kvroof
