// Predictions for the tables of whole systems: decoding end to end, and serving of mixture-of-experts models.
//
// A row names its device and model as its source did; the catalogue resolves both, else a row's own bandwidth
// stands for the device and the basis says so. The prediction is the estimator's own: the same ops, steps and
// serving loop, never the row's time.
#include <algorithm>
#include <cmath>

#include "cli/measured_row.h"
#include "core/serving.h"

namespace kvroof {
namespace {

std::string engine_of_row(const std::string& engine) {
  constexpr std::pair<std::string_view, std::string_view> prefixes[] = {
      {"vllm", "vllm"}, {"trtllm", "trtllm"}, {"tensorrt", "trtllm"}, {"sglang", "sglang"}, {"llama.cpp", "llamacpp"}};
  std::string name = lower(engine);
  if (name.rfind("llama.cpp", 0) == 0 && name.find(" 2024-") != name.npos) return "llamacpp-2024";
  for (auto [prefix, id] : prefixes)
    if (name.rfind(prefix, 0) == 0) return std::string(id);
  return "ideal";
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

struct Layout {
  i64 tp = 1, pp = 1, dp = 1;
};

/// Rows name a layout in words of their own; several devices that are not pipeline stages share each layer.
Layout layout_of_row(const Row& row) {
  std::string text = row.text("parallelism");
  i64 devices = row.whole("n_devices", 1);
  if (text.rfind("layer-split", 0) == 0) return {1, devices, 1};
  if (text.rfind("data parallel", 0) == 0) return {1, 1, devices};
  return {devices, 1, 1};
}

/// Tokens per second over all sequences: of the serving loop where the row states a prompt and an answer, else of the
/// step.
Prediction predict_decode_row(const Row& row, Names& names) {
  const Catalog& catalog = names.catalog();
  bool serving = row.text("engine").find("serving") != std::string::npos;
  Prediction p = start(row, "tokens_per_s_total", "tokens_per_s_total", row.text("engine"),
                       (serving                                           ? "serving "
                        : row.text("includes_prefill").rfind("0", 0) == 0 ? "plain "
                                                                          : "with prefill ") +
                           row.text("hw_class"));
  const Format* weights = format_in_table(row.text("weight_format"));
  std::optional<double> row_bytes = row.number("weight_bytes_total");
  if (!weights && !row_bytes) return p.skipped = "unknown weight format '" + row.text("weight_format") + "'", p;
  const Model* known = names.model(row.text("model"));
  if (!known) return p.skipped = "unknown model '" + row.text("model") + "'", p;
  std::optional<Device> device = device_of_row(row, names);
  if (!device) return p.skipped = "no device and no bandwidth", p;
  Model model = *known;
  Engine engine = catalog.engine(engine_of_row(row.text("engine")));
  Layout layout = layout_of_row(row);
  Deployment d;
  d.tp = layout.tp;
  d.pp = std::min(layout.pp, model.layer_count());
  if (!weights) {
    model.weight_bytes = *row_bytes;  // a mix of formats: its bytes are all that is known of it
  } else {
    bool own_formats = model.weights.linears == model.weights.experts && *weights == model.weights.linears;
    if (!own_formats && weights->name != "mxfp4") d.weights = *weights;
  }
  if (row.number("kv_bytes_per_elem") == 1.0) d.cache.key = d.cache.value = format("fp8");
  d.dp = layout.dp;
  i64 batch = std::max<i64>(1, row.whole("batch", 1) / layout.dp), context = row.whole("context_len_avg", 1);
  RangeRule range = catalog.range(device->achievable.basis);
  Step step = decode_step(model, *device, d, {context, batch, 0}, engine, range);
  Seconds per_token = step.expected, least = step.floor;
  if (serving && row.number("input_len") && row.number("output_len")) {
    Load load{row.whole("input_len", 1024), row.whole("output_len", 128), double(batch), 0, 0};
    per_token = serve(model, *device, d, engine, load, i64(1) << 20, range).tpot;
  }
  double sequences = double(batch * layout.dp);
  p.predicted = sequences / per_token.value;
  p.low = sequences / (range.high * per_token.value);
  p.high = sequences / larger(least, range.low * per_token).value;
  p.basis = std::string(name_of(device->achievable.basis));
  return p;
}

/// Weights as the row says they are quantised; a checkpoint that is published so keeps its own formats.
void set_weights(Model& model, const Row& row) {
  const Format* linears = format_in_table(row.text("gemm_quant_mode"));
  const Format* experts = format_in_table(row.text("moe_quant_mode"));
  bool four_bit = experts && experts->name == "nvfp4";
  if (four_bit && model.weights.experts.name == "mxfp4") return;  // published in mxfp4, which tables call nvfp4
  if (experts && experts->arithmetic != model.weights.experts.arithmetic) model.weights.experts = *experts;
  if (linears && linears->arithmetic != model.weights.linears.arithmetic) model.weights.linears = *linears;
}

/// Milliseconds a token in the serving loop at the row's concurrency.
Prediction predict_moe_row(const Row& row, Names& names) {
  Prediction p = start(row, "tpot", "silicon_tpot_ms", row.text("backend"),
                       "MoE serving " + row.text("model_path").substr(row.text("model_path").find('/') + 1));
  const Catalog& catalog = names.catalog();
  const Device* device = names.device(row.text("system"));
  const Model* known = names.model(row.text("model_path"));
  if (!device) return p.skipped = "unknown device '" + row.text("system") + "'", p;
  if (!known) return p.skipped = "unknown model '" + row.text("model_path") + "'", p;
  Model model = *known;
  set_weights(model, row);
  Engine engine = catalog.engine(engine_of_row(row.text("backend")));
  Deployment d;
  d.tp = row.whole("n_gpus", 1);
  d.attention_dp = std::min(d.tp, row.whole("attn_dp", 1));
  d.ep = row.whole("ep", 1) > 1 ? d.tp : 1;
  Load load{row.whole("isl", 1024), row.whole("osl", 128), double(row.whole("concurrency", 1)), 0, 0};
  RangeRule range = catalog.range(device->achievable.basis);
  Memory memory = fit(model, *device, d, {load.input + load.output, 1, 0}, engine);
  i64 capacity = memory.max_sequences > 0 ? memory.max_sequences : i64(1) << 20;  // it ran, so it fits
  Serving s = serve(model, *device, d, engine, load, capacity, range);
  p.predicted = s.tpot.value * 1e3;
  p.low = s.tpot_low.value * 1e3;
  p.high = s.tpot_high.value * 1e3;
  p.basis = std::string(name_of(s.basis));
  return p;
}

}  // namespace

std::vector<Prediction> predict_decode(const MeasuredTable& table, const Catalog& catalog) {
  Names names(catalog);
  return each_row(table, [&](const Row& row) { return predict_decode_row(row, names); });
}

std::vector<Prediction> predict_moe_serving(const MeasuredTable& table, const Catalog& catalog) {
  Names names(catalog);
  return each_row(table, [&](const Row& row) { return predict_moe_row(row, names); });
}

}  // namespace kvroof
