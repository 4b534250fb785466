// Finding a kernel's constants: the least mean relative error over its rows, with a pull towards what is usual.
//
// Constants are positive, so the search runs over their logarithms. Rows that lie far off count no more than an error
// of e, because kernels switch modes and a table holds both. Rows are split in four by a hash of their ids; each
// quarter is predicted by constants fitted on the other three, and only those errors are reported.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/kernel.h"

namespace kvroof {

struct FitTask {
  std::vector<std::string> ids;
  std::vector<double> measured;  ///< seconds
  std::vector<double> weights;
  std::vector<double> usual;  ///< where the search starts, one per constant
  std::vector<double> most;   ///< upper bounds: a share of a peak is at most 1
  double pull = 0.03;         ///< of the usual values: what a factor e away from one costs, in mean relative error
  std::function<double(const std::vector<double>& constants, std::size_t row)> seconds;
};

struct Fitted {
  std::vector<double> constants;
  KernelFit fit;
};

/// All rows give the constants; the error and the interval are those of rows left out.
Fitted fit_constants(const FitTask& task);

/// The constants alone, on all rows, twice over at most so many trials.
std::vector<double> search_constants(const FitTask& task, int evaluations);

}  // namespace kvroof
