// kvroof, the program.
#include <csignal>
#include <iostream>

#include "cli/program.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_DFL);  // `| head` ends us quietly
  try {
    return kvroof::run_program({argv + 1, argv + argc});
  } catch (const std::exception& e) {
    std::cerr << "kvroof: " << e.what() << "\n";
    return 2;
  }
}
