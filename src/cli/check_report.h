// A check as people and CI systems read it: a page, JUnit's XML, and annotations on a pull request.
#pragma once

#include "cli/check.h"
#include "render/document.h"

namespace kvroof {

constexpr std::size_t all_rows = ~std::size_t(0);

/// The page, with at most `rows` changes in its text, the worst of each scenario, and how to see the others; JSON and
/// CSV always have all.
Document check_page(const Check& check, std::size_t rows, std::string_view way_to_all = "--all shows them");
/// `2 worse, 10 same`.
std::string summary_of(const Check& check);
/// `tpot worse: 15.8 ms -> 17.2 ms (+8.9 %)`.
std::string sentence_of(const MetricCheck& m);
/// All that is to be said of a scenario, a line each: what moved, then why.
std::vector<std::string> sentences_of(const ScenarioCheck& scenario, const Check& check);

/// Markdown that fits a comment of 64 KB.
std::string check_markdown(const Check& check);
/// One test case per scenario.
std::string check_junit(const Check& check);
/// GitHub shows ten of a kind, so the worst ten are said.
std::string check_annotations(const Check& check);

}  // namespace kvroof
