// Logged figures against predicted ones: what is exact, what is modelled, and the likely cause where they part.
//
// Exact figures follow from the model's shape and a figure the log itself gives (the room for KV, the cells), so they
// must agree to the rounding of what was printed. Weights are exact but for a checkpoint's odd tensors: 2 %. The rest
// (activations, runtime, the room from nothing) is modelled, shown, and not judged.
#pragma once

#include <string>
#include <vector>

#include "cli/log_setup.h"

namespace kvroof {

enum class Tie { exact, weights, modelled };
enum class LoggedUnit { bytes, tokens, times };

struct Comparison {
  std::string quantity;
  Tie tie = Tie::exact;
  LoggedUnit unit = LoggedUnit::bytes;
  Reading logged;
  double low = 0, high = 0;  ///< of the prediction
  std::string cause = {};    ///< likely, when they differ

  double predicted() const { return (low + high) / 2; }
  bool agrees() const;
  /// Predicted over logged, less one; 0 for an exact figure inside its interval.
  double difference() const;
};

bool all_agree(const std::vector<Comparison>& rows);

struct LogCheck {
  std::vector<Comparison> rows;
  std::vector<std::string> notes;
  std::vector<std::string> failures;  ///< what did not fit, in words
  bool agrees() const;
};

/// May change the setup where only an assumption the log leaves open makes the figures agree.
LogCheck check_log(const EngineLog& log, LogSetup& setup);

/// Rows of caches whose sizes the log gives: pools, blocks, cells (log_caches.cc).
void compare_caches(const EngineLog& log, const LogSetup& setup, LogCheck& check);
/// A failed start in words, with the arithmetic of what was missing (log_failures.cc).
void explain_failures(const EngineLog& log, const LogSetup& setup, LogCheck& check);

}  // namespace kvroof
