// The dependency rule, read from the sources: core knows the standard library alone; nothing knows cli.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

namespace {

namespace fs = std::filesystem;

std::vector<std::string> includes_of(const fs::path& file) {
  std::vector<std::string> found;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (line.rfind("#include ", 0) == 0) found.push_back(line.substr(9));
  return found;
}

TEST_CASE("arrows point one way: core <- catalog, core <- render, core <- measure, all <- cli") {
  const std::map<std::string, std::set<std::string>> may_know = {
      {"core", {"core"}},
      {"catalog", {"core", "catalog"}},
      {"render", {"core", "render"}},
      {"measure", {"core", "measure"}},
      {"cli", {"core", "catalog", "render", "measure", "cli"}}};
  int seen = 0;
  for (const auto& [box, allowed] : may_know)
    for (const fs::directory_entry& entry : fs::directory_iterator(fs::path(KVROOF_SOURCE) / "src" / box))
      for (const std::string& include : includes_of(entry.path())) {
        if (include[0] != '"') continue;
        std::string target = include.substr(1, include.find('/') - 1);
        INFO(entry.path().filename() << " includes " << include);
        CHECK(allowed.count(target) == 1);
        ++seen;
      }
  CHECK(seen > 50);
}

TEST_CASE("core includes only headers of the standard library") {
  for (const fs::directory_entry& entry : fs::directory_iterator(fs::path(KVROOF_SOURCE) / "src" / "core"))
    for (const std::string& include : includes_of(entry.path())) {
      INFO(entry.path().filename() << " includes " << include);
      if (include[0] == '<') CHECK(include.find_first_of("./") == std::string::npos);
    }
}

}  // namespace
