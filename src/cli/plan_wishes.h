// Where nothing meets all that is asked for: how little of it has to be given up.
//
// Each limit is lifted alone, then tightened again as far as something still meets it and all the others. Where giving
// up one is not enough, all are lifted and tightened one after another. Every wish was planned: typed in, it can be
// met.
#pragma once

#include <string>
#include <vector>

#include "cli/plan_request.h"

namespace kvroof {

/// `TPOT 41 ms, on 16 x h200-sxm as 2 x tp 8`: of each limit the nearest that can be met.
std::vector<std::string> nearest_wishes(const PlanRequest& request, const ModelPlan& plan);

}  // namespace kvroof
