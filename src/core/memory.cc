#include "core/memory.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "core/engine_memory.h"
#include "core/layout.h"

namespace kvroof {
namespace {

Bytes sized(double count, const Format& f) { return f.size(count, 1 << 20); }  // per-channel scales: not per head

Bytes embedding_bytes(const Model& m, const Deployment& d, i64 stage) {
  Parameters p = count_parameters(m);
  double tp = double(d.tp);
  bool first = stage == 0, last = stage == d.pp - 1;
  double count = 0;
  if (first) count += double(p.input_embedding) / tp + double(p.positions) + double(p.encoder) / tp;
  if (last) count += double(p.head) / tp + double(p.final_norm);
  if (last && !first && m.tied_embeddings)
    count += double(p.input_embedding) / tp;  // the tied head is copied to the last stage
  return sized(count, embedding_format(m, d));
}

Bytes usable_memory(const Device& device) {
  Bytes sum;
  for (const MemoryTier& tier : device.memory) sum += tier.capacity;
  return sum;
}

}  // namespace

const Format& embedding_format(const Model& model, const Deployment& deployment) {
  if (!deployment.weights || deployment.weights->source.substr(0, 4) != "ggml") return model.weights.embeddings;
  static constexpr std::string_view widest_kept = "q6_k";
  const Format& q6 = format(widest_kept);
  bool smaller = deployment.weights->bytes * q6.elements < q6.bytes * deployment.weights->elements;
  return smaller ? q6 : *deployment.weights;
}

const Format& format_of(const Model& model, const Deployment& deployment, WeightRole role) {
  if (role == WeightRole::embedding) return embedding_format(model, deployment);
  if (deployment.weights) return *deployment.weights;
  if (role == WeightRole::attention && model.weights.attention) return *model.weights.attention;
  return role == WeightRole::expert ? model.weights.experts : model.weights.linears;
}

double split_share(Split split, const Attention& attention, const Deployment& d) {
  switch (split) {
    case Split::none: return 1;
    case Split::kv_heads: return rank_share(attention, d.attention_tp());
    case Split::query_heads: return 1.0 / double(d.attention_tp());
    case Split::feed_forward:
    case Split::experts:
    case Split::vocabulary: return 1.0 / double(d.tp);
  }
  return 1;
}

namespace {

Bytes unscaled_weights(const Model& model, const Deployment& d, i64 stage, Stages stages) {
  Bytes sum = embedding_bytes(model, d, stage);
  std::vector<i64> held = stage_layers(model, stage, d.pp, stages);
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    const LayerGroup& g = model.layers[i];
    double layers = double(held[i]);
    Bytes layer = sized(double(small_weights(model, g)), model.weights.embeddings);
    layer +=
        sized(double(expert_biases(model, g)) * split_share(Split::experts, g.attention, d), model.weights.embeddings);
    for (const Linear& l : linears(model, g))
      layer += sized(double(l.parameters) * split_share(l.split, g.attention, d), format_of(model, d, l.role));
    sum += layers * layer;
  }
  if (stage == d.pp - 1)
    sum += sized(double(count_parameters(model).other) / double(d.tp), format_of(model, d, WeightRole::linear));
  return sum;
}

}  // namespace

Bytes loaded_weights(const Model& model, const Deployment& d, const Engine& e, i64 stage) {
  return rank_weights(model, d, stage, stages_of(e)) + expert_padding(model, d, e, stage) + rotary_tables(model, e);
}

double checkpoint_scale(const Model& model, const Deployment& deployment) {
  if (!model.weight_bytes || deployment.weights) return 1;
  Bytes shapes = unscaled_weights(model, {}, 0, Stages::spread);
  return shapes.value > 0 ? *model.weight_bytes / shapes.value : 1;
}

Bytes rank_weights(const Model& model, const Deployment& d, i64 stage, Stages stages) {
  return checkpoint_scale(model, d) * unscaled_weights(model, d, stage, stages);
}

Bytes all_weights(const Model& model, const Deployment& deployment) {
  Deployment whole = deployment;
  whole.tp = whole.pp = whole.ep = whole.attention_dp = 1;
  return rank_weights(model, whole, 0);
}

Ranks::Ranks(const Model& model, const Device& device, const Deployment& deployment, const Engine& engine)
    : model_(model), device_(device), d_(deployment), engine_(engine) {
  for (i64 stage = 0; stage < d_.pp; ++stage) ranks_.push_back(rank(stage));
}

Ranks::Rank Ranks::rank(i64 stage) const {
  Memory m;
  m.stage = stage;
  m.usable = usable_memory(device_);
  m.weights = d_.weight_bytes ? *d_.weight_bytes : loaded_weights(model_, d_, engine_, stage);
  m.runtime = runtime_bytes(device_, d_, engine_);
  m.activation = d_.activation_bytes ? *d_.activation_bytes : activation_bytes(model_, device_, d_, engine_, stage);
  double fraction = d_.memory_fraction.value_or(engine_.memory_fraction);
  Bytes base =
      engine_.fraction_of == FractionOf::free_after_load ? m.usable - m.weights - m.runtime - m.activation : m.usable;
  m.reserved = larger(Bytes{}, (1 - fraction) * base);
  if (engine_.fraction_of == FractionOf::free_before_load)
    m.reserved = larger(Bytes{}, m.reserved - m.activation);  // activations live in what is kept back
  Bytes room = m.usable - m.reserved - m.weights - m.runtime - m.activation;
  if (d_.kv_room) room = *d_.kv_room;
  m.kv_room = larger(room, Bytes{});
  return {std::move(m), room, cache_types(model_, d_, engine_, stage)};
}

/// Sequences a replica can hold with the room on this stage.
Memory Ranks::fit(const Rank& rank, const Workload& w) const {
  Memory m = rank.memory;
  Workload here = w;  // groups of data-parallel attention share the sequences
  here.batch = ceil_div(w.batch, d_.attention_dp);
  m.allocation = allocate(rank.types, d_, here, engine_, m.kv_room);
  m.kv_per_sequence = m.allocation.per_sequence;
  m.max_sequences = rank.room.value < 0 ? 0 : over_groups(m.allocation.max_sequences, d_.attention_dp);
  m.max_tokens = rank.room.value < 0 ? 0 : over_groups(m.allocation.max_tokens, d_.attention_dp);
  m.fits = rank.room.value >= 0 && m.max_sequences >= w.batch;
  if (!m.fits) m.shortfall = larger(Bytes{1}, m.allocation.shared + double(here.batch) * m.kv_per_sequence - rank.room);
  return m;
}

Memory Ranks::fit(const Workload& w) const {
  Memory tightest = fit(ranks_.front(), w);
  Bytes missing = tightest.shortfall;
  for (std::size_t stage = 1; stage < ranks_.size(); ++stage) {
    Memory m = fit(ranks_[stage], w);
    missing = larger(missing, m.shortfall);  // another stage may hold more sequences and still lack more for the batch
    auto order = [](const Memory& of) { return std::tuple(of.max_sequences, -of.shortfall.value, of.max_tokens); };
    if (order(m) < order(tightest)) tightest = std::move(m);
  }
  tightest.shortfall = missing;
  return tightest;
}

Memory fit(const Model& model, const Device& device, const Deployment& d, const Workload& w, const Engine& e) {
  return Ranks(model, device, d, e).fit(w);
}

namespace {

void check_count(std::vector<Problem>& found, const char* path, i64 value, i64 most) {
  if (value < 1 || value > most)
    found.push_back({path, "is " + std::to_string(value) + ", expected 1 to " + std::to_string(most), ""});
}

void check_heads_split(std::vector<Problem>& found, const Model& model, const Deployment& d, const Engine& e) {
  i64 tp = d.attention_dp > 0 && d.tp % d.attention_dp == 0 ? d.attention_tp() : d.tp;
  for (const LayerGroup& g : model.layers) {
    i64 q = query_heads(g.attention);
    if (q > 0 && q % tp != 0) {
      found.push_back({"--tp",
                       std::to_string(tp) + " does not divide the " + std::to_string(q) + " query heads of " + model.id,
                       "use a divisor of " + std::to_string(q)});
      return;
    }
    const Heads* h = heads_of(g.attention);
    if (e.divides_heads && h && h->kv % tp != 0 && tp % h->kv != 0) {
      found.push_back({"--tp",
                       std::to_string(tp) + " neither divides the " + std::to_string(h->kv) + " KV heads of " +
                           model.id + " nor is a multiple of them, which " + e.id + " needs",
                       ""});
      return;
    }
  }
}

}  // namespace

/// Laying out a stage looks at every layer before it: seconds at most.
constexpr double most_steps_laid_out = 1e8;

std::vector<Problem> problems(const Model& model, const Device& device, const Deployment& d, const Engine& e) {
  std::vector<Problem> found;
  check_count(found, "--tp", d.tp, 1 << 20);
  check_count(found, "--pp", d.pp, 1 << 20);
  check_count(found, "--dp", d.dp, 1 << 20);
  check_count(found, "--ep", d.ep, 1 << 20);
  if (!found.empty()) return found;
  check_heads_split(found, model, d, e);
  if (d.attention_dp < 1 || d.tp % std::max<i64>(1, d.attention_dp) != 0)
    found.push_back({"--attention-dp",
                     std::to_string(d.attention_dp) + " does not divide the " + std::to_string(d.tp) + " ranks of tp",
                     ""});
  i64 layers = model.layer_count();
  if (d.pp > layers)
    found.push_back(
        {"--pp", std::to_string(d.pp) + " is more than the " + std::to_string(layers) + " layers of " + model.id, ""});
  if (d.ep > 1 && d.ep != d.tp)
    found.push_back({"--ep",
                     std::to_string(d.ep) + " must equal tp (" + std::to_string(d.tp) +
                         "): experts are split over the tensor-parallel ranks",
                     ""});
  i64 fewest_experts = 0;
  for (const LayerGroup& g : model.layers)
    if (const auto* moe = std::get_if<MoeFeedForward>(&g.feed_forward))
      fewest_experts = fewest_experts == 0 ? moe->experts : std::min(fewest_experts, moe->experts);
  if (d.ep > 1 && fewest_experts < d.ep)
    found.push_back({"--ep",
                     fewest_experts == 0 ? model.id + " has no experts to split"
                                         : std::to_string(d.ep) + " ranks for the " + std::to_string(fewest_experts) +
                                               " experts of " + model.id,
                     ""});
  if (d.expert_skew > 0 && fewest_experts == 0)
    found.push_back({"--expert-skew", model.id + " has no experts for tokens to fall on", ""});
  if (d.tp > 1 && !device.link && !device.host_link)
    found.push_back({"--tp",
                     device.id + " has no known link, so tensor parallelism over " + std::to_string(d.tp) +
                         " devices can't be timed",
                     "use --pp, or another device"});
  if (d.memory_fraction && !(*d.memory_fraction > 0 && *d.memory_fraction <= 1))
    found.push_back({"--memory-fraction", "must lie in (0, 1]", ""});
  const struct {
    const char* path;
    const std::optional<Bytes>& bytes;
  } given[] = {
      {"--kv-room", d.kv_room}, {"--weights-bytes", d.weight_bytes}, {"--activation-bytes", d.activation_bytes}};
  for (const auto& g : given)
    if (g.bytes && !(g.bytes->value >= 0 && g.bytes->value <= 0x1p53))
      found.push_back({g.path, "is more than 8 PiB", "bytes stay exact only below 2^53"});
  if (stages_of(e) == Stages::inner && d.pp > 1 &&
      double(d.pp) * double(model.layers.size()) * double(layers) > most_steps_laid_out)
    found.push_back({"--pp",
                     std::to_string(d.pp) + " stages of " + std::to_string(layers) + " layers in " +
                         std::to_string(model.layers.size()) + " groups are more than can be laid out",
                     "write layers that are alike as one group"});
  return found;
}

std::vector<Problem> problems(const Model& model, const Deployment& d, const Workload& w) {
  std::vector<Problem> found;
  check_count(found, "--context", w.context, i64(1) << 40);
  check_count(found, "--batch", w.batch, i64(1) << 32);
  if (w.shared_prefix < 0 || w.shared_prefix > w.context)
    found.push_back(
        {"--shared-prefix",
         "is " + std::to_string(w.shared_prefix) + ", expected 0 to the context of " + std::to_string(w.context), ""});
  if (!found.empty()) return found;
  if (d.max_context > 0 && d.max_context < w.context)
    found.push_back({"--max-model-len",
                     std::to_string(d.max_context) + " is less than the context of " + std::to_string(w.context), ""});
  double most = double(w.batch) * sequence_cache(model, w.context, d).value;
  if (found.empty() && most > 9007199254740992.0 * 1024)
    found.push_back({"--context", "the cache asked for is beyond 8 EiB", "bytes stay exact only below 2^53"});
  return found;
}

std::vector<Problem> problems(const Model& model, const Device& device, const Deployment& d, const Workload& w,
                              const Engine& e) {
  std::vector<Problem> found = problems(model, device, d, e);
  for (Problem& p : problems(model, d, w)) found.push_back(std::move(p));
  return found;
}

}  // namespace kvroof
