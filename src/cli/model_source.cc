#include "cli/model_source.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "catalog/gguf.h"
#include "catalog/hf_config.h"
#include "catalog/safetensors.h"

namespace kvroof {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t largest_config = 8 << 20;  // a config.json is a few kilobytes; nothing else is read whole

bool ends_with(const std::string& text, std::string_view end) {
  return text.size() >= end.size() && lower(text).compare(text.size() - end.size(), end.size(), end) == 0;
}

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

std::string read_config(const fs::path& path) {
  std::error_code error;
  if (is_folder(path)) throw InputError{path.string() + ": is a directory, expected a file\n"};
  std::uintmax_t size = fs::file_size(path, error);
  if (error) throw InputError{path.string() + ": can't be opened\n"};
  if (size > largest_config) throw InputError{path.string() + ": is larger than any config.json (8 MiB)\n"};
  std::ifstream in(path, std::ios::binary);
  if (!in) throw InputError{path.string() + ": can't be opened\n"};
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// The folder's name is the model's: `…/snapshots/<revision>` of the hub cache names its repository.
std::string model_name(const fs::path& folder) {
  fs::path clean = fs::absolute(folder).lexically_normal();
  if (clean.filename().empty()) clean = clean.parent_path();
  if (clean.parent_path().filename() == "snapshots") {
    std::string repository = clean.parent_path().parent_path().filename().string();
    if (repository.rfind("models--", 0) == 0) {
      repository.erase(0, 8);
      if (std::size_t at = repository.find("--"); at != std::string::npos) repository.replace(at, 2, "/");
      return repository;
    }
  }
  return clean.filename().string();
}

/// Weight bytes from the shards beside a config, when they are there.
void add_weight_bytes(Model& model, const fs::path& folder) {
  for (const char* name : {"model.safetensors.index.json", "model.safetensors"}) {
    if (!is_file(folder / name)) continue;
    WeightBytes weights = safetensors_weight_bytes(folder / name);
    if (weights.bytes)
      model.weight_bytes = double(*weights.bytes);
    else
      model.notes.push_back(weights.error);
    return;
  }
}

Model from_config(const fs::path& config, const std::string& name) {
  ImportedModel imported = import_hf_config(read_config(config), name);
  if (!imported.model) throw InputError{config.string() + ": " + imported.error + "\n"};
  Model model = std::move(*imported.model);
  if (config.filename() == "config.json")
    add_weight_bytes(model, config.parent_path().empty() ? "." : config.parent_path());
  throw_problems(model, config.string());
  return model;
}

Model from_folder(const fs::path& folder) {
  if (!is_file(folder / "config.json")) throw InputError{folder.string() + ": holds no config.json\n"};
  return from_config(folder / "config.json", model_name(folder));
}

Model from_gguf(const fs::path& path) {
  ParsedGguf parsed = read_gguf(path);
  if (!parsed.header) throw InputError{parsed.error + "\n"};
  ModelFile file = gguf_model(*parsed.header, path.stem().string());
  if (!file.model) throw InputError{path.string() + ": " + file.error + "\n"};
  if (file.weight_bytes) file.model->weight_bytes = double(*file.weight_bytes);
  throw_problems(*file.model, path.string());
  return std::move(*file.model);
}

/// The shape comes from the config beside it, the bytes from the file itself.
Model from_safetensors(const fs::path& path) {
  WeightBytes weights = safetensors_weight_bytes(path);
  if (!weights.bytes) throw InputError{weights.error + "\n"};
  fs::path config = path.parent_path() / "config.json";
  if (!is_file(config)) throw InputError{path.string() + ": needs its config.json beside it for the model's shape\n"};
  Model model = from_config(config, model_name(path.parent_path().empty() ? "." : path.parent_path()));
  model.weight_bytes = double(*weights.bytes);
  if (!weights.error.empty()) model.notes.push_back(weights.error);
  return model;
}

std::optional<fs::path> folder_in(const char* name) {
  const char* value = std::getenv(name);
  return value && *value ? std::optional<fs::path>(value) : std::nullopt;
}

/// Where the Hugging Face hub keeps what it downloaded.
std::optional<fs::path> hub_cache() {
  if (auto hub = folder_in("HF_HUB_CACHE")) return hub;
  if (auto home = folder_in("HF_HOME")) return *home / "hub";
  if (auto cache = folder_in("XDG_CACHE_HOME")) return *cache / "huggingface" / "hub";
  if (auto home = folder_in("HOME")) return *home / ".cache" / "huggingface" / "hub";
  return std::nullopt;
}

/// The snapshot folder of `org/name`: the revision that refs/main names, else any.
std::optional<fs::path> hub_snapshot(const std::string& name) {
  std::optional<fs::path> hub = hub_cache();
  std::size_t slash = name.find('/');
  if (!hub || slash == std::string::npos || name.find("..") != std::string::npos ||
      name.find('/', slash + 1) != std::string::npos)
    return std::nullopt;
  fs::path repository = *hub / ("models--" + name.substr(0, slash) + "--" + name.substr(slash + 1));
  std::string revision;
  std::ifstream(repository / "refs" / "main") >> revision;
  if (!revision.empty() && is_file(repository / "snapshots" / revision / "config.json"))
    return repository / "snapshots" / revision;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(repository / "snapshots", error))
    if (is_file(entry.path() / "config.json")) return entry.path();
  return std::nullopt;
}

}  // namespace

void throw_problems(const Model& model, const std::string& where) {
  std::string message;
  for (const Problem& p : problems(model))
    message += where + ": " + p.path + " " + p.what + "\n" + (p.hint.empty() ? "" : "  " + p.hint + "\n");
  if (!message.empty()) throw InputError{message};
}

namespace {

/// An alias may be somebody's quantised upload of the model, whose formats the entry does not have.
bool names_a_quantised_upload(const std::string& name) {
  std::string text = lower(name);
  for (const char* mark :
       {"w4a16", "w8a8", "w8a16", "fp8", "fp4", "awq", "gptq", "int4", "int8", "4bit", "8bit", "bnb", "gguf"})
    if (text.find(mark) != text.npos) return true;
  return false;
}

}  // namespace

Model find_model(const std::string& name, const Catalog& catalog) {
  bool is_index = ends_with(name, ".index.json");
  if (ends_with(name, ".gguf")) return from_gguf(name);
  if (ends_with(name, ".safetensors") || is_index) return from_safetensors(name);
  if (ends_with(name, ".json")) {
    fs::path path(name);
    std::string folder = model_name(path.parent_path().empty() ? "." : path.parent_path());
    return from_config(path, path.filename() == "config.json" ? folder : path.stem().string());
  }
  bool looks_like_a_path = name.find('/') != std::string::npos || name == "." || name == "..";
  if (is_folder(name) && (looks_like_a_path || !catalog.has("models", name))) return from_folder(name);
  if (name.starts_with("./") || name.starts_with("../") || name.starts_with("/"))
    throw InputError{name + ": no such file or folder\n"};
  if (!catalog.has("models", name))
    if (std::optional<fs::path> snapshot = hub_snapshot(name)) return from_folder(*snapshot);
  Model model = catalog.model(name);
  if (names_a_quantised_upload(name) && !names_a_quantised_upload(model.id))
    model.notes.push_back("'" + name + "' names a quantised upload; formats here are those of " + model.id +
                          ": give --weights, or the upload's config.json");
  return model;
}

}  // namespace kvroof
