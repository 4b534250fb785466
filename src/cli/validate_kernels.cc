// Predictions for the tables of kernels: decode attention, linears, all-reduces, each timed alone and cache-warm.
//
// A kernel that `fit` saw on that device has constants and an interval of its own; another one is predicted from the
// device's constants for any engine, else its class's, and the basis says so.
#include "cli/kernel_rows.h"
#include "core/operations.h"

namespace kvroof {
namespace {

/// `time` in microseconds with the interval of the kernel's own fit, or of the device's basis.
void set_time(Prediction& p, Seconds time, const KernelFit& fit, const Device& device, const Catalog& catalog) {
  RangeRule range = fit.rows > 0 ? RangeRule{fit.low, fit.high} : catalog.kernel_range(device.achievable.basis);
  p.predicted = time.value / 1e-6;
  p.low = range.low * *p.predicted;
  p.high = range.high * *p.predicted;
  p.basis = fit.rows > 0 ? "this kernel's rows" : std::string(name_of(device.achievable.basis));
}

/// The device a row names, or the reason to skip it.
const Device* device_or_skip(Names& names, const std::string& name, Prediction& p) {
  const Device* device = names.device(name);
  if (!device) p.skipped = "unknown device '" + name + "'";
  return device;
}

}  // namespace

std::vector<Prediction> predict_attention(const MeasuredTable& table, const Catalog& catalog) {
  Names names(catalog);
  return each_row(table, [&](const Row& row) {
    Prediction p = start(row, "time_us", "time_us", row.text("gpu"), row.text("dtype"));
    const Device* device = device_or_skip(names, row.text("gpu"), p);
    std::optional<AttentionRow> r = device ? attention_row(row, p.skipped) : std::nullopt;
    if (!r) return p;
    TimedAttention k = attention_kernel(*device, *r);
    set_time(p, attention_time(*device, k.rate, r->cache, r->call, true), k.fit, *device, catalog);
    return p;
  });
}

std::vector<Prediction> predict_linears(const MeasuredTable& table, const Catalog& catalog) {
  Names names(catalog);
  return each_row(table, [&](const Row& row) {
    Prediction p = start(row, "time_us", "time_us", row.text("gpu"), row.text("dtype"));
    const Device* device = device_or_skip(names, row.text("gpu"), p);
    std::optional<LinearRow> r = device ? linear_row(row, p.skipped) : std::nullopt;
    if (!r) return p;
    TimedLinear k = linear_kernel(*device, *r);
    set_time(p, linear_time(*device, k.rate, r->weights, r->elements, r->rows, true), k.fit, *device, catalog);
    return p;
  });
}

std::vector<Prediction> predict_collectives(const MeasuredTable& table, const Catalog& catalog) {
  Names names(catalog);
  return each_row(table, [&](const Row& row) {
    Prediction p = start(row, "time_us", "time_us", row.text("system"), "all-reduce");
    const Device* device = device_or_skip(names, row.text("system"), p);
    std::optional<AllReduceRow> r = device ? all_reduce_row(row, p.skipped) : std::nullopt;
    if (!r) return p;
    p.kind = r->name.engine + " " + r->name.kernel;
    if (const TimedAllReduce* k = all_reduce_kernel(*device, *r))
      set_time(p, all_reduce_time(k->rate, r->payload), k->fit, *device, catalog);
    else
      set_time(p, all_reduce(*device, r->payload, r->ranks), {}, *device, catalog);
    return p;
  });
}

}  // namespace kvroof
