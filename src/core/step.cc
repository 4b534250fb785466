#include "core/step.h"

#include <algorithm>
#include <cmath>

namespace kvroof {
namespace {

/// What the step as a whole waits for most.
std::string_view bound_by(const std::vector<StepPart>& parts) {
  Seconds memory, compute, fixed;
  for (const StepPart& p : parts) {
    memory += p.memory;
    compute += p.compute;
    fixed += p.fixed;
  }
  if (memory >= compute && memory >= fixed) return "memory bandwidth";
  return compute >= fixed ? "compute" : "latency";
}

/// The floor: least bytes at datasheet bandwidth against flops at dense peak. Where all that a step moves fits
/// the last-level cache, memory bandwidth bounds nothing, and only a known cache bandwidth does.
void set_floor(Step& s, const Pass& pass, const Device& device, i64 pp) {
  bool cached = device.cache && pass.least_bytes() / double(pp) <= device.cache->capacity;
  s.floor_claimed = !cached || device.cache->bandwidth.has_value();
  if (!cached)
    s.floor_memory = pass.placement().stream_bound(pass.least_bytes());
  else if (device.cache->bandwidth)
    s.floor_memory = pass.least_bytes() / larger(*device.cache->bandwidth, device.memory[0].reachable());
  s.floor_compute = pass.least_compute();
  s.floor = larger(s.floor_memory, s.floor_compute);
}

}  // namespace

Step decode_step(const Model& model, const Device& device, const Deployment& d, const Workload& w, const Engine& engine,
                 const RangeRule& range) {
  double in_flight = engine.pipelined ? double(std::min(d.pp, w.batch)) : 1;
  double batch = std::ceil(double(w.batch) / in_flight);
  Pass pass(model, device, d, engine, resident_bytes(model, d, w));
  double rows = batch * double(w.query_tokens);
  for (const LayerGroup& g : model.layers) {
    pass.linears(g, rows);
    pass.decode_attention(g, batch, w);
    pass.collectives(g, rows);
  }
  pass.head(rows);
  pass.overheads(batch);

  Step s;
  s.batch = w.batch;
  set_floor(s, pass, device, d.pp);
  s.parts = pass.parts();
  s.expected = pass.seconds();
  s.low = larger(s.floor, range.low * s.expected);
  s.high = range.high * s.expected;
  s.basis = device.achievable.basis;
  s.bound_by = bound_by(s.parts);
  s.tokens_per_second = double(w.batch) * double(d.dp) / s.expected.value;
  s.tokens_per_second_per_user = 1 / s.expected.value;
  return s;
}

}  // namespace kvroof
