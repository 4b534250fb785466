// kvroof, the program.
#include <csignal>
#include <iostream>

#include "cli/program.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_DFL);  // `| head` ends us quietly
  try {
    int exit_code = kvroof::run_program({argv + 1, argv + argc});
    if (exit_code == 2 || std::cout.flush()) return exit_code;  // 2 has said what is wrong
    std::cerr << "kvroof: standard output: can't be written\n";
    return 2;
  } catch (const std::exception& e) {
    std::cerr << "kvroof: " << e.what() << "\n";
    return 2;
  }
}
