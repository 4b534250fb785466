#include "core/metric.h"

namespace kvroof {
namespace {

using Number = std::optional<double>;

Number count(i64 value) { return value > (i64(1) << 60) ? Number() : Number(double(value)); }  // nothing is cached
double devices(const Outcome& o) { return double(o.setup.d.devices()); }

/// Seconds between the tokens of one user: under the load where there is one, else of the bare step.
Number tpot(const Outcome& o) {
  if (o.serving) return o.serving->tpot.value;
  if (o.loaded) return std::nullopt;
  return o.step ? Number(o.step->expected.value) : Number();
}

Number throughput(const Outcome& o) {
  if (o.serving) return o.serving->tokens_per_second;
  if (o.loaded) return std::nullopt;
  return o.step ? Number(o.step->tokens_per_second) : Number();
}

Number price(const Outcome& o) {
  return o.setup.device.price ? Number(o.setup.device.price->dollars_per_hour * devices(o)) : Number();
}

Number power(const Outcome& o) { return o.setup.device.watts ? Number(*o.setup.device.watts * devices(o)) : Number(); }

template <auto member>
Number of_step(const Outcome& o) {
  return o.step ? Number((o.step->*member).value) : Number();
}
template <auto member>
Number of_memory(const Outcome& o) {
  return (o.memory.*member).value;
}
template <auto member>
Number seconds_served(const Outcome& o) {
  return o.serving ? Number((o.serving->*member).value) : Number();
}
template <auto member>
Number served(const Outcome& o) {
  return o.serving ? Number(o.serving->*member) : Number();
}

constexpr Metric known_metrics[] = {
    {"fits", "fits", Measure::flag, "the batch fits the memory",
     [](const Outcome& o) { return Number(o.memory.fits); }},
    {"devices", "devices", Measure::count, "devices of all replicas",
     [](const Outcome& o) { return Number(devices(o)); }},
    {"max_sequences", "max_sequences", Measure::count, "sequences of the context that fit a replica",
     [](const Outcome& o) { return count(o.memory.max_sequences); }},
    {"max_tokens", "max_tokens", Measure::count, "tokens that fit a replica, as the engine logs them",
     [](const Outcome& o) { return count(o.memory.max_tokens); }, nullptr, false, true},
    {"weights", "weights_bytes", Measure::bytes, "weights of the tightest rank", of_memory<&Memory::weights>, nullptr,
     false, true},
    {"kv_room", "kv_room_bytes", Measure::bytes, "room for KV on the tightest rank", of_memory<&Memory::kv_room>,
     nullptr, false, true},
    {"kv_token", "kv_bytes_per_token", Measure::bytes, "cache of one token over all layers, while windows fill",
     [](const Outcome& o) { return Number(cache_per_token_within_windows(o.setup.model, o.setup.d).value); }},
    {"kv_sequence", "kv_bytes_per_sequence", Measure::bytes, "what one sequence is allocated on that rank",
     of_memory<&Memory::kv_per_sequence>, nullptr, false, true},
    {"shortfall", "shortfall_bytes", Measure::bytes, "what is missing on each device", of_memory<&Memory::shortfall>,
     nullptr, false, true},
    {"floor", "floor_seconds", Measure::seconds, "the step's floor, where one is claimed",
     [](const Outcome& o) { return o.step && o.step->floor_claimed ? Number(o.step->floor.value) : Number(); }},
    {"expected", "expected_seconds", Measure::seconds, "one decode step", of_step<&Step::expected>},
    {"low", "low_seconds", Measure::seconds, "lower end of the step's 80 % range", of_step<&Step::low>},
    {"high", "high_seconds", Measure::seconds, "upper end of the step's 80 % range", of_step<&Step::high>},
    {"tpot", "tpot_seconds", Measure::seconds, "between two tokens of a user, under the load if there is one", tpot},
    {"user_speed", "tokens_per_second_per_user", Measure::token_rate, "tokens/s that one user sees",
     [](const Outcome& o) {
       Number t = tpot(o);
       return t ? Number(1 / *t) : t;
     }},
    {"throughput", "tokens_per_second", Measure::token_rate, "generated tokens/s of all replicas", throughput},
    {"device_speed", "tokens_per_second_per_device", Measure::token_rate, "generated tokens/s a device",
     [](const Outcome& o) {
       Number t = throughput(o);
       return t ? Number(*t / devices(o)) : t;
     }},
    {"ttft", "ttft_seconds", Measure::seconds, "until a request's first token", seconds_served<&Serving::ttft>, nullptr,
     true},
    {"prefill", "prefill_seconds", Measure::seconds, "reading one prompt alone", seconds_served<&Serving::prefill>,
     nullptr, true},
    {"ttft_low", "ttft_low_seconds", Measure::seconds, "lower end of TTFT's 80 % range",
     seconds_served<&Serving::ttft_low>, nullptr, true},
    {"ttft_high", "ttft_high_seconds", Measure::seconds, "upper end of TTFT's 80 % range",
     seconds_served<&Serving::ttft_high>, nullptr, true},
    {"tpot_low", "tpot_low_seconds", Measure::seconds, "lower end of TPOT's 80 % range",
     seconds_served<&Serving::tpot_low>, nullptr, true},
    {"tpot_high", "tpot_high_seconds", Measure::seconds, "upper end of TPOT's 80 % range",
     seconds_served<&Serving::tpot_high>, nullptr, true},
    {"requests", "requests_per_second", Measure::request_rate, "requests finished a second",
     served<&Serving::requests_per_second>, nullptr, true},
    {"running", "running", Measure::count, "requests admitted at once", served<&Serving::running>, nullptr, true},
    {"decoding", "decoding", Measure::count, "requests decoding at one moment", served<&Serving::decoding>, nullptr,
     true},
    {"price", "dollars_per_hour", Measure::dollars_per_hour, "all devices, where their price is known", price},
    {"cost", "dollars_per_million_tokens", Measure::dollars, "a million generated tokens",
     [](const Outcome& o) {
       Number t = throughput(o), p = price(o);
       return t && p ? Number(*p / 3600 / *t * 1e6) : Number();
     }},
    {"power", "watts", Measure::watts, "all devices at their rated power", power},
    {"energy", "joules_per_token", Measure::joules, "a generated token at rated power",
     [](const Outcome& o) {
       Number t = throughput(o), w = power(o);
       return t && w ? Number(*w / *t) : Number();
     }},
    {"bound", "bound_by", Measure::count, "what the step waits for most", nullptr,
     [](const Outcome& o) { return o.step ? o.step->bound_by : std::string_view(); }},
    {"basis", "basis", Measure::count, "how well the times are known", nullptr,
     [](const Outcome& o) { return name_of(o.setup.device.achievable.basis); }},
};

}  // namespace

std::span<const Metric> metrics() { return known_metrics; }

const Metric* find_metric(std::string_view name) {
  for (const Metric& m : known_metrics)
    if (m.name == name || m.key == name) return &m;
  return nullptr;
}

const Metric& metric(std::string_view name) {
  const Metric* found = find_metric(name);
  return found ? *found : known_metrics[0];
}

}  // namespace kvroof
