// Predictions for the tables of measured time: decode attention, linears, all-reduces, decoding end to end.
//
// A row names its device and model as its source did; the catalogue resolves both, else a row's own bandwidth
// stands for the device and the basis says so. The prediction is the estimator's own: the same ops, steps and
// serving loop, never the row's time.
#include <algorithm>
#include <cmath>

#include "cli/validate.h"
#include "core/serving.h"

namespace kvroof {
namespace {

/// The row's text under a column, and its number.
struct Row {
  const MeasuredTable& table;
  std::size_t index;
  std::string text(std::string_view column) const { return std::string(table.at(index, column)); }
  std::optional<double> number(std::string_view column) const { return number_in(table.at(index, column)); }
  i64 whole(std::string_view column, i64 fallback) const {
    std::optional<double> value = number(column);
    return value && *value >= 1 && *value < 1e15 ? i64(std::llround(*value)) : fallback;
  }
};

Prediction start(const Row& row, const char* metric, const char* measured, std::string source, std::string kind) {
  Prediction p;
  p.id = row.text("id");
  p.metric = metric;
  p.source = std::move(source);
  p.kind = std::move(kind);
  p.measured = row.number(measured);
  return p;
}

/// `predicted` seconds in the row's unit, with the range of the basis.
void set_time(Prediction& p, const Catalog& catalog, Seconds seconds, double unit, Basis basis) {
  RangeRule range = catalog.range(basis);
  p.predicted = seconds.value / unit;
  p.low = range.low * *p.predicted;
  p.high = range.high * *p.predicted;
  p.basis = std::string(name_of(basis));
}

std::optional<Device> device_named(const std::string& name, const Catalog& catalog) {
  if (!catalog.has("devices", name)) return std::nullopt;
  return catalog.device(name);
}

/// Tables write formats their own way.
const Format* format_named(const std::string& text) {
  constexpr struct {
    std::string_view written, format;
  } names[] = {{"bfloat16", "bf16"}, {"16-bit", "bf16"},  {"bf16?", "bf16"},   {"fp4", "nvfp4"},
               {"q4_k_m", "q4_k"},   {"q4", "q4_0"},      {"int8", "w8a8"},    {"int4-g32", "int4_g32"},
               {"w4a16 awq", "awq"}, {"8-bit", "w8a8"},   {"int8_wo", "w8a8"}, {"int4_wo", "awq"},
               {"mxfp4", "mxfp4"},   {"bf16/fp8", "bf16"}};
  std::string name = lower(text);
  for (const auto& row : names)
    if (row.written == name) name = row.format;
  return find_format(name);
}

template <class Predict>
std::vector<Prediction> each_row(const MeasuredTable& table, Predict predict) {
  std::vector<Prediction> out;
  for (std::size_t i = 0; i < table.size(); ++i) out.push_back(predict(Row{table, i}));
  return out;
}

// ---- end to end ----------------------------------------------------------------------------------------

std::string engine_of_row(const std::string& engine) {
  constexpr std::pair<std::string_view, std::string_view> prefixes[] = {
      {"vllm", "vllm"}, {"trtllm", "trtllm"}, {"tensorrt", "trtllm"}, {"sglang", "sglang"}, {"llama.cpp", "llamacpp"}};
  std::string name = lower(engine);
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
std::optional<Device> device_of_row(const Row& row, const Catalog& catalog) {
  if (std::optional<Device> known = device_named(row.text("hardware"), catalog)) return known;
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
  i64 tp = 1, pp = 1;
};

Layout layout_of_row(const Row& row) {
  std::string text = row.text("parallelism");
  i64 devices = row.whole("n_devices", 1);
  if (text.rfind("layer-split", 0) == 0) return {1, devices};
  if (text.rfind("TP", 0) == 0) return {devices, 1};
  return {1, 1};
}

/// Tokens per second over all sequences: of the serving loop where the row states a prompt and an answer, else of the
/// step.
Prediction predict_decode_row(const Row& row, const Catalog& catalog) {
  bool serving = row.text("engine").find("serving") != std::string::npos;
  Prediction p = start(row, "tokens_per_s_total", "tokens_per_s_total", row.text("engine"),
                       (serving                                           ? "serving "
                        : row.text("includes_prefill").rfind("0", 0) == 0 ? "plain "
                                                                          : "with prefill ") +
                           row.text("hw_class"));
  const Format* weights = format_named(row.text("weight_format"));
  if (!weights) return p.skipped = "unknown weight format '" + row.text("weight_format") + "'", p;
  if (!catalog.has("models", row.text("model"))) return p.skipped = "unknown model '" + row.text("model") + "'", p;
  std::optional<Device> device = device_of_row(row, catalog);
  if (!device) return p.skipped = "no device and no bandwidth", p;
  Model model = catalog.model(row.text("model"));
  Engine engine = catalog.engine(engine_of_row(row.text("engine")));
  Layout layout = layout_of_row(row);
  Deployment d;
  d.tp = layout.tp;
  d.pp = std::min(layout.pp, model.layer_count());
  bool own_formats = model.weights.linears == model.weights.experts && *weights == model.weights.linears;
  if (!own_formats && weights->name != "mxfp4") d.weights = *weights;
  if (row.number("kv_bytes_per_elem") == 1.0) d.cache.key = d.cache.value = format("fp8");
  i64 batch = row.whole("batch", 1), context = row.whole("context_len_avg", 1);
  RangeRule range = catalog.range(device->achievable.basis);
  Step step = decode_step(model, *device, d, {context, batch, 0}, engine, range);
  Seconds per_token = step.expected, least = step.floor;
  if (serving && row.number("input_len") && row.number("output_len")) {
    Load load{row.whole("input_len", 1024), row.whole("output_len", 128), double(batch), 0, 0};
    per_token = serve(model, *device, d, engine, load, i64(1) << 20, range).tpot;
  }
  double sequences = double(batch);
  p.predicted = sequences / per_token.value;
  p.low = sequences / (range.high * per_token.value);
  p.high = sequences / larger(least, range.low * per_token).value;
  p.basis = std::string(name_of(device->achievable.basis));
  return p;
}

}  // namespace

std::vector<Prediction> predict_decode(const MeasuredTable& table, const Catalog& catalog) {
  return each_row(table, [&](const Row& row) { return predict_decode_row(row, catalog); });
}

std::vector<Prediction> predict_attention(const MeasuredTable& table, const Catalog& catalog) {
  return each_row(table, [&](const Row& row) {
    Prediction p = start(row, "time_us", "time_us", row.text("gpu"), "decode attention, " + row.text("dtype"));
    std::optional<Device> device = device_named(row.text("gpu"), catalog);
    const Format* cache = format_named(row.text("dtype"));
    if (!device) return p.skipped = "unknown device '" + row.text("gpu") + "'", p;
    if (!cache) return p.skipped = "unknown format '" + row.text("dtype") + "'", p;
    i64 dim = row.whole("head_dim", 128);
    LayerGroup group;
    group.count = 1;
    group.attention = FullAttention{{row.whole("q_heads", 1), row.whole("kv_heads", 1), dim, dim}};
    Model model;
    Deployment d;
    d.cache.key = d.cache.value = *cache;
    Engine alone;  // the kernel timed by itself: no engine hides its launch
    Schedule schedule(model, *device, d, alone);
    Pass pass(schedule, {1});
    pass.attention(schedule.decode(group, row.whole("kv_len", 1), 0), double(row.whole("batch", 1)));
    set_time(p, catalog, pass.seconds(), 1e-6, device->achievable.basis);
    return p;
  });
}

std::vector<Prediction> predict_linears(const MeasuredTable& table, const Catalog& catalog) {
  return each_row(table, [&](const Row& row) {
    Prediction p = start(row, "time_us", "time_us", row.text("gpu"), "linear, " + row.text("dtype"));
    std::optional<Device> device = device_named(row.text("gpu"), catalog);
    const Format* weights = format_named(row.text("dtype"));
    if (!device) return p.skipped = "unknown device '" + row.text("gpu") + "'", p;
    if (!weights) return p.skipped = "unknown format '" + row.text("dtype") + "'", p;
    double elements =
        row.number("weight_bytes").value_or(0) / weights->size(1, 1 << 20).value;  // some sources give no n and k
    set_time(p, catalog, linear_time(*device, *weights, elements, row.number("m").value_or(1)), 1e-6,
             device->achievable.basis);
    return p;
  });
}

std::vector<Prediction> predict_collectives(const MeasuredTable& table, const Catalog& catalog) {
  return each_row(table, [&](const Row& row) {
    Prediction p = start(row, "time_us", "time_us", row.text("system"),
                         "all-reduce, " + row.text("backend").substr(0, row.text("backend").find('(')));
    std::optional<Device> device = device_named(row.text("system"), catalog);
    if (!device) return p.skipped = "unknown system '" + row.text("system") + "'", p;
    set_time(p, catalog, all_reduce(*device, Bytes{row.number("msg_bytes").value_or(0)}, row.whole("n_gpus", 2)), 1e-6,
             device->achievable.basis);
    return p;
  });
}

}  // namespace kvroof
