#include "catalog/writer.h"

#include <fmt/format.h>

#include "catalog/fields.h"
#include "catalog/names.h"

namespace kvroof {
namespace {

/// Text in quotes, since names and notes hold colons, hashes and braces.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out + "\"";
}

/// The base unit a quantity is written in.
template <Dimension D>
std::string in_units(Quantity<D> q) {
  if constexpr (D == Dimension{.byte = 1}) return fmt::format("{} B", q.value);
  if constexpr (D == Dimension{.byte = 1, .second = -1}) return fmt::format("{} B/s", q.value);
  if constexpr (D == Dimension{.second = 1}) return fmt::format("{} s", q.value);
  if constexpr (D == Dimension{.flop = 1, .second = -1}) return fmt::format("{} GFLOPS", q.value / 1e9);
}

struct FlowText;

/// Visitor over a field list: each key that is not at its default goes to `put` as flow text.
template <class Put>
struct FlowVisitor {
  const FlowText& text;
  Put& put;
  template <class V>
  void operator()(const char* key, const V& value) {
    put(key, text(value));
  }
  template <class V, class U>
  void operator()(const char* key, const V& value, const U& fallback) {
    if (text(value) != text(V(fallback))) put(key, text(value));
  }
};

/// The same, except that defaults are written too: what an entry would inherit from its class is said.
template <class Put>
struct WholeVisitor {
  const FlowText& text;
  Put& put;
  template <class V, class... Fallback>
  void operator()(const char* key, const V& value, const Fallback&...) {
    std::string flow = text(value);
    if (flow != "null" && flow != "{}" && flow != "[]") put(key, flow);
  }
};

/// One value in YAML's flow style.
struct FlowText {
  std::string operator()(i64 v) const { return std::to_string(v); }
  std::string operator()(bool v) const { return v ? "true" : "false"; }
  std::string operator()(double v) const { return fmt::format("{}", v); }
  std::string operator()(Watts v) const { return (*this)(v.value); }
  std::string operator()(const std::string& v) const { return quoted(v); }
  template <Dimension D>
  std::string operator()(const Quantity<D>& v) const {
    return in_units(v);
  }
  std::string operator()(const Overlap& v) const { return (*this)(v.hidden); }
  std::string operator()(const Format& v) const { return std::string(v.name); }
  template <Named Enum>
  std::string operator()(Enum v) const {
    return std::string(Names<Enum>::list[int(v)]);
  }
  template <class T>
  std::string operator()(const std::optional<T>& v) const {
    return v ? (*this)(*v) : "null";
  }
  std::string operator()(const std::vector<std::string>& v) const {
    std::string out;
    for (const std::string& text : v) out += (out.empty() ? "" : ", ") + quoted(text);
    return "[" + out + "]";
  }
  std::string operator()(const std::vector<LayerGroup>& groups) const {
    std::string out;
    for (const LayerGroup& g : groups) out += "\n      - " + (*this)(g);
    return out;
  }
  template <class T>
  std::string operator()(const std::vector<T>& items) const {
    std::string out;
    for (const T& item : items) out += (out.empty() ? "" : ", ") + (*this)(item);
    return "[" + out + "]";
  }
  template <class T>
  std::string operator()(const ByArithmetic<T>& values) const {
    std::string out;
    for (int a = 0; a < 7; ++a)
      if (const std::optional<T>& v = values[std::size_t(a)])
        out += (out.empty() ? "" : ", ") + std::string(name_of(Arithmetic(a))) + ": " + (*this)(*v);
    return "{" + out + "}";
  }
  std::string operator()(const Achievable& achievable) const {
    std::string out;
    auto add = [&](const char* key, const std::string& text) { out += fmt::format("\n      {}: {}", key, text); };
    WholeVisitor<decltype(add)> visitor{*this, add};
    fields(achievable, visitor);
    return out;
  }
  std::string operator()(const Attention& a) const {
    return std::visit([&](const auto& kind) { return mapping(kind, "kind: " + std::string(kind.name)); }, a);
  }
  std::string operator()(const FeedForward& f) const {
    if (const auto* d = std::get_if<DenseFeedForward>(&f))
      return mapping(*d, d->matrices == 3 ? "kind: gated" : "kind: plain");
    if (const auto* e = std::get_if<MoeFeedForward>(&f))
      return mapping(*e, e->matrices == 3 ? "kind: moe" : "kind: moe, gated: false");
    return "{kind: none}";
  }
  template <class T>
    requires requires(T& t) {
      fields(t, [](auto&&...) {});
    }
  std::string operator()(const T& spec) const { return mapping(spec, ""); }

  template <class T>
  std::string mapping(const T& spec, std::string out) const {
    auto add = [&](const char* key, const std::string& text) {
      out += (out.empty() ? "" : ", ") + std::string(key) + ": " + text;
    };
    FlowVisitor<decltype(add)> visitor{*this, add};
    fields(spec, visitor);
    return "{" + out + "}";
  }
};

/// Top-level keys, a line each.
struct EntryWriter {
  std::string out;
  FlowText text;
  template <class V>
  void operator()(const char* key, const V& value) {
    std::string flow = text(value);
    out += fmt::format("    {}:{}{}\n", key, flow[0] == '\n' ? "" : " ", flow);
  }
  template <class V, class U>
  void operator()(const char* key, const V& value, const U& fallback) {
    if (text(value) != text(V(fallback))) (*this)(key, value);
  }
};

}  // namespace

std::string yaml_entry(const Device& device) {
  EntryWriter writer;
  fields(device, writer);
  writer("achievable", device.achievable);  // as a default of its own it was left out
  return "devices:\n  " + device.id + ":\n" + writer.out;
}

std::string yaml_entry(const Model& model) {
  EntryWriter writer;
  fields(model, writer);
  return "models:\n  " + model.id + ":\n" + writer.out;
}

}  // namespace kvroof
