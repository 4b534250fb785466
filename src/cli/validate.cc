// `kvroof validate FILE…`: predictions beside what was measured, summed up per class and written row by row.
#include "cli/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "catalog/text_file.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "render/number.h"

namespace kvroof {
namespace {

/// A kind of table is known by a column only it has.
struct TableKind {
  const char* name;
  const char* column;
  bool exact;  ///< bytes, that can be predicted to the digit logged; else a time, with a range
  std::vector<Prediction> (*predict)(const MeasuredTable&, const Catalog&);
};

constexpr TableKind table_kinds[] = {
    {"memory that engines logged", "measured_quantity", true, predict_memory},
    {"memory that engines logged, curated", "room_gib", true, predict_curated_memory},
    {"decode attention", "kv_len", false, predict_attention},
    {"linears", "weight_bytes", false, predict_linears},
    {"all-reduces", "msg_bytes", false, predict_collectives},
    {"serving of mixtures of experts", "silicon_tpot_ms", false, predict_moe_serving},
    {"decoding end to end", "tokens_per_s_total", false, predict_decode},
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
  std::string worst;
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
  std::vector<double> errors = {}, signed_errors = {}, bare_errors = {};
  void add(const Prediction& p);
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
  signed_errors.push_back(*p.predicted / *p.measured - 1);
  if (p.bare) bare_errors.push_back(std::abs(*p.bare / *p.measured - 1));
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

std::string share_of_rows(i64 part, i64 rows) {
  return rows == 0 ? "-" : fmt::format("{:.0f} %", 100 * double(part) / double(rows));
}

std::string error_text(const std::vector<double>& errors, double q, const char* shape) {
  return errors.empty() ? "-" : fmt::format(fmt::runtime(shape), 100 * quantile(errors, q));
}

/// What can be exact is counted in digits; a time by how far it is off, and how often its range held it.
Table score_table(const std::vector<Score>& scores, bool exact) {
  Table table;
  if (exact)
    table.columns = {"~from", "~kind", "rows", "exact", "to 0.5 %", "median", "p90", "skipped"};
  else
    table.columns = {"~what", "~of", "rows", "median", "p90", "bias", "in range", "floor", "skipped"};
  for (const Score& s : scores) {
    std::string skipped = s.skipped ? std::to_string(s.skipped) : "";
    if (exact)
      table.rows.push_back({s.source, s.kind, std::to_string(s.rows), std::to_string(s.exact), std::to_string(s.close),
                            error_text(s.errors, 0.5, "{:.2f} %"), error_text(s.errors, 0.9, "{:.2f} %"), skipped});
    else
      table.rows.push_back({s.source, s.kind, std::to_string(s.rows), error_text(s.errors, 0.5, "{:.1f} %"),
                            error_text(s.errors, 0.9, "{:.0f} %"), error_text(s.signed_errors, 0.5, "{:+.1f} %"),
                            share_of_rows(s.exact, s.rows), error_text(s.bare_errors, 0.5, "{:.0f} %"), skipped});
  }
  return table;
}

void add_scores(Document& doc, const std::vector<Score>& scores) {
  doc.csv.columns = {"from",         "kind",      "rows",          "in_range",           "within_half_percent",
                     "median_error", "p90_error", "median_signed", "floor_median_error", "skipped"};
  for (const Score& s : scores) {
    auto figure = [](const std::vector<double>& errors, double q) {
      return errors.empty() ? std::string() : fmt::format("{:.6g}", quantile(errors, q));
    };
    doc.csv.rows.push_back({s.source, s.kind, std::to_string(s.rows), std::to_string(s.exact), std::to_string(s.close),
                            figure(s.errors, 0.5), figure(s.errors, 0.9), figure(s.signed_errors, 0.5),
                            figure(s.bare_errors, 0.5), std::to_string(s.skipped)});
    doc.json["classes"].push_back(
        {{"from", s.source},
         {"kind", s.kind},
         {"rows", s.rows},
         {"in_range", s.exact},
         {"within_half_percent", s.close},
         {"median_error", quantile(s.errors, 0.5)},
         {"p90_error", quantile(s.errors, 0.9)},
         {"median_signed_error", quantile(s.signed_errors, 0.5)},
         {"floor_median_error", s.bare_errors.empty() ? Json(nullptr) : Json(quantile(s.bare_errors, 0.5))},
         {"skipped", s.skipped}});
  }
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

int run(const ValidateOptions& o) {
  Catalog catalog = catalog_of(o.catalog);
  Document doc;
  doc.json = {{"schema_version", 1}, {"command", "validate"}, {"files", Json::array()}};
  doc.json["classes"] = Json::array();
  std::vector<Prediction> predictions;
  bool any_exact = false, any_time = false;
  for (const std::string& file : o.files) {
    MeasuredTable table = MeasuredTable::read(file);
    const TableKind& kind = kind_of(table);
    std::vector<Prediction> more = predict(table, catalog);
    std::vector<Score> scores = scores_of(more);
    doc.blocks.push_back(Heading{fmt::format("{}: {} rows of {}", file, more.size(), kind.name)});
    doc.json["files"].push_back({{"file", file}, {"kind", kind.name}, {"rows", more.size()}});
    doc.blocks.push_back(score_table(scores, kind.exact));
    add_scores(doc, scores);
    (kind.exact ? any_exact : any_time) = true;
    predictions.insert(predictions.end(), more.begin(), more.end());
  }
  Notes legend;
  if (any_exact) legend.lines.push_back("exact: the figure lies within the rounding of what was logged");
  if (any_time)
    legend.lines.push_back(
        "in range: measured within the 80 % range; bias: median signed error; floor: median error of the "
        "bare floor, the estimate to beat");
  doc.blocks.push_back(legend);
  add_worst(doc, predictions, count_of("--worst", o.worst, 8));
  if (!o.rows.empty()) write_rows(o.rows, predictions);
  print(doc, o.output);
  return 0;
}

}  // namespace

std::vector<Prediction> predict(const MeasuredTable& table, const Catalog& catalog) {
  std::vector<Prediction> predictions = kind_of(table).predict(table, catalog);
  for (Prediction& p : predictions)
    if (p.skipped.empty() && !(p.measured && std::isfinite(*p.measured) && *p.measured >= 0))
      p.skipped = "no figure was measured";
  return predictions;
}

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[std::min(values.size() - 1, std::size_t(q * double(values.size())))];
}

void write_rows(const std::string& path, const std::vector<Prediction>& predictions) {
  std::string text = "id,metric,measured,predicted,low,high,basis,status\n";
  auto number = [](const std::optional<double>& value) {
    return value ? fmt::format("{:.12g}", *value) : std::string();
  };
  for (const Prediction& p : predictions)
    text += fmt::format("{},{},{},{},{},{},{},{}\n", csv_field(p.id), csv_field(p.metric), number(p.measured),
                        number(p.predicted), number(p.low), number(p.high), csv_field(p.basis),
                        csv_field(p.skipped.empty() ? "ok" : "skipped: " + p.skipped));
  write_text_file(path, text);
}

void add_validate(CommandLine& line) {
  auto o = std::make_shared<ValidateOptions>();
  line.examples =
      "  kvroof validate reports/measured/kv_memory.csv\n"
      "  kvroof validate reports/measured/kv_memory.csv --rows rows.csv\n";
  line.option("files", &o->files, "tables of what was measured, as CSV; the kind shows in the columns")
      .required()
      .metavar("FILE...");
  line.option("--rows", &o->rows,
              "write one line per row: measured, predicted, low, high, "
              "basis, status")
      .metavar("FILE");
  line.option("--worst", &o->worst, "how many of the rows furthest off to show (default 8)").metavar("N");
  add_options(line, o->catalog);
  add_options(line, o->output);
  line.run = [o] { return run(*o); };
}

}  // namespace kvroof
