#include "cli/command_line.h"

#include <CLI/CLI.hpp>

#include "catalog/suggest.h"
#include "render/document.h"

namespace kvroof {
namespace {

void add_names(Option& option) {
  for (const std::string& name : CLI::detail::split(option.names, ',')) {
    if (name.starts_with("--"))
      option.longs.push_back(name.substr(2));
    else if (name.starts_with("-"))
      option.shorts.push_back(name.substr(1));
    else
      option.place = name;
  }
  if (option.longs.empty() && option.positional()) option.longs = {option.place};
}

constexpr int names_width = 34;  ///< of the columns of --help, those of the options' names

CLI::Option* added(const Option& option, CLI::App& app) {
  std::string what = wrapped(option.what, help_width - names_width, 0);
  if (auto* const* flag = std::get_if<bool*>(&option.target))
    return *flag ? app.add_flag(option.names, **flag, what) : app.set_help_flag(option.names, what);
  if (auto* const* list = std::get_if<std::vector<std::string>*>(&option.target))
    return app.add_option(option.names, **list, what)->allow_extra_args(!option.one_each);
  return app.add_option(option.names, *std::get<std::string*>(option.target), what);
}

/// Reads what the parser takes for a command line. Throws InputError with CLI11's words.
template <class Arguments>
void parse(CLI::App& app, Arguments arguments) {
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& e) { throw InputError{std::string(e.what()) + "\n"}; }
}

}  // namespace

Option& Option::metavar(std::string name) {
  value = std::move(name);
  return *this;
}

Option& Option::one_of(std::vector<std::string> allowed) {
  choices = std::move(allowed);
  return *this;
}

Option& Option::required() {
  is_required = true;
  return *this;
}

Option& Option::takes_one() {
  one_each = true;
  return *this;
}

Option& Option::excludes(std::string name) {
  excluded = std::move(name);
  return *this;
}

Option& CommandLine::option(const std::string& names, Option::Target target, const std::string& what) {
  Option& option = options.emplace_back();
  option.names = names;
  option.target = target;
  option.what = what;
  add_names(option);
  return option;
}

void CommandLine::remove(const std::string& removed) {
  std::erase_if(options, [&](const Option& o) { return o.names == removed; });
}

void attach(const CommandLine& line, CLI::App& app) {
  app.description(wrapped(line.summary, help_width, 0) + (line.examples.empty() ? "" : "\n\n" + line.examples));
  app.get_formatter()->column_width(names_width);
  for (const Option& o : line.options) {
    CLI::Option* option = added(o, app);
    if (!o.value.empty()) option->option_text(o.value);
    if (o.is_required) option->required();
    if (!o.choices.empty()) option->check(CLI::IsMember(o.choices));
    if (!o.excluded.empty()) option->excludes(o.excluded);
  }
  if (line.rest) app.allow_extras();
}

CommandLineReader::CommandLineReader(const CommandLine& line) : app_(std::make_unique<CLI::App>()) {
  app_->set_help_flag();
  attach(line, *app_);
}

CommandLineReader::~CommandLineReader() = default;

void CommandLineReader::read(std::vector<std::string> arguments) {
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
  parse(*app_, std::move(arguments));
}

void CommandLineReader::read(const std::string& text) { parse(*app_, text); }

std::string kind_of(const Option& option, const CommandLine& command) {
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
