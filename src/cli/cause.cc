#include "cli/cause.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace kvroof {
namespace {

using Path = std::vector<std::string>;

/// Something that differs, as edits of the older inputs; null takes a key away.
struct Edit {
  std::string subject;  ///< the entry or file whose field it is; empty when the field says all
  std::string field;
  Cause cause;  ///< `what` is put together at the end
  std::vector<std::pair<Path, Json>> edits;
};

struct Leaf {
  Path path;
  Json before, now;  ///< null: absent
};

/// A model's attention and feed-forward have other fields by their `kind`; elsewhere it is a label, such as HBM3.
bool is_variant(const Path& path) { return path.back() == "attention" || path.back() == "feed_forward"; }

/// Of mappings and lists alike in shape the places that differ; a variant of another kind differs as a whole.
void find_leaves(const Json& before, const Json& now, const Path& path, std::vector<Leaf>& out) {
  if (before == now) return;
  auto at = [](const Json& json, const std::string& key) { return json.contains(key) ? json.at(key) : Json(); };
  auto below = [&](const std::string& key) {
    Path deeper = path;
    deeper.push_back(key);
    return deeper;
  };
  bool both_mappings = before.is_object() && now.is_object();
  if (both_mappings && !(is_variant(path) && at(before, "kind") != at(now, "kind"))) {
    for (const auto& [key, value] : before.items()) find_leaves(value, at(now, key), below(key), out);
    for (const auto& [key, value] : now.items())
      if (!before.contains(key)) find_leaves(Json(), value, below(key), out);
  } else if (before.is_array() && now.is_array() && before.size() == now.size()) {
    for (std::size_t i = 0; i < before.size(); ++i) find_leaves(before[i], now[i], below(std::to_string(i)), out);
  } else {
    out.push_back({path, before, now});
  }
}

/// `layers[0].attention.kv_heads`.
std::string written(const Path& path) {
  std::string out;
  for (const std::string& part : path) {
    bool index = !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
    out += index ? "[" + part + "]" : (out.empty() ? "" : ".") + part;
  }
  return out;
}

std::string value_text(const Json& value) {
  if (value.is_null()) return "unset";
  if (value.is_object() && value.contains("kind")) return value_text(value["kind"]);
  std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (text.size() <= 60) return text;
  std::size_t end = 57;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // no half character
  return text.substr(0, end) + "...";
}

void apply(Json& inputs, const Path& path, const Json& value) {
  Json* at = &inputs;
  for (std::size_t i = 0; i + 1 < path.size(); ++i) at = at->is_array() ? &(*at)[std::stoul(path[i])] : &(*at)[path[i]];
  if (at->is_array())
    (*at)[std::stoul(path.back())] = value;
  else if (value.is_null())
    at->erase(path.back());
  else
    (*at)[path.back()] = value;
}

/// Collects what differs between the inputs of one scenario.
struct Edits {
  const Scenario& scenario;
  const CauseContext& context;
  const Json &before, &now;
  std::vector<Edit> found = {};
  bool engine_moves = before["engine"].value("id", "") != now["engine"].value("id", "");
  bool range_moves = before["range"]["basis"] != now["range"]["basis"];

  void whole(Edit& change, const char* section) {
    change.edits.push_back({{section}, now.contains(section) ? now[section] : Json()});
  }
  void engine_with(Edit& d) {
    if (std::exchange(engine_moves, false)) whole(d, "engine");
  }
  void range_with(Edit& d) {
    if (std::exchange(range_moves, false)) whole(d, "range");
  }

  /// Whether the option names something else than before, and not one entry by another of its names.
  bool renamed(const char* option) const {
    std::string was = before["options"].value(option, ""), is = now["options"].value(option, "");
    if (was == is) return false;
    const char* section = std::string_view(option) == "hardware" ? "devices" : "models";
    std::string entry = context.catalog.locate(section, is, {}).entry;
    return entry.empty() || context.catalog.locate(section, was, {}).entry != entry;
  }

  std::vector<Leaf> leaves(const char* section) {
    std::vector<Leaf> out;
    if (before.contains(section) && now.contains(section)) find_leaves(before[section], now[section], {section}, out);
    return out;
  }

  void options() {
    for (const Leaf& leaf : leaves("options")) {
      const std::string& key = leaf.path[1];
      auto line = scenario.option_lines.find(key);
      Edit d{"",
             fmt::format("{} of '{}'", key, scenario.name),
             {context.file.path, line == scenario.option_lines.end() ? scenario.line : line->second, "",
              value_text(leaf.before), value_text(leaf.now)},
             {{leaf.path, leaf.now}}};
      bool other_device = key == "hardware" && renamed("hardware");
      if (key == "model" && renamed("model")) whole(d, "model");
      if (key == "draft" && renamed("draft")) whole(d, "draft");
      if (other_device) whole(d, "device"), range_with(d);
      if (key == "observed") range_with(d);
      if (key == "engine" || (other_device && before["options"].value("engine", "").empty())) engine_with(d);
      found.push_back(d);
    }
  }

  /// The fields of one spec, each at the place that `locate` gives.
  template <class Locate>
  void spec(const char* part, const std::string& name, Locate locate) {
    std::vector<Leaf> all = leaves(part);
    auto names_class = [](const Leaf& leaf) { return leaf.path[0] == "device" && leaf.path[1] == "class"; };
    std::stable_partition(all.begin(), all.end(), names_class);
    std::optional<std::size_t> of_class;  // another class brings its figures along
    for (const Leaf& leaf : all) {
      Path field(leaf.path.begin() + 1, leaf.path.end());
      Location place = locate(field);
      if (of_class && field[0] == "achievable" && !place.own) {
        found[*of_class].edits.emplace_back(leaf.path, leaf.now);
        continue;
      }
      Edit d{place.entry.empty() ? name : place.entry,
             written(field),
             {place.file, place.line + 1, "", value_text(leaf.before), value_text(leaf.now)},
             {{leaf.path, leaf.now}}};
      bool is_class = names_class(leaf);
      if (is_class) of_class = found.size();
      if (is_class && before["options"].value("engine", "").empty()) engine_with(d);
      if (is_class || (leaf.path[0] == "device" && field.back() == "basis")) range_with(d);
      found.push_back(d);
    }
  }

  void model(const char* part, const char* option) {
    std::string name = now["options"].value(option, "");
    if (name.empty() || renamed(option)) return;
    std::string file = model_file(context.file, name, context.catalog);
    spec(part, name, [&](const Path& field) {
      return file.empty() ? context.catalog.locate("models", name, field) : Location{file, -1, "", true};
    });
  }

  void device() {
    std::string name = now["options"].value("hardware", "");
    if (renamed("hardware")) return;
    std::optional<DeviceFile> file;  // read for a change alone
    spec("device", name, [&](const Path& field) {
      if (!is_device_file(name)) return context.catalog.locate("devices", name, field);
      if (!file) file = device_file(beside(context.file.path, name), context.catalog);
      return file->catalog.locate("devices", file->id, field);
    });
  }

  void entry(const char* part, const char* section, const char* id) {
    std::string name = now[part].value(id, "");
    if (before[part].value(id, "") != name) return;
    spec(part, name, [&](const Path& field) { return context.catalog.locate(section, name, field); });
  }

  void collect() {
    options();
    model("model", "model");
    model("draft", "draft");
    device();
    entry("engine", "engines", "id");
    entry("range", "ranges", "basis");
    Edit rest{"", "usual engine", {"", 0, "", before["engine"].value("id", ""), now["engine"].value("id", "")}, {}};
    engine_with(rest), range_with(rest);
    if (!rest.edits.empty()) found.push_back(rest);
    for (Edit& d : found) d.cause.what = d.subject.empty() ? d.field : d.subject + " " + d.field;
  }
};

const std::string& part_of(const Edit& d) { return d.edits[0].first[0]; }

/// The marked changes of each part become one: half of a new shape means nothing alone.
std::vector<Edit> joined(const std::vector<Edit>& changes, const std::vector<bool>& marked) {
  std::vector<Edit> out;
  std::map<std::string, std::size_t> first;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const Edit& d = changes[i];
    auto at = marked[i] ? first.find(part_of(d)) : first.end();
    if (at == first.end()) {
      if (marked[i]) first[part_of(d)] = out.size();
      out.push_back(d);
      continue;
    }
    Edit& whole = out[at->second];
    whole.field += ", " + d.field;
    whole.cause.what += ", " + d.field;  // the subject is said once
    whole.cause.before += ", " + d.cause.before;
    whole.cause.now += ", " + d.cause.now;
    whole.edits.insert(whole.edits.end(), d.edits.begin(), d.edits.end());
  }
  return out;
}

std::vector<Edit> edits_of(const Scenario& scenario, const Json& before, const Json& now, const CauseContext& context) {
  Edits changes{scenario, context, before, now};
  changes.collect();
  return std::move(changes.found);
}

std::optional<Figures> tried(const Json& inputs, const Edit& d, Replay& replay) {
  Json changed = inputs;
  for (const auto& [path, value] : d.edits) apply(changed, path, value);
  try {
    return replay.figures(changed);
  } catch (const InputError&) { return std::nullopt; }
}

/// What each change alone makes of the old inputs; a single one makes the new answer.
std::vector<std::optional<Figures>> each_alone(const std::vector<Edit>& changes, const Json& before, const Figures& now,
                                               Replay& replay) {
  std::vector<std::optional<Figures>> found;
  for (const Edit& d : changes) found.push_back(changes.size() == 1 ? now : tried(before, d, replay));
  return found;
}

std::vector<bool> those_that_fail(const std::vector<Edit>&, const std::vector<std::optional<Figures>>& alone) {
  std::vector<bool> marked;
  for (const std::optional<Figures>& figures : alone) marked.push_back(!figures);
  return marked;
}

/// All of a part where one change fails alone: what it needs is one of the others.
std::vector<bool> parts_that_fail(const std::vector<Edit>& changes, const std::vector<std::optional<Figures>>& alone) {
  std::set<std::string> failing;
  for (std::size_t i = 0; i < alone.size(); ++i)
    if (!alone[i]) failing.insert(part_of(changes[i]));
  std::vector<bool> marked;
  for (const Edit& d : changes) marked.push_back(failing.count(part_of(d)) > 0);
  return marked;
}

bool differs(const Judged& metric, const std::optional<double>& a, const std::optional<double>& b) {
  if (!a || !b) return a.has_value() != b.has_value();
  return judge(metric, {}, *a, *b) != Verdict::same;
}

std::optional<double> change(const std::optional<double>& from, const std::optional<double>& to) {
  return from && to ? std::optional(*to - *from) : std::nullopt;
}

std::size_t index_of(std::vector<Cause>& causes, const Cause& cause) {
  auto at = std::find(causes.begin(), causes.end(), cause);
  if (at == causes.end()) at = causes.insert(causes.end(), cause);
  return std::size_t(at - causes.begin());
}

/// What one step from `from` to `to` did to each metric is put down to the cause.
void put_down(const Figures& from, const Figures& to, const Cause& cause, std::vector<Cause>& causes,
              std::vector<Attribution>& moved) {
  std::optional<std::size_t> index;
  for (std::size_t m = 0; m < moved.size(); ++m)
    if (differs(judged()[m], from[m], to[m])) {
      if (!index) index = index_of(causes, cause);
      moved[m].effects.push_back({*index, change(from[m], to[m])});
    }
}

/// The edits that take a change back.
Edit taken_back(Edit d, const Json& before) {
  for (auto& [path, value] : d.edits) {
    Json old = before;
    for (const std::string& key : path) {
      Json inner = old.is_array() ? old.at(std::stoul(key)) : old.contains(key) ? old.at(key) : Json();
      old = std::move(inner);
    }
    value = std::move(old);
  }
  return d;
}

/// What only shows beside another: names those without which the new answer would be another.
void add_partners(const std::vector<Edit>& found, const Json& before, const Json& now, const Figures& is,
                  Replay& replay, std::vector<Cause>& causes, std::vector<Attribution>& moved) {
  auto unexplained = [](const Attribution& m) { return m.together != 0; };
  if (found.size() < 2 || std::none_of(moved.begin(), moved.end(), unexplained)) return;
  for (const Edit& d : found) {
    std::optional<Figures> without = tried(now, taken_back(d, before), replay);
    for (std::size_t m = 0; m < moved.size(); ++m) {
      if (!unexplained(moved[m]) || (without && !differs(judged()[m], (*without)[m], is[m]))) continue;
      std::size_t cause = index_of(causes, d.cause);
      auto names_it = [&](const Effect& e) { return e.cause == cause; };
      if (std::none_of(moved[m].effects.begin(), moved[m].effects.end(), names_it))
        moved[m].effects.push_back({cause, 0.0});
    }
  }
}

/// Largest effect first, and what is left when all are added.
void settle(Attribution& moved_by, const std::optional<double>& before, const std::optional<double>& now) {
  std::stable_sort(moved_by.effects.begin(), moved_by.effects.end(), [](const Effect& a, const Effect& b) {
    return std::abs(a.change.value_or(1e300)) > std::abs(b.change.value_or(1e300));
  });
  if (!before || !now) return;
  double rest = *now - *before;
  for (const Effect& e : moved_by.effects) {
    if (!e.change) return;
    rest -= *e.change;
  }
  if (std::abs(rest) > 1e-6 * std::abs(*now - *before)) moved_by.together = rest;
}

}  // namespace

std::string Cause::text() const {
  std::string place = file.empty() ? "" : line > 0 ? fmt::format("{}:{}: ", file, line) : file + ": ";
  if (before.empty() && now.empty()) return place + what;
  if (before == now) return fmt::format("{}{} ({} then and now)", place, what, now);
  return fmt::format("{}{} {} -> {}", place, what, before, now);
}

std::vector<Attribution> causes_of(const Scenario& scenario, const Answers& all_before, const Answers& all_now,
                                   const CauseContext& context, Replay& replay, std::vector<Cause>& causes) {
  const Answer &was = all_before.by_name.at(scenario.name), &is = all_now.by_name.at(scenario.name);
  Json before = all_before.inputs_of(was), now = all_now.inputs_of(is);
  std::vector<Attribution> moved(judged().size());
  Figures start = was.figures;
  std::optional<Figures> replayed = context.recorded ? tried(before, {}, replay) : was.figures;
  const Cause itself{"", 0, "kvroof itself", all_before.version, all_now.version};
  if (replayed) {
    put_down(start, *replayed, itself, causes, moved);
    start = *replayed;
  }
  std::vector<Edit> found = edits_of(scenario, before, now, context);
  std::vector<std::optional<Figures>> alone = each_alone(found, before, is.figures, replay);
  for (auto marks : {those_that_fail, parts_that_fail}) {
    std::vector<bool> marked = marks(found, alone);
    if (std::find(marked.begin(), marked.end(), true) == marked.end()) break;
    found = joined(found, marked);
    alone = each_alone(found, before, is.figures, replay);
  }
  for (std::size_t i = 0; i < alone.size(); ++i)
    if (alone[i] && replayed) put_down(start, *alone[i], found[i].cause, causes, moved);
  for (std::size_t m = 0; m < moved.size(); ++m) {
    settle(moved[m], was.figures[m], is.figures[m]);
    if (!moved[m].effects.empty() || !differs(judged()[m], was.figures[m], is.figures[m])) continue;
    // Nothing moves it alone: all of them, together; and kvroof, if it no longer reads what was recorded.
    if (!replayed) moved[m].effects.push_back({index_of(causes, itself), {}});
    for (const Edit& d : found) moved[m].effects.push_back({index_of(causes, d.cause), {}});
  }
  if (replayed) add_partners(found, before, now, is.figures, replay, causes, moved);
  return moved;
}

std::vector<Effect> causes_of_loss(const Scenario& scenario, const Answers& all_before, const Answers& all_now,
                                   const CauseContext& context, Replay& replay, std::vector<Cause>& causes) {
  Json before = all_before.inputs_of(all_before.by_name.at(scenario.name));
  Json now = all_now.inputs_of(all_now.by_name.at(scenario.name));
  std::vector<Edit> found = edits_of(scenario, before, now, context);
  std::vector<Effect> fatal;
  for (const Edit& d : found) {
    bool stops = found.size() == 1 || !tried(before, d, replay);
    if (stops) fatal.push_back({index_of(causes, d.cause), {}});
  }
  if (!fatal.empty()) return fatal;
  for (const Edit& d : found) fatal.push_back({index_of(causes, d.cause), {}});  // none of them alone
  return fatal;
}

}  // namespace kvroof
