// What a command takes, as data: the command line is read with it, and --help, completions, the manual, settings
// and schemas are made from it.
//
// A command fills one in (`line.option("--tp", o.tp, "tensor-parallel ranks").metavar("N")`). CLI11 does the reading
// and stands behind this file: its header costs ten seconds in each file that includes it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace CLI {
class App;
}

namespace kvroof {

constexpr int help_width = 80;  ///< columns of --help

struct Option {
  using Target = std::variant<std::string*, std::vector<std::string>*, bool*>;

  std::string names;  ///< `-o,--out`, or `model,--models`: a word without dashes is a place on the command line
  Target target;      ///< a null flag asks for --help
  std::string what;
  std::string value;  ///< what --help calls it: `TOKENS`; empty for a flag
  std::vector<std::string> choices;
  bool is_required = false;
  bool one_each = false;                   ///< repeatable, but each time with one value
  std::string excluded;                    ///< not together with this one
  std::string place;                       ///< of a positional, its name
  std::vector<std::string> longs, shorts;  ///< without dashes; of a positional without any, its place

  Option& metavar(std::string name);
  Option& one_of(std::vector<std::string> allowed);
  Option& required();
  Option& takes_one();
  Option& excludes(std::string name);

  bool positional() const { return !place.empty(); }
  bool is_flag() const { return std::holds_alternative<bool*>(target); }
  bool repeated() const { return std::holds_alternative<std::vector<std::string>*>(target); }
};

struct CommandLine {
  std::string name;
  std::string summary;   ///< its first line
  std::string examples;  ///< what --help says below that
  std::vector<Option> options;
  std::vector<std::string>* rest = nullptr;  ///< where words go that no option takes; else they are an error
  std::function<int()> run;                  ///< once read: 0 yes, 1 no; bad input is an InputError

  Option& option(const std::string& names, Option::Target target, const std::string& what);
  void remove(const std::string& names);  ///< an option added with those
};

/// CLI11's parser of a command line, to be used any number of times. It writes to the line's targets.
class CommandLineReader {
 public:
  explicit CommandLineReader(const CommandLine& line);
  ~CommandLineReader();
  /// Both throw InputError with CLI11's words.
  void read(std::vector<std::string> arguments);
  void read(const std::string& text);

 private:
  std::unique_ptr<CLI::App> app_;
};

/// Gives `app` the options of `line`.
void attach(const CommandLine& line, CLI::App& app);

/// What can stand for a value: `models`, `hardware`, `engines`, `formats`, `files` or nothing we know.
std::string kind_of(const Option& option, const CommandLine& command);

}  // namespace kvroof
