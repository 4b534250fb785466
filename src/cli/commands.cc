#include "cli/commands.h"

namespace kvroof {

std::span<const Command> commands() {
  static constexpr Command table[] = {
      {"kv", "how big a model's KV cache is: per token, per sequence, by kind and by format", add_kv},
      {"estimate", "what fits on a device, how fast it decodes, and what limits it", add_estimate},
      {"check", "scenarios against a committed baseline: what moved, by how much, and because of what", add_check},
      {"plan", "which devices serve these users in time, how many, laid out how, at what cost", add_plan},
      {"sweep", "estimates over lists and ranges of any option, one row a point", add_sweep},
      {"compare", "estimates side by side, and which parts make the difference", add_compare},
      {"chart", "charts of caches, memory and speed as SVG, PNG or data", add_chart},
      {"report", "pages whose figures, tables and charts are asked for again, or compared", add_report},
      {"validate", "predictions beside what was measured, per class and row by row", add_validate},
      {"train", "what fewer KV heads change in training: memory and flops", add_train},
      {"uptrain", "what it costs to give a model fewer KV heads, and when it pays", add_uptrain},
      {"fit", "the constants of kernels, from the tables of their timings", add_fit},
      {"verify", "a serving engine's log beside what is predicted for the run it records", add_verify},
      {"measure", "what this machine reaches: probes, then decode attention predicted and timed", add_measure},
      {"models", "list, show or lint the models of the catalogue", add_models},
      {"hardware", "list or show the devices of the catalogue", add_hardware},
      {"engines", "list or show the serving engines of the catalogue", add_engines},
      {"config", "the settings in force, and where each comes from", add_config},
      {"schema", "JSON Schemas of the files people write, for an editor", add_schema},
      {"completions", "completions for bash, zsh and fish", add_completions},
      {"man", "the manual page, as roff", add_man},
  };
  return table;
}

CommandLine command_line(const Command& command) {
  CommandLine line;
  line.name = command.name;
  line.summary = command.summary;
  line.option("-h,--help", static_cast<bool*>(nullptr), "Print this help message and exit");
  command.add(line);
  return line;
}

std::vector<CommandLine> command_lines() {
  std::vector<CommandLine> lines;
  for (const Command& command : commands()) lines.push_back(command_line(command));
  return lines;
}

}  // namespace kvroof
