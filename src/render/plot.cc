// Curves and points over two axes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "render/chart.h"
#include "render/label.h"
#include "render/palette.h"

namespace kvroof {
namespace {

constexpr double plot_height = 330;
constexpr double most_margin = 256;

std::string at(double x, double y) { return px(x) + " " + px(y); }

/// Every series has a shape of its own beside its colour.
std::string marker(int shape, double x, double y) {
  switch (shape % 4) {
    case 1: return fmt::format("M{}h8v8h-8z", at(x - 4, y - 4));
    case 2: return fmt::format("M{}l5.2 5.2l-5.2 5.2l-5.2 -5.2z", at(x, y - 5.2));
    case 3: return fmt::format("M{}l5.2 9h-10.4z", at(x, y - 5.6));
    default: return fmt::format("M{}a4.2 4.2 0 1 0 8.4 0a4.2 4.2 0 1 0 -8.4 0z", at(x - 4.2, y));
  }
}

const std::string& shown_name(const Series& s) { return s.label.empty() ? s.name : s.label; }

struct PlotDrawing {
  Canvas& canvas;
  const Plot& plot;
  Scale x = {}, y = {};
  Box area = {};
  double right_edge = 0;
  std::vector<int> ink = {};
  std::vector<Stroke> strokes = {};
  std::vector<Box> points = {};

  Spot spot(const Point& p) const { return {x.at(p.x), y.at(p.y)}; }
  void lay_out(double width, double top);
  void frame();
  void band(const Series& s);
  void curve(const Series& s);
  void markers(const Series& s, int shape);
  void names();
};

void PlotDrawing::lay_out(double width, double top) {
  std::vector<double> xs, ys;
  int place = 0;
  for (const Series& s : plot.series) {
    ink.push_back(s.ink.value_or(place++) % int(inks().size()));
    for (const Point& p : s.points) {
      xs.push_back(p.x);
      ys.push_back(p.y);
      if (p.low) ys.push_back(*p.low);
      if (p.high) ys.push_back(*p.high);
    }
  }
  area = {0, top + 34, 0, top + 34 + plot_height - 52};
  y = scale_over(plot.y, ys, area.bottom, area.top + 6, 7);
  if (plot.y.log) y.start -= 8;
  double ticks = 0, names_width = 0;
  for (double t : y.ticks) ticks = std::max(ticks, text_width(tick_text(plot.y, t), Face::tick));
  for (const Series& s : plot.series)
    if (s.named)
      names_width =
          std::max(names_width, text_width(fitted(shown_name(s), most_margin - 16, Face::label), Face::label));
  area.left = 16 + ticks + 8;
  right_edge = width - 12;
  area.right = plot.names_right ? right_edge - std::min(most_margin, names_width + 16) : right_edge - 8;
  double inset = plot.x.log ? 10 : 0;
  x = scale_over(plot.x, xs, area.left + inset, area.right - inset, 10);
}

void PlotDrawing::frame() {
  canvas.text(16, area.top - 12, plot.y.title + (plot.y.log ? ", log scale" : ""), Face::tick, Align::left, "q");
  for (double t : y.ticks) {
    double at_y = y.at(t);
    canvas.line(area.left, at_y, area.right, at_y, "g");
    canvas.text(area.left - 8, at_y + 5, tick_text(plot.y, t), Face::tick, Align::right, "q");
  }
  canvas.line(area.left, area.bottom, area.right, area.bottom, "a");
  std::size_t stride = x.text_stride();
  for (std::size_t i = 0; i < x.ticks.size(); ++i) {
    std::string text = tick_text(plot.x, x.ticks[i]);
    double at_x = x.at(x.ticks[i]), half = text_width(text, Face::tick) / 2;
    canvas.line(at_x, area.bottom, at_x, area.bottom + 5, "a");
    // A text at the right edge moves in rather than out of the picture.
    if (i % stride == 0)
      canvas.text(std::min(at_x, right_edge + 8 - half), area.bottom + 21, text, Face::tick, Align::middle, "q");
  }
  canvas.text((area.left + area.right) / 2, area.bottom + 43, plot.x.title + (plot.x.log ? ", log scale" : ""),
              Face::tick, Align::middle, "q");
}

void PlotDrawing::band(const Series& s) {
  std::string there, back;
  for (const Point& p : s.points) {
    if (!p.low || !p.high) continue;
    double at_x = x.at(p.x);
    there += (there.empty() ? "M" : "L") + at(at_x, y.at(*p.high));
    back = "L" + at(at_x, y.at(*p.low)) + back;
  }
  if (!there.empty()) canvas.path(there + back + "z", "b");
}

void PlotDrawing::curve(const Series& s) {
  std::string d;
  for (std::size_t i = 0; i < s.points.size(); ++i) {
    Spot here = spot(s.points[i]);
    d += (d.empty() ? "M" : "L") + at(here.x, here.y);
    if (i > 0) strokes.push_back({spot(s.points[i - 1]), here});
  }
  if (s.points.size() > 1) canvas.path(d, "s", s.dashed ? "stroke-dasharray=\"7 5\"" : "");
  if (s.ends && !s.points.empty()) {
    Spot last = spot(s.points.back());
    canvas.line(last.x, last.y - 10, last.x, last.y + 10, "s");
    points.push_back({last.x - 3, last.y - 11, last.x + 3, last.y + 11});
  }
}

void PlotDrawing::markers(const Series& s, int shape) {
  for (const Point& p : s.points) {
    Spot here = spot(p);
    if (!s.joined && p.low && p.high) {
      double low = y.at(*p.low), high = y.at(*p.high);
      canvas.path(fmt::format("M{}H{}M{}V{}M{}H{}", at(here.x - 4, high), px(here.x + 4), at(here.x, high), px(low),
                              at(here.x - 4, low), px(here.x + 4)),
                  "e");
    }
    std::string tip = fmt::format("{}{}: {}, {}", s.name, p.label.empty() ? "" : ", " + p.label, words_of(plot.x, p.x),
                                  words_of(plot.y, p.y));
    if (p.low && p.high) tip += fmt::format(" (80 %: {} to {})", words_of(plot.y, *p.low), words_of(plot.y, *p.high));
    canvas.path(marker(shape, here.x, here.y), "f", "", tip);
    points.push_back({here.x - 5, here.y - 5, here.x + 5, here.y + 5});
  }
}

void PlotDrawing::names() {
  std::vector<Label> labels;
  for (std::size_t i = 0; i < plot.series.size(); ++i) {
    const Series& s = plot.series[i];
    if (s.points.empty()) continue;
    for (const Point& p : s.points)
      if (!p.mark.empty()) labels.push_back({fitted(p.mark, 200, Face::label), {spot(p)}, ink[i], false});
    if (!s.named) continue;
    Label label{fitted(shown_name(s), plot.names_right ? most_margin - 16 : 320, Face::label), {}, ink[i], false};
    Spot last = spot(s.points[std::min(s.name_at.value_or(s.points.size()), s.points.size() - 1)]);
    label.right_only = plot.names_right && last.x > area.right - 24;
    label.anchors.push_back(last);
    if (!label.right_only)
      for (std::size_t n = s.points.size() - 1; n-- > 0;) label.anchors.push_back(spot(s.points[n]));
    labels.push_back(label);
  }
  Box room{area.left + 2, area.top - 4, right_edge + 6, area.bottom - 2};
  std::vector<PlacedLabel> placed = place_labels(labels, strokes, points, room);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const PlacedLabel& p = placed[i];
    // A label far from what it names is tied to it by a thin line.
    Spot near{std::clamp(p.anchor.x, p.box.left, p.box.right), std::clamp(p.anchor.y, p.box.top, p.box.bottom)};
    double gap = std::hypot(near.x - p.anchor.x, near.y - p.anchor.y);
    if (gap > 20) {
      double cut = 7 / gap, off = 3 / gap;
      canvas.open(fmt::format("c{}", labels[i].ink));
      Spot from{near.x + (p.anchor.x - near.x) * off, near.y + (p.anchor.y - near.y) * off};
      Spot to{p.anchor.x + (near.x - p.anchor.x) * cut, p.anchor.y + (near.y - p.anchor.y) * cut};
      canvas.line(from.x, from.y, to.x, to.y, "e");
      canvas.close();
    }
    canvas.text(p.at.x, p.at.y, labels[i].text, Face::label, Align::left, fmt::format("t{} h", labels[i].ink));
  }
}

}  // namespace

double draw_body(Canvas& canvas, const Plot& plot, double width, double top) {
  PlotDrawing d{canvas, plot};
  d.lay_out(width, top);
  d.frame();
  auto each = [&](auto draw) {
    for (std::size_t i = 0; i < plot.series.size(); ++i) {
      if (plot.series[i].points.empty()) continue;
      canvas.open(fmt::format("c{}", d.ink[i]));
      draw(plot.series[i], int(i));
      canvas.close();
    }
  };
  bool bands = std::any_of(plot.series.begin(), plot.series.end(), [](const Series& s) {
    return s.joined && std::any_of(s.points.begin(), s.points.end(), [](const Point& p) { return p.low.has_value(); });
  });
  if (bands)
    each([&](const Series& s, int) {
      if (s.joined) d.band(s);
    });
  each([&](const Series& s, int i) {
    if (s.joined) d.curve(s);
    if (s.marked) d.markers(s, d.ink[std::size_t(i)]);
  });
  d.names();
  if (std::all_of(plot.series.begin(), plot.series.end(), [](const Series& s) { return s.points.empty(); }))
    canvas.text((d.area.left + d.area.right) / 2, (d.area.top + d.area.bottom) / 2, "nothing to draw", Face::tick,
                Align::middle, "q h");
  return d.area.bottom + 46;
}

}  // namespace kvroof
