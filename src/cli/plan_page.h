// The page of a plan: the choice and why, the best of every device, the front, and what stands in the others' way.
#pragma once

#include <string>
#include <vector>

#include "cli/plan_request.h"
#include "render/document.h"

namespace kvroof {

/// One model, or several with a line each.
Document page_of(const PlanRequest& request, const std::vector<ModelPlan>& plans);

/// `TPOT 41 ms at best, at tp 8`: the first thing in the way and how far off it is.
std::string reason(const PlanRequest& request, const Miss& miss);
/// `2 x tp 8`, with spare replicas `2+1 x tp 8`.
std::string layout_words(const Deployment& d, i64 spare);

/// JSON and CSV of the same, all of it (plan_data.cc).
Json data_of(const PlanRequest& request, const ModelPlan& plan);
void add_rows(Table& csv, const PlanRequest& request, const ModelPlan& plan);

}  // namespace kvroof
