// Work on many things that don't depend on each other: each thread takes the next one.
#pragma once

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace kvroof {

/// `work(i)` for every i below `count`, on all cores.
template <class Work>
void side_by_side(std::size_t count, Work work) {
  std::atomic<std::size_t> next = 0;
  auto take = [&] {
    for (std::size_t i = next++; i < count; i = next++) work(i);
  };
  std::size_t threads = std::min<std::size_t>(count, std::max(1u, std::thread::hardware_concurrency()));
  std::vector<std::thread> others;
  for (std::size_t t = 1; t < threads; ++t) others.emplace_back(take);
  take();
  for (std::thread& t : others) t.join();
}

}  // namespace kvroof
