// `kvroof report`: asks again for every answer that stands in pages of Markdown, and writes what has changed.
//
// A report is a folder of pages with commands in them (cli/page.h). Beside scenarios.yaml it also keeps estimates.csv,
// every figure of every scenario. Answers don't depend on who asks: settings, terminal and locale have no say in them.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <sstream>

#include "catalog/text_file.h"
#include "cli/answers.h"
#include "cli/commands.h"
#include "cli/judged.h"
#include "cli/options.h"
#include "cli/page.h"
#include "cli/program.h"
#include "cli/report_html.h"

namespace kvroof {
namespace {

namespace fs = std::filesystem;

struct ReportOptions {
  std::vector<std::string> paths;
  std::string html;
  bool diff = false, quiet = false;
};

/// Sends a stream elsewhere while it lives.
class Redirected {
 public:
  Redirected(std::ostream& stream, std::streambuf* to) : stream_(stream), before_(stream.rdbuf(to)) {}
  ~Redirected() { stream_.rdbuf(before_); }
  Redirected(const Redirected&) = delete;
  Redirected& operator=(const Redirected&) = delete;

 private:
  std::ostream& stream_;
  std::streambuf* before_;
};

Said ask(const std::vector<std::string>& arguments, bool messages) {
  std::ostringstream said, aside;
  Redirected out(std::cout, said.rdbuf());
  Redirected err(std::cerr, messages ? said.rdbuf() : aside.rdbuf());
  int exit_code = run_program(arguments, false);
  return {exit_code, std::move(said).str()};
}

std::string read_or_empty(const std::string& path) { return fs::exists(path) ? read_text_file(path, "a file") : ""; }

/// A file of the report as it should be, and what of it changes.
struct Kept {
  std::string path, before, after;
  std::vector<Change> changes;  ///< empty of a file that is wholly ours
  bool same() const { return before == after; }
};

struct Folder {
  std::string path;
  std::vector<std::string> pages;
};

/// Every page asked for: a folder's own, README.md first, or one alone.
std::vector<Folder> folders_of(const ReportOptions& o) {
  std::vector<Folder> folders;
  for (const std::string& path : o.paths) {
    if (!fs::is_directory(path)) {
      if (!path.ends_with(".md")) throw InputError{path + ": expected a folder, or a page that ends in .md\n"};
      folders.push_back({"", {path}});
      continue;
    }
    Folder folder{path, {}};
    for (const auto& entry : fs::directory_iterator(path))
      if (entry.path().extension() == ".md") folder.pages.push_back(entry.path().string());
    auto order = [](const std::string& page) { return std::pair(fs::path(page).filename() != "README.md", page); };
    std::sort(folder.pages.begin(), folder.pages.end(),
              [&](const std::string& a, const std::string& b) { return order(a) < order(b); });
    if (folder.pages.empty()) throw InputError{path + ": holds no page that ends in .md\n"};
    folders.push_back(folder);
  }
  return folders;
}

/// scenario, metric, value: all that the scenarios beside the pages answer.
std::string estimates_csv(const std::string& scenarios) {
  ScenarioFile file = read_scenarios(scenarios);
  Answers answers = answer_all(file, Catalog::built_in());
  throw_unanswered(file, answers);
  std::string text = "scenario,metric,value\n";
  for (const Scenario& s : file.scenarios) {
    const Answer& a = answers.by_name.at(s.name);
    for (std::size_t i = 0; i < judged().size(); ++i)
      if (a.figures[i])
        text += fmt::format(
            "{},{},{}\n", csv_field(s.name), judged()[i].key,
            judged()[i].exact() ? fmt::format("{:.0f}", *a.figures[i]) : fmt::format("{:.9g}", *a.figures[i]));
  }
  return text;
}

/// The page as it will stand, with the pictures of its folder.
ReportPage html_page(const std::string& page, const Rewritten& now) {
  fs::path folder = fs::path(page).parent_path();
  ReportPage shown{fs::path(page).filename().string(), without_commands(now.text), {}};
  for (const auto& entry : fs::directory_iterator(folder.empty() ? "." : folder))
    if (entry.path().extension() == ".svg")
      shown.charts[entry.path().filename().string()] = read_text_file(entry.path().string(), "a chart");
  for (const auto& [name, svg] : now.charts) shown.charts[name] = svg;
  return shown;
}

class Report {
 public:
  explicit Report(bool html) : html_(html) {}

  void add(const std::string& page) {
    std::string text = read_text_file(page, "a page");
    Rewritten now = rewritten(page, text, ask);
    fs::path folder = fs::path(page).parent_path();
    kept_.push_back({page, text, now.text, now.changes});
    for (const auto& [name, svg] : now.charts) {
      std::string path = (folder / name).string();
      for (const Kept& k : kept_)
        if (k.path == path && k.after != svg)
          throw InputError{page + ": another page draws a different " + name + "\n"};
      kept_.push_back({path, read_or_empty(path), svg, {}});
    }
    if (html_) pages_.push_back(html_page(page, now));
  }

  void add_estimates(const std::string& scenarios) {
    std::string path = (fs::path(scenarios).parent_path() / "estimates.csv").string();
    kept_.push_back({path, read_or_empty(path), estimates_csv(scenarios), {}});
  }

  const std::vector<Kept>& kept() const { return kept_; }
  const std::vector<ReportPage>& pages() const { return pages_; }

 private:
  bool html_;
  std::vector<Kept> kept_;
  std::vector<ReportPage> pages_;
};

/// The lines between what both texts begin and end with, and how many those are; long ones and many are cut.
void show(const std::string& before, const std::string& after) {
  std::vector<std::string> a = lines_of(before), b = lines_of(after);
  std::size_t first = 0, last = 0, most = std::min(a.size(), b.size());
  while (first < most && a[first] == b[first]) ++first;
  while (last < most - first && a[a.size() - 1 - last] == b[b.size() - 1 - last]) ++last;
  auto side = [&](char sign, const std::vector<std::string>& lines) {
    constexpr std::size_t shown = 12, columns = 160;
    std::size_t end = lines.size() - last;
    for (std::size_t i = first; i < std::min(end, first + shown); ++i)
      std::cout << "  " << sign << " " << lines[i].substr(0, columns) << (lines[i].size() > columns ? " ..." : "")
                << "\n";
    if (end > first + shown) std::cout << "  " << sign << " ... and " << end - first - shown << " more lines\n";
  };
  side('-', a);
  side('+', b);
}

void show(const Kept& kept) {
  if (kept.changes.empty()) {
    std::cout << kept.path << (kept.before.empty() ? ": is not there" : "") << "\n";
    if (!kept.before.empty()) show(kept.before, kept.after);
    return;
  }
  for (const Change& c : kept.changes) {
    std::cout << kept.path << ":" << c.line << ": " << c.command << "\n";
    show(c.before, c.after);
  }
}

int run(const ReportOptions& o) {
  // The answers of a terminal of 80 columns, whoever asks.
  setenv("COLUMNS", "80", 1);
  setenv("NO_COLOR", "1", 1);
  setenv("LC_ALL", "C.UTF-8", 1);
  std::vector<Folder> folders = folders_of(o);
  Report report(!o.html.empty());
  bool progress = isatty(STDERR_FILENO) && !o.quiet;
  for (const Folder& f : folders) {
    for (const std::string& page : f.pages) {
      if (progress) std::cerr << "\r\x1b[K" << page << std::flush;
      report.add(page);
    }
    std::string scenarios = (fs::path(f.path) / "scenarios.yaml").string();
    if (!f.path.empty() && fs::exists(scenarios)) report.add_estimates(scenarios);
  }
  if (progress) std::cerr << "\r\x1b[K" << std::flush;
  std::size_t changed = 0;
  for (const Kept& k : report.kept()) {
    if (k.same()) continue;
    ++changed;
    if (o.diff && !o.quiet) show(k);
    if (!o.diff) write_text_file(k.path, k.after);
    if (!o.diff && !o.quiet) std::cout << "wrote " << k.path << "\n";
  }
  if (!o.html.empty()) write_text_file(o.html, html_of("kvroof report", report.pages()));
  if (!o.quiet)
    std::cout << fmt::format("{} files, {} {}\n", report.kept().size(), changed, o.diff ? "would change" : "changed")
              << std::flush;
  return o.diff && changed > 0 ? 1 : 0;
}

}  // namespace

void add_report(CommandLine& line) {
  auto o = std::make_shared<ReportOptions>();
  line.examples =
      "  kvroof report                                write reports/ again\n"
      "  kvroof report --diff README.md docs reports  what would change, for CI\n"
      "  kvroof report --html report.html             pages and charts in one file\n\n"
      "In a page, answers stand behind the commands that gave them:\n"
      "  ```console                                   what a command prints\n"
      "  $ kvroof kv llama-2-70b\n"
      "  ```\n"
      "  <!-- kvroof sweep ... --> <!-- end -->       its tables\n"
      "  <!-- kvroof chart ... --> <!-- end -->       its picture\n"
      "  <!-- kvroof $L kv llama-2-70b -->            an answer to quote as\n"
      "  <!-- $L/at/0/bytes GB --><!-- end -->        one figure in a sentence\n\n"
      "Exit code 0: all is as it should be, or was written;\n1: --diff found differences; 2: bad input.";
  line.option("paths", &o->paths, "pages, or folders of pages (default: reports)").metavar("PATH...");
  line.option("--diff", &o->diff, "write nothing; show what would change");
  line.option("--html", &o->html, "also write all pages as one self-contained HTML file").metavar("FILE");
  line.option("-q,--quiet", &o->quiet, "print nothing; the exit code answers");
  line.run = [o] {
    if (o->paths.empty()) o->paths = {"reports"};
    return run(*o);
  };
}

}  // namespace kvroof
