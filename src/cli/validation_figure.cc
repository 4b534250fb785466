// Predicted against measured, on log axes: what lies on the diagonal was right.
//
// A table has more rows than an eye can tell apart, so each class shows at most forty of them, evenly spaced by what
// was measured; the first and the last are always among them.
#include <algorithm>
#include <map>

#include "cli/figures.h"
#include "cli/validate.h"

namespace kvroof {
namespace {

constexpr std::size_t most_points = 40;

Series class_of(const std::string& name, std::vector<const Prediction*> rows) {
  std::stable_sort(rows.begin(), rows.end(), [](auto* a, auto* b) { return *a->measured < *b->measured; });
  Series s{.name = name, .joined = false, .named = true};
  std::size_t count = std::min(most_points, rows.size());
  for (std::size_t i = 0; i < count; ++i) {
    const Prediction& p = *rows[count == 1 ? 0 : i * (rows.size() - 1) / (count - 1)];
    s.points.push_back({.x = *p.measured, .y = *p.predicted, .low = p.low, .high = p.high, .label = p.id});
  }
  return s;
}

}  // namespace

Chart validation(FigureRequest& request) {
  if (request.tables.empty())
    throw InputError{
        "chart validation: which tables of measured figures?\n  such as --measured reports/measured/decode.csv\n"};
  std::map<std::string, std::vector<const Prediction*>> classes;
  std::vector<Prediction> predictions;
  for (const std::string& file : request.tables)
    for (Prediction& p : predict(MeasuredTable::read(file), request.catalog)) predictions.push_back(std::move(p));
  double least = 1e300, most = 0;
  for (const Prediction& p : predictions) {
    bool decodes = p.source == "plain decode" || p.source == "serving";
    if (decodes && p.ok() && p.measured && *p.measured > 0) classes[p.source + ", " + p.kind].push_back(&p);
  }
  std::vector<std::pair<std::string, std::vector<const Prediction*>>> largest(classes.begin(), classes.end());
  std::stable_sort(largest.begin(), largest.end(), [](auto& a, auto& b) { return a.second.size() > b.second.size(); });
  Plot plot{{.title = "measured tokens/s", .key = "measured", .unit = AxisUnit::number, .log = true, .noun = "tok/s"},
            {.title = "predicted tokens/s", .key = "predicted", .unit = AxisUnit::number, .log = true, .noun = "tok/s"},
            {},
            false};
  for (auto& [name, rows] : largest) {
    if (plot.series.size() + 1 == most_series) break;
    plot.series.push_back(class_of(name, rows));
    for (const Point& point : plot.series.back().points) {
      least = std::min({least, point.x, point.y});
      most = std::max({most, point.x, point.y});
    }
  }
  if (most > 0) {
    Series equal{.name = "equal", .marked = false, .dashed = true};
    equal.points = {{.x = least, .y = least}, {.x = most, .y = most}};
    plot.series.push_back(equal);
  }
  return {"validation",
          "Predicted against measured tokens/s",
          "each mark a published measurement; bars are the 80 % range",
          {},
          plot};
}

}  // namespace kvroof
