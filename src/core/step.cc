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
void set_floor(Step& s, const Pass& pass, const Schedule& schedule, double pp) {
  const Device& device = schedule.device();
  bool cached = device.cache && pass.least_bytes() / pp <= device.cache->capacity;
  s.floor_claimed = !cached || device.cache->bandwidth.has_value();
  // The first stage stands for all in what the expected step finds in each tier; the bound must hold for it too.
  double moves = std::max(schedule.most_moves(), pass.least_bytes() / pass.placement().resident());
  if (!cached)
    s.floor_memory = stream_bound(device, pass.least_bytes(), moves);
  else if (device.cache->bandwidth)
    s.floor_memory = pass.least_bytes() / larger(*device.cache->bandwidth, device.memory[0].reachable());
  s.floor_compute = pass.least_compute();
  s.floor = larger(s.floor_memory, s.floor_compute);
}

}  // namespace

RangeRule RangeRule::of(const Model& model) const {
  bool experts = std::any_of(model.layers.begin(), model.layers.end(), [](const LayerGroup& g) {
    return std::holds_alternative<MoeFeedForward>(g.feed_forward);
  });
  RangeRule rule;
  auto kind = [&](double usual, double of_experts) { return experts && of_experts > 0 ? of_experts : usual; };
  rule.low = kind(low, experts_low);
  rule.high = kind(high, experts_high);
  rule.ttft_low = kind(ttft_low, experts_ttft_low);
  rule.ttft_high = kind(ttft_high, experts_ttft_high);
  if (rule.ttft_low == 0) rule.ttft_low = rule.low;
  if (rule.ttft_high == 0) rule.ttft_high = rule.high;
  return rule;
}

Decoder::Decoder(const Model& model, const Device& device, const Deployment& d, const Engine& engine,
                 const RangeRule& range)
    : schedule_(model, device, d, engine), range_(range.of(model)), d_(d) {}

void Decoder::set_workload(const Workload& w) {
  attention_.clear();
  for (const LayerGroup& g : schedule_.model().layers) attention_.push_back(schedule_.decode(g, w));
  resident_shared_ = schedule_.resident_weights() + schedule_.resident_shared(w);
  resident_sequence_ = schedule_.resident_sequence(w);
  query_tokens_ = double(w.query_tokens);
}

double sequences_at_once(const Deployment& d, const Engine& engine, i64 batch) {
  double in_flight = engine.pipelined ? std::min(double(d.pp), double(batch)) : 1;
  return double(batch) / in_flight;
}

Pass Decoder::pass(i64 batch) const {
  double sequences = sequences_at_once(d_, schedule_.engine(), batch), rows = sequences * query_tokens_;
  Pass pass(schedule_, resident_shared_ + schedule_.sequences(double(batch)) * resident_sequence_);
  pass.matrices(rows, rows);
  for (const AttentionOp& op : attention_) pass.attention(op, schedule_.sequences(sequences));
  pass.collectives(rows);
  pass.overheads(sequences);
  return pass;
}

Step Decoder::step(i64 batch) const {
  Pass p = pass(batch);
  Step s;
  s.batch = batch;
  set_floor(s, p, schedule_, double(d_.pp));
  p.parts(s.parts);
  s.expected = p.seconds();
  s.low = larger(s.floor, range_.low * s.expected);
  s.high = range_.high * s.expected;
  s.basis = schedule_.device().achievable.basis;
  s.bound_by = bound_by(s.parts);
  s.tokens_per_second = double(batch) * double(d_.dp) / s.expected.value;
  s.tokens_per_second_per_user = 1 / s.expected.value;
  return s;
}

Step decode_step(const Model& model, const Device& device, const Deployment& d, const Workload& w, const Engine& engine,
                 const RangeRule& range) {
  Decoder decoder(model, device, d, engine, range);
  decoder.set_workload(w);
  return decoder.step(w.batch);
}

Step anchored(Step s, double ratio, const RangeRule& range) {
  if (ratio == 1) return s;
  ratio = std::max(ratio, s.floor / s.expected);
  s.parts.scale(ratio);
  s.expected = ratio * s.expected;
  s.low = larger(s.floor, range.low * s.expected);
  s.high = range.high * s.expected;
  s.basis = Basis::observed;
  s.tokens_per_second /= ratio;
  s.tokens_per_second_per_user /= ratio;
  return s;
}

}  // namespace kvroof
