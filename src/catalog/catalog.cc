#include "catalog/catalog.h"

#include <algorithm>
#include <iterator>

#include "catalog/built_in.h"
#include "catalog/text_file.h"

namespace kvroof {
namespace {

constexpr std::string_view sections[] = {"models", "devices", "classes", "kernels", "engines", "ranges"};

bool is_section(std::string_view name) {
  return std::find(std::begin(sections), std::end(sections), name) != std::end(sections);
}

std::string_view key_of(std::string_view line) {
  std::size_t colon = line.find(':');
  return colon == std::string_view::npos ? std::string_view() : line.substr(0, colon);
}

/// Entries by their line starts: a section in column 0, an id in column 2. Files written otherwise are told so.
std::vector<Entry> index_entries(const std::string& file, std::string_view text) {
  std::vector<Entry> entries;
  std::string section;
  int number = 0;
  std::size_t entry_begin = 0;
  auto close = [&](std::size_t end) {
    if (!entries.empty() && entries.back().text.empty())
      entries.back().text = text.substr(entry_begin, end - entry_begin);
  };
  for (std::size_t begin = 0; begin < text.size(); ++number) {
    std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    bool blank = line.empty() || line[0] == '#' || line.substr(0, 3) == "---";
    if (!blank && line[0] != ' ') {
      close(begin);
      section = std::string(key_of(line));
      if (!is_section(section)) {
        Source source(file, text);
        std::vector<std::string> words(std::begin(sections), std::end(sections));
        std::optional<std::string> near = nearest(section, words);
        source.problem({number, 0}, "expected a section: models, devices, classes, kernels, engines or ranges",
                       near ? "did you mean '" + *near + "'?" : "");
        source.throw_if_any();
      }
    } else if (line.size() > 2 && line.substr(0, 2) == "  " && line[2] != ' ' && line[2] != '#') {
      close(begin);
      entry_begin = begin;
      entries.push_back({section, std::string(key_of(line.substr(2))), file, number, {}});
    }
    begin = end + 1;
  }
  close(text.size());
  return entries;
}

YAML::Node entry_node(Source& source, const Entry& entry) {
  YAML::Node document = load_yaml(source, entry.text);
  YAML::Node node = document.IsMap() ? document[entry.id] : YAML::Node();
  if (!node || !node.IsMap()) {
    source.problem(document.Mark(), "expected '" + entry.id + ":' followed by its fields");
    source.throw_if_any();
  }
  return node;
}

template <class T>
void add_problems(Source& source, const YAML::Node& node, const std::string& id, const T& spec) {
  for (const Problem& p : problems(spec)) source.problem(node.Mark(), id + ": " + p.path + " " + p.what, p.hint);
}

}  // namespace

Model read_model(Source& source, const std::string& id, const YAML::Node& node) {
  Model model;
  ValueReader(source).read_fields(node, model, "model '" + id + "'");
  model.id = id;
  if (source.problems().empty()) add_problems(source, node, id, model);
  return model;
}

const Catalog& Catalog::built_in() {
  static const Catalog catalog = [] {
    Catalog c;
    c.add_text("models.yaml", std::string(built_in_models()));
    c.add_text("hardware.yaml", std::string(built_in_hardware()));
    return c;
  }();
  return catalog;
}

void Catalog::add_file(const std::string& path) {
  std::string text = read_text_file(path, "a YAML file");
  add_text(path, text);
  Source source(path, text);  // the index sees line starts only; what is no YAML elsewhere must not pass
  load_yaml(source, text);
}

void Catalog::add_text(const std::string& file, std::string text) {
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) throw InputError{file + ": is empty\n"};
  if (text.find('\0') != std::string::npos) throw InputError{file + ": is not text (it holds a zero byte)\n"};
  texts_.push_back(std::make_shared<const std::string>(std::move(text)));
  std::vector<Entry> added = index_entries(file, *texts_.back());
  if (added.empty())
    throw InputError{file + ": holds no entries; expected 'models:' or 'devices:' with an indented entry each\n"};
  entries_.insert(entries_.end(), added.begin(), added.end());
}

/// An alias is listed in the entry's text; parsing is worth it only where the text mentions the name at all.
bool Catalog::has_alias(const Entry& entry, std::string_view name) const {
  if (lower(entry.text).find(lower(name)) == std::string::npos) return false;
  Source source(entry.file, entry.text, entry.first_line);
  YAML::Node aliases = entry_node(source, entry)["aliases"];
  if (!aliases || !aliases.IsSequence()) return false;
  for (const YAML::Node& alias : aliases)
    if (alias.IsScalar() && same_ignoring_case(alias.Scalar(), name)) return true;
  return false;
}

const Entry* Catalog::find_id(std::string_view section, std::string_view id) const {
  for (auto e = entries_.rbegin(); e != entries_.rend(); ++e)
    if (e->section == section && same_ignoring_case(e->id, id)) return &*e;
  return nullptr;
}

const Entry* Catalog::find(std::string_view section, std::string_view name) const {
  if (const Entry* by_id = find_id(section, name)) return by_id;
  for (auto e = entries_.rbegin(); e != entries_.rend(); ++e)
    if (e->section == section && has_alias(*e, name)) return &*e;
  return nullptr;
}

std::vector<std::string> Catalog::known_names(std::string_view section) const {
  std::vector<std::string> names = ids(section);
  for (const Entry& e : entries_) {
    if (e.section != section) continue;
    Source source(e.file, e.text, e.first_line);
    YAML::Node aliases = entry_node(source, e)["aliases"];
    if (aliases && aliases.IsSequence())
      for (const YAML::Node& alias : aliases)
        if (alias.IsScalar()) names.push_back(alias.Scalar());
  }
  return names;
}

const Entry& Catalog::need(std::string_view section, std::string_view name, std::string_view what) const {
  if (const Entry* found = find(section, name)) return *found;
  std::string message = "unknown " + std::string(what) + " '" + std::string(name) + "'";
  if (std::optional<std::string> near = nearest(name, known_names(section)))
    message += "; did you mean '" + *near + "'?";
  std::string command = section == "devices" ? "hardware" : std::string(section);
  throw InputError{message + "\n  'kvroof " + command + "' lists all of them" +
                   (section == "models" ? "; a config.json, .gguf or .safetensors file is a model too" : "") + "\n"};
}

Model Catalog::model(std::string_view name) const {
  const Entry& e = need("models", name, "model");
  Source source(e.file, e.text, e.first_line);
  Model model = read_model(source, e.id, entry_node(source, e));
  source.throw_if_any();
  return model;
}

Device Catalog::device(std::string_view name) const {
  const Entry& e = need("devices", name, "device");
  Source source(e.file, e.text, e.first_line);
  YAML::Node node = entry_node(source, e);
  Device device;
  device.id = e.id;
  std::string device_class = node["class"] && node["class"].IsScalar() ? node["class"].Scalar() : "";
  if (has("classes", device_class)) device.achievable = family(device_class);
  ValueReader(source).read_fields(node, device, "device '" + e.id + "'");
  if (source.problems().empty()) add_problems(source, node, e.id, device);
  source.throw_if_any();
  device.kernels = kernels(e.id);
  return device;
}

KernelTable Catalog::kernels(std::string_view device) const {
  KernelTable table;
  const Entry* e = find_id("kernels", device);
  if (!e) return table;
  Source source(e->file, e->text, e->first_line);
  ValueReader(source).read_fields(entry_node(source, *e), table, "kernels of '" + e->id + "'");
  source.throw_if_any();
  return table;
}

Achievable Catalog::family(std::string_view device_class) const {
  const Entry& e = need("classes", device_class, "device class");
  Source source(e.file, e.text, e.first_line);
  Achievable achievable;
  ValueReader(source).read_fields(entry_node(source, e), achievable, "class '" + e.id + "'");
  source.throw_if_any();
  return achievable;
}

Engine Catalog::engine(std::string_view name) const {
  const Entry& e = need("engines", name, "engine");
  Source source(e.file, e.text, e.first_line);
  YAML::Node node = entry_node(source, e);
  Engine engine;
  ValueReader(source).read_fields(node, engine, "engine '" + e.id + "'");
  engine.id = e.id;
  if (source.problems().empty()) add_problems(source, node, e.id, engine);
  source.throw_if_any();
  return engine;
}

RangeRule Catalog::range(Basis basis) const { return range_named(name_of(basis)); }

RangeRule Catalog::kernel_range(Basis basis) const {
  bool measured = basis == Basis::measured_kernels || basis == Basis::own_rows;
  return range_named(measured ? "one kernel" : name_of(basis));
}

RangeRule Catalog::range_named(std::string_view name) const {
  const Entry& e = need("ranges", name, "range");
  Source source(e.file, e.text, e.first_line);
  RangeEntry entry;
  ValueReader(source).read_fields(entry_node(source, e), entry, "range '" + e.id + "'");
  source.throw_if_any();
  return entry.rule;
}

std::vector<std::string> Catalog::ids(std::string_view section) const {
  std::vector<std::string> found;
  for (const Entry& e : entries_)
    if (e.section == section && std::find(found.begin(), found.end(), e.id) == found.end()) found.push_back(e.id);
  return found;
}

std::string Catalog::place(std::string_view section, std::string_view id) const {
  const Entry* e = find(section, id);
  return e ? e->file + ":" + std::to_string(e->first_line + 1) : std::string();
}

namespace {

/// How far into a node a path of keys and indices goes, and the line it reaches.
struct Reached {
  std::size_t depth = 0;
  int line = 0;
};

Reached reach(YAML::Node node, const std::vector<std::string>& path, std::size_t begin) {
  Reached at{begin, 0};
  for (; at.depth < path.size(); ++at.depth) {
    const std::string& key = path[at.depth];
    bool index = node.IsSequence() && key.find_first_not_of("0123456789") == std::string::npos;
    if (!index && !node.IsMap()) break;
    YAML::Node child = index ? node[std::stoul(key)] : node[key];
    if (!child) break;
    node.reset(child);
    at.line = node.Mark().line;
  }
  return at;
}

}  // namespace

Location Catalog::locate(std::string_view section, std::string_view name, const std::vector<std::string>& field) const {
  const Entry* entry = find(section, name);
  if (!entry) return {};
  Source source(entry->file, entry->text, entry->first_line);
  YAML::Node node = entry_node(source, *entry);
  Reached at = reach(node, field, 0);
  bool inherited = section == "devices" && at.depth < field.size() && field[0] == "achievable" && node["class"];
  if (const Entry* of_class = inherited ? find("classes", node["class"].Scalar()) : nullptr) {
    Source class_source(of_class->file, of_class->text, of_class->first_line);
    Reached there = reach(entry_node(class_source, *of_class), field, 1);
    if (there.depth > std::max<std::size_t>(at.depth, 1)) return {of_class->file, of_class->first_line + there.line};
  }
  return {entry->file, entry->first_line + at.line};
}

std::vector<std::string> Catalog::lint() const {
  std::vector<std::string> found;
  auto attempt = [&](auto&& read) {
    try {
      read();
    } catch (const InputError& e) { found.push_back(e.message); }
  };
  std::map<std::string, std::string> owner;  // section + lower-case name -> id
  for (std::string_view section : {"models", "devices", "engines"})
    for (const std::string& id : ids(section)) {
      std::vector<std::string> names = {id};
      attempt([&] {
        if (section == "models") names = model(id).aliases;
        if (section == "devices") names = device(id).aliases;
        if (section == "engines") names = engine(id).aliases;
        names.push_back(id);
      });
      for (const std::string& name : names) {
        auto [place_of, fresh] = owner.try_emplace(std::string(section) + "/" + lower(name), id);
        if (!fresh && place_of->second != id)
          found.push_back(place(section, id) + ": '" + name + "' names both '" + place_of->second + "' and '" + id +
                          "'\n");
      }
    }
  return found;
}

}  // namespace kvroof
