// `kvroof models | hardware | engines`: what the catalogue holds, with sources.
#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "catalog/writer.h"
#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/model_source.h"
#include "cli/options.h"
#include "core/parameters.h"
#include "render/number.h"

namespace kvroof {
namespace {

struct ListOptions {
  OutputOptions output;
  CatalogOptions catalog;
  std::string action = "list", name;
};

std::string letter(Confidence c) { return std::string(1, char('A' + int(c))); }

Document list_models(const Catalog& catalog) {
  Document doc;
  Table table{{"<id", "parameters", "active", "~attention", "KV a token", ""}, {}};
  doc.json = {{"schema_version", 1}, {"command", "models"}, {"models", Json::array()}};
  doc.csv.columns = {"id",
                     "name",
                     "parameters_total",
                     "parameters_active",
                     "kv_bytes_per_token",
                     "kv_bytes_per_token_within_windows",
                     "confidence",
                     "source"};
  for (const std::string& id : catalog.ids("models")) {
    Model m = catalog.model(id);
    Parameters p = count_parameters(m);
    Deployment d;
    Bytes growth = cache_per_token(m, d), within = cache_per_token_within_windows(m, d);
    table.rows.push_back({id, parameters(double(p.total)),
                          p.active == p.total - p.encoder ? "" : parameters(double(p.active)), kinds_of(m),
                          size(within), letter(m.confidence)});
    doc.json["models"].push_back({{"id", id},
                                  {"name", m.name},
                                  {"aliases", m.aliases},
                                  {"parameters", {{"total", p.total}, {"active", p.active}}},
                                  {"kv_bytes_per_token", growth.value},
                                  {"kv_bytes_per_token_within_windows", within.value},
                                  {"confidence", letter(m.confidence)},
                                  {"source", m.source}});
    doc.csv.rows.push_back({id, m.name, std::to_string(p.total), std::to_string(p.active),
                            fmt::format("{:.0f}", growth.value), fmt::format("{:.0f}", within.value),
                            letter(m.confidence), m.source});
  }
  doc.blocks.push_back(table);
  return doc;
}

Document list_devices(const Catalog& catalog) {
  Document doc;
  Table table{{"<id", "<class", "memory", "bandwidth", "bf16 dense", ""}, {}};
  doc.json = {{"schema_version", 1}, {"command", "hardware"}, {"devices", Json::array()}};
  doc.csv.columns = {"id",
                     "name",
                     "class",
                     "memory_bytes",
                     "bandwidth_bytes_per_second",
                     "bf16_flops_per_second",
                     "link_bytes_per_second",
                     "watts",
                     "confidence",
                     "source"};
  for (const std::string& id : catalog.ids("devices")) {
    Device d = catalog.device(id);
    std::optional<FlopRate> peak = d.peak_for(Arithmetic::bf16);
    const MemoryTier& tier = d.memory[0];
    table.rows.push_back({id, d.device_class, size(tier.capacity), bandwidth(tier.bandwidth),
                          peak ? flop_rate(*peak) : "-", letter(d.confidence)});
    Json row = {{"id", id},
                {"name", d.name},
                {"vendor", d.vendor},
                {"class", d.device_class},
                {"memory_bytes", tier.capacity.value},
                {"bandwidth_bytes_per_second", tier.bandwidth.value},
                {"confidence", letter(d.confidence)},
                {"source", d.source}};
    if (peak) row["bf16_flops_per_second"] = peak->value;
    if (d.link) row["link_bytes_per_second"] = d.link->per_direction.value;
    if (d.watts) row["watts"] = *d.watts;
    doc.json["devices"].push_back(row);
    auto number = [](std::optional<double> v) { return v ? fmt::format("{:.6g}", *v) : std::string(); };
    doc.csv.rows.push_back({id, d.name, d.device_class, fmt::format("{:.0f}", tier.capacity.value),
                            number(tier.bandwidth.value), number(peak ? std::optional(peak->value) : std::nullopt),
                            number(d.link ? std::optional(d.link->per_direction.value) : std::nullopt), number(d.watts),
                            letter(d.confidence), d.source});
  }
  doc.blocks.push_back(table);
  return doc;
}

Document list_engines(const Catalog& catalog) {
  Document doc;
  Table table{{"<id", "<name", "<version", "<layout", "block", "memory fraction"}, {}};
  doc.json = {{"schema_version", 1}, {"command", "engines"}, {"engines", Json::array()}};
  doc.csv.columns = {"id", "name", "version", "layout", "block_tokens", "memory_fraction", "source"};
  for (const std::string& id : catalog.ids("engines")) {
    Engine e = catalog.engine(id);
    table.rows.push_back({id, e.name, e.version, std::string(name_of(e.layout)), std::to_string(e.block_tokens),
                          significant(e.memory_fraction, 3)});
    doc.json["engines"].push_back({{"id", id},
                                   {"name", e.name},
                                   {"version", e.version},
                                   {"layout", name_of(e.layout)},
                                   {"block_tokens", e.block_tokens},
                                   {"memory_fraction", e.memory_fraction},
                                   {"source", e.source}});
    doc.csv.rows.push_back({id, e.name, e.version, std::string(name_of(e.layout)), std::to_string(e.block_tokens),
                            fmt::format("{}", e.memory_fraction), e.source});
  }
  doc.blocks.push_back(table);
  return doc;
}

/// The problems of all entries, and parameter totals that differ from the published ones.
int lint(const Catalog& catalog) {
  std::vector<std::string> found = catalog.lint();
  i64 exact = 0, models = 0;
  if (found.empty())
    for (const std::string& id : catalog.ids("models")) {
      Model m = catalog.model(id);
      i64 total = count_parameters(m).total;
      ++models;
      if (!m.published_parameters) continue;
      double off = double(total) / double(*m.published_parameters) - 1;
      if (m.published_exact && total != *m.published_parameters)
        found.push_back(fmt::format("{}: {}: {} parameters, published {} ({:+d})\n", catalog.place("models", id), id,
                                    total, *m.published_parameters, total - *m.published_parameters));
      else if (std::abs(off) > 0.1)
        found.push_back(fmt::format("{}: {}: {} parameters, {:+.1f} % off the nominal {}\n",
                                    catalog.place("models", id), id, total, off * 100, *m.published_parameters));
      exact += m.published_exact && total == *m.published_parameters;
    }
  for (const std::string& problem : found) std::cerr << problem;
  if (found.empty())
    std::cout << fmt::format(
        "{} models, {} devices, {} engines; {} parameter totals equal the published ones to the last digit\n", models,
        catalog.ids("devices").size(), catalog.ids("engines").size(), exact);
  return found.empty() ? 0 : 1;
}

using Lister = Document (*)(const Catalog&);

/// list, show NAME (or NAME alone) and, for models, lint.
void add_listing(CommandLine& line, const char* what, Lister list,
                 Document (*show)(const Catalog&, const std::string&)) {
  auto o = std::make_shared<ListOptions>();
  bool models = std::string(what) == "models";
  line.option("action", &o->action, models ? "list (default), show NAME, or lint" : "list (default) or show NAME")
      .metavar("ACTION");
  line.option("name", &o->name, "an id or alias").metavar("NAME");
  add_options(line, o->catalog);
  add_options(line, o->output);
  line.examples = fmt::format("  kvroof {0}\n  kvroof {0} show {1}\n", what,
                              models                            ? "llama-3.1-8b"
                              : std::string(what) == "hardware" ? "h100-sxm"
                                                                : "vllm");
  line.run = [o, list, show, models] {
    Catalog catalog = catalog_of(o->catalog);
    if (o->action == "lint" && models) {
      return lint(catalog);
    } else if (o->action == "list") {
      print(list(catalog), o->output);
    } else if (o->action == "show") {
      if (o->name.empty()) throw InputError{"show: needs a name\n"};
      print(show(catalog, o->name), o->output);
    } else {
      print(show(catalog, o->action), o->output);
    }
    return 0;
  };
}

Document show_model(const Catalog& catalog, const std::string& name) {
  Model m = find_model(name, catalog);
  Parameters p = count_parameters(m);
  Document doc;
  Facts facts;
  doc.blocks.push_back(Heading{fmt::format("{} ({})", m.name, m.id)});
  facts.rows = {{"family", m.family},
                {"hidden", count(double(m.hidden))},
                {"vocabulary", count(double(m.vocab))},
                {"layers", count(double(m.layer_count()))}};
  if (m.max_context) facts.rows.push_back({"max context", count(double(*m.max_context))});
  facts.rows.push_back({"parameters", fmt::format("{} ({})", count(double(p.total)), parameters(double(p.total)))});
  facts.rows.push_back({"active", fmt::format("{} ({})", count(double(p.active)), parameters(double(p.active)))});
  if (m.published_parameters)
    facts.rows.push_back(
        {"published", count(double(*m.published_parameters)) + (m.published_exact ? "" : " (nominal)")});
  facts.rows.push_back({"weights", weight_format_of(m, {})});
  for (const std::string& alias : m.aliases) facts.rows.push_back({alias == m.aliases.front() ? "aliases" : "", alias});
  facts.rows.push_back({"source", m.source});
  facts.rows.push_back({"confidence", letter(m.confidence)});
  doc.blocks.push_back(facts);
  doc.yaml = yaml_entry(m);
  Table groups{{"layers", "<kind", "<sharing", "~shape", "~feed-forward"}, {}};
  doc.json = {{"schema_version", 1},  {"command", "models show"},
              {"id", m.id},           {"name", m.name},
              {"aliases", m.aliases}, {"hidden", m.hidden},
              {"vocab", m.vocab},     {"parameters", {{"total", p.total}, {"active", p.active}}},
              {"source", m.source},   {"layers", Json::array()}};
  doc.csv.columns = {"count", "kind", "sharing", "shape", "feed_forward"};
  for (const LayerGroup& g : m.layers) {
    std::string ff = "-";
    if (const auto* dense = std::get_if<DenseFeedForward>(&g.feed_forward))
      ff = fmt::format("{} {}", dense->matrices == 3 ? "gated" : "plain", count(double(dense->width)));
    if (const auto* e = std::get_if<MoeFeedForward>(&g.feed_forward))
      ff = fmt::format("{} of {} experts of {}{}", e->top_k, e->experts, count(double(e->width)),
                       e->shared_width ? " + shared" : "");
    groups.rows.push_back(
        {std::to_string(g.count), std::string(kind_name(g.attention)), sharing_of(g), shape_of(g), ff});
    doc.csv.rows.push_back(groups.rows.back());
    doc.json["layers"].push_back({{"count", g.count},
                                  {"kind", kind_name(g.attention)},
                                  {"sharing", sharing_of(g)},
                                  {"shape", shape_of(g)},
                                  {"feed_forward", ff}});
  }
  doc.blocks.push_back(Heading{"Layer groups"});
  doc.blocks.push_back(groups);
  if (!m.notes.empty()) doc.blocks.push_back(Heading{"Notes"}), doc.blocks.push_back(Notes{m.notes});
  return doc;
}

Document show_device(const Catalog& catalog, const std::string& name) {
  Device d = find_device(name, catalog);
  Document doc;
  doc.yaml = yaml_entry(d);
  Facts facts;
  doc.json = {{"schema_version", 1},     {"command", "hardware show"}, {"id", d.id},        {"name", d.name},
              {"class", d.device_class}, {"aliases", d.aliases},       {"source", d.source}};
  doc.blocks.push_back(Heading{fmt::format("{} ({})", d.name, d.id)});
  facts.rows.push_back({"class", d.device_class + (d.status == "shipping" ? "" : ", " + d.status)});
  for (const MemoryTier& t : d.memory) {
    facts.rows.push_back({t.kind, fmt::format("{} at {}{}", size(t.capacity), bandwidth(t.bandwidth),
                                              t.link ? " behind " + bandwidth(*t.link) : "")});
    doc.json["memory"].push_back(
        {{"kind", t.kind}, {"capacity_bytes", t.capacity.value}, {"bandwidth_bytes_per_second", t.bandwidth.value}});
  }
  if (d.cache) facts.rows.push_back({"last-level cache", size(d.cache->capacity)});
  for (int a = 0; a < 7; ++a)
    if (d.peak[std::size_t(a)]) {
      facts.rows.push_back({std::string(name_of(Arithmetic(a))) + ", dense", flop_rate(*d.peak[std::size_t(a)])});
      doc.json["peak_flops_per_second"][std::string(name_of(Arithmetic(a)))] = d.peak[std::size_t(a)]->value;
    }
  if (std::optional<FlopRate> peak = d.peak_for(Arithmetic::bf16))
    facts.rows.push_back(
        {"ridge point", fmt::format("{} flop/B in bf16", significant(peak->value / d.memory[0].bandwidth.value, 4))});
  if (d.link)
    facts.rows.push_back({"link", fmt::format("{}, {} a direction, {} devices", d.link->kind,
                                              bandwidth(d.link->per_direction), d.link->domain)});
  if (d.network) facts.rows.push_back({"network", bandwidth(*d.network)});
  if (d.host_link) facts.rows.push_back({"host link", bandwidth(*d.host_link)});
  if (d.watts) facts.rows.push_back({"power", significant(*d.watts, 4) + " W"});
  if (d.price)
    facts.rows.push_back(
        {"price", fmt::format("${}/h ({})", significant(d.price->dollars_per_hour, 4), d.price->source)});
  facts.rows.push_back({"achievable", fmt::format("{}: {}", name_of(d.achievable.basis), d.achievable.source)});
  facts.rows.push_back({"source", d.source});
  facts.rows.push_back({"confidence", letter(d.confidence)});
  doc.blocks.push_back(facts);
  if (!d.notes.empty()) doc.blocks.push_back(Heading{"Notes"}), doc.blocks.push_back(Notes{d.notes});
  doc.csv.columns = {"key", "value"};
  for (const auto& [key, value] : facts.rows) doc.csv.rows.push_back({key, value});
  return doc;
}

Document show_engine(const Catalog& catalog, const std::string& name) {
  Engine e = catalog.engine(name);
  Document doc;
  Facts facts;
  facts.rows = {{"version", e.version.empty() ? "any" : e.version},
                {"layout", std::string(name_of(e.layout))},
                {"block", fmt::format("{} tokens", e.block_tokens)},
                {"memory fraction",
                 significant(e.memory_fraction, 3) + (e.fraction_flag.empty() ? "" : " (" + e.fraction_flag + ")")},
                {"runtime", size(e.runtime)},
                {"a layer", duration(e.layer)},
                {"a step", duration(e.step)},
                {"a sequence", duration(e.sequence)},
                {"source", e.source}};
  doc.blocks.push_back(Heading{fmt::format("{} ({})", e.name, e.id)});
  doc.blocks.push_back(facts);
  doc.json = {{"schema_version", 1},         {"command", "engines show"},      {"id", e.id},        {"name", e.name},
              {"layout", name_of(e.layout)}, {"block_tokens", e.block_tokens}, {"source", e.source}};
  doc.csv.columns = {"key", "value"};
  for (const auto& [key, value] : facts.rows) doc.csv.rows.push_back({key, value});
  return doc;
}

}  // namespace

void add_models(CommandLine& line) { add_listing(line, "models", list_models, show_model); }
void add_hardware(CommandLine& line) { add_listing(line, "hardware", list_devices, show_device); }
void add_engines(CommandLine& line) { add_listing(line, "engines", list_engines, show_engine); }

}  // namespace kvroof
