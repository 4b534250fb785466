// Bars with names at their left: side by side or stacked, always from zero.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "render/chart.h"
#include "render/palette.h"

namespace kvroof {
namespace {

constexpr double most_name = 265;

struct BarsDrawing {
  Canvas& canvas;
  const Bars& bars;
  double width;
  Scale value = {};
  double left = 0, top = 0, bottom = 0;
  double thick = 0, gap = 0;

  double total(const BarRow& row) const;
  std::size_t drawn(const BarRow& row) const;
  double row_height(const BarRow& row) const {
    return (bars.stacked ? 1.0 : double(std::max<std::size_t>(1, drawn(row)))) * thick;
  }
  std::string label(const BarRow& row, std::size_t i) const;
  double key(double y);
  void lay_out();
  void frame();
  void row(const BarRow& row, double y);
};

std::size_t BarsDrawing::drawn(const BarRow& r) const {
  return std::size_t(std::count_if(r.values.begin(), r.values.end(), [](double v) { return std::isfinite(v); }));
}

double BarsDrawing::total(const BarRow& r) const {
  double sum = 0;
  for (double v : r.values)
    if (std::isfinite(v)) sum += v;
  return sum;
}

/// What stands after a bar.
std::string BarsDrawing::label(const BarRow& r, std::size_t i) const {
  if (!r.label.empty()) return r.label;
  return short_words_of(bars.value, bars.stacked ? total(r) : r.values[i]);
}

/// Which colour is which, in lines of words; needed only when there is more than one.
double BarsDrawing::key(double y) {
  if (bars.series.size() < 2) return y;
  double x = 16;
  y += 16;
  for (std::size_t i = 0; i < bars.series.size(); ++i) {
    std::string name = fitted(bars.series[i], 300, Face::label);
    double wide = 20 + text_width(name, Face::label);
    if (x > 16 && x + wide > width - 16) x = 16, y += 22;
    canvas.open(fmt::format("c{}", i));
    canvas.rect({x, y - 12, x + 14, y + 2}, "f");
    canvas.close();
    canvas.text(x + 20, y, name, Face::label, Align::left, fmt::format("t{}", i));
    x += wide + 18;
  }
  return y + 10;
}

void BarsDrawing::lay_out() {
  double names = 0, labels = 0;
  std::vector<double> values = {0};
  for (const BarRow& r : bars.rows) {
    names = std::max(names, text_width(fitted(r.name, most_name, Face::tick), Face::tick));
    if (bars.stacked) {
      values.push_back(total(r));
      labels = std::max(labels, text_width(label(r, 0), Face::label));
      continue;
    }
    for (std::size_t i = 0; i < r.values.size(); ++i) {
      if (!std::isfinite(r.values[i])) continue;
      values.push_back(r.values[i]);
      labels = std::max(labels, text_width(label(r, i), Face::label));
      if (r.ranges[i]) values.push_back(r.ranges[i]->second);
    }
  }
  bool many = bars.rows.size() > 14;
  thick = bars.stacked || bars.series.size() < 2 ? (many ? 18 : 24) : 18;
  gap = many ? 6 : 12;
  left = 16 + names + 10;
  double most = 0;
  for (double v : values) most = std::max(most, v);
  value = scale_over(bars.value, values, left, width - 24 - std::min(260.0, labels), 6);
  // The longest bar needn't reach the next tick: its label is the number.
  double cut = std::max(most, value.ticks.size() > 1 ? value.ticks[1] : most);
  if (most > 0 && cut < value.high) {
    value.high = cut;
    std::erase_if(value.ticks, [&](double t) { return t > cut * (1 + 1e-9); });
  }
}

void BarsDrawing::frame() {
  std::size_t stride = value.text_stride();
  for (std::size_t i = 0; i < value.ticks.size(); ++i) {
    double t = value.ticks[i], x = value.at(t);
    canvas.line(x, top, x, bottom, t == 0 ? "a" : "g");
    if (i % stride == 0) canvas.text(x, bottom + 19, tick_text(bars.value, t), Face::tick, Align::middle, "q");
  }
  canvas.text(left, bottom + 41, bars.value.title, Face::tick, Align::left, "q");
}

void BarsDrawing::row(const BarRow& r, double y) {
  canvas.text(left - 10, y + row_height(r) / 2 + 5, fitted(r.name, most_name, Face::tick), Face::tick, Align::right);
  double from = 0, bar_top = y;
  for (std::size_t i = 0; i < r.values.size(); ++i) {
    double v = r.values[i];
    if (!std::isfinite(v)) continue;
    double start = value.at(from), end = value.at(from + v);
    std::string tip = fmt::format("{}, {}: {}", r.name, bars.series[i], words_of(bars.value, v));
    canvas.open(fmt::format("c{}", i));
    if (end - start >= 0.05)
      canvas.rect({start, bar_top, end - (bars.stacked && end - start > 2 ? 1 : 0), bar_top + thick - 2}, "f", tip);
    canvas.close();
    double label_x = end;
    if (!bars.stacked && r.ranges[i]) {
      double middle = bar_top + thick / 2 - 1, low = value.at(r.ranges[i]->first), high = value.at(r.ranges[i]->second);
      canvas.path(fmt::format("M{} {}V{}M{} {}H{}M{} {}V{}", px(low), px(middle - 4), px(middle + 4), px(low),
                              px(middle), px(high), px(high), px(middle - 4), px(middle + 4)),
                  "a", "fill=\"none\" stroke-width=\"1.5\"");
      label_x = std::max(label_x, high);
    }
    if (!bars.stacked) {
      canvas.text(label_x + 7, bar_top + thick / 2 + 4.5, fitted(label(r, i), 260, Face::label), Face::label,
                  Align::left, fmt::format("t{}", i));
      bar_top += thick;
    }
    if (bars.stacked) from += v;
  }
  if (bars.stacked || drawn(r) == 0)
    canvas.text(value.at(from) + 7, y + thick / 2 + 4.5,
                fitted(drawn(r) == 0 && r.label.empty() ? "none" : label(r, 0), 260, Face::label), Face::label);
}

}  // namespace

double draw_body(Canvas& canvas, const Bars& bars, double width, double top) {
  BarsDrawing d{canvas, bars, width};
  d.top = d.key(top) + 6;
  d.lay_out();
  double y = d.top + d.gap / 2;
  for (const BarRow& r : bars.rows) y += d.row_height(r) + d.gap;
  d.bottom = bars.rows.empty() ? d.top + 60 : y - d.gap / 2;
  d.frame();
  y = d.top + d.gap / 2 + 1;
  for (const BarRow& r : bars.rows) {
    d.row(r, y);
    y += d.row_height(r) + d.gap;
  }
  if (bars.rows.empty())
    canvas.text((d.left + width) / 2, d.top + 34, "nothing to draw", Face::tick, Align::middle, "q");
  return d.bottom + 44;
}

}  // namespace kvroof
