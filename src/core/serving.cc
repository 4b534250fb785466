#include "core/serving.h"

#include <algorithm>
#include <cmath>

namespace kvroof {
namespace {

/// Step time as a function of a real number of sequences: between whole ones it is a straight line.
class StepCurve {
 public:
  StepCurve(const Model& m, const Device& dev, const Deployment& d, const Engine& e, i64 context)
      : m_(m), dev_(dev), d_(d), e_(e), context_(context) {}
  double operator()(double batch) const {
    batch = std::max(1.0, batch);
    double below = std::floor(batch), above = std::ceil(batch);
    double low = at(i64(below));
    return above == below ? low : low + (batch - below) * (at(i64(above)) - low);
  }

 private:
  double at(i64 batch) const { return decode_step(m_, dev_, d_, {context_, batch, 0}, e_, {1, 1}).expected.value; }
  const Model& m_;
  const Device& dev_;
  const Deployment& d_;
  const Engine& e_;
  i64 context_;
};

/// The fixed point of the closed loop at `running` admitted requests.
void settle(Serving& s, const StepCurve& step, const Load& load, double prefill, double overlap, double running) {
  double tokens = double(std::max<i64>(1, load.output - 1));
  double tpot = step(running), ttft = prefill, decoding = running;
  for (int i = 0; i < 60; ++i) {
    double rate = running / (ttft + tokens * tpot);
    decoding = std::min(running, rate * tokens * tpot);
    double others = (running - 1) / running;  // a request does not hold up itself
    double busy = std::min(
        0.98, std::max(0.0, others * rate * prefill * (1 - overlap)));  // share of time that prefill holds the devices
    double next = step(decoding) / (1 - busy);
    double wait = busy / (2 * (1 - busy)) * prefill;  // another prompt is being read when this one arrives
    tpot += 0.5 * (next - tpot);
    ttft += 0.5 * (prefill + wait + next - ttft);
  }
  s.decoding = decoding;
  s.tpot = {tpot};
  s.ttft = {ttft};
  s.running = running;
  s.requests_per_second = running / (ttft + tokens * tpot);
}

}  // namespace

Seconds prefill_time(const Model& m, const Device& device, const Deployment& d, const Engine& e, i64 input,
                     double cache_hit) {
  double cached = std::floor(double(input) * cache_hit), left = std::max(1.0, double(input) - cached);
  Seconds sum;
  while (left > 0) {
    double chunk = std::min(left, double(d.batched_tokens));
    Pass pass(m, device, d, e, resident_bytes(m, d, {input, 1, 0}));
    for (const LayerGroup& g : m.layers) {
      pass.linears(g, chunk);
      pass.prefill_attention(g, chunk, cached);
      pass.collectives(g, chunk);
    }
    pass.head(1);
    pass.overheads(1);
    sum += pass.seconds();
    cached += chunk;
    left -= chunk;
  }
  return sum;
}

Serving serve(const Model& m, const Device& device, const Deployment& d, const Engine& e, const Load& whole_load,
              i64 capacity, const RangeRule& range) {
  Load load = whole_load;  // of one replica
  load.concurrency /= double(d.dp);
  load.rate /= double(d.dp);
  Serving s;
  s.basis = device.achievable.basis;
  s.prefill = prefill_time(m, device, d, e, load.input, load.cache_hit);
  StepCurve step(m, device, d, e, load.input + load.output / 2);
  double most = std::max(1.0, double(std::min<i64>(capacity, 1 << 16)));
  if (load.rate > 0) {
    // The concurrency a rate settles at: least B whose throughput reaches it, by bisection on a growing function.
    settle(s, step, load, s.prefill.value, e.prefill_overlap, most);
    s.stable = s.requests_per_second >= load.rate;
    double low = 1, high = most;
    for (int i = 0; s.stable && i < 40; ++i) {
      double middle = (low + high) / 2;
      settle(s, step, load, s.prefill.value, e.prefill_overlap, middle);
      (s.requests_per_second < load.rate ? low : high) = middle;
    }
    s.concurrency = s.running;
  } else {
    double running = std::max(1.0, std::min(load.concurrency, most));
    settle(s, step, load, s.prefill.value, e.prefill_overlap, running);
    s.concurrency = load.concurrency;
    // The requests that do not fit wait for others to finish.
    if (load.concurrency > running) s.ttft += Seconds{(load.concurrency - running) / s.requests_per_second};
  }
  s.tokens_per_second = s.requests_per_second * double(load.output) * double(d.dp);
  double replicas = double(d.dp);
  s.requests_per_second *= replicas;
  s.concurrency *= replicas;
  s.running *= replicas;
  s.decoding *= replicas;
  s.tpot_low = range.low * s.tpot;
  s.tpot_high = range.high * s.tpot;
  return s;
}

std::vector<Problem> problems(const Load& load) {
  std::vector<Problem> found;
  if (load.input < 1) found.push_back({"--input", "must be at least 1 token", ""});
  if (load.output < 1) found.push_back({"--output", "must be at least 1 token", ""});
  if (!(load.cache_hit >= 0 && load.cache_hit <= 1)) found.push_back({"--cache-hit", "must lie in [0, 1]", ""});
  if (load.concurrency > 0 && load.rate > 0)
    found.push_back({"--rate", "and --concurrency exclude each other", "a rate settles at a concurrency of its own"});
  return found;
}

}  // namespace kvroof
