#include "cli/cases.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/model_source.h"
#include "render/number.h"

namespace kvroof {
namespace {

constexpr i64 most_devices = 2048;
/// A layout that holds one sequence is not one people run.
constexpr i64 sequences_worth_it = 8;

/// The widest tensor parallelism that the link allows and the model divides by, the rest as pipeline stages.
bool lay_out(Setup& c, i64 devices) {
  i64 domain = c.device.link ? c.device.link->domain : c.device.host_link ? 8 : 1;
  for (i64 tp = devices; tp >= 1; tp /= 2) {
    if (tp > domain || tp > 128) continue;
    c.d.tp = c.d.ep = tp;
    c.d.pp = devices / tp;
    if (c.possible()) return true;
    c.d.ep = 1;
    if (c.possible()) return true;
  }
  return false;
}

bool fewest_devices(Setup& c, i64 batch) {
  Deployment asked = c.d;
  Setup crowd = c;
  crowd.w.batch = batch;
  for (i64 devices = 1; devices <= most_devices; devices *= 2)
    if (lay_out(crowd, devices) && crowd.memory().fits) {
      c.d = crowd.d;
      return true;
    }
  c.d = asked;
  return false;
}

bool same_model(const std::vector<Setup>& cases) {
  return std::all_of(cases.begin(), cases.end(), [&](const Setup& c) { return c.model.name == cases[0].model.name; });
}

bool same_devices(const std::vector<Setup>& cases) {
  return std::all_of(cases.begin(), cases.end(),
                     [&](const Setup& c) { return devices_name(c) == devices_name(cases[0]); });
}

}  // namespace

Model model_of(const FigureRequest& request, const std::string& name) { return find_model(name, request.catalog); }

std::optional<Setup> case_of(FigureRequest& request, const Model& model, const std::string& name, const Workload& w) {
  Device device = request.catalog.device(name);
  Engine engine = engine_of(request.layout, device, request.catalog);
  Setup c{model,
          device,
          deployment_of(request.cache, request.layout, model, engine),
          engine,
          request.catalog.range(device.achievable.basis),
          w};
  if (!request.weights.empty()) c.d.weights = format_of_option("--weights", request.weights, format("bf16"));
  bool asked = !request.layout.tp.empty() || !request.layout.pp.empty();
  std::string why;
  if (asked) {
    std::vector<Problem> found = c.problems();
    if (!found.empty()) {
      why = found[0].path + ": " + found[0].what;
    } else {
      Memory m = c.memory();
      if (m.fits) return c;
      why = size(m.shortfall) + " short on each device";
    }
  } else {
    if (fewest_devices(c, std::max(w.batch, sequences_worth_it)) || fewest_devices(c, w.batch)) return c;
    why = fmt::format("on none of 1 to {} devices", most_devices);
  }
  request.left_out.push_back(fmt::format("{} on {} does not fit ({})", model.name, short_name(device), why));
  return std::nullopt;
}

std::vector<Setup> cases_of(FigureRequest& request, const std::vector<std::string>& models,
                            const std::vector<std::string>& devices, const Workload& w) {
  std::vector<Setup> cases;
  for (const std::string& model : request.models.empty() ? models : request.models)
    for (const std::string& device : request.devices.empty() ? devices : request.devices)
      if (std::optional<Setup> c = case_of(request, model_of(request, model), device, w)) cases.push_back(*c);
  return cases;
}

std::string short_name(const Device& device) {
  std::string name = device.name.substr(0, device.name.find(" ("));
  for (std::string_view prefix :
       {"NVIDIA GeForce ", "NVIDIA ", "AMD Instinct ", "AMD ", "Google ", "AWS ", "Intel ", "Huawei ", "SambaNova ",
        "Microsoft ", "Tenstorrent ", "FuriosaAI ", "Qualcomm ", "Rebellions ", "d-Matrix "})
    if (name.rfind(prefix, 0) == 0) return name.substr(prefix.size());
  return name;
}

std::string devices_name(const Setup& c) {
  return c.d.devices() == 1 ? short_name(c.device) : fmt::format("{} x {}", c.d.devices(), short_name(c.device));
}

std::vector<std::string> names_of(const std::vector<Setup>& cases) {
  std::vector<std::string> names;
  bool one_model = same_model(cases), one_device = same_devices(cases);
  for (const Setup& c : cases)
    names.push_back(one_device && !one_model ? c.model.name
                    : one_model              ? devices_name(c)
                                             : c.model.name + ", " + devices_name(c));
  return names;
}

std::string common_name(const std::vector<Setup>& cases) {
  if (cases.empty()) return "";
  std::string name = same_model(cases) ? cases[0].model.name : "";
  if (cases.size() == 1 || (same_devices(cases) && !same_model(cases)))
    name += (name.empty() ? "" : " on ") + devices_name(cases[0]);
  return name;
}

}  // namespace kvroof
