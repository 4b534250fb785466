// Charts: bytes that don't move, pictures that stay readable whatever they are given, and the terminal's bars.
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include "catalog/catalog.h"
#include "cli/figures.h"
#include "program.h"
#include "render/bar.h"
#include "render/chart.h"
#include "render/palette.h"

using namespace kvroof;

namespace {

Plot curves(std::vector<Series> series, bool log) {
  return {{.title = "batch", .key = "batch", .unit = AxisUnit::doublings, .log = log},
          {.title = "time", .key = "seconds", .unit = AxisUnit::seconds, .log = log},
          std::move(series)};
}

Chart chart_of(std::variant<Plot, Bars> body) { return {"test", "Title", "subtitle", {}, std::move(body)}; }

std::string run(const std::string& arguments, int exit_code = 0, const std::string& environment = "") {
  program::Run r =
      program::shell("COLUMNS=80 NO_COLOR=1 " + environment + " " + program::binary() + " " + arguments + " 2>&1");
  INFO(arguments << "\n" << r.out.substr(0, 2000));
  CHECK(r.exit_code == exit_code);
  return r.out;
}

/// Every text lies in the picture and on no other text.
void check_layout(const Drawing& d) {
  for (std::size_t i = 0; i < d.texts.size(); ++i) {
    const Box& a = d.texts[i];
    INFO("text " << i << ": " << a.left << "," << a.top << " to " << a.right << "," << a.bottom);
    CHECK(a.left >= 0);
    CHECK(a.top >= 0);
    CHECK(a.right <= d.width);
    CHECK(a.bottom <= d.height);
    for (std::size_t j = 0; j < i; ++j) {
      INFO("and text " << j << ": " << d.texts[j].left << "," << d.texts[j].top << " to " << d.texts[j].right << ","
                       << d.texts[j].bottom);
      CHECK_FALSE(a.overlaps(d.texts[j]));
    }
  }
}

/// Opening and closing tags pair up and no bare markup is left in texts.
void check_xml(const std::string& svg) {
  std::vector<std::string> open;
  for (std::size_t at = 0; (at = svg.find('<', at)) != std::string::npos;) {
    std::size_t end = svg.find('>', at);
    REQUIRE(end != std::string::npos);
    std::string tag = svg.substr(at + 1, end - at - 1);
    REQUIRE(tag.find('<') == std::string::npos);
    if (tag[0] == '/') {
      REQUIRE_FALSE(open.empty());
      CHECK(open.back() == tag.substr(1));
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(tag.substr(0, tag.find(' ')));
    }
    at = end;
  }
  CHECK(open.empty());
  CHECK(svg.find("nan") == std::string::npos);
  CHECK(svg.find("inf") == std::string::npos);
}

double luminance(const std::string& hex) {
  auto channel = [&](int i) {
    double c = std::stoi(hex.substr(std::size_t(1 + 2 * i), 2), nullptr, 16) / 255.0;
    return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
  };
  return 0.2126 * channel(0) + 0.7152 * channel(1) + 0.0722 * channel(2);
}

double contrast(const std::string& a, const std::string& b) {
  double x = luminance(a), y = luminance(b);
  return (std::max(x, y) + 0.05) / (std::min(x, y) + 0.05);
}

TEST_CASE("a coordinate is rounded once and printed the same everywhere") {
  struct {
    double value;
    const char* text;
  } rows[] = {{0, "0"},      {-0.0, "0"}, {-0.04, "0"},       {0.05, "0.1"},   {0.05 - 1e-9, "0.1"},
              {1.25, "1.3"}, {12, "12"},  {-3.14159, "-3.1"}, {719.96, "720"}, {100.0 / 3, "33.3"}};
  for (auto& row : rows) CHECK(px(row.value) == row.text);
}

TEST_CASE("the bytes of a tiny chart") {
  Chart chart{
      "tiny", "Tiny", "", {}, curves({{.name = "a<b", .points = {{.x = 1, .y = 0.001}, {.x = 2, .y = 0.003}}}}, false)};
  std::string svg = draw(chart).svg;
  std::size_t style = svg.find("<style>"), after = svg.find("</style>");
  REQUIRE(style != std::string::npos);
  CHECK(
      svg.substr(0, style) + svg.substr(after + 8) ==
      R"(<svg xmlns="http://www.w3.org/2000/svg" class="kvroof" width="720" height="423" viewBox="0 0 720 423" role="img">
<title>Tiny</title>
<desc>time against batch. Series: a&lt;b.</desc>

<rect class="bg" width="720" height="423"/>
<text x="16" y="36" class="T">Tiny</text>
<text x="16" y="73" class="q">time</text>
<path class="g" d="M76.3 363L700 363"/>
<text x="68.3" y="368" class="q" text-anchor="end">0</text>
<path class="g" d="M76.3 317.7L700 317.7"/>
<text x="68.3" y="322.7" class="q" text-anchor="end">500 us</text>
<path class="g" d="M76.3 272.3L700 272.3"/>
<text x="68.3" y="277.3" class="q" text-anchor="end">1 ms</text>
<path class="g" d="M76.3 227L700 227"/>
<text x="68.3" y="232" class="q" text-anchor="end">1.5 ms</text>
<path class="g" d="M76.3 181.7L700 181.7"/>
<text x="68.3" y="186.7" class="q" text-anchor="end">2 ms</text>
<path class="g" d="M76.3 136.3L700 136.3"/>
<text x="68.3" y="141.3" class="q" text-anchor="end">2.5 ms</text>
<path class="g" d="M76.3 91L700 91"/>
<text x="68.3" y="96" class="q" text-anchor="end">3 ms</text>
<path class="a" d="M76.3 363L700 363"/>
<path class="a" d="M76.3 363L76.3 368"/>
<text x="76.3" y="384" class="q" text-anchor="middle">0</text>
<path class="a" d="M388.1 363L388.1 368"/>
<text x="388.1" y="384" class="q" text-anchor="middle">1</text>
<path class="a" d="M700 363L700 368"/>
<text x="700" y="384" class="q" text-anchor="middle">2</text>
<text x="388.1" y="406" class="q" text-anchor="middle">batch</text>
<g class="c0">
<path class="s" d="M388.1 272.3L700 91"/>
<path class="f" d="M383.9 272.3a4.2 4.2 0 1 0 8.4 0a4.2 4.2 0 1 0 -8.4 0z"><title>a&lt;b: 1, 1 ms</title></path>
<path class="f" d="M695.8 91a4.2 4.2 0 1 0 8.4 0a4.2 4.2 0 1 0 -8.4 0z"><title>a&lt;b: 2, 3 ms</title></path>
</g>
<text x="394.1" y="292.3" class="L t0 h">a&lt;b</text>
</svg>
)");
}

TEST_CASE("texts keep 4.5:1 in both themes") {
  std::string light = tones()[0].light, dark = tones()[0].dark;
  for (const Ink& ink : inks()) {
    INFO(ink.mark);
    CHECK(contrast(ink.text, light) >= 4.5);
    CHECK(contrast(ink.dark, dark) >= 4.5);
  }
  for (std::size_t i : {1u, 2u}) {
    CHECK(contrast(tones()[i].light, light) >= 4.5);
    CHECK(contrast(tones()[i].dark, dark) >= 4.5);
  }
  CHECK(style_sheet(8).find("var(") == std::string::npos);
}

TEST_CASE("every figure with its defaults: no overlap, valid, small") {
  for (const Figure& figure : figures()) {
    INFO(figure.name);
    FigureRequest request{Catalog::built_in(), {}, {}, {}, {}, {}, {}, {}, {}, {}};
    if (figure.draw == validation) request.tables = {KVROOF_SOURCE "/reports/measured/decode.csv"};
    Chart chart = figure.draw(request);
    CHECK(chart.name == figure.name);
    CHECK(request.left_out.empty());
    Drawing d = draw(chart);
    check_layout(d);
    check_xml(d.svg);
    if (data_of(chart).rows.size() < 100) CHECK(d.svg.size() < 12000);
    CHECK(draw(chart).svg == d.svg);
    CHECK(data_of(chart).rows.size() == json_of(chart)["rows"].size());
    CHECK_FALSE(data_of(chart).rows.empty());
  }
}

TEST_CASE("charts of odd values stay charts") {
  double nan = std::nan(""), infinite = std::numeric_limits<double>::infinity();
  std::string markup = "<&>\"' \x01\xff " + std::string(300, 'W');
  std::vector<Series> sixty;
  for (int i = 0; i < 60; ++i)
    sixty.push_back(
        {.name = "series number " + std::to_string(i), .points = {{.x = 1, .y = 1.0 + i}, {.x = 64, .y = 2.0 + i}}});
  std::vector<std::vector<Series>> cases = {
      {},
      {{.name = "empty"}},
      {{.name = "one point", .points = {{.x = 1, .y = 1}}}},
      {{.name = markup, .points = {{.x = 1, .y = 1, .label = markup}, {.x = 2, .y = 3}}}},
      {{.name = "gaps", .points = {{.x = nan, .y = 1}, {.x = 2, .y = infinite}, {.x = 0, .y = -1}, {.x = 3, .y = 3}}}},
      {{.name = "range", .points = {{.x = 1, .y = 1e-9, .low = nan, .high = 1}, {.x = 1e6, .y = 1e3}}}},
      {{.name = "same", .points = {{.x = 5, .y = 5}, {.x = 5, .y = 5}}}},
      sixty,
  };
  for (const std::vector<Series>& series : cases)
    for (bool log : {false, true})
      for (bool right : {false, true}) {
        Plot plot = curves(series, log);
        plot.names_right = right;
        Chart chart = chart_of(plot);
        chart.title = series.empty() ? "" : series[0].name;
        INFO(chart.title.substr(0, 20) << (log ? " log" : "") << (right ? " right" : ""));
        Drawing d = draw(chart);
        check_xml(d.svg);
        check_layout(d);
        data_of(chart);
        CHECK(json_of(chart).dump(-1, ' ', false, Json::error_handler_t::replace).size() > 20);
      }
  CHECK(drawable(chart_of(curves(sixty, true))).notes ==
        std::vector<std::string>{"8 of 60 series are drawn, the first; the data has all."});
  CHECK(drawable(chart_of(curves(cases[4], true))).notes ==
        std::vector<std::string>{"3 points have no place on these axes and are left out."});
}

TEST_CASE("bars of odd values stay bars") {
  double nan = std::nan(""), infinite = std::numeric_limits<double>::infinity();
  for (bool stacked : {false, true}) {
    Bars bars{{.title = "bytes", .key = "bytes", .unit = AxisUnit::bytes}, "row", {"a", "b"}, {}, stacked};
    check_layout(draw(chart_of(bars)));
    bars.rows = {{"nothing", {nan, nan}},
                 {"zero", {0, 0}},
                 {"huge", {1e15, 1}},
                 {"below", {-1, 5}},
                 {"endless", {infinite, 1e9}},
                 {"too few", {1e12}},
                 {std::string(300, '<'), {3, 4}},
                 {"range", {1e14, nan}, "", {std::pair{5e13, 2e14}}}};
    Drawing d = draw(chart_of(bars));
    check_xml(d.svg);
    check_layout(d);
    for (int i = 0; i < 60; ++i) bars.rows.push_back({"row " + std::to_string(i), {1e12 * i, 1}});
    CHECK(drawable(chart_of(bars)).notes ==
          std::vector<std::string>{"40 of 68 rows are drawn, the first; the data has all."});
  }
}

TEST_CASE("text is measured, cut and escaped by characters") {
  CHECK(escaped("a<b>&\"c\"") == "a&lt;b&gt;&amp;&quot;c&quot;");
  CHECK(escaped("\xff\x01ü\n") == "\xef\xbf\xbd\xef\xbf\xbdü ");
  CHECK(fitted("short", 200, Face::tick) == "short");
  std::string cut = fitted("ääääääääääääääääääääääää", 60, Face::tick);
  CHECK(cut.size() > 3);
  CHECK(cut.substr(cut.size() - 3) == "…");
  CHECK(escaped(cut) == cut);
  CHECK(text_width(cut, Face::tick) <= 60);
}

TEST_CASE("the command: list, data, errors") {
  CHECK(run("chart list").find("kv-vs-context") != std::string::npos);
  CHECK(
      run("chart kv-vs-contxt", 2) ==
      "kvroof: unknown chart 'kv-vs-contxt'; did you mean 'kv-vs-context'?\n  'kvroof chart list' lists all of them\n");
  CHECK(run("chart kv-by-kind --models llama-2-70b --kv-dtype bf16 --format csv") ==
        "kind,series,cache_bytes\nMHA,bf16,10737418240\nGQA-8 (its own),bf16,1342177280\nMQA,bf16,167772160\n"
        "MLA,bf16,377487360\n");
  CHECK(run("chart throughput-vs-batch --kv-dtype bf16,fp8", 2) ==
        "kvroof: --kv-dtype: this chart takes one format; kv-by-kind takes a list\n");
  CHECK(run("chart memory-breakdown --models llama-3.1-405b --on t4 --tp 1", 1).find("nothing is left to draw") !=
        std::string::npos);
  CHECK(run("chart kv-vs-context --models llama-3.1-8b,,qwen3-8b", 2) ==
        "kvroof: --models: 'llama-3.1-8b,,qwen3-8b' has an empty place in its list\n");
  CHECK(run("chart validation", 2) ==
        "kvroof: chart validation: which tables of measured figures?\n"
        "  such as --measured reports/measured/decode.csv\n");
  CHECK(run("chart cost --measured x.csv", 2) == "kvroof: --measured: is for the chart 'validation'\n");
  CHECK(run("chart kv-vs-context | head -c 4") == "<svg");
}

TEST_CASE("png needs rsvg-convert and says so") {
  CHECK(run("chart roofline --format png -o x.png", 2, "PATH=/nonexistent") ==
        "kvroof: --format png: rsvg-convert is not installed\n  apt install librsvg2-bin, or write an .svg\n");
  if (std::system("command -v rsvg-convert >/dev/null 2>&1") == 0)
    CHECK(run("chart roofline --format png | head -c 4") == "\x89PNG");
}

TEST_CASE("terminal bars") {
  CHECK(bar(0, 8, true).empty());
  CHECK(bar(std::nan(""), 8, true).empty());
  CHECK(bar(-1, 8, false).empty());
  CHECK(bar(0.5, 0, true).empty());
  CHECK(bar(1, 4, true) == "████");
  CHECK(bar(7, 4, false) == "####");
  CHECK(bar(0.5, 4, true) == "██");
  CHECK(bar(0.5, 3, true) == "█▌");
  CHECK(bar(1e-9, 8, true) == "▏");
  CHECK(bar(1e-9, 8, false) == "#");
  CHECK(bar(0.99, 2, true) == "██");
}

}  // namespace
