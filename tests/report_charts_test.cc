// The charts that stand in reports/, as they lie there: readable, well formed and small.
#include <catch2/catch.hpp>
#include <filesystem>
#include <map>
#include <regex>

#include "catalog/text_file.h"
#include "render/svg.h"

namespace {

using namespace kvroof;

std::map<std::string, std::string> charts() {
  std::map<std::string, std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(KVROOF_SOURCE "/reports"))
    if (entry.path().extension() == ".svg")
      found[entry.path().filename().string()] = read_text_file(entry.path().string(), "a chart");
  return found;
}

struct Text {
  std::string words;
  Box box;
};

std::string plain(std::string text) {
  for (auto [mark, letter] : {std::pair("&lt;", "<"), {"&gt;", ">"}, {"&quot;", "\""}, {"&amp;", "&"}})
    for (std::size_t at; (at = text.find(mark)) != std::string::npos;)
      text.replace(at, std::string(mark).size(), letter);
  return text;
}

/// Every text of a chart and where it lies, by its place, class and anchor.
std::vector<Text> texts_of(const std::string& svg) {
  static const std::regex element(
      R"re(<text x="([-0-9.]+)" y="([-0-9.]+)"(?: class="([^"]*)")?(?: text-anchor="([a-z]+)")?>([^<]*)</text>)re");
  std::vector<Text> texts;
  for (std::sregex_iterator m(svg.begin(), svg.end(), element), end; m != end; ++m) {
    std::string classes = " " + (*m)[3].str() + " ", anchor = (*m)[4];
    auto has = [&](const char* name) { return classes.find(" " + std::string(name) + " ") != std::string::npos; };
    Face face = has("T") ? Face::title : has("n") ? Face::note : has("L") ? Face::label : Face::tick;
    Align align = anchor == "middle" ? Align::middle : anchor == "end" ? Align::right : Align::left;
    std::string words = plain((*m)[5]);
    texts.push_back({words, text_box(std::stod((*m)[1]), std::stod((*m)[2]), words, face, align)});
  }
  return texts;
}

std::size_t times(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++found;
  return found;
}

TEST_CASE("no text of a report's chart lies on another or beyond the edge") {
  std::size_t seen = 0;
  for (const auto& [name, svg] : charts()) {
    std::vector<Text> texts = texts_of(svg);
    INFO(name);
    CHECK(texts.size() == times(svg, "<text "));
    seen += texts.size();
    double height = std::stod(svg.substr(svg.find("height=\"") + 8));
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const Box& b = texts[i].box;
      INFO(texts[i].words);
      CHECK(b.left >= 0);
      CHECK(b.right <= 720.5);
      CHECK(b.top >= 0);
      CHECK(b.bottom <= height);
      for (std::size_t k = i + 1; k < texts.size(); ++k) {
        INFO(texts[k].words);
        CHECK_FALSE(b.overlaps(texts[k].box));
      }
    }
  }
  CHECK(seen > 200);
}

TEST_CASE("a report's chart of under a hundred points is under 12 KB") {
  CHECK(charts().size() >= 12);
  for (const auto& [name, svg] : charts()) {
    INFO(name);
    if (times(svg, "<title>") - 1 < 100) CHECK(svg.size() < 12288);
    CHECK(times(svg, "role=\"img\"") == 1);
    CHECK(times(svg, "<desc>") == 1);
    CHECK(svg.find("var(") == std::string::npos);
    CHECK(svg.find("http", svg.find("xmlns=") + 40) == std::string::npos);
  }
}

}  // namespace
