// The program, run many times in one process, for tests that ask it a thousand questions.
//
// A line in: {"files": {"mine.yaml": "..."}, "arguments": ["models", "mine"]}; the files are there while it runs.
// A line out: {"code": 0, "words": "..."}, both streams together.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/program.h"

namespace {

using nlohmann::json;

json answer(const json& question) {
  std::ostringstream words;
  std::streambuf *out = std::cout.rdbuf(words.rdbuf()), *err = std::cerr.rdbuf(words.rdbuf());
  for (const auto& [name, text] : question.at("files").items())
    std::ofstream(name, std::ios::binary) << text.get<std::string>();
  int code = kvroof::run_program(question.at("arguments").get<std::vector<std::string>>());
  for (const auto& [name, text] : question.at("files").items()) std::filesystem::remove(name);
  std::cout.rdbuf(out), std::cerr.rdbuf(err);
  return {{"code", code}, {"words", words.str()}};
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);)
    std::cout << answer(json::parse(line)).dump(-1, ' ', true, json::error_handler_t::replace) << std::endl;
}
