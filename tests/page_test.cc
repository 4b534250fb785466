// Pages that keep their own answers: what a page says, what is asked for it, and what is refused.
#include "cli/page.h"

#include <catch2/catch.hpp>

#include "catalog/suggest.h"
#include "cli/report_html.h"
#include "program.h"

namespace {

using namespace kvroof;

/// Answers with what it was asked, so that pages show it.
Said echo(const std::vector<std::string>& arguments, bool messages) {
  std::string text;
  for (const std::string& a : arguments) text += (text.empty() ? "" : " ") + a;
  if (arguments[0] == "fails") return {2, messages ? "kvroof: no such thing\n" : ""};
  if (arguments.back() == "json")
    return {0, R"({"a": {"bytes": 3000000000, "text": "x"}, "rows": [{"n": 250}, {"n": 1000}]})"};
  if (arguments.back() == "svg") return {0, "<svg><title>A picture</title></svg>\n"};
  if (arguments.back() == "markdown") return {0, "## One\n\n" + text + "\n\n## Two\n\nsecond\n\n"};
  return {1, text + "\n" + (messages ? "aside\n" : "")};
}

std::string page(const std::string& text) { return rewritten("p.md", text, echo).text; }

std::string refused(const std::string& text) {
  try {
    rewritten("p.md", text, echo);
  } catch (const InputError& e) { return e.message; }
  return "";
}

TEST_CASE("a console block holds all that its commands print, and nothing else changes") {
  CHECK(page("words\n```console\n$ kvroof kv 'a b' --x\nold\nolder\n$ ./dev kvroof plan\n$ ls\nfiles\n```\nmore\n") ==
        "words\n```console\n$ kvroof kv 'a b' --x\nkv a b --x\naside\n$ ./dev kvroof plan\nplan\naside\n$ "
        "ls\nfiles\n```\n"
        "more\n");
  CHECK(page("```\n$ kvroof kv\n<!-- kvroof kv -->\n```\n") == "```\n$ kvroof kv\n<!-- kvroof kv -->\n```\n");
}

TEST_CASE("a block holds the answer as Markdown, with headings below the page's own") {
  CHECK(page("## Mine\n<!-- kvroof kv m -->\nold\n<!-- end -->\n") ==
        "## Mine\n<!-- kvroof kv m -->\n`kvroof kv m`\n\n### One\n\nkv m --format markdown\n\n### Two\n\nsecond\n"
        "<!-- end -->\n");
  CHECK(page("# Mine\n<!-- kvroof kv m # Two -->\n<!-- end -->\n") ==
        "# Mine\n<!-- kvroof kv m # Two -->\n`kvroof kv m`\n\nsecond\n<!-- end -->\n");
}

TEST_CASE("a chart is drawn beside the page") {
  Rewritten r = rewritten("p.md", "<!-- kvroof chart cost --on x -o mine.svg -->\n<!-- end -->\n", echo);
  CHECK(r.text == "<!-- kvroof chart cost --on x -o mine.svg -->\n![A picture](mine.svg)\n<!-- end -->\n");
  REQUIRE(r.charts.size() == 1);
  CHECK(r.charts[0].first == "mine.svg");
  CHECK(r.charts[0].second == "<svg><title>A picture</title></svg>\n");
}

TEST_CASE("figures are quoted within a sentence, with their unit") {
  std::string defined = "<!-- kvroof $L kv m -->\n";
  CHECK(page(defined +
             "It is <!-- $L/a/bytes GB -->9 GB<!-- end -->, <!-- $L/rows/1/n : $L/rows/0/n x --><!-- end -->.\n") ==
        defined +
            "It is <!-- $L/a/bytes GB -->3 GB<!-- end -->, <!-- $L/rows/1/n : $L/rows/0/n x -->4x<!-- end -->.\n");
  CHECK(page(defined + "| <!-- $L/rows/0/n : $L/rows/1/n % -->?<!-- end --> |\n") ==
        defined + "| <!-- $L/rows/0/n : $L/rows/1/n % -->25 %<!-- end --> |\n");
}

TEST_CASE("a page that is up to date stays as it is, and changes name their line") {
  std::string text =
      "# P\n<!-- kvroof $L kv m -->\n<!-- kvroof kv m # Two -->\n<!-- end -->\nsize <!-- $L/a/bytes MB -->1 MB<!-- end "
      "-->\n";
  Rewritten once = rewritten("p.md", text, echo);
  REQUIRE(once.changes.size() == 2);
  CHECK(once.changes[0].line == 3);
  CHECK(once.changes[0].command == "kvroof kv m # Two");
  CHECK(once.changes[1].line == 5);
  CHECK(once.changes[1].after == "3,000 MB\n");
  Rewritten twice = rewritten("p.md", once.text, echo);
  CHECK(twice.text == once.text);
  CHECK(twice.changes.empty());
}

TEST_CASE("the same answer is asked for once") {
  int asked = 0;
  rewritten("p.md",
            "<!-- kvroof $L kv m -->\na <!-- $L/a/bytes GB --><!-- end --> b <!-- $L/a/bytes MB --><!-- end -->\n",
            [&](const std::vector<std::string>& arguments, bool messages) {
              ++asked;
              return echo(arguments, messages);
            });
  CHECK(asked == 1);
}

TEST_CASE("what a page can't ask is said at its line") {
  struct {
    const char* text;
    const char* message;
  } rows[] = {
      {"a\n<!-- kvroof kv m -->\nb\n", "p.md:2: no <!-- end --> follows\n"},
      {"```console\n$ kvroof kv | head\n```\n", "p.md:2: '|' is a shell's; a page runs kvroof alone\n"},
      {"```console\n$ kvroof kv 'm\n```\n", "p.md:2: a quotation mark is open\n"},
      {"```console\n$ kvroof kv m\n", "p.md:1: this block is never closed\n"},
      {"<!-- kvroof sweep m -o f.md -->\n<!-- end -->\n", "p.md:1: '-o' writes a file; a page only asks\n"},
      {"```console\n$ kvroof check s.yaml --update\n```\n", "p.md:2: '--update' writes a file; a page only asks\n"},
      {"<!-- kvroof report -->\n<!-- end -->\n", "p.md:1: a page can't rewrite pages\n"},
      {"<!-- kvroof measure -->\n<!-- end -->\n", "p.md:1: measure answers differently each time\n"},
      {"<!-- kvroof fails -->\n<!-- end -->\n", "p.md:1: no such thing\n"},
      {"<!-- kvroof kv m # Three -->\n<!-- end -->\n", "p.md:1: the answer has no section 'Three'\n"},
      {"<!-- kvroof chart cost -o ../x.svg -->\n<!-- end -->\n",
       "p.md:1: -o: '../x.svg' should be an .svg beside the page\n"},
      {"<!-- kvroof chart a -->\n<!-- end -->\n<!-- kvroof chart a -->\n<!-- end -->\n",
       "p.md:3: a.svg is drawn twice\n"},
      {"<!-- kvroof $ kv -->\n", "p.md:1: expected $NAME and a command\n"},
      {"a <!-- $N/a x -->1<!-- end -->\n", "p.md:1: '$N/a' is not $NAME/PATH of an answer named above\n"},
      {"<!-- kvroof $N kv -->\na <!-- $N/nosuch x -->1<!-- end -->\n", "p.md:2: the answer has no number at /nosuch\n"},
      {"<!-- kvroof $N kv -->\na <!-- $N/a/text x -->1<!-- end -->\n", "p.md:2: the answer has no number at /a/text\n"},
      {"<!-- kvroof $N kv -->\na <!-- $N/rows/0/n ell -->1<!-- end -->\n",
       "p.md:2: 'ell' is not one of size, GB, MB, time, x, %, tok/s, number, $, params\n"},
      {"a\n<!-- $N/a x -->1<!-- end --> b\n",
       "p.md:2: a figure can't begin a line: Markdown would take all of the line for HTML\n"},
      {"<!-- kvroof $N kv -->\na <!-- $N/rows/0/n x -->1\n", "p.md:2: no <!-- end --> follows on this line\n"},
  };
  for (const auto& row : rows) {
    INFO(row.text);
    CHECK(refused(row.text) == row.message);
  }
}

TEST_CASE("readers see no commands") {
  CHECK(without_commands(
            "a <!-- $L/x GB -->3 GB<!-- end --> b\n<!-- kvroof kv -->\nt\n<!-- end -->\n```\n<!-- x -->\n```\n") ==
        "a 3 GB b\nt\n```\n<!-- x -->\n```\n");
}

TEST_CASE("one HTML file: charts stand in it, links lead within it, and nothing is fetched") {
  std::string html =
      html_of("r", {{"README.md",
                     "# Index\n[claims](claims.md), [rows](measured/a.csv), [out](https://example.org)\n\n"
                     "| a |\n| --- |\n| <b> |\n",
                     {}},
                    {"claims.md",
                     "# Claims & more\n![alt](x.svg)\n\n![gone](y.svg)\n",
                     {{"x.svg", "<svg class=\"kvroof\"></svg>\n"}}}});
  CHECK(html.find("<a href=\"#claims\">claims</a>, rows, <a href=\"https://example.org\">out</a>") !=
        std::string::npos);
  CHECK(html.find("<div class=\"wide\"><svg class=\"kvroof\"></svg>\n</div>") != std::string::npos);
  CHECK(html.find("<div class=\"wide\"><table>") != std::string::npos);
  CHECK(html.find("<nav><a href=\"#README\">Index</a><a href=\"#claims\">Claims &amp; more</a></nav>") !=
        std::string::npos);
  CHECK(html.find("<img") == std::string::npos);
  CHECK(html.find("src=") == std::string::npos);
  CHECK(html.find("gone") != std::string::npos);
}

TEST_CASE("report writes, compares and says what would change") {
  namespace fs = std::filesystem;
  fs::path folder = fs::temp_directory_path() / ("kvroof_report_" + std::to_string(getpid()));
  fs::create_directories(folder);
  std::ofstream(folder / "a.md")
      << "# A\n<!-- kvroof $L kv llama-2-70b --context 4k -->\nIt takes <!-- $L/at/0/bytes GB "
         "-->2.5 GB<!-- end -->.\n\n<!-- kvroof chart kv-by-kind -->\n<!-- end -->\n";
  std::ofstream(folder / "scenarios.yaml") << "scenarios:\n  - {name: one, model: llama-3.1-8b, hardware: h100-sxm}\n";
  std::string path = folder.string();
  program::Run diff = program::run("report --diff " + path);
  CHECK(diff.exit_code == 1);
  CHECK(diff.out == path + "/a.md:3: $L/at/0/bytes GB\n  - 2.5 GB\n  + 1.34 GB\n" + path +
                        "/a.md:5: kvroof chart kv-by-kind\n"
                        "  + ![KV cache by kind of attention: Llama 2 70B](kv-by-kind.svg)\n" +
                        path + "/kv-by-kind.svg: is not there\n" + path +
                        "/estimates.csv: is not there\n3 files, 3 would change\n");
  CHECK(program::run("report " + path).exit_code == 0);
  CHECK(program::run("report --diff " + path).out == "3 files, 0 would change\n");
  std::ofstream(folder / "kv-by-kind.svg") << "<svg/>\n";
  CHECK(program::run("report --diff " + path).exit_code == 1);
  CHECK(program::run("report " + path + "/nosuch").out ==
        "kvroof: " + path + "/nosuch: expected a folder, or a page that ends in .md\n");
  CHECK(program::run("report " + path + "/nosuch.md").exit_code == 2);
  fs::remove_all(folder);
}

}  // namespace
