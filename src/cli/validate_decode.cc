// Predictions for the tables of whole systems: decoding end to end, and serving of mixture-of-experts models.
//
// The prediction is the estimator's own: the same ops, steps and serving loop, never the row's time. A row of serving
// that states the time to the first token has two, that one first.
#include "cli/system_rows.h"

namespace kvroof {
namespace {

/// How the row's speed came about: by one step's decoding, or in a loop with prompts between.
std::string manner_of(const Row& row) {
  if (row.text("confidence") != "A" && row.text("confidence") != "B") return "weak source";
  if (!row.text("trap").empty() || row.text("saturated") == "1") return "saturated or a trap";
  if (is_serving(row)) return "serving";
  return row.text("includes_prefill").rfind("0", 0) == 0 ? "plain decode" : "with prefill";
}

std::string engine_name(const std::string& text) { return text.substr(0, text.find(' ')); }

/// Milliseconds to the first token, where the row has them.
void add_first_token(const SystemRow& r, const Row& row, const char* column, std::vector<Prediction>& out) {
  if (!r.load || !row.number(column)) return;
  Prediction p = start(row, "ttft", column, is_judged(row) ? "TTFT" : "TTFT, trap", out.back().kind);
  Serving s = r.benchmarked(r.setup.engine);
  p.predicted = s.ttft.value * 1e3;
  p.low = s.ttft_low.value * 1e3;
  p.high = s.ttft_high.value * 1e3;
  p.basis = std::string(name_of(s.basis));
  out.insert(out.end() - 1, std::move(p));
}

/// Tokens per second over all sequences: of the serving loop where the row states a prompt and an answer, else of the
/// step.
void predict_decode_row(const Row& row, Names& names, std::vector<Prediction>& out) {
  std::string manner = manner_of(row);
  Prediction& p = out.emplace_back(start(row, "tokens_per_s_total", "tokens_per_s_total", manner,
                                         is_serving(row) ? engine_name(row.text("engine")) : row.text("hw_class")));
  std::optional<SystemRow> r = decode_row(row, names, p.skipped);
  if (!r) return;
  Serving s = r->predicted();
  Step step = r->setup.step();
  p.predicted = r->sequences / s.tpot.value;
  p.low = r->sequences / s.tpot_high.value;
  p.high = r->sequences / s.tpot_low.value;
  p.basis = std::string(name_of(s.basis));
  if (step.floor_claimed) p.bare = r->sequences / step.floor.value;
  add_first_token(*r, row, "ttft_ms", out);
}

/// Milliseconds a token in the serving loop at the row's concurrency.
void predict_moe_row(const Row& row, Names& names, std::vector<Prediction>& out) {
  std::string model = row.text("model_path"), manner = is_judged(row) ? "MoE serving" : "MoE, saturated or a trap";
  Prediction& p = out.emplace_back(
      start(row, "tpot", "silicon_tpot_ms", manner, row.text("backend") + " " + model.substr(model.find('/') + 1)));
  std::optional<SystemRow> r = moe_row(row, names, p.skipped);
  if (!r) return;
  Serving s = r->predicted();
  p.predicted = s.tpot.value * 1e3;
  p.low = s.tpot_low.value * 1e3;
  p.high = s.tpot_high.value * 1e3;
  p.basis = std::string(name_of(s.basis));
  Setup at = r->setup;
  at.w = {r->load->input + r->load->output / 2, std::max<i64>(1, i64(r->load->concurrency)), 0};
  p.bare = at.step().floor.value * 1e3;
  add_first_token(*r, row, "silicon_ttft_ms", out);
}

std::vector<Prediction> predict_rows(const MeasuredTable& table, const Catalog& catalog,
                                     void (*predict_row)(const Row&, Names&, std::vector<Prediction>&)) {
  Names names(catalog);
  std::vector<Prediction> out;
  for (std::size_t i = 0; i < table.size(); ++i) predict_row(Row{table, i}, names, out);
  return out;
}

}  // namespace

std::vector<Prediction> predict_decode(const MeasuredTable& table, const Catalog& catalog) {
  return predict_rows(table, catalog, predict_decode_row);
}

std::vector<Prediction> predict_moe_serving(const MeasuredTable& table, const Catalog& catalog) {
  return predict_rows(table, catalog, predict_moe_row);
}

}  // namespace kvroof
