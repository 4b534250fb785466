#include "cli/judged.h"

#include <vector>

#include "cli/metric_options.h"
#include "render/number.h"

namespace kvroof {
namespace {

constexpr struct {
  const char* metric;
  Better better;
  const char* name = nullptr;  ///< where a promise has a shorter word than the metric
} table[] = {{"kv_token", Better::lower},    {"kv_sequence", Better::lower}, {"weights", Better::lower},
             {"kv_room", Better::higher},    {"shortfall", Better::lower},   {"max_sequences", Better::higher, "fits"},
             {"max_tokens", Better::higher}, {"floor", Better::lower},       {"low", Better::lower},
             {"tpot", Better::lower},        {"high", Better::lower},        {"tpot_low", Better::lower},
             {"tpot_high", Better::lower},   {"ttft", Better::lower},        {"throughput", Better::higher},
             {"requests", Better::higher},   {"cost", Better::lower}};

/// The text without the word that may follow its number.
std::string bare(std::string_view text) {
  for (std::string_view word : value_words)
    if (text.size() > word.size() && text.ends_with(word)) {
      text.remove_suffix(word.size());
      while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
      break;
    }
  return std::string(text);
}

}  // namespace

std::span<const Judged> judged() {
  static const std::vector<Judged> all = [] {
    std::vector<Judged> found;
    for (const auto& row : table) {
      const Metric& m = metric(row.metric);
      found.push_back({&m, row.better, row.name ? row.name : std::string(m.name), std::string(m.key)});
    }
    return found;
  }();
  return all;
}

const Judged* find_judged(std::string_view name) {
  for (const Judged& j : judged())
    if (j.name == name || j.key == name) return &j;
  return nullptr;
}

std::string judged_text(const Judged& j, double value) { return measured(value, j.metric->measure); }

double parse_judged(const Judged& j, std::string_view text) {
  return metric_value(j.name, bare(text), j.metric->measure);
}

}  // namespace kvroof
