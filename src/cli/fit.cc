// `kvroof fit FILE…`: the constants of measured kernels, from the tables of their timings to the catalogue's section.
//
// What hardware.yaml holds under `kernels:` is this command's output on reports/measured/*.csv. With --check it says
// where the two disagree, so a table can't change, nor a constant be edited, without the other.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>

#include "catalog/text_file.h"
#include "cli/commands.h"
#include "cli/engine_fit.h"
#include "cli/kernel_fit.h"
#include "cli/kernel_rows.h"
#include "cli/options.h"
#include "core/hardware.h"
#include "core/units.h"
#include "render/number.h"

namespace kvroof {
namespace {

constexpr std::size_t least_rows = 6;  // fewer say nothing about four or five constants

/// Rows of one kernel on one device, as they gather while tables are read.
template <class R>
struct Group {
  const Device* device = nullptr;
  std::vector<R> rows;
  FitTask task;
};

template <class R>
using Groups = std::map<std::string, Group<R>>;

template <class R>
void gather(const MeasuredTable& table, Names& names, const char* device_column, const char* seconds_column,
            std::optional<R> (*read)(const Row&, std::string&), std::string (*key)(const R&), Groups<R>& groups) {
  for (std::size_t i = 0; i < table.size(); ++i) {
    Row row{table, i};
    std::string skipped;
    const Device* device = names.device(row.text(device_column));
    std::optional<R> r = device ? read(row, skipped) : std::nullopt;
    std::optional<double> microseconds = row.number(seconds_column);
    if (!r || !microseconds || *microseconds <= 0) continue;
    Group<R>& g = groups[device->id + "\n" + key(*r)];
    g.device = device;
    g.rows.push_back(*r);
    g.task.ids.push_back(row.text("id"));
    g.task.measured.push_back(*microseconds * 1e-6);
  }
}

std::string key_of(const AttentionRow& r) {
  return fmt::format("{}\n{}\n{}", r.name.engine, r.name.kernel, r.cache.name);
}
std::string key_of(const LinearRow& r) {
  return fmt::format("{}\n{}\n{}", r.name.engine, r.name.kernel, r.weights.name);
}
std::string key_of(const AllReduceRow& r) {
  return fmt::format("{}\n{}\n{:3}\n{:3}", r.name.engine, r.name.kernel, r.nodes, r.ranks);
}

// The usual values: medians of the first fits, in seconds and shares. Rows in the regime of a real step, where nothing
// is left in a cache, count more than the rest.
constexpr double cold_weight = 2.5;

AttentionRate attention_rate(const std::vector<double>& c) { return {c[0], {c[1]}, {c[2]}, c[3], c[4]}; }

TimedAttention fit(Group<AttentionRow>& g) {
  const Device& device = *g.device;
  for (const AttentionRow& r : g.rows) {
    double bytes =
        2 * r.call.batch * r.call.kv_heads * r.call.head_dim * double(r.call.context) * r.cache.size(1, 128).value;
    g.task.weights.push_back(device.cache && bytes > 2 * device.cache->capacity.value ? cold_weight : 1);
  }
  g.task.usual = {0.85, 10e-6, 1.2e-6, 2.0, 1.5};
  g.task.most = {1, 1e-3, 1e-3, 100, 10};
  g.task.seconds = [&](const std::vector<double>& c, std::size_t i) {
    return attention_time(device, attention_rate(c), g.rows[i].cache, g.rows[i].call, true).value;
  };
  Fitted f = fit_constants(g.task);
  const AttentionRow& first = g.rows.front();
  return {first.name.engine, first.name.kernel, first.cache, attention_rate(f.constants), f.fit};
}

LinearRate linear_rate(const std::vector<double>& c) { return {c[0], {c[1]}, c[2], c[3]}; }

TimedLinear fit(Group<LinearRow>& g) {
  const Device& device = *g.device;
  for (const LinearRow& r : g.rows)
    g.task.weights.push_back(r.weights.size(r.elements, 1 << 20).value > 20e6 ? cold_weight : 1);
  g.task.usual = {0.8, 4e-6, 0.6, 1.2};
  g.task.most = {1, 1e-3, 1, 10};
  g.task.pull = 0.003;
  g.task.seconds = [&](const std::vector<double>& c, std::size_t i) {
    return linear_time(device, linear_rate(c), g.rows[i].weights, g.rows[i].elements, g.rows[i].rows, true).value;
  };
  Fitted f = fit_constants(g.task);
  const LinearRow& first = g.rows.front();
  return {first.name.engine, first.name.kernel, first.weights, linear_rate(f.constants), f.fit};
}

AllReduceRate all_reduce_rate(const std::vector<double>& c) { return {{c[0]}, {c[1]}, {c[2]}, {c[3]}}; }

TimedAllReduce fit(Group<AllReduceRow>& g) {
  double least = *std::min_element(g.task.measured.begin(), g.task.measured.end()), fastest = 0;
  for (std::size_t i = 0; i < g.rows.size(); ++i)
    fastest = std::max(fastest, g.rows[i].payload.value / g.task.measured[i]);
  g.task.weights.assign(g.rows.size(), 1);
  g.task.usual = {least, fastest / 2, 3 * least, fastest};
  g.task.most = {1, 1e15, 1, 1e15};
  g.task.pull = 0.001;
  g.task.seconds = [&](const std::vector<double>& c, std::size_t i) {
    return all_reduce_time(all_reduce_rate(c), g.rows[i].payload).value;
  };
  Fitted f = fit_constants(g.task);
  const AllReduceRow& first = g.rows.front();
  return {first.name.engine, first.name.kernel, first.ranks, first.nodes, all_reduce_rate(f.constants), f.fit};
}

// ---- as catalogue text ----------------------------------------------------------------------------------

std::string plain(double value) {  // without commas between thousands
  std::string text = significant(value, 3);
  text.erase(std::remove(text.begin(), text.end(), ','), text.end());
  return text;
}
std::string microseconds(Seconds s) { return plain(s.value * 1e6) + " us"; }
std::string gigabytes(Bandwidth b) { return plain(b.value / 1e9) + " GB/s"; }
std::string quoted(const std::string& text) {
  return text.find_first_of(",:{}[]()'\"# ") == text.npos ? text : "\"" + text + "\"";
}
std::string fit_of(const KernelFit& f) {
  return fmt::format("rows: {}, error: {:.3f}, low: {:.2f}, high: {:.2f}", f.rows, f.error, f.low, f.high);
}

std::string line_of(const TimedAttention& k) {
  return fmt::format(
      "{{engine: {}, kernel: {}, format: {}, fraction: {}, launch: {}, tile: {}, reach: {}, cached: {}, {}}}",
      quoted(k.engine), quoted(k.kernel), k.format.name, plain(k.rate.fraction), microseconds(k.rate.launch),
      microseconds(k.rate.tile), plain(k.rate.reach), plain(k.rate.cached), fit_of(k.fit));
}
std::string line_of(const TimedLinear& k) {
  return fmt::format("{{engine: {}, kernel: {}, format: {}, fraction: {}, launch: {}, compute: {}, cached: {}, {}}}",
                     quoted(k.engine), quoted(k.kernel), k.format.name, plain(k.rate.fraction),
                     microseconds(k.rate.launch), plain(k.rate.compute), plain(k.rate.cached), fit_of(k.fit));
}
std::string line_of(const TimedAllReduce& k) {
  return fmt::format(
      "{{engine: {}, kernel: {}, ranks: {}, nodes: {}, latency: {}, rate: {}, bulk_latency: {}, bulk_rate: {}, {}}}",
      quoted(k.engine), quoted(k.kernel), k.ranks, k.nodes, microseconds(k.rate.latency), gigabytes(k.rate.rate),
      microseconds(k.rate.bulk_latency), gigabytes(k.rate.bulk_rate), fit_of(k.fit));
}

/// Lines of a device's entry, by the part of it they belong to.
using Lines = std::map<std::string, std::map<std::string, std::vector<std::string>>>;

template <class R>
void fit_all(Groups<R>& groups, const std::string& part, Lines& lines) {
  for (auto& [key, group] : groups)
    if (group.rows.size() >= least_rows) lines[group.device->id][part].push_back(line_of(fit(group)));
}

Lines fitted_lines(const std::vector<MeasuredTable>& tables, const Catalog& catalog) {
  Names names(catalog);
  Groups<AttentionRow> attention;
  Groups<LinearRow> linears;
  Groups<AllReduceRow> all_reduce;
  for (const MeasuredTable& table : tables) {
    if (table.has("kv_len"))
      gather<AttentionRow>(table, names, "gpu", "time_us", attention_row, key_of, attention);
    else if (table.has("weight_bytes"))
      gather<LinearRow>(table, names, "gpu", "time_us", linear_row, key_of, linears);
    else if (table.has("msg_bytes"))
      gather<AllReduceRow>(table, names, "system", "time_us", all_reduce_row, key_of, all_reduce);
    else
      throw InputError{table.file() +
                       ":1: not a table of kernels: it has no column kv_len, weight_bytes or msg_bytes\n"};
  }
  Lines lines;
  fit_all(attention, "attention", lines);
  fit_all(linears, "linears", lines);
  fit_all(all_reduce, "all_reduce", lines);
  return lines;
}

std::string section_of(const Lines& lines) {
  if (lines.empty()) throw InputError{"the tables hold no kernel with enough rows on a known device\n"};
  std::string text = "kernels:\n";
  for (const auto& [device, parts] : lines) {
    text += "  " + device + ":\n";
    for (const auto& [part, kernels] : parts) {
      text += "    " + part + ":\n";
      for (const std::string& kernel : kernels) text += "      - " + kernel + "\n";
    }
  }
  return text;
}

/// The `kernels:` section of a catalogue file, up to the next section or its comment.
std::pair<std::size_t, std::size_t> section_in(const std::string& file, const std::string& text) {
  std::size_t begin = text.find("\nkernels:\n");
  if (begin == text.npos) throw InputError{file + ": has no section 'kernels:'\n"};
  ++begin;
  std::size_t end = begin;
  do end = text.find('\n', end) + 1;
  while (end < text.size() && text[end] == ' ');
  return {begin, end};
}

std::string value_of(const EngineCost& cost, double value) {
  return cost.is_time ? microseconds({value}) : plain(value);
}

/// The ranges of measured kernels: their keys, where the fit has them and where the catalogue does.
struct RangeKeys {
  const char *low, *high, *of;
  Spread ServedFit::*spread;
  double RangeRule::*low_there;
  double RangeRule::*high_there;
};
constexpr RangeKeys ranges[] = {
    {"low", "high", "between tokens of dense models", &ServedFit::dense, &RangeRule::low, &RangeRule::high},
    {"experts_low", "experts_high", "of experts", &ServedFit::experts, &RangeRule::experts_low,
     &RangeRule::experts_high},
    {"ttft_low", "ttft_high", "to the first token", &ServedFit::dense_first, &RangeRule::ttft_low,
     &RangeRule::ttft_high},
    {"experts_ttft_low", "experts_ttft_high", "of experts", &ServedFit::experts_first, &RangeRule::experts_ttft_low,
     &RangeRule::experts_ttft_high},
};

void print_ranges(const ServedFit& found) {
  fmt::print("ranges:\n  measured kernels:\n");
  for (const RangeKeys& k : ranges) {
    const Spread& s = found.*k.spread;
    if (s.within == 0) continue;
    fmt::print("    {}: {:.2f}\n    {}: {:.2f}\n", k.low, s.low(), k.high, s.high());
    fmt::print("    # {}: {} rows, {:.2f}; {} groups of engine, device and model, {:.2f}\n", k.of, s.rows, s.within,
               s.groups, s.between);
  }
}

/// The costs of engines and the ranges as the catalogue writes them, to be put into their entries by hand.
void print_served(const ServedFit& found) {
  for (const EngineFit& f : found.engines) {
    fmt::print("{}:\n", f.engine.id);
    for (const EngineCost& cost : engine_costs())
      if (f.tells_of(cost)) fmt::print("    {}: {}\n", cost.name, value_of(cost, cost.get(f.engine)));
    fmt::print("    # {} rows; {} held out: {:.1f} % median, {:.0f} % p90 (the catalogue's costs: {:.1f} %)\n", f.rows,
               f.held_out, 100 * f.error, 100 * f.error_p90, 100 * f.error_before);
    if (f.loops)
      fmt::print("    # TTFT of those held out: {:.0f} % median, {:.0f} % p90 (the catalogue's costs: {:.0f} %)\n",
                 100 * f.ttft_error, 100 * f.ttft_error_p90, 100 * f.ttft_error_before);
  }
  print_ranges(found);
}

/// Within 5 %: the last digit of a fit is the machine's exp and log.
bool alike(double x, double y, double slack) { return std::abs(x - y) <= 0.05 * std::max(x, y) + slack; }

/// Prints the costs and ranges of a catalogue that are not those of the fit; how many.
i64 differences(const std::string& file, const Catalog& catalog, const ServedFit& found) {
  i64 different = 0;
  auto compare = [&](const std::string& key, double there, double fitted, auto text) {
    if (alike(there, fitted, 1e-7)) return;
    ++different;
    fmt::print("{}: {}: has {}, fit {}\n", file, key, text(there), text(fitted));
  };
  for (const EngineFit& f : found.engines)
    for (const EngineCost& cost : engine_costs())
      if (f.tells_of(cost))
        compare(f.engine.id + "." + cost.name, cost.get(catalog.engine(f.engine.id)), cost.get(f.engine),
                [&](double value) { return value_of(cost, value); });
  RangeRule there = catalog.range(Basis::measured_kernels);
  for (const RangeKeys& k : ranges) {
    const Spread& s = found.*k.spread;
    if (s.within == 0) continue;
    auto factor = [](double value) { return fmt::format("{:.2f}", value); };
    compare(fmt::format("ranges.measured kernels.{}", k.low), there.*k.low_there, s.low(), factor);
    compare(fmt::format("ranges.measured kernels.{}", k.high), there.*k.high_there, s.high(), factor);
  }
  return different;
}

/// Tables of served systems fit engines, tables of kernels fit kernels; both at once are refused.
bool are_systems(const std::vector<MeasuredTable>& tables) {
  auto is_system = [](const MeasuredTable& t) { return t.has("silicon_tpot_ms") || t.has("tokens_per_s_total"); };
  auto systems = std::count_if(tables.begin(), tables.end(), is_system);
  if (systems > 0 && std::size_t(systems) != tables.size())
    throw InputError{"tables of kernels and of served systems are fitted apart: give one sort at a time\n"};
  return systems > 0;
}

/// Whether two lines say the same, with numbers that are alike.
bool alike(std::string_view a, std::string_view b) {
  auto starts_number = [](std::string_view text) {
    return !text.empty() && std::isdigit(static_cast<unsigned char>(text[0]));
  };
  while (!a.empty() && !b.empty()) {
    if (starts_number(a) && starts_number(b)) {
      std::optional<double> x = parse_decimal(a, &a), y = parse_decimal(b, &b);
      if (!x || !y || !alike(*x, *y, 0.01)) return false;
    } else {
      if (a[0] != b[0]) return false;
      a.remove_prefix(1);
      b.remove_prefix(1);
    }
  }
  return a.empty() && b.empty();
}

/// Prints the lines that differ; how many do.
i64 differences(const std::string& file, const std::string& there, const std::string& fitted) {
  std::istringstream is(there), ought(fitted);
  std::string a, b;
  i64 different = 0;
  for (bool more = true; more;) {
    bool left = bool(std::getline(is, a)), right = bool(std::getline(ought, b));
    more = left || right;
    if (left == right && (!left || alike(a, b))) continue;
    ++different;
    fmt::print("{}: has  {}\n{}: fit  {}\n", file, left ? a : "(nothing)", file, right ? b : "(nothing)");
  }
  return different;
}

struct FitOptions {
  CatalogOptions catalog;
  std::vector<std::string> files;
  std::string into, check;
};

int fit_systems(const FitOptions& o, const std::vector<MeasuredTable>& tables) {
  if (!o.into.empty()) throw InputError{"--into: only for tables of kernels; costs of engines go in by hand\n"};
  CatalogOptions options = o.catalog;
  if (!o.check.empty()) options.files.push_back(o.check);
  Catalog catalog = catalog_of(options);
  Names names(catalog);
  ServedFit found = fit_served(tables, names);
  if (o.check.empty()) {
    print_served(found);
    return 0;
  }
  i64 different = differences(o.check, catalog, found);
  if (different > 0) fmt::print("{} figures differ; 'kvroof fit …' prints the fit\n", different);
  return different > 0 ? 1 : 0;
}

int run(const FitOptions& o) {
  std::vector<MeasuredTable> tables;
  for (const std::string& file : o.files) tables.push_back(MeasuredTable::read(file));
  if (are_systems(tables)) return fit_systems(o, tables);
  Catalog catalog = catalog_of(o.catalog);
  std::string section = section_of(fitted_lines(tables, catalog));
  const std::string& file = o.into.empty() ? o.check : o.into;
  if (file.empty()) {
    std::cout << section << std::flush;
    return 0;
  }
  std::string text = read_text_file(file, "a catalogue");
  auto [begin, end] = section_in(file, text);
  std::string there = text.substr(begin, end - begin);
  if (!o.into.empty()) {
    write_text_file(file, text.replace(begin, end - begin, section));
    return 0;
  }
  i64 different = differences(file, there, section);
  if (different > 0) fmt::print("{} lines differ; 'kvroof fit … --into {}' writes the fit\n", different, file);
  return different > 0 ? 1 : 0;
}

}  // namespace

void add_fit(CommandLine& line) {
  auto o = std::make_shared<FitOptions>();
  line.examples =
      "  kvroof fit reports/measured/{decode_attention,linears,all_reduce}.csv \\\n"
      "    --check hardware.yaml\n"
      "  kvroof fit my_gpu_attention.csv            print the section\n"
      "  kvroof fit reports/measured/{decode,moe_serving}.csv   of engines, and ranges\n";
  line.option("files", &o->files,
              "tables of kernel timings (decode attention, linears, all-reduces) or of served systems, as CSV")
      .required()
      .metavar("FILE...");
  line.option("--into", &o->into, "replace the section 'kernels:' of this catalogue file").metavar("FILE");
  line.option("--check", &o->check, "compare with this catalogue file instead; exit 1 when they differ")
      .metavar("FILE")
      .excludes("--into");
  add_options(line, o->catalog);
  line.run = [o] { return run(*o); };
}

}  // namespace kvroof
