// `kvroof chart NAME`: one of the figures as SVG, PNG, or the values behind it.
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <iostream>
#include <memory>

#include "catalog/suggest.h"
#include "catalog/text_file.h"
#include "cli/commands.h"
#include "cli/figures.h"

extern char** environ;

namespace kvroof {
namespace {

struct ChartOptions {
  std::string name;
  std::vector<std::string> models, devices, tables;
  std::string context, batch, weights, format, file;
  CatalogOptions catalog;
  CacheOptions cache;
  DeploymentOptions layout;
};

const Figure& figure_named(const std::string& name) {
  std::vector<std::string> names;
  for (const Figure& f : figures()) {
    if (name == f.name) return f;
    names.emplace_back(f.name);
  }
  std::optional<std::string> near = nearest(name, names);
  throw InputError{(name.empty() ? std::string("which chart?") : "unknown chart '" + name + "'") +
                   (near && !name.empty() ? "; did you mean '" + *near + "'?" : "") +
                   "\n  'kvroof chart list' lists all of them\n"};
}

/// What --format says, or else the ending of the file's name.
std::string format_of(const ChartOptions& o) {
  if (!o.format.empty()) return o.format;
  for (const char* ending : {"png", "csv", "json"})
    if (o.file.size() > 4 && o.file.ends_with(std::string(".") + ending)) return ending;
  return "svg";
}

/// Runs rsvg-convert on the SVG; it writes the PNG to the file, or to stdout.
void write_png(const std::string& svg, const std::string& file) {
  if (file.empty() && isatty(STDOUT_FILENO))
    throw InputError{"--format png: needs -o FILE, or a stdout that is not a terminal\n"};
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> input(std::tmpfile(), std::fclose);
  if (!input || std::fwrite(svg.data(), 1, svg.size(), input.get()) != svg.size() || std::fflush(input.get()) != 0)
    throw InputError{"--format png: no room for a temporary file\n"};
  std::rewind(input.get());
  std::string arguments[] = {"rsvg-convert", "--format=png", "--zoom=2", "--output=" + file};
  char* argv[] = {arguments[0].data(), arguments[1].data(), arguments[2].data(),
                  file.empty() ? nullptr : arguments[3].data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, fileno(input.get()), STDIN_FILENO);
  pid_t child = 0;
  int error = posix_spawnp(&child, "rsvg-convert", &actions, nullptr, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  if (error == 0)
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (error != 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 127))
    throw InputError{"--format png: rsvg-convert is not installed\n  apt install librsvg2-bin, or write an .svg\n"};
  if (status != 0) throw InputError{(file.empty() ? "--format png" : file) + ": rsvg-convert failed\n"};
}

void write_text(const std::string& text, const std::string& file) {
  if (file.empty()) {
    std::cout << text << std::flush;
    return;
  }
  write_text_file(file, text);
}

int list(const ChartOptions& o) {
  Document doc;
  doc.json = {{"schema_version", 1}, {"command", "chart list"}, {"charts", Json::array()}};
  doc.csv = {{"chart", "shows"}, {}};
  Facts facts;
  for (const Figure& f : figures()) {
    facts.rows.push_back({f.name, f.summary});
    doc.json["charts"].push_back({{"name", f.name}, {"shows", f.summary}});
    doc.csv.rows.push_back({f.name, f.summary});
  }
  doc.blocks.push_back(facts);
  std::string format = o.format == "json" || o.format == "csv" ? o.format : "text";
  print(doc, {.format = format, .json = false, .file = o.file, .color = "never"});
  return 0;
}

int run(const ChartOptions& o) {
  if (o.name == "list") return list(o);
  const Figure& figure = figure_named(o.name);
  Catalog catalog = catalog_of(o.catalog);
  FigureRequest request{catalog,
                        pieces_of("--models", o.models),
                        pieces_of("--on", o.devices),
                        counts_of("--context", o.context, {}),
                        counts_of("--batch", o.batch, {}),
                        pieces_of("--kv-dtype", o.cache.kv_dtype),
                        o.cache,
                        o.layout,
                        o.weights,
                        o.tables};
  if (!o.tables.empty() && o.name != "validation") throw InputError{"--measured: is for the chart 'validation'\n"};
  if (request.kv_formats.size() > 1 && o.name != "kv-by-kind")
    throw InputError{"--kv-dtype: this chart takes one format; kv-by-kind takes a list\n"};
  if (request.kv_formats.size() > 1) request.cache.kv_dtype = request.kv_formats[0];
  Chart chart = figure.draw(request);
  for (const std::string& text : request.left_out) chart.notes.push_back("Left out: " + text + ".");
  Table data = data_of(chart);
  for (const std::string& note : drawable(chart).notes)
    if (std::find(chart.notes.begin(), chart.notes.end(), note) == chart.notes.end())
      std::cerr << "kvroof: " << note << "\n";
  for (const std::string& text : request.left_out) std::cerr << "kvroof: left out: " << text << "\n";
  if (data.rows.empty()) {
    std::cerr << "kvroof: nothing is left to draw\n";
    return 1;
  }
  std::string format = format_of(o);
  if (format == "png") {
    write_png(draw(chart).svg, o.file);
  } else if (format == "svg") {
    write_text(draw(chart).svg, o.file);
  } else {
    Document doc;
    doc.json = json_of(chart);
    doc.csv = data;
    print(doc, {.format = format, .json = false, .file = o.file, .color = "never"});
  }
  return 0;
}

}  // namespace

void add_chart(CommandLine& line) {
  auto o = std::make_shared<ChartOptions>();
  line.examples =
      "  kvroof chart list\n"
      "  kvroof chart kv-vs-context -o kv.svg\n"
      "  kvroof chart throughput-vs-batch --models llama-3.1-70b --on h100-sxm,mi300x\n"
      "  kvroof chart kv-by-kind --models qwen3-32b --kv-dtype bf16,fp8 --format csv\n\n"
      "Without --tp a model gets the fewest devices it fits on.\n"
      "One SVG serves light and dark.";
  line.option("name", &o->name, "which chart, or 'list'").required().metavar("NAME");
  line.option("--models", &o->models, "models, or files of models (default: the chart's own choice)")
      .metavar("MODEL[,...]");
  line.option("--on", &o->devices, "devices (default: the chart's own choice)").metavar("HARDWARE[,...]");
  line.option("--context", &o->context, "cached tokens of one sequence, or a list").metavar("TOKENS[,...]");
  line.option("--batch", &o->batch, "sequences decoded together, or a list").metavar("N[,...]");
  line.option("--weights", &o->weights, "format of the matrices: bf16, fp8, nvfp4, awq, q4_0...").metavar("FORMAT");
  line.option("--measured", &o->tables, "tables of measured figures, for the chart 'validation'").metavar("FILE...");
  line.option("--format", &o->format, "svg, png, csv or json (default: as the file's name ends, else svg)")
      .one_of({"svg", "png", "csv", "json"})
      .metavar("FORMAT");
  line.option("-o,--out", &o->file, "write to this file instead of stdout").metavar("FILE");
  add_options(line, o->layout);
  add_options(line, o->cache);
  add_options(line, o->catalog);
  line.run = [o] { return run(*o); };
}

}  // namespace kvroof
