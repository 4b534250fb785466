// One row of a measured table as its source wrote it, and the names in it as the catalogue knows them.
#pragma once

#include <map>

#include "cli/validate.h"

namespace kvroof {

/// The row's text under a column, and its number.
struct Row {
  const MeasuredTable& table;
  std::size_t index;
  std::string text(std::string_view column) const { return std::string(table.at(index, column)); }
  std::optional<double> number(std::string_view column) const { return number_in(table.at(index, column)); }
  i64 whole(std::string_view column, i64 fallback) const;
};

template <class Predict>
std::vector<Prediction> each_row(const MeasuredTable& table, Predict predict) {
  std::vector<Prediction> out;
  for (std::size_t i = 0; i < table.size(); ++i) out.push_back(predict(Row{table, i}));
  return out;
}

/// A prediction still to be made: its id, and what was measured.
Prediction start(const Row& row, const char* metric, const char* measured, std::string source, std::string kind);

/// Devices and models by name, each read from the catalogue once.
class Names {
 public:
  explicit Names(const Catalog& catalog) : catalog_(catalog) {}
  const Device* device(const std::string& name);
  const Model* model(const std::string& name);
  const Catalog& catalog() const { return catalog_; }

 private:
  const Catalog& catalog_;
  std::map<std::string, std::optional<Device>> devices_;
  std::map<std::string, std::optional<Model>> models_;
};

/// Tables write formats their own way; none where the name means nothing.
const Format* format_in_table(const std::string& text);

}  // namespace kvroof
