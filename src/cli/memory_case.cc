#include "cli/memory_case.h"

#include <fmt/format.h>

#include <algorithm>
#include <regex>
#include <string_view>

namespace kvroof {
namespace {

// ---- which engine --------------------------------------------------------------------------------------

/// `0.19.0 (2026-04-22)` as a version and a month; a year alone means its newest.
struct LoggedVersion {
  std::optional<double> release;  ///< 0.19 as 19, 1.2 as 1002
  std::string month;              ///< `2026-04`
};

LoggedVersion version_of(const std::string& text) {
  LoggedVersion v;
  std::smatch m;
  if (std::regex_search(text, m, std::regex(R"(^(\d{1,2})\.(\d+))")))
    v.release = 1000 * std::stod(m[1]) + std::stod(m[2]);
  if (std::regex_search(text, m, std::regex(R"((20\d\d)(-\d\d)?)")))
    v.month = m[1].str() + (m[2].matched ? m[2].str() : "-12");
  return v;
}

/// Of an engine's entries, the newest that is not newer than the log; the first when all are.
Engine engine_at(const Catalog& catalog, const std::vector<std::string>& entries, const LoggedVersion& at) {
  std::optional<Engine> found;
  for (const std::string& id : entries) {
    Engine e = catalog.engine(id);
    LoggedVersion from = version_of(e.version);
    bool older = at.release && from.release ? *from.release <= *at.release : at.month.empty() || e.since <= at.month;
    if (!found || older) found = e;
  }
  return *found;
}

/// The catalogue's entries for the engine a log names, oldest first.
Engine engine_of_row(const LoggedMemory& row, const Catalog& catalog) {
  const struct {
    std::string_view prefix;
    std::vector<std::string> entries;
  } table[] = {{"vllm-v0", {"vllm-v0"}},
               {"vllm", {"vllm-0.11", "vllm", "vllm-0.21"}},
               {"sglang", {"sglang"}},
               {"tensorrt", {"trtllm"}},
               {"ik_llama", {"ik-llamacpp"}},
               {"llama", {"ik-llamacpp", "llamacpp"}},
               {"ollama", {"ik-llamacpp", "llamacpp"}},
               {"ggml example", {"ideal"}},
               {"published", {"ideal"}}};
  if (catalog.has("engines", row.engine) && row.version.empty() && row.attention_kind.empty())
    return catalog.engine(row.engine);
  std::string name = lower(row.engine);
  for (const auto& t : table)
    if (name.substr(0, t.prefix.size()) == t.prefix) return engine_at(catalog, t.entries, version_of(row.version));
  if (catalog.has("engines", row.engine)) return catalog.engine(row.engine);
  throw Skip{"unknown engine '" + row.engine + "'"};
}

}  // namespace

/// The names to try: as written, without its owner, and shortened from the right word by word.
std::vector<std::string> names_of(const std::string& written) {
  std::vector<std::string> names = {written};
  std::string name = written.substr(written.find('/') == std::string::npos ? 0 : written.find('/') + 1);
  while (name.size() > 3) {
    names.push_back(name);
    std::size_t cut = name.find_last_of(" -_.:");
    if (cut == std::string::npos || cut == 0) break;
    name = name.substr(0, cut);
  }
  return names;
}

std::optional<Model> catalogue_model(const LoggedMemory& row, const Catalog& catalog) {
  for (const std::string& name : names_of(row.model)) {
    if (!catalog.has("models", name)) continue;
    Model model = catalog.model(name);
    if (agrees(row.shape, model)) return model;
  }
  return std::nullopt;
}

namespace {

// ---- which model ---------------------------------------------------------------------------------------

/// MLA's cache as ik_llama.cpp's -mla lays it out: mode 1 adds the transposed values when flash attention is off.
void apply_latent_mode(Model& model, const LoggedMemory& row) {
  if (row.latent_mode == 0) return;
  for (LayerGroup& g : model.layers) {
    if (const auto* mla = std::get_if<LatentAttention>(&g.attention)) {
      if (row.latent_mode == 1 && !row.flash_attention)
        g.attention = FullAttention{{mla->query_heads, 1, mla->kv_lora_rank + mla->rope_dim, mla->kv_lora_rank}};
    } else if (Heads* h = heads_of(g.attention)) {  // forced on a model without a latent: one rope-wide key a layer
      h->kv = 1;
      h->value_dim = 0;
    }
  }
}

/// Layers that keep a window or a state, which the columns of a row name but do not describe: what they hold is known
/// of a catalogue's model alone. A pool that the row is about by itself needs no more than its columns.
void refuse_undescribed_layers(const LoggedMemory& row) {
  const std::string kind = lower(row.attention_kind);
  auto says = [&](std::string_view word) { return kind.find(word) != std::string::npos; };
  bool states = says("gdn") || says("hybrid") || says("recurrent") || says("mamba") || says("kda") || says("ssm");
  bool windows = (says("swa") || says("sliding") || says("chunked")) && !row.windows_in_full;
  auto refuse = [&](std::string_view what) {
    throw Skip{std::string(what) + " of '" + row.model + "' are not in the row's columns, nor is it in the catalogue"};
  };
  if (row.quantity == "recurrent_state_bytes") refuse("the states");
  if (row.quantity != "kv_bytes_total" && states) refuse("the states");
  if (row.quantity != "kv_bytes_total" && windows) refuse("the windows");
  if (row.quantity != "kv_bytes_total") return;
  bool counts_all_layers = lower(row.engine).rfind("sglang", 0) == 0 && !row.shape.others.empty() && !row.full_layers;
  if (row.pool == PoolLayers::sliding || (counts_all_layers && row.pool != PoolLayers::full))
    refuse(windows ? "the windows" : "the layers that keep tokens");
}

/// The row's model from the catalogue where it describes the same, else from the row's own columns.
Model model_of_row(const LoggedMemory& row, const Catalog& catalog, std::string* basis) {
  std::optional<Model> model = catalogue_model(row, catalog);
  *basis = model ? "catalogue " + model->id : "the row's shape";
  if (!model) {
    if (!row.shape.known()) throw Skip{"the row states no shape and '" + row.model + "' is not in the catalogue"};
    refuse_undescribed_layers(row);
    LoggedShape shape = row.shape;
    if (row.full_layers && *row.full_layers < shape.layers) shape.layers = *row.full_layers;
    model = model_of(shape);
    model->id = row.model;
  }
  if (row.heads_expanded) *model = with_kv_heads(*model, 0);
  if (row.all_f32) model->weights.embeddings = format("f32");
  apply_latent_mode(*model, row);
  return *model;
}

bool is_hybrid(const Model& model) {
  return std::any_of(model.layers.begin(), model.layers.end(),
                     [](const LayerGroup& g) { return std::holds_alternative<RecurrentState>(g.attention); });
}

// ---- one row -------------------------------------------------------------------------------------------

std::optional<Device> device_of_row(const LoggedMemory& row, const Catalog& catalog) {
  std::optional<Device> device;
  if (!row.device.empty() && catalog.has("devices", row.device)) device = catalog.device(row.device);
  if (!row.memory_gib) return device;
  if (!device) device.emplace(), device->id = row.device;
  device->memory = {MemoryTier{"", {*row.memory_gib * GiB}, {}, {}, {}}};
  return device;
}

/// vLLM's defaults by device (arg_utils.py): large ones but the A100 take bigger batches; Jetson boards do not.
bool takes_large_batches(const MemoryCase& c) {
  if (!c.device) return true;
  bool a100 = lower(c.device->id + c.row.device).find("a100") != std::string::npos;
  return c.device->memory[0].capacity >= c.engine.activation.large_memory && !a100 && c.device->device_class != "soc";
}

/// vLLM keeps prefixes unless told not to; releases before 0.24 do so on models with states only when asked.
bool keeps_prefixes(const MemoryCase& c) {
  if (c.row.prefix_caching) return *c.row.prefix_caching;
  LoggedVersion v = version_of(c.row.version);
  return c.engine.layout == Layout::paged && is_hybrid(c.model) && !(v.release && *v.release < 24) &&
         !c.row.version.empty();
}

/// What would divide by zero, never end or pass 63 bits is no log's.
void check_counts(const LoggedMemory& row, const Engine& engine, const Model& model) {
  const struct {
    const char* name;
    i64 count, least, most;
  } counts[] = {{"tp", row.layout.tp, 1, 1 << 20},
                {"pp", row.layout.pp, 1, model.layer_count()},
                {"block_tokens", engine.block_tokens, 1, 1 << 20},
                {"context", row.context.value_or(1), 1, i64(1) << 40},
                {"sequences", row.sequences, 1, i64(1) << 32},
                {"batched_tokens", row.batched_tokens.value_or(1), 1, i64(1) << 40},
                {"draft_tokens", row.layout.draft_tokens, 0, 1 << 16},
                {"draft_layers", row.layout.draft_layers, 0, 1 << 16}};
  for (const auto& c : counts)
    if (c.count < c.least || c.count > c.most)
      throw Skip{fmt::format("{} is {}, expected {} to {}", c.name, c.count, c.least, c.most)};
}

}  // namespace

MemoryCase memory_case(const LoggedMemory& row, const Catalog& catalog) {
  if (!row.problem.empty()) throw Skip{row.problem};
  std::string basis;
  Engine engine = engine_of_row(row, catalog);
  if (row.block_tokens) engine.block_tokens = *row.block_tokens;
  if (row.page_tokens && engine.layout == Layout::token_pool) engine.block_tokens = *row.page_tokens;
  if (row.windows_in_full) engine.full_windows = true;
  if (row.pool == PoolLayers::sliding) engine.sliding_ratio = 1;  // the row counts this pool's tokens
  Model model = model_of_row(row, catalog, &basis);
  check_counts(row, engine, model);
  MemoryCase c{row, engine, model, row.layout, device_of_row(row, catalog), basis};
  c.d.prefix_caching = keeps_prefixes(c);
  c.d.weights = row.all_f32 ? std::optional(format("f32")) : row.weights;
  bool cells = engine.layout == Layout::cells;
  c.d.batched_tokens = row.batched_tokens.value_or(cells ? 512 : takes_large_batches(c) ? 8192 : 2048);
  if (!takes_large_batches(c)) c.d.sampler_sequences = engine.activation.small_sampler_sequences;
  if (row.memory_fraction) c.d.memory_fraction = row.memory_fraction;
  return c;
}

}  // namespace kvroof
