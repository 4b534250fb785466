#include "core/operations.h"

#include <algorithm>
#include <cmath>

namespace kvroof {

Placement::Placement(const Device& device, Bytes resident) : device_(device), resident_(larger(resident, Bytes{1})) {
  double left = 1;  // share of the resident bytes
  for (const MemoryTier& tier : device.memory) {
    bool last = &tier == &device.memory.back();  // what does not fit: the slowest tier stands for it
    double here = last ? left : std::min(left, tier.capacity / resident_);
    seconds_per_byte_ += here / tier.reachable().value;
    left -= here;
  }
}

Seconds Placement::stream_bound(Bytes bytes) const {
  Seconds most;
  Bytes left = bytes;
  double times = std::max(1.0, bytes / resident_);  // states move twice a step: read and written
  for (const MemoryTier& tier : device_.memory) {
    bool last = &tier == &device_.memory.back();
    Bytes here = last ? left : smaller(left, times * tier.capacity);
    most = larger(most, here / tier.reachable());
    left -= here;
  }
  return most;
}

Pass::Pass(const Schedule& schedule, Bytes resident)
    : schedule_(schedule),
      placement_(schedule.device(), resident),
      hides_(schedule.device().achievable.overlap == Overlap::max) {}

/// One op: launch, then memory and arithmetic overlapping as the device's `overlap` says.
void Pass::add(PartKind kind, double times, Seconds launch, Bytes bytes, Bytes streamed, const Work& work) {
  Seconds memory = placement_.stream(streamed);
  Seconds beyond = hides_ ? larger(Seconds{}, work.reached - memory) : work.reached;
  StepPart& p = part_[int(kind)];
  p.memory += times * memory;
  p.compute += times * beyond;
  p.fixed += times * launch;
  p.seconds += times * (launch + memory + beyond);
  p.bytes += times * bytes;
  p.flops += times * work.flops;
  least_compute_ += times * work.least;
}

void Pass::add_fixed(PartKind kind, Seconds seconds) {
  part_[int(kind)].fixed += seconds;
  part_[int(kind)].seconds += seconds;
}

void Pass::matrices(double rows, double head_rows) {
  for (const MatrixOp& op : schedule_.matrices()) {
    double read = op.experts ? distinct_experts(*op.experts, rows) : 1;
    add(op.part, op.layers, op.launch, read * op.bytes, read * op.streamed,
        op.per_row * (op.is_head ? head_rows : rows));
    least_bytes_ += op.layers * op.least;
  }
}

void Pass::attention(const AttentionOp& op, double batch) {
  if (op.layers == 0) return;
  add(PartKind::kv_cache, op.layers, larger(Seconds{}, op.launch + batch * op.tile), batch * op.bytes,
      batch * op.streamed, op.per_sequence * batch);
  // With cascade attention at its best a common prefix is read once, not once per sequence.
  least_bytes_ += op.layers * (batch * op.bytes - (batch - 1) * op.prefix);
}

void Pass::overheads(double batch) {
  add_fixed(PartKind::layer_overhead, schedule_.layer_overhead());
  add_fixed(PartKind::step_overhead, schedule_.step_overhead(batch));
  add_fixed(PartKind::stage_hops, schedule_.stage_hops());
}

StepParts Pass::parts() const {
  StepParts parts;
  for (int kind = 0; kind < part_kinds; ++kind) {
    StepPart p = part_[kind];
    if (p.seconds.value <= 0) continue;
    p.name = name_of(PartKind(kind));
    Seconds most = larger(p.memory, larger(p.compute, p.fixed));
    p.bound = most == p.memory ? "memory" : most == p.compute ? "compute" : "latency";
    parts.add(p);
  }
  return parts;
}

Seconds Pass::seconds() const {
  Seconds sum;
  for (const StepPart& p : part_) sum += p.seconds;
  return sum;
}

double distinct_experts(const MoeFeedForward& moe, double tokens) {
  double experts = double(moe.experts), k = double(moe.top_k);
  if (moe.top_k >= moe.experts) return experts;
  return std::max(k, experts * -std::expm1(tokens * std::log1p(-k / experts)));
}

Seconds linear_time(const Device& device, const Format& format, double elements, double rows) {
  const LinearRate& rate = device.achievable.linear_rate(format.arithmetic);
  Seconds memory = format.size(elements, 1 << 20) / (rate.fraction * device.memory[0].bandwidth);
  std::optional<FlopRate> peak = device.peak_for(format.arithmetic);
  Seconds compute = peak ? Flops{2 * elements * rows} / (device.achievable.compute * *peak) : Seconds{};
  return rate.launch + (device.achievable.overlap == Overlap::max ? larger(memory, compute) : memory + compute);
}

Seconds all_reduce(const Device& device, Bytes payload, i64 tp) {
  if (tp <= 1) return {};
  const Achievable& a = device.achievable;
  Seconds latency = a.all_reduce[tp <= 2 ? 0 : tp <= 4 ? 1 : 2];
  bool in_domain = device.link && tp <= device.link->domain;
  std::optional<Bandwidth> across = device.network ? device.network : device.host_link;
  Bandwidth link = in_domain ? (tp == 2 && device.link->pair ? *device.link->pair : device.link->per_direction)
                             : across.value_or(device.link ? device.link->per_direction : Bandwidth{1e9});
  if (!in_domain) latency = larger(latency, a.network_latency);
  if (tp > 8) latency = latency * (std::log2(double(tp)) / 3.0);
  return latency + 2.0 * double(tp - 1) / double(tp) * payload / (a.link * link);
}

}  // namespace kvroof
