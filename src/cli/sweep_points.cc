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
  SetupOptions o = s.options;
  for (const SweepAxis& a : s.axes) {
    if (a.level < Level::layout) continue;
    for (const std::string& value : a.values) {
      a.place(o) = value;
      if (a.level == Level::layout) deployment_of(o, s.models.front(), s.devices.front().engines.front());
      workload_of(o);
    }
    a.place(o) = a.values.front();
  }
  const SweepAxis* batches = axis_named(s.axes, "batch");
  if (!batches) s.batches = {1};
  if (batches)
    for (const std::string& value : batches->values) s.batches.push_back(count_of("--batch", value, 1, i64(1) << 32));
  return s;
}

SweepWalker::SweepWalker(const SweepSpecs& specs)
    : specs_(specs), options_(specs.options), at_(specs.axes.size(), 0), batch_axis_(specs.axes.size()), setup_{} {
  std::size_t varying = 0;
  for (std::size_t i = 0; i < specs.axes.size(); ++i) {
    const SweepAxis& a = specs.axes[i];
    if (a.level == Level::batch) batch_axis_ = i;
    if (a.level == Level::workload && a.values.size() > 1) ++varying;
    if (a.name == "context") context_axis_ = i;
  }
  if (varying > 1 || (context_axis_ && specs.axes[*context_axis_].values.size() == 1)) context_axis_.reset();
}

std::size_t SweepWalker::shared_index(Level level) const {
  std::size_t index = 0;
  for (std::size_t i = 0; i < at_.size(); ++i)
    if (specs_.axes[i].level == level) index = index * specs_.axes[i].values.size() + at_[i];
  return index;
}

void SweepWalker::set_axis(std::size_t axis, std::size_t value, Level& changed) {
  const SweepAxis& a = specs_.axes[axis];
  at_[axis] = value;
  changed = std::min(changed, a.level);
  if (a.level != Level::batch) a.place(options_) = a.values[value];
}

/// To the next point: like a counter, from the last axis on. False when the point is another one.
bool SweepWalker::advance(i64 point, Level& changed) {
  if (point_ < 0 || point != point_ + 1) return false;
  for (std::size_t i = at_.size(); i-- > 0;) {
    bool wraps = at_[i] + 1 == specs_.axes[i].values.size();
    if (wraps && specs_.axes[i].values.size() == 1) continue;
    set_axis(i, wraps ? 0 : at_[i] + 1, changed);
    if (!wraps) return true;
  }
  return true;
}

bool SweepWalker::move_to(i64 point) {
  Level changed = Level::batch;
  if (!advance(point, changed)) {
    i64 rest = point;
    for (std::size_t i = at_.size(); i-- > 0;) {
      i64 values = i64(specs_.axes[i].values.size());
      set_axis(i, std::size_t(rest % values), changed);
      rest /= values;
    }
    changed = Level::model;
  }
  point_ = point;
  rebuild(changed);
  return valid_;
}

/// A level's work rests on that of the levels before it.
void SweepWalker::rebuild(Level from) {
  if (from <= Level::layout) {
    const SweptDevice& device = specs_.devices[shared_index(Level::device)];
    if (from <= Level::model) setup_.model = specs_.models[shared_index(Level::model)];
    if (from <= Level::device) {
      setup_.device = device.device;
      setup_.range = device.range;
    }
    std::size_t engine = 0;
    for (std::size_t i = 0; i < at_.size(); ++i)
      if (specs_.axes[i].name == "engine") engine = at_[i];
    setup_.engine = device.engines[engine];
  }
  if (from <= Level::workload) prepare(from);
  if (!valid_) return;
  setup_.w.batch = specs_.batches[batch_axis_ < at_.size() ? at_[batch_axis_] : 0];
  // How much a batch is short of, and on which rank, depends on the batch; what fits does not.
  runs_ = memory_.max_sequences >= setup_.w.batch;
  memory_.fits = runs_;
  if (too_much_) too_much_.reset();
  if (!runs_ && setup_.w.batch > 1 && specs_.tells_rank) too_much_ = ranks_->fit(setup_.w);
  if (runs_) step_ = decoder_->step(setup_.w.batch);
}

bool SweepWalker::refused(const std::vector<Problem>& found) {
  if (!found.empty()) problem_ = found[0].path + ": " + found[0].what;
  return !found.empty();
}

/// All that a batch of sequences rests on.
void SweepWalker::prepare(Level from) {
  valid_ = false;
  if (from <= Level::layout) laid_out_ = false;
  if (from > Level::layout && !laid_out_) return;
  try {
    if (from <= Level::layout) {
      setup_.d = deployment_of(options_, setup_.model, setup_.engine);
      if (refused(problems(setup_.model, setup_.device, setup_.d, setup_.engine))) return;
      ranks_.emplace(setup_.model, setup_.device, setup_.d, setup_.engine);
      decoder_.emplace(setup_.model, setup_.device, setup_.d, setup_.engine, setup_.range);
      laid_out_ = true;
    }
    set_workload(from);
    if (load_) throw_if_too_short(setup_.w, *load_);
    if (refused(problems(setup_.model, setup_.d, setup_.w))) return;
    memory_ = ranks_->fit(setup_.w);
    decoder_->set_workload(setup_.w);
    serving_.reset();
    if (load_ && specs_.serves) serving_ = setup_.serve(*load_);
    valid_ = true;
  } catch (const InputError& e) { problem_ = e.message.substr(0, e.message.find('\n')); }
}

/// The options' text is read again, unless a context's number is all that is new.
void SweepWalker::set_workload(Level from) {
  if (from > Level::layout && context_axis_) {
    setup_.w.context = i64(specs_.axes[*context_axis_].numbers[at_[*context_axis_]]);
  } else {
    setup_.w = workload_of(options_);
    load_ = load_of(options_);
  }
  setup_.w.batch = 1;
}

Outcome SweepWalker::outcome() const {
  return {setup_, too_much_ ? *too_much_ : memory_, runs_ ? &step_ : nullptr,
          runs_ && serving_ && serving_->stable ? &*serving_ : nullptr, load_ && specs_.serves};
}

}  // namespace kvroof
