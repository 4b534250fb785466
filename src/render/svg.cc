#include "render/svg.h"

#include <fmt/format.h>

#include <cmath>

namespace kvroof {
namespace {

/// Bytes of the UTF-8 character at the start of the text; 0 where there is none.
std::size_t character_bytes(std::string_view text) {
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char lead = byte(0);
  std::size_t size = lead < 0x80                   ? 1
                     : lead >= 0xc2 && lead < 0xe0 ? 2
                     : lead >= 0xe0 && lead < 0xf0 ? 3
                     : lead >= 0xf0 && lead < 0xf5 ? 4
                                                   : 0;
  if (size == 0 || text.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  bool overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
  bool outside = (lead == 0xed && byte(1) > 0x9f) || (lead == 0xf4 && byte(1) > 0x8f);
  bool not_xml = lead == 0xef && byte(1) == 0xbf && byte(2) >= 0xbe;
  return overlong || outside || not_xml ? 0 : size;
}

/// Width of a character over the font size, in DejaVu Sans.
double advance(char c, bool wide_script) {
  if (wide_script) return 0.7;
  struct {
    std::string_view characters;
    double width;
  } constexpr rows[] = {{"ilj|'", 0.28}, {" .,:;/I", 0.33}, {"tfr-()[]", 0.4}, {"mMW%@", 0.95}, {"w", 0.82}};
  for (const auto& row : rows)
    if (row.characters.find(c) != std::string_view::npos) return row.width;
  return c >= 'A' && c <= 'Z' ? 0.7 : 0.625;
}

double font_size(Face face) { return face == Face::title ? 20 : face == Face::tick ? 15 : 14; }

constexpr std::string_view class_of[] = {"T", "", "n", "L"};

std::string attribute(std::string_view name, std::string_view value) {
  return value.empty() ? "" : fmt::format(" {}=\"{}\"", name, value);
}

std::string more_of(std::string_view more) { return more.empty() ? "" : " " + std::string(more); }

}  // namespace

std::string px(double value) {
  // A little above the half, so that noise in the last bits can't decide which way a tie goes.
  long long tenths = static_cast<long long>(std::floor(value * 10 + 0.5 + 1e-6));
  unsigned long long size =
      tenths < 0 ? 0ULL - static_cast<unsigned long long>(tenths) : static_cast<unsigned long long>(tenths);
  std::string text = fmt::format("{}{}", tenths < 0 ? "-" : "", size / 10);
  return size % 10 == 0 ? text : text + "." + char('0' + size % 10);
}

std::string escaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    std::size_t bytes = character_bytes(text);
    char c = text.front();
    if (bytes == 0 || (bytes == 1 && static_cast<unsigned char>(c) < 0x20) || c == 0x7f)
      out += c == '\n' || c == '\t' ? " " : "\xef\xbf\xbd";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else
      out += text.substr(0, bytes);
    text.remove_prefix(bytes == 0 ? 1 : bytes);
  }
  return out;
}

double text_width(std::string_view text, Face face) {
  double ems = 0;
  while (!text.empty()) {
    std::size_t bytes = character_bytes(text);
    ems += advance(text.front(), bytes != 1);
    text.remove_prefix(bytes == 0 ? 1 : bytes);
  }
  bool bold = face == Face::title || face == Face::label;
  return ems * font_size(face) * (bold ? 1.11 : 1.0);
}

double text_height(Face face) { return font_size(face); }

std::string fitted(std::string_view text, double width, Face face) {
  if (text_width(text, face) <= width) return std::string(text);
  std::string kept;
  while (!text.empty()) {
    std::size_t bytes = std::max<std::size_t>(1, character_bytes(text));
    std::string longer = kept + std::string(text.substr(0, bytes));
    if (text_width(longer + "…", face) > width) break;
    kept = longer;
    text.remove_prefix(bytes);
  }
  while (!kept.empty() && kept.back() == ' ') kept.pop_back();
  return kept + "…";
}

std::vector<std::string> lines_of(std::string_view text, double width, Face face, int most) {
  std::vector<std::string> lines;
  std::string line;
  while (!text.empty()) {
    std::size_t end = std::min(text.find(' '), text.size());
    std::string longer =
        line.empty() ? std::string(text.substr(0, end)) : line + " " + std::string(text.substr(0, end));
    if (!line.empty() && text_width(longer, face) > width) {
      if (int(lines.size()) + 1 == most) {  // the last line takes the rest, cut short
        lines.push_back(fitted(line + " " + std::string(text), width, face));
        return lines;
      }
      lines.push_back(fitted(line, width, face));
      longer = text.substr(0, end);
    }
    line = longer;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (!line.empty()) lines.push_back(fitted(line, width, face));
  return lines;
}

Box text_box(double x, double baseline, std::string_view text, Face face, Align align) {
  double width = text_width(text, face), size = font_size(face);
  double left = align == Align::left ? x : align == Align::middle ? x - width / 2 : x - width;
  return {left, baseline - 0.76 * size, left + width, baseline + 0.22 * size};
}

void Canvas::text(double x, double baseline, std::string_view text, Face face, Align align, std::string_view classes) {
  if (text.empty()) return;
  texts_.push_back(text_box(x, baseline, text, face, align));
  std::string all(class_of[int(face)]);
  if (!classes.empty()) all += (all.empty() ? "" : " ") + std::string(classes);
  std::string_view anchor = align == Align::left ? "" : align == Align::middle ? "middle" : "end";
  body_ += fmt::format("<text x=\"{}\" y=\"{}\"{}{}>{}</text>\n", px(x), px(baseline), attribute("class", all),
                       attribute("text-anchor", anchor), escaped(text));
}

void Canvas::line(double x0, double y0, double x1, double y1, std::string_view classes, std::string_view more) {
  path(fmt::format("M{} {}L{} {}", px(x0), px(y0), px(x1), px(y1)), classes, more);
}

void Canvas::path(const std::string& d, std::string_view classes, std::string_view more, std::string_view tip) {
  body_ += fmt::format("<path{} d=\"{}\"{}", attribute("class", classes), d, more_of(more));
  body_ += tip.empty() ? "/>\n" : fmt::format("><title>{}</title></path>\n", escaped(tip));
}

void Canvas::rect(const Box& b, std::string_view classes, std::string_view tip) {
  body_ += fmt::format("<rect{} x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"", attribute("class", classes), px(b.left),
                       px(b.top), px(b.right - b.left), px(b.bottom - b.top));
  body_ += tip.empty() ? "/>\n" : fmt::format("><title>{}</title></rect>\n", escaped(tip));
}

void Canvas::open(std::string_view classes) { body_ += fmt::format("<g{}>\n", attribute("class", classes)); }

}  // namespace kvroof
