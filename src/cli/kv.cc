// `kvroof kv MODEL`: the cache in bytes. The same shape stands beside the model's own kind, so that what
// head sharing, windows and formats each save is read off one page.
#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/options.h"
#include "core/parameters.h"
#include "render/number.h"

namespace kvroof {
namespace {

struct KvOptions {
  OutputOptions output;
  CatalogOptions catalog;
  ModelOptions model;
  CacheOptions cache;
  DeploymentOptions layout;
  std::string context;
  bool explain = false;
};

struct Variant {
  std::string kind;
  Model model;
};

/// MHA, GQA and MQA of the same shape; the model's own kind first where it is none of them.
std::vector<Variant> same_shape_as(const Model& model) {
  std::vector<Variant> found;
  i64 own_groups = 0;
  bool divisible[2] = {true, true};  // by 8 and by the model's own number
  for (const LayerGroup& g : model.layers) {
    const Heads* h = heads_of(g.attention);
    if (h && h->kv > 1 && h->kv < h->query && own_groups == 0) own_groups = h->kv;
    i64 q = query_heads(g.attention);
    if (q > 0 && (q % 8 != 0 || q == 8)) divisible[0] = false;
  }
  if (own_groups > 0)
    for (const LayerGroup& g : model.layers)
      if (query_heads(g.attention) % own_groups != 0) divisible[1] = false;
  bool has_heads = false, latent = false;
  for (const LayerGroup& g : model.layers) {
    has_heads |= query_heads(g.attention) > 0;
    latent |= std::holds_alternative<LatentAttention>(g.attention);
  }
  if (!has_heads) return {{kinds_of(model), model}};
  if (latent) found.push_back({"MLA", model});
  found.push_back({"MHA", with_kv_heads(model, 0)});
  i64 groups = own_groups > 0 && divisible[1] ? own_groups : divisible[0] ? 8 : 0;
  if (groups > 0) found.push_back({"GQA-" + std::to_string(groups), with_kv_heads(model, groups)});
  found.push_back({"MQA", with_kv_heads(model, 1)});
  return found;
}

/// What every section of the page reads.
struct KvPage {
  const Model& model;
  const Deployment& d;
  const std::vector<i64>& contexts;
  const Catalog& catalog;
  i64 longest = contexts.back();
  Document doc = {};

  void head();
  void one_sequence();
  void layer_groups();
  void same_shape();
  void by_format();
  void notes();
};

/// The sparse indexers' share of a token's bytes.
Bytes index_per_token(const Model& model, const Deployment& d) {
  Bytes sum;
  for (const LayerGroup& g : model.layers)
    for (const Part& part : stored(g.attention, 1))
      if (part.role == Role::index) sum += double(g.count) * bytes_of({part}, d.cache);
  return sum;
}

void KvPage::head() {
  Parameters p = count_parameters(model);
  Bytes growth = cache_per_token(model, d), within = cache_per_token_within_windows(model, d),
        state = state_per_sequence(model, d);
  Json& j = doc.json;
  j["schema_version"] = 1;
  j["command"] = "kv";
  j["model"] = model.id;
  j["parameters"] = {{"total", p.total}, {"active", p.active}};
  j["kv_dtype"] = cache_format_of(d.cache);
  j["kv_bytes_per_token"] = growth.value;
  j["kv_bytes_per_token_within_windows"] = within.value;
  j["index_bytes_per_token"] = index_per_token(model, d).value;  // of kv_bytes_per_token
  j["state_bytes_per_sequence"] = state.value;

  doc.blocks.push_back(Heading{fmt::format("{} ({})", model.name, model.id)});
  Facts facts;
  bool sparse = p.active != p.total - p.encoder;
  facts.rows.push_back(
      {"parameters", parameters(double(p.total)) + (sparse ? ", " + parameters(double(p.active)) + " active" : "")});
  facts.rows.push_back({"attention", kinds_of(model)});
  facts.rows.push_back({"KV cache", fmt::format("{} a token ({} bytes) in {}", size(growth), count(growth.value),
                                                cache_format_of(d.cache))});
  if (within != growth) facts.rows.push_back({"", fmt::format("{} a token while windows fill", size(within))});
  if (state.value > 0)
    facts.rows.push_back({"constant", fmt::format("{} a sequence (states, cross-attention)", size(state))});
  doc.blocks.push_back(facts);
}

void KvPage::one_sequence() {
  constexpr std::string_view engines[] = {"vllm", "sglang", "trtllm", "llamacpp"};
  Table at{{"tokens", "ideal"}, {}};
  doc.csv.columns = {"context", "bytes"};
  for (std::string_view name : engines) {
    at.columns.emplace_back(name);
    doc.csv.columns.push_back(std::string(name) + "_bytes");
  }
  doc.json["at"] = Json::array();
  for (i64 tokens : contexts) {
    Bytes bytes = sequence_cache(model, tokens, d);
    Json row = {{"context", tokens}, {"bytes", bytes.value}};
    std::vector<std::string> cells = {count(double(tokens)), size(bytes)},
                             csv = {std::to_string(tokens), fmt::format("{:.0f}", bytes.value)};
    for (std::string_view name : engines) {
      Engine engine = catalog.engine(name);
      Deployment of_engine = d;
      if (engine.layout == Layout::cells) of_engine.batched_tokens = 512;
      Bytes allocated = allocate(model, of_engine, {tokens, 1, 0}, engine, 0, {}).per_sequence;
      row["allocated"][std::string(name)] = allocated.value;
      cells.push_back(size(allocated));
      csv.push_back(fmt::format("{:.0f}", allocated.value));
    }
    doc.json["at"].push_back(row);
    at.rows.push_back(cells);
    doc.csv.rows.push_back(csv);
  }
  doc.blocks.push_back(Heading{"One sequence: ideal bytes, and what each engine allocates"});
  doc.blocks.push_back(at);
}

void KvPage::layer_groups() {
  Table groups{{"layers", "<kind", "<sharing", "~shape", "bytes", "share"}, {}};
  Json& j = doc.json["layer_groups"] = Json::array();
  Bytes total = sequence_cache(model, longest, d);
  for (const LayerGroup& g : model.layers) {
    if (std::holds_alternative<NoAttention>(g.attention)) continue;
    Bytes bytes = double(g.count) * layer_stored(g, longest, d);
    groups.rows.push_back({std::to_string(g.count), std::string(kind_name(g.attention)),
                           g.shares_kv ? "shared" : sharing_of(g), shape_of(g), size(bytes),
                           total.value > 0 ? percent(bytes / total) : "-"});
    Json row = {{"count", g.count},
                {"kind", kind_name(g.attention)},
                {"sharing", sharing_of(g)},
                {"shares_kv", g.shares_kv},
                {"context", longest},
                {"bytes", bytes.value},
                {"bytes_per_layer", layer_stored(g, longest, d).value}};
    if (const Heads* h = heads_of(g.attention))
      row.update({{"q_heads", h->query}, {"kv_heads", h->kv}, {"head_dim", h->key_dim}, {"value_dim", h->value_dim}});
    j.push_back(row);
  }
  doc.blocks.push_back(Heading{fmt::format("Layer groups, {} tokens", count(double(longest)))});
  doc.blocks.push_back(groups);
}

/// bytes_per_token, within windows and of the whole sequence: the three figures both comparisons give.
Json figures_of(const Model& model, const Deployment& d, i64 tokens) {
  return {{"bytes_per_token", cache_per_token(model, d).value},
          {"bytes_per_token_within_windows", cache_per_token_within_windows(model, d).value},
          {"bytes", sequence_cache(model, tokens, d).value}};
}

std::vector<std::string> comparison_row(const std::string& name, const Json& figures, double reference,
                                        const char* mark) {
  double bytes = figures["bytes"];
  return {name, size({figures["bytes_per_token_within_windows"].get<double>()}), size({bytes}),
          reference > 0 ? percent(bytes / reference) : "-", mark};
}

void KvPage::same_shape() {
  std::vector<Variant> variants = same_shape_as(model);
  bool own_listed = false;
  for (const Variant& v : variants) own_listed |= v.model.layers == model.layers;
  if (!own_listed) variants.insert(variants.begin(), {kinds_of(model), model});
  double mha = sequence_cache(with_kv_heads(model, 0), longest, d).value;
  Table as{{"~kind", "a token", "a sequence", "of MHA", "<"}, {}};
  Json& j = doc.json["as"] = Json::array();
  for (const Variant& v : variants) {
    bool own = v.model.layers == model.layers;
    Json row = {{"kind", v.kind}, {"own", own}};
    row.update(figures_of(v.model, d, longest));
    as.rows.push_back(comparison_row(v.kind, row, mha, own ? "its own" : ""));
    as.shares.push_back(row["bytes"].get<double>() / mha);
    j.push_back(row);
  }
  doc.blocks.push_back(Heading{fmt::format("The same shape as, {} tokens", count(double(longest)))});
  doc.blocks.push_back(as);
}

void KvPage::by_format() {
  bool latent = false;
  for (const LayerGroup& g : model.layers) latent |= std::holds_alternative<LatentAttention>(g.attention);
  Deployment other = d;
  other.cache.key = other.cache.value = format("bf16");
  double reference = sequence_cache(model, longest, other).value;
  Table table{{"<format", "a token", "a sequence", "of bf16", "<"}, {}};
  Json& j = doc.json["formats"] = Json::array();
  for (std::string_view name : {"bf16", "fp8", "fp8_ds_mla", "int8", "q8_0", "q5_1", "q4_0", "nvfp4"}) {
    if (name == "fp8_ds_mla" && !latent) continue;
    other.cache.key = other.cache.value = format(name);
    Json row = {{"kv_dtype", name}};
    row.update(figures_of(model, other, longest));
    bool own = d.cache.key == other.cache.key && d.cache.value == other.cache.value;
    table.rows.push_back(comparison_row(std::string(name), row, reference, own ? "as asked" : ""));
    table.shares.push_back(row["bytes"].get<double>() / reference);
    j.push_back(row);
  }
  doc.blocks.push_back(Heading{fmt::format("Formats of keys and values, {} tokens", count(double(longest)))});
  doc.blocks.push_back(table);
}

void KvPage::notes() {
  Notes lines;
  if (d.eviction.kind != EvictionKind::none)
    lines.lines.push_back("eviction changes what the model sees; its quality is not modelled");
  for (const std::string& note : model.notes) lines.lines.push_back(note);
  lines.lines.push_back("source: " + model.source);
  doc.json["notes"] = lines.lines;
  doc.blocks.push_back(Heading{"Notes"});
  doc.blocks.push_back(lines);
}

int run(const KvOptions& o) {
  Catalog catalog = catalog_of(o.catalog);
  Model model = model_of(o.model, catalog);
  Deployment d = deployment_of(o.cache, o.layout, model, catalog.engine("ideal"));
  std::vector<i64> fallback = {1024, 8192, 32768};
  if (!model.max_context || *model.max_context >= 131072) fallback.push_back(131072);
  std::vector<i64> contexts = counts_of("--context", o.context, fallback);
  std::sort(contexts.begin(), contexts.end());
  KvPage page{model, d, contexts, catalog};
  page.head();
  page.one_sequence();
  page.layer_groups();
  page.same_shape();
  page.by_format();
  if (o.explain) {
    page.doc.blocks.push_back(Heading{"How it adds up"});
    page.doc.blocks.push_back(Tree{explain_cache(model, d, page.longest)});
    page.doc.json["explain"] = json_of(explain_cache(model, d, page.longest));
    page.doc.blocks.push_back(Heading{"What each reduction saves (they multiply)"});
    page.doc.blocks.push_back(Tree{explain_reductions(model, d, page.longest)});
    page.doc.json["reductions"] = json_of(explain_reductions(model, d, page.longest));
  }
  page.notes();
  print(page.doc, o.output);
  return 0;
}

}  // namespace

void add_kv(CommandLine& line) {
  auto o = std::make_shared<KvOptions>();
  line.examples =
      "  kvroof kv llama-3.1-8b\n  kvroof kv llama-2-70b --attention mha --context 4k\n"
      "  kvroof kv gemma-3-27b --kv-dtype fp8 --context 8k,128k --explain\n  kvroof kv ./config.json --json\n";
  add_options(line, o->model);
  line.option("--context", &o->context, "tokens of one sequence, or a list; k = 1024").metavar("TOKENS[,...]");
  add_options(line, o->cache);
  line.option("--explain", &o->explain, "show how the bytes add up, layer by layer");
  add_options(line, o->catalog);
  add_options(line, o->output);
  line.run = [o] { return run(*o); };
}

}  // namespace kvroof
