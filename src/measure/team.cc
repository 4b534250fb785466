#include "measure/team.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include <algorithm>

namespace kvroof {
namespace {

double clock_seconds(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

/// Refused in some containers: then the kernel places the thread.
void pin(const std::vector<int>& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int cpu : cpus) CPU_SET(std::size_t(cpu), &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

std::vector<int> own_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (pthread_getaffinity_np(pthread_self(), sizeof set, &set) == 0)
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(std::size_t(cpu), &set)) cpus.push_back(cpu);
  return cpus;
}

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// About a millisecond of looking before sleeping.
constexpr int spins = 20000;

/// Waits until `value` is no longer `old`.
void wait_for_change(std::atomic<std::uint32_t>& value, std::uint32_t old) {
  for (int i = 0; i < spins; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    pause();
  }
  while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

}  // namespace

Seconds now() { return {clock_seconds(CLOCK_MONOTONIC)}; }

Team::Team(const std::vector<int>& cpus) {
  std::size_t size = std::max<std::size_t>(1, cpus.size());
  for (std::size_t i = 0; i < size; ++i) members_.push_back(std::make_unique<Member>());
  for (std::size_t i = 1; i < size; ++i)
    members_[i]->thread = std::thread([this, i, cpu = cpus[i]] {
      pin({cpu});
      serve(int(i));
    });
  callers_cpus_ = own_cpus();
  if (!cpus.empty()) pin({cpus[0]});
}

Team::~Team() {
  stop_ = true;
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (std::size_t i = 1; i < members_.size(); ++i) members_[i]->thread.join();
  if (!callers_cpus_.empty()) pin(callers_cpus_);
}

void Team::work(int member) {
  double before = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
  job_(context_, member);
  members_[std::size_t(member)]->cpu_seconds = clock_seconds(CLOCK_THREAD_CPUTIME_ID) - before;
}

void Team::serve(int member) {
  Member& self = *members_[std::size_t(member)];
  for (std::uint32_t round = 0;; ++round) {
    wait_for_change(round_, round);
    if (stop_) return;
    work(member);
    self.done.store(round + 1, std::memory_order_release);
    self.done.notify_one();
  }
}

JobTime Team::run_erased(Erased job, void* context) {
  job_ = job;
  context_ = context;
  double begin = clock_seconds(CLOCK_MONOTONIC);
  std::uint32_t round = round_.fetch_add(1, std::memory_order_release) + 1;
  round_.notify_all();
  work(0);
  for (std::size_t i = 1; i < members_.size(); ++i) wait_for_change(members_[i]->done, round - 1);
  double wall = clock_seconds(CLOCK_MONOTONIC) - begin, busiest = 0;
  for (const std::unique_ptr<Member>& m : members_) busiest = std::max(busiest, m->cpu_seconds);
  return {{wall}, wall > 0 ? std::max(0.0, 1 - busiest / wall) : 0};
}

}  // namespace kvroof
