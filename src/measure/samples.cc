#include "measure/samples.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

namespace kvroof {

double quantile_of(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  double at = q * double(values.size() - 1);
  std::size_t below = std::size_t(at), above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - double(below)) * (values[above] - values[below]);
}

void Samples::add(const JobTime& time) {
  ++taken;
  if (time.lost < most_lost) quiet.push_back(time.wall.value);
}

Seconds Samples::quantile(double q) const { return {quantile_of(quiet, q)}; }

void sample_in_turn(std::vector<Timed>& all, int wanted, Seconds budget, const std::function<void(double)>& progress) {
  Seconds begin = now();
  auto done = [&](const Timed& t) { return int(t.samples.quiet.size()) >= wanted; };
  while (!std::all_of(all.begin(), all.end(), done)) {
    for (Timed& t : all) {
      if (done(t)) continue;
      t.samples.add(t.sample());
      std::this_thread::sleep_for(std::chrono::microseconds(300));
    }
    double most_missing = 0;
    for (const Timed& t : all)
      most_missing = std::max(most_missing, 1 - double(t.samples.quiet.size()) / double(wanted));
    progress(std::max(1 - most_missing, (now() - begin) / budget));
    if (now() - begin > budget) break;
  }
}

// A thread's nice value on Linux is its own; threads made later inherit it, and the real-time class.
RaisedPriority::RaisedPriority() : nice_before_(getpriority(PRIO_PROCESS, 0)) {
  sched_param least{};
  least.sched_priority = sched_get_priority_min(SCHED_FIFO);
  if (pthread_setschedparam(pthread_self(), SCHED_FIFO, &least) == 0)
    name_ = "real-time";
  else if (setpriority(PRIO_PROCESS, 0, -20) == 0)
    name_ = "nice -20";
}

RaisedPriority::~RaisedPriority() {
  sched_param none{};
  if (name_ == "real-time") pthread_setschedparam(pthread_self(), SCHED_OTHER, &none);
  if (name_ == "nice -20") setpriority(PRIO_PROCESS, 0, nice_before_);
}

}  // namespace kvroof
