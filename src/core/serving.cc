#include "core/serving.h"

#include <algorithm>
#include <cmath>

namespace kvroof {
namespace {

Seconds chunk_time(const Schedule& schedule, double chunk, double cached, Prompts prompts) {
  Pass pass(schedule, schedule.resident_weights());
  bool alone = prompts == Prompts::one;
  double groups = alone ? 1 : 1 / schedule.attention_groups();
  pass.matrices(chunk, 1, alone ? Rows::of_one_group : Rows::of_all_groups);
  for (const LayerGroup& g : schedule.model().layers) pass.attention(schedule.prefill(g, chunk, cached), groups);
  pass.collectives(chunk);
  pass.overheads(1);
  return pass.seconds();
}

}  // namespace

/// Attention grows in a straight line from chunk to chunk, so the mean of the first and the last stands for all.
Seconds prefill_time(const Model& m, const Device& device, const Deployment& d, const Engine& e, i64 input, i64 found,
                     Prompts prompts) {
  double cached = double(std::min(found, input - 1)), left = double(input) - cached;  // the last token is always read
  double size = double(d.batched_tokens), whole_chunks = std::floor(left / size), rest = left - whole_chunks * size;
  Schedule schedule(m, device, d, e);
  Seconds sum;
  if (whole_chunks > 0) {
    Seconds first = chunk_time(schedule, size, cached, prompts),
            last = chunk_time(schedule, size, cached + (whole_chunks - 1) * size, prompts);
    sum += whole_chunks * 0.5 * (first + last);
  }
  if (rest > 0) sum += chunk_time(schedule, rest, cached + whole_chunks * size, prompts);
  return sum;
}

double StepCurve::operator()(double batch) {
  batch = std::max(1.0, batch);
  double below = std::floor(batch), above = std::ceil(batch);
  double low = at(i64(below));
  return above == below ? low : low + (batch - below) * (at(i64(above)) - low);
}

double StepCurve::at(i64 batch) {
  if (std::size_t(batch) >= known_.size()) known_.resize(std::size_t(batch) * 2, 0);
  double& known = known_[std::size_t(batch)];
  if (known == 0) {
    known = decoder_.expected(batch).value;
    if (anchor_ != 1) known = std::max(decoder_.step(batch).floor.value, anchor_ * known);
  }
  return known;
}

/// One replica at a throughput of X requests a second.
struct Server::Point {
  double tpot = 0;
  double ttft = 0;
  double decoding = 0;
  bool possible = false;
  double in_system(double x, double tokens) const { return x * (ttft + tokens * tpot); }
  void set(Serving& s, double x, double running) const {
    s.tpot = {tpot};
    s.ttft = {ttft};
    s.decoding = decoding;
    s.running = running;
    s.requests_per_second = x;
  }
};

Server::Server(const Model& m, const Device& device, const Deployment& d, const Engine& e, const Load& load,
               i64 capacity, const RangeRule& range, double anchor)
    : engine_(e),
      range_(range.of(m)),
      decoder_(m, device, d, e, range),
      step_(decoder_, anchor),
      prefill_(prefill_time(m, device, d, e, load.input, load.cached())),
      first_prefill_(load.shared_prefix > 0 ? prefill_time(m, device, d, e, load.input, 0) : prefill_),
      work_(d.attention_dp > 1 ? prefill_time(m, device, d, e, load.input, load.cached(), Prompts::one_a_group).value
                               : prefill_.value),
      basis_(anchor == 1 ? device.achievable.basis : Basis::observed),
      most_(double(std::min<i64>(capacity, 1 << 16))),
      tokens_(double(load.output - 1)),
      output_(double(load.output)),
      stages_(e.pipelined ? double(d.pp) : 1) {
  decoder_.set_workload({load.input + load.output / 2, 1, load.shared_prefix});
}

/// What the loop is at throughput `x` with about `requests` in the system. Not possible where prefill takes all of the
/// time, or decoding can't keep up with it.
Server::Point Server::at(double x, double requests) {
  Point p;
  double prefill = prefill_.value, stages = std::min(stages_, std::max(1.0, requests));
  double others = std::max(0.0, 1 - 1 / std::max(1.0, requests));  // a request does not hold up itself
  double used = x * work_ / stages;  // prompts in different stages don't wait for each other
  if (used >= 1) return p;
  double busy = others * used * (1 - engine_.prefill_overlap);
  p.tpot = step_(1) / (1 - busy);
  for (int i = 0; i < 200; ++i) {
    double next = step_(std::min(most_, x * tokens_ * p.tpot)) / (1 - busy);
    if (!(next > p.tpot * (1 + 1e-9))) break;
    p.tpot = next;
  }
  p.decoding = x * tokens_ * p.tpot;
  double queue = others * used / (2 * (1 - used)) * prefill;  // another prompt is being read when this one arrives
  p.ttft = prefill + queue + others * p.tpot / 2;             // and a step is under way
  p.possible = p.decoding <= most_ * (1 + 1e-6);
  return p;
}

/// Requests in the system grow with the throughput, so the one that a number of requests reaches is found by bisection.
void Server::reach(Serving& s, double running) {
  double low = 0, high = stages_ / work_;
  for (int i = 0; i < 60; ++i) {
    double x = (low + high) / 2;
    Point p = at(x, running);
    (p.possible && p.in_system(x, tokens_) < running ? low : high) = x;
  }
  at(low, running).set(s, low, running);
}

/// A rate settles at the number of requests it keeps in the system, or can't be kept up with.
void Server::settle(Serving& s, double rate, double replicas) {
  double x = rate / replicas, requests = 1;
  Point p;
  for (int i = 0; i < 30; ++i) {
    p = at(x, requests);
    if (!p.possible) break;
    requests = p.in_system(x, tokens_);
  }
  s.stable = p.possible && requests <= most_;
  if (s.stable)
    p.set(s, x, requests);
  else
    reach(s, most_);
  s.concurrency = s.running * replicas;
}

Serving Server::operator()(const Load& load, i64 count) {
  Serving s;
  s.basis = basis_;
  s.prefill = prefill_;
  s.first_prefill = first_prefill_;
  s.stable = most_ > 0;
  if (!s.stable) return s;
  double replicas = double(count);
  if (load.rate > 0) {
    settle(s, load.rate, replicas);
  } else {
    double here = load.concurrency / replicas, running = std::max(std::min(1.0, most_), std::min(here, most_));
    reach(s, running);
    s.concurrency = load.concurrency;
    if (here > running)
      s.ttft += Seconds{(here - running) / s.requests_per_second};  // those that do not fit wait for others to finish
  }
  Step least = decoder_.step(std::max<i64>(1, i64(s.decoding)));
  s.tpot_low = larger(least.floor, range_.low * s.tpot);
  s.tpot_high = larger(s.tpot, range_.high * s.tpot);
  s.requests_per_second *= replicas;
  s.running *= replicas;
  s.decoding *= replicas;
  s.tokens_per_second = s.requests_per_second * output_;
  return s;
}

Serving serve(const Model& m, const Device& device, const Deployment& d, const Engine& e, const Load& load,
              i64 capacity, const RangeRule& range, double anchor) {
  return Server(m, device, d, e, load, capacity, range, anchor)(load, d.dp);
}

Serving served_by_step(const Step& s, double users) {
  Serving r;
  r.tpot = s.expected;
  r.tpot_low = s.low;
  r.tpot_high = s.high;
  r.basis = s.basis;
  r.concurrency = r.running = r.decoding = users;
  r.tokens_per_second = users / s.expected.value;
  return r;
}

std::vector<Problem> problems(const Load& load) {
  std::vector<Problem> found;
  if (load.input < 1) found.push_back({"--input", "must be at least 1 token", ""});
  if (load.output < 1) found.push_back({"--output", "must be at least 1 token", ""});
  if (load.input >= 1 && load.shared_prefix > load.input)
    found.push_back({"--shared-prefix",
                     "is " + std::to_string(load.shared_prefix) + ", more than the prompt of " +
                         std::to_string(load.input) + " tokens (--input)",
                     "the tokens that all requests have in common are the first ones of a prompt"});
  if (!(load.cache_hit >= 0 && load.cache_hit <= 1)) found.push_back({"--cache-hit", "must lie in [0, 1]", ""});
  if (load.concurrency > 0 && load.rate > 0)
    found.push_back({"--rate", "and --concurrency exclude each other", "a rate settles at a concurrency of its own"});
  return found;
}

}  // namespace kvroof
