// Any bytes as a file of scenarios: each of them an estimate that can be asked, or told what is wrong at its place.
#include "cli/scenario.h"

#include "memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kvroof::MemoryFile file(data, size);
  try {
    kvroof::ScenarioFile scenarios = kvroof::read_scenarios(file.path());
    kvroof::OptionReader reader;
    for (const kvroof::Scenario& s : scenarios.scenarios) {
      try {
        reader.read(s.options);
      } catch (const kvroof::InputError&) {}
    }
  } catch (const kvroof::InputError&) {}
  return 0;
}
