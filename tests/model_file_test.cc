// A model is also a file: folders, configs and the hub cache stand wherever MODEL does.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "catalog/writer.h"
#include "cli/model_source.h"
#include "core/memory.h"

namespace kvroof {
namespace {

namespace fs = std::filesystem;

const char* config =
    R"({"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "torch_dtype": "bfloat16",
        "max_position_embeddings": 131072, "tie_word_embeddings": false})";

fs::path folder_with_config(const std::string& name) {
  fs::path folder = fs::temp_directory_path() / ("kvroof_model_" + std::to_string(getpid())) / name;
  fs::create_directories(folder);
  std::ofstream(folder / "config.json") << config;
  return folder;
}

std::string error_of(const std::string& name) {
  try {
    find_model(name, Catalog::built_in());
  } catch (const InputError& e) { return e.message; }
  return "";
}

TEST_CASE("a config.json and its folder are the catalogue's Llama-3.1-8B") {
  fs::path folder = folder_with_config("My-Llama");
  Model known = Catalog::built_in().model("llama-3.1-8b");
  for (const std::string& name : {(folder / "config.json").string(), folder.string()}) {
    Model m = find_model(name, Catalog::built_in());
    CHECK(m.name == "My-Llama");
    CHECK(count_parameters(m).total == 8030261248);
    CHECK(m.layers == known.layers);
  }
}

TEST_CASE("a repository in the hub cache is a model, by the revision its main names") {
  fs::path home = fs::temp_directory_path() / ("kvroof_hub_" + std::to_string(getpid()));
  fs::path repository = home / "hub" / "models--acme--Tiny-8B";
  fs::create_directories(repository / "refs");
  fs::create_directories(repository / "snapshots" / "abc123");
  std::ofstream(repository / "refs" / "main") << "abc123";
  std::ofstream(repository / "snapshots" / "abc123" / "config.json") << config;
  setenv("HF_HOME", home.c_str(), 1);
  Model m = find_model("acme/Tiny-8B", Catalog::built_in());
  unsetenv("HF_HOME");
  CHECK(m.name == "Tiny-8B");
  CHECK(count_parameters(m).total == 8030261248);
}

TEST_CASE("exact checkpoint bytes scale the weights of every rank") {
  Model m = Catalog::built_in().model("llama-3.1-8b");
  Deployment two;
  two.tp = 2;
  Bytes before = rank_weights(m, two, 0);
  m.weight_bytes = all_weights(m, {}).value / 2;
  CHECK(rank_weights(m, two, 0).value == Approx(before.value / 2));
  two.weights = format("bf16");  // --weights replaces what the file said
  CHECK(rank_weights(m, two, 0).value == Approx(before.value));
}

TEST_CASE("files that are not there, or not models, say so") {
  CHECK(error_of("nowhere/config.json") == "nowhere/config.json: can't be opened\n");
  CHECK(error_of(fs::temp_directory_path().string()) ==
        fs::temp_directory_path().string() + ": holds no config.json\n");
  CHECK(error_of("nowhere/model.gguf").find("nowhere/model.gguf") == 0);
}

TEST_CASE("every catalogue model written as YAML reads back the same") {
  const Catalog& catalog = Catalog::built_in();
  for (const std::string& id : catalog.ids("models")) {
    Model m = catalog.model(id);
    std::string text = yaml_entry(m);
    Source source("entry", text);
    Model again = read_model(source, id, load_yaml(source, text)["models"][id]);
    INFO(id << "\n" << source.problems());
    CHECK(source.problems().empty());
    CHECK(again.layers == m.layers);
    CHECK(again.weights == m.weights);
    CHECK(again.aliases == m.aliases);
    CHECK(again.notes == m.notes);
    CHECK(count_parameters(again).total == count_parameters(m).total);
  }
}

}  // namespace
}  // namespace kvroof
