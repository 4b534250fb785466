#include "cli/commands.h"

namespace kvroof {

std::span<const Command> commands() {
  static constexpr Command table[] = {
      {"kv", "how big a model's KV cache is: per token, per sequence, by kind and by format", add_kv},
      {"estimate", "what fits on a device, how fast it decodes, and what limits it", add_estimate},
      {"models", "list, show or lint the models of the catalogue", add_models},
      {"hardware", "list or show the devices of the catalogue", add_hardware},
      {"engines", "list or show the serving engines of the catalogue", add_engines},
  };
  return table;
}

}  // namespace kvroof
