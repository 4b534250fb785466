// Random valid specs that shrink: a model on a device, laid out, run by an engine, asked for something.
//
// A spec is made from a list of small numbers, each the answer to one question ("which kind of attention?"), and 0 is
// always the simplest answer. Shrinking makes the list simpler, not the spec: whatever still fails is made again from
// smaller numbers, so a counterexample is valid by construction and as plain as the generator can say it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/setup.h"

namespace kvroof {

/// Answers to the generator's questions: recorded while drawn, replayed while shrinking (0 beyond their end).
class Draws {
 public:
  explicit Draws(std::uint64_t seed) : state_(seed), drawing_(true) {}
  explicit Draws(std::vector<i64> taken) : taken_(std::move(taken)) {}

  /// A number below `n`.
  i64 below(i64 n);
  /// One of the values; the first is the simplest.
  template <class T>
  T of(std::initializer_list<T> values) {
    return values.begin()[below(i64(values.size()))];
  }
  /// Once in `n` times.
  bool rarely(i64 n) { return below(n) == n - 1; }
  const std::vector<i64>& taken() const { return taken_; }

 private:
  std::vector<i64> taken_;
  std::uint64_t state_ = 0;
  std::size_t at_ = 0;
  bool drawing_ = false;
};

/// Random but not checked: problems() of it may not be empty.
Setup random_setup(Draws& draws);

/// What a property has to say against a spec; nothing where it holds.
using Property = std::function<std::optional<std::string>(const Setup&)>;

struct Held {
  i64 checked = 0;             ///< valid specs
  i64 refused = 0;             ///< specs with problems
  std::string counterexample;  ///< empty where the property held for all; else what failed and the spec in words
};

/// Draws specs until `count` valid ones were checked or one fails, which is shrunk. RANDOM_SPECS=N in the environment
/// checks N instead, for longer runs.
Held hold(const Property& property, i64 count, std::uint64_t seed);

/// A spec as a reader can check it by hand: every field that differs from a default.
std::string in_words(const Setup& setup);

}  // namespace kvroof
