#include "cli/axes.h"

#include <fmt/format.h>

#include <cmath>

#include "cli/prices.h"
#include "core/units.h"

namespace kvroof {
namespace {

constexpr double most_values = 1 << 20;  // of one range

using Place = std::string& (*)(SetupOptions&);

struct AxisRule {
  const char* name;
  Level level;
  bool counts;
  Place place;
};

constexpr AxisRule rules[] = {
    {"model", Level::model, false, [](SetupOptions& o) -> std::string& { return o.model.model; }},
    {"attention", Level::model, false, [](SetupOptions& o) -> std::string& { return o.model.attention; }},
    {"kv-heads", Level::model, true, [](SetupOptions& o) -> std::string& { return o.model.kv_heads; }},
    {"hardware", Level::device, false, [](SetupOptions& o) -> std::string& { return o.hardware.device; }},
    {"usable-memory", Level::device, false, [](SetupOptions& o) -> std::string& { return o.hardware.usable_memory; }},
    {"engine", Level::layout, false, [](SetupOptions& o) -> std::string& { return o.layout.engine; }},
    {"weights", Level::layout, false, [](SetupOptions& o) -> std::string& { return o.model.weights; }},
    {"kv-dtype", Level::layout, false, [](SetupOptions& o) -> std::string& { return o.cache.kv_dtype; }},
    {"k-dtype", Level::layout, false, [](SetupOptions& o) -> std::string& { return o.cache.k_dtype; }},
    {"v-dtype", Level::layout, false, [](SetupOptions& o) -> std::string& { return o.cache.v_dtype; }},
    {"state-dtype", Level::layout, false, [](SetupOptions& o) -> std::string& { return o.cache.state_dtype; }},
    {"evict", Level::layout, false, [](SetupOptions& o) -> std::string& { return o.cache.evict; }},
    {"tp", Level::layout, true, [](SetupOptions& o) -> std::string& { return o.layout.tp; }},
    {"pp", Level::layout, true, [](SetupOptions& o) -> std::string& { return o.layout.pp; }},
    {"dp", Level::layout, true, [](SetupOptions& o) -> std::string& { return o.layout.dp; }},
    {"ep", Level::layout, true, [](SetupOptions& o) -> std::string& { return o.layout.ep; }},
    {"attention-dp", Level::layout, true, [](SetupOptions& o) -> std::string& { return o.layout.attention_dp; }},
    {"expert-skew", Level::layout, false, [](SetupOptions& o) -> std::string& { return o.layout.expert_skew; }},
    {"memory-fraction", Level::layout, false, [](SetupOptions& o) -> std::string& { return o.layout.memory_fraction; }},
    {"batched-tokens", Level::layout, true, [](SetupOptions& o) -> std::string& { return o.layout.batched_tokens; }},
    {"max-model-len", Level::layout, true, [](SetupOptions& o) -> std::string& { return o.layout.max_context; }},
    {"draft-tokens", Level::layout, true, [](SetupOptions& o) -> std::string& { return o.layout.draft_tokens; }},
    {"kv-room", Level::layout, false, [](SetupOptions& o) -> std::string& { return o.layout.kv_room; }},
    {"weights-bytes", Level::layout, false, [](SetupOptions& o) -> std::string& { return o.layout.weight_bytes; }},
    {"activation-bytes", Level::layout, false,
     [](SetupOptions& o) -> std::string& { return o.layout.activation_bytes; }},
    {"context", Level::workload, true, [](SetupOptions& o) -> std::string& { return o.context; }},
    {"shared-prefix", Level::workload, true, [](SetupOptions& o) -> std::string& { return o.cache.shared_prefix; }},
    {"input", Level::workload, true, [](SetupOptions& o) -> std::string& { return o.input; }},
    {"output", Level::workload, true, [](SetupOptions& o) -> std::string& { return o.output; }},
    {"cache-hit", Level::workload, false, [](SetupOptions& o) -> std::string& { return o.cache_hit; }},
    {"concurrency", Level::workload, true, [](SetupOptions& o) -> std::string& { return o.concurrency; }},
    {"rate", Level::workload, false, [](SetupOptions& o) -> std::string& { return o.rate; }},
    {"batch", Level::batch, true, [](SetupOptions& o) -> std::string& { return o.batch; }},
};

/// A number with what follows it: `1TB/s`, `20%`, `4k`.
struct Mark {
  double value = 0;
  std::string unit;
};

Mark mark_of(const std::string& option, const std::string& range, const std::string& text, bool counts) {
  if (counts) {
    ParsedNumber n = parse_count(text, 1, i64(1) << 40);
    if (!n.value) fail(option, n.error + " (in the range '" + range + "')");
    return {*n.value, ""};
  }
  std::string_view rest;
  std::optional<double> number = parse_decimal(text, &rest);
  if (!number) fail(option, "'" + text + "' is not a number (in the range '" + range + "')");
  return {*number, std::string(rest)};
}

std::string written(const Mark& mark) { return fmt::format("{:.12g}{}", mark.value, mark.unit); }

/// `low..high`, `low..high*factor`, `low..high+step`.
std::vector<std::string> range_of(const std::string& option, const std::string& text, bool counts) {
  std::size_t dots = text.find(".."), sign = text.find_first_of("*+", dots);
  Mark low = mark_of(option, text, text.substr(0, dots), counts);
  Mark high = mark_of(option, text, text.substr(dots + 2, sign - dots - 2), counts);
  Mark by{1, counts ? "" : high.unit};
  bool multiplies = sign != std::string::npos && text[sign] == '*';
  if (sign != std::string::npos) by = mark_of(option, text, text.substr(sign + 1), counts && !multiplies);
  if (multiplies ? !(by.value > 1) || !by.unit.empty() : !(by.value > 0))
    fail(option, "'" + text + "' does not grow; expected low..high*factor or low..high+step, such as 1k..128k*2");
  if (low.unit != high.unit || (!multiplies && by.unit != high.unit))
    fail(option, "'" + text + "' mixes units; write both ends in the same one");
  if (high.value < low.value || (multiplies && low.value == 0)) fail(option, "'" + text + "' runs backwards");
  std::vector<std::string> values;
  for (double at = low.value; at <= high.value * (1 + 1e-12); at = multiplies ? at * by.value : at + by.value) {
    if (values.size() > most_values) fail(option, "'" + text + "' has more than 1,048,576 values");
    double whole = counts ? std::round(at) : at;
    values.push_back(written({whole, low.unit}));
    if (values.size() > 1 && values.back() == values[values.size() - 2]) values.pop_back();
  }
  return values;
}

std::vector<std::string> expanded_piece(const std::string& option, const std::string& piece, bool counts) {
  if (piece.find("..") != std::string::npos && piece.find('/') != 0 && piece.find("../") == std::string::npos)
    return range_of(option, piece, counts);
  if (!counts) return {piece};
  return {written(mark_of(option, piece, piece, counts))};
}

/// Policies hold commas of their own, so a piece without a policy's name continues the one before it.
std::vector<std::string> policies_of(const std::string& text) {
  std::vector<std::string> values;
  for (const std::string& piece : pieces_of("--evict", text))
    if (values.empty() || piece.find("streaming") == 0 || piece.find("h2o") == 0)
      values.push_back(piece);
    else
      values.back() += "," + piece;
  return values;
}

std::vector<std::string> values_of(const AxisRule& rule, const std::string& text, const Catalog& catalog) {
  std::string name = rule.name;
  if (text == "all" && name == "model") return catalog.ids("models");
  if (text == "all" && name == "hardware") return catalog.ids("devices");
  if (name == "evict") return policies_of(text);
  bool is_name = name == "model" || name == "hardware";
  return is_name ? pieces_of(name, text) : expanded("--" + name, text, rule.counts);
}

/// `bandwidth=1TB/s..8TB/s*2` is an axis of its own.
SweepAxis override_axis(const std::string& text, std::size_t index) {
  std::size_t equals = std::min(text.find('='), text.size());
  std::string key = text.substr(0, equals);
  SweepAxis axis{
      key, Level::device, false, {}, [index](SetupOptions& o) -> std::string& { return o.hardware.overrides[index]; }};
  std::string value = equals < text.size() ? text.substr(equals + 1) : "";
  for (const std::string& v : expanded("--hardware-override " + key, value, false))
    axis.values.push_back(key + "=" + v);
  if (axis.values.empty()) axis.values.push_back(text);
  return axis;
}

/// A price for every device is an axis of its own; one for a device by name goes with the device.
std::optional<SweepAxis> price_axis(const std::vector<std::string>& prices, std::size_t index) {
  std::string text = prices[index];
  if (names_device(text)) return std::nullopt;
  if (prices.size() > 1) fail("--price", "give one for every device, or one for each by name");
  std::erase(text, '$');
  return SweepAxis{"price", Level::device, false, expanded("--price", text, false),
                   [index](SetupOptions& o) -> std::string& { return o.hardware.prices[index]; }};
}

}  // namespace

std::vector<std::string> expanded(const std::string& option, const std::string& text, bool counts) {
  std::vector<std::string> values;
  for (const std::string& piece : pieces_of(option, text))
    for (std::string& value : expanded_piece(option, piece, counts)) values.push_back(std::move(value));
  return values;
}

std::vector<SweepAxis> axes_of(const SetupOptions& options, const Catalog& catalog) {
  SetupOptions given = options;
  std::vector<SweepAxis> axes;
  for (const AxisRule& rule : rules) {
    const std::string& text = rule.place(given);
    if (!text.empty()) axes.push_back({rule.name, rule.level, rule.counts, values_of(rule, text, catalog), rule.place});
    if (std::string(rule.name) != "hardware") continue;
    for (std::size_t i = 0; i < given.hardware.overrides.size(); ++i)
      axes.push_back(override_axis(given.hardware.overrides[i], i));
    for (std::size_t i = 0; i < given.hardware.prices.size(); ++i)
      if (std::optional<SweepAxis> axis = price_axis(given.hardware.prices, i)) axes.push_back(std::move(*axis));
  }
  for (SweepAxis& axis : axes)
    for (const std::string& value : axis.values)
      if (axis.counts) axis.numbers.push_back(double(count_of("--" + axis.name, value, 1)));
  return axes;
}

std::string arguments_of(const SetupOptions& options) {
  SetupOptions given = options;
  std::string text = given.model.model + " " + given.hardware.device;
  for (const std::string& what_if : given.hardware.overrides) text += " --hardware-override " + what_if;
  for (const std::string& price : given.hardware.prices) text += " --price " + price;
  for (const AxisRule& rule : rules) {
    std::string name = rule.name;
    if (name == "model" || name == "hardware" || rule.place(given).empty()) continue;
    text += " --" + name + " " + rule.place(given);
  }
  return text + (given.layout.prefix_caching ? " --prefix-caching" : "");
}

i64 points_of(const std::vector<SweepAxis>& axes) {
  double points = 1;
  for (const SweepAxis& a : axes) points *= double(a.values.size());
  if (points > 1e15) throw InputError{fmt::format("{:.3g} points are more than 10^15; shorten a range\n", points)};
  return i64(points);
}

}  // namespace kvroof
