// Why a start failed, in words and numbers: what was asked for, what was left, what would have fit.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/log_check.h"
#include "core/units.h"
#include "render/number.h"

namespace kvroof {
namespace {

Bytes bytes(const Reading& reading) { return {reading.value}; }

/// The sampler's warm-up sorts one f32 logit per sequence and vocabulary entry.
std::string sampler_words(const LogFailure& f, const LogSetup& s) {
  std::size_t at = f.during.find("sampler with ");
  if (at == std::string::npos) return {};
  std::size_t begin = at + 13, end = f.during.find_first_not_of("0123456789", begin);
  ParsedNumber sequences =
      parse_count(f.during.substr(begin, end == std::string::npos ? end : end - begin), 1, 1 << 20);
  if (!sequences.value) return {};
  double logits = *sequences.value * double(s.model.vocab) * 4;
  return fmt::format("; {} sequences x {} logits in f32 are {}", count(*sequences.value), count(double(s.model.vocab)),
                     size({logits}));
}

/// Memory vLLM captures graphs into after it has given the room away, on the rank with least.
std::string graph_words(const EngineLog& log) {
  if (log.graphs_taken_out) return {};
  double graphs = 0;
  for (const LogRank& rank : log.ranks) graphs = std::max(graphs, rank.graphs ? rank.graphs->value : 0);
  if (graphs == 0) return {};
  return fmt::format("; CUDA graphs took {} that this version doesn't take out of the room for KV", size({graphs}));
}

/// The largest share of memory, in hundredths, that leaves what was missing.
std::string remedy(const EngineLog& log, const LogSetup& s, double missing) {
  if (!log.total || !s.d.memory_fraction || log.engine != LogEngine::vllm) return {};
  double share = std::floor((*s.d.memory_fraction - missing / log.total->value) * 100) / 100;
  if (share <= 0) return {};
  return fmt::format("; --gpu-memory-utilization {:.2f} would leave it, or fewer --max-num-seqs", share);
}

std::string out_of_memory(const EngineLog& log, const LogSetup& s, const LogFailure& f) {
  std::string text = "out of memory" + (f.during.empty() ? "" : " " + f.during);
  if (f.wanted) text += fmt::format(": {} wanted", size(bytes(*f.wanted)));
  if (f.free) text += fmt::format(", {} free", size(bytes(*f.free)));
  text += sampler_words(f, s) + graph_words(log);
  if (f.wanted && f.free && f.wanted->value > f.free->value) {
    double missing = f.wanted->value - f.free->value;
    text += fmt::format("; {} short", size({missing})) + remedy(log, s, missing);
  }
  return text;
}

std::string no_room(const EngineLog& log, const LogSetup& s) {
  std::string text = "no room for KV is left";
  if (const LogRank* rank = tightest_rank(log)) text += fmt::format(": {}", size({rank->room->value}));
  if (!s.sized) return text;
  Memory m = fit(s.model, s.device, s.d, s.w, s.engine);
  return text + fmt::format("; predicted: {} usable less {} kept back, {} weights, {} runtime, {} activations leave {}",
                            size(m.usable), size(m.reserved), size(m.weights), size(m.runtime), size(m.activation),
                            size(m.usable - m.reserved - m.weights - m.runtime - m.activation));
}

/// The bytes of one request are exact, so they are a row of their own.
std::string context_too_long(const EngineLog& log, const LogSetup& s, const LogFailure& f, LogCheck& check) {
  std::string text = "the longest request doesn't fit the KV cache";
  if (f.context) text += fmt::format(": {} tokens", count(double(*f.context)));
  if (f.wanted) text += fmt::format(", {}", size(bytes(*f.wanted)));
  if (f.available) text += fmt::format(" of {} available", size(bytes(*f.available)));
  if (f.most) text += fmt::format("; {} tokens would", count(double(*f.most)));
  if (f.context && *f.context > 0 && f.wanted && log.engine == LogEngine::vllm) {
    LogSetup other = s;
    other.w.context = other.d.max_context = std::min<i64>(*f.context, i64(1) << 40);
    const Model model = s.whole_context ? with_whole_context(s.model) : s.model;
    double need = allocate(model, other.d, other.w, other.engine, 0, {}).per_sequence.value;
    check.rows.push_back({"KV of one request", Tie::exact, LoggedUnit::bytes, *f.wanted, need, need});
  }
  return text;
}

std::string not_free(const LogFailure& f) {
  std::string text = "the device was not free at the start";
  if (f.free) text += fmt::format(": {} free", size(bytes(*f.free)));
  if (f.wanted) text += fmt::format(", {} wanted", size(bytes(*f.wanted)));
  return text + "; something else holds the rest";
}

}  // namespace

void explain_failures(const EngineLog& log, const LogSetup& s, LogCheck& check) {
  for (const LogFailure& f : log.failures) switch (f.kind) {
      case LogFailure::Kind::out_of_memory: check.failures.push_back(out_of_memory(log, s, f)); break;
      case LogFailure::Kind::no_room: check.failures.push_back(no_room(log, s)); break;
      case LogFailure::Kind::context_too_long: check.failures.push_back(context_too_long(log, s, f, check)); break;
      case LogFailure::Kind::not_free: check.failures.push_back(not_free(f)); break;
      case LogFailure::Kind::other: check.failures.push_back(f.line); break;
    }
}

}  // namespace kvroof
