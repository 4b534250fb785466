#include "core/plan.h"

#include <algorithm>
#include <cmath>

namespace kvroof {
namespace {

constexpr i64 most_replicas = i64(1) << 20;

std::vector<i64> powers_of_two(i64 most) {
  std::vector<i64> powers;
  for (i64 n = 1; n <= most; n *= 2) powers.push_back(n);
  return powers;
}

/// Devices that reach each other over the scale-up link.
i64 link_domain(const Device& device) { return device.link ? device.link->domain : device.host_link ? 8 : 1; }

Workload whole_requests(const Demand& demand) { return {demand.tokens(), 1, demand.load.shared_prefix}; }

/// Replicas that would do if each were as full as it can be: near the answer where times don't bind.
i64 full_replicas(Replica& replica, const Demand& demand, i64 most) {
  double each = double(replica.capacity());
  if (demand.has_rate()) each = replica.at_concurrency(replica.capacity()).requests_per_second;
  return std::clamp<i64>(i64(std::ceil(demand.amount() / each)), 1, most);
}

/// The fewest replicas that meet the demand; most_replicas + 1 when none do. From a guess it strides twice as far each
/// time, then halves: as more replicas never make it harder, the answer lies between one that fails and one that does
/// not.
i64 fewest(Replica& replica, const Demand& demand) {
  i64 most = demand.has_rate() ? most_replicas : std::max<i64>(1, i64(demand.amount()));
  auto enough = [&](i64 replicas) { return meets(replica, demand, replicas); };
  if (!enough(most)) return most_replicas + 1;
  i64 guess = full_replicas(replica, demand, most), low = guess, high = guess;
  if (enough(guess))
    for (i64 stride = 1; low > 0; stride *= 2) {
      low = std::max<i64>(0, high - stride);
      if (low == 0 || !enough(low)) break;
      high = low;
    }
  else
    for (i64 stride = 1; high < most; stride *= 2) {
      high = std::min(most, low + stride);
      if (high == most || enough(high)) break;
      low = high;
    }
  while (high - low > 1) {
    i64 middle = low + (high - low) / 2;
    (enough(middle) ? high : low) = middle;
  }
  return high;
}

/// Devices needed for one unit of the objective; smaller is better.
double score(const Choice& c, Objective objective) {
  switch (objective) {
    case Objective::cost:
    case Objective::devices: return double(c.devices());
    case Objective::throughput: return -c.serving.tokens_per_second;
    case Objective::energy: return double(c.devices()) / c.serving.tokens_per_second;
  }
  return 0;
}

bool same_formats(const Deployment& a, const Deployment& b) {
  return a.weights == b.weights && a.cache.key == b.cache.key;
}

/// One device being searched.
struct Search {
  const Model& model;
  const Device& device;
  const Engine& engine;
  const RangeRule& range;
  const Demand& demand;
  const Choices& choices;
  Objective objective;
  DevicePlan found = {};

  void try_layout(const Deployment& d);
  void try_replicas(Replica& replica, const Deployment& d, i64 needed);
  void too_slow(Replica& replica, const Deployment& d);
  void add_front(Replica& replica, const Deployment& d);
  void miss(Obstacle obstacle, double best, double limit, const Deployment& d, double link_share = 0);
  double dollars(i64 devices) const { return device.price ? device.price->dollars_per_hour * double(devices) : 0; }
  bool affordable(i64 devices) const {
    return devices <= choices.max_devices &&
           (!demand.dollars_per_hour || !device.price || dollars(devices) <= *demand.dollars_per_hour * (1 + 1e-9));
  }
};

/// Keeps what came furthest, and of those what came nearest.
void Search::miss(Obstacle obstacle, double best, double limit, const Deployment& d, double link_share) {
  Miss& m = found.miss;
  if (obstacle < m.obstacle || (obstacle == m.obstacle && best >= m.best)) return;
  m = {obstacle, best, limit, d, "", link_share};
}

void Search::try_layout(const Deployment& d) {
  Replica replica(model, device, d, engine, range, demand);
  if (replica.capacity() == 0) return miss(Obstacle::memory, replica.shortfall().value, 0, d);
  if (choices.front) add_front(replica, d);
  i64 needed = fewest(replica, demand);
  if (needed > most_replicas) return too_slow(replica, d);
  try_replicas(replica, d, needed);
}

/// Not even one user alone is served in time.
void Search::too_slow(Replica& replica, const Deployment& d) {
  Serving alone = replica.at(demand.has_rate() ? demand.amount() / double(most_replicas) : 1, 1);
  if (demand.ttft && replica.ttft(alone) > *demand.ttft)
    return miss(Obstacle::ttft, replica.ttft(alone).value, demand.ttft->value, d);
  miss(Obstacle::tpot, replica.tpot(alone).value, demand.tpot ? demand.tpot->value : 0, d, replica.link_share());
}

/// More replicas than needed only where tokens a second are what is wanted.
void Search::try_replicas(Replica& replica, const Deployment& d, i64 needed) {
  Choice c{d, demand.spare, replica.capacity()};
  c.d.dp = needed;
  if (c.devices() > choices.max_devices)
    return miss(Obstacle::devices, double(c.devices()), double(choices.max_devices), c.d);
  if (!affordable(c.devices())) return miss(Obstacle::budget, dollars(c.devices()), *demand.dollars_per_hour, c.d);
  i64 most = demand.has_rate() ? needed : std::max<i64>(needed, i64(demand.amount()));
  c.serving = replica.at(demand.amount(), c.d.dp);
  Choice more = c;
  while (objective == Objective::throughput && ++more.d.dp <= most && affordable(more.devices())) {
    more.serving = replica.at(demand.amount(), more.d.dp);
    if (better(more, c, objective)) c = more;
  }
  if (found.best && !better(c, *found.best, objective)) return;
  c.usual = c.serving;
  i64 up = c.d.dp + c.spare;
  if (!demand.has_rate()) up = std::clamp<i64>(i64(demand.asked()), 1, up);  // a replica without users is no help
  if (demand.spare > 0 || demand.headroom > 0) c.usual = replica.at(demand.asked(), up);
  found.best = c;
}

void Search::add_front(Replica& replica, const Deployment& d) {
  i64 most = std::min<i64>(replica.capacity(), 1024);
  for (i64 users : powers_of_two(most)) {
    Serving s = replica.at_concurrency(users);
    if (!s.stable) continue;
    found.front.push_back({0, d, users, 1 / s.tpot.value, s.tokens_per_second / double(d.tp * d.pp), s.ttft});
  }
}

}  // namespace

double Demand::amount() const {
  if (has_rate()) return load.rate * (1 + headroom);
  return std::ceil(load.concurrency * (1 + headroom) * (1 - 1e-12));
}

Replica::Replica(const Model& model, const Device& device, const Deployment& d, const Engine& engine,
                 const RangeRule& range, const Demand& demand)
    : model_(model), device_(device), d_(d), engine_(engine), range_(range), demand_(demand) {
  d_.dp = 1;
  Memory memory = fit(model, device, d_, whole_requests(demand), engine);
  capacity_ = memory.max_sequences;
  shortfall_ = memory.shortfall;
  if (capacity_ > 0 && demand.serves()) server_.emplace(model_, device_, d_, engine_, demand_.load, capacity_, range_);
}

Serving Replica::at(double amount, i64 replicas) {
  if (!server_) {  // the fullest replica sets the pace
    double users = std::ceil(amount / double(replicas) * (1 - 1e-12));
    Serving s = served_by_step(
        decode_step(model_, device_, d_, {demand_.context, i64(users), demand_.load.shared_prefix}, engine_, range_),
        users);
    s.tokens_per_second = amount / s.tpot.value;
    s.concurrency = s.running = amount;
    return s;
  }
  Load load = demand_.load;
  (demand_.has_rate() ? load.rate : load.concurrency) = amount;
  return (*server_)(load, replicas);
}

Serving Replica::at_concurrency(i64 users) {
  if (!server_) return at(double(users), 1);
  Load load = demand_.load;
  load.rate = 0;
  load.concurrency = double(users);
  return (*server_)(load, 1);
}

bool Replica::in_time(const Serving& s) const {
  return s.stable && (!demand_.tpot || tpot(s) <= *demand_.tpot) && (!demand_.ttft || ttft(s) <= *demand_.ttft);
}

double Replica::link_share() const {
  Step s = decode_step(model_, device_, d_, {demand_.tokens(), 1, 0}, engine_, range_);
  for (const StepPart& p : s.parts)
    if (p.kind == PartKind::collectives) return p.seconds / s.expected;
  return 0;
}

bool meets(Replica& replica, const Demand& demand, i64 replicas) {
  bool admitted =
      demand.has_rate() || std::ceil(demand.amount() / double(replicas) * (1 - 1e-12)) <= double(replica.capacity());
  return admitted && replica.in_time(replica.at(demand.amount(), replicas));
}

std::vector<Deployment> layouts(const Model& model, const Device& device, const Engine& engine, const Demand& demand,
                                const Choices& choices, std::string* why) {
  std::vector<Deployment> found;
  i64 most = choices.max_devices / (1 + demand.spare);
  std::vector<i64> tps = choices.tp.empty() ? powers_of_two(std::min<i64>(link_domain(device), most)) : choices.tp;
  for (const std::optional<Format>& weights : choices.weights)
    for (const std::optional<Format>& kv : choices.kv)
      for (i64 tp : tps) {
        std::vector<i64> pps =
            choices.pp.empty() ? powers_of_two(std::min(most / tp, model.layer_count())) : choices.pp;
        for (i64 pp : pps) {
          Deployment d = choices.base;
          if (weights) d.weights = *weights;
          if (kv) d.cache.key = d.cache.value = *kv;
          d.tp = tp;
          d.pp = pp;
          std::vector<Problem> wrong = problems(model, device, d, whole_requests(demand), engine);
          if (wrong.empty()) found.push_back(d);
          if (!wrong.empty() && why && why->empty()) *why = wrong[0].path + ": " + wrong[0].what;
        }
      }
  return found;
}

DevicePlan plan(const Model& model, const Device& device, const Engine& engine, const RangeRule& range,
                const Demand& demand, const Choices& choices, Objective objective) {
  Search search{model, device, engine, range, demand, choices, objective};
  std::string why;
  for (const Deployment& d : layouts(model, device, engine, demand, choices, &why)) search.try_layout(d);
  DevicePlan found = std::move(search.found);
  if (!found.best && found.miss.obstacle == Obstacle::none)
    found.miss = {Obstacle::layout,
                  0,
                  0,
                  choices.base,
                  why.empty() ? "no layout within " + std::to_string(choices.max_devices) + " devices" : why,
                  0};
  found.front = pareto(std::move(found.front));
  return found;
}

std::vector<FrontPoint> pareto(std::vector<FrontPoint> points) {
  std::stable_sort(points.begin(), points.end(), [](const FrontPoint& a, const FrontPoint& b) {
    return a.user_speed != b.user_speed ? a.user_speed > b.user_speed : a.device_speed > b.device_speed;
  });
  std::vector<FrontPoint> front;
  for (FrontPoint& p : points)
    if (front.empty() || p.device_speed > front.back().device_speed) front.push_back(p);
  return front;
}

bool better(const Choice& a, const Choice& b, Objective objective) {
  double x = score(a, objective), y = score(b, objective);
  if (x != y) return x < y;
  if (!same_formats(a.d, b.d)) return false;  // the earlier format is the preferred one
  return a.devices() != b.devices() ? a.devices() < b.devices() : a.serving.tpot < b.serving.tpot;
}

std::vector<Problem> problems(const Demand& demand, const Choices& choices) {
  std::vector<Problem> found;
  if (demand.ttft && !demand.serves())
    found.push_back({"--ttft", "needs a prompt", "say --input and --output instead of --context"});
  if (demand.has_rate() && !demand.serves())
    found.push_back({"--rate", "needs a request", "say --input and --output instead of --context"});
  if (demand.serves() && demand.load.shared_prefix > demand.load.input)
    for (const Problem& p : problems(demand.load)) found.push_back(p);
  if (demand.load.concurrency <= 0 && demand.load.rate <= 0)
    found.push_back({"--users", "is needed, or --rate", "such as --users 200 or --rate 4/s"});
  if (demand.load.concurrency > 0 && demand.has_rate())
    found.push_back({"--rate", "is another way to say --users; give one", ""});
  if (choices.max_devices < 1 + demand.spare)
    found.push_back({"--max-devices",
                     std::to_string(choices.max_devices) + " can't hold " + std::to_string(demand.spare) +
                         " spare replicas and one that works",
                     ""});
  return found;
}

}  // namespace kvroof
