#include "cli/sweep_points.h"

namespace kvroof {
namespace {

/// Runs over all combinations of a level's axes.
template <class Each>
void for_each_combination(const std::vector<SweepAxis>& axes, Level level, SetupOptions options, Each each) {
  std::vector<const SweepAxis*> own;
  i64 combinations = 1;
  for (const SweepAxis& a : axes)
    if (a.level == level) own.push_back(&a), combinations *= i64(a.values.size());
  for (i64 i = 0; i < combinations; ++i) {
    i64 rest = i;
    for (auto a = own.rbegin(); a != own.rend(); ++a) {
      (*a)->place(options) = (*a)->values[std::size_t(rest % i64((*a)->values.size()))];
      rest /= i64((*a)->values.size());
    }
    each(options);
  }
}

SetupOptions first_of(const std::vector<SweepAxis>& axes, SetupOptions options) {
  for (const SweepAxis& a : axes) a.place(options) = a.values.front();
  return options;
}

const SweepAxis* axis_named(const std::vector<SweepAxis>& axes, std::string_view name) {
  for (const SweepAxis& a : axes)
    if (a.name == name) return &a;
  return nullptr;
}

}  // namespace

SweepSpecs specs_of(std::vector<SweepAxis> axes, const SetupOptions& options, const Catalog& catalog) {
  SweepSpecs s;
  s.axes = std::move(axes);
  s.options = first_of(s.axes, options);
  for_each_combination(s.axes, Level::model, s.options,
                       [&](const SetupOptions& o) { s.models.push_back(model_of(o.model, catalog)); });
  const SweepAxis* engines = axis_named(s.axes, "engine");
  for_each_combination(s.axes, Level::device, s.options, [&](const SetupOptions& o) {
    SweptDevice d{device_of(o.hardware, catalog), {}, {}};
    d.range = catalog.range(d.device.achievable.basis);
    for (std::size_t e = 0; e < (engines ? engines->values.size() : 1); ++e) {
      DeploymentOptions layout = o.layout;
      if (engines) layout.engine = engines->values[e];
      d.engines.push_back(engine_of(layout, d.device, catalog));
    }
    s.devices.push_back(std::move(d));
  });
  for (const SweepAxis& a : s.axes)
    for (const std::string& value : a.values) {
      if (a.level < Level::layout) break;
      SetupOptions o = s.options;
      a.place(o) = value;
      deployment_of(o, s.models.front(), s.devices.front().engines.front());
      workload_of(o);
    }
  const SweepAxis* batches = axis_named(s.axes, "batch");
  if (!batches) s.batches = {1};
  if (batches)
    for (const std::string& value : batches->values) s.batches.push_back(count_of("--batch", value, 1));
  return s;
}

SweepWalker::SweepWalker(const SweepSpecs& specs)
    : specs_(specs), options_(specs.options), at_(specs.axes.size(), 0), setup_{} {}

std::size_t SweepWalker::shared_index(Level level) const {
  std::size_t index = 0;
  for (std::size_t i = 0; i < at_.size(); ++i)
    if (specs_.axes[i].level == level) index = index * specs_.axes[i].values.size() + at_[i];
  return index;
}

bool SweepWalker::move_to(i64 point) {
  Level changed = Level::batch;
  bool moved = fresh_;
  for (std::size_t i = at_.size(); i-- > 0;) {
    const SweepAxis& axis = specs_.axes[i];
    std::size_t now = std::size_t(point % i64(axis.values.size()));
    point /= i64(axis.values.size());
    if (now == at_[i] && !fresh_) continue;
    at_[i] = now;
    if (axis.level != Level::batch) axis.place(options_) = axis.values[now];
    changed = std::min(changed, axis.level);
    moved = true;
  }
  if (moved) rebuild(fresh_ ? Level::model : changed);
  fresh_ = false;
  return valid_;
}

/// A level's work rests on that of the levels before it.
void SweepWalker::rebuild(Level from) {
  const SweptDevice& device = specs_.devices[shared_index(Level::device)];
  if (from <= Level::model) setup_.model = specs_.models[shared_index(Level::model)];
  if (from <= Level::device) {
    setup_.device = device.device;
    setup_.range = device.range;
  }
  if (from <= Level::layout) {
    std::size_t engine = 0;
    for (std::size_t i = 0; i < at_.size(); ++i)
      if (specs_.axes[i].name == "engine") engine = at_[i];
    setup_.engine = device.engines[engine];
  }
  try {
    if (from <= Level::layout) setup_.d = deployment_of(options_, setup_.model, setup_.engine);
    if (from <= Level::workload) {
      setup_.w = workload_of(options_);
      setup_.w.batch = 1;
      std::vector<Problem> found = setup_.problems();
      valid_ = found.empty();
      if (!valid_) problem_ = found[0].path + ": " + found[0].what;
      load_ = load_of(options_);
      if (valid_) memory_ = setup_.memory();
      serving_.reset();
      if (valid_ && load_ && specs_.serves) serving_ = setup_.serve(*load_);
    }
  } catch (const InputError& e) {
    valid_ = false;
    problem_ = e.message.substr(0, e.message.find('\n'));
  }
  if (!valid_) return;
  setup_.w.batch = specs_.batches[shared_index(Level::batch)];
  // How much a batch is short of, and on which stage, depends on the batch; what fits does not.
  runs_ = memory_.max_sequences >= setup_.w.batch;
  memory_.fits = runs_;
  too_much_.reset();
  if (!runs_ && setup_.w.batch > 1 && (setup_.d.pp > 1 || specs_.tells_shortfall)) too_much_ = setup_.memory();
  if (runs_) step_ = setup_.step();
}

Outcome SweepWalker::outcome() const {
  return {setup_, too_much_ ? *too_much_ : memory_, runs_ ? &step_ : nullptr,
          runs_ && serving_ && serving_->stable ? &*serving_ : nullptr};
}

}  // namespace kvroof
