// The options commands share: which model, which device, how it is laid out, how the result is printed.
//
// Values arrive as text and go through the one parser of units.h, so `--context 32k` and a YAML size follow
// the same rules and fail with the same words. A command asks for the groups it needs.
#pragma once

#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "cli/command_line.h"
#include "core/memory.h"
#include "render/document.h"

namespace kvroof {

/// Throws InputError: what is wrong with an option's value.
[[noreturn]] void fail(const std::string& option, const std::string& error);

struct OutputOptions {
  std::string format = "text";
  bool json = false, quiet = false;
  std::string file;
  std::string color = "auto";
};

struct CatalogOptions {
  std::vector<std::string> files;
  std::vector<std::string> price_files;
};

struct ModelOptions {
  std::string model;
  std::string kv_heads, attention, weights;
};

struct CacheOptions {
  std::string kv_dtype, k_dtype, v_dtype, evict, shared_prefix, state_dtype;
};

struct DeploymentOptions {
  std::string tp, pp, dp, ep, attention_dp, expert_skew, engine, memory_fraction, batched_tokens, max_context,
      draft_tokens;
  bool prefix_caching = false;
  std::string kv_room, weight_bytes, activation_bytes;
};

struct HardwareOptions {
  std::string device;
  std::vector<std::string> overrides;
  std::string usable_memory;
  std::vector<std::string> prices;  ///< `2.50/h` or `h100-sxm=2.50/h`
};

void add_options(CommandLine& line, OutputOptions& options,
                 const std::vector<std::string>& formats = {"text", "json", "csv", "markdown", "yaml"});
void add_options(CommandLine& line, CatalogOptions& options);
void add_options(CommandLine& line, ModelOptions& options);
void add_options(CommandLine& line, CacheOptions& options);
void add_options(CommandLine& line, DeploymentOptions& options);
void add_options(CommandLine& line, HardwareOptions& options);

/// The what-ifs alone, for commands that name models and devices in their own way.
void add_shape_options(CommandLine& line, ModelOptions& options);
void add_what_if_options(CommandLine& line, HardwareOptions& options);
/// What devices cost: given one by one, and by files.
void add_price_option(CommandLine& line, HardwareOptions& options);
void add_price_files_option(CommandLine& line, CatalogOptions& options);

/// The built-in catalogue with the user's files over it.
Catalog catalog_of(const CatalogOptions& options);

/// A model by name or file, with the what-ifs applied. Throws InputError.
Model model_of(const ModelOptions& options, const Catalog& catalog);
Model with_what_ifs(const ModelOptions& options, Model model);
/// A device by name as it stands in the catalogue, and with the what-ifs applied.
Device find_device(const HardwareOptions& options, const Catalog& catalog);
Device device_of(const HardwareOptions& options, const Catalog& catalog);
/// Whether the word for a device is a YAML file that describes one (`kvroof measure --save`).
bool is_device_file(const std::string& name);
/// The one device of such a file, and the catalogue with the file laid over it. Throws InputError.
struct DeviceFile {
  Catalog catalog;
  std::string id;
};
DeviceFile device_file(const std::string& path, const Catalog& catalog);
/// A device by name, or the one that a YAML file describes. Throws InputError.
Device find_device(const std::string& name, const Catalog& catalog);
Device with_what_ifs(const HardwareOptions& options, Device device);

/// The engine asked for, or the one people run on that class of device.
Engine engine_of(const DeploymentOptions& options, const Device& device, const Catalog& catalog);

/// The pieces of a list with commas. Throws InputError where one is empty.
std::vector<std::string> pieces_of(const std::string& option, const std::string& text);
std::vector<std::string> pieces_of(const std::string& option, const std::vector<std::string>& texts);

/// Parsed values; each failure is an InputError that names the option.
i64 count_of(const std::string& option, const std::string& text, i64 fallback, i64 most = i64(1) << 40);
std::vector<i64> counts_of(const std::string& option, const std::string& text, std::vector<i64> fallback);
/// `4/s` or `4`: more than 0 a second.
double rate_of(const std::string& option, const std::string& text);
/// `20%` or `0.2`.
double share_of(const std::string& option, const std::string& text);
std::optional<Bytes> bytes_of_option(const std::string& option, const std::string& text);
Format format_of_option(const std::string& option, const std::string& text, const Format& fallback);

/// Cache formats, eviction and layout together.
Deployment deployment_of(const CacheOptions& cache, const DeploymentOptions& layout, const Model& model,
                         const Engine& engine);
void apply(const CacheOptions& cache, const Model& model, Deployment& deployment);

/// Throws an InputError listing all problems.
void throw_if_any(const std::vector<Problem>& problems);

/// Text, JSON … as the options say; yaml only for what has one.
OutputFormat format_named(const OutputOptions& options);
/// Throws where yaml is asked of a command that has none.
void refuse_yaml(const OutputOptions& options);
/// Where output goes: the file of `-o`, or stdout. `finish` tells what could not be written.
class Sink {
 public:
  explicit Sink(const OutputOptions& options);
  void write(std::string_view text);
  void finish();

 private:
  bool quiet_;
  std::string name_;
  std::ofstream file_;
  std::ostream& stream_;
};

/// Writes a document where and how the options say.
void print(const Document& document, const OutputOptions& options);
/// Writes a text where they say.
void write(const std::string& text, const OutputOptions& options);
/// The terminal's width, and colour where it is wanted.
TextStyle style_of(const OutputOptions& options);

}  // namespace kvroof
