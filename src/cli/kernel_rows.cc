#include "cli/kernel_rows.h"

#include <algorithm>

namespace kvroof {
namespace {

/// `vllm 0.24.0` and `vllm/0.24.0 …` are vllm, whatever the version.
std::string first_word(const std::string& text) { return lower(text.substr(0, text.find_first_of(" (/"))); }

/// What a backend's name says of the kernel: launched in a captured graph, eagerly, or a library's own.
KernelName all_reduce_name(const std::string& backend) {
  std::string text = lower(backend), engine = first_word(backend);
  if (text.find("torch.distributed") != text.npos) return {"torch", "nccl"};
  for (const char* kernel : {"eager", "graph", "nccl"})
    if (text.find(kernel) != text.npos) return {engine, kernel};
  return {engine, "trtllm"};
}

const Format* format_or_skip(const Row& row, std::string& skipped) {
  const Format* f = format_in_table(row.text("dtype"));
  if (!f) skipped = "unknown format '" + row.text("dtype") + "'";
  return f;
}

/// The entry of that engine and format: the very kernel, else the engine's fastest one.
template <class Kernel>
const Kernel* find_kernel(const std::vector<Kernel>& kernels, const KernelName& name, const Format& format) {
  const Kernel* best = nullptr;
  for (const Kernel& k : kernels) {
    if (!(k.format == format)) continue;
    if (k.engine == name.engine && k.kernel == name.kernel) return &k;
    if (k.engine == name.engine && (!best || k.rate.fraction > best->rate.fraction)) best = &k;
  }
  return best;
}

}  // namespace

std::optional<AttentionRow> attention_row(const Row& row, std::string& skipped) {
  const Format* cache = format_or_skip(row, skipped);
  if (!cache) return std::nullopt;
  AttentionRow r{{first_word(row.text("engine")), row.text("kernel")}, *cache, {}};
  r.call = {double(row.whole("q_heads", 1)), double(row.whole("kv_heads", 1)), double(row.whole("head_dim", 128)),
            double(row.whole("batch", 1)), row.whole("kv_len", 1)};
  return r;
}

std::optional<LinearRow> linear_row(const Row& row, std::string& skipped) {
  const Format* weights = format_or_skip(row, skipped);
  if (!weights) return std::nullopt;
  double bytes = row.number("weight_bytes").value_or(0);  // some sources give no n and k
  return LinearRow{{first_word(row.text("engine")), row.text("kernel")},
                   *weights,
                   bytes / weights->size(1, 1 << 20).value,
                   row.number("m").value_or(1)};
}

std::optional<AllReduceRow> all_reduce_row(const Row& row, std::string& skipped) {
  std::optional<double> bytes = row.number("msg_bytes");
  if (!bytes || *bytes <= 0) return skipped = "no message size", std::nullopt;
  i64 ranks = row.whole("n_gpus", 2), a_node = row.whole("devices_per_node", ranks);
  return AllReduceRow{all_reduce_name(row.text("backend")), ranks, ceil_div(ranks, a_node), {*bytes}};
}

TimedAttention attention_kernel(const Device& device, const AttentionRow& row) {
  if (const TimedAttention* k = find_kernel(device.kernels.attention, row.name, row.cache)) return *k;
  return {row.name.engine, "", row.cache, device.achievable.attention_rate(attention_arithmetic(row.cache)), {}};
}

TimedLinear linear_kernel(const Device& device, const LinearRow& row) {
  if (const TimedLinear* k = find_kernel(device.kernels.linears, row.name, row.weights)) return *k;
  return {row.name.engine, "", row.weights, device.achievable.linear_rate(row.weights.arithmetic), {}};
}

const TimedAllReduce* all_reduce_kernel(const Device& device, const AllReduceRow& row) {
  for (const TimedAllReduce& k : device.kernels.all_reduce)
    if (k.engine == row.name.engine && k.kernel == row.name.kernel && k.ranks == row.ranks && k.nodes == row.nodes)
      return &k;
  return nullptr;
}

}  // namespace kvroof
