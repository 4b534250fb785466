// What to run a load on: the search over counts, layouts and formats of a device, for a demand with limits.
//
// A replica is tp x pp devices; as many of them stand side by side as the users need. More replicas never make a limit
// harder to meet, so of every layout the fewest that meet all limits are found by bisection. A device that can't do it
// answers with the first thing in the way, on the layout that came nearest, and by how much.
#pragma once

#include <optional>
#include <vector>

#include "core/serving.h"

namespace kvroof {

/// What is asked for. Without an answer length all users decode at a context; with one, prompts are served too.
struct Demand {
  Load load;        ///< concurrency or rate of all users; headroom not counted
  i64 context = 0;  ///< > 0: decoding alone, at this context
  std::optional<Seconds> tpot, ttft;
  bool pessimistic = false;  ///< limits hold at the upper end of the 80 % range
  double headroom = 0;       ///< share of users or rate beyond those asked for
  i64 spare = 0;             ///< replicas that may fail
  std::optional<double> dollars_per_hour;

  bool serves() const { return context == 0; }
  bool has_rate() const { return load.rate > 0; }
  /// Users or requests a second, headroom included: whole users.
  double amount() const;
  double asked() const { return has_rate() ? load.rate : load.concurrency; }  ///< without it
  i64 tokens() const { return serves() ? load.input + load.output : context; }
};

/// What may be chosen from. Formats come in order of preference: a later one must save devices, not just time.
struct Choices {
  std::vector<std::optional<Format>> weights = {std::nullopt};  ///< nullopt: as published
  std::vector<std::optional<Format>> kv = {std::nullopt};       ///< nullopt: as in `base`
  std::vector<i64> tp, pp;                                      ///< empty: powers of two
  i64 max_devices = 64;
  bool front = true;  ///< the front is wanted too
  Deployment base;
};

enum class Objective { cost, devices, throughput, energy };

/// One way to meet the demand. Figures are those with the spare replicas down and the headroom in use.
struct Choice {
  Deployment d;  ///< dp: replicas that carry the load
  i64 spare = 0;
  i64 capacity = 0;  ///< sequences a replica admits
  Serving serving = {};
  Serving usual = {};  ///< with all replicas up and the load as asked for
  i64 devices() const { return (d.dp + spare) * d.tp * d.pp; }
};

/// What stands in the way, the first thing last.
enum class Obstacle { none, layout, memory, ttft, tpot, devices, budget };

struct Miss {
  Obstacle obstacle = Obstacle::none;
  double best = 0, limit = 0;  ///< bytes missing (best alone), seconds, devices, dollars an hour
  Deployment d;                ///< the layout that came nearest
  std::string why;             ///< in words, where no figure says it
  double link_share = 0;       ///< of the step that misses its time, what collectives take
};

/// Speed of a user against what a device yields.
struct FrontPoint {
  std::size_t device = 0;  ///< for the caller to fill
  Deployment d;
  i64 concurrency = 0;  ///< of one replica
  double user_speed = 0, device_speed = 0;
  Seconds ttft;
};

struct DevicePlan {
  std::optional<Choice> best;
  Miss miss;                      ///< where there is no best
  std::vector<FrontPoint> front;  ///< of this device
};

/// One layout that is asked about many shares of a demand.
class Replica {
 public:
  Replica(const Model& model, const Device& device, const Deployment& d, const Engine& engine, const RangeRule& range,
          const Demand& demand);
  Replica(const Replica&) = delete;  // the server refers to the layout held here
  Replica& operator=(const Replica&) = delete;
  i64 capacity() const { return capacity_; }
  Bytes shortfall() const { return shortfall_; }
  /// `amount` users or requests a second, shared by the replicas.
  Serving at(double amount, i64 replicas);
  Serving at_concurrency(i64 users);
  bool in_time(const Serving& s) const;
  /// The upper end of the range where the demand is pessimistic.
  Seconds tpot(const Serving& s) const { return demand_.pessimistic ? s.tpot_high : s.tpot; }
  Seconds ttft(const Serving& s) const { return demand_.pessimistic ? s.ttft_high : s.ttft; }
  /// Collectives' share of a step of one sequence.
  double link_share() const;

 private:
  const Model& model_;
  const Device& device_;
  Deployment d_;
  const Engine& engine_;
  RangeRule range_;
  const Demand& demand_;
  i64 capacity_ = 0;
  Bytes shortfall_;
  std::optional<Server> server_;
};

/// Whether `replicas` of them meet the demand's times, with nobody queueing.
bool meets(Replica& replica, const Demand& demand, i64 replicas);

/// The layouts to try, in order: formats by preference, then tensor before pipeline parallelism. Those that can't be
/// are left out; `why` then says the first reason.
std::vector<Deployment> layouts(const Model& model, const Device& device, const Engine& engine, const Demand& demand,
                                const Choices& choices, std::string* why);

/// The best of a device by the objective. Ties go to the format preferred, then to fewer devices and the shorter TPOT.
DevicePlan plan(const Model& model, const Device& device, const Engine& engine, const RangeRule& range,
                const Demand& demand, const Choices& choices, Objective objective);

/// The points that no other beats in both speeds, fastest user first.
std::vector<FrontPoint> pareto(std::vector<FrontPoint> points);

/// Whether a is better than b by the objective, both on the same kind of device, a tried before b.
bool better(const Choice& a, const Choice& b, Objective objective);

std::vector<Problem> problems(const Demand& demand, const Choices& choices);

}  // namespace kvroof
