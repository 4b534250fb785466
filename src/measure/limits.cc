#include "measure/limits.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace kvroof {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  if (!in || !std::getline(in, line)) return std::nullopt;
  return line;
}

std::optional<double> number_in_file(const fs::path& file) {
  std::optional<std::string> line = first_line(file);
  if (!line) return std::nullopt;
  std::istringstream text(*line);
  double value = 0;
  if (!(text >> value)) return std::nullopt;  // "max"
  return value;
}

/// The value after `key` in a file of `key: value` lines.
std::string value_of(const fs::path& file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (line.rfind(key, 0) == 0 && line.find(':') != std::string::npos) {
      std::size_t at = line.find_first_not_of(" \t", line.find(':') + 1);
      return at == std::string::npos ? std::string() : line.substr(at);
    }
  return {};
}

/// Where the limits of a controller may stand: the process's own directory first, then its parents. An empty controller
/// is version 2.
std::vector<fs::path> cgroup_directories(const std::string& root, const std::string& controller) {
  std::ifstream in(root + "/proc/self/cgroup");
  std::vector<fs::path> found;
  for (std::string line; std::getline(in, line);) {
    std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    bool is_it =
        controller.empty() ? controllers == ",," : controllers.find("," + controller + ",") != std::string::npos;
    if (!is_it) continue;
    std::string mounted = line.substr(first + 1, second - first - 1);
    for (const std::string& mount :
         controller.empty() ? std::vector<std::string>{"", "unified"} : std::vector<std::string>{mounted, controller}) {
      fs::path top = fs::path(root + "/sys/fs/cgroup") / mount;
      for (fs::path own = line.substr(second + 1);; own = own.parent_path()) {
        found.push_back(top / own.relative_path());
        if (own.relative_path().empty()) break;
      }
    }
  }
  return found;
}

std::optional<double> cpu_quota(const std::string& root) {
  std::optional<double> least;
  auto grant = [&](double quota, double period) {
    if (quota > 0 && period > 0) least = std::min(least.value_or(quota / period), quota / period);
  };
  for (const fs::path& directory : cgroup_directories(root, ""))
    if (std::optional<std::string> line = first_line(directory / "cpu.max")) {
      std::istringstream text(*line);
      double quota = 0, period = 0;
      if (text >> quota >> period) grant(quota, period);
    }
  for (const fs::path& directory : cgroup_directories(root, "cpu"))
    grant(number_in_file(directory / "cpu.cfs_quota_us").value_or(-1),
          number_in_file(directory / "cpu.cfs_period_us").value_or(0));
  return least;
}

std::optional<Bytes> memory_allowance(const std::string& root) {
  std::optional<Bytes> least;
  auto grant = [&](std::optional<double> limit, std::optional<double> used) {
    if (!limit || *limit >= double(1LL << 60)) return;  // version 1 writes "none" as a very large number
    Bytes left{std::max(0.0, *limit - used.value_or(0))};
    least = least ? smaller(*least, left) : left;
  };
  for (const fs::path& directory : cgroup_directories(root, ""))
    grant(number_in_file(directory / "memory.max"), number_in_file(directory / "memory.current"));
  for (const fs::path& directory : cgroup_directories(root, "memory"))
    grant(number_in_file(directory / "memory.limit_in_bytes"), number_in_file(directory / "memory.usage_in_bytes"));
  return least;
}

}  // namespace

int Limits::cores() const {
  int allowed = std::max<int>(1, int(cpus.size()));
  return quota ? std::clamp(int(std::ceil(*quota - 1e-9)), 1, allowed) : allowed;
}

Limits limits_of_process(const std::string& root) {
  Limits limits;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(std::size_t(cpu), &set)) limits.cpus.push_back(cpu);
  limits.quota = cpu_quota(root);
  std::istringstream available(value_of(root + "/proc/meminfo", "MemAvailable"));
  double kib = 0;
  available >> kib;
  limits.available = {kib * 1024};
  limits.allowance = memory_allowance(root);
  limits.cpu_name = value_of(root + "/proc/cpuinfo", "model name");
  if (limits.cpu_name.empty()) limits.cpu_name = "unnamed CPU";
  return limits;
}

}  // namespace kvroof
