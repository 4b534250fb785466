// A team of threads that is there already: each pinned to a core, waiting, so that a job costs microseconds to start.
//
// The caller is member 0. Members spin for a while after a job and then sleep; wake() gets them spinning again, so
// that the wake-up is not part of what is timed. Each member's own CPU time is kept: a job whose busiest member had
// the CPU for less than the job's wall time was disturbed by somebody else.
#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "core/quantity.h"

namespace kvroof {

/// Wall time of a job and how much of it the CPU was elsewhere.
struct JobTime {
  Seconds wall;
  double lost = 0;  ///< share of wall in which the busiest member did not run
};

class Team {
 public:
  /// One member per CPU listed; an empty list is one member that is not pinned.
  explicit Team(const std::vector<int>& cpus);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return int(members_.size()); }

  /// Runs job(member) on every member and waits for all.
  template <class Job>
  JobTime run(Job&& job) {
    return run_erased([](void* context, int member) { (*static_cast<std::remove_reference_t<Job>*>(context))(member); },
                      &job);
  }
  /// An empty job: members that slept are spinning afterwards.
  JobTime wake() {
    return run([](int) {});
  }

 private:
  using Erased = void (*)(void*, int);
  struct alignas(128) Member {
    std::atomic<std::uint32_t> done{0};
    double cpu_seconds = 0;
    std::thread thread;
  };
  JobTime run_erased(Erased job, void* context);
  void serve(int member);
  void work(int member);

  std::vector<std::unique_ptr<Member>> members_;
  std::vector<int> callers_cpus_;  ///< given back at the end
  Erased job_ = nullptr;
  void* context_ = nullptr;
  alignas(128) std::atomic<std::uint32_t> round_{0};
  std::atomic<bool> stop_{false};
};

/// Monotonic wall clock.
Seconds now();

}  // namespace kvroof
