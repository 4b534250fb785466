// llama.cpp's and ik_llama.cpp's wordings: model metadata, contexts, caches of cells and of states.
//
// One process may hold several contexts (a draft model, a multi-token head, a dry run to measure): their caches are
// kept side by side, equal ones once.
#include <algorithm>

#include "catalog/engine_log_text.h"

namespace kvroof {
namespace {

using Text = std::string_view;

Text trimmed(Text text) {
  std::size_t begin = text.find_first_not_of(" \t="), end = text.find_last_not_of(" \t\r");
  return begin == Text::npos ? Text{} : text.substr(begin, end - begin + 1);
}
void set_once(std::string& field, Text text) {
  text = trimmed(text);
  if (field.empty()) field = text.substr(0, std::min<std::size_t>(text.size(), 512));
}

void file(EngineLog& log, Text, Text rest) {
  Text path = after(rest, " from ");
  set_once(log.file, path.substr(0, std::min(path.find(" (version"), path.size())));
  ++log.starts;
}
void server_file(EngineLog& log, Text, Text rest) { set_once(log.file, rest.substr(0, rest.find('\''))); }
void general_name(EngineLog& log, Text, Text rest) {
  if (Text value = after(rest, "= "); !value.empty()) set_once(log.general_name, value);
}

void version(EngineLog& log, Text, Text rest) {
  Text text = trimmed(rest);
  bool ours = log.engine == LogEngine::none || log.engine == LogEngine::llamacpp;
  if (ours && log.version.empty() && count_at(text) && text.find(" with ") != Text::npos)
    log.version = text.substr(0, std::min<std::size_t>(text.find(' '), 32));
}

/// `n_layer = 28` and the like: the first model's, the draft's come later.
void layers(EngineLog& log, Text, Text rest) {
  if (!log.layers) keep(log.layers, rest);
}
void parameters(EngineLog& log, Text, Text rest) {
  Text unit;
  std::optional<Reading> number = number_at(rest, &unit);
  unit = trimmed(unit);
  if (!number || unit.empty() || log.parameters) return;
  double factor = unit[0] == 'T' ? 1e12 : unit[0] == 'B' ? 1e9 : unit[0] == 'M' ? 1e6 : 0;
  if (factor > 0) log.parameters = Reading{number->value * factor, number->half_step * factor};
}
void model_size(EngineLog& log, Text, Text rest) {
  Text bits;
  std::optional<Reading> size = size_at(rest, &bits);
  if (!size || log.model_size) return;
  log.model_size = size;
  log.bits_per_weight = number_at(bits);
}

void context(EngineLog& log, Text, Text) {
  log.n_ctx.reset();
  log.n_ubatch.reset();
  log.n_seq_max.reset();
}

template <std::optional<i64> EngineLog::*field>
void context_number(EngineLog& log, Text line, Text rest) {
  if (line.find("llama_context") == Text::npos && line.find("llama_new_context") == Text::npos &&
      line.find("llama_init_from_model") == Text::npos)
    return;
  Text value = trimmed(rest);
  if (rest.find('=') != Text::npos && rest.find('=') < 12) keep(log.*field, value);
}

void sliding_next(EngineLog& log, Text line, Text) {
  log.announced = line.find("non-SWA") == Text::npos ? LogCache::Kind::sliding : LogCache::Kind::full;
}

/// `, K (q8_0):  306.00 MiB`.
void formatted(Text text, Text mark, std::string& format, std::optional<Reading>& size) {
  Text rest = after(text, mark);
  std::size_t end = rest.find(')');
  if (end > 16) return;  // or no bracket at all
  format = rest.substr(0, end);
  size = size_at(rest.substr(end + 1));
}

void add_cache(EngineLog& log, LogCache cache) {
  cache.sequences = cache.sequences ? cache.sequences : log.n_seq_max;
  cache.context = log.n_ctx;
  cache.ubatch = log.n_ubatch;
  for (const LogCache& known : log.caches)
    if (known.kind == cache.kind && known.tokens == cache.tokens && known.layers == cache.layers) return;
  log.caches.push_back(std::move(cache));
}

/// `size = 18.00 MiB (   768 cells,  12 layers,  1/1 seqs), K (f16): 9.00 MiB, V (f16): 9.00 MiB`.
void cache(EngineLog& log, Text, Text rest) {
  LogCache c;
  c.total = size_at(rest);
  Text inside = after(rest, "(");
  c.tokens = count_at(inside);
  c.layers = count_at(after(inside, "cells,"));
  Text sequences = after(inside, "layers,");
  Text streams;
  c.sequences = count_at(sequences, &streams);
  if (!streams.empty() && streams[0] == '/') c.streams = count_at(streams.substr(1)).value_or(1);
  formatted(rest, ", K (", c.key_format, c.key);
  formatted(rest, ", V (", c.value_format, c.value);
  if (!c.total || !c.tokens) return;
  c.kind = log.announced;
  log.announced = LogCache::Kind::unknown;
  add_cache(log, std::move(c));
}

void state_cache(EngineLog& log, Text, Text rest) {
  LogCache c;
  c.kind = LogCache::Kind::recurrent;
  c.total = size_at(rest);
  Text inside = after(rest, "(");
  c.tokens = count_at(inside);
  c.layers = count_at(after(inside, "cells,"));
  Text sequences = after(inside, "layers,");
  c.sequences = count_at(sequences);
  if (Text snapshots = after(sequences, "seqs"); snapshots.find("rs_seq") != Text::npos)
    c.snapshots = count_at(snapshots).value_or(0);
  formatted(rest, ", R (", c.key_format, c.key);
  formatted(rest, ", S (", c.value_format, c.value);
  if (c.total && c.tokens) add_cache(log, std::move(c));
}

/// Before 2025-05, and ik_llama.cpp: every layer at full context; ik names MLA's latent c^KV and its transpose kv^T.
void self_size(EngineLog& log, Text, Text rest) {
  LogCache c;
  c.kind = LogCache::Kind::full;
  c.total = size_at(rest);
  c.tokens = log.n_ctx;
  formatted(rest, ", K (", c.key_format, c.key);
  formatted(rest, ", V (", c.value_format, c.value);
  formatted(rest, ", c^KV (", c.key_format, c.key);
  formatted(rest, ", kv^T (", c.value_format, c.value);
  if (c.total) add_cache(log, std::move(c));
}

void device(EngineLog& log, Text, Text rest) {
  Text name = trimmed(rest);
  if (log.device.empty()) log.device = name.substr(0, std::min<std::size_t>(name.find_first_of(",("), 64));
}

void used_device(EngineLog& log, Text line, Text) {
  Text name = after(after(line, "using device "), "(");
  if (log.device.empty()) log.device = trimmed(name.substr(0, std::min<std::size_t>(name.find(')'), 64)));
}

void failed(EngineLog& log, Text line, Text) {
  if (log.engine != LogEngine::llamacpp) return;
  LogFailure failure;
  failure.kind = LogFailure::Kind::out_of_memory;
  failure.wanted = size_at(after(line, "allocating"));
  if (!failure.wanted)
    if (std::optional<i64> bytes = count_at(after(line, "of size"))) failure.wanted = Reading{double(*bytes), 0};
  add_failure(log, failure, line);
}

constexpr auto llama = LogEngine::llamacpp;
constexpr LogWording wordings[] = {
    {llama, "llama_model_loader: loaded meta data", file},
    {llama, "load_model: loading model '", server_file},
    {llama, "general.name", general_name},
    {LogEngine::none, "build: ", version},
    {llama, "print_meta: n_layer  ", layers},
    {llama, "print_info: n_layer  ", layers},
    {llama, "print_meta: model params", parameters},
    {llama, "print_info: model params", parameters},
    {llama, "print_meta: model size", model_size},
    {llama, "print_info: file size", model_size},
    {llama, "llama_context: constructing llama_context", context},
    {llama, ": n_ctx  ", context_number<&EngineLog::n_ctx>},
    {llama, ": n_ubatch  ", context_number<&EngineLog::n_ubatch>},
    {llama, ": n_seq_max  ", context_number<&EngineLog::n_seq_max>},
    {llama, "SWA KV cache, size", sliding_next},
    {llama, "llama_kv_cache_unified: size =", cache},
    {llama, "llama_kv_cache: size =", cache},
    {llama, "llama_memory_recurrent: size =", state_cache},
    {llama, "llama_kv_cache_recurrent: size =", state_cache},
    {llama, "KV self size", self_size},
    {LogEngine::none, "  Device 0: ", device},
    {LogEngine::none, "using device ", used_device},
    {llama, "ggml_metal_init: GPU name:", device},
    {LogEngine::none, "failed to allocate", failed},
};

}  // namespace

std::span<const LogWording> llamacpp_wordings() { return wordings; }

}  // namespace kvroof
