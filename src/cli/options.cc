#include "cli/options.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iostream>

#include "cli/expert_skew.h"
#include "cli/model_source.h"
#include "cli/prices.h"
#include "core/units.h"

namespace kvroof {
namespace {

int terminal_width() {
  if (const char* columns = std::getenv("COLUMNS")) {
    ParsedNumber n = parse_count(columns, 20, 500);
    if (n.value) return int(*n.value);
  }
  winsize size{};
  if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20) return size.ws_col;
  return 80;
}

/// The first of the locale's variables that is set decides.
bool shows_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"})
    if (const char* value = std::getenv(name); value && *value) {
      std::string locale = lower(value);
      return locale.find("utf-8") != std::string::npos || locale.find("utf8") != std::string::npos;
    }
  return false;
}

bool wants_color(const OutputOptions& options) {
  if (options.color != "auto") return options.color == "always";
  const char* term = std::getenv("TERM");
  const char* no_color = std::getenv("NO_COLOR");
  bool refused = (no_color && *no_color) || (term && std::string(term) == "dumb");
  return options.file.empty() && isatty(STDOUT_FILENO) && !refused;
}

i64 kv_heads_of(const std::string& text, const Model& model) {
  i64 g = count_of("--kv-heads", text, 1, 1 << 16);
  for (const LayerGroup& group : model.layers) {
    i64 q = query_heads(group.attention);
    if (q > 0 && q % g != 0)
      fail("--kv-heads",
           std::to_string(g) + " does not divide the " + std::to_string(q) + " query heads of " + model.id);
  }
  return g;
}

/// mha, mqa, gqa-8.
Model with_attention(const std::string& text, const Model& model) {
  std::string kind = lower(text);
  if (kind == "mha") return with_kv_heads(model, 0);
  if (kind == "mqa") return with_kv_heads(model, 1);
  if (kind.rfind("gqa-", 0) == 0) return with_kv_heads(model, kv_heads_of(kind.substr(4), model));
  fail("--attention", "'" + text + "' is not mha, mqa or gqa-g such as gqa-8");
}

Eviction eviction_of(const std::string& text) {
  Eviction e;
  auto value_of = [&](const std::string& key) {
    std::size_t at = text.find(key + "=");
    return at == std::string::npos ? std::string()
                                   : text.substr(at + key.size() + 1, text.find(',', at) - at - key.size() - 1);
  };
  std::string kind = text.substr(0, text.find(':'));
  if (kind == "streaming") {
    e.kind = EvictionKind::streaming;
    e.sinks = value_of("sinks").empty() ? 4 : count_of("--evict streaming sinks", value_of("sinks"), 4);
    e.window = count_of("--evict streaming window", value_of("window"), 0);
    if (e.window == 0) fail("--evict", "streaming needs a window, such as streaming:sinks=4,window=2044");
  } else if (kind == "h2o") {
    e.kind = EvictionKind::heavy_hitters;
    std::string budget = value_of("budget");
    if (budget.empty()) fail("--evict", "h2o needs a budget, such as h2o:budget=20% or h2o:budget=2k");
    if (budget.back() == '%') {
      ParsedNumber share = parse_share(budget);
      if (!share.value || *share.value == 0)
        fail("--evict h2o budget", share.value ? "must be more than 0%" : share.error);
      e.budget_share = *share.value;
    } else {
      e.budget_tokens = count_of("--evict h2o budget", budget, 0);
    }
  } else {
    fail("--evict", "'" + text + "' is not streaming:sinks=4,window=2044 or h2o:budget=20%");
  }
  return e;
}

void apply_override(Device& device, const std::string& text) {
  std::size_t equals = text.find('=');
  std::string key = text.substr(0, equals), value = equals == std::string::npos ? "" : text.substr(equals + 1);
  auto quantity = [&](Dimension dimension) {
    ParsedNumber n = parse_quantity(value, dimension);
    if (!n.value) fail("--hardware-override " + key, n.error);
    if (*n.value <= 0) fail("--hardware-override " + key, "must be more than 0");
    return *n.value;
  };
  if (key == "bandwidth") {
    device.memory[0].bandwidth = {quantity(bandwidth_dimension)};
  } else if (key == "memory") {
    device.memory[0].capacity = {quantity(bytes_dimension)};
  } else if (key == "link") {
    Bandwidth rate{quantity(bandwidth_dimension)};
    if (device.link)
      device.link->per_direction = rate, device.link->pair.reset();
    else
      device.link = Link{"override", rate, std::nullopt, 8};
  } else if (key == "peak") {
    double rate = quantity(rate_dimension);
    double before = device.peak_for(Arithmetic::bf16).value_or(FlopRate{rate}).value;
    for (std::optional<FlopRate>& peak : device.peak)
      if (peak) peak->value *= rate / before;
    if (!device.peak[int(Arithmetic::bf16)]) device.peak[int(Arithmetic::bf16)] = FlopRate{rate};
  } else {
    fail("--hardware-override",
         "'" + text + "' is not bandwidth=4TB/s, memory=96GiB, link=450GB/s or peak=989TFLOPS (bf16)");
  }
}

}  // namespace

[[noreturn]] void fail(const std::string& option, const std::string& error) {
  throw InputError{option + ": " + error + "\n"};
}

void add_options(CommandLine& line, OutputOptions& o, const std::vector<std::string>& formats) {
  std::string list;
  for (const std::string& name : formats) list += (list.empty() ? "" : &name == &formats.back() ? " or " : ", ") + name;
  line.option("--format", &o.format, list).one_of(formats).metavar("FORMAT");
  line.option("--json", &o.json, "same as --format json");
  line.option("-o,--out", &o.file, "write to this file instead of stdout").metavar("FILE");
  line.option("-q,--quiet", &o.quiet, "print no result; the exit code answers");
  line.option("--color", &o.color, "auto, always or never").one_of({"auto", "always", "never"}).metavar("WHEN");
}

void add_options(CommandLine& line, CatalogOptions& o) {
  line.option("--catalog", &o.files, "a models.yaml or hardware.yaml layered over the built-in one (repeatable)")
      .metavar("FILE")
      .takes_one();
}

void add_options(CommandLine& line, ModelOptions& o) {
  line.option("model", &o.model, "a name or alias ('kvroof models'), or a config.json, .gguf or .safetensors file")
      .required()
      .metavar("MODEL");
  add_shape_options(line, o);
}

void add_shape_options(CommandLine& line, ModelOptions& o) {
  line.option("--kv-heads", &o.kv_heads, "what if every layer had G KV heads").metavar("G");
  line.option("--attention", &o.attention, "what if it were mha, mqa or gqa-G").metavar("KIND");
  line.option("--weights", &o.weights, "format of the matrices: bf16, fp8, nvfp4, awq, q4_0...").metavar("FORMAT");
}

void add_options(CommandLine& line, CacheOptions& o) {
  line.option("--kv-dtype", &o.kv_dtype, "format of keys and values: bf16, fp8, int8, q8_0...").metavar("FORMAT");
  line.option("--k-dtype", &o.k_dtype, "format of keys alone").metavar("FORMAT");
  line.option("--v-dtype", &o.v_dtype, "format of values alone").metavar("FORMAT");
  line.option("--state-dtype", &o.state_dtype, "format of recurrent states (default f32)").metavar("FORMAT");
  line.option("--evict", &o.evict, "streaming:sinks=4,window=2044 or h2o:budget=20% (quality is not modelled)")
      .metavar("POLICY");
  line.option("--shared-prefix", &o.shared_prefix,
              "leading tokens common to all sequences, held once where the engine can")
      .metavar("TOKENS");
}

void add_options(CommandLine& line, DeploymentOptions& o) {
  line.option("--tp", &o.tp, "tensor-parallel ranks").metavar("N");
  line.option("--pp", &o.pp, "pipeline stages").metavar("N");
  line.option("--dp", &o.dp, "replicas").metavar("N");
  line.option("--ep", &o.ep, "ranks the experts are split over (equals --tp)").metavar("N");
  line.option("--attention-dp", &o.attention_dp,
              "groups of tp ranks that attend to sequences of their own (SGLang --enable-dp-attention)")
      .metavar("N");
  line.option("--expert-skew", &o.expert_skew,
              "how unevenly tokens fall on experts: a Zipf exponent (default 0: evenly), or what was measured, "
              "such as distinct=40@tokens=16")
      .metavar("SKEW");
  line.option("--engine", &o.engine,
              "vllm, sglang, trtllm, llamacpp, ideal ('kvroof engines'); the default is the device's usual one")
      .metavar("ENGINE");
  line.option("--memory-fraction,--gpu-memory-utilization,--mem-fraction-static", &o.memory_fraction,
              "share of memory the engine may use")
      .metavar("SHARE");
  line.option("--batched-tokens,--max-num-batched-tokens,--ubatch", &o.batched_tokens,
              "tokens one scheduler step may hold")
      .metavar("TOKENS");
  line.option("--max-model-len", &o.max_context, "longest request the engine admits (default: the context)")
      .metavar("TOKENS");
  line.option("--prefix-caching", &o.prefix_caching, "keep finished prefixes (a second state slot on hybrids)");
  line.option("--draft-tokens", &o.draft_tokens, "speculative tokens that state slots are reserved for").metavar("N");
  line.option("--kv-room", &o.kv_room, "measured room for KV of one rank, instead of the model's").metavar("SIZE");
  line.option("--weights-bytes", &o.weight_bytes, "measured weights of one rank").metavar("SIZE");
  line.option("--activation-bytes", &o.activation_bytes, "measured activation peak of one rank").metavar("SIZE");
}

void add_options(CommandLine& line, HardwareOptions& o) {
  line.option("hardware", &o.device, "a name or alias ('kvroof hardware'), or a device's .yaml file")
      .required()
      .metavar("HARDWARE");
  add_what_if_options(line, o);
  add_price_option(line, o);
}

void add_what_if_options(CommandLine& line, HardwareOptions& o) {
  line.option("--hardware-override", &o.overrides,
              "what if: bandwidth=4TB/s, memory=96GiB, link=..., peak=... (repeatable)")
      .metavar("KEY=VALUE")
      .takes_one();
  line.option("--usable-memory", &o.usable_memory, "what the driver reports on this machine").metavar("SIZE");
}

void add_price_option(CommandLine& line, HardwareOptions& o) {
  line.option("--price", &o.prices, "a device's, such as 2.50/h or h100-sxm=2.50/h (repeatable)")
      .metavar("[HARDWARE=]PRICE")
      .takes_one();
}

void add_price_files_option(CommandLine& line, CatalogOptions& o) {
  line.option("--prices", &o.price_files, "a file of prices, a line 'h100-sxm: 2.50/h' each (repeatable)")
      .metavar("FILE")
      .takes_one();
}

Catalog catalog_of(const CatalogOptions& options) {
  Catalog catalog = Catalog::built_in();
  for (const std::string& file : options.files) catalog.add_file(file);
  for (const std::string& file : options.price_files) add_prices(catalog, file);
  return catalog;
}

std::vector<std::string> pieces_of(const std::string& option, const std::string& text) {
  std::vector<std::string> pieces;
  for (std::size_t begin = 0; begin <= text.size() && !text.empty();) {
    std::size_t end = std::min(text.find(',', begin), text.size());
    if (end == begin) fail(option, "'" + text + "' has an empty place in its list");
    pieces.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return pieces;
}

std::vector<std::string> pieces_of(const std::string& option, const std::vector<std::string>& texts) {
  std::vector<std::string> all;
  for (const std::string& text : texts)
    for (std::string& piece : pieces_of(option, text)) all.push_back(std::move(piece));
  return all;
}

i64 count_of(const std::string& option, const std::string& text, i64 fallback, i64 most) {
  if (text.empty()) return fallback;
  ParsedNumber n = parse_count(text, 1, most);
  if (!n.value) fail(option, n.error);
  return i64(*n.value);
}

std::vector<i64> counts_of(const std::string& option, const std::string& text, std::vector<i64> fallback) {
  if (text.empty()) return fallback;
  std::vector<i64> values;
  for (const std::string& piece : pieces_of(option, text)) values.push_back(count_of(option, piece, 1));
  return values;
}

double rate_of(const std::string& option, const std::string& text) {
  std::string_view rest;
  std::optional<double> rate = parse_decimal(text, &rest);
  if (!rate || !(rest.empty() || rest == "/s") || *rate <= 0) fail(option, "'" + text + "' is not a rate such as 4/s");
  return *rate;
}

double share_of(const std::string& option, const std::string& text) {
  ParsedNumber share = parse_share(text);
  if (!share.value) fail(option, share.error);
  return *share.value;
}

std::optional<Bytes> bytes_of_option(const std::string& option, const std::string& text) {
  if (text.empty()) return std::nullopt;
  ParsedNumber n = parse_quantity(text, bytes_dimension);
  if (!n.value) fail(option, n.error);
  return Bytes{*n.value};
}

Format format_of_option(const std::string& option, const std::string& text, const Format& fallback) {
  if (text.empty()) return fallback;
  if (const Format* found = find_format(lower(text))) return *found;
  std::vector<std::string> names;
  for (const Format& f : formats()) names.emplace_back(f.name);
  std::optional<std::string> near = nearest(text, names);
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  fail(option, "unknown number format '" + text + "'" + (near ? "; did you mean '" + *near + "'?" : "") +
                   "\n  formats: " + list);
}

Model model_of(const ModelOptions& o, const Catalog& catalog) { return with_what_ifs(o, find_model(o.model, catalog)); }

Model with_what_ifs(const ModelOptions& o, Model model) {
  if (!o.kv_heads.empty() && !o.attention.empty()) fail("--kv-heads", "and --attention say the same thing; give one");
  double scale = checkpoint_scale(model, {});  // a file's exact bytes go with the shape that changes
  bool from_file = model.weight_bytes.has_value();
  model.weight_bytes.reset();
  if (!o.kv_heads.empty()) model = with_kv_heads(model, kv_heads_of(o.kv_heads, model));
  if (!o.attention.empty()) model = with_attention(o.attention, model);
  if (from_file) model.weight_bytes = scale * all_weights(model, {}).value;
  return model;
}

bool is_device_file(const std::string& name) { return name.ends_with(".yaml") || name.ends_with(".yml"); }

DeviceFile device_file(const std::string& path, const Catalog& catalog) {
  Catalog alone;
  alone.add_file(path);
  std::vector<std::string> ids = alone.ids("devices");
  if (ids.size() != 1)
    throw InputError{path + ": describes " + std::to_string(ids.size()) + " devices, expected one\n" +
                     "  a file of several goes with --catalog " + path + " and the device's id\n"};
  DeviceFile found{catalog, ids[0]};
  found.catalog.add_file(path);
  return found;
}

Device find_device(const std::string& name, const Catalog& catalog) {
  if (!is_device_file(name)) return catalog.device(name);
  DeviceFile file = device_file(name, catalog);
  return file.catalog.device(file.id);
}

Device find_device(const HardwareOptions& o, const Catalog& catalog) {
  std::string_view rest;
  std::optional<double> counted = parse_decimal(o.device, &rest);
  if (counted && rest.size() > 1 && rest[0] == 'x' && catalog.has("devices", rest.substr(1)))
    fail("hardware", "'" + o.device + "': name one device and lay it out, such as " +
                         catalog.device(rest.substr(1)).id + " --tp " +
                         o.device.substr(0, o.device.size() - rest.size()));
  Device device = find_device(o.device, catalog);
  for (const std::string& text : o.prices)  // by any name the catalogue has for it
    if (std::string name = text.substr(0, text.find('='));
        names_device(text) && name != device.id && catalog.device(name).id == device.id)
      device.price = price_given({device.id + text.substr(text.find('='))}, device);
  return device;
}

Device device_of(const HardwareOptions& o, const Catalog& catalog) { return with_what_ifs(o, find_device(o, catalog)); }

Device with_what_ifs(const HardwareOptions& o, Device device) {
  if (std::optional<Bytes> usable = bytes_of_option("--usable-memory", o.usable_memory))
    device.memory[0].capacity = *usable;
  if (std::optional<Price> given = price_given(o.prices, device)) device.price = given;
  for (const std::string& text : o.overrides) apply_override(device, text);
  throw_if_any(problems(device));
  return device;
}

Engine engine_of(const DeploymentOptions& options, const Device& device, const Catalog& catalog) {
  if (!options.engine.empty()) return catalog.engine(options.engine);
  constexpr struct {
    std::string_view device_class, engine;
  } usual[] = {{"gpu", "vllm"}, {"superchip", "vllm"}, {"apu", "vllm"}, {"soc", "llamacpp"}, {"cpu", "llamacpp"}};
  for (const auto& row : usual)
    if (row.device_class == device.device_class) return catalog.engine(row.engine);
  return catalog.engine("ideal");  // accelerators run their vendors' own engines
}

void apply(const CacheOptions& cache, const Model& model, Deployment& d) {
  Format both = format_of_option("--kv-dtype", cache.kv_dtype, format("bf16"));
  d.cache.key = format_of_option("--k-dtype", cache.k_dtype, both);
  d.cache.value = format_of_option("--v-dtype", cache.v_dtype, both);
  bool latent = false;
  for (const LayerGroup& g : model.layers) latent |= std::holds_alternative<LatentAttention>(g.attention);
  if (!latent && (d.cache.key.name == "fp8_ds_mla" || d.cache.value.name == "fp8_ds_mla"))
    fail("--kv-dtype", "fp8_ds_mla packs MLA latents; " + model.id + " has none");
  d.cache.state = format_of_option("--state-dtype", cache.state_dtype, format("f32"));
  d.states_given = !cache.state_dtype.empty();
  if (!cache.evict.empty()) d.eviction = eviction_of(cache.evict);
}

Deployment deployment_of(const CacheOptions& cache, const DeploymentOptions& o, const Model& model,
                         const Engine& engine) {
  Deployment d;
  apply(cache, model, d);
  bool asked = !cache.kv_dtype.empty() || !cache.k_dtype.empty() || !cache.v_dtype.empty();
  if (model.cache_format && engine.follows_cache_format && !asked) d.cache.key = d.cache.value = *model.cache_format;
  d.tp = count_of("--tp", o.tp, 1);
  d.pp = count_of("--pp", o.pp, 1);
  d.dp = count_of("--dp", o.dp, 1);
  d.ep = count_of("--ep", o.ep, 1);
  d.attention_dp = count_of("--attention-dp", o.attention_dp, 1);
  if (!o.expert_skew.empty()) d.expert_skew = expert_skew_of(o.expert_skew, model);
  d.batched_tokens = count_of("--batched-tokens", o.batched_tokens, engine.layout == Layout::cells ? 512 : 8192);
  d.max_context = o.max_context.empty() ? 0 : count_of("--max-model-len", o.max_context, 1);
  d.draft_tokens = o.draft_tokens.empty() ? 0 : count_of("--draft-tokens", o.draft_tokens, 1, 1 << 16);
  d.prefix_caching = o.prefix_caching;
  if (!o.memory_fraction.empty()) {
    d.memory_fraction = share_of("--memory-fraction", o.memory_fraction);
    if (*d.memory_fraction == 0) fail("--memory-fraction", "must be more than 0");
  }
  d.kv_room = bytes_of_option("--kv-room", o.kv_room);
  d.weight_bytes = bytes_of_option("--weights-bytes", o.weight_bytes);
  d.activation_bytes = bytes_of_option("--activation-bytes", o.activation_bytes);
  return d;
}

void throw_if_any(const std::vector<Problem>& found) {
  std::string message;
  for (const Problem& p : found)
    message += p.path + ": " + p.what + "\n" + (p.hint.empty() ? "" : "  " + p.hint + "\n");
  if (!message.empty()) throw InputError{message};
}

OutputFormat format_named(const OutputOptions& options) {
  constexpr std::pair<std::string_view, OutputFormat> names[] = {{"text", OutputFormat::text},
                                                                 {"json", OutputFormat::json},
                                                                 {"csv", OutputFormat::csv},
                                                                 {"markdown", OutputFormat::markdown},
                                                                 {"yaml", OutputFormat::yaml}};
  for (auto [name, format] : names)
    if (name == (options.json ? "json" : options.format)) return format;
  return OutputFormat::text;
}

void refuse_yaml(const OutputOptions& options) {
  if (format_named(options) == OutputFormat::yaml)
    fail("--format", "yaml is what 'kvroof models show MODEL' prints; here text, json, csv or markdown");
}

Sink::Sink(const OutputOptions& options)
    : quiet_(options.quiet && options.file.empty()),
      name_(options.file.empty() ? "standard output" : options.file),
      stream_(options.file.empty() ? std::cout : file_) {
  if (!options.file.empty()) file_.open(options.file, std::ios::binary);
}

void Sink::write(std::string_view text) {
  if (quiet_) return;
  stream_.write(text.data(), std::streamsize(text.size()));
  if (!stream_) finish();
}

void Sink::finish() {
  stream_ << std::flush;
  if (!stream_) throw InputError{name_ + ": can't be written\n"};
}

TextStyle style_of(const OutputOptions& options) { return {terminal_width(), wants_color(options), shows_utf8()}; }

void print(const Document& document, const OutputOptions& options) {
  if (document.yaml.empty()) refuse_yaml(options);
  write(render(document, format_named(options), style_of(options)), options);
}

void write(const std::string& text, const OutputOptions& options) {
  Sink sink(options);
  sink.write(text);
  sink.finish();
}

}  // namespace kvroof
