#include "cli/metrics.h"

#include <cmath>

#include "core/units.h"
#include "render/number.h"

namespace kvroof {
namespace {

using Value = std::optional<double>;

Bytes per_token(const Estimate& e) { return cache_per_token_within_windows(e.setup.model, e.setup.d); }

Value of_step(const Estimate& e, Seconds Step::*member) {
  return e.step ? Value((*e.step.*member).value) : std::nullopt;
}

/// Of the load where one is asked for, else of the decode step, which is a token of each user.
Value tpot(const Estimate& e, Seconds Serving::*loaded, Seconds Step::*alone) {
  return e.serving ? Value((*e.serving.*loaded).value) : of_step(e, alone);
}

Value throughput(const Estimate& e) {
  if (e.serving) return e.serving->tokens_per_second;
  return e.step ? Value(e.step->tokens_per_second) : std::nullopt;
}

Value dollars_per_million(const Estimate& e) {
  Value speed = throughput(e);
  if (!e.setup.device.price || !speed || *speed <= 0) return std::nullopt;
  return e.setup.device.price->dollars_per_hour * double(e.setup.d.devices()) / 3600 / *speed * 1e6;
}

constexpr Metric table[] = {
    {"kv_per_token", "kv_bytes_per_token", "cache of one token over all layers", MetricUnit::bytes, Better::lower,
     [](const Estimate& e) { return Value(per_token(e).value); }},
    {"kv_per_sequence", "kv_bytes_per_sequence", "cache one sequence is allocated on the tightest rank",
     MetricUnit::bytes, Better::lower, [](const Estimate& e) { return Value(e.memory.kv_per_sequence.value); }},
    {"weights", "weights_bytes", "weights on the tightest rank", MetricUnit::bytes, Better::lower,
     [](const Estimate& e) { return Value(e.memory.weights.value); }},
    {"kv_room", "kv_room_bytes", "room for KV on the tightest rank", MetricUnit::bytes, Better::higher,
     [](const Estimate& e) { return Value(e.memory.kv_room.value); }},
    {"shortfall", "shortfall_bytes", "what is missing on each device for the batch", MetricUnit::bytes, Better::lower,
     [](const Estimate& e) { return Value(e.memory.shortfall.value); }},
    {"fits", "max_sequences", "sequences of the context that fit", MetricUnit::count, Better::higher,
     [](const Estimate& e) { return Value(double(e.memory.max_sequences)); }},
    {"tokens", "max_tokens", "tokens that fit", MetricUnit::count, Better::higher,
     [](const Estimate& e) { return Value(double(e.memory.max_tokens)); }},
    {"floor", "floor_seconds", "floor of a decode step", MetricUnit::seconds, Better::lower,
     [](const Estimate& e) { return e.step && e.step->floor_claimed ? of_step(e, &Step::floor) : std::nullopt; }},
    {"tpot", "tpot_seconds", "expected time per output token of a user", MetricUnit::seconds, Better::lower,
     [](const Estimate& e) { return tpot(e, &Serving::tpot, &Step::expected); }},
    {"tpot_low", "tpot_low_seconds", "low end of its 80 % range", MetricUnit::seconds, Better::lower,
     [](const Estimate& e) { return tpot(e, &Serving::tpot_low, &Step::low); }},
    {"tpot_high", "tpot_high_seconds", "high end of its 80 % range", MetricUnit::seconds, Better::lower,
     [](const Estimate& e) { return tpot(e, &Serving::tpot_high, &Step::high); }},
    {"ttft", "ttft_seconds", "time to first token under the load", MetricUnit::seconds, Better::lower,
     [](const Estimate& e) { return e.serving ? Value(e.serving->ttft.value) : std::nullopt; }},
    {"throughput", "tokens_per_second", "generated tokens a second in total", MetricUnit::rate, Better::higher,
     throughput},
    {"requests", "requests_per_second", "requests finished a second", MetricUnit::rate, Better::higher,
     [](const Estimate& e) { return e.serving ? Value(e.serving->requests_per_second) : std::nullopt; }},
    {"cost", "dollars_per_million_tokens", "dollars per million generated tokens", MetricUnit::dollars, Better::lower,
     dollars_per_million},
};

/// The text without one of the words that may follow its number.
std::string_view without(std::string_view text, std::initializer_list<std::string_view> words) {
  for (std::string_view word : words)
    if (text.size() > word.size() && text.substr(text.size() - word.size()) == word) {
      text.remove_suffix(word.size());
      while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
      return text;
    }
  return text;
}

MetricValue from(const ParsedNumber& parsed) { return {parsed.value, parsed.error}; }

MetricValue plain_number(std::string_view text, std::string_view written, const char* example) {
  std::string_view rest;
  std::optional<double> value = parse_decimal(text, &rest);
  if (!value || !rest.empty()) return {{}, "'" + std::string(written) + "' is not " + example};
  return {value, ""};
}

}  // namespace

std::span<const Metric> metrics() { return table; }

const Metric* find_metric(std::string_view name) {
  for (const Metric& m : table)
    if (name == m.name || name == m.key) return &m;
  return nullptr;
}

std::string metric_text(const Metric& metric, double value) {
  switch (metric.unit) {
    case MetricUnit::bytes: return size({value});
    case MetricUnit::seconds: return duration({value});
    case MetricUnit::count: return value > double(i64(1) << 40) ? "unbounded" : count(value);
    case MetricUnit::rate: return significant(value) + " /s";
    case MetricUnit::dollars: return "$" + significant(value);
  }
  return {};
}

MetricValue parse_metric(const Metric& metric, std::string_view text) {
  switch (metric.unit) {
    case MetricUnit::bytes: return from(parse_quantity(text, bytes_dimension));
    case MetricUnit::seconds: return from(parse_quantity(text, seconds_dimension));
    case MetricUnit::count: return from(parse_count(without(text, {"sequences", "tokens"}), 0, i64(1) << 40));
    case MetricUnit::rate: return plain_number(without(text, {"tok/s", "/s"}), text, "a rate such as 1500 tok/s");
    case MetricUnit::dollars:
      return plain_number(without(text.substr(text.rfind('$', 0) == 0), {"/Mtok"}), text, "a price such as 2.00/Mtok");
  }
  return {};
}

}  // namespace kvroof
