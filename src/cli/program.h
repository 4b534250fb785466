// The program as a function: one command line in, an exit code out, text on std::cout and std::cerr.
//
// main calls it once; `report` calls it for every command that stands in a page.
#pragma once

#include <string>
#include <vector>

namespace kvroof {

/// Runs the arguments after the program's name: 0 yes, 1 no, 2 bad input, which is said on std::cerr. Without
/// `settings`, neither environment nor files change an option's default: the answer is the same for everyone.
int run_program(const std::vector<std::string>& arguments, bool settings = true);

}  // namespace kvroof
