#include "catalog/memory_log.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <regex>

#include "catalog/suggest.h"

namespace kvroof {
namespace {

bool contains(std::string_view text, std::string_view word) { return lower(text).find(word) != std::string::npos; }

/// The first group of the pattern's first match.
std::optional<std::string> matched(const std::string& text, const char* pattern) {
  std::smatch m;
  if (!std::regex_search(text, m, std::regex(pattern, std::regex::icase))) return std::nullopt;
  return m[1].str();
}

/// Digits of any length; beyond 63 bits the largest number, which is more than a row may have of anything.
i64 whole_of(const std::string& digits) {
  i64 value = 0;
  auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return read.ec == std::errc{} ? value : std::numeric_limits<i64>::max();
}

void set_count(std::optional<i64>& value, const std::string& text, const char* pattern) {
  if (std::optional<std::string> digits = matched(text, pattern)) value = whole_of(*digits);
}

std::optional<i64> count_in(std::string_view field) {
  static const std::regex digits(R"(\d+)");
  std::cmatch m;
  if (!std::regex_search(field.begin(), field.end(), m, digits)) return std::nullopt;
  return whole_of(m[0].str());
}

// ---- units and formats ---------------------------------------------------------------------------------

/// Units as logs write them; their "GB" and "MB" are binary where they say so.
void set_unit(LoggedMemory& row, std::string_view unit) {
  constexpr struct {
    std::string_view prefix;
    double bytes;
  } table[] = {{"GiB", 1073741824.0}, {"GB(=GiB)", 1073741824.0},
               {"MiB", 1048576.0},    {"KiB", 1024.0},
               {"GB", 1e9},           {"MB", 1e6},
               {"KB", 1e3},           {"B", 1}};
  row.unit = unit;
  for (const auto& u : table)
    if (unit.substr(0, u.prefix.size()) == u.prefix) {
      row.unit_bytes = u.bytes;
      break;
    }
  constexpr struct {
    std::string_view suffix;
    PoolPart part;
  } parts[] = {{"K only", PoolPart::key},
               {"V only", PoolPart::value},
               {"ssm_state", PoolPart::state},
               {"conv_state", PoolPart::conv}};
  for (const auto& p : parts)
    if (unit.find(p.suffix) != std::string_view::npos) row.part = p.part;
}

/// Half of the last digit a log printed: engines print two decimals of sizes and factors, whole tokens and blocks.
double half_digit_of(std::string_view value, std::string_view unit, bool published) {
  if (unit.find('~') != std::string_view::npos || unit.find("rounded") != std::string_view::npos) {
    std::size_t zeros = value.size() - 1 - std::min(value.find_last_not_of('0'), value.size() - 1);
    return 0.5 * std::pow(10, double(zeros));
  }
  bool whole = unit.substr(0, 6) == "tokens" || unit.substr(0, 6) == "blocks";
  if (whole) return 0;
  return 0.5 * std::pow(10, -std::max(decimals_in(value), published ? 0 : 2));
}

void set_format(LoggedMemory& row, Format& format, std::string_view name) {
  if (const Format* found = find_format(lower(name)))
    format = *found;
  else
    row.problem = "unknown format '" + std::string(name) + "'";
}

/// `bf16`, `K q8_0/V f16`, `q8_0/f16`, `ssm bf16`.
void set_formats(LoggedMemory& row, const std::string& text) {
  static const std::regex pair(R"((?:K )?(\w+)(?:/| |, ?)(?:V )?(\w+))", std::regex::icase);
  static const std::regex of_state(R"((?:ssm|conv) (\w+))", std::regex::icase);
  CacheFormats& cache = row.layout.cache;
  std::smatch m;
  if (text.empty() || text == "auto") return;
  if (std::regex_match(text, m, of_state)) {
    row.layout.states_given = true;
    set_format(row, cache.state, m[1].str());
    set_format(row, cache.conv, m[1].str());
  } else if (std::regex_match(text, m, pair)) {
    set_format(row, cache.key, m[1].str());
    set_format(row, cache.value, m[2].str());
  } else {
    set_format(row, cache.key, text);
    cache.value = cache.key;
  }
}

/// What a repository's name says about the format of its weights.
std::optional<Format> weights_named(std::string_view name) {
  constexpr struct {
    std::string_view word, format;
  } table[] = {{"nvfp4", "nvfp4"}, {"mxfp4", "mxfp4"}, {"w8a8", "w8a8"}, {"fp8", "fp8"}, {"awq", "awq"},
               {"gptq", "awq"},    {"w4a16", "awq"},   {"int4", "awq"},  {"4bit", "awq"}};
  for (const auto& t : table)
    if (contains(name, t.word)) return format(t.format);
  return std::nullopt;
}

// ---- notes ---------------------------------------------------------------------------------------------

/// Flags of the whole run, from the notes of all rows of one log.
void read_run_flags(LoggedMemory& row, const std::string& notes) {
  set_count(row.batched_tokens, notes, R"(u_?batch[ =](\d+))");
  set_count(row.batched_tokens, notes, R"((?:mbt|max_num_batched_tokens)[ =(]+(\d+))");
  set_count(row.page_tokens, notes, R"(page[-_ ]size[ =](\d+))");
  if (std::optional<std::string> on = matched(notes, R"(prefix(?:[ -]caching)? (on|off|enabled|disabled))"))
    row.prefix_caching = *on == "on" || *on == "enabled";
  if (contains(notes, "unified")) row.layout.unified = !matched(notes, "(non-unified|not unified)");
  if (std::optional<std::string> used = matched(notes, R"(the run used (0\.\d+))"))
    row.memory_fraction = std::stod(*used);
  if (matched(notes, R"((fp8) quantisation)")) row.weights = format("fp8");
}

/// What the ranks of a pipeline hold besides KV, as the log of each says; the first is the one whose room is logged.
void read_rank_excess(LoggedMemory& row, const std::string& notes) {
  static const std::regex rank(R"('PP\d+': ([\d.]+))");
  double first = 0, most = 0;
  for (std::sregex_iterator i(notes.begin(), notes.end(), rank), end; i != end; ++i) {
    double held = std::stod((*i)[1]);
    if (first == 0) first = held;
    most = std::max(most, held);
  }
  if (first > 0) row.rank_excess_gib = most - first;
}

/// What only this row's note is about.
void read_row_flags(LoggedMemory& row, const std::string& note) {
  bool cells = contains(row.engine, "llama");
  set_count(row.blocks, note, R"(GPU blocks (\d+))");
  if (row.quantity != "kv_bytes_total") set_count(row.blocks, note, R"((?:^|\s)(\d+) blocks(?:\*| / ))");
  set_count(row.block_tokens, note, R"((?:tokens_per_block|blocks? of) (\d+))");
  set_count(row.block_tokens, note, R"(blocks\*(\d+))");
  set_count(row.block_tokens, row.version, R"(block (\d+))");
  if (cells) set_count(row.block_tokens, note, R"(padding ?=? ?(\d+))");
  set_count(row.full_layers, note + " " + row.model, R"((\d+) full(?:-attn)?(?: layers|\)))");
  if (std::optional<std::string> slots = matched(note, R"(max_mamba_cache_size (\d+))"))
    row.sequences = std::min(whole_of(*slots), i64(1) << 40) + 1;
  if (std::optional<std::string> snapshots = matched(note, R"(rs_seq=(\d+))"))
    row.layout.draft_tokens = whole_of(*snapshots);
  if (std::optional<std::string> mode = matched(note + " " + row.model, R"(mla[= ](\d))"))
    row.latent_mode = std::stoi(*mode);
  row.flash_attention = !contains(note, "fa=0");
  if (contains(note, "swa k pool") || contains(note, "swa v pool")) row.pool = PoolLayers::sliding;
  if (contains(note, "full k pool") || contains(note, "full v pool")) row.pool = PoolLayers::full;
}

/// A multi-token-prediction head in vLLM drafts and caches one more layer.
void read_draft(LoggedMemory& row, const std::string& notes) {
  if (!contains(row.engine, "vllm") || !contains(row.model + " " + notes, "mtp")) return;
  std::optional<std::string> tokens = matched(notes, R"(num_spec\w*[ =](\d+))");
  row.layout.draft_tokens = tokens ? whole_of(*tokens) : 1;
  row.layout.draft_layers = 1;
}

void read_device(LoggedMemory& row, std::string_view gpu) {
  std::string text(gpu);
  if (std::optional<std::string> memory = matched(text, R"(\(([\d.]+) ?GiB\))")) row.memory_gib = std::stod(*memory);
  row.device = std::regex_replace(text.substr(0, text.find(" (")), std::regex(R"(^\d+ ?x ?)"), "");
}

/// `15/28 layers on GPU`: the share of a figure that names one device.
void read_device_share(LoggedMemory& row, const std::string& notes) {
  std::smatch m;
  if (row.unit.find("CUDA") == std::string::npos) return;
  if (std::regex_search(notes, m, std::regex(R"((\d+)/(\d+) layers on GPU)")))
    row.device_share = std::stod(m[1]) / std::stod(m[2]);
  else
    row.problem = "a share of the layers, and the log does not say how many";
}

LoggedMemory row_with_note(const MeasuredTable& t, std::size_t i, const std::string& notes) {
  LoggedMemory row;
  auto text = [&](const char* column) { return std::string(t.at(i, column)); };
  row.id = text("id");
  row.group = text("group");
  row.quantity = text("measured_quantity");
  row.engine = text("engine");
  row.version = text("engine_version_or_date");
  row.model = text("model");
  row.attention_kind = text("attention_kind");
  std::string value = text("measured_value"), unit = text("unit"), note = text("note");
  row.value = number_in(value);
  set_unit(row, unit);
  row.half_digit = half_digit_of(value, unit, row.engine == "published");
  row.shape =
      logged_shape(text("n_layers"), text("n_q_heads"), text("n_kv_heads"), text("head_dim"), row.attention_kind);
  row.layout.tp = count_in(text("tp")).value_or(1);
  row.layout.pp = count_in(text("pp")).value_or(1);
  row.context = count_in(text("n_ctx_or_max_model_len"));
  row.sequences = count_in(text("n_seqs")).value_or(1);
  row.layout.unified = row.sequences == 1;
  row.formats = text("kv_dtype");
  set_formats(row, row.formats);
  row.all_f32 = text("kv_dtype") == "float32";
  row.weights = weights_named(row.model);
  row.heads_expanded = contains(row.attention_kind, "stored as mha");
  row.windows_in_full = contains(row.attention_kind, "stored full");
  read_device(row, text("gpu"));
  row.memory_fraction = number_in(text("gpu_mem_util"));
  read_run_flags(row, notes);
  read_row_flags(row, note);
  read_rank_excess(row, notes);
  read_draft(row, notes);
  read_device_share(row, notes);
  return row;
}

/// The room for KV of a log is that of its tightest rank; failing that, a size its title names.
void share_room(std::vector<LoggedMemory>& rows, const MeasuredTable& t,
                const std::map<std::string, std::string>& notes) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].quantity != "kv_available_bytes" || !rows[i].value) continue;
    double gib = *rows[i].value * rows[i].unit_bytes / 1073741824.0;
    for (LoggedMemory& other : rows)
      if (other.group == rows[i].group && other.quantity != "kv_available_bytes" &&
          (!other.room_gib || gib < *other.room_gib)) {
        other.room_gib = gib;
        other.room_half_digit = half_digit_of(t.at(i, "measured_value"), t.at(i, "unit"), false);
      }
  }
  for (LoggedMemory& row : rows) {
    if (row.room_gib || row.quantity == "kv_available_bytes" || !contains(row.engine, "vllm")) continue;
    std::smatch m;
    const std::string& text = notes.at(row.group);
    if (std::regex_search(text, m, std::regex(R"((?:in |~)(\d+(?:\.\d+)?) Gi?B\b)"))) {
      row.room_gib = std::stod(m[1]);
      row.rank_excess_gib = 0;  // the room is the tightest rank's already
      row.room_half_digit = 0.5 * std::pow(10, -decimals_in(m[1].str()));
    }
  }
}

}  // namespace

std::vector<LoggedMemory> logged_memory_with_notes(const MeasuredTable& table) {
  std::map<std::string, std::string> notes;  // of all rows of a log
  for (std::size_t i = 0; i < table.size(); ++i)
    notes[std::string(table.at(i, "group"))] += std::string(table.at(i, "note")) + "\n";
  std::vector<LoggedMemory> rows;
  for (std::size_t i = 0; i < table.size(); ++i)
    rows.push_back(row_with_note(table, i, notes[std::string(table.at(i, "group"))]));
  share_room(rows, table, notes);
  return rows;
}

std::vector<LoggedMemory> logged_memory(const MeasuredTable& table) {
  std::vector<LoggedMemory> rows;
  for (std::size_t i = 0; i < table.size(); ++i) {
    LoggedMemory row;
    auto text = [&](const char* column) { return std::string(table.at(i, column)); };
    auto count = [&](const char* column, i64 fallback) { return count_in(text(column)).value_or(fallback); };
    row.id = text("id");
    row.group = row.id;
    row.quantity = text("quantity");
    row.engine = text("engine");
    row.model = text("model");
    row.value = number_in(text("value"));
    set_unit(row, text("unit"));
    row.half_digit = half_digit_of(text("value"), row.unit, true);
    row.layout.tp = count("tp", 1);
    row.layout.pp = count("pp", 1);
    row.context = count_in(text("context"));
    row.sequences = count("sequences", 1);
    row.batched_tokens = count_in(text("batched_tokens"));
    row.block_tokens = count_in(text("block_tokens"));
    row.page_tokens = row.block_tokens;
    row.layout.unified = text("unified") != "no";
    row.latent_mode = int(count("mla_mode", 0));
    row.flash_attention = text("mla_mode") != "1";
    if (std::string on = text("prefix_caching"); !on.empty()) row.prefix_caching = on == "yes";
    row.layout.draft_tokens = count("draft_tokens", 0);
    row.layout.draft_layers = count("draft_layers", 0);
    if (!text("kv_format_k").empty()) set_format(row, row.layout.cache.key, text("kv_format_k"));
    row.layout.cache.value = row.layout.cache.key;
    if (!text("kv_format_v").empty()) set_format(row, row.layout.cache.value, text("kv_format_v"));
    if (std::string f = text("state_format"); !f.empty()) {
      row.layout.states_given = true;
      set_format(row, row.layout.cache.state, f);
    }
    if (!text("weights").empty()) row.weights.emplace(), set_format(row, *row.weights, text("weights"));
    row.all_f32 = row.weights && *row.weights == format("f32");
    std::string pool = text("pool");
    if (contains(pool, "sliding")) row.pool = PoolLayers::sliding;
    if (contains(pool, "full")) row.pool = PoolLayers::full;
    if (contains(pool, "key")) row.part = PoolPart::key;
    if (contains(pool, "value")) row.part = PoolPart::value;
    if (contains(pool, "state")) row.part = PoolPart::state;
    if (contains(pool, "conv")) row.part = PoolPart::conv;
    row.device = text("device");
    row.memory_gib = number_in(text("memory_gib"));
    row.memory_fraction = number_in(text("memory_fraction"));
    if (row.quantity != "kv_available_bytes") row.room_gib = number_in(text("room_gib"));
    row.rank_excess_gib = 0;  // the room is the tightest rank's already
    row.room_half_digit = 0.5 * std::pow(10, -std::max(2, decimals_in(text("room_gib"))));
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace kvroof
