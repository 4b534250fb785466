// Lines, numbers and arguments; the wordings themselves stand in engine_log_<engine>.cc.
#include "catalog/engine_log.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "catalog/engine_log_text.h"
#include "catalog/suggest.h"

namespace kvroof {
namespace {

constexpr std::size_t longest_line = 64 << 10, most_ranks = 1024, most_caches = 64, most_failures = 32;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

std::string_view without_leading(std::string_view text, std::string_view characters) {
  std::size_t at = text.find_first_not_of(characters);
  return at == std::string_view::npos ? std::string_view{} : text.substr(at);
}

/// A serving log is mostly requests; a line that holds none of these holds no fact.
bool may_hold_facts(std::string_view line) {
  constexpr std::string_view gates[] = {"iB",    "GB",   "args",  "okens",       "n_",       "memory",
                                        "cache", "odel", "block", "graph",       "general",  "version",
                                        "evice", "GPU",  "build", "rchitecture", "allocate", "BitsAndBytes"};
  return std::any_of(std::begin(gates), std::end(gates),
                     [&](std::string_view gate) { return line.find(gate) != std::string_view::npos; });
}

/// Where the prefix of a line ends: tags and brackets before the message.
std::string_view prefix_of(std::string_view line) { return line.substr(0, 160); }

std::optional<i64> rank_number(std::string_view prefix, std::string_view tag) {
  for (std::size_t at = 0; (at = prefix.find(tag, at)) != std::string_view::npos; at += tag.size()) {
    bool starts = at == 0 || !is_word(prefix[at - 1]) || prefix[at - 1] == '_';
    if (starts && at + tag.size() < prefix.size() && is_digit(prefix[at + tag.size()]))
      return count_at(prefix.substr(at + tag.size()));
  }
  return std::nullopt;
}

}  // namespace

std::string_view name_of(LogEngine engine) {
  constexpr std::string_view names[] = {"none", "vLLM", "SGLang", "TensorRT-LLM", "llama.cpp"};
  return names[int(engine)];
}

std::optional<Reading> number_at(std::string_view text, std::string_view* rest) {
  text = without_leading(text, " \t=:(~");
  bool negative = !text.empty() && text[0] == '-';
  if (negative) text.remove_prefix(1);
  double value = 0, step = 1;
  std::size_t i = 0, digits = 0;
  bool fraction = false;
  for (; i < text.size() && digits < 24; ++i) {
    char c = text[i];
    bool more = i + 1 < text.size() && is_digit(text[i + 1]);
    if (is_digit(c)) {
      value = value * 10 + (c - '0');
      if (fraction) step /= 10;
      ++digits;
    } else if (c == '.' && !fraction && digits > 0 && more) {
      fraction = true;
    } else if (!(c == ',' && !fraction && digits > 0 && more)) {
      break;
    }
  }
  if (digits == 0) return std::nullopt;
  if (rest) *rest = text.substr(i);
  return Reading{(negative ? -value : value) * step, fraction ? step / 2 : 0};
}

std::optional<i64> count_at(std::string_view text, std::string_view* rest) {
  std::optional<Reading> number = number_at(text, rest);
  if (!number || number->value < 0 || number->value > 1e15 || number->half_step > 0) return std::nullopt;
  return i64(number->value);
}

std::optional<Reading> size_at(std::string_view text, std::string_view* rest) {
  std::string_view unit;
  std::optional<Reading> number = number_at(text, &unit);
  if (!number) return std::nullopt;
  unit = without_leading(unit, " ");
  struct Row {
    std::string_view name;
    double factor;
  };
  constexpr double kib = 1 << 10, mib = 1 << 20, gib = 1 << 30;
  constexpr Row rows[] = {{"GiB", gib}, {"GB", gib}, {"MiB", mib}, {"MB", mib},
                          {"KiB", kib}, {"KB", kib}, {"bytes", 1}, {"B", 1}};
  for (const Row& row : rows) {
    if (unit.substr(0, row.name.size()) != row.name) continue;
    if (rest) *rest = unit.substr(row.name.size());
    // vLLM rounds to two decimals and then drops trailing zeros, so "42.8 GiB" is no coarser than "42.79 GiB".
    double half = row.factor > 1 && (number->half_step == 0 || number->half_step > 0.005) ? 0.005 : number->half_step;
    return Reading{number->value * row.factor, half * row.factor};
  }
  return std::nullopt;
}

std::string_view after(std::string_view text, std::string_view mark) {
  std::size_t at = text.find(mark);
  return at == std::string_view::npos ? std::string_view{} : text.substr(at + mark.size());
}

std::optional<Reading> size_before(std::string_view text, std::string_view mark) {
  std::size_t end = text.find(mark);
  if (end == std::string_view::npos) return std::nullopt;
  std::string_view head = text.substr(0, end);
  while (!head.empty() && head.back() == ' ') head.remove_suffix(1);
  std::size_t digits = head.find_last_of("0123456789");
  if (digits == std::string_view::npos) return std::nullopt;
  std::size_t begin = digits;
  while (begin > 0 && (is_digit(head[begin - 1]) || head[begin - 1] == '.' || head[begin - 1] == ',')) --begin;
  return size_at(head.substr(begin));
}

std::string_view argument(std::string_view line, std::string_view key) {
  for (std::size_t at = 0; (at = line.find(key, at)) != std::string_view::npos; at += key.size()) {
    if (at > 0 && (is_word(line[at - 1]) || (line[at - 1] == '-' && (at < 2 || line[at - 2] != '-')))) continue;
    std::string_view rest = line.substr(at + key.size());
    bool quoted_key = !rest.empty() && (rest[0] == '\'' || rest[0] == '"');
    if (quoted_key) rest.remove_prefix(1);
    bool option = at > 1 && line[at - 1] == '-';
    if (rest.empty() || !(rest[0] == '=' || (rest[0] == ':' && quoted_key) || (option && rest[0] == ' '))) continue;
    rest = without_leading(rest.substr(1), " ");
    if (!rest.empty() && (rest[0] == '\'' || rest[0] == '"'))
      return rest.substr(1, std::min(rest.find(rest[0], 1), rest.size()) - 1);
    return rest.substr(0, rest.find_first_of(",)}] "));
  }
  return {};
}

void keep(std::optional<i64>& field, std::string_view text) {
  if (std::optional<i64> value = text.empty() ? std::nullopt : count_at(text)) field = value;
}
void keep(std::optional<Reading>& field, std::optional<Reading> value) {
  if (value) field = value;
}
void keep(std::optional<bool>& field, std::string_view text) {
  if (text == "True" || text == "true") field = true;
  if (text == "False" || text == "false") field = false;
}
void keep(std::string& field, std::string_view text) {
  if (!text.empty() && text != "None") field = text.substr(0, 512);
}
void keep_share(std::optional<double>& field, std::string_view text) {
  std::optional<Reading> value = text.empty() ? std::nullopt : number_at(text);
  if (value && value->value > 0 && value->value <= 1) field = value->value;
}
std::string_view dtype_name(std::string_view text) { return text.substr(0, 6) == "torch." ? text.substr(6) : text; }

LogRank& rank_of(EngineLog& log, std::string_view line) {
  std::string_view prefix = prefix_of(line);
  std::optional<i64> stage = rank_number(prefix, "PP"), shard = rank_number(prefix, "TP");
  std::string label;
  if (stage) label += "PP" + std::to_string(*stage);
  if (shard) label += "TP" + std::to_string(*shard);
  if (label.empty())
    if (std::optional<i64> pid = count_at(after(prefix, "pid="))) label = "pid " + std::to_string(*pid);
  for (LogRank& rank : log.ranks)
    if (rank.label == label) return rank;
  if (log.ranks.size() >= most_ranks) return log.ranks.back();
  log.ranks.push_back({});
  log.ranks.back().label = label;
  log.ranks.back().stage = stage;
  return log.ranks.back();
}

void begin_start(EngineLog& log, LogEngine engine) {
  EngineLog fresh;
  fresh.engine = engine;
  fresh.starts = log.starts + 1;
  fresh.version = log.version;  // printed before the arguments
  fresh.device = log.device;
  log = std::move(fresh);
}

void add_failure(EngineLog& log, LogFailure failure, std::string_view line) {
  for (LogFailure& known : log.failures) {  // the same failure is printed by each rank, and again by its parent
    bool same_occasion = failure.during.empty() || known.during == failure.during;
    bool same_size = !failure.wanted || !known.wanted || known.wanted->value == failure.wanted->value;
    if (known.kind == failure.kind && same_occasion && same_size) return;
  }
  if (log.failures.size() >= most_failures) return;
  failure.line = line.substr(0, 240);
  log.failures.push_back(std::move(failure));
}

void read_out_of_memory(EngineLog& log, std::string_view line) {
  LogFailure failure;
  failure.kind = LogFailure::Kind::out_of_memory;
  failure.wanted = size_at(after(line, "Tried to allocate"));
  if (!failure.wanted) failure.wanted = size_at(after(line, "allocating"));
  failure.free = size_at(after(line, " of which"));
  std::string_view when = after(line, "occurred when ");
  failure.during = when.substr(0, std::min(when.find(". "), when.size()));
  if (!failure.during.empty() && !failure.wanted)
    for (LogFailure& known : log.failures)  // the allocation and its occasion come on lines of their own
      if (known.kind == failure.kind && known.during.empty()) {
        known.during = failure.during;
        return;
      }
  if (std::optional<Reading> total = size_at(after(line, "total capacity of")))
    log.total = log.total ? log.total : total;
  add_failure(log, std::move(failure), line);
}

void read_log_line(EngineLog& log, std::string_view line) {
  line = line.substr(0, longest_line);
  if (!may_hold_facts(line)) return;
  for (std::span<const LogWording> wordings :
       {vllm_wordings(), sglang_wordings(), trtllm_wordings(), llamacpp_wordings()})
    for (const LogWording& wording : wordings) {
      if (log.engine != LogEngine::none && wording.engine != LogEngine::none && log.engine != wording.engine) continue;
      std::size_t at = line.find(wording.mark);
      if (at == std::string_view::npos) continue;
      if (log.engine == LogEngine::none) log.engine = wording.engine;
      wording.read(log, line, line.substr(at + wording.mark.size()));
    }
  if (log.caches.size() > most_caches) log.caches.erase(log.caches.begin());
}

namespace {

/// Splits what it is fed into lines, holding back the unfinished one.
struct LineSplitter {
  EngineLog& log;
  std::string held = {};

  void line(std::string_view text) {
    if (held.empty()) return read_log_line(log, text);
    hold(text);
    read_log_line(log, held);
    held.clear();
  }
  void hold(std::string_view text) { held += text.substr(0, longest_line - std::min(longest_line, held.size())); }
  void feed(std::string_view text) {
    for (std::size_t end; (end = text.find_first_of("\n\r")) != std::string_view::npos; text.remove_prefix(end + 1))
      line(text.substr(0, end));
    hold(text);
  }
};

}  // namespace

EngineLog read_engine_log(std::string_view text) {
  EngineLog log;
  LineSplitter lines{log};
  lines.feed(text);
  lines.line({});
  return log;
}

EngineLog read_engine_log_file(const std::string& path) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) throw InputError{path + ": " + std::strerror(errno) + "\n"};
  EngineLog log;
  LineSplitter lines{log};
  std::vector<char> buffer(1 << 16);
  while (std::size_t n = std::fread(buffer.data(), 1, buffer.size(), file.get())) lines.feed({buffer.data(), n});
  if (std::ferror(file.get())) throw InputError{path + ": " + std::strerror(errno) + "\n"};
  lines.line({});
  return log;
}

const LogRank* tightest_rank(const EngineLog& log) {
  const LogRank* tightest = nullptr;
  for (const LogRank& rank : log.ranks)
    if (rank.room && (!tightest || rank.room->value < tightest->room->value)) tightest = &rank;
  return tightest;
}

}  // namespace kvroof
