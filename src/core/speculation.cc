#include "core/speculation.h"

#include <algorithm>
#include <cmath>

#include "core/layout.h"

namespace kvroof {

double accepted_tokens(double acceptance, i64 length) {
  if (acceptance >= 1) return double(length + 1);
  return (1 - std::pow(acceptance, double(length + 1))) / (1 - acceptance);
}

Deployment draft_deployment(const Draft& draft, const Deployment& target) {
  Deployment d = target;
  d.weights.reset();  // --weights speaks of the target
  d.weight_bytes.reset();
  d.kv_room.reset();
  d.pp = std::min(target.pp, draft.model.layer_count());
  auto divides = [&](i64 tp) {
    for (const LayerGroup& g : draft.model.layers) {
      const Heads* h = heads_of(g.attention);
      if (query_heads(g.attention) % tp != 0 || (h && h->kv % tp != 0 && tp % h->kv != 0)) return false;
    }
    return true;
  };
  while (d.tp > 1 && !divides(d.tp)) --d.tp;
  d.ep = std::min(d.ep, d.tp);
  d.attention_dp = d.tp % target.attention_dp == 0 ? target.attention_dp : 1;
  return d;
}

namespace {

/// A cycle and what a token of it takes, from the two steps.
void add_up(Speculated& s, const RangeRule& range) {
  double sequences = s.verify.tokens_per_second * s.verify.expected.value;
  s.cycle = s.verify.expected + double(s.length) * s.draft.expected;
  s.expected = s.cycle / s.accepted;
  s.low = larger(s.floor, range.low * s.expected);
  s.high = range.high * s.expected;
  s.tokens_per_second = sequences / s.expected.value;
}

}  // namespace

Speculated speculate(const Model& model, const Draft& draft, const Device& device, const Deployment& d,
                     const Workload& w, const Engine& engine, const RangeRule& rule) {
  Speculated s;
  s.length = draft.length;
  Workload checked = w;
  checked.query_tokens = draft.length + 1;
  s.verify = decode_step(model, device, d, checked, engine, rule);
  s.draft = decode_step(draft.model, device, draft_deployment(draft, d), w, engine, rule);
  s.accepted = accepted_tokens(draft.acceptance, draft.length);
  double steps = double(draft.length);
  s.floor = (s.verify.floor + steps * s.draft.floor) / (steps + 1);
  add_up(s, rule.of(model));
  return s;
}

Speculated anchored(Speculated s, double ratio, const RangeRule& range) {
  if (ratio == 1) return s;
  s.verify = anchored(s.verify, ratio, range);
  s.draft = anchored(s.draft, ratio, range);
  add_up(s, range);
  return s;
}

namespace {

/// Tokens of the target's cache where each has the draft's beside it: as many as the room that is left holds of both.
i64 tokens_beside(const Memory& target, const Allocation& drafts, Bytes room, const Engine& e) {
  Bytes own = target.kv_per_sequence + target.allocation.shared;
  if (own.value == 0 || target.kv_room.value == 0) return 0;
  double share = room / target.kv_room * (own / (own + drafts.per_sequence + drafts.shared));
  return whole(double(target.max_tokens) * share) / e.block_tokens * e.block_tokens;
}

}  // namespace

Memory with_draft(const Memory& target, const Draft& draft, const Deployment& d, const Workload& w, const Engine& e) {
  Deployment beside = draft_deployment(draft, d);
  Bytes weights = rank_weights(draft.model, beside, 0);
  Allocation drafts = allocate(draft.model, beside, w, e, 0, target.kv_room);
  Memory m = target;
  m.weights += weights;
  m.kv_per_sequence += drafts.per_sequence;
  m.allocation.shared += drafts.shared;
  Bytes room = d.kv_room ? *d.kv_room - weights : m.usable - m.reserved - m.weights - m.runtime - m.activation;
  m.kv_room = larger(Bytes{}, room);
  // Sequences that are all prefix in common take nothing of their own.
  i64 most = sequences_in(m.kv_room - m.allocation.shared, m.kv_per_sequence);
  m.max_sequences = std::min(target.max_sequences, over_groups(most, d.attention_dp));
  m.max_tokens = std::min(target.max_tokens, tokens_beside(target, drafts, m.kv_room, e));
  m.fits = room.value >= 0 && m.max_sequences >= w.batch;
  if (m.fits)
    m.shortfall = {};
  else
    m.shortfall =
        larger(Bytes{1}, m.allocation.shared + double(ceil_div(w.batch, d.attention_dp)) * m.kv_per_sequence - room);
  return m;
}

std::vector<Problem> problems(const Model& model, const Draft& draft) {
  std::vector<Problem> found;
  if (!(draft.acceptance >= 0 && draft.acceptance <= 1)) found.push_back({"--accept", "must lie in [0, 1]", ""});
  if (draft.length < 1 || draft.length > 64) found.push_back({"--draft-len", "must lie in 1 to 64", ""});
  i64 target = count_parameters(model).active, drafted = count_parameters(draft.model).active;
  if (drafted >= target)
    found.push_back({"--draft",
                     draft.model.id + " is no smaller than its target " + model.id + ": a step of it can't be cheaper",
                     "name a smaller model"});
  if (draft.model.vocab != model.vocab)
    found.push_back({"--draft",
                     draft.model.id + " has a vocabulary of " + std::to_string(draft.model.vocab) + ", " + model.id +
                         " one of " + std::to_string(model.vocab) + ": tokens of one mean nothing to the other",
                     "name a model of the same family"});
  return found;
}

}  // namespace kvroof
