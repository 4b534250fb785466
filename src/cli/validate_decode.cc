// Predictions for the tables of whole systems: decoding end to end, and serving of mixture-of-experts models.
//
// The prediction is the estimator's own: the same ops, steps and serving loop, never the row's time.
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

/// Tokens per second over all sequences: of the serving loop where the row states a prompt and an answer, else of the
/// step.
Prediction predict_decode_row(const Row& row, Names& names) {
  Prediction p = start(row, "tokens_per_s_total", "tokens_per_s_total", manner_of(row),
                       is_serving(row) ? engine_name(row.text("engine")) : row.text("hw_class"));
  std::optional<SystemRow> r = decode_row(row, names, p.skipped);
  if (!r) return p;
  Serving s = r->predicted();
  Step step = r->setup.step();
  p.predicted = r->sequences / s.tpot.value;
  p.low = r->sequences / s.tpot_high.value;
  p.high = r->sequences / s.tpot_low.value;
  p.basis = std::string(name_of(s.basis));
  if (step.floor_claimed) p.bare = r->sequences / step.floor.value;
  return p;
}

/// Milliseconds a token in the serving loop at the row's concurrency.
Prediction predict_moe_row(const Row& row, Names& names) {
  std::string model = row.text("model_path");
  Prediction p = start(row, "tpot", "silicon_tpot_ms", is_judged(row) ? "MoE serving" : "MoE, saturated or a trap",
                       row.text("backend") + " " + model.substr(model.find('/') + 1));
  std::optional<SystemRow> r = moe_row(row, names, p.skipped);
  if (!r) return p;
  Serving s = r->predicted();
  p.predicted = s.tpot.value * 1e3;
  p.low = s.tpot_low.value * 1e3;
  p.high = s.tpot_high.value * 1e3;
  p.basis = std::string(name_of(s.basis));
  Setup at = r->setup;
  at.w = {r->load->input + r->load->output / 2, std::max<i64>(1, i64(r->load->concurrency)), 0};
  p.bare = at.step().floor.value * 1e3;
  return p;
}

}  // namespace

std::vector<Prediction> predict_decode(const MeasuredTable& table, const Catalog& catalog) {
  Names names(catalog);
  return each_row(table, [&](const Row& row) { return predict_decode_row(row, names); });
}

std::vector<Prediction> predict_moe_serving(const MeasuredTable& table, const Catalog& catalog) {
  Names names(catalog);
  return each_row(table, [&](const Row& row) { return predict_moe_row(row, names); });
}

}  // namespace kvroof
