#include "catalog/logged_shape.h"

#include <algorithm>
#include <regex>
#include <vector>

#include "catalog/suggest.h"

namespace kvroof {
namespace {

/// A number with the word after it: `8 swa` is 8 and swa.
struct Tagged {
  i64 number = 0;
  std::string tag;
};

std::vector<Tagged> tagged_numbers(std::string_view text) {
  static const std::regex pattern(R"((\d+)\s*([A-Za-z]*))");
  std::vector<Tagged> found;
  std::string s(text);
  for (std::sregex_iterator i(s.begin(), s.end(), pattern), end; i != end; ++i)
    found.push_back({std::stoll((*i)[1]), lower((*i)[2].str())});
  return found;
}

void set_kv_heads(LoggedShape& shape, std::string_view text) {
  std::vector<Tagged> n = tagged_numbers(text);
  if (n.size() == 1) shape.full.kv_heads = n[0].number;
  if (n.size() != 2) return;
  if (n[0].tag == "full") std::swap(n[0], n[1]);
  shape.sliding.emplace();
  shape.sliding->kv_heads = n[0].number;
  shape.full.kv_heads = n[1].number;
}

void set_latent(LoggedWidth& width, const std::vector<Tagged>& n, std::size_t first) {
  width.lora_rank = n[first].number;
  width.rope_dim = n[first + 1].number;
  if (n.size() > first + 2) width.index_dim = n[first + 2].number;  // `512+64, idx 128`
}

void set_head_dim(LoggedShape& shape, std::string_view text, bool dual) {
  std::vector<Tagged> n = tagged_numbers(text);
  if (text.find('+') != std::string_view::npos && n.size() >= 2) {
    set_latent(shape.full, n,
               text.find('(') != std::string_view::npos ? 1 : 0);  // `576(512+64)` starts with the sum
  } else if (n.size() == 1) {
    shape.full.key_dim = shape.full.value_dim = n[0].number;
  } else if (n.size() == 2 && (dual || n[0].tag == "swa" || n[0].tag == "full")) {
    if (n[0].tag == "full") std::swap(n[0], n[1]);
    if (!shape.sliding) shape.sliding = shape.full;
    shape.sliding->key_dim = shape.sliding->value_dim = n[0].number;
    shape.full.key_dim = shape.full.value_dim = n[1].number;
  } else if (n.size() == 2) {  // keys and values
    shape.full.key_dim = n[0].number;
    shape.full.value_dim = n[1].number;
  }
  if (shape.sliding && shape.sliding->key_dim == 0) {
    shape.sliding->key_dim = shape.full.key_dim;
    shape.sliding->value_dim = shape.full.value_dim;
  }
}

LayerGroup full_group(const LoggedWidth& width, i64 count, i64 query_heads) {
  LayerGroup group;
  group.count = count;
  if (width.lora_rank > 0) {
    LatentAttention mla;
    mla.query_heads = std::max<i64>(query_heads, 1);
    mla.kv_lora_rank = width.lora_rank;
    mla.rope_dim = width.rope_dim;
    if (width.index_dim > 0) mla.indexer = Indexer{1, width.index_dim, 1};
    group.attention = mla;
  } else {
    i64 query = std::max(query_heads, width.kv_heads);
    group.attention = FullAttention{{query, width.kv_heads, width.key_dim, width.value_dim}};
  }
  return group;
}

/// Windows and states are not in a row's columns: `SWA` layers keep every token, states nothing.
bool keeps_tokens(const std::string& kind) { return kind == "SWA" || kind == "chunked"; }

bool has_width(const LoggedWidth& width, const Model& model) {
  return std::any_of(model.layers.begin(), model.layers.end(), [&](const LayerGroup& g) {
    if (const auto* mla = std::get_if<LatentAttention>(&g.attention))
      return width.lora_rank == mla->kv_lora_rank && width.rope_dim == mla->rope_dim;
    const Heads* h = heads_of(g.attention);
    if (!h || width.lora_rank > 0) return false;
    bool values = width.value_dim == width.key_dim || h->value_dim == width.value_dim;
    return h->kv == width.kv_heads && h->key_dim == width.key_dim && values;
  });
}

}  // namespace

LoggedShape logged_shape(std::string_view layers, std::string_view query_heads, std::string_view kv_heads,
                         std::string_view head_dim, std::string_view kind) {
  static const std::regex share(R"(([A-Za-z]+)\s*(\d+):(\d+))");
  LoggedShape shape;
  auto first = [](std::string_view text) {
    std::vector<Tagged> n = tagged_numbers(text);
    return n.empty() ? 0 : n[0].number;
  };
  shape.layers = first(layers);
  shape.query_heads = first(query_heads);
  set_kv_heads(shape, kv_heads);
  set_head_dim(shape, head_dim, kind.find("dual") != std::string_view::npos);
  std::string text(kind);
  if (std::smatch m; std::regex_search(text, m, share)) {
    shape.others = m[1];
    shape.full_every = 1 + std::stoll(m[2]) / std::max(1LL, std::stoll(m[3]));
  }
  return shape;
}

Model model_of(const LoggedShape& shape) {
  Model model;
  i64 full = shape.sliding ? shape.layers / shape.full_every : shape.layers;
  if (shape.sliding && keeps_tokens(shape.others))
    model.layers.push_back(full_group(*shape.sliding, shape.layers - full, shape.query_heads));
  model.layers.push_back(full_group(shape.full, full, shape.query_heads));
  return model;
}

i64 caching_layers(const Model& model) {
  i64 layers = 0;
  for (const LayerGroup& g : model.layers)
    if (!g.shares_kv && (heads_of(g.attention) || std::holds_alternative<LatentAttention>(g.attention)))
      layers += g.count;
  return layers;
}

bool agrees(const LoggedShape& shape, const Model& model) {
  i64 all = 0;
  for (const LayerGroup& g : model.layers) all += g.count;
  bool layers = shape.layers == 0 || shape.layers == model.layer_count() || shape.layers == all ||
                shape.layers == caching_layers(model);
  if (!layers) return false;
  if (!shape.known()) return shape.full.kv_heads == 0 && shape.full.key_dim == 0;
  return has_width(shape.full, model) && (!shape.sliding || has_width(*shape.sliding, model));
}

}  // namespace kvroof
