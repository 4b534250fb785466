#include "core/operations.h"

#include <algorithm>
#include <cmath>

namespace kvroof {

Placement::Placement(const Device& device, Bytes resident) : resident_(larger(resident, Bytes{1})) {
  double left = 1;  // share of the resident bytes
  for (const MemoryTier& tier : device.memory) {
    bool last = &tier == &device.memory.back();  // what does not fit: the slowest tier stands for it
    double here = last ? left : std::min(left, tier.capacity / resident_);
    seconds_per_byte_ += here / tier.reachable().value;
    left -= here;
  }
}

/// Tiers that have delivered all they hold leave the rest to the others, which may exhaust the next: the time only
/// grows.
Seconds stream_bound(const Device& device, Bytes bytes, double moves) {
  for (Seconds time;;) {
    Bytes delivered;
    Bandwidth streaming;
    for (const MemoryTier& tier : device.memory) {
      bool last = &tier == &device.memory.back();  // stands for what does not fit
      Bytes most = moves * tier.capacity;
      if (!last && most / tier.reachable() <= time)
        delivered += most;
      else
        streaming += tier.reachable();
    }
    Seconds longer = (bytes - delivered) / streaming;
    if (longer <= time) return time;
    time = longer;
  }
}

Pass::Pass(const Schedule& schedule, Bytes resident)
    : schedule_(schedule), placement_(schedule.device(), resident), overlap_(schedule.device().achievable.overlap) {
  for (int kind = 0; kind < part_kinds; ++kind) part_[kind].kind = PartKind(kind);
}

/// One op: launch, then memory and arithmetic overlapping.
inline void Pass::add(StepPart& p, Seconds launch, Bytes bytes, Bytes streamed, const Work& work,
                      const Overlap& overlap) {
  Seconds memory = placement_.stream(streamed);
  Seconds beyond = overlap.join(memory, work.reached) - memory;
  p.memory += memory;
  p.compute += beyond;
  p.fixed += launch;
  p.seconds += launch + memory + beyond;
  p.bytes += bytes;
  p.flops += work.flops;
  least_compute_ += work.least;
}

void Pass::add_fixed(PartKind kind, Seconds seconds) {
  part(kind).fixed += seconds;
  part(kind).seconds += seconds;
}

/// Dense matrices stream their bytes whatever the rows; only where arithmetic takes longer do they differ one by one.
void Pass::matrices(double rows, double head_rows, Rows of) {
  const MatrixOp& all = schedule_.all_dense();
  add(part(PartKind::weights), all.launch, all.bytes, all.streamed,
      {rows * all.per_row.flops, {}, rows * all.per_row.least}, overlap_);
  Seconds beyond;
  bool in_order = of == Rows::of_all_groups || schedule_.attention_groups() == 1;
  for (const MatrixOp& op : schedule_.dense()) {
    Seconds memory = placement_.stream(op.streamed);
    double here = of == Rows::of_all_groups ? rows * op.rows : rows;
    Seconds compute = here * op.per_row.reached;
    if (in_order && overlap_ == Overlap::max() && compute <= memory) break;  // nor do those behind it take longer
    beyond += overlap_.join(memory, compute) - memory;
  }
  part(PartKind::weights).compute += beyond;
  part(PartKind::weights).seconds += beyond;
  for (const MatrixOp& op : schedule_.experts()) {
    double read = schedule_.experts_read(*op.experts, rows);
    add(part(op.part), op.launch, read * op.bytes, read * op.streamed, op.per_row * rows, overlap_);
  }
  for (const MatrixOp& op : schedule_.heads())
    add(part(op.part), op.launch, op.bytes, op.streamed, op.per_row * head_rows, overlap_);
  least_bytes_ += schedule_.least_weights();
}

void Pass::attention(const AttentionOp& op, double batch) {
  if (op.layers == 0) return;
  const Device& device = schedule_.device();
  Bytes bytes = batch * op.bytes;
  double share = attention_share(op.rate, device, batch * op.tiles, op.attended);
  Seconds launch = op.layers * larger(Seconds{}, op.launch + tile_time(op.rate, device, batch * op.tiles));
  add(part(PartKind::kv_cache), launch, bytes, bytes / share, op.per_sequence * batch, op.overlap.value_or(overlap_));
  // With cascade attention at its best a common prefix is read once, not once per sequence.
  least_bytes_ += op.common + batch * (op.bytes - op.common);
}

void Pass::overheads(double batch) {
  add_fixed(PartKind::layer_overhead, schedule_.layer_overhead());
  add_fixed(PartKind::step_overhead, schedule_.step_overhead(batch));
  add_fixed(PartKind::stage_hops, schedule_.stage_hops());
}

std::string_view StepPart::bound() const {
  Seconds most = larger(memory, larger(compute, fixed));
  return most == memory ? "memory" : most == compute ? "compute" : "latency";
}

void StepParts::scale(double factor) {
  for (int i = 0; i < count_; ++i)
    for (Seconds* time : {&part_[i].seconds, &part_[i].memory, &part_[i].compute, &part_[i].fixed})
      *time = factor * *time;
}

void Pass::parts(StepParts& parts) const {
  for (const StepPart& p : part_)
    if (p.seconds.value > 0) parts.add(p);
}

Seconds Pass::seconds() const {
  Seconds sum;
  for (const StepPart& p : part_) sum += p.seconds;
  return sum;
}

Seconds all_reduce(const Device& device, Bytes payload, i64 tp) {
  if (tp <= 1) return {};
  const Achievable& a = device.achievable;
  Seconds latency = a.all_reduce[tp <= 2 ? 0 : tp <= 4 ? 1 : 2];
  bool in_domain = device.link && tp <= device.link->domain;
  std::optional<Bandwidth> across = device.network ? device.network : device.host_link;
  if (!device.link && !across) return latency;  // unpublished: problems() refuses it, a measured row is told so
  Bandwidth link = in_domain ? (tp == 2 && device.link->pair ? *device.link->pair : device.link->per_direction)
                             : across.value_or(device.link ? device.link->per_direction : Bandwidth{});
  if (!in_domain) latency = larger(latency, a.network_latency);
  if (tp > 8) latency = latency * (std::log2(double(tp)) / 3.0);
  return latency + 2.0 * double(tp - 1) / double(tp) * payload / (a.link * link);
}

}  // namespace kvroof
