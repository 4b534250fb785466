// Pages as one HTML file that needs nothing beside it: charts stand in the text, colours follow the reader's theme, and
// no request leaves the file. Wide tables and charts scroll by themselves on a phone.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace kvroof {

struct ReportPage {
  std::string name;                           ///< claims.md
  std::string markdown;                       ///< without commands
  std::map<std::string, std::string> charts;  ///< by the name the page uses: SVG
};

/// Links between the pages lead within the file; other relative links are left as plain words.
std::string html_of(const std::string& title, const std::vector<ReportPage>& pages);

}  // namespace kvroof
