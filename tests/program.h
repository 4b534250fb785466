// The program under test as a user runs it: a command line in, exit code and output out.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace kvroof::program {

struct Run {
  int exit_code = -1;
  std::string out;  ///< stdout and stderr
};

/// Runs a shell command.
inline Run shell(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe);
  Run result;
  char buffer[4096];
  while (std::size_t n = fread(buffer, 1, sizeof buffer, pipe)) result.out.append(buffer, n);
  int status = pclose(pipe);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

/// The program this build made, unless the environment names another (tests/mutate.py does).
inline std::string binary() {
  const char* other = std::getenv("PROGRAM_UNDER_TEST");
  return other ? other : KVROOF_BINARY;
}

/// Runs the binary under test with a shell's words as arguments.
inline Run run(const std::string& arguments) {
  return shell("COLUMNS=80 NO_COLOR=1 LC_ALL=C.UTF-8 " + binary() + " " + arguments + " 2>&1");
}

inline Run run_in(const std::string& folder, const std::string& arguments) {
  return shell("cd '" + folder + "' && COLUMNS=80 NO_COLOR=1 LC_ALL=C.UTF-8 " + binary() + " " + arguments + " 2>&1");
}

inline nlohmann::json json_of(const std::string& arguments, int exit_code = 0) {
  Run r = run(arguments + " --json");
  INFO(r.out);
  REQUIRE(r.exit_code == exit_code);
  return nlohmann::json::parse(r.out);
}

inline std::string temporary(const std::string& name, const std::string& text) {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("kvroof_" + std::to_string(getpid()) + "_" + name);
  std::ofstream(path, std::ios::binary) << text;
  return path.string();
}

}  // namespace kvroof::program
