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

/// One replica at a throughput of X requests a second.
struct Point {
  double tpot = 0;
  double ttft = 0;
  double decoding = 0;
  bool possible = false;
  double in_system(double x, double tokens) const { return x * (ttft + tokens * tpot); }
};

/// What the loop is at throughput `x` with about `requests` in the system. Not possible where prefill takes all of the
/// time, or decoding can't keep up with it.
Point at_throughput(double x, double requests, const StepCurve& step, double tokens, double prefill, double stages,
                    double overlap, double most) {
  Point p;
  double others = std::max(0.0, 1 - 1 / std::max(1.0, requests));  // a request does not hold up itself
  double used = x * prefill / stages;  // prompts in different stages don't wait for each other
  if (used >= 1) return p;
  double busy = others * used * (1 - overlap);
  p.tpot = step(1) / (1 - busy);
  for (int i = 0; i < 200; ++i) {
    double next = step(std::min(most, x * tokens * p.tpot)) / (1 - busy);
    if (!(next > p.tpot * (1 + 1e-9))) break;
    p.tpot = next;
  }
  p.decoding = x * tokens * p.tpot;
  double queue = others * used / (2 * (1 - used)) * prefill;  // another prompt is being read when this one arrives
  p.ttft = prefill + queue + others * p.tpot / 2;             // and a step is under way
  p.possible = p.decoding <= most * (1 + 1e-6);
  return p;
}

void set(Serving& s, const Point& p, double x, double running) {
  s.tpot = {p.tpot};
  s.ttft = {p.ttft};
  s.decoding = p.decoding;
  s.running = running;
  s.requests_per_second = x;
}

}  // namespace

namespace {

Seconds chunk_time(const Model& m, const Device& device, const Deployment& d, const Engine& e, double chunk,
                   double cached) {
  Pass pass(m, device, d, e, rank_weights(m, d, 0));
  for (const LayerGroup& g : m.layers) {
    pass.linears(g, chunk);
    pass.prefill_attention(g, chunk, cached);
    pass.collectives(g, chunk);
  }
  pass.head(1);
  pass.overheads(1);
  return pass.seconds();
}

}  // namespace

/// Attention grows in a straight line from chunk to chunk, so the mean of the first and the last stands for all.
Seconds prefill_time(const Model& m, const Device& device, const Deployment& d, const Engine& e, i64 input,
                     double cache_hit) {
  double cached = std::floor(double(input) * cache_hit), left = std::max(1.0, double(input) - cached);
  double size = double(d.batched_tokens), whole_chunks = std::floor(left / size), rest = left - whole_chunks * size;
  Seconds sum;
  if (whole_chunks > 0) {
    Seconds first = chunk_time(m, device, d, e, size, cached),
            last = chunk_time(m, device, d, e, size, cached + (whole_chunks - 1) * size);
    sum += whole_chunks * 0.5 * (first + last);
  }
  if (rest > 0) sum += chunk_time(m, device, d, e, rest, cached + whole_chunks * size);
  return sum;
}

Serving serve(const Model& m, const Device& device, const Deployment& d, const Engine& e, const Load& load,
              i64 capacity, const RangeRule& range) {
  Serving s;
  s.basis = device.achievable.basis;
  s.prefill = prefill_time(m, device, d, e, load.input, load.cache_hit);
  s.stable = capacity > 0;
  if (!s.stable) return s;
  double replicas = double(d.dp), most = double(std::min<i64>(capacity, 1 << 16));
  double tokens = double(load.output - 1), prefill = s.prefill.value, stages = e.pipelined ? double(d.pp) : 1;
  StepCurve step(m, device, d, e, load.input + load.output / 2);
  auto at = [&](double x, double requests) {
    return at_throughput(x, requests, step, tokens, prefill, std::min(stages, std::max(1.0, requests)),
                         e.prefill_overlap, most);
  };
  // Requests in the system grow with the throughput, so the one that a number of requests reaches is found by
  // bisection.
  auto reached = [&](double running) {
    double low = 0, high = 1 / prefill * stages;
    for (int i = 0; i < 60; ++i) {
      double x = (low + high) / 2;
      Point p = at(x, running);
      (p.possible && p.in_system(x, tokens) < running ? low : high) = x;
    }
    set(s, at(low, running), low, running);
  };
  if (load.rate > 0) {
    double x = load.rate / replicas, requests = 1;
    Point p;
    for (int i = 0; i < 30; ++i) {
      p = at(x, requests);
      if (!p.possible) break;
      requests = p.in_system(x, tokens);
    }
    s.stable = p.possible && requests <= most;
    if (s.stable)
      set(s, p, x, requests);
    else
      reached(most);
    s.concurrency = s.running * replicas;
  } else {
    double here = load.concurrency / replicas, running = std::max(std::min(1.0, most), std::min(here, most));
    reached(running);
    s.concurrency = load.concurrency;
    if (here > running)
      s.ttft += Seconds{(here - running) / s.requests_per_second};  // those that do not fit wait for others to finish
  }
  Step least =
      decode_step(m, device, d, {load.input + load.output / 2, std::max<i64>(1, i64(s.decoding)), 0}, e, range);
  s.tpot_low = larger(least.floor, range.low * s.tpot);
  s.tpot_high = larger(s.tpot, range.high * s.tpot);
  s.requests_per_second *= replicas;
  s.running *= replicas;
  s.decoding *= replicas;
  s.tokens_per_second = s.requests_per_second * double(load.output);
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
