#include "cli/log_setup.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "cli/model_source.h"
#include "core/units.h"

namespace kvroof {
namespace {

// ---- names ---------------------------------------------------------------------------------------------

std::string last_part(const std::string& name) {
  std::size_t end = name.find_last_not_of('/');
  if (end == std::string::npos) return name;
  std::size_t slash = name.find_last_of("/\\", end);
  return name.substr(slash == std::string::npos ? 0 : slash + 1,
                     end - (slash == std::string::npos ? 0 : slash + 1) + 1);
}

/// `.../models--org--name/snapshots/...` is org/name.
std::string repository_of(const std::string& path) {
  std::size_t at = path.find("models--");
  if (at == std::string::npos) return {};
  std::string name = path.substr(at + 8, path.find('/', at) - at - 8);
  if (std::size_t dashes = name.find("--"); dashes != std::string::npos) name.replace(dashes, 2, "/");
  return name;
}

/// Letters and digits alone: GGUF names a model with blanks, Hugging Face with dashes.
std::string plain(std::string_view name) {
  std::string out;
  for (char c : lower(name))
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) out += c;
  return out;
}

/// Pieces that say how a checkpoint was quantised or packed, not which model it is.
bool says_packing(std::string piece) {
  constexpr std::string_view known[] = {"fp8",  "dynamic", "quantized", "w8a8", "w4a16",   "w8a16",  "awq", "gptq",
                                        "int4", "int8",    "nvfp4",     "fp4",  "mxfp4",   "gguf",   "bnb", "4bit",
                                        "8bit", "nf4",     "hf",        "ud",   "bf16",    "fp16",   "f16", "static",
                                        "kv",   "block",   "imatrix",   "i1",   "unsloth", "latest", "mtp"};
  piece = lower(piece);
  if (std::find(std::begin(known), std::end(known), piece) != std::end(known)) return true;
  std::size_t q = piece.rfind("iq", 0) == 0 ? 1 : 0;
  return piece.size() > q + 1 && piece[q] == 'q' && piece[q + 1] >= '1' && piece[q + 1] <= '8';
}

std::string without_packing(std::string name) {
  for (;;) {
    std::size_t at = name.find_last_of("-.: ");
    if (at == std::string::npos || at == 0 || !says_packing(name.substr(at + 1))) return name;
    name.resize(at);
  }
}

std::string without_tuning(const std::string& name) {
  constexpr std::string_view endings[] = {"-instruct", "-it",       "-chat", "-base",
                                          "-chat-hf",  " instruct", " it",   " chat"};
  for (std::string_view ending : endings)
    if (name.size() > ending.size() && lower(name.substr(name.size() - ending.size())) == ending)
      return name.substr(0, name.size() - ending.size());
  return name;
}

std::vector<std::string> candidates(const EngineLog& log) {
  std::vector<std::string> names;
  auto add = [&](const std::string& name) {
    if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  std::string file = last_part(log.file);
  if (file.size() > 5 && lower(file.substr(file.size() - 5)) == ".gguf") file.resize(file.size() - 5);
  for (const std::string& said : {log.arguments.model, repository_of(log.arguments.model), log.general_name, file})
    for (const std::string& name : {said, last_part(said)}) {
      add(name);
      add(without_packing(name));
      add(without_tuning(without_packing(name)));
    }
  return names;
}

/// The catalogue's model whose id or alias reads the same without punctuation and organisation.
std::optional<std::string> id_reading_like(const std::vector<std::string>& names, const Catalog& catalog) {
  std::vector<std::string> ids = catalog.ids("models");
  std::vector<std::vector<std::string>> known;
  for (const std::string& id : ids) {
    known.push_back({plain(id)});
    for (const std::string& alias : catalog.model(id).aliases) known.back().push_back(plain(last_part(alias)));
  }
  for (const std::string& name : names)
    for (std::size_t i = 0; i < ids.size(); ++i)
      if (std::find(known[i].begin(), known[i].end(), plain(last_part(name))) != known[i].end()) return ids[i];
  return std::nullopt;
}

Model model_of_log(const EngineLog& log, const std::string& where, const Catalog& catalog) {
  std::vector<std::string> names = candidates(log);
  if (names.empty()) throw InputError{where + ": names no model; say which with --model\n"};
  std::error_code error;
  for (const std::string& name : names)
    if (catalog.has("models", name)) return catalog.model(name);
  if (std::filesystem::exists(names.front(), error)) return find_model(names.front(), catalog);
  if (std::optional<std::string> id = id_reading_like(names, catalog)) return catalog.model(*id);
  throw InputError{where + ": no model named '" + names.front() + "' is known; say which with --model\n" +
                   "  'kvroof models' lists all of them; a config.json, .gguf or .safetensors file is a model too\n"};
}

// ---- device --------------------------------------------------------------------------------------------

/// By name; else the GPU whose usable memory is nearest, one that lists this very size as an alias first.
std::optional<Device> device_in_catalogue(const EngineLog& log, const Catalog& catalog) {
  std::string name = log.device;
  for (std::string_view brand : {"", "NVIDIA ", "NVIDIA GeForce ", "AMD "})
    if (name.size() > brand.size() && name.compare(0, brand.size(), brand) == 0 &&
        catalog.has("devices", name.substr(brand.size())))
      return catalog.device(name.substr(brand.size()));
  if (!log.total) return std::nullopt;
  std::optional<Device> nearest_device;
  double nearest_distance = 0.004;  // drivers and ECC move what is reported by a few tenths of a percent
  std::string printed = fmt::format("({:.2f} GiB)", log.total->value / double(1 << 30));
  for (const std::string& id : catalog.ids("devices")) {
    Device device = catalog.device(id);
    if (device.device_class != "gpu" && device.device_class != "superchip") continue;
    for (const std::string& alias : device.aliases)
      if (alias.find(printed) != std::string::npos) return device;
    double distance = std::abs(device.memory[0].capacity / Bytes{log.total->value} - 1);
    if (distance < nearest_distance) {
      nearest_distance = distance;
      nearest_device = device;
    }
  }
  return nearest_device;
}

void take_device(LogSetup& s, const EngineLog& log, const std::string& hardware, const Catalog& catalog) {
  std::optional<Device> known = hardware.empty() ? device_in_catalogue(log, catalog) : catalog.device(hardware);
  if (known) s.device = *known;
  s.sized = known || log.total;
  if (!s.sized) return;
  bool named = known && !log.device.empty();
  if (known && hardware.empty() && !named)
    s.assumed.push_back("the log doesn't name the device: taken by its memory; --hardware says another");
  if (log.total) {
    if (!known) s.device.name = "a device";
    s.device.memory.resize(1);  // what the engine saw is one memory, whatever lies behind it
    s.device.memory[0].capacity = {log.total->value};
  }
}

// ---- formats -------------------------------------------------------------------------------------------

struct FormatWord {
  std::string_view word, format;
};
/// Looked for in this order; -dynamic and -block checkpoints leave embeddings and head in 16 bits, as all do.
constexpr FormatWord name_words[] = {{"w8a8", "w8a8"},    {"nvfp4", "nvfp4"}, {"mxfp4", "mxfp4"}, {"fp8", "fp8"},
                                     {"w4a16", "awq"},    {"awq", "awq"},     {"gptq", "awq"},    {"int4", "awq"},
                                     {"bnb-4bit", "nf4"}, {"4bit", "awq"},    {"int8", "w8a8"},   {"w8a16", "w8a8"},
                                     {"8bit", "w8a8"}};
constexpr FormatWord argument_words[] = {{"bitsandbytes", "nf4"}, {"fp4", "nvfp4"}, {"fp8", "fp8"},
                                         {"awq", "awq"},          {"gptq", "awq"},  {"w8a8", "w8a8"}};

bool is_wide(const Format& f) { return f.name == "f32" || f.name == "bf16" || f.name == "fp16"; }

void take_weights(LogSetup& s, const EngineLog& log) {
  const LogArguments& a = log.arguments;
  if (log.engine == LogEngine::llamacpp) return;
  Model& m = s.model;
  if (is_wide(m.weights.linears) && is_wide(m.weights.experts)) {
    auto apply = [&](std::span<const FormatWord> words, const std::string& text) {
      for (const FormatWord& row : words)
        if (!s.d.weights && lower(text).find(row.word) != std::string::npos) s.d.weights = format(row.format);
    };
    apply(name_words, last_part(a.model));
    apply(argument_words, a.quantization);
    if (s.d.weights)
      s.assumed.push_back(fmt::format("matrices in {}, embeddings and head in {}: from the {}", s.d.weights->name,
                                      m.weights.embeddings.name,
                                      a.quantization.empty() ? "model's name" : "model's name and quantization"));
    else if (!a.quantization.empty() && a.quantization != "None")
      s.assumed.push_back("quantization '" + a.quantization + "' doesn't say a format: weights are taken as published");
  }
  const Format* dtype = find_format(lower(a.dtype));
  if (!dtype || !is_wide(*dtype)) return;
  for (Format* f : {&m.weights.linears, &m.weights.experts, &m.weights.embeddings})
    if (is_wide(*f)) *f = *dtype;
}

void take_cache(LogSetup& s, const EngineLog& log) {
  const LogArguments& a = log.arguments;
  const Format* dtype = find_format(lower(a.dtype));
  Format both = dtype && dtype->name == "f32" ? *dtype : format("bf16");  // --dtype float32 makes the cache f32 too
  std::string kv = lower(a.kv_dtype);
  if (!kv.empty() && kv != "auto") {
    const Format* found = find_format(kv);
    if (!found && kv.find("fp8") != std::string::npos) found = &format("fp8");
    if (!found && kv.find("float8") != std::string::npos) found = &format("fp8");
    if (!found && kv.find("fp4") != std::string::npos) found = &format("nvfp4");
    if (found)
      both = *found;
    else
      s.assumed.push_back("KV format '" + a.kv_dtype + "' isn't known: taken as " + std::string(both.name));
  } else if (s.model.cache_format && s.engine.follows_cache_format)
    both = *s.model.cache_format;
  s.d.cache.key = s.d.cache.value = both;
}

// ---- engine --------------------------------------------------------------------------------------------

/// The minor number of a 0.N version; -1 when the log gives none.
i64 minor_of(const std::string& version) {
  if (version.rfind("0.", 0) != 0) return -1;
  ParsedNumber n = parse_count(version.substr(2, version.find_first_not_of("0123456789", 2) - 2), 0, 9999);
  return n.value ? i64(*n.value) : -1;
}

/// Whether the logged size is concurrency x length: from 0.21, or when only that explains the figures.
bool logs_requests(const EngineLog& log) {
  if (i64 minor = minor_of(log.version); minor >= 0) return minor >= 21;
  if (!log.tokens || !log.concurrency || !log.concurrency_context) return false;
  double by_length = double(*log.tokens) / double(*log.concurrency_context);
  return *log.tokens % 16 != 0 && std::abs(by_length - log.concurrency->value) <= 0.0051;
}

/// The catalogue's entry for that generation of vLLM; its plain entry where there is none.
std::string_view generation_of(const EngineLog& log, const Catalog& catalog) {
  i64 minor = minor_of(log.version);
  std::string_view id = log.first_generation                  ? "vllm-v0"
                        : log.graphs_taken_out || minor >= 21 ? "vllm-0.21"
                        : minor >= 0 && minor < 17            ? "vllm-0.11"
                                                              : "vllm";
  return catalog.has("engines", id) ? id : "vllm";
}

void take_engine(LogSetup& s, const EngineLog& log, const Catalog& catalog) {
  constexpr std::string_view ids[] = {"ideal", "vllm", "sglang", "trtllm", "llamacpp"};
  s.engine = catalog.engine(ids[int(log.engine)]);
  if (log.engine == LogEngine::vllm) {
    s.engine = catalog.engine(generation_of(log, catalog));
    s.engine.reports_requests = logs_requests(log);
    if (log.first_generation) s.whole_context = true;
  }
  if (log.arguments.block_tokens && *log.arguments.block_tokens > 0)
    s.engine.block_tokens = *log.arguments.block_tokens;
}

void take_layout(LogSetup& s, const EngineLog& log) {
  const LogArguments& a = log.arguments;
  auto positive = [](std::optional<i64> n, i64 fallback) { return n && *n > 0 && *n < (1 << 30) ? *n : fallback; };
  i64 least_tp = 1, least_pp = 1;  // ranks that printed something existed
  for (const LogRank& rank : log.ranks) {
    if (rank.stage) least_pp = std::max(least_pp, std::min<i64>(*rank.stage + 1, 1024));
    if (std::size_t at = rank.label.find("TP"); at != std::string::npos)
      if (ParsedNumber n = parse_count(rank.label.substr(at + 2), 0, 1023); n.value)
        least_tp = std::max(least_tp, i64(*n.value) + 1);
  }
  s.d.tp = positive(a.tp, least_tp);
  s.d.pp = std::min(positive(a.pp, least_pp), std::max<i64>(1, s.model.layer_count()));
  s.d.dp = positive(a.dp, 1);
  if (a.expert_parallel.value_or(false)) s.d.ep = s.d.tp;
  s.d.memory_fraction = a.memory_fraction;
  s.d.draft_tokens = positive(a.draft_tokens, 0);
  s.d.prefix_caching = a.prefix_caching.value_or(false);
  s.d.batched_tokens = positive(a.batched_tokens, 8192);
  s.d.sampler_sequences = positive(a.max_sequences, 0);
  i64 context = positive(log.concurrency_context, positive(a.max_context, positive(log.n_ctx, 0)));
  if (context == 0) context = s.model.max_context.value_or(4096);
  s.w.context = s.d.max_context = context;
}

}  // namespace

Model with_whole_context(Model model) {
  for (LayerGroup& g : model.layers) {
    if (const auto* sliding = std::get_if<SlidingAttention>(&g.attention))
      g.attention = FullAttention{sliding->heads};
    else if (const auto* chunked = std::get_if<ChunkedAttention>(&g.attention))
      g.attention = FullAttention{chunked->heads};
  }
  return model;
}

LogSetup setup_of(const EngineLog& log, const std::string& where, const std::string& model, const std::string& hardware,
                  const Catalog& catalog) {
  LogSetup s;
  s.model = model.empty() ? model_of_log(log, where, catalog) : find_model(model, catalog);
  take_engine(s, log, catalog);
  take_weights(s, log);
  take_cache(s, log);
  take_layout(s, log);
  take_device(s, log, hardware, catalog);
  return s;
}

}  // namespace kvroof
