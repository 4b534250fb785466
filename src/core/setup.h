// All that an estimate rests on, as one value: a model on a device, laid out, run by an engine, asked for something.
//
// Every command builds one and asks it; nothing here computes.
#pragma once

#include <optional>

#include "core/serving.h"
#include "core/speculation.h"

namespace kvroof {

struct Setup {
  Model model;
  Device device;
  Deployment d;
  Engine engine;
  RangeRule range;
  Workload w;
  std::optional<Draft> draft = std::nullopt;
  double anchor = 1;  ///< measured over expected time, where a measurement is known

  /// Of the tightest rank.
  Memory memory() const {
    Memory m = fit(model, device, d, w, engine);
    return draft ? with_draft(m, *draft, d, w, engine) : m;
  }
  Step step() const { return step(w.batch); }
  Step step(i64 batch) const {
    Workload other = w;
    other.batch = batch;
    return anchored(decode_step(model, device, d, other, engine, range), anchor, range);
  }
  /// Needs a draft.
  Speculated speculated(i64 batch) const {
    Workload other = w;
    other.batch = batch;
    return anchored(speculate(model, *draft, device, d, other, engine, range), anchor, range);
  }
  /// Requests of the load that one replica admits: sequences of the whole prompt and answer that fit.
  i64 capacity(const Load& load) const {
    Deployment whole = d;
    whole.max_context = 0;
    Workload one{load.input + load.output, 1, load.shared_prefix};
    Memory m = fit(model, device, whole, one, engine);
    return (draft ? with_draft(m, *draft, whole, one, engine) : m).max_sequences;
  }
  Serving serve(const Load& load) const {
    return kvroof::serve(model, device, d, engine, load, capacity(load), range, anchor);
  }
  std::vector<Problem> problems() const {
    std::vector<Problem> found = kvroof::problems(model, device, d, w, engine);
    if (draft)
      for (Problem& p : kvroof::problems(model, *draft)) found.push_back(std::move(p));
    return found;
  }
  bool possible() const { return problems().empty(); }
};

}  // namespace kvroof
