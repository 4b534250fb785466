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

/// The last token is always read.
double unread_tokens(i64 input, i64 found) { return double(input - std::min(found, input - 1)); }

/// What the host takes to launch the passes that read so many tokens: no graph holds them.
Seconds host_time(const Model& m, const Device& device, const Deployment& d, const Engine& e, double tokens) {
  return std::ceil(tokens / double(d.batched_tokens)) * Schedule(m, device, d, e).prompt_overhead();
}

/// Chunks between which their times run in straight lines: attention grows with what is cached until a window is full,
/// an indexer has its choice, or eviction begins.
std::vector<i64> corners(const Model& m, const Deployment& d, double size, double cached, i64 chunks) {
  constexpr i64 beyond_all = i64(1) << 50;
  std::vector<i64> at{0, chunks / 2, chunks - 1};  // in the middle, for what arithmetic and not memory begins to bind
  auto add = [&](i64 limit, double tokens) {
    double k = (double(limit) - cached - tokens) / size;
    for (double corner : {std::floor(k), std::ceil(k)})
      if (corner > 0 && corner < double(chunks - 1)) at.push_back(i64(corner));
  };
  for (const LayerGroup& g : m.layers) {
    i64 most = attended_tokens(g.attention, beyond_all), kept = kept_tokens(g.attention, beyond_all, d.eviction);
    add(most, size / 2);  // computed: by half of the new tokens in the mean
    add(most, size);      // read
    add(kept, size);
  }
  std::sort(at.begin(), at.end());
  at.erase(std::unique(at.begin(), at.end()), at.end());
  return at;
}

}  // namespace

Seconds prompt_kernels(const Model& m, const Device& device, const Deployment& d, const Engine& e, i64 input, i64 found,
                       Prompts prompts) {
  double left = unread_tokens(input, found), cached = double(input) - left;
  double size = double(d.batched_tokens), whole_chunks = std::floor(left / size), rest = left - whole_chunks * size;
  Schedule schedule(m, device, d, e);
  auto chunk = [&](i64 k) { return chunk_time(schedule, size, cached + double(k) * size, prompts); };
  Seconds sum;
  if (whole_chunks > 0) {
    i64 before = 0;
    Seconds first = sum = chunk(0);
    for (i64 k : corners(m, d, size, cached, i64(whole_chunks))) {
      if (k == 0) continue;
      Seconds last = chunk(k);  // and those between first and last, on the line from one to the other
      sum += double(k - before) * first + 0.5 * double(k - before + 1) * (last - first);
      first = last;
      before = k;
    }
  }
  if (rest > 0) sum += chunk_time(schedule, rest, cached + whole_chunks * size, prompts);
  return sum;
}

Seconds prefill_time(const Model& m, const Device& device, const Deployment& d, const Engine& e, i64 input, i64 found) {
  return larger(prompt_kernels(m, device, d, e, input, found, Prompts::one),
                host_time(m, device, d, e, unread_tokens(input, found)));
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
      kernels_(prompt_kernels(m, device, d, e, load.input, load.cached(), Prompts::one).value),
      host_(host_time(m, device, d, e, unread_tokens(load.input, load.cached())).value),
      work_(d.attention_dp > 1 ? prompt_kernels(m, device, d, e, load.input, load.cached(), Prompts::one_a_group).value
                               : kernels_),
      at_once_(double(d.attention_dp) *
               std::max(1.0, std::floor(double(d.batched_tokens) / unread_tokens(load.input, load.cached())))),
      basis_(anchor == 1 ? device.achievable.basis : Basis::observed),
      most_(double(std::min<i64>(capacity, 1 << 16))),
      tokens_(double(load.output - 1)),
      output_(double(load.output)),
      stages_(e.pipelined ? double(d.pp) : 1) {
  decoder_.set_workload({load.input + load.output / 2, 1, load.shared_prefix});
  prefill_ = {std::max(kernels_, host_)};
  first_prefill_ = load.shared_prefix > 0 ? prefill_time(m, device, d, e, load.input, 0) : prefill_;
}

/// The share of a prompt's time by which it holds up decoding: a request does not hold up itself, and prompts in
/// different stages don't wait for each other.
double Server::holding_up(double requests) const {
  return others(requests) / stages(requests) * (1 - engine_.prefill_overlap);
}

/// A pass reads prompts beside a step's tokens: it takes as long as their kernels, or as the host needs to launch them.
struct Server::Passes {
  double one;   ///< what a prompt adds to a step that it has to itself
  double many;  ///< where as many as a pass takes share it
  double work;  ///< kernels alone
  double all;   ///< the least that a pass takes that reads prompts
};

Server::Passes Server::passes(double step, double requests) const {
  double up = holding_up(requests), launching = std::max(0.0, host_ - step);
  return {up * std::max(work_, launching), up * std::max(work_, launching / at_once_), up * work_,
          step + up * launching};
}

/// The time between two tokens of a sequence at a throughput of x, where a step alone takes `step`. While a pass reads
/// prompts, others arrive; from the rate at which every pass has some they share its launches, as many as fit a pass.
double Server::between_tokens(double x, double step, double requests) const {
  Passes p = passes(step, requests);
  auto slowed = [&](double a_prompt) { return x * a_prompt < 1 ? step / (1 - x * a_prompt) : HUGE_VAL; };
  return std::max(slowed(p.many), std::min(slowed(p.one), std::max(slowed(p.work), p.all)));
}

/// The throughput at which `decoding` sequences decode: X = decoding / (tokens * between_tokens(X)).
double Server::throughput(double decoding, double requests) {
  double step = step_(decoding);
  Passes p = passes(step, requests);
  auto slowed = [&](double a_prompt) { return decoding / (tokens_ * step + a_prompt * decoding); };
  return std::min(slowed(p.many), std::max(slowed(p.one), std::min(slowed(p.work), decoding / (tokens_ * p.all))));
}

/// What the loop is at throughput `x` with so many decoding and about `requests` in the system. Not possible where
/// prompts alone take all of the time.
Server::Point Server::at(double x, double decoding, double requests) {
  Point p;
  double used = x * among_many() / stages(requests);
  if (used >= 1) return p;
  double step = step_(decoding);
  p.decoding = decoding;
  p.tpot = between_tokens(x, step, requests);
  double together = std::clamp(x * p.tpot, 1.0, at_once_), pass = std::max(together * kernels_, host_);
  double reading = std::min(1.0, x / together * std::max(together * work_, host_) / stages(requests));
  // A pass or a step is under way when it arrives, the more likely the longer it takes; and prompts queue.
  double wait = others(requests) * (reading * pass + (1 - reading) * step) / 2 / (1 - used);
  double all_before = (std::max(1.0, requests) - 1) * among_many() / stages(requests);  // no more than there are wait
  p.ttft = engine_.request.value + pass + std::min(wait, all_before + step);
  p.possible = true;
  return p;
}

/// Halves [low, high] until both are alike: the last that is `below`.
template <class Below>
double last_below(double low, double high, Below below) {
  for (int i = 0; i < 200 && high - low > 1e-12 * high; ++i) {
    double middle = (low + high) / 2;
    (below(middle) ? low : high) = middle;
  }
  return low;
}

/// Requests in the system grow with how many decode, or with the throughput where an answer is one token.
void Server::reach(Serving& s, double running) {
  auto point = [&](double x, double decoding) { return at(x, decoding, running); };
  auto fewer = [&](const Point& p, double x) { return p.possible && p.in_system(x, tokens_) < running; };
  if (tokens_ == 0) {
    double x = last_below(0, stages_ / among_many(), [&](double some) { return fewer(point(some, 0), some); });
    return point(x, 0).set(s, x, running);
  }
  double decoding = last_below(0, most_, [&](double some) {
    double x = throughput(some, running);
    return fewer(point(x, some), x);
  });
  double x = throughput(decoding, running);
  point(x, decoding).set(s, x, running);
}

/// A rate settles at the number of requests it keeps in the system, or can't be kept up with.
void Server::settle(Serving& s, double rate, double replicas) {
  double x = rate / replicas, requests = 1;
  Point p;
  double before = 0;
  for (int i = 0; i < 1000 && std::abs(requests - before) > 1e-9 * requests; ++i) {
    before = requests;
    p.possible = false;
    double decoding = 0;
    if (tokens_ > 0) {
      if (throughput(most_, requests) < x) break;
      decoding = last_below(0, most_, [&](double some) { return throughput(some, requests) < x; });
    }
    p = at(x, decoding, requests);
    if (!p.possible) break;
    requests = p.in_system(x, tokens_);
    if (requests > most_) break;
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
  s.among_many = {among_many()};
  s.stable = most_ > 0;
  if (!s.stable) return s;
  // A replica that has no user serves none.
  double replicas = load.rate > 0 ? double(count) : std::min(double(count), std::max(1.0, load.concurrency));
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
  s.ttft_low = range_.ttft_low * s.ttft;
  s.ttft_high = range_.ttft_high * s.ttft;
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
