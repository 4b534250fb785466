// Writing SVG: coordinates rounded once, text escaped and measured, and a record of where every text lies.
//
// Bytes must not depend on compiler, optimisation or locale, so a coordinate becomes a whole number of tenths
// before it is printed, and no formatting of doubles takes place. A reader's font is not known, so text is measured
// with the widths of DejaVu Sans, the widest of the fonts a plain stack falls back to.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kvroof {

struct Box {
  double left = 0, top = 0, right = 0, bottom = 0;
  bool overlaps(const Box& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
};

/// A coordinate in tenths of a pixel: `12.3`, `12`, never `-0` or `12.30`.
std::string px(double value);
/// Text for an element: markup escaped, bytes that are not UTF-8 and control characters replaced.
std::string escaped(std::string_view text);

/// What a text is for; decides its size and weight (the classes T, none, n and L of the style sheet).
enum class Face { title, tick, note, label };
enum class Align { left, middle, right };

double text_width(std::string_view text, Face face);
double text_height(Face face);
/// The text, or as much of it as fits the width with an ellipsis.
std::string fitted(std::string_view text, double width, Face face);
/// The text in lines of that width, at most `most` of them.
std::vector<std::string> lines_of(std::string_view text, double width, Face face, int most);
/// Where a text of that alignment lies.
Box text_box(double x, double baseline, std::string_view text, Face face, Align align);

class Canvas {
 public:
  /// `classes` are style-sheet classes beside the face's own, such as `q` or `t0 h`.
  void text(double x, double baseline, std::string_view text, Face face, Align align = Align::left,
            std::string_view classes = "");
  void line(double x0, double y0, double x1, double y1, std::string_view classes, std::string_view more = "");
  void path(const std::string& d, std::string_view classes, std::string_view more = "", std::string_view tip = "");
  void rect(const Box& box, std::string_view classes, std::string_view tip = "");
  void open(std::string_view classes);
  void close() { body_ += "</g>\n"; }

  const std::string& body() const { return body_; }
  const std::vector<Box>& texts() const { return texts_; }

 private:
  std::string body_;
  std::vector<Box> texts_;
};

}  // namespace kvroof
