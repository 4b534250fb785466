// What this process may use of the machine: cores and memory, the least of what the kernel, affinity and cgroups grant.
//
// Control groups come in two versions, and either may stand anywhere: every directory from the process's own up to the
// mount's root can hold a limit. Files are found below `root`, so that a test can build a machine of its own.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/quantity.h"

namespace kvroof {

struct Limits {
  std::vector<int> cpus;           ///< this process may run on
  std::optional<double> quota;     ///< CPUs' worth of time a cgroup grants
  Bytes available;                 ///< memory the kernel could still give
  std::optional<Bytes> allowance;  ///< what is left below a cgroup's limit
  std::string cpu_name;

  /// Threads that can run at once: a quota is rounded up.
  int cores() const;
  Bytes memory() const { return allowance ? smaller(available, *allowance) : available; }
};

Limits limits_of_process(const std::string& root = "");

}  // namespace kvroof
