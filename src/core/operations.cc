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
      hides_(schedule.device().achievable.overlap == Overlap::max) {
  for (int kind = 0; kind < part_kinds; ++kind) part_[kind].kind = PartKind(kind);
}

/// One op: launch, then memory and arithmetic overlapping as the device's `overlap` says.
inline void Pass::add(StepPart& p, Seconds launch, Bytes bytes, Bytes streamed, const Work& work) {
  Seconds memory = placement_.stream(streamed);
  Seconds beyond = hides_ ? larger(Seconds{}, work.reached - memory) : work.reached;
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
void Pass::matrices(double rows, double head_rows) {
  const MatrixOp& all = schedule_.all_dense();
  add(part(PartKind::weights), all.launch, all.bytes, all.streamed,
      {rows * all.per_row.flops, {}, rows * all.per_row.least});
  Seconds beyond;
  for (const MatrixOp& op : schedule_.dense()) {
    Seconds compute = rows * op.per_row.reached;
    beyond += hides_ ? larger(Seconds{}, compute - placement_.stream(op.streamed)) : compute;
  }
  part(PartKind::weights).compute += beyond;
  part(PartKind::weights).seconds += beyond;
  for (const MatrixOp& op : schedule_.experts()) {
    double read = distinct_experts(*op.experts, rows);
    add(part(op.part), op.launch, read * op.bytes, read * op.streamed, op.per_row * rows);
  }
  for (const MatrixOp& op : schedule_.heads())
    add(part(op.part), op.launch, op.bytes, op.streamed, op.per_row * head_rows);
  least_bytes_ += schedule_.least_weights();
}

void Pass::attention(const AttentionOp& op, double batch) {
  if (op.layers == 0) return;
  add(part(PartKind::kv_cache), op.layers * larger(Seconds{}, op.launch + batch * op.tile), batch * op.bytes,
      batch * op.streamed, op.per_sequence * batch);
  // With cascade attention at its best a common prefix is read once, not once per sequence.
  least_bytes_ += batch * op.bytes - (batch - 1) * op.prefix;
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

void Pass::parts(StepParts& parts) const {
  for (const StepPart& p : part_)
    if (p.seconds.value > 0) parts.add(p);
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
