// The page that an estimate prints, section by section; each fills the text, the JSON and the CSV together.
#pragma once

#include <vector>

#include "cli/what_if.h"
#include "core/serving.h"
#include "render/document.h"

namespace kvroof {

/// The page of one estimate.
struct EstimatePage {
  const Setup& s;
  std::vector<std::string> overrides;  ///< what-ifs of the device, in words
  bool reshaped = false;               ///< a what-if changed the model itself, so no engine can run it
  Memory memory = s.memory();
  std::vector<Step> points = {};
  Document doc = {};
  bool unstable = false;  ///< the arrival rate is more than the deployment serves

  void head();
  void memory_facts();
  void speed();
  void cost();
  void parts();
  void speculation();
  void serving(const Load& load);
  void load_columns(const Serving& serving);
  void does_not_fit();
  void notes();
  void explain();
  double tokens_together(i64 batch) const;
  std::string expert_note() const;
};

}  // namespace kvroof
