#include "cli/settings.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "catalog/reader.h"
#include "cli/commands.h"

namespace kvroof {
namespace {

namespace fs = std::filesystem;

/// Actions rather than settings, or, as `json`, a second name of one.
const std::set<std::string> not_settings = {"help", "update", "out", "json", "explain", "all"};

constexpr std::string_view prefix = "KVROOF_";

using Commands = std::vector<CommandLine>;

/// Names of the settings of one command, or of all.
std::vector<std::string> known_keys(const Commands& commands, const std::string& command) {
  std::set<std::string> names;
  for (const CommandLine& c : commands)
    for (const Option& o : c.options)
      if ((command.empty() || c.name == command) && is_setting(o)) names.insert(o.longs.begin(), o.longs.end());
  return {names.begin(), names.end()};
}

bool contains(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// The option that a key sets: of the command, or of whichever has it first where none is named; null where none has.
const Option* option_of(const Commands& commands, const std::string& command, const std::string& key) {
  for (const CommandLine& c : commands)
    for (const Option& o : c.options)
      if ((command.empty() || c.name == command) && is_setting(o) && contains(o.longs, key)) return &o;
  return nullptr;
}

struct FileReader {
  const std::string& path;
  Source& source;
  const Commands& commands;
  std::vector<Setting>& found;

  /// What one command's option takes is known here; what suits all commands, each says when it runs.
  std::string value(const std::string& command, const std::string& key, const Option& option, const YAML::Node& node) {
    std::string text = node.IsScalar() ? node.Scalar() : "";
    if (option.is_flag() && text != "true" && text != "false")
      source.problem(node.Mark(), "expected true or false for '" + key + "'");
    else if (text.empty())
      source.problem(node.Mark(), "expected a value for '" + key + "'");
    else if (!command.empty() && !option.choices.empty() && !contains(option.choices, text))
      source.problem(node.Mark(), fmt::format("expected one of {}, got '{}'", fmt::join(option.choices, ", "), text));
    // A path is relative to the file that gives it.
    return option.value == "FILE" ? (fs::path(path).parent_path() / text).string() : text;
  }

  void mapping(const YAML::Node& node, const std::string& command) {
    for (const auto& pair : node) {
      std::string key = pair.first.IsScalar() ? pair.first.Scalar() : "";
      bool names_command =
          std::any_of(commands.begin(), commands.end(), [&](const CommandLine& c) { return c.name == key; });
      if (command.empty() && names_command && pair.second.IsMap()) {
        mapping(pair.second, key);
        continue;
      }
      const Option* option = option_of(commands, command, key);
      if (!option) {
        std::optional<std::string> near = nearest(key, known_keys(commands, command));
        source.problem(pair.first.Mark(),
                       "unknown key '" + key + "'" + (command.empty() ? "" : " of '" + command + "'"),
                       near ? "did you mean '" + *near + "'?" : "keys are options of kvroof, without their dashes");
        continue;
      }
      Setting s{command, key, {}, path + ":" + std::to_string(pair.first.Mark().line + 1)};
      if (pair.second.IsSequence())
        for (const YAML::Node& item : pair.second) s.values.push_back(value(command, key, *option, item));
      else
        s.values.push_back(value(command, key, *option, pair.second));
      found.push_back(s);
    }
  }
};

/// Nothing but comments is no setting, and no mistake.
bool says_nothing(const std::string& text) {
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);)
    if (std::size_t first = line.find_first_not_of(" \t\r"); first != std::string::npos && line[first] != '#')
      return false;
  return true;
}

void read_file(const std::string& path, const Commands& commands, std::vector<Setting>& found) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw InputError{path + ": can't be opened\n"};
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (says_nothing(text)) return;
  Source source(path, text);
  YAML::Node root = load_yaml(source, text);
  if (root.IsMap())
    FileReader{path, source, commands, found}.mapping(root, "");
  else
    source.problem(root.Mark(), "expected settings such as 'engine: vllm'");
  source.throw_if_any();
}

/// `KV_DTYPE` -> `kv-dtype`.
std::string key_of_variable(std::string name) {
  for (char& c : name) c = c == '_' ? '-' : char(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

void read_environment(const Commands& commands, std::vector<Setting>& found) {
  for (char** entry = environ; entry && *entry; ++entry) {
    std::string_view text = *entry;
    std::size_t equals = text.find('=');
    if (text.substr(0, prefix.size()) != prefix || equals == std::string_view::npos) continue;
    std::string name(text.substr(0, equals)), value(text.substr(equals + 1));
    std::string key = key_of_variable(name.substr(prefix.size()));
    if (value.empty()) continue;
    if (!option_of(commands, "", key)) {
      std::optional<std::string> near = nearest(key, known_keys(commands, ""));
      throw InputError{name + ": no option is called --" + key + (near ? "; did you mean --" + *near + "?" : "") +
                       "\n"};
    }
    found.push_back({"", key, {value}, name});
  }
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

/// `.kvroof.yaml` here or in the nearest folder above.
std::string project_file() {
  std::error_code error;
  for (fs::path folder = fs::current_path(error); !folder.empty(); folder = folder.parent_path()) {
    if (fs::is_regular_file(folder / ".kvroof.yaml", error))
      return fs::relative(folder / ".kvroof.yaml", error).string();
    if (folder == folder.parent_path()) break;
  }
  return "";
}

std::string user_file() {
  std::string config = environment("XDG_CONFIG_HOME"), home = environment("HOME");
  if (config.empty() && home.empty()) return "";
  return ((config.empty() ? fs::path(home) / ".config" : fs::path(config)) / "kvroof" / "config.yaml").string();
}

}  // namespace

bool is_setting(const Option& option) {
  return !option.positional() && !option.longs.empty() && !not_settings.count(option.longs.front());
}

std::vector<std::pair<std::string, bool>> settings_files() {
  std::vector<std::pair<std::string, bool>> files;
  std::string project = project_file(), user = user_file();
  std::error_code error;
  files.emplace_back(project.empty() ? ".kvroof.yaml" : project, !project.empty());
  if (!user.empty()) files.emplace_back(user, fs::is_regular_file(user, error));
  return files;
}

/// Most who start kvroof have set nothing; the options of all commands are made only to read what is there.
std::vector<Setting> settings() {
  std::vector<Setting> found;
  std::vector<std::pair<std::string, bool>> files = settings_files();
  bool any = std::any_of(files.begin(), files.end(), [](const auto& file) { return file.second; });
  for (char** entry = environ; entry && *entry && !any; ++entry) any = std::string_view(*entry).starts_with(prefix);
  if (!any) return found;
  Commands commands = command_lines();
  read_environment(commands, found);
  for (const auto& [path, there] : files)
    if (there) read_file(path, commands, found);
  return found;
}

}  // namespace kvroof
