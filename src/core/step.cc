#include "core/step.h"

#include <algorithm>
#include <cmath>

namespace kvroof {
namespace {

/// What the step as a whole waits for most.
std::string_view bound_by(const StepParts& parts) {
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
void set_floor(Step& s, const Pass& pass, const Device& device, double pp) {
  bool cached = device.cache && pass.least_bytes() / pp <= device.cache->capacity;
  s.floor_claimed = !cached || device.cache->bandwidth.has_value();
  if (!cached)
    s.floor_memory = pass.placement().stream_bound(pass.least_bytes());
  else if (device.cache->bandwidth)
    s.floor_memory = pass.least_bytes() / larger(*device.cache->bandwidth, device.memory[0].reachable());
  s.floor_compute = pass.least_compute();
  s.floor = larger(s.floor_memory, s.floor_compute);
}

}  // namespace

Decoder::Decoder(const Model& model, const Device& device, const Deployment& d, const Engine& engine,
                 const RangeRule& range)
    : schedule_(model, device, d, engine),
      range_(range),
      pp_(double(d.pp)),
      dp_(double(d.dp)),
      pipelined_(engine.pipelined) {}

void Decoder::set_context(i64 context, i64 shared_prefix) {
  attention_.clear();
  for (const LayerGroup& g : schedule_.model().layers)
    attention_.push_back(schedule_.decode(g, context, shared_prefix));
  resident_sequence_ = schedule_.resident_sequence(context);
}

/// Pipeline stages work on a part of the batch each, where the engine keeps them all busy.
Pass Decoder::pass(i64 batch) const {
  double in_flight = pipelined_ ? std::min(pp_, double(batch)) : 1;
  double rows = std::ceil(double(batch) / in_flight);
  Pass pass(schedule_, schedule_.resident_weights() + double(batch) * resident_sequence_);
  pass.matrices(rows, rows);
  for (const AttentionOp& op : attention_) pass.attention(op, rows);
  pass.collectives(rows);
  pass.overheads(rows);
  return pass;
}

Step Decoder::step(i64 batch) const {
  Pass p = pass(batch);
  Step s;
  s.batch = batch;
  set_floor(s, p, schedule_.device(), pp_);
  p.parts(s.parts);
  s.expected = p.seconds();
  s.low = larger(s.floor, range_.low * s.expected);
  s.high = range_.high * s.expected;
  s.basis = schedule_.device().achievable.basis;
  s.bound_by = bound_by(s.parts);
  s.tokens_per_second = double(batch) * dp_ / s.expected.value;
  s.tokens_per_second_per_user = 1 / s.expected.value;
  return s;
}

Step decode_step(const Model& model, const Device& device, const Deployment& d, const Workload& w, const Engine& engine,
                 const RangeRule& range) {
  Decoder decoder(model, device, d, engine, range);
  decoder.set_context(w.context, w.shared_prefix);
  return decoder.step(w.batch);
}

}  // namespace kvroof
