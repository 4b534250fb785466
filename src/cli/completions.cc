// `kvroof completions SHELL`: scripts for bash, zsh and fish, written from the interface itself.
//
// Names of models, devices and engines are not in the script: it asks `kvroof completions models` when they are
// wanted, so a catalogue may grow. Each shell gets one function per thing it can express; nothing is written twice.
#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/options.h"

namespace kvroof {
namespace {

using Commands = std::vector<CommandLine>;

std::string joined(const std::vector<std::string>& words, const char* between = " ") {
  return fmt::format("{}", fmt::join(words, between));
}

std::vector<std::string> command_names(const Commands& commands) {
  std::vector<std::string> names;
  for (const CommandLine& c : commands) names.push_back(c.name);
  return names;
}

/// `-o --out`.
std::vector<std::string> spellings(const Option& option) {
  std::vector<std::string> words;
  for (const std::string& name : option.shorts) words.push_back("-" + name);
  for (const std::string& name : option.longs) words.push_back("--" + name);
  return words;
}

/// Text in single quotes, as all three shells read it.
std::string single_quoted(const std::string& text) {
  std::string out = "'";
  for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// ---- bash ----------------------------------------------------------------------------------------------

/// The statement that offers an option's values.
std::string bash_values(const Option& option, const CommandLine& command) {
  if (!option.choices.empty()) return "words=" + single_quoted(joined(option.choices));
  std::string kind = kind_of(option, command);
  std::string actions = option.value == "ACTION" ? "list show lint " : "";
  if (kind == "files") return "files=1";
  if (kind == "models" && actions.empty()) return "words=$(kvroof completions models) files=1";
  return kind.empty() ? "" : fmt::format("words=\"{}$(kvroof completions {})\"", actions, kind);
}

/// Two cases of the script: what the command's options are, and what can stand where the cursor is.
struct BashCases {
  std::string options, values;
};

void add_bash_cases(const CommandLine& command, BashCases& cases) {
  std::string flags, values, positionals;
  std::vector<std::string> with_value;
  int position = 0;
  for (const Option& o : command.options) {
    std::string statement = bash_values(o, command);
    if (o.positional()) {
      std::string index = o.repeated() ? "*" : std::to_string(position++);
      if (!statement.empty()) positionals += fmt::format("        {}) {} ;;\n", index, statement);
      continue;
    }
    flags += (flags.empty() ? "" : " ") + joined(spellings(o));
    if (o.is_flag()) continue;
    for (const std::string& s : spellings(o)) with_value.push_back(s);
    values += fmt::format("      {}) {} ;;\n", joined(spellings(o), "|"), statement.empty() ? ":" : statement);
  }
  cases.options += fmt::format("    {}) flags={} takes={} ;;\n", command.name, single_quoted(flags),
                               single_quoted(" " + joined(with_value) + " "));
  cases.values += fmt::format("    {}) case $option in\n{}      *) case $position in\n{}      esac ;;\n    esac ;;\n",
                              command.name, values, positionals.empty() ? "        *) : ;;\n" : positionals);
}

std::string bash(const Commands& commands) {
  BashCases cases;
  for (const CommandLine& c : commands) add_bash_cases(c, cases);
  return fmt::format(R"(# bash completion for kvroof
_kvroof() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} option=${{COMP_WORDS[COMP_CWORD-1]}}
  local command= flags='--help --version' takes= words= files= position=0 i=1
  [[ $cur == = ]] && cur=
  [[ $option == = ]] && option=${{COMP_WORDS[COMP_CWORD-2]}}
  while ((i < COMP_CWORD)) && [[ ${{COMP_WORDS[i]}} == -* ]]; do ((i++)); done
  ((i < COMP_CWORD)) && command=${{COMP_WORDS[i]}}
  case $command in
{}  esac
  for ((i++; i < COMP_CWORD; i++)); do
    [[ ${{COMP_WORDS[i]}} == [-=]* || ${{COMP_WORDS[i-1]}} == = || $takes == *" ${{COMP_WORDS[i-1]}} "* ]] || ((position++))
  done
  case $command in
    '') words={} ;;
{}  esac
  [[ $cur == -* ]] && words=$flags files=
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  if [[ -n $files ]]; then
    COMPREPLY+=($(compgen -f -- "$cur"))
    compopt -o filenames 2>/dev/null
  fi
  return 0
}}
complete -F _kvroof kvroof
)",
                     cases.options, single_quoted(joined(command_names(commands))), cases.values);
}

// ---- zsh -----------------------------------------------------------------------------------------------

/// Descriptions stand in brackets, so brackets and colons within them are escaped.
std::string zsh_text(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

/// A leading space keeps _arguments from putting compadd's options before the argument.
std::string zsh_action(const Option& option, const CommandLine& command) {
  if (!option.choices.empty()) return "(" + joined(option.choices) + ")";
  std::string kind = kind_of(option, command);
  if (option.value == "ACTION") return " _kvroof_action " + kind;
  if (kind == "files") return "_files";
  if (kind == "models") return "_kvroof_models";
  return kind.empty() ? " " : " _kvroof_names " + kind;
}

std::string zsh_command(const CommandLine& command) {
  std::string specs;
  for (const Option& o : command.options) {
    std::string value = o.value.empty() ? "" : ":" + zsh_text(o.value) + ":" + zsh_action(o, command);
    if (o.positional()) {
      specs += " \\\n        " + single_quoted((o.repeated() ? "*" : "") + value);
      continue;
    }
    for (const std::string& s : spellings(o))
      specs += " \\\n        " + single_quoted((o.repeated() ? "*" : "") + s + "[" + zsh_text(o.what) + "]" + value);
  }
  return fmt::format("      {}) _arguments{} ;;\n", command.name, specs);
}

std::string zsh(const Commands& commands) {
  std::string cases, names;
  for (const CommandLine& c : commands) {
    cases += zsh_command(c);
    names += "\n    " + single_quoted(c.name + ":" + zsh_text(c.summary));
  }
  return fmt::format(R"(#compdef kvroof
_kvroof_names() {{ compadd -- $(kvroof completions $1) }}
_kvroof_models() {{ _kvroof_names models; _files }}
_kvroof_action() {{ compadd -- list show lint; _kvroof_names $1 }}
_kvroof() {{
  local context state state_descr line curcontext=$curcontext
  typeset -A opt_args
  local -a commands
  commands=({}
  )
  _arguments -C '--help[print help]' '--version[print the version]' '1:command:->command' '*::argument:->argument'
  case $state in
    command) _describe command commands ;;
    argument) case $line[1] in
{}    esac ;;
  esac
}}
if [[ $funcstack[1] == _kvroof ]]; then _kvroof "$@"; else compdef _kvroof kvroof; fi
)",
                     names, cases);
}

// ---- fish ----------------------------------------------------------------------------------------------

std::string fish_values(const Option& option, const CommandLine& command) {
  if (!option.choices.empty()) return " -x -a " + single_quoted(joined(option.choices));
  std::string kind = kind_of(option, command);
  if (kind == "files") return option.positional() ? " -F" : " -r -F";
  if (kind.empty()) return option.positional() ? "" : " -x";
  std::string names = "(kvroof completions " + kind + ")" + (option.value == "ACTION" ? " list show lint" : "");
  return (option.positional() ? kind == "models" ? " -F -a " : " -f -a " : " -x -a ") + single_quoted(names);
}

std::string fish(const Commands& commands) {
  std::string out = "# fish completion for kvroof\ncomplete -c kvroof -f\n";
  for (const CommandLine& c : commands) {
    out += fmt::format("complete -c kvroof -n __fish_use_subcommand -a {} -d {}\n", c.name, single_quoted(c.summary));
    std::string seen = fmt::format("complete -c kvroof -n '__fish_seen_subcommand_from {}'", c.name);
    for (const Option& o : c.options) {
      std::string values = o.value.empty() ? "" : fish_values(o, c);
      if (o.positional()) {
        if (!values.empty()) out += seen + values + "\n";
        continue;
      }
      std::string names;
      for (const std::string& name : o.shorts) names += " -s " + name;
      for (const std::string& name : o.longs) names += " -l " + name;
      out += seen + names + values + " -d " + single_quoted(o.what) + "\n";
    }
  }
  return out;
}

// --------------------------------------------------------------------------------------------------------

std::string names_in(const std::string& what) {
  std::vector<std::string> names;
  if (what == "formats")
    for (const Format& f : formats()) names.emplace_back(f.name);
  else
    names = Catalog::built_in().ids(what == "hardware" ? "devices" : what);
  return joined(names, "\n") + "\n";
}

std::string completions(const std::string& what, const Commands& commands) {
  if (what == "bash") return bash(commands);
  if (what == "zsh") return zsh(commands);
  if (what == "fish") return fish(commands);
  return names_in(what);
}

}  // namespace

void add_completions(CommandLine& line) {
  auto what = std::make_shared<std::string>();
  line.examples =
      "  source <(kvroof completions bash)\n"
      "  kvroof completions zsh > ~/.zfunc/_kvroof\n"
      "  kvroof completions fish | source\n\n"
      "An installed package brings all three. models, hardware, engines and formats are\n"
      "the names the scripts ask for.";
  line.option("shell", what.get(), "bash, zsh or fish; or models, hardware, engines, formats")
      .required()
      .one_of({"bash", "zsh", "fish", "models", "hardware", "engines", "formats"})
      .metavar("SHELL");
  line.run = [what] {
    std::cout << completions(*what, command_lines()) << std::flush;
    return 0;
  };
}

}  // namespace kvroof
