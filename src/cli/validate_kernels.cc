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

/// Predicts each row that `read` understands, on the device it names; the others say why not.
template <class R, class Predict>
std::vector<Prediction> each_call(const MeasuredTable& table, const Catalog& catalog, const char* device_column,
                                  std::optional<R> (*read)(const Row&, std::string&), Predict predict) {
  Names names(catalog);
  return each_row(table, [&](const Row& row) {
    std::string name = row.text(device_column);
    Prediction p = start(row, "time_us", "time_us", name, table.has("dtype") ? row.text("dtype") : "all-reduce");
    const Device* device = names.device(name);
    if (!device) return p.skipped = "unknown device '" + name + "'", p;
    if (std::optional<R> call = read(row, p.skipped)) predict(p, *call, *device);
    return p;
  });
}

}  // namespace

std::vector<Prediction> predict_attention(const MeasuredTable& table, const Catalog& catalog) {
  return each_call(table, catalog, "gpu", attention_row, [&](Prediction& p, const AttentionRow& r, const Device& d) {
    TimedAttention k = attention_kernel(d, r);
    set_time(p, attention_time(d, k.rate, r.cache, r.call, true), k.fit, d, catalog);
  });
}

std::vector<Prediction> predict_linears(const MeasuredTable& table, const Catalog& catalog) {
  return each_call(table, catalog, "gpu", linear_row, [&](Prediction& p, const LinearRow& r, const Device& d) {
    TimedLinear k = linear_kernel(d, r);
    set_time(p, linear_time(d, k.rate, r.weights, r.elements, r.rows, true), k.fit, d, catalog);
  });
}

std::vector<Prediction> predict_collectives(const MeasuredTable& table, const Catalog& catalog) {
  return each_call(table, catalog, "system", all_reduce_row,
                   [&](Prediction& p, const AllReduceRow& r, const Device& d) {
                     p.kind = r.name.engine + " " + r.name.kernel;
                     if (const TimedAllReduce* k = all_reduce_kernel(d, r))
                       set_time(p, all_reduce_time(k->rate, r.payload), k->fit, d, catalog);
                     else
                       set_time(p, all_reduce(d, r.payload, r.ranks), {}, d, catalog);
                   });
}

}  // namespace kvroof
