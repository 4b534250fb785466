#include "render/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "render/palette.h"

namespace kvroof {
namespace {

constexpr double chart_width = 720;

void limit(Plot& plot, std::vector<std::string>& notes) {
  if (plot.series.size() > most_series) {
    notes.push_back(
        fmt::format("{} of {} series are drawn, the first; the data has all.", most_series, plot.series.size()));
    plot.series.resize(most_series);
  }
  std::size_t lost = 0;
  Scale x{plot.x, 0, 1, 0, 1, {}}, y{plot.y, 0, 1, 0, 1, {}};
  for (Series& s : plot.series) {
    lost += std::erase_if(s.points, [&](const Point& p) { return !x.shows(p.x) || !y.shows(p.y); });
    for (Point& p : s.points)
      if ((p.low && !y.shows(*p.low)) || (p.high && !y.shows(*p.high))) p.low = p.high = std::nullopt;
  }
  if (lost > 0) notes.push_back(fmt::format("{} points have no place on these axes and are left out.", lost));
}

void limit(Bars& bars, std::vector<std::string>& notes) {
  if (bars.rows.size() > most_rows) {
    notes.push_back(fmt::format("{} of {} rows are drawn, the first; the data has all.", most_rows, bars.rows.size()));
    bars.rows.resize(most_rows);
  }
  if (bars.series.size() > most_series) {
    notes.push_back(
        fmt::format("{} of {} series are drawn, the first; the data has all.", most_series, bars.series.size()));
    bars.series.resize(most_series);
  }
  for (BarRow& row : bars.rows) {
    row.values.resize(bars.series.size(), std::nan(""));
    row.ranges.resize(bars.series.size());
    for (double& v : row.values)
      if (v < 0) v = std::nan("");
  }
}

std::vector<std::string> names_of(const Plot& plot) {
  std::vector<std::string> names;
  for (const Series& s : plot.series) names.push_back(s.name);
  return names;
}

/// What the picture shows, for those who can't see it.
std::string description(const Chart& chart) {
  std::string text = chart.subtitle.empty() ? "" : chart.subtitle + ". ";
  if (const auto* plot = std::get_if<Plot>(&chart.body))
    return text +
           fmt::format("{} against {}. Series: {}.", plot->y.title, plot->x.title, fmt::join(names_of(*plot), ", "));
  const Bars& bars = std::get<Bars>(chart.body);
  std::vector<std::string> rows;
  for (const BarRow& row : bars.rows) rows.push_back(row.name);
  return text + fmt::format("Bars of {}, {}: {}. Rows: {}.", bars.value.title,
                            bars.stacked ? "stacked" : "side by side", fmt::join(bars.series, ", "),
                            fmt::join(rows, ", "));
}

int inks_used(const Chart& chart) {
  if (const auto* bars = std::get_if<Bars>(&chart.body)) return int(bars->series.size());
  int used = 0, place = 0;
  for (const Series& s : std::get<Plot>(chart.body).series) used = std::max(used, s.ink.value_or(place++) + 1);
  return std::min(used, int(inks().size()));
}

/// Whole numbers in full, others to nine digits.
std::string number_of(double value) {
  if (!std::isfinite(value)) return "";
  bool whole = std::floor(value) == value && std::abs(value) < 9e15;
  return whole ? fmt::format("{:.0f}", value) : fmt::format("{:.9g}", value);
}

}  // namespace

Chart drawable(Chart chart) {
  std::visit([&](auto& body) { limit(body, chart.notes); }, chart.body);
  return chart;
}

Drawing draw(const Chart& whole) {
  Chart chart = drawable(whole);
  Canvas canvas;
  double y = 14;
  for (const std::string& line : lines_of(chart.title, chart_width - 32, Face::title, 2))
    canvas.text(16, y += 22, line, Face::title);
  y += 3;
  for (const std::string& line : lines_of(chart.subtitle, chart_width - 32, Face::tick, 2))
    canvas.text(16, y += 20, line, Face::tick, Align::left, "q");
  y = std::visit([&](const auto& body) { return draw_body(canvas, body, chart_width, y + 12); }, chart.body);
  for (const std::string& note : chart.notes) {
    y += 4;
    for (const std::string& line : lines_of(note, chart_width - 32, Face::note, 4))
      canvas.text(16, y += 18, line, Face::note, Align::left, "q");
  }
  double height = std::ceil(y + 14);
  std::string head = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"kvroof\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
      "role=\"img\">\n<title>{2}</title>\n<desc>{3}</desc>\n",
      px(chart_width), px(height), escaped(chart.title), escaped(fitted(description(chart), 4000, Face::tick)));
  std::string page = fmt::format("<rect class=\"bg\" width=\"{}\" height=\"{}\"/>\n", px(chart_width), px(height));
  return {head + style_sheet(inks_used(chart)) + "\n" + page + canvas.body() + "</svg>\n", chart_width, height,
          canvas.texts()};
}

Table data_of(const Chart& chart) {
  Table table;
  if (const auto* plot = std::get_if<Plot>(&chart.body)) {
    bool ranges = false, labels = false;
    for (const Series& s : plot->series)
      for (const Point& p : s.points) ranges |= p.low.has_value(), labels |= !p.label.empty();
    table.columns = {"series", plot->x.key, plot->y.key};
    if (ranges) table.columns.insert(table.columns.end(), {plot->y.key + "_low", plot->y.key + "_high"});
    if (labels) table.columns.emplace_back("label");
    for (const Series& s : plot->series)
      for (const Point& p : s.points) {
        std::vector<std::string> row = {s.name, number_of(p.x), number_of(p.y)};
        if (ranges) row.push_back(p.low ? number_of(*p.low) : ""), row.push_back(p.high ? number_of(*p.high) : "");
        if (labels) row.push_back(p.label);
        table.rows.push_back(row);
      }
    return table;
  }
  const Bars& bars = std::get<Bars>(chart.body);
  table.columns = {bars.category, "series", bars.value.key};
  for (const BarRow& row : bars.rows)
    for (std::size_t i = 0; i < bars.series.size() && i < row.values.size(); ++i)
      if (std::isfinite(row.values[i])) table.rows.push_back({row.name, bars.series[i], number_of(row.values[i])});
  return table;
}

Json json_of(const Chart& chart) {
  Json json = {{"schema_version", 1},
               {"command", "chart"},
               {"chart", chart.name},
               {"title", chart.title},
               {"subtitle", chart.subtitle}};
  json["notes"] = chart.notes;
  json["rows"] = Json::array();
  Table table = data_of(chart);
  auto is_text = [&](const std::string& column) {
    const auto* bars = std::get_if<Bars>(&chart.body);
    return column == "series" || column == "label" || (bars && column == bars->category);
  };
  for (const std::vector<std::string>& row : table.rows) {
    Json entry;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string& column = table.columns[i];
      if (is_text(column))
        entry[column] = row[i];
      else
        entry[column] = row[i].empty() ? Json() : Json::parse(row[i]);
    }
    json["rows"].push_back(entry);
  }
  return json;
}

}  // namespace kvroof
