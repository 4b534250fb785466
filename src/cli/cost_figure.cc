// What a million generated tokens cost against how fast each user gets them: the batch trades one for the other.
#include <fmt/format.h>

#include "cli/figures.h"
#include "core/metric.h"
#include "render/number.h"

namespace kvroof {

Chart cost(FigureRequest& request) {
  Workload w{.context = context_of(request, 8192), .batch = 1};
  std::vector<Setup> cases =
      cases_of(request, {"llama-3.1-70b"}, {"a100-sxm-80", "h100-sxm", "h200-sxm", "b200-sxm", "mi355x"}, w);
  std::vector<std::string> names = names_of(cases);
  Plot plot{user_speed_axis(),
            {.title = "a million generated tokens",
             .key = "dollars_per_million_tokens",
             .unit = AxisUnit::dollars,
             .log = true},
            {},
            false};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Setup& c = cases[i];
    if (!c.device.price) {
      request.left_out.push_back(fmt::format("{}: its price is not known", devices_name(c)));
      continue;
    }
    Memory memory = c.memory();
    Series s = curve_over_batches(request, c, [&](const Step& step) {
      return metric("cost").number({c, memory, &step}).value_or(0);
    });
    s.name = names[i];
    s.label = fmt::format("{}, {}/h", names[i], money(c.device.price->dollars_per_hour * double(c.d.devices())));
    plot.series.push_back(s);
  }
  std::string common = common_name(cases);
  return {"cost",
          "Cost against a user's speed" + (common.empty() ? "" : ": " + common),
          workload_words(request, w.context) + engine_words(cases),
          {"The numbers at the ends of a curve are its smallest and largest batch; prices are the catalogue's."},
          plot};
}

}  // namespace kvroof
