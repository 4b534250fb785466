// What `kvroof measure` has to say of a run: the machine, its tiers, each shape predicted and timed, and what follows.
#pragma once

#include "cli/validate.h"
#include "measure/run.h"
#include "render/chart.h"

namespace kvroof {

/// Text and JSON of a run; ranges come from `range`.
Document page_of(const MeasureRun& run, const RangeRule& range);

/// A profile as JSON, and back: the record of a run holds all that its predictions were made from.
Json json_of(const Profile& profile);
Profile profile_of(const Json& json);
Json json_of(const AttentionShape& shape);
AttentionShape shape_of(const Json& json);

/// The shapes as rows of `validate --rows`; those without a verdict are skipped.
std::vector<Prediction> predictions_of(const MeasureRun& run, const RangeRule& range);

/// Flops against flops per byte: the tiers' roofs and every shape below them.
Chart roofline_of(const MeasureRun& run);

}  // namespace kvroof
