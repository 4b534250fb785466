// `kvroof plan MODEL`: which devices, how many and laid out how serve these users within these times, at what cost,
// and why not the others.

#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "cli/axes.h"
#include "cli/commands.h"
#include "cli/plan_page.h"
#include "cli/plan_wishes.h"
#include "cli/prices.h"
#include "cli/side_by_side.h"
#include "core/units.h"

namespace kvroof {
namespace {

constexpr i64 usual_most = 64;  ///< devices of one kind

struct PlanOptions {
  SetupOptions setup;
  OutputOptions output;
  CatalogOptions catalog;
  std::string models, users, tpot, ttft, on, have, max_devices, budget, headroom, spare;
  std::string objective, confidence = "p50";
};

std::optional<Seconds> time_of(const std::string& option, const std::string& text) {
  if (text.empty()) return std::nullopt;
  ParsedNumber n = parse_quantity(text, seconds_dimension);
  if (!n.value || *n.value == 0) throw InputError{option + ": " + (n.value ? "must be more than 0" : n.error) + "\n"};
  return Seconds{*n.value};
}

Demand demand_of(const PlanOptions& o) {
  Demand d;
  const SetupOptions& s = o.setup;
  if (!s.context.empty() && (!s.input.empty() || !s.output.empty()))
    throw InputError{"--context: asks for decoding alone, without --input and --output\n"};
  if (!s.context.empty()) d.context = count_of("--context", s.context, 1);
  d.load.input = count_of("--input", s.input, 1024);
  d.load.output = count_of("--output", s.output, 256);
  if (!s.cache_hit.empty()) d.load.cache_hit = share_of("--cache-hit", s.cache_hit);
  if (!s.cache.shared_prefix.empty()) d.load.shared_prefix = count_of("--shared-prefix", s.cache.shared_prefix, 1);
  if (!o.users.empty()) d.load.concurrency = double(count_of("--users", o.users, 1, 1 << 20));
  if (!s.rate.empty()) d.load.rate = rate_of("--rate", s.rate);
  d.tpot = time_of("--tpot", o.tpot);
  d.ttft = time_of("--ttft", o.ttft);
  d.pessimistic = o.confidence == "p90";
  if (!o.headroom.empty()) d.headroom = share_of("--headroom", o.headroom);
  if (!o.spare.empty() && o.spare != "0") d.spare = count_of("--spare", o.spare, 0, 1 << 16);
  if (!o.budget.empty()) d.dollars_per_hour = dollars_per_hour_of("--budget", o.budget);
  return d;
}

std::vector<std::optional<Format>> formats_of(const std::string& option, const std::string& list) {
  if (list.empty()) return {std::nullopt};
  std::vector<std::optional<Format>> found;
  for (const std::string& name : pieces_of(option, list))
    found.emplace_back(format_of_option(option, name, format("bf16")));
  return found;
}

std::vector<i64> ranks_of(const std::string& option, const std::string& text) {
  std::vector<i64> found;
  if (!text.empty())
    for (const std::string& value : expanded(option, text, true)) found.push_back(count_of(option, value, 1));
  return found;
}

/// `4xl40s`: how many of which.
std::pair<i64, std::string> owned(const std::string& text) {
  std::size_t x = text.find('x');
  if (x == std::string::npos || x == 0 || text.find_first_not_of("0123456789") != x)
    throw InputError{"--have: '" + text + "' is not a number of devices such as 4xl40s\n"};
  return {count_of("--have", text.substr(0, x), 1, 1 << 20), text.substr(x + 1)};
}

/// A price by name that no device on offer has: a slip where it was typed, and none where a file or settings list many.
void tell_prices_of_others(const PlanOptions& o, const std::vector<Offer>& offers) {
  for (const std::string& text : o.setup.hardware.prices)
    if (std::none_of(offers.begin(), offers.end(), [&](const Offer& f) { return price_given({text}, f.device); }))
      std::cerr << "kvroof: --price: " << text.substr(0, text.find('=')) << " is not among the devices of "
                << (o.have.empty() ? "--on" : "--have") << "\n";
}

std::vector<Offer> offers_of(const PlanOptions& o, const Catalog& catalog) {
  if (!o.have.empty() && (!o.on.empty() || !o.max_devices.empty()))
    throw InputError{"--have: says which devices and how many; leave out --on and --max-devices\n"};
  std::vector<std::pair<i64, std::string>> wanted;
  i64 most = count_of("--max-devices", o.max_devices, usual_most, 1 << 20);
  for (const std::string& text : pieces_of("--have", o.have)) {
    auto [count, name] = owned(text);
    auto same = std::find_if(wanted.begin(), wanted.end(), [&name = name](const auto& w) { return w.second == name; });
    if (same == wanted.end())
      wanted.emplace_back(count, name);
    else
      same->first += count;
  }
  std::vector<std::string> names = o.on.empty() || o.on == "all" ? catalog.ids("devices") : pieces_of("--on", o.on);
  if (wanted.empty())
    for (const std::string& name : names) wanted.emplace_back(most, name);
  std::vector<Offer> offers;
  for (const auto& [count, name] : wanted) {
    HardwareOptions hardware = o.setup.hardware;
    hardware.device = name;
    Offer offer{device_of(hardware, catalog), {}, {}, count};
    offer.own_price = price_given(hardware.prices, offer.device) || catalog.has_price_set(offer.device.id);
    offer.engine = engine_of(o.setup.layout, offer.device, catalog);
    offer.range = catalog.range(offer.device.achievable.basis);
    offers.push_back(std::move(offer));
  }
  if (!o.output.quiet) tell_prices_of_others(o, offers);
  return offers;
}

Objective objective_of(const PlanOptions& o) {
  constexpr std::pair<std::string_view, Objective> names[] = {{"cost", Objective::cost},
                                                              {"devices", Objective::devices},
                                                              {"throughput", Objective::throughput},
                                                              {"energy", Objective::energy}};
  std::string name = !o.objective.empty() ? o.objective : o.have.empty() ? "cost" : "devices";
  for (auto [known, objective] : names)
    if (known == name) return objective;
  return Objective::cost;
}

PlanRequest request_of(const PlanOptions& o, const Catalog& catalog) {
  PlanRequest r;
  r.options = o.setup;
  r.demand = demand_of(o);
  r.choices.weights = formats_of("--weights", o.setup.model.weights);
  r.choices.kv = formats_of("--kv-dtype", o.setup.cache.kv_dtype);
  r.choices.tp = ranks_of("--tp", o.setup.layout.tp);
  r.choices.pp = ranks_of("--pp", o.setup.layout.pp);
  r.objective = objective_of(o);
  r.options.model.weights = r.options.cache.kv_dtype = r.options.layout.tp = r.options.layout.pp = "";
  r.offers = offers_of(o, catalog);
  if (o.have.empty()) r.choices.max_devices = r.offers.front().most;
  throw_if_any(problems(r.demand, r.choices));
  return r;
}

/// Where memory is what lacks in few devices, it says how many would do: the nearest wish that can be met.
DevicePlan plan_of(const PlanRequest& r, const Model& model, const Offer& offer, Choices choices) {
  auto search = [&] { return plan(model, offer.device, offer.engine, offer.range, r.demand, choices, r.objective); };
  DevicePlan found = search();
  i64 most = choices.max_devices;
  if (found.best || found.miss.obstacle != Obstacle::memory || most >= usual_most) return found;
  choices.max_devices = usual_most;
  DevicePlan larger = search();
  if (larger.best)
    found.miss = {Obstacle::devices, double(larger.best->devices()), double(most), larger.best->d, "", 0};
  return found;
}

ModelPlan plan_of(const PlanRequest& request, const Model& model) {
  ModelPlan found{model, std::vector<DevicePlan>(request.offers.size()), {}, {}, {}};
  side_by_side(request.offers.size(), [&](std::size_t i) {
    const Offer& offer = request.offers[i];
    found.devices[i] = plan_of(request, model, offer, choices_of(request, model, offer));
    for (FrontPoint& p : found.devices[i].front) p.device = i;
  });
  rank(found, request);
  if (!can_be_done(request, found)) found.wishes = nearest_wishes(request, found);
  return found;
}

int run(const PlanOptions& o) {
  refuse_yaml(o.output);
  Catalog catalog = catalog_of(o.catalog);
  PlanRequest request = request_of(o, catalog);
  request.owned = !o.have.empty();
  std::vector<ModelPlan> plans;
  std::vector<std::string> names = o.models == "all" ? catalog.ids("models") : pieces_of("model", o.models);
  bool all_can = true;
  for (const std::string& name : names) {
    ModelOptions m = o.setup.model;
    m.model = name;
    plans.push_back(plan_of(request, model_of(m, catalog)));
    all_can &= can_be_done(request, plans.back());
  }
  print(page_of(request, plans), o.output);
  return all_can ? 0 : 1;
}

}  // namespace

void add_plan(CommandLine& line) {
  auto o = std::make_shared<PlanOptions>();
  line.examples =
      "  kvroof plan llama-3.3-70b --users 200 --input 8k --output 500 --tpot 30ms\n"
      "  kvroof plan qwen3-32b --rate 4/s --on h100-sxm,mi300x --weights bf16,fp8\n"
      "  kvroof plan deepseek-v3 --users 64 --context 32k --confidence p90 --spare 1\n"
      "  kvroof plan llama-3.1-8b,qwen3-32b --have 4xl40s --users 16 --tpot 50ms\n\n"
      "Of every device it tries tp and pp in powers of two within the link and\n"
      "--max-devices, each format listed, and as many replicas as the users need.\n"
      "Exit code 0: it can be done; 1: it can't; 2: bad input.";
  SetupOptions& s = o->setup;
  line.option("model,--models", &o->models, "a model, or several, each planned as if it were alone")
      .required()
      .metavar("MODEL[,...]");
  line.option("--users", &o->users, "requests in the system at all times").metavar("N");
  line.option("--rate", &s.rate, "or arrivals, such as 4/s").metavar("RATE");
  line.option("--input", &s.input, "prompt tokens of a request (default 1024)").metavar("TOKENS");
  line.option("--output", &s.output, "generated tokens of a request (default 256)").metavar("TOKENS");
  line.option("--context", &s.context, "instead: decoding alone at this context").metavar("TOKENS");
  line.option("--cache-hit", &s.cache_hit,
              "share of prompt tokens found in the prefix cache, those of --shared-prefix counted in")
      .metavar("SHARE");
  line.option("--tpot", &o->tpot, "longest time between two tokens of a user").metavar("TIME");
  line.option("--ttft", &o->ttft, "longest time to the first token").metavar("TIME");
  line.option("--confidence", &o->confidence, "p50: expected times; p90: the upper end of the 80 % range")
      .one_of({"p50", "p90"})
      .metavar("p50|p90");
  line.option("--on", &o->on, "devices to choose from (default: all)").metavar("HARDWARE[,...]");
  line.option("--max-devices", &o->max_devices, "of one kind, replicas and spares included (default 64)").metavar("N");
  line.option("--have", &o->have, "instead of --on: what you own, such as 4xl40s").metavar("NxHARDWARE[,...]");
  line.option("--objective", &o->objective, "cost (default), devices (default with --have), throughput or energy")
      .one_of({"cost", "devices", "throughput", "energy"})
      .metavar("WHAT");
  line.option("--budget", &o->budget, "most to spend, such as 40/h").metavar("PRICE");
  add_price_option(line, s.hardware);
  add_price_files_option(line, o->catalog);
  line.option("--headroom", &o->headroom, "users or rate to have room for beyond those asked for, such as 20%")
      .metavar("SHARE");
  line.option("--spare", &o->spare, "replicas that may fail").metavar("REPLICAS");
  add_shape_options(line, s.model);
  add_what_if_options(line, s.hardware);
  add_options(line, s.layout);
  add_options(line, s.cache);
  add_options(line, o->catalog);
  add_options(line, o->output);
  line.remove("--dp");  // what the search answers
  line.run = [o] { return run(*o); };
}

}  // namespace kvroof
