// The value of `--expert-skew`: an exponent, or how many distinct experts were seen to be touched.
//
// `0.8` is a Zipf exponent. `distinct=40@tokens=16` is a measurement: the exponent is found at which 16 tokens touch 40
// experts of a layer, so a router's own counters can be used without knowing the law.
#pragma once

#include <string>

#include "core/model.h"

namespace kvroof {

/// Throws InputError.
double expert_skew_of(const std::string& text, const Model& model);

}  // namespace kvroof
