#include "cli/report_html.h"

#include <fmt/format.h>
#include <md4c-html.h>

#include "catalog/suggest.h"
#include "render/svg.h"

namespace kvroof {
namespace {

constexpr std::string_view style = R"(
:root{color-scheme:light dark;--page:#fff;--words:#1f2328;--quiet:#57606a;--line:#d8dee4;--shade:#f6f8fa;--link:#0068a3}
@media(prefers-color-scheme:dark){:root{--page:#0d1117;--words:#e6edf3;--quiet:#9aa5b1;--line:#30363d;--shade:#161b22;--link:#58aee6}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--words);font:16px/1.55 Helvetica,Arial,sans-serif}
nav{position:sticky;top:0;background:var(--page);border-bottom:1px solid var(--line);padding:.6rem 1rem;white-space:nowrap;overflow-x:auto}
nav a{margin-right:1.1rem}
main{max-width:54rem;margin:0 auto;padding:0 1rem 4rem}
section{padding-top:2.5rem}
section+section{border-top:1px solid var(--line);margin-top:3rem}
h1{font-size:1.7rem;line-height:1.25}h2{font-size:1.3rem;margin-top:2.2rem}h3{font-size:1.1rem;margin-top:1.8rem}
h1,h2,h3,p,li{overflow-wrap:anywhere}
a{color:var(--link)}
.wide{overflow-x:auto;margin:1rem 0}
table{border-collapse:collapse;font-size:.92rem;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .7rem;border-bottom:1px solid var(--line);vertical-align:top}
th{text-align:left}
pre,code{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:.86rem}
code{background:var(--shade);padding:.1em .3em;border-radius:3px;overflow-wrap:anywhere}
pre{background:var(--shade);padding:.8rem 1rem;overflow-x:auto;line-height:1.4}
pre code{padding:0;background:none}
svg.kvroof{display:block;min-width:560px;max-width:100%;height:auto}
)";

/// Runs md4c; it can fail only for want of memory.
std::string body_of(const std::string& markdown) {
  std::string html;
  auto append = [](const MD_CHAR* text, MD_SIZE size, void* to) { static_cast<std::string*>(to)->append(text, size); };
  if (md_html(markdown.data(), MD_SIZE(markdown.size()), append, &html, MD_DIALECT_GITHUB, MD_HTML_FLAG_XHTML) != 0)
    throw InputError{"--html: the page is too large\n"};
  return html;
}

/// Replaces every text from `open` through `close` by what `with` makes of it.
template <class With>
std::string replaced(const std::string& text, std::string_view open, std::string_view close, With with) {
  std::string out;
  std::size_t from = 0;
  for (std::size_t at; (at = text.find(open, from)) != std::string::npos;) {
    std::size_t end = text.find(close, at + open.size());
    if (end == std::string::npos) break;
    end += close.size();
    out += text.substr(from, at - from) + with(text.substr(at, end - at));
    from = end;
  }
  return out + text.substr(from);
}

std::string attribute_of(const std::string& element, const std::string& name) {
  std::size_t at = element.find(" " + name + "=\"");
  if (at == std::string::npos) return "";
  at += name.size() + 3;
  return element.substr(at, element.find('"', at) - at);
}

/// `claims` of `claims.md`.
std::string anchor_of(const std::string& page) { return page.substr(0, page.rfind(".md")); }

std::string link(const std::string& element, const std::vector<ReportPage>& pages) {
  std::string target = attribute_of(element, "href");
  std::string words = element.substr(element.find('>') + 1);
  words = words.substr(0, words.rfind("</a>"));
  for (const ReportPage& p : pages)
    if (target == p.name) return fmt::format("<a href=\"#{}\">{}</a>", anchor_of(p.name), words);
  bool outside = target.starts_with("https://") || target.starts_with("http://");
  return outside ? element : words;
}

std::string section(const ReportPage& page, const std::vector<ReportPage>& pages) {
  std::string html = body_of(page.markdown);
  html = replaced(html, "<a ", "</a>", [&](const std::string& e) { return link(e, pages); });
  html = replaced(html, "<img ", "/>", [&](const std::string& e) {
    auto chart = page.charts.find(attribute_of(e, "src"));
    return chart == page.charts.end() ? attribute_of(e, "alt") : "<div class=\"wide\">" + chart->second + "</div>";
  });
  // A picture alone in its paragraph is a block of its own.
  html = replaced(html, "<p><div", "</div></p>", [](const std::string& e) { return e.substr(3, e.size() - 7); });
  html =
      replaced(html, "<table>", "</table>", [](const std::string& e) { return "<div class=\"wide\">" + e + "</div>"; });
  return fmt::format("<section id=\"{}\">\n{}</section>\n", escaped(anchor_of(page.name)), html);
}

/// The page's first heading.
std::string title_of(const ReportPage& page) {
  std::size_t at = page.markdown.find("# ");
  if (at != 0) return page.name;
  return page.markdown.substr(2, page.markdown.find('\n') - 2);
}

}  // namespace

std::string html_of(const std::string& title, const std::vector<ReportPage>& pages) {
  std::string links, sections;
  for (const ReportPage& p : pages) {
    links += fmt::format("<a href=\"#{}\">{}</a>", escaped(anchor_of(p.name)), escaped(title_of(p)));
    sections += section(p, pages);
  }
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"/>\n<link rel=\"icon\" href=\"data:,\"/>\n"
      "<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<nav>{}</nav>\n<main>\n{}</main>\n</body>\n</html>\n",
      escaped(title), style, links, sections);
}

}  // namespace kvroof
