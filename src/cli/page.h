// A page of Markdown that keeps its own answers: commands stand in it, and what they answer is written behind them.
//
//   ```console                                          a command line and all that it prints, 80 columns wide
//   $ kvroof kv llama-2-70b
//   ```
//   <!-- kvroof sweep ... -->  ...  <!-- end -->        its answer as Markdown, tables and all
//   <!-- kvroof sweep ... # Heading -->                 only the section of that heading
//   <!-- kvroof chart NAME ... -->  ...  <!-- end -->   the picture, in NAME.svg (or -o FILE) beside the page
//   <!-- kvroof $L kv llama-2-70b -->                   an answer to quote from, called L
//   <!-- $L/at/0/bytes GB -->1.34 GB<!-- end -->        one figure of it, within a sentence or a table's cell
//   <!-- $L/as/0/bytes : $L/as/2/bytes x -->            the quotient of two
//
// Text between them is the author's. Rewriting a page that is up to date changes nothing.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace kvroof {

struct Said {
  int exit_code = 0;
  std::string text;
};

/// Asks for an answer: the arguments after the program's name, and whether messages are part of it.
using Ask = std::function<Said(const std::vector<std::string>& arguments, bool messages)>;

struct Change {
  int line = 0;         ///< of the command in the page, from 1
  std::string command;  ///< or the figure that is quoted
  std::string before, after;
};

struct Rewritten {
  std::string text;
  std::vector<std::pair<std::string, std::string>> charts;  ///< name beside the page, and SVG
  std::vector<Change> changes;                              ///< of the text
};

/// The page with its answers asked for again. Throws InputError `PAGE:LINE: ...`.
Rewritten rewritten(const std::string& page, const std::string& text, const Ask& ask);

/// A text's lines, without their ends.
std::vector<std::string> lines_of(const std::string& text);

/// The page as its readers need it: without the commands that only serve to keep it.
std::string without_commands(const std::string& text);

}  // namespace kvroof
