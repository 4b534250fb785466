// The baseline file: what the scenarios answered when somebody last accepted it, and all that rested on.
//
// JSON in a stable order (scenarios and specs by name, a field a line), so that a git diff shows what moved. Each
// scenario carries a digest of itself and its inputs, so an edit by hand is noticed while branches that touch
// different scenarios still merge. Writing goes to a file beside it that is then renamed: never half a baseline.
#pragma once

#include "cli/answers.h"

namespace kvroof {

/// Throws InputError: missing, not JSON, of another schema, cut off, edited by hand.
Answers read_baseline(const std::string& path);
/// The text of the file.
std::string baseline_text(const Answers& answers);
/// Throws InputError; whoever reads meanwhile sees the old file or the new one.
void write_baseline(const std::string& path, const Answers& answers);

}  // namespace kvroof
