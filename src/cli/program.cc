// A table of contents: parse, run one command, and the only place that catches.
#include "cli/program.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "catalog/suggest.h"
#include "cli/commands.h"
#include "cli/settings.h"
#include "cli/version.h"

namespace kvroof {
namespace {

/// Words the user typed that no option or command has, with the nearest that one does.
std::string unknown_word(CLI::App& app, const std::string& word) {
  CLI::App* where = &app;
  for (CLI::App* sub : app.get_subcommands()) where = sub;
  std::vector<std::string> known;
  for (const CLI::Option* option : where->get_options())
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  if (where == &app)
    for (const Command& c : commands()) known.emplace_back(c.name);
  std::string bare = word.substr(0, word.find('='));
  bool is_option = !bare.empty() && bare[0] == '-';
  std::string message = std::string("unknown ") +
                        (is_option       ? "option"
                         : where == &app ? "command"
                                         : "argument") +
                        " '" + bare + "'";
  if (std::optional<std::string> near = nearest(bare, known)) message += "; did you mean '" + *near + "'?";
  return message + "\n";
}

/// Makes the settings the options' defaults. Throws InputError for a value an option refuses.
void set_defaults(const std::vector<Setting>& settings, const CommandLine& line, CLI::App& app) {
  for (auto s = settings.rbegin(); s != settings.rend(); ++s) {  // the strongest last, over the others
    if (!s->command.empty() && s->command != line.name) continue;
    CLI::Option* option = app.get_option_no_throw("--" + s->key);
    if (!option) continue;
    try {
      option->clear();
      for (const std::string& value : s->values) option->add_result(value);
      option->run_callback();
      option->clear();
    } catch (const CLI::Error& e) { throw InputError{s->from + ": " + e.what() + "\n"}; }
  }
}

}  // namespace

int run_program(const std::vector<std::string>& arguments, bool settings) {
  CLI::App app(
      "KV-cache size and decode speed of LLM inference, before you rent the GPU.\n\n"
      "  kvroof kv llama-3.1-8b\n"
      "  kvroof estimate llama-3.1-70b h100-sxm --tp 4 --context 8k\n",
      "kvroof");
  app.set_version_flag("--version", version_line());
  app.require_subcommand(0, 1);
  app.get_formatter()->column_width(34);
  int exit_code = 0;
  CommandLine line;
  for (const Command& command : commands()) {
    CLI::App* sub = app.add_subcommand(command.name, command.summary);
    if (arguments.empty() || arguments[0] != command.name) continue;
    line = command_line(command);
    attach(line, *sub);
    sub->callback([&line, &exit_code, sub] {
      if (line.rest) *line.rest = sub->remaining();
      exit_code = line.run();
    });
  }
  auto asks_help = [](const std::string& word) { return word == "-h" || word == "--help"; };
  // A broken settings file must not be in the way of --help.
  settings = settings && line.run && std::none_of(arguments.begin(), arguments.end(), asks_help);
  try {
    if (settings) set_defaults(settings_of(command_lines()), line, *app.get_subcommand(line.name));
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
    if (app.get_subcommands().empty()) std::cout << app.help() << std::flush;
  } catch (const CLI::ExtrasError&) {
    std::vector<std::string> extras = app.remaining(true);
    std::cerr << "kvroof: " << unknown_word(app, extras.empty() ? "" : extras.front());
    return 2;
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);
    std::cerr << "kvroof: " << e.what() << "\n  --help shows what is expected\n";
    return 2;
  } catch (const InputError& e) {
    std::cerr << "kvroof: " << e.message;
    return 2;
  }
  return exit_code;
}

}  // namespace kvroof
