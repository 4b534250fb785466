#include "catalog/catalog.h"

#include <algorithm>
#include <iterator>
#include <sstream>

#include "catalog/packed.h"
#include "catalog/text_file.h"

namespace kvroof {
namespace {

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
  std::string_view section;
  int number = 0;
  std::size_t entry_begin = 0;
  bool inside = false;  // an entry of this section
  auto refuse = [&](int column, const std::string& what, const std::string& hint) {
    Source source(file, text);
    source.problem({number, column}, what, hint);
    source.throw_if_any();
  };
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
      section = key_of(line);
      inside = false;
      if (!is_section(section)) {
        std::vector<std::string> words(std::begin(sections), std::end(sections));
        std::optional<std::string> near = nearest(std::string(section), words);
        refuse(0, "expected a section: models, devices, classes, kernels, engines or ranges",
               near ? "did you mean '" + *near + "'?" : "");
      }
    } else if (line.size() > 2 && line.substr(0, 2) == "  " && line[2] != ' ' && line[2] != '#') {
      close(begin);
      entry_begin = begin;
      inside = true;
      std::string_view id = key_of(line.substr(2));
      if (id.empty() || line[2] == '-')
        refuse(2, "expected an id and its fields, such as 'h100-sxm:'", "entries are a mapping, not a list");
      entries.push_back({section, id, file, number, {}, {}, {}});
    } else if (std::size_t text_at = line.find_first_not_of(' ');
               !blank && !inside && text_at != std::string_view::npos && line[text_at] != '#') {
      refuse(int(text_at), "expected an entry, indented by two spaces", "such as '  h100-sxm:' under 'devices:'");
    }
    begin = end + 1;
  }
  close(text.size());
  return entries;
}

Source source_of(const Entry& entry) { return {std::string(entry.file), entry.text, entry.first_line}; }

YAML::Node entry_node(Source& source, const Entry& entry) {
  YAML::Node document = load_yaml(source, entry.text);
  std::string id(entry.id);
  YAML::Node node = document.IsMap() ? document[id] : YAML::Node();
  if (!node || !node.IsMap()) {
    source.problem(document.Mark(), "expected '" + id + ":' followed by its fields");
    source.throw_if_any();
  }
  return node;
}

void lay_over(YAML::Node base, const YAML::Node& over);

/// Mappings by key, lists of as many mappings one by one; anything else takes the place of what was there.
bool lies_over(YAML::Node below, const YAML::Node& over) {
  if (!below) return false;
  if (below.IsMap() && over.IsMap()) {
    lay_over(below, over);
    return true;
  }
  auto is_map = [](const YAML::Node& n) { return n.IsMap(); };
  if (!below.IsSequence() || !over.IsSequence() || below.size() != over.size() ||
      !std::all_of(below.begin(), below.end(), is_map) || !std::all_of(over.begin(), over.end(), is_map))
    return false;
  for (std::size_t i = 0; i < over.size(); ++i) lay_over(below[i], over[i]);
  return true;
}

void lay_over(YAML::Node base, const YAML::Node& over) {
  for (const auto& member : over)
    if (!lies_over(base[member.first.Scalar()], member.second)) base[member.first.Scalar()] = member.second;
}

/// The entry below that `base: ID` names: of an earlier layer, or above it in the same file. Null without a base.
const Entry* base_of(Source& source, const Entry& entry, const YAML::Node& node, const std::vector<Entry>& entries) {
  YAML::Node base = node["base"];
  if (!base) return nullptr;
  auto self = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return &e == &entry; });
  for (auto e = std::make_reverse_iterator(self); base.IsScalar() && e != entries.rend(); ++e)
    if (e->section == entry.section && same_ignoring_case(e->id, base.Scalar())) return &*e;
  source.problem(base.Mark(),
                 "base: expected an entry of " + std::string(entry.section) + " that stands before this one");
  source.throw_if_any();
  return nullptr;
}

const Entry* base_of(const Entry& entry, const std::vector<Entry>& entries) {
  Source source = source_of(entry);
  return base_of(source, entry, entry_node(source, entry), entries);
}

/// The entry's fields over those of its base, if it has one. What names the base alone is not inherited.
YAML::Node merged_node(Source& source, const Entry& entry, const std::vector<Entry>& entries) {
  YAML::Node node = entry_node(source, entry);
  const Entry* base = base_of(source, entry, node, entries);
  if (!base) return node;
  Source base_source = source_of(*base);
  YAML::Node merged = merged_node(base_source, *base, entries);
  if (!same_ignoring_case(base->id, entry.id)) merged.remove("aliases");
  node.remove("base");
  lay_over(merged, node);
  return merged;
}

/// What messages call an entry of the section that holds such specs.
template <class Spec>
constexpr std::string_view noun = "";
template <>
constexpr std::string_view noun<Model> = "model";
template <>
constexpr std::string_view noun<Device> = "device";
template <>
constexpr std::string_view noun<Engine> = "engine";
template <>
constexpr std::string_view noun<Achievable> = "class";
template <>
constexpr std::string_view noun<RangeEntry> = "range";
template <>
constexpr std::string_view noun<KernelTable> = "kernels of";

/// The entry's fields into a spec; then, where all could be read, what is wrong with the spec.
template <class Spec>
void read_spec(Source& source, const std::string& id, const YAML::Node& node, Spec& spec) {
  ValueReader(source).read_fields(node, spec, std::string(noun<Spec>) + " '" + id + "'");
  if constexpr (requires { spec.id; }) spec.id = id;
  if constexpr (requires { problems(spec); })
    if (source.problems().empty())
      for (const Problem& p : problems(spec)) source.problem(node.Mark(), id + ": " + p.path + " " + p.what, p.hint);
}

template <class Spec>
Spec unpacked(const Entry& entry) {
  Spec spec;
  Unpacker(entry.packed).read(spec);
  if constexpr (requires { spec.id; }) spec.id = entry.id;
  return spec;
}

template <class Spec>
std::string packed_spec(const Spec& spec) {
  std::string bytes;
  Packer(bytes).write(spec);
  return bytes;
}

}  // namespace

Model read_model(Source& source, const std::string& id, const YAML::Node& node) {
  Model model;
  read_spec(source, id, node, model);
  return model;
}

void Catalog::add_file(const std::string& path) {
  std::string text = read_text_file(path, "a YAML file");
  add_text(path, text);
  Source source(path, text);  // the index sees line starts only; what is no YAML elsewhere must not pass
  load_yaml(source, text);
  source.throw_if_any();
}

void Catalog::add_text(const std::string& file, std::string text) {
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) throw InputError{file + ": is empty\n"};
  if (text.find('\0') != std::string::npos) throw InputError{file + ": is not text (it holds a zero byte)\n"};
  files_.push_back(std::make_shared<const File>(File{file, std::move(text)}));
  std::vector<Entry> added = index_entries(files_.back()->name, files_.back()->text);
  if (added.empty())
    throw InputError{file + ": holds no entries; expected 'models:' or 'devices:' with an indented entry each\n"};
  entries_.insert(entries_.end(), added.begin(), added.end());
}

std::string Catalog::aliases(const Entry& entry) const {
  if (!entry.packed.empty()) return std::string(entry.aliases);
  Source source = source_of(entry);
  YAML::Node aliases = entry_node(source, entry)["aliases"];
  std::string lines;
  if (aliases && aliases.IsSequence())
    for (const YAML::Node& alias : aliases)
      if (alias.IsScalar()) lines += alias.Scalar() + "\n";
  return lines;
}

/// An alias is listed in the entry's text; parsing is worth it only where the text mentions the name at all.
bool Catalog::has_alias(const Entry& entry, std::string_view name) const {
  if (entry.packed.empty() && lower(entry.text).find(lower(name)) == std::string::npos) return false;
  return lower("\n" + aliases(entry)).find("\n" + lower(name) + "\n") != std::string::npos;
}

const Entry* Catalog::find_id(std::string_view section, std::string_view id) const {
  for (auto e = entries_.rbegin(); e != entries_.rend(); ++e)
    if (e->section == section && same_ignoring_case(e->id, id)) return &*e;
  return nullptr;
}

const Entry* Catalog::find(std::string_view section, std::string_view name) const {
  if (const Entry* by_id = find_id(section, name)) return by_id;
  for (auto e = entries_.rbegin(); e != entries_.rend(); ++e)
    if (e->section == section && has_alias(*e, name)) return find_id(section, e->id);  // a later layer's, if it has one
  return nullptr;
}

std::vector<std::string> Catalog::known_names(std::string_view section) const {
  std::vector<std::string> names = ids(section);
  for (const Entry& e : entries_) {
    if (e.section != section) continue;
    std::istringstream lines(aliases(e));
    for (std::string alias; std::getline(lines, alias);) names.push_back(alias);
  }
  return names;
}

const Entry& Catalog::need(std::string_view section, std::string_view name, std::string_view what) const {
  if (const Entry* found = find(section, name)) return *found;
  std::string message = "unknown " + std::string(what) + " '" + std::string(name) + "'";
  if (section == "models" && find("devices", name))
    message += "; that is a device, and a model comes first";
  else if (section == "devices" && find("models", name))
    message += "; that is a model, and comes first";
  else if (std::optional<std::string> near = nearest(name, known_names(section)))
    message += "; did you mean '" + *near + "'?";
  std::string command = section == "devices" ? "hardware" : std::string(section);
  throw InputError{message + "\n  'kvroof " + command + "' lists all of them" +
                   (section == "models" ? "; a config.json, .gguf or .safetensors file is a model too" : "") + "\n"};
}

template <class Spec>
Spec Catalog::spec(const Entry& entry) const {
  if (!entry.packed.empty()) return unpacked<Spec>(entry);
  Spec spec;
  Source source = source_of(entry);
  read_spec(source, std::string(entry.id), merged_node(source, entry, entries_), spec);
  source.throw_if_any();
  return spec;
}

Model Catalog::model(std::string_view name) const { return spec<Model>(need("models", name, "model")); }

Device Catalog::device(std::string_view name) const {
  const Entry& e = need("devices", name, "device");
  Device device = read_device(e);
  const Entry* timed = &e;  // the nearest whose kernels were: the device, or what it rests on
  while (timed && timed->packed.empty() && !find_id("kernels", timed->id)) timed = base_of(*timed, entries_);
  if (timed) device.kernels = kernels(timed->id);
  if (auto set = prices_.find(device.id); set != prices_.end()) device.price = set->second;
  return device;
}

void Catalog::set_price(std::string_view device, Price price) {
  prices_[std::string(need("devices", device, "device").id)] = std::move(price);
}

/// Without its kernels, and with its class's figures where it has none of its own.
Device Catalog::read_device(const Entry& e) const {
  if (!e.packed.empty())
    if (Device device = unpacked<Device>(e); rests_on_built_in(device)) return device;
  Source source = source_of(e);
  YAML::Node node = merged_node(source, e, entries_);
  Device device;
  std::string device_class = node["class"] && node["class"].IsScalar() ? node["class"].Scalar() : "";
  if (has("classes", device_class)) device.achievable = family(device_class);
  read_spec(source, std::string(e.id), node, device);
  source.throw_if_any();
  return device;
}

bool Catalog::rests_on_built_in(const Device& device) const {
  const Entry* of_class = find("classes", device.device_class);
  return !of_class || !of_class->packed.empty();
}

KernelTable Catalog::kernels(std::string_view device) const {
  const Entry* e = find_id("kernels", device);
  return e ? spec<KernelTable>(*e) : KernelTable();
}

Achievable Catalog::family(std::string_view device_class) const {
  return spec<Achievable>(need("classes", device_class, "device class"));
}

Engine Catalog::engine(std::string_view name) const { return spec<Engine>(need("engines", name, "engine")); }

RangeRule Catalog::range(Basis basis) const { return range_named(name_of(basis)); }

RangeRule Catalog::kernel_range(Basis basis) const {
  bool measured = basis == Basis::measured_kernels || basis == Basis::own_rows;
  return range_named(measured ? "one kernel" : name_of(basis));
}

RangeRule Catalog::range_named(std::string_view name) const {
  return spec<RangeEntry>(need("ranges", name, "range")).rule;
}

/// One with a base is not packed: what it inherits may be another layer's.
std::string Catalog::packed(const Entry& e) const {
  Source source = source_of(e);
  if (entry_node(source, e)["base"]) return "";
  if (e.section == "models") return packed_spec(spec<Model>(e));
  if (e.section == "devices") return packed_spec(read_device(e));
  if (e.section == "classes") return packed_spec(spec<Achievable>(e));
  if (e.section == "kernels") return packed_spec(spec<KernelTable>(e));
  if (e.section == "engines") return packed_spec(spec<Engine>(e));
  return packed_spec(spec<RangeEntry>(e));
}

std::vector<std::string> Catalog::ids(std::string_view section) const {
  std::vector<std::string> found;
  for (const Entry& e : entries_)
    if (e.section == section && std::find(found.begin(), found.end(), e.id) == found.end()) found.emplace_back(e.id);
  return found;
}

std::string Catalog::place(std::string_view section, std::string_view id) const {
  const Entry* e = find(section, id);
  return e ? std::string(e->file) + ":" + std::to_string(e->first_line + 1) : std::string();
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
  std::string id(entry->id);
  Source source = source_of(*entry);
  YAML::Node node = entry_node(source, *entry);
  Reached at = reach(node, field, 0);
  // A field the entry doesn't have itself is its base's.
  while (at.depth < field.size()) {
    const Entry* base = base_of(source, *entry, node, entries_);
    if (!base) break;
    Source below = source_of(*base);
    YAML::Node of_base = entry_node(below, *base);
    Reached there = reach(of_base, field, 0);
    if (there.depth <= at.depth) break;
    entry = base, source = below, at = there;
    node.reset(of_base);
  }
  bool inherited = section == "devices" && at.depth < field.size() && field[0] == "achievable" && node["class"];
  if (const Entry* of_class = inherited ? find("classes", node["class"].Scalar()) : nullptr) {
    Source class_source = source_of(*of_class);
    Reached there = reach(entry_node(class_source, *of_class), field, 1);
    if (there.depth > std::max<std::size_t>(at.depth, 1))
      return {std::string(of_class->file), of_class->first_line + there.line, id, false};
  }
  return {std::string(entry->file), entry->first_line + at.line, id, at.depth == field.size()};
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
