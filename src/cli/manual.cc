// `kvroof man`: the manual page, written from the interface itself, so that it can't say anything --help doesn't.
#include <fmt/format.h>

#include <iostream>

#include "catalog/built_in.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/version.h"

namespace kvroof {
namespace {

/// Backslashes and hyphens mean something to roff, and so do dots and quotes that start a line.
std::string roff(const std::string& text) {
  std::string out;
  bool at_start = true;
  for (char c : text) {
    if (at_start && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
    at_start = c == '\n';
  }
  return out;
}

std::string synopsis(const CommandLine& command) {
  std::string out = ".B kvroof " + roff(command.name) + "\n";
  for (const Option& o : command.options)
    if (o.positional()) out += ".I " + roff(o.value) + "\n";
  return out + "[options]\n";
}

std::string entry(const Option& o) {
  std::string names;
  for (const std::string& name : o.shorts) names += (names.empty() ? "" : ", ") + std::string("-") + name;
  for (const std::string& name : o.longs)
    names += (names.empty() ? "" : ", ") + std::string(o.positional() ? "" : "--") + name;
  if (o.positional()) return fmt::format(".TP\n.I {}\n{}\n", roff(o.value), roff(o.what));
  std::string value = o.value.empty() ? "" : " \\fI" + roff(o.value) + "\\fR";
  return fmt::format(".TP\n\\fB{}\\fR{}\n{}\n", roff(names), value, roff(o.what));
}

std::string command_section(const CommandLine& command) {
  std::string out = fmt::format(".SS {}\n{}.PP\n{}.\n", roff(command.name), synopsis(command), roff(command.summary));
  if (!command.examples.empty()) out += ".PP\n.nf\n" + roff(command.examples) + "\n.fi\n";
  for (const Option& o : command.options) out += entry(o);
  return out;
}

std::string manual(const std::vector<CommandLine>& commands) {
  std::string out = fmt::format(
      ".TH KVROOF 1 \"{}\" \"kvroof {}\" \"User Commands\"\n"
      ".SH NAME\nkvroof \\- KV\\-cache size and decode speed of LLM inference\n"
      ".SH SYNOPSIS\n.B kvroof\n.I COMMAND\n[options]\n"
      ".SH DESCRIPTION\nHow big the KV cache is, how many sequences fit, how fast they decode and what limits it,\n"
      "from a model's shape and a device's datasheet. Bytes are exact; a time is a floor, an expected\n"
      "value, an 80 % range and the basis of it.\n.SH COMMANDS\n",
      built_in_date(), version());
  for (const CommandLine& c : commands) out += command_section(c);
  out += R"(.SH EXIT STATUS
.TP
0
Yes: it fits, nothing moved, all agrees.
.TP
1
No: it does not fit, something moved, a prediction is off.
.TP
2
Bad input; a message says which and what to do.
.SH ENVIRONMENT
.TP
.B KVROOF_OPTION
The default of any option: KVROOF_ENGINE for \-\-engine, KVROOF_KV_DTYPE for \-\-kv\-dtype.
.TP
.B NO_COLOR
No colour, whatever the terminal.
.TP
.B COLUMNS
The width of the output.
.SH FILES
.TP
.I .kvroof.yaml
Defaults of a project, in this folder or one above it: option names without dashes, one a line.
.TP
.I ~/.config/kvroof/config.yaml
The same for a user. A flag goes before the environment, that before the project, that before the user.
)";
  return out;
}

}  // namespace

void add_man(CommandLine& line) {
  line.examples = "  kvroof man > kvroof.1\n  kvroof man | man -l -\n";
  line.run = [] {
    std::cout << manual(command_lines()) << std::flush;
    return 0;
  };
}

}  // namespace kvroof
