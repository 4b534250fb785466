// A spec as JSON that reads back into it: what a baseline keeps of the models, devices and engines it rests on.
//
// The same field lists in a third direction. Keys at their defaults and prose (names, sources, notes) are left out,
// since no figure follows from them; numbers carry their unit, so the file reads like the catalogue. Two records
// differ exactly where something differs that an estimate may depend on.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "catalog/reader.h"
#include "core/step.h"

namespace kvroof {

using Json = nlohmann::ordered_json;

Json record_of(const Model& model);
Json record_of(const Device& device);
Json record_of(const Engine& engine);
Json record_of(const RangeRule& range);

/// Throw InputError naming `where` when the record is not one this version reads.
Model model_of_record(const Json& record, const std::string& where);
Device device_of_record(const Json& record, const std::string& where);
Engine engine_of_record(const Json& record, const std::string& where);
RangeRule range_of_record(const Json& record, const std::string& where);

}  // namespace kvroof
