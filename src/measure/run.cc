#include "measure/run.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "measure/instruction_set.h"
#include "measure/kernel.h"
#include "measure/probe_loops.h"
#include "measure/reference.h"
#include "measure/rows.h"
#include "measure/walk.h"

namespace kvroof {
namespace {

volatile float checksum;  ///< so that no loop is dropped

constexpr i64 MiB = 1 << 20;
constexpr i64 smallest_read = 64 * MiB;
/// Jobs last about this long: fork, join and the clock are lost in it, and a neighbour's time slice is not yet likely.
constexpr double job_seconds = 1e-3;

/// Memory of a shape's rows. Formats without a scale of the whole row look alike whatever the width, and share.
std::string region_of(const AttentionShape& s) {
  std::string name(s.format.name);
  if (s.format.vector_scale_bytes > 0) name += " " + std::to_string(s.key_dim) + " " + std::to_string(s.value_dim);
  if (s.format.vector_scale_bytes > 0 && s.key_dim != s.value_dim) name = name_of(s);
  return name;
}

/// Shapes the streams' shares and the overlap are fitted on: a width or groups that no default shape has. Where AMX is
/// used, those of 6 and more are its.
std::vector<AttentionShape> fitting_shapes(i64 bytes) {
  std::vector<AttentionShape> shapes;
  std::vector<std::pair<const char*, i64>> plain = {{"bf16", 1}, {"bf16", 2}, {"bf16", 3}, {"bf16", 6}, {"int8", 1}};
  std::vector<i64> paged_groups = {2, 3, 6};
  if (amx_is_chosen()) {
    for (i64 group : {12, 24}) plain.emplace_back("bf16", group);
    paged_groups.push_back(12);
  }
  // Vectors take as long for more queries of fewer tokens; tiles do not, and a short job is mostly its beginning and
  // end.
  auto shorter = [](i64 group) { return amx_is_chosen() ? std::min<i64>(group, 3) : group; };
  for (auto [name, group] : plain) {
    AttentionShape s{.kv_heads = 4, .group = group, .key_dim = 96, .value_dim = 96, .format = format(name)};
    s.context = std::max<i64>(16, bytes / shorter(group) / (2 * s.kv_heads * row_bytes(s.format, 96)));
    shapes.push_back(s);
  }
  for (i64 group : paged_groups) {  // pages of 4 KiB a head, as most models have them
    AttentionShape paged{.kv_heads = 4, .group = group, .paging = Paging::random};
    paged.context = std::max<i64>(16, bytes / shorter(group) / (2 * paged.kv_heads * 256));
    shapes.push_back(paged);
  }
  return shapes;
}

/// A shape with all that a run of it needs.
struct Prepared {
  AttentionShape shape;
  std::vector<std::int32_t> blocks;
  std::vector<float> queries, out;
  KvView view;
  AttentionKernel kernel;
  Prepared(const AttentionShape& s, const std::byte* memory, int threads)
      : shape(s),
        blocks(block_table(s, 1)),
        queries(make_queries(s, 1)),
        out(std::size_t(s.query_heads() * s.value_dim)),
        view(view_of(s, memory, blocks)),
        kernel(s, threads) {}
  JobTime run(Team& team) { return kernel.run(view, queries, out, team); }
};

/// Gets the cores to the clock they keep under load; from a rest, or from waiting for memory, that takes a millisecond.
/// AMX's tiles sleep too: timed cold, the kernel's probes on them came out 2.4 times too slow.
void warm(Team& team) {
  team.run([](int) {
    Flops done;
    checksum = multiply_add(120000, done);
    if (amx_is_chosen()) checksum = multiply_tiles(10000, done);
  });
}

JobTime read_with(Team& team, const std::byte* from, i64 bytes, i64 times) {
  i64 each = bytes / team.size() / 256 * 256;
  team.wake();
  return team.run([&](int member) {
    float sum = 0;
    for (i64 i = 0; i < times; ++i) sum += read_bytes(from + member * each, each);
    checksum = sum;
  });
}

/// The kernel's own cost: every thread on a head of its own that its cache holds, over and over.
struct CoreProbe {
  static constexpr i64 held_bytes = 192 << 10;
  struct Run {
    AlignedVector<std::byte> memory;
    std::unique_ptr<Prepared> prepared;
    i64 times = 1;
  };
  Format format;
  CoreGroups groups;
  std::vector<Run> runs;  ///< in the order of CoreTimes

  CoreProbe(const Format& f, CoreGroups g, int threads) : format(f), groups(g) {
    const std::pair<i64, i64> shapes[] = {{128, g.narrow}, {128, g.wide}, {64, g.wide}};
    for (auto [width, group] : shapes) {
      AttentionShape s{.kv_heads = threads, .group = group, .key_dim = width, .value_dim = width, .format = f};
      s.context = held_bytes / (2 * row_bytes(f, width)) / 192 * 192;  // whole tiles
      Run run{AlignedVector<std::byte>(std::size_t(extent_of(s).bytes())), nullptr, 1};
      fill(s, run.memory.data(), {}, 1);
      run.prepared = std::make_unique<Prepared>(s, run.memory.data(), threads);
      double flops_a_second = uses_amx(s) ? 500e9 : 100e9;  // about what a core does
      run.times =
          std::max<i64>(1, i64(job_seconds * flops_a_second / (attention_flops(s).value / double(threads))) / 2);
      runs.push_back(std::move(run));
    }
  }

  static JobTime time(Run& run, Team& team) {
    auto attend = [&](i64 times) {
      return team.run([&](int member) {
        for (i64 i = 0; i < times; ++i) run.prepared->kernel.attend(run.prepared->view, run.prepared->queries, member);
      });
    };
    warm(team);
    attend(1);  // into the caches
    return attend(run.times);
  }
};

/// The machine's threads, memory and what has been found of it so far.
class Measuring {
 public:
  Measuring(const MeasureRequest& request, const Limits& limits)
      : request_(request),
        cpus_(limits.cpus.begin(),
              limits.cpus.begin() + std::min<std::ptrdiff_t>(request.threads, std::ptrdiff_t(limits.cpus.size()))),
        team_(cpus_),
        one_({cpus_.empty() ? 0 : cpus_[0]}) {
    run_.limits = limits;
    run_.profile.cpu_name = limits.cpu_name;
    run_.profile.instruction_set = instruction_set();
    run_.profile.threads = team_.size();
    run_.priority = priority_.name();
  }

  MeasureRun run() {
    if (verify() && allocate()) {
      sweep();
      time_shapes();
    }
    return std::move(run_);
  }

 private:
  bool verify();
  bool allocate();
  void sweep();
  void time_shapes();
  void count(const std::vector<Timed>& all);
  Timed sweep_item(Team& team, i64 bytes);
  Timed shape_item(Prepared& prepared, ShapeRun& shape, bool cached);
  std::byte* region(const AttentionShape& shape);
  bool wants_cache() const;
  std::size_t cache_tier() const { return run_.profile.tiers.size() - 2; }

  const MeasureRequest& request_;
  RaisedPriority priority_;
  MeasureRun run_;
  std::vector<int> cpus_;
  Team team_, one_;
  std::unique_ptr<Walk> walk_;
  std::vector<std::pair<std::string, std::unique_ptr<Walk>>> regions_;
};

bool Measuring::verify() {
  double done = 0;
  for (const ShapeRequest& r : request_.shapes) {
    request_.progress("kernel against reference", done++ / double(request_.shapes.size()));
    ShapeRun shape;
    shape.shape = r.shape;
    shape.mismatch = mismatch_of(r.shape, team_);
    if (!(shape.mismatch < kernel_tolerance(r.shape))) {
      run_.failed = name_of(r.shape) + ": the kernel is off by " + std::to_string(shape.mismatch) +
                    " of the largest value on " + run_.profile.instruction_set;
      return false;
    }
    run_.shapes.push_back(shape);
  }
  return true;
}

/// Regions sized for the largest shape that lives in each.
std::vector<std::pair<AttentionShape, i64>> regions_for(const MeasureRequest& request) {
  std::vector<std::pair<AttentionShape, i64>> regions;
  std::vector<AttentionShape> shapes = fitting_shapes(32 * MiB);
  for (const ShapeRequest& r : request.shapes) shapes.push_back(r.shape);
  for (const AttentionShape& s : shapes) {
    auto same = [&](const auto& region) { return region_of(region.first) == region_of(s); };
    auto found = std::find_if(regions.begin(), regions.end(), same);
    if (found == regions.end()) found = regions.insert(regions.end(), {s, 0});
    found->second = std::max(found->second, extent_of(s).bytes());
  }
  return regions;
}

bool Measuring::allocate() {
  request_.progress("touching memory", 0);
  walk_ = std::make_unique<Walk>(request_.walk_bytes, team_);
  std::vector<std::pair<AttentionShape, i64>> wanted = regions_for(request_);
  for (const auto& [shape, bytes] : wanted) {
    request_.progress("touching memory", double(regions_.size() + 1) / double(wanted.size() + 1));
    regions_.emplace_back(region_of(shape), std::make_unique<Walk>(bytes, team_));
    if (!walk_->ok() || !regions_.back().second->ok()) {
      run_.failed = "the system gave no memory for " + name_of(shape);
      return false;
    }
    fill_rows(shape, regions_.back().second->memory(), bytes, team_);
  }
  return true;
}

std::byte* Measuring::region(const AttentionShape& shape) {
  for (auto& [name, walk] : regions_)
    if (name == region_of(shape)) return walk->memory();
  return nullptr;
}

void Measuring::count(const std::vector<Timed>& all) {
  for (const Timed& t : all) {
    run_.taken += t.samples.taken;
    run_.quiet += int(t.samples.quiet.size());
  }
}

/// Reads of a working set: all of it over and over while it is small, else stretches walking through it.
Timed Measuring::sweep_item(Team& team, i64 bytes) {
  i64 stretch = std::min(bytes, smallest_read);
  i64 times = std::max<i64>(1, i64(job_seconds * 60e9 * team.size()) / stretch);
  auto at = std::make_shared<i64>(0);
  return {std::to_string(bytes), [this, &team, bytes, stretch, times, at] {
            const std::byte* from = walk_->memory() + *at;
            *at = (*at + stretch) % bytes;
            JobTime time = read_with(team, from, stretch, times);
            time.wall = time.wall / (double(times) * double(stretch));  // seconds a byte
            return time;
          }};
}

void Measuring::sweep() {
  std::vector<Timed> all;
  std::vector<i64> sizes;
  for (i64 bytes = 32 << 10; bytes <= walk_->bytes(); bytes *= 2) sizes.push_back(bytes);
  for (Team* team : {&team_, &one_})
    for (i64 bytes : sizes) all.push_back(sweep_item(*team, bytes));
  all.push_back({"fork and join", [this] {
                   team_.wake();
                   JobTime time = team_.wake();
                   return JobTime{time.wall, 0};  // an empty job has no busy member
                 }});
  Flops done, tile_done;
  auto arithmetic = [this, &all](const char* name, auto loop, Flops& counted) {
    all.push_back({name, [this, loop, &counted] {
                     warm(team_);
                     return team_.run([&](int member) {
                       Flops flops;
                       checksum = loop(flops);
                       if (member == 0) counted = flops;
                     });
                   }});
  };
  arithmetic(
      "multiply-add", [](Flops& flops) { return multiply_add(30000, flops); }, done);
  if (amx_is_chosen())
    arithmetic(
        "tile products", [](Flops& flops) { return multiply_tiles(10000, flops); }, tile_done);
  sample_in_turn(all, 15, {request_.budget.value / 4},
                 [&](double share) { request_.progress("read bandwidth", share); });
  count(all);
  for (std::size_t i = 0; i < sizes.size(); ++i)
    for (bool alone : {false, true}) {
      const Samples& s = all[i + (alone ? sizes.size() : 0)].samples;
      if (!s.quiet.empty())
        (alone ? run_.sweep_one_thread : run_.sweep).push_back({{double(sizes[i])}, {1 / s.median().value}});
    }
  Profile& p = run_.profile;
  p.fork_join = all[2 * sizes.size()].samples.median();
  auto rate_of = [&](std::size_t at, Flops counted) {
    const Samples& s = all[2 * sizes.size() + at].samples;
    return s.enough() ? std::optional(double(team_.size()) * counted / s.quantile(0.1)) : std::nullopt;
  };
  p.peak = rate_of(1, done).value_or(FlopRate{});
  if (amx_is_chosen()) p.tile_peak = rate_of(2, tile_done);
  p.tiers = tiers_of(run_.sweep);
  for (MeasuredTier& tier : p.tiers)  // one thread holds its share of it
    for (const SweepPoint& point : run_.sweep_one_thread)
      if (point.working_set <= tier.capacity / double(team_.size())) tier.one_thread = point.bandwidth;
  bool no_peak = p.peak.value == 0 || (amx_is_chosen() && !p.tile_peak);
  if (no_peak || p.tiers.empty() || run_.sweep.size() + 3 < sizes.size())
    run_.failed = "too few quiet samples: " + std::to_string(run_.quiet) + " of " + std::to_string(run_.taken) +
                  " had the CPU to themselves";
  else
    p.tiers.back().capacity = run_.limits.memory();
}

/// A read of the same tier, then the kernel. From main memory the read also drives the shape's rows out of the caches.
Timed Measuring::shape_item(Prepared& prepared, ShapeRun& shape, bool cached) {
  i64 bytes = extent_of(shape.shape).bytes();
  const std::vector<MeasuredTier>& tiers = run_.profile.tiers;
  double last_cache = tiers.size() > 1 ? tiers[tiers.size() - 2].capacity.value : 0;
  shape.read_bytes = cached ? bytes : std::min(walk_->bytes(), std::max(smallest_read, i64(4 * last_cache)));
  shape.read_bytes = shape.read_bytes / team_.size() / 256 * 256 * team_.size();
  return {name_of(shape.shape), [this, &prepared, &shape, cached] {
            const std::byte* from = cached ? prepared.view.keys : walk_->next(shape.read_bytes);
            if (cached) read_with(team_, from, shape.read_bytes, 3);  // caches of victims fill at the second pass
            shape.read.add(read_with(team_, from, shape.read_bytes, 1));
            warm(team_);
            if (cached) prepared.run(team_);
            return prepared.run(team_);
          }};
}

bool Measuring::wants_cache() const {
  return std::any_of(request_.shapes.begin(), request_.shapes.end(), [](const ShapeRequest& r) { return r.cached; });
}

void Measuring::time_shapes() {
  if (!run_.failed.empty()) return;
  Profile& p = run_.profile;
  std::size_t memory = p.tiers.size() - 1;
  if (wants_cache() && memory == 0) {
    run_.failed = "no cache showed in the read sweep";
    return;
  }
  std::vector<Format> formats = {format("bf16"), format("int8")};  // of the fitting shapes
  for (const ShapeRequest& r : request_.shapes)
    if (std::find(formats.begin(), formats.end(), r.shape.format) == formats.end()) formats.push_back(r.shape.format);

  std::vector<std::unique_ptr<CoreProbe>> cores;
  std::vector<std::unique_ptr<Prepared>> prepared;
  std::vector<ShapeRun> fitting;
  std::vector<Timed> all;
  auto probe = [&](const Format& f, CoreGroups groups) {
    cores.push_back(std::make_unique<CoreProbe>(f, groups, team_.size()));
    for (auto& run : cores.back()->runs) all.push_back({"core", [this, &run] { return CoreProbe::time(run, team_); }});
  };
  // Where AMX takes bf16's large groups, vectors are timed on small ones, and its own on one block of queries and two.
  for (const Format& f : formats) probe(f, amx_is_chosen() && f == format("bf16") ? CoreGroups{1, 3} : CoreGroups{});
  if (amx_is_chosen()) probe(format("bf16"), {16, 32});
  std::size_t first_fitting = all.size();
  for (bool cached : {false, true})
    if (!cached || wants_cache())
      for (const AttentionShape& s : fitting_shapes(cached ? i64(p.tiers[cache_tier()].capacity.value / 4) : 32 * MiB))
        fitting.push_back({s, cached ? cache_tier() : memory, 0, {}, {}, 0, {}});
  for (ShapeRun& f : fitting) {
    prepared.push_back(std::make_unique<Prepared>(f.shape, region(f.shape), team_.size()));
    all.push_back(shape_item(*prepared.back(), f, f.tier != memory));
  }
  std::size_t first_shape = all.size();
  for (std::size_t i = 0; i < run_.shapes.size(); ++i) {
    ShapeRun& s = run_.shapes[i];
    s.tier = request_.shapes[i].cached ? cache_tier() : memory;
    prepared.push_back(std::make_unique<Prepared>(s.shape, region(s.shape), team_.size()));
    all.push_back(shape_item(*prepared.back(), s, s.tier != memory));
  }
  sample_in_turn(all, request_.wanted, request_.budget, [&](double share) { request_.progress("timing", share); });
  count(all);

  // What the reads beside all shapes of a tier saw, the cost of the cores, then the overlap: in this order.
  for (std::size_t tier = 0; tier < p.tiers.size(); ++tier) {
    std::vector<double> rates;
    for (const std::vector<ShapeRun>* runs : {&fitting, &run_.shapes})
      for (const ShapeRun& s : *runs)
        if (s.tier == tier)
          for (double seconds : s.read.quiet) rates.push_back(double(s.read_bytes) / seconds);
    if (int(rates.size()) >= least_quiet) p.tiers[tier].bandwidth = {quantile_of(rates, 0.5)};
  }
  for (std::size_t f = 0; f < cores.size(); ++f) {
    auto per_token = [&](std::size_t i) {
      const CoreProbe::Run& r = cores[f]->runs[i];
      double tokens = double(r.times) * double(team_.size()) * double(r.prepared->shape.context);
      return larger(Seconds{}, all[3 * f + i].samples.median() - p.fork_join) / tokens;
    };
    CoreGroups groups = cores[f]->groups;
    i64 block = groups.narrow;  // a whole one of queries
    p.core.push_back(
        core_cost_of(cores[f]->format, {per_token(0), per_token(1), per_token(2)}, p.peak_of(block), groups));
    if (block > 1) p.core.back().block = block, p.core.back().from_group = least_amx_group;
  }
  for (std::size_t tier : {memory, memory > 0 ? cache_tier() : memory}) {
    std::vector<FitPoint> points[2], paged[2];  // on vectors, on tiles
    for (std::size_t i = 0; i < fitting.size(); ++i) {
      const Samples& seen = all[first_fitting + i].samples;
      if (fitting[i].tier != tier || !seen.enough()) continue;
      Device alone = unhidden(device_of(p, tier));
      Seconds stream = cache_bytes(fitting[i].shape) / p.tiers[tier].bandwidth;
      FitPoint point{stream, predict(fitting[i].shape, alone) - stream, seen.median() - p.fork_join};
      (fitting[i].shape.paging == Paging::contiguous ? points : paged)[uses_amx(fitting[i].shape)].push_back(point);
    }
    p.tiers[tier].vectors = {fit_of(points[0]), fit_of(paged[0])};
    p.tiers[tier].tiles = {fit_of(points[1]), fit_of(paged[1])};
  }
  for (std::size_t i = 0; i < run_.shapes.size(); ++i) {
    ShapeRun& s = run_.shapes[i];
    s.kernel = all[first_shape + i].samples;
    s.predicted = predict(s.shape, device_of(p, s.tier, s.shape.paging));
  }
}

}  // namespace

double mismatch_of(const AttentionShape& shape, Team& team) {
  AttentionShape s = shape;
  s.context = std::min<i64>(s.context, 211);
  std::vector<std::int32_t> blocks = block_table(s, 2);
  std::vector<std::byte> memory(std::size_t(extent_of(s).bytes()));
  fill(s, memory.data(), blocks, 2);
  KvView view = view_of(s, memory.data(), blocks);
  std::vector<float> queries = make_queries(s, 2), out(std::size_t(s.query_heads() * s.value_dim));
  AttentionKernel kernel(s, team.size());
  kernel.run(view, queries, out, team);
  std::vector<double> expected = reference_attention(s, view, queries);
  double off = 0, most = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    off = std::max(off, std::abs(double(out[i]) - expected[i]));
    most = std::max(most, std::abs(expected[i]));
    if (!std::isfinite(out[i])) return INFINITY;
  }
  return off / most;
}

Bytes memory_needed(const MeasureRequest& request) {
  i64 bytes = request.walk_bytes;
  for (const auto& [shape, size] : regions_for(request)) bytes += size;
  return {double(bytes)};
}

MeasureRun measure(const MeasureRequest& request, const Limits& limits) { return Measuring(request, limits).run(); }

}  // namespace kvroof
