// A table of contents: parse, run one command, and the only place that catches.
#include "cli/program.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <map>

#include "catalog/catalog.h"
#include "cli/commands.h"
#include "cli/settings.h"
#include "cli/version.h"
#include "render/document.h"

namespace kvroof {
namespace {

/// What stands where the command's first word belongs.
std::string positional_given(const CommandLine& line) {
  for (const Option& o : line.options)
    if (auto* const* text = std::get_if<std::string*>(&o.target); text && o.positional()) return **text;
  return "";
}

/// A word too many is most often a device before its model, or one more of a list.
std::string place_of_word(const CommandLine& line, const std::string& first, const std::string& word) {
  auto takes = [&](std::string_view name, std::string_view value) {
    return std::any_of(line.options.begin(), line.options.end(),
                       [&](const Option& o) { return o.names == name && o.value == value; });
  };
  const Catalog& catalog = Catalog::built_in();
  bool devices_on = takes("--on", "HARDWARE[,...]");
  if (devices_on && catalog.has("devices", first) && catalog.has("models", word))
    return "; the model comes first: kvroof " + line.name + " " + word + " --on " + first;
  if (devices_on && catalog.has("devices", word)) return "; devices go with --on " + word;
  bool listed = std::any_of(line.options.begin(), line.options.end(),
                            [](const Option& o) { return o.positional() && o.value == "MODEL[,...]"; });
  if (listed && catalog.has("models", first) && (catalog.has("models", word) || !devices_on))
    return "; several go in one list, with commas: " + first + "," + (catalog.has("models", word) ? word : "...");
  return "";
}

/// Words the user typed that no option or command has, with the nearest that one does.
std::string unknown_word(CLI::App& app, const CommandLine& line, const std::string& word) {
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
  if (std::string place = is_option ? "" : place_of_word(line, positional_given(line), bare); !place.empty())
    message += place;
  else if (std::optional<std::string> near = nearest(bare, known))
    message += "; did you mean '" + *near + "'?";
  return message + "\n";
}

/// Where the defaults of options come from that are not built in.
using Origins = std::map<const CLI::Option*, std::string>;

/// Makes the settings the options' defaults. Throws InputError for a value an option refuses.
Origins set_defaults(const std::vector<Setting>& settings, const CommandLine& line, CLI::App& app) {
  Origins origins;
  for (auto s = settings.rbegin(); s != settings.rend(); ++s) {  // the strongest last, over the others
    if (!s->command.empty() && s->command != line.name) continue;
    CLI::Option* option = app.get_option_no_throw("--" + s->key);
    if (!option) continue;
    try {
      option->clear();
      for (const std::string& value : s->values) option->add_result(value);
      option->run_callback();
      option->clear();
      origins[option] = s->from;
    } catch (const CLI::Error& e) { throw InputError{s->from + ": " + e.what() + "\n"}; }
  }
  return origins;
}

/// A complaint about an option that a setting gave, and the command line did not, at the setting's place.
std::string at_origin(const std::string& message, const Origins& origins) {
  std::string word = message.substr(0, message.find_first_not_of("-abcdefghijklmnopqrstuvwxyz0123456789"));
  for (const auto& [option, from] : origins)
    if (option->count() == 0 && word.starts_with("--") && option->check_name(word)) return from + ": " + message;
  return message;
}

/// CLI11's words for an option given again say nothing of options.
std::string words_of(const CLI::ParseError& e) {
  constexpr std::string_view again = "At Most 1 required but received ";
  std::string text = e.what();
  std::size_t at = text.find(again);
  return at == text.npos ? text : text.substr(0, at) + "is given " + text.substr(at + again.size()) + " times";
}

}  // namespace

int run_program(const std::vector<std::string>& given, bool with_settings) {
  constexpr int summaries_at = 16;
  std::vector<std::string> arguments = given;
  if (!given.empty() && given[0] == "help") {  // `kvroof help plan` is `kvroof plan --help`
    arguments.erase(arguments.begin());
    arguments.emplace_back("--help");
  }
  CLI::App app(
      "KV-cache size and decode speed of LLM inference, before you rent the GPU.\n\n"
      "  kvroof kv llama-3.1-8b\n"
      "  kvroof estimate llama-3.1-70b h100-sxm --tp 4 --context 8k\n",
      "kvroof");
  app.set_version_flag("--version", version_line());
  app.require_subcommand(0, 1);
  app.get_formatter()->column_width(summaries_at);
  int exit_code = 0;
  CommandLine line;
  Origins origins;
  for (const Command& command : commands()) {
    CLI::App* sub = app.add_subcommand(command.name, wrapped(command.summary, help_width - summaries_at, 0));
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
  with_settings = with_settings && line.run && std::none_of(arguments.begin(), arguments.end(), asks_help);
  try {
    if (with_settings) origins = set_defaults(settings(), line, *app.get_subcommand(line.name));
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
    if (app.get_subcommands().empty()) std::cout << app.help() << std::flush;
  } catch (const CLI::ExtrasError&) {
    std::vector<std::string> extras = app.remaining(true);
    std::cerr << "kvroof: " << unknown_word(app, line, extras.empty() ? "" : extras.front());
    return 2;
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);
    std::cerr << "kvroof: " << words_of(e) << "\n  --help shows what is expected\n";
    return 2;
  } catch (const InputError& e) {
    std::cerr << "kvroof: " << at_origin(e.message, origins);
    return 2;
  }
  return exit_code;
}

}  // namespace kvroof
