#include "cli/system_rows.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <initializer_list>
#include <numeric>

namespace kvroof {
namespace {

std::string engine_of_row(const std::string& engine) {
  constexpr std::pair<std::string_view, std::string_view> prefixes[] = {{"transformers-neuronx", "neuronx"},
                                                                        {"vllm", "vllm"},
                                                                        {"trtllm", "trtllm"},
                                                                        {"tensorrt", "trtllm"},
                                                                        {"sglang", "sglang"},
                                                                        {"llama.cpp", "llamacpp"}};
  std::string name = lower(engine);
  if (name.rfind("llama.cpp", 0) == 0 && name.find(" 2024-") != name.npos) return "llamacpp-2024";
  if (name.rfind("vllm", 0) == 0 && name.find(" 2024") != name.npos) return "vllm-v0";
  if (name.rfind("tensorrt", 0) == 0 && name.find(" 2024") != name.npos) return "trtllm-2024";
  for (auto [prefix, id] : prefixes)
    if (name.rfind(prefix, 0) == 0) return std::string(id);
  return "ideal";
}

/// The model as its engine lays it out. Transformers-NeuronX keeps a KV head for every query head where the ranks do
/// not divide the KV heads (its GQA.REPLICATED_HEADS), so that caches and matrices of GQA grow to those of MHA.
Model as_laid_out(const Model& model, const Engine& engine, i64 tp) {
  if (engine.id != "neuronx") return model;
  for (const LayerGroup& g : model.layers)
    if (const Heads* heads = heads_of(g.attention); heads && heads->kv % tp != 0) return with_kv_heads(model, 0);
  return model;
}

/// The class of device a row speaks of, where the catalogue does not know the device itself.
std::string family_of_row(const std::string& hw_class) {
  constexpr std::pair<std::string_view, std::string_view> families[] = {
      {"Apple", "soc"},           {"CPU", "cpu"},           {"ASIC-SRAM", "asic-sram"},
      {"ASIC-GDDR", "asic-dram"}, {"ASIC-HBM", "asic-hbm"}, {"TPU", "asic-hbm"}};
  for (auto [prefix, id] : families)
    if (hw_class.rfind(prefix, 0) == 0) return std::string(id);
  return "gpu";
}

/// A device of the row's own bandwidth and its class's shares.
std::optional<Device> device_of_row(const Row& row, Names& names) {
  if (const Device* known = names.device(row.text("hardware"))) return *known;
  const Catalog& catalog = names.catalog();
  std::optional<double> peak = row.number("peak_bw_GBps");
  if (!peak || *peak <= 0) return std::nullopt;
  Device device;
  device.id = row.text("hardware");
  device.device_class = family_of_row(row.text("hw_class"));
  device.memory = {{"row's own bandwidth", {1e15}, {*peak * 1e9}, std::nullopt, std::nullopt}};
  device.achievable = catalog.family(device.device_class);
  device.link = Link{"unknown", {50e9}, std::nullopt, 1024};
  return device;
}

/// `TP24 (cores)` on 12 chips: software splits heads over cores, so each of a chip's cores is a device.
i64 cores_of_row(const Row& row) {
  std::string text = row.text("parallelism");
  if (text.rfind("TP", 0) != 0 || text.find("(cores)") == text.npos) return 0;
  return std::strtoll(text.c_str() + 2, nullptr, 10);
}

Device core_of(Device chip, double cores) {
  for (MemoryTier& tier : chip.memory) {
    tier.capacity = tier.capacity / cores;
    tier.bandwidth = tier.bandwidth / cores;
  }
  for (std::optional<FlopRate>& peak : chip.peak)
    if (peak) peak = *peak / cores;
  if (chip.link) {
    chip.link->per_direction = chip.link->per_direction / cores;
    chip.link->domain *= i64(cores);
  }
  chip.cores = 1;
  return chip;
}

struct RankCounts {
  i64 tp = 1, pp = 1, dp = 1;
};

/// The most ranks of `devices` that split the heads evenly.
i64 ranks_that_divide(i64 devices, const Model& model) {
  for (const LayerGroup& g : model.layers)
    if (query_heads(g.attention) > 0) devices = std::gcd(devices, query_heads(g.attention));
  return devices;
}

/// Rows name a layout in words of their own; several devices that are not pipeline stages share each layer. Of tensor
/// and pipeline parallelism together a layer has as many as split its heads.
RankCounts layout_of_row(const Row& row, const Model& model) {
  std::string text = row.text("parallelism");
  i64 cores = cores_of_row(row), devices = cores > 0 ? cores : row.whole("n_devices", 1);
  if (text.rfind("layer-split", 0) == 0) return {1, devices, 1};
  if (text.rfind("data parallel", 0) == 0) return {1, 1, devices};
  if (text.rfind("TP+pipeline", 0) == 0) {
    i64 tp = ranks_that_divide(devices, model);
    return {tp, devices / tp, 1};
  }
  return {devices, 1, 1};
}

/// Where nobody says how many devices ran it: the fewest that hold it, as ranks of a layer before stages of layers.
void set_fewest_devices(Setup& s) {
  i64 most = ranks_that_divide(i64(1) << 20, s.model);
  while (s.d.tp < most && !s.memory().fits) s.d.tp *= 2;
  while (2 * s.d.pp <= s.model.layer_count() && !s.memory().fits) s.d.pp *= 2;
}

/// Files of experts in mxfp4 differ in what the rest is in: the checkpoint's 16 bits, or one of llama.cpp's formats. It
/// is the one in which the sum is the file's size; where none is, a mix of which only the bytes are known.
void set_rest_of_file(Model& model, double bytes) {
  for (const char* name : {"bf16", "q8_0", "q6_k", "q4_0"}) {
    Model as = model;
    as.weights.linears = as.weights.embeddings = format(name);
    if (std::abs(all_weights(as, {}).value / bytes - 1) < 0.01) {
      model = as;
      return;
    }
  }
  model.weight_bytes = bytes;
}

/// The format of the weights, unless the checkpoint is published in it.
bool set_weight_format(Setup& s, const Row& row, std::string& skipped) {
  const Format* weights = format_in_table(row.text("weight_format"));
  std::optional<double> bytes = row.number("weight_bytes_total");
  if (!weights && !bytes) return skipped = "unknown weight format '" + row.text("weight_format") + "'", false;
  if (!weights) {
    s.model.weight_bytes = *bytes;  // a mix of formats: its bytes are all that is known of it
    return true;
  }
  const WeightFormats& own = s.model.weights;
  bool as_published = own.linears == own.experts && *weights == own.linears;
  if (weights->name == "mxfp4" && bytes && own.experts == *weights)
    set_rest_of_file(s.model, *bytes);
  else if (!as_published && weights->name != "mxfp4")
    s.d.weights = *weights;
  return true;
}

/// Weights as the row says they are quantised; a checkpoint that is published so keeps its own formats.
void set_quantisation(Model& model, const Row& row) {
  const Format* linears = format_in_table(row.text("gemm_quant_mode"));
  const Format* experts = format_in_table(row.text("moe_quant_mode"));
  bool four_bit = experts && experts->name == "nvfp4";
  if (four_bit && model.weights.experts.name == "mxfp4") return;  // published in mxfp4, which tables call nvfp4
  if (experts && experts->arithmetic != model.weights.experts.arithmetic) model.weights.experts = *experts;
  if (linears && linears->arithmetic != model.weights.linears.arithmetic) model.weights.linears = *linears;
}

void scale(double by, std::initializer_list<Seconds*> times) {
  for (Seconds* t : times) *t = by * *t;
}

/// The batch's prompts, each read alone, spread over the tokens that it generates.
Serving after_prompts(Serving decoding, const Setup& s, const Engine& engine, const Load& load) {
  Seconds prompts = double(s.w.batch) * prefill_time(s.model, s.device, s.d, engine, load.input, 0);
  double slower = 1 + prompts / (double(load.output) * decoding.tpot);
  scale(slower, {&decoding.tpot, &decoding.tpot_low, &decoding.tpot_high});
  decoding.tokens_per_second /= slower;
  return decoding;
}

}  // namespace

bool is_serving(const Row& row) { return row.text("engine").find("serving") != std::string::npos; }

bool is_judged(const Row& row) {
  std::string confidence = row.text("confidence");
  return row.text("trap").empty() && row.text("saturated") != "1" &&
         (confidence.empty() || confidence == "A" || confidence == "B");
}

Seconds SystemRow::per_token(const Engine& engine) const { return predicted(engine).tpot; }

Serving SystemRow::predicted(const Engine& engine) const {
  const Setup& s = setup;
  if (in_step) return lockstep(engine);
  if (load) return serve(s.model, s.device, s.d, engine, *load, capacity, s.range);
  Serving decoding = served_by_step(decode_step(s.model, s.device, s.d, s.w, engine, s.range), sequences);
  return prompts_first ? after_prompts(decoding, s, engine, *prompts_first) : decoding;
}

/// Every round begins with all prompts. The first one read waits for the others before it decodes, the last one for
/// the others before it is read: in the mean half of them on either side.
Serving SystemRow::lockstep(const Engine& engine) const {
  const Setup& s = setup;
  Workload w{load->input + load->output / 2, s.w.batch, 0};
  Serving r = served_by_step(decode_step(s.model, s.device, s.d, w, engine, s.range), sequences);
  Serving one = serve(s.model, s.device, s.d, engine, {load->input, load->output, 1}, capacity, s.range);
  Seconds half = double(s.w.batch - 1) / 2 * one.among_many;
  double slower = 1 + half / (double(load->output) * r.tpot);
  scale(slower, {&r.tpot, &r.tpot_low, &r.tpot_high});
  double later = 1 + half / one.ttft;
  r.ttft = one.ttft;
  r.ttft_low = one.ttft_low;
  r.ttft_high = one.ttft_high;
  scale(later, {&r.ttft, &r.ttft_low, &r.ttft_high});
  r.prefill = one.prefill;
  return r;
}

/// What the engine's memory admits. It ran, so at least one fits.
void SystemRow::set_capacity() {
  constexpr i64 any_number = i64(1) << 20;
  i64 fitting = setup.capacity(*load);
  capacity = fitting > 0 ? fitting : any_number;
}

Serving SystemRow::benchmarked(const Engine& engine) const {
  Serving s = predicted(engine);
  if (in_step) return s;
  constexpr double opening_share = 0.1;
  double before = (s.running / double(setup.d.dp) - 1) / 2;  // of the prompts that arrive with it
  double later = 1 + opening_share * before * s.among_many / s.ttft;
  scale(later, {&s.ttft, &s.ttft_low, &s.ttft_high});
  return s;
}

std::optional<SystemRow> decode_row(const Row& row, Names& names, std::string& skipped) {
  const Model* model = names.model(row.text("model"));
  if (!model) return skipped = "unknown model '" + row.text("model") + "'", std::nullopt;
  std::optional<Device> device = device_of_row(row, names);
  if (!device) return skipped = "no device and no bandwidth", std::nullopt;
  if (i64 cores = cores_of_row(row); cores > 0)
    device = core_of(*device, double(cores) / double(row.whole("n_devices", 1)));
  const Catalog& catalog = names.catalog();
  SystemRow r{{*model, *device, {}, catalog.engine(engine_of_row(row.text("engine"))), {}, {}},
              std::nullopt,
              0,
              1,
              std::nullopt};
  Setup& s = r.setup;
  if (!set_weight_format(s, row, skipped)) return std::nullopt;
  s.range = catalog.range(device->achievable.basis);
  RankCounts layout = layout_of_row(row, *model);
  s.model = as_laid_out(s.model, s.engine, layout.tp);
  s.d.tp = layout.tp;
  s.d.pp = std::min(layout.pp, model->layer_count());
  s.d.dp = layout.dp;
  if (row.number("kv_bytes_per_elem") == 1.0) s.d.cache.key = s.d.cache.value = format("fp8");
  i64 batch = std::max<i64>(1, row.whole("batch", 1) / layout.dp);
  s.w = {row.whole("context_len_avg", 1), batch, 0};
  r.sequences = double(batch * layout.dp);
  if (!row.number("n_devices")) set_fewest_devices(s);
  if (!row.number("input_len") || !row.number("output_len")) return r;
  Load load{row.whole("input_len", 1024), row.whole("output_len", 128), r.sequences, 0, 0};
  if (is_serving(row)) {
    r.load = load;
    r.set_capacity();
    r.in_step = s.engine.prompts_first;
  } else if (row.number("includes_prefill") == 1.0) {
    r.prompts_first = load;
  }
  return r;
}

std::optional<SystemRow> moe_row(const Row& row, Names& names, std::string& skipped) {
  const Device* device = names.device(row.text("system"));
  const Model* model = names.model(row.text("model_path"));
  if (!device) return skipped = "unknown device '" + row.text("system") + "'", std::nullopt;
  if (!model) return skipped = "unknown model '" + row.text("model_path") + "'", std::nullopt;
  const Catalog& catalog = names.catalog();
  SystemRow r{{*model, *device, {}, catalog.engine(engine_of_row(row.text("backend"))), {}, {}},
              std::nullopt,
              0,
              1,
              std::nullopt};
  Setup& s = r.setup;
  set_quantisation(s.model, row);
  s.range = catalog.range(device->achievable.basis);
  s.d.tp = row.whole("n_gpus", 1);
  s.d.attention_dp = std::min(s.d.tp, row.whole("attn_dp", 1));
  s.d.ep = row.whole("ep", 1) > 1 ? s.d.tp : 1;
  r.load = Load{row.whole("isl", 1024), row.whole("osl", 128), double(row.whole("concurrency", 1)), 0, 0};
  r.set_capacity();
  return r;
}

}  // namespace kvroof
