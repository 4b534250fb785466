// All that an estimate rests on, as one value: a model on a device, laid out, run by an engine, asked for something.
//
// Every command builds one and asks it; nothing here computes.
#pragma once

#include "core/serving.h"

namespace kvroof {

struct Setup {
  Model model;
  Device device;
  Deployment d;
  Engine engine;
  RangeRule range;
  Workload w;

  /// Of the tightest rank.
  Memory memory() const { return fit(model, device, d, w, engine); }
  Step step() const { return decode_step(model, device, d, w, engine, range); }
  Step step(i64 batch) const {
    return decode_step(model, device, d, {w.context, batch, w.shared_prefix}, engine, range);
  }
  /// Requests of the load that one replica admits: sequences of the whole prompt and answer that fit.
  i64 capacity(const Load& load) const {
    Deployment whole = d;
    whole.max_context = 0;
    return fit(model, device, whole, {load.input + load.output, 1, 0}, engine).max_sequences;
  }
  Serving serve(const Load& load) const { return kvroof::serve(model, device, d, engine, load, capacity(load), range); }
  std::vector<Problem> problems() const { return kvroof::problems(model, device, d, w, engine); }
  bool possible() const { return problems().empty(); }
};

}  // namespace kvroof
