#include "catalog/schema.h"

#include <algorithm>

#include "catalog/meanings.h"
#include "catalog/names.h"

namespace kvroof {
namespace {

constexpr i64 largest_count = i64(1) << 53;  // what the reader takes: whole numbers of a double

std::string example_of(Dimension d) {
  if (d == bytes_dimension) return "a size with its unit, such as 80 GiB or 80 GB";
  if (d == bandwidth_dimension) return "a bandwidth with its unit, such as 3.35 TB/s";
  if (d == seconds_dimension) return "a time with its unit, such as 3.5 us";
  return "a rate of arithmetic with its unit, such as 989 TFLOPS or 1979 TOPS";
}

struct SchemaWriter;

/// The rule of one value, by its type. `path` is where it stands, which decides what a key means.
struct SchemaOf {
  std::string path;

  Json operator()(i64) const { return {{"type", "integer"}, {"minimum", 0}, {"maximum", largest_count}}; }
  Json operator()(double) const { return {{"type", "number"}, {"minimum", 0}}; }
  Json operator()(Watts) const {
    return {{"type", {"number", "string"}}, {"minimum", 0}, {"pattern", "^" + decimal_pattern() + " W$"}};
  }
  Json operator()(bool) const { return {{"type", "boolean"}}; }
  Json operator()(const std::string&) const { return one_value_schema(); }
  Json operator()(const Format&) const { return {{"$ref", "#/definitions/format"}}; }
  Json operator()(Overlap) const {
    return {{"anyOf", {{{"enum", {"max", "sum"}}}, {{"type", "number"}, {"minimum", 0}}}},
            {"description", "max, sum, or the share of the shorter time that is hidden, such as 0.6"}};
  }
  template <Named Enum>
  Json operator()(Enum) const {
    return {{"enum", Names<Enum>::list}};
  }
  template <Dimension D>
  Json operator()(const Quantity<D>&) const {
    return {{"type", "string"}, {"pattern", "^" + quantity_pattern(D) + "$"}, {"description", example_of(D)}};
  }
  template <class T>
  Json operator()(const std::optional<T>&) const {
    return (*this)(T{});
  }
  template <class T>
  Json operator()(const std::vector<T>&) const {
    Json out = {{"type", "array"}, {"items", (*this)(T{})}};
    constexpr bool needs_one = std::is_same_v<T, LayerGroup> || std::is_same_v<T, MemoryTier>;
    if (needs_one) out["minItems"] = 1;
    return out;
  }
  template <class T>
  Json operator()(const ByArithmetic<T>&) const {
    Json out = {{"type", "object"}, {"properties", Json::object()}, {"additionalProperties", false}};
    for (int a = 0; a < 7; ++a) out["properties"][std::string(name_of(Arithmetic(a)))] = (*this)(T{});
    return out;
  }
  Json operator()(const WeightFormats& w) const { return {{"anyOf", {(*this)(Format{}), mapping(w)}}}; }
  Json operator()(const Attention&) const {
    Json kinds = Json::array();
    [&]<class... Kinds>(std::variant<Kinds...>*) {
      (kinds.push_back(kind(Kinds::name, Kinds{})), ...);
    }(static_cast<Attention*>(nullptr));
    return {{"anyOf", kinds}};
  }
  Json operator()(const FeedForward&) const {
    Json moe = kind("moe", MoeFeedForward{});
    moe["properties"]["gated"] = {{"type", "boolean"}, {"description", "three matrices, not two"}, {"default", true}};
    return {
        {"anyOf",
         {kind("gated", DenseFeedForward{}), kind("plain", DenseFeedForward{}), moe, kind("none", NoFeedForward{})}}};
  }
  template <class T>
    requires requires(T& t) {
      fields(t, [](auto&&...) {});
    }
  Json operator()(const T& spec) const { return mapping(spec); }

  template <class T>
  Json mapping(const T& spec) const;
  /// A mapping that names its own kind beside its fields.
  template <class T>
  Json kind(std::string_view name, const T& spec) const {
    Json out = SchemaOf{path + "." + std::string(name)}.mapping(spec);
    Json properties = {{"kind", {{"const", name}}}};
    properties.update(out["properties"]);
    out["properties"] = properties;
    Json required = Json::array({"kind"});
    if (out.contains("required")) required.insert(required.end(), out["required"].begin(), out["required"].end());
    out["required"] = required;
    return out;
  }
};

/// What an editor may write for a key that is left out; mappings and lists speak for themselves.
struct DefaultOf {
  Json operator()(i64 v) const { return v; }
  Json operator()(double v) const { return v; }
  Json operator()(bool v) const { return v; }
  Json operator()(const std::string& v) const { return v.empty() ? Json() : Json(v); }
  Json operator()(const Format& v) const { return std::string(v.name); }
  template <Named Enum>
  Json operator()(const Enum& v) const {
    return std::string(Names<Enum>::list[int(v)]);
  }
  Json operator()(const auto&) const { return {}; }
};

/// Visitor over a field list: a property for each key.
struct SchemaWriter {
  const std::string& path;
  Json properties = Json::object(), required = Json::array();

  template <class T>
  Json& property(const char* key, const T& value) {
    std::string here = path + "." + key;
    Json rule = SchemaOf{here}(value);
    if (std::string_view meaning = meaning_of(here); !meaning.empty()) {
      if (rule.contains("description"))
        rule["description"] = std::string(meaning) + "; " + rule["description"].get<std::string>();
      else if (rule.contains("$ref"))
        rule = {{"allOf", Json::array({rule})}, {"description", meaning}};  // draft-07 reads nothing beside a $ref
      else
        rule["description"] = meaning;
    }
    return properties[key] = std::move(rule);
  }
  template <class T>
  void operator()(const char* key, const T& value) {
    property(key, value);
    required.push_back(key);
  }
  /// A fallback that is the member itself stands for what the device class says.
  template <class T, class U>
  void operator()(const char* key, const T& value, const U& fallback) {
    Json& rule = property(key, value);
    rule = or_nothing(rule);
    if constexpr (std::is_same_v<T, U>)
      if (&value == &fallback) return;
    if (Json given = DefaultOf{}(fallback); !given.is_null()) rule["default"] = given;
  }

 private:
  /// A key without a value is one left out, and takes back what a base says.
  static Json or_nothing(Json rule) {
    Json description = rule.contains("description") ? rule["description"] : Json();
    rule.erase("description");
    Json out = {{"anyOf", {rule, {{"type", "null"}}}}};
    if (!description.is_null()) out["description"] = description;
    return out;
  }
};

template <class T>
Json SchemaOf::mapping(const T& spec) const {
  SchemaWriter writer{path};
  fields(spec, writer);
  Json out = {{"type", "object"}, {"properties", writer.properties}};
  if (!writer.required.empty()) out["required"] = writer.required;
  out["additionalProperties"] = false;
  return out;
}

struct Section {
  std::string_view name, what;
  Json (*entry)();
};

template <class T>
Json entry_of(const char* path) {
  return SchemaOf{path}(T{});
}

constexpr Section sections_known[] = {
    {"models", "shapes of models, by id", [] { return entry_of<Model>("models"); }},
    {"devices", "devices, by id", [] { return entry_of<Device>("devices"); }},
    {"classes", "what devices of a class reach where they have no measurements of their own",
     [] { return entry_of<Achievable>("classes"); }},
    {"kernels", "kernels timed one by one, by the device's id", [] { return entry_of<KernelTable>("kernels"); }},
    {"ranges", "80 % of measured over expected time, by what the expected time rests on",
     [] { return entry_of<RangeEntry>("ranges"); }},
    {"engines", "serving engines, by id", [] { return entry_of<Engine>("engines"); }},
};

void drop_required(Json& rule) {
  if (rule.is_object()) rule.erase("required");
  if (rule.is_structured())
    for (Json& part : rule) drop_required(part);
}

/// An entry with a base says only what differs from it: at no depth need it say more.
Json or_with_base(const Json& whole) {
  Json part = whole;
  drop_required(part);
  part["properties"]["base"] = {{"type", "string"}, {"description", "the entry before this one that it differs from"}};
  return {{"if", {{"required", {"base"}}}}, {"then", part}, {"else", whole}};
}

/// Any of the texts, the longest first: a regular expression takes the first that fits.
std::string any_of(std::vector<std::string> texts) {
  std::stable_sort(texts.begin(), texts.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : "|") + text;
  return "(" + out + ")";
}

}  // namespace

std::string decimal_pattern() { return "([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?"; }

std::string quantity_pattern(Dimension dimension) {
  std::vector<std::string> names;
  for (const Unit& unit : units())
    if (unit.dimension == dimension) names.emplace_back(unit.name);
  return "[ \\t]*" + decimal_pattern() + "[ \\t]*" + any_of(names) + "[ \\t]*";
}

std::string count_pattern() { return "[ \\t]*" + decimal_pattern() + "[kKM]?[ \\t]*"; }
std::string share_pattern() { return "[ \\t]*" + decimal_pattern() + "%?[ \\t]*"; }

Json one_value_schema() { return {{"type", {"string", "number", "boolean"}}}; }

Json format_schema() {
  Json names = Json::array();
  for (const Format& f : formats()) names.push_back(f.name);
  for (const FormatAlias& a : format_aliases()) names.push_back(a.alias);
  return {{"enum", names}, {"description", "a number format"}};
}

Json schema_head(std::string_view title, std::string_view description) {
  return {{"$schema", "http://json-schema.org/draft-07/schema#"},
          {"title", title},
          {"description", description},
          {"type", "object"}};
}

Json catalogue_schema(std::string_view title, std::span<const std::string_view> sections) {
  Json out = schema_head(title, "entries by id; a user's file is layered over the built-in catalogue with --catalog");
  out["properties"] = Json::object();
  for (const Section& s : sections_known)
    if (std::find(sections.begin(), sections.end(), s.name) != sections.end())
      out["properties"][std::string(s.name)] = {
          {"type", "object"}, {"description", s.what}, {"additionalProperties", or_with_base(s.entry())}};
  out["additionalProperties"] = false;
  out["minProperties"] = 1;
  out["definitions"] = {{"format", format_schema()}};
  return out;
}

}  // namespace kvroof
