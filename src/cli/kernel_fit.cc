#include "cli/kernel_fit.h"
#include "cli/validate.h"
#include "core/hash.h"

#include <nlopt.h>

#include <algorithm>
#include <cmath>
#include <memory>

namespace kvroof {
namespace {

constexpr unsigned folds = 4;
constexpr double range_share = 0.8;

struct Search {
  const FitTask& task;
  std::vector<std::size_t> rows;
  double weight = 0;
};

std::vector<double> constants_of(const double* logs, std::size_t n) {
  std::vector<double> c(n);
  for (std::size_t i = 0; i < n; ++i) c[i] = std::exp(logs[i]);
  return c;
}

double loss(unsigned n, const double* logs, double*, void* data) {
  const Search& s = *static_cast<const Search*>(data);
  std::vector<double> c = constants_of(logs, n);
  double sum = 0;
  for (std::size_t row : s.rows) {
    double off = std::abs(std::log(s.task.seconds(c, row) / s.task.measured[row]));
    sum += s.task.weights[row] * std::min(1.0, off);
  }
  sum /= s.weight;
  for (unsigned i = 0; i < n; ++i) {
    double away = logs[i] - std::log(s.task.usual[i]);
    sum += s.task.pull * away * away;
  }
  return sum;
}

std::vector<double> search(const FitTask& task, std::vector<std::size_t> rows, int evaluations = 1500) {
  Search s{task, std::move(rows), 0};
  for (std::size_t row : s.rows) s.weight += task.weights[row];
  unsigned n = unsigned(task.usual.size());
  std::vector<double> logs(n), most(n), step(n, 0.4);
  for (unsigned i = 0; i < n; ++i) {
    most[i] = std::log(task.most[i]);
    logs[i] = std::min(std::log(task.usual[i]), most[i]);
  }
  std::unique_ptr<nlopt_opt_s, void (*)(nlopt_opt)> opt(nlopt_create(NLOPT_LN_NELDERMEAD, n), nlopt_destroy);
  nlopt_set_min_objective(opt.get(), loss, &s);
  nlopt_set_upper_bounds(opt.get(), most.data());
  nlopt_set_initial_step(opt.get(), step.data());
  nlopt_set_maxeval(opt.get(), evaluations);
  nlopt_set_xtol_rel(opt.get(), 1e-6);
  double least = 0;
  for (int again = 0; again < 2; ++again)  // a second simplex from where the first one collapsed
    nlopt_optimize(opt.get(), logs.data(), &least);
  return constants_of(logs.data(), n);
}

}  // namespace

std::vector<double> search_constants(const FitTask& task, int evaluations) {
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i < task.ids.size(); ++i) all.push_back(i);
  return search(task, std::move(all), evaluations);
}

Fitted fit_constants(const FitTask& task) {
  std::vector<std::size_t> all;
  std::vector<double> ratios, errors;
  for (std::size_t i = 0; i < task.ids.size(); ++i) all.push_back(i);
  for (unsigned fold = 0; fold < folds; ++fold) {
    std::vector<std::size_t> seen, left_out;
    for (std::size_t i : all) (fnv1a(task.ids[i]) % folds == fold ? left_out : seen).push_back(i);
    if (seen.empty()) seen = all;
    if (left_out.empty()) continue;
    std::vector<double> c = search(task, seen);
    for (std::size_t i : left_out) {
      double predicted = task.seconds(c, i);
      ratios.push_back(task.measured[i] / predicted);
      errors.push_back(std::abs(predicted / task.measured[i] - 1));
    }
  }
  Fitted f{search(task, all), {}};
  f.fit = {i64(all.size()), quantile(errors, 0.5), quantile(ratios, (1 - range_share) / 2),
           quantile(ratios, (1 + range_share) / 2)};
  return f;
}

}  // namespace kvroof
