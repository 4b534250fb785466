// From what a log says to what core takes: model, device, engine and deployment of the run it recorded.
//
// What the log doesn't state is assumed and listed, never silently: `assumed` goes to the notes.
#pragma once

#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "catalog/engine_log.h"
#include "core/memory.h"

namespace kvroof {

struct LogSetup {
  Model model;
  Device device;
  Deployment d;
  Engine engine;
  Workload w;
  bool sized = false;          ///< the device's memory is known, so the room can be predicted
  bool whole_context = false;  ///< every layer keeps the full context, whatever its window
  std::vector<std::string> assumed;
};

/// Overrides may be empty. Throws InputError naming `where` when the model or device can't be told.
LogSetup setup_of(const EngineLog& log, const std::string& where, const std::string& model, const std::string& hardware,
                  const Catalog& catalog);

/// Sliding and chunked layers as full ones: what an engine without a hybrid cache manager allocates.
Model with_whole_context(Model model);

}  // namespace kvroof
