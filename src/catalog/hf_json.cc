// Bounds: the largest config.json seen is 90 kB with 2,000 values; a value costs about 100 bytes once built.
#include "catalog/hf_json.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace kvroof::hf {
namespace {

constexpr std::size_t most_text = std::size_t(4) << 20, most_values = 200'000;
constexpr int most_depth = 100;
constexpr char masked = '\x7f';  // DEL is legal in a JSON string and in no real one

struct BareWord {
  std::string_view word;
  std::string_view mask;  ///< as long, so that byte positions stay true
};
constexpr BareWord bare_words[] = {{"-Infinity", "\"\x7f      \""}, {"Infinity", "\"\x7f     \""}, {"NaN", "\"\x7f\""}};

/// Replaces the bare words outside strings and refuses deep nesting.
void mask(std::string& text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if ((c == '{' || c == '[') && ++depth > most_depth)
      refuse(fmt::format("byte {}: nested deeper than {} levels", i, most_depth));
    if (c == '}' || c == ']') --depth;
    for (const BareWord& bare : bare_words) {
      if (text.compare(i, bare.word.size(), bare.word) != 0) continue;
      text.replace(i, bare.word.size(), bare.mask);
      i += bare.word.size() - 1;
      break;
    }
  }
}

/// Receives the parser's events and builds the value, which the library's own builder does without refusing keys
/// given twice or counting values.
class Builder {
 public:
  using number_integer_t = Json::number_integer_t;
  using number_unsigned_t = Json::number_unsigned_t;
  using number_float_t = Json::number_float_t;
  using string_t = Json::string_t;
  using binary_t = Json::binary_t;

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(number_integer_t value) { return add(value); }
  bool number_unsigned(number_unsigned_t value) { return add(value); }
  bool number_float(number_float_t value, const string_t&) { return add(value); }
  bool string(string_t& value) { return add(std::move(value)); }
  bool binary(binary_t&) { return false; }
  bool start_object(std::size_t) { return open(Json::object()); }
  bool start_array(std::size_t) { return open(Json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(string_t& name) {
    Json::object_t& object = open_.back()->get_ref<Json::object_t&>();
    auto [slot, is_new] = object.emplace(std::move(name), nullptr);
    if (!is_new) refuse(printable(slot->first) + ": given twice");
    slot_ = &slot->second;
    return true;
  }
  bool parse_error(std::size_t position, const std::string& token, const nlohmann::detail::exception& problem) {
    constexpr int number_overflow = 406;
    if (problem.id == number_overflow)
      refuse(fmt::format("byte {}: the number {} is too large", position, printable(token)));
    refuse(
        fmt::format("byte {}: not JSON, near {}", position, token.empty() ? "the end" : "'" + printable(token) + "'"));
  }
  Json take() { return std::move(root_); }

 private:
  template <class Value>
  bool add(Value&& value) {
    place(std::forward<Value>(value));
    return true;
  }
  bool open(Json&& container) {
    open_.push_back(place(std::move(container)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }
  template <class Value>
  Json* place(Value&& value) {
    if (++values_ > most_values) refuse(fmt::format("more than {} values", most_values));
    Json* at = &root_;
    if (!open_.empty()) {
      if (open_.back()->is_array())
        at = &open_.back()->emplace_back(nullptr);
      else
        at = slot_;
    }
    *at = std::forward<Value>(value);
    return at;
  }

  Json root_;
  std::vector<Json*> open_;
  Json* slot_ = nullptr;
  std::size_t values_ = 0;
};

/// What a value is, after "expected …, got".
std::string described(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null: return "null";
    case Json::value_t::boolean: return "a boolean";
    case Json::value_t::object: return "an object";
    case Json::value_t::array: return "a list";
    case Json::value_t::string:
      return value.get_ref<const std::string&>().starts_with(masked) ? "Infinity or NaN" : "a string";
    default: return value.dump();
  }
}

bool within(const Json& value, i64 least, i64 most, i64& out) {
  double number = value.get<double>();
  if (number != std::floor(number) || number < double(least) || number > double(most)) return false;
  out = value.is_number_float() ? i64(number) : value.get<i64>();
  return true;
}

i64 whole_number(const Config& at, std::string_view key, const Json& value, i64 least, i64 most) {
  if (!value.is_number()) at.fail(key, "expected a whole number, got " + described(value));
  i64 out = 0;
  if (!within(value, least, most, out))
    at.fail(key, fmt::format("expected a whole number from {} to {}, got {}", least, most, described(value)));
  return out;
}

i64 equal_numbers(const Config& at, std::string_view key, const Json& list, i64 least, i64 most) {
  if (list.empty()) at.fail(key, "is an empty list");
  i64 first = whole_number(at, key, list[0], least, most);
  for (const Json& value : list)
    if (whole_number(at, key, value, least, most) != first)
      at.fail(key, "is a list of different numbers, expected one number");
  return first;
}

struct Found {
  std::string_view key;
  const Json* value = nullptr;
};

Found first_of(const Config& at, Keys keys) {
  for (std::string_view key : keys)
    if (const Json* value = at.find(key)) return {key, value};
  return {};
}

const Json* member(const Json* object, std::string_view key) {
  if (!object || !object->is_object()) return nullptr;
  auto found = object->find(std::string(key));
  return found == object->end() || found->is_null() ? nullptr : &*found;
}

}  // namespace

void refuse(std::string what) { throw Refused{std::move(what)}; }

std::string printable(std::string_view text) {
  std::string out;
  for (unsigned char c : text.substr(0, 80)) {
    if (c >= 32 && c < 127)
      out += char(c);
    else
      out += fmt::format("\\x{:02x}", c);
  }
  return text.size() > 80 ? out + "..." : out;
}

Json parse(std::string_view text) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) refuse("the file is empty");
  if (text.size() > most_text)
    refuse(fmt::format("{} bytes, more than the {} of any config.json", text.size(), most_text));
  std::string copy(text);
  mask(copy);
  Builder builder;
  Json::sax_parse(copy, &builder);
  Json value = builder.take();
  if (!value.is_object()) refuse("expected an object {…}, got " + described(value));
  return value;
}

i64 product(std::initializer_list<i64> sizes) {
  constexpr i64 most = i64(1) << 52;
  i64 result = 1;
  for (i64 size : sizes) {
    if (size != 0 && result > most / size) refuse("the sizes multiply to more than 2^52 weights");
    result *= size;
  }
  return result;
}

const Json* Config::find(std::string_view key) const {
  const Json* at = object_;
  for (std::size_t dot; at && (dot = key.find('.')) != std::string_view::npos; key.remove_prefix(dot + 1))
    at = member(at, key.substr(0, dot));
  return member(at, key);
}

const Json* Config::inherited(std::string_view key) const {
  const Json* own = find(key);
  return own || !outer_ ? own : member(outer_, key);
}

void Config::fail(std::string_view key, std::string_view what) const {
  refuse(fmt::format("{}{}: {}", path_, key, what));
}

std::optional<i64> Config::whole(Keys keys, i64 least, i64 most) const {
  Found found = first_of(*this, keys);
  if (!found.value) return std::nullopt;
  if (found.value->is_array()) return equal_numbers(*this, found.key, *found.value, least, most);
  return whole_number(*this, found.key, *found.value, least, most);
}

i64 Config::need(Keys keys, i64 least, i64 most) const {
  if (std::optional<i64> value = whole(keys, least, most)) return *value;
  std::string others;
  for (std::string_view key : keys.subspan(1))
    others += (others.empty() ? " (also looked for " : ", ") + std::string(key);
  fail(keys[0], "missing" + (others.empty() ? "" : others + ")"));
}

std::optional<i64> Config::whole_of_layer(Keys keys, i64 layer, i64 least, i64 most) const {
  Found found = first_of(*this, keys);
  if (!found.value || !found.value->is_array()) return whole(keys, least, most);
  if (layer >= i64(found.value->size()))
    fail(found.key, fmt::format("has {} entries, none for layer {}", found.value->size(), layer));
  return whole_number(*this, found.key, (*found.value)[std::size_t(layer)], least, most);
}

std::optional<double> Config::real(std::string_view key) const {
  const Json* value = find(key);
  if (!value) return std::nullopt;
  if (!value->is_number()) fail(key, "expected a number, got " + described(*value));
  return value->get<double>();
}

std::optional<bool> Config::flag(std::string_view key) const {
  const Json* value = inherited(key);
  if (!value) return std::nullopt;
  if (!value->is_boolean()) fail(key, "expected true or false, got " + described(*value));
  return value->get<bool>();
}

std::optional<std::string> Config::text(std::string_view key) const {
  const Json* value = find(key);
  if (!value) return std::nullopt;
  if (!value->is_string()) fail(key, "expected a string, got " + described(*value));
  return value->get<std::string>();
}

const Json* Config::list(std::string_view key) const {
  const Json* value = find(key);
  if (value && !value->is_array()) fail(key, "expected a list, got " + described(*value));
  return value;
}

std::vector<i64> Config::wholes(std::string_view key, i64 least, i64 most) const {
  std::vector<i64> out;
  if (const Json* values = list(key))
    for (const Json& value : *values) out.push_back(whole_number(*this, key, value, least, most));
  return out;
}

}  // namespace kvroof::hf
