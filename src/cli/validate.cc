// `kvroof validate FILE…`: predictions beside what was measured, summed up per class and written row by row.
#include "cli/validate.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <memory>

#include "cli/commands.h"
#include "cli/options.h"
#include "render/number.h"

namespace kvroof {
namespace {

/// A kind of table is known by a column only it has.
struct TableKind {
  const char* name;
  const char* column;
  std::vector<Prediction> (*predict)(const MeasuredTable&, const Catalog&);
};

constexpr TableKind table_kinds[] = {
    {"memory that engines logged", "measured_quantity", predict_memory},
    {"memory that engines logged, curated", "room_gib", predict_curated_memory},
    {"decode attention", "kv_len", predict_attention},
    {"linears", "weight_bytes", predict_linears},
    {"all-reduces", "msg_bytes", predict_collectives},
    {"serving of mixtures of experts", "silicon_tpot_ms", predict_moe_serving},
    {"decoding end to end", "tokens_per_s_total", predict_decode},
};

const TableKind& kind_of(const MeasuredTable& table) {
  std::string columns;
  for (const TableKind& kind : table_kinds) {
    if (table.has(kind.column)) return kind;
    columns += (columns.empty() ? "" : " or ") + std::string(kind.column);
  }
  throw InputError{table.file() + ":1: not a measured table: it has no column " + columns + "\n"};
}

struct ValidateOptions {
  OutputOptions output;
  CatalogOptions catalog;
  std::vector<std::string> files;
  std::string rows;
  i64 worst = 8;
};

double error_of(const Prediction& p) { return std::abs(*p.predicted / *p.measured - 1); }

bool in_range(const Prediction& p) {
  double slack = 1e-9 * std::abs(*p.measured);
  return p.low && p.high && *p.low - slack <= *p.measured && *p.measured <= *p.high + slack;
}

/// How well one class of rows is predicted.
struct Score {
  std::string source, kind;
  i64 rows = 0, skipped = 0, exact = 0, close = 0;
  std::vector<double> errors = {};
  void add(const Prediction& p);
  double quantile(double q) const;
};

void Score::add(const Prediction& p) {
  if (!p.ok() || !p.measured || *p.measured == 0) {
    ++skipped;
    return;
  }
  ++rows;
  exact += in_range(p);
  close += error_of(p) <= 0.005;
  errors.push_back(error_of(p));
}

double Score::quantile(double q) const {
  std::vector<double> sorted = errors;
  std::sort(sorted.begin(), sorted.end());
  return sorted.empty() ? 0 : sorted[std::min(sorted.size() - 1, std::size_t(q * double(sorted.size())))];
}

std::vector<Score> scores_of(const std::vector<Prediction>& predictions) {
  std::vector<Score> scores;
  for (const Prediction& p : predictions) {
    auto same = [&](const Score& s) { return s.source == p.source && s.kind == p.kind; };
    auto found = std::find_if(scores.begin(), scores.end(), same);
    if (found == scores.end()) found = scores.insert(scores.end(), Score{p.source, p.kind});
    found->add(p);
  }
  auto in_order = [](const Score& a, const Score& b) {
    return std::pair(a.source, -(a.rows + a.skipped)) < std::pair(b.source, -(b.rows + b.skipped));
  };
  std::stable_sort(scores.begin(), scores.end(), in_order);
  return scores;
}

void add_scores(Document& doc, const std::vector<Score>& scores) {
  Table table{{"~from", "~kind", "rows", "exact", "to 0.5 %", "median", "p90", "skipped"}, {}};
  doc.csv.columns = {"from", "kind", "rows", "exact", "within_half_percent", "median_error", "p90_error", "skipped"};
  doc.json["classes"] = Json::array();
  for (const Score& s : scores) {
    auto error = [&](double q) {
      return s.rows == 0 ? std::string("-") : fmt::format("{:.2f} %", 100 * s.quantile(q));
    };
    table.rows.push_back({s.source, s.kind, std::to_string(s.rows), std::to_string(s.exact), std::to_string(s.close),
                          error(0.5), error(0.9), s.skipped ? std::to_string(s.skipped) : ""});
    doc.csv.rows.push_back({s.source, s.kind, std::to_string(s.rows), std::to_string(s.exact), std::to_string(s.close),
                            fmt::format("{:.6g}", s.quantile(0.5)), fmt::format("{:.6g}", s.quantile(0.9)),
                            std::to_string(s.skipped)});
    doc.json["classes"].push_back({{"from", s.source},
                                   {"kind", s.kind},
                                   {"rows", s.rows},
                                   {"exact", s.exact},
                                   {"within_half_percent", s.close},
                                   {"median_error", s.quantile(0.5)},
                                   {"p90_error", s.quantile(0.9)},
                                   {"skipped", s.skipped}});
  }
  doc.blocks.push_back(table);
}

/// The rows furthest outside what was logged, and why the others were left out.
void add_worst(Document& doc, const std::vector<Prediction>& predictions, i64 count) {
  std::vector<const Prediction*> off;
  std::map<std::string, i64> reasons;
  for (const Prediction& p : predictions) {
    if (!p.skipped.empty()) ++reasons[p.skipped];
    if (p.ok() && p.measured && *p.measured != 0 && !in_range(p)) off.push_back(&p);
  }
  std::stable_sort(off.begin(), off.end(), [](auto* a, auto* b) { return error_of(*a) > error_of(*b); });
  if (off.size() > std::size_t(count)) off.resize(std::size_t(count));
  doc.json["worst"] = Json::array();
  Table table{{"~id", "~metric", "measured", "predicted", "off"}, {}};
  for (const Prediction* p : off) {
    table.rows.push_back({p->id, p->metric, significant(*p->measured, 6), significant(*p->predicted, 6),
                          fmt::format("{:+.1f} %", 100 * (*p->predicted / *p->measured - 1))});
    doc.json["worst"].push_back({{"id", p->id},
                                 {"metric", p->metric},
                                 {"measured", *p->measured},
                                 {"predicted", *p->predicted},
                                 {"basis", p->basis}});
  }
  if (!off.empty()) doc.blocks.push_back(Heading{"Furthest off"}), doc.blocks.push_back(table);
  doc.json["skipped"] = reasons;
  if (reasons.empty()) return;
  Notes notes;
  for (const auto& [why, rows] : reasons) notes.lines.push_back(fmt::format("{} skipped: {}", rows, why));
  doc.blocks.push_back(Heading{"Skipped"});
  doc.blocks.push_back(notes);
}

void write_rows(const std::string& path, const std::vector<Prediction>& predictions) {
  std::ofstream out(path, std::ios::binary);
  out << "id,metric,measured,predicted,low,high,basis,status\n";
  auto number = [](const std::optional<double>& value) {
    return value ? fmt::format("{:.12g}", *value) : std::string();
  };
  for (const Prediction& p : predictions)
    out << csv_field(p.id) << ',' << csv_field(p.metric) << ',' << number(p.measured) << ',' << number(p.predicted)
        << ',' << number(p.low) << ',' << number(p.high) << ',' << csv_field(p.basis) << ','
        << csv_field(p.skipped.empty() ? "ok" : "skipped: " + p.skipped) << '\n';
  out.flush();
  if (!out) throw InputError{path + ": can't be written\n"};
}

int run(const ValidateOptions& o) {
  Catalog catalog = catalog_of(o.catalog);
  Document doc;
  doc.json = {{"schema_version", 1}, {"command", "validate"}, {"files", Json::array()}};
  std::vector<Prediction> predictions;
  for (const std::string& file : o.files) {
    MeasuredTable table = MeasuredTable::read(file);
    const TableKind& kind = kind_of(table);
    std::vector<Prediction> more = kind.predict(table, catalog);
    doc.blocks.push_back(Heading{fmt::format("{}: {} rows of {}", file, more.size(), kind.name)});
    doc.json["files"].push_back({{"file", file}, {"kind", kind.name}, {"rows", more.size()}});
    predictions.insert(predictions.end(), more.begin(), more.end());
  }
  add_scores(doc, scores_of(predictions));
  doc.blocks.push_back(Paragraph{"exact: the figure lies within the rounding of what was logged"});
  add_worst(doc, predictions, o.worst);
  if (!o.rows.empty()) write_rows(o.rows, predictions);
  print(doc, o.output);
  return 0;
}

}  // namespace

void add_validate(CLI::App& app, int& exit_code) {
  auto o = std::make_shared<ValidateOptions>();
  describe(app,
           "  kvroof validate reports/measured/kv_memory.csv\n"
           "  kvroof validate reports/measured/kv_memory.csv --rows rows.csv\n");
  app.add_option("files", o->files, "tables of what was measured, as CSV; the kind shows in the columns")
      ->required()
      ->option_text("FILE...");
  app.add_option("--rows", o->rows,
                 "write one line per row: measured, predicted, low, high, "
                 "basis, status")
      ->option_text("FILE");
  app.add_option("--worst", o->worst, "how many of the rows furthest off to show (default 8)")->option_text("N");
  add_options(app, o->catalog);
  add_options(app, o->output);
  app.callback([o, &exit_code] { exit_code = run(*o); });
}

}  // namespace kvroof
