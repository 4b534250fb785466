// A chart as values: what is drawn, not how. Curves or points over two axes, or bars with names.
//
// Each chart becomes one SVG that reads in light and dark, with a title, a description and a tooltip for every
// point; the same values are its csv and json. At most eight series are drawn, one a colour; the rest is named.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "render/axis.h"
#include "render/document.h"
#include "render/svg.h"

namespace kvroof {

struct Point {
  double x = 0;
  double y = 0;
  std::optional<double> low = {}, high = {};  ///< of y: a band under a curve, an error bar on a point
  std::string label = {};                     ///< which point it is, in the data and the tooltip: "batch 16"
  std::string mark = {};                      ///< written beside the point
};

struct Series {
  std::string name;
  std::vector<Point> points = {};
  bool joined = true;  ///< a curve; else points alone
  bool marked = true;  ///< a marker at every point
  bool ends = false;   ///< a bar across the last point: here something runs out
  bool dashed = false;
  bool named = true;                        ///< its name stands beside it
  std::string label = {};                   ///< what stands there instead of its name
  std::optional<std::size_t> name_at = {};  ///< the point the name stands at; the default is the last
  std::optional<int> ink = {};              ///< a colour shared with another series; the default is its place
};

struct Plot {
  Axis x, y;
  std::vector<Series> series;
  bool names_right = false;  ///< curves end near the right edge: their names stand in a margin there
};

/// One row of bars; a value that isn't finite has no bar. `label` goes after the bar in place of the value.
struct BarRow {
  std::string name;
  std::vector<double> values;
  std::string label = {};
  std::vector<std::optional<std::pair<double, double>>> ranges = {};  ///< low and high of each value, or none
};

struct Bars {
  Axis value;
  std::string category;  ///< what a row is: the data's column
  std::vector<std::string> series;
  std::vector<BarRow> rows;
  bool stacked = false;
};

struct Chart {
  std::string name;  ///< as the command calls it
  std::string title;
  std::string subtitle;
  std::vector<std::string> notes;
  std::variant<Plot, Bars> body;
};

/// Series and rows that can be drawn; more are left out.
inline constexpr std::size_t most_series = 8;
inline constexpr std::size_t most_rows = 40;

/// The chart without what can't be drawn: series past the eighth, rows past the fortieth, values that are not
/// finite or below zero on a log axis. Each loss becomes a note.
Chart drawable(Chart chart);

struct Drawing {
  std::string svg;
  double width = 0, height = 0;
  std::vector<Box> texts;  ///< where every text lies, for the test that none overlap
};

Drawing draw(const Chart& chart);

/// The chart's values as a table with keys for columns, and as JSON.
Table data_of(const Chart& chart);
Json json_of(const Chart& chart);

/// Draws a body below `top`; returns its bottom edge.
double draw_body(Canvas& canvas, const Plot& plot, double width, double top);
double draw_body(Canvas& canvas, const Bars& bars, double width, double top);

}  // namespace kvroof
