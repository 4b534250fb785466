// Numbers and arguments inside log prose, and the table of wordings the engines' files fill.
#pragma once

#include <span>

#include "catalog/engine_log.h"

namespace kvroof {

/// One wording: where `mark` stands in a line, `read` gets the line and what follows the mark.
struct LogWording {
  LogEngine engine;
  std::string_view mark;
  void (*read)(EngineLog& log, std::string_view line, std::string_view rest);
};

std::span<const LogWording> vllm_wordings();
std::span<const LogWording> sglang_wordings();
std::span<const LogWording> trtllm_wordings();
std::span<const LogWording> llamacpp_wordings();

/// The number a text starts with, after blanks, `=`, `:` and `(`: `1,075,312`, `-7.83`. The step is that of the last
/// digit.
std::optional<Reading> number_at(std::string_view text, std::string_view* rest = nullptr);
std::optional<i64> count_at(std::string_view text, std::string_view* rest = nullptr);
/// A number with B, KiB, MiB, GiB or their mislabelled twins: engines print GB for 2^30.
std::optional<Reading> size_at(std::string_view text, std::string_view* rest = nullptr);
/// What follows `mark`; empty when the text has none.
std::string_view after(std::string_view text, std::string_view mark);
/// The size that ends right before `mark`: `2.01 GiB for peak activation`.
std::optional<Reading> size_before(std::string_view text, std::string_view mark);
/// A value as Python, JSON and command lines print it: `key=value`, `'key': value`, `--key value`. Empty: not there.
std::string_view argument(std::string_view line, std::string_view key);

/// Stores what a text says; leaves the field alone when it says nothing.
void keep(std::optional<i64>& field, std::string_view text);
void keep(std::optional<Reading>& field, std::optional<Reading> value);
void keep(std::optional<bool>& field, std::string_view text);
void keep(std::string& field, std::string_view text);
void keep_share(std::optional<double>& field, std::string_view text);
/// `torch.bfloat16` is bfloat16.
std::string_view dtype_name(std::string_view text);

/// The rank that printed this line, as its prefix says (`Worker_TP0`, `PP1`, `pid=16`).
LogRank& rank_of(EngineLog& log, std::string_view line);
/// A new start: what an earlier one measured is dropped.
void begin_start(EngineLog& log, LogEngine engine);
void add_failure(EngineLog& log, LogFailure failure, std::string_view line);
/// An allocation the device refused: CUDA, HIP and the like word it alike.
void read_out_of_memory(EngineLog& log, std::string_view line);

}  // namespace kvroof
