#include "catalog/record.h"

#include <fmt/format.h>

#include <algorithm>

#include "catalog/names.h"
#include "core/units.h"

namespace kvroof {

namespace {

constexpr std::string_view prose[] = {"name",          "vendor",  "aliases", "notes",      "source",
                                      "confidence",    "status",  "year",    "command",    "log_line",
                                      "fraction_flag", "kv_flag", "since",   "parameters", "marketed"};

bool is_prose(std::string_view key) { return std::find(std::begin(prose), std::end(prose), key) != std::end(prose); }

struct RecordValue;

/// Visitor over a field list that collects what is not at its default. A fallback that is the member itself stands
/// for "whatever was there before", so it says nothing about defaults.
struct RecordWriter {
  Json& out;
  template <class V>
  void operator()(const char* key, const V& value);
  template <class V, class U>
  void operator()(const char* key, const V& value, const U& fallback);
};

/// One value; numbers with a dimension in the largest unit that reads back to the same number.
struct RecordValue {
  Json operator()(i64 v) const { return v; }
  Json operator()(bool v) const { return v; }
  Json operator()(double v) const { return v; }
  Json operator()(Watts v) const { return v.value; }
  Json operator()(const std::string& v) const { return v; }
  Json operator()(const Format& v) const { return std::string(v.name); }
  template <Named Enum>
  Json operator()(Enum v) const {
    return std::string(Names<Enum>::list[int(v)]);
  }
  Json operator()(Overlap v) const {
    if (v == Overlap::max()) return "max";
    if (v == Overlap::sum()) return "sum";
    return v.hidden;
  }
  template <Dimension D>
  Json operator()(const Quantity<D>& v) const {
    std::string best;
    for (const Unit& u : units()) {
      if (!(u.dimension == D) || !u.printed) continue;
      std::string text = fmt::format("{} {}", v.value / u.factor, u.name);
      ParsedNumber back = parse_quantity(text, D);
      if (back.value == v.value && (best.empty() || text.size() <= best.size())) best = text;
    }
    return best.empty() ? fmt::format("{:.17g} {}", v.value, base_unit(D)) : best;
  }
  template <class T>
  Json operator()(const std::optional<T>& v) const {
    return v ? (*this)(*v) : Json();
  }
  template <class T>
  Json operator()(const std::vector<T>& v) const {
    Json out = Json::array();
    for (const T& item : v) out.push_back((*this)(item));
    return out;
  }
  template <class T>
  Json operator()(const ByArithmetic<T>& v) const {
    Json out = Json::object();
    for (int a = 0; a < 7; ++a)
      if (v[std::size_t(a)]) out[std::string(name_of(Arithmetic(a)))] = (*this)(*v[std::size_t(a)]);
    return out;
  }
  Json operator()(const Attention& a) const {
    return std::visit([&](const auto& kind) { return fields_of(kind, {{"kind", std::string(kind.name)}}); }, a);
  }
  Json operator()(const FeedForward& f) const {
    if (const auto* d = std::get_if<DenseFeedForward>(&f))
      return fields_of(*d, {{"kind", d->matrices == 3 ? "gated" : "plain"}});
    if (const auto* e = std::get_if<MoeFeedForward>(&f))
      return fields_of(*e, e->matrices == 3 ? Json{{"kind", "moe"}} : Json{{"kind", "moe"}, {"gated", false}});
    return {{"kind", "none"}};
  }
  template <class T>
    requires requires(T& t) {
      fields(t, [](auto&&...) {});
    }
  Json operator()(const T& spec) const { return fields_of(spec, Json::object()); }

  template <class T>
  Json fields_of(const T& spec, Json out) const {
    RecordWriter writer{out};
    fields(spec, writer);
    return out;
  }
  static const char* base_unit(Dimension d) {
    if (d == bytes_dimension) return "B";
    if (d == bandwidth_dimension) return "B/s";
    return d == seconds_dimension ? "s" : "GFLOPS";
  }
};

template <class V>
void RecordWriter::operator()(const char* key, const V& value) {
  if (!is_prose(key)) out[key] = RecordValue{}(value);
}

template <class V, class U>
void RecordWriter::operator()(const char* key, const V& value, const U& fallback) {
  if constexpr (std::is_same_v<V, U>)
    if (&value == &fallback) return (*this)(key, value);
  Json written = RecordValue{}(value);
  if (!written.is_null() && written != RecordValue{}(V(fallback))) (*this)(key, value);
}

/// The prose that the field lists require, so that a record reads as an entry does.
void add_prose(Json& record, std::initializer_list<const char*> keys) {
  for (const char* key : keys)
    if (!record.contains(key)) record[key] = std::string(key) == "confidence" ? "C" : "-";
}

/// JSON is YAML, so the catalogue's own reader takes it, unknown keys and bad values included.
template <class T>
void read_record(const Json& record, T& spec, const std::string& where) {
  std::string text = record.dump();
  Source source(where, text);
  ValueReader(source).read_fields(load_yaml(source, text), spec, "");
  source.throw_if_any();
}

template <class T>
void throw_if_wrong(const T& spec, const std::string& where) {
  for (const Problem& p : problems(spec)) throw InputError{where + ": " + p.path + " " + p.what + "\n"};
}

Json object_of(const Json& record, const std::string& where) {
  if (!record.is_object()) throw InputError{where + ": expected a mapping\n"};
  return record;
}

}  // namespace

Json record_of(const Model& model) {
  Json record = {{"id", model.id}};
  if (model.weight_bytes) record["weight_bytes"] = *model.weight_bytes;
  return RecordValue{}.fields_of(model, record);
}

Json record_of(const Device& device) { return RecordValue{}(device); }
Json record_of(const Engine& engine) { return RecordValue{}.fields_of(engine, {{"id", engine.id}}); }
Json record_of(const RangeRule& range) { return RecordValue{}(range); }

Model model_of_record(const Json& record, const std::string& where) {
  Json entry = object_of(record, where);
  Model model;
  if (entry.contains("weight_bytes")) model.weight_bytes = entry["weight_bytes"].get<double>();
  model.id = entry.value("id", "");
  entry.erase("id"), entry.erase("weight_bytes");
  add_prose(entry, {"name", "source", "confidence"});
  read_record(entry, model, where);
  throw_if_wrong(model, where);
  return model;
}

Device device_of_record(const Json& record, const std::string& where) {
  Json entry = object_of(record, where);
  add_prose(entry, {"name", "vendor", "source", "confidence"});
  if (entry.contains("price")) add_prose(entry["price"], {"source"});
  Device device;
  read_record(entry, device, where);
  throw_if_wrong(device, where);
  return device;
}

Engine engine_of_record(const Json& record, const std::string& where) {
  Json entry = object_of(record, where);
  Engine engine;
  engine.id = entry.value("id", "");
  entry.erase("id");
  add_prose(entry, {"name", "source"});
  read_record(entry, engine, where);
  throw_if_wrong(engine, where);
  return engine;
}

RangeRule range_of_record(const Json& record, const std::string& where) {
  Json entry = object_of(record, where);
  RangeRule range;
  read_record(entry, range, where);
  return range;
}

}  // namespace kvroof
