// Predictions beside what was measured, one per row of a table, whatever the table is about.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "catalog/measured.h"

namespace kvroof {

/// One row of a table and its prediction, in the row's own unit.
struct Prediction {
  std::string id, metric;
  std::string source, kind;  ///< the classes it counts for: an engine or device, and what was measured
  std::optional<double> measured, predicted, low, high;
  std::string basis;
  std::optional<double> bare;  ///< by the floor alone, in the same unit: the baseline to beat
  std::string skipped;         ///< why there is no prediction; empty when there is one
  bool ok() const { return skipped.empty() && predicted.has_value(); }
};

/// One per row, in the table's order.
std::vector<Prediction> predict_memory(const MeasuredTable& table, const Catalog& catalog);
std::vector<Prediction> predict_curated_memory(const MeasuredTable& table, const Catalog& catalog);
std::vector<Prediction> predict_moe_serving(const MeasuredTable& table, const Catalog& catalog);
std::vector<Prediction> predict_decode(const MeasuredTable& table, const Catalog& catalog);
std::vector<Prediction> predict_attention(const MeasuredTable& table, const Catalog& catalog);
std::vector<Prediction> predict_linears(const MeasuredTable& table, const Catalog& catalog);
std::vector<Prediction> predict_collectives(const MeasuredTable& table, const Catalog& catalog);

/// Whichever of them the table is for; its columns tell. Throws InputError.
std::vector<Prediction> predict(const MeasuredTable& table, const Catalog& catalog);

/// The value that a share q of them lies below; 0 of none.
double quantile(std::vector<double> values, double q);
/// One line per prediction: id, metric, measured, predicted, low, high, basis, status. Throws InputError.
void write_rows(const std::string& path, const std::vector<Prediction>& predictions);

}  // namespace kvroof
