// What makes a tool feel at home: settings and their order, the manual, the version, pipes, quiet, no colour.
#include <catch2/catch.hpp>

#include "program.h"

namespace {

using namespace kvroof::program;
namespace fs = std::filesystem;

/// A home, a project in it and a folder below that; the program runs in the deepest.
struct Home {
  fs::path path = fs::temp_directory_path() / ("kvroof_home_" + std::to_string(getpid()));
  Home() { fs::create_directories(path / "project" / "sub"), fs::create_directories(path / "user" / "kvroof"); }
  ~Home() { fs::remove_all(path); }
  void project(const std::string& text) const { std::ofstream(path / "project" / ".kvroof.yaml") << text; }
  void user(const std::string& text) const { std::ofstream(path / "user" / "kvroof" / "config.yaml") << text; }
  Run run(const std::string& arguments, const std::string& environment = "") const {
    return shell("cd '" + (path / "project" / "sub").string() + "' && env COLUMNS=80 XDG_CONFIG_HOME='" +
                 (path / "user").string() + "' " + environment + " " + binary() + " " + arguments + " 2>&1");
  }
  std::string engine(const std::string& arguments, const std::string& environment = "") const {
    Run r = run("estimate llama-3.1-8b h100-sxm --json " + arguments, environment);
    INFO(r.out);
    REQUIRE(r.exit_code == 0);
    return nlohmann::json::parse(r.out)["engine"];
  }
};

TEST_CASE("a flag goes before the environment, the project, the user and what is built in") {
  Home home;
  CHECK(home.engine("") == "vllm");
  home.user("engine: llamacpp\n");
  CHECK(home.engine("") == "llamacpp");
  home.project("engine: trtllm\n");
  CHECK(home.engine("") == "trtllm");
  CHECK(home.engine("", "KVROOF_ENGINE=ideal") == "ideal");
  CHECK(home.engine("--engine sglang", "KVROOF_ENGINE=ideal") == "sglang");
}

TEST_CASE("a command's own settings, flags, lists and paths beside their file") {
  Home home;
  home.project(
      "estimate: {context: 2k, prefix-caching: true}\n"
      "catalog: [mine.yaml]\n");
  std::ofstream(home.path / "project" / "mine.yaml") << "engines:\n  own:\n    name: Own\n    layout: exact\n"
                                                        "    source: me\n";
  nlohmann::json j = nlohmann::json::parse(home.run("estimate llama-3.1-8b h100-sxm --engine own --json").out);
  CHECK(j["workload"]["context"] == 2048);
  CHECK(j["engine"] == "own");
  j = nlohmann::json::parse(home.run("kv llama-3.1-8b --json").out);
  CHECK(j["at"][0]["context"] == 1024);
  j = nlohmann::json::parse(home.run("estimate llama-3.1-8b h100-sxm --context 4k --json").out);
  CHECK(j["workload"]["context"] == 4096);
}

TEST_CASE("config shows what is set, where it comes from and what it hides") {
  Home home;
  CHECK(home.run("config").out.rfind("Nothing is set; every option has its built-in default.\n", 0) == 0);
  home.user("engine: llamacpp\ncolor: never\n");
  home.project("engine: trtllm\nestimate:\n  context: 8k\n");
  Run r = home.run("config --format csv", "KVROOF_KV_DTYPE=fp8");
  CHECK(r.exit_code == 0);
  std::string user = (home.path / "user" / "kvroof" / "config.yaml").string();
  CHECK(r.out ==
        "command,key,value,from,over\n"
        ",kv-dtype,fp8,KVROOF_KV_DTYPE,\n"
        ",engine,trtllm,../.kvroof.yaml:1," +
            user +
            ":1\n"
            "estimate,context,8k,../.kvroof.yaml:3,\n"
            ",color,never," +
            user + ":2,\n");
}

TEST_CASE("a setting nobody knows is an error at its place, and help still comes") {
  Home home;
  home.project("engin: vllm\nestimate: {contxt: 8k}\nmodels: 3\n");
  Run r = home.run("kv llama-3.1-8b");
  CHECK(r.exit_code == 2);
  CHECK(r.out ==
        "kvroof: ../.kvroof.yaml:1:1: unknown key 'engin'\n"
        "  1 | engin: vllm\n"
        "    | ^\n"
        "  did you mean 'engine'?\n"
        "../.kvroof.yaml:2:12: unknown key 'contxt' of 'estimate'\n"
        "  2 | estimate: {contxt: 8k}\n"
        "    |            ^\n"
        "  did you mean 'context'?\n");
  CHECK(home.run("--help").exit_code == 0);
  CHECK(home.run("--version").exit_code == 0);
  r = home.run("kv --help");
  CHECK(r.exit_code == 0);
  CHECK(r.out.find("kvroof kv llama-3.1-8b") != std::string::npos);
  home.project("format: xml\n");
  r = home.run("kv llama-3.1-8b");
  CHECK(r.exit_code == 2);
  CHECK(r.out == "kvroof: ../.kvroof.yaml:1: --format: xml not in {text,json,csv,markdown,yaml}\n");
  home.project("- a\n");
  CHECK(home.run("kv llama-3.1-8b")
            .out.rfind("kvroof: ../.kvroof.yaml:1:1: expected settings such as 'engine: vllm'\n", 0) == 0);
  home.project("# nothing yet\n");
  CHECK(home.run("kv llama-3.1-8b", "KVROOF_ENGIN=vllm").out ==
        "kvroof: KVROOF_ENGIN: no option is called --engin; did you mean --engine?\n");
  CHECK(home.run("kv llama-3.1-8b", "KVROOF_ENGINE=").exit_code == 0);
}

TEST_CASE("a setting that a command can't use is an error at its place") {
  Home home;
  home.project("estimate: {context: 8kk}\nmax-num-batched-tokens: 0\n");
  Run r = home.run("estimate llama-3.1-8b h100-sxm");
  CHECK(r.exit_code == 2);
  CHECK(r.out == "kvroof: ../.kvroof.yaml:1: --context: '8kk' is not a whole number such as 4096, 32k or 1M\n");
  // The flag is not the setting's fault, nor another's.
  CHECK(home.run("estimate llama-3.1-8b h100-sxm --context 9kk").out ==
        "kvroof: --context: '9kk' is not a whole number such as 4096, 32k or 1M\n");
  CHECK(home.run("estimate llama-3.1-8b h100-sxm --context 8k").out ==
        "kvroof: ../.kvroof.yaml:2: --batched-tokens: '0' is out of range; expected 1 to 1099511627776\n");
  home.project("# nothing\n");
  CHECK(
      home.run("kv llama-3.1-8b", "KVROOF_KV_DTYPE=fp9").out.rfind("kvroof: KVROOF_KV_DTYPE: --kv-dtype: unknown", 0) ==
      0);
  home.project("prefix-caching: yes\ncontext: ''\n");
  CHECK(home.run("estimate llama-3.1-8b h100-sxm").out ==
        "kvroof: ../.kvroof.yaml:1:17: expected true or false for 'prefix-caching'\n"
        "  1 | prefix-caching: yes\n"
        "    |                 ^\n"
        "../.kvroof.yaml:2:10: expected a value for 'context'\n"
        "  2 | context: ''\n"
        "    |          ^\n");
}

TEST_CASE("a scenario is not moved by whoever runs it") {
  Home home;
  std::ofstream(home.path / "project" / "sub" / "scenarios.yaml")
      << "scenarios:\n  - {name: a, model: llama-3.1-8b, hardware: h100-sxm}\n";
  REQUIRE(home.run("check --update").exit_code == 0);
  home.project("engine: trtllm\nkv-dtype: fp8\n");
  CHECK(home.run("check", "KVROOF_CONTEXT=32k").out == "1 scenario against baseline.json: 1 same\n");
}

TEST_CASE("the version names the catalogue's date and hash") {
  std::string out = run("--version").out;
  INFO(out);
  REQUIRE(out.rfind("kvroof 0.1.0, catalogue of 20", 0) == 0);
  CHECK(out.find(" (") == out.size() - 16);  // (12 digits)\n
  CHECK(out.size() == std::string("kvroof 0.1.0, catalogue of 2026-09-01 (0123456789ab)\n").size());
}

TEST_CASE("pipes that close, quiet, and no colour") {
  CHECK(shell(binary() + " models 2>/dev/null | head -1 >/dev/null; echo ok").out == "ok\n");
  CHECK(shell("bash -c '" + binary() + " models 2>&1 | head -1 | wc -l'").out == "1\n");
  Run quiet = run("estimate llama-2-70b a100-sxm-80 --quiet");
  CHECK(quiet.out.empty());
  CHECK(quiet.exit_code == 1);
  CHECK(run("estimate llama-2-70b a100-sxm-80 -q --context 0").exit_code == 2);
  CHECK(run("kv llama-3.1-8b").out.find('\033') == std::string::npos);
  CHECK(run("kv llama-3.1-8b --color always").out.find('\033') != std::string::npos);
  CHECK(shell("script -qec 'TERM=xterm NO_COLOR=1 " + binary() + " kv llama-3.1-8b' /dev/null").out.find('\033') ==
        std::string::npos);
}

TEST_CASE("the manual says all that --help says") {
  std::string manual = run("man").out, help = run("--help").out;
  CHECK(manual.rfind(".TH KVROOF 1 \"20", 0) == 0);
  for (const char* command : {"kv", "estimate", "check", "plan", "sweep", "compare", "chart", "validate", "verify",
                              "models", "hardware", "engines", "config", "completions", "man"}) {
    INFO(command);
    CHECK(manual.find(std::string(".SS ") + command + "\n") != std::string::npos);
    CHECK(help.find(std::string("  ") + command) != std::string::npos);
    CHECK(run(std::string("completions bash")).out.find(std::string("    ") + command + ") ") != std::string::npos);
  }
  CHECK(manual.find("\\fB\\-\\-hardware\\-override\\fR \\fIKEY=VALUE\\fR") != std::string::npos);
  CHECK(run("completions tcsh").exit_code == 2);
  CHECK(run("completions models").out.find("llama-3.1-8b\n") != std::string::npos);
}

}  // namespace
