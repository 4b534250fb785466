#include "measure/shape.h"

#include "core/cache.h"
#include "measure/rows.h"

namespace kvroof {
namespace {

Deployment cached_in(const Format& format) {
  Deployment d;
  d.cache.key = d.cache.value = format;
  return d;
}

/// 32k, 12,000 or 2051: as short as it can be said exactly.
std::string tokens(i64 count) { return count % 1024 == 0 ? std::to_string(count / 1024) + "k" : std::to_string(count); }

}  // namespace

AttentionShape latent_shape(i64 heads, i64 context, const Format& format) {
  return {.kv_heads = 1,
          .group = heads,
          .key_dim = 576,
          .value_dim = 512,
          .context = context,
          .format = format,
          .latent = true};
}

LayerGroup layer_of(const AttentionShape& s) {
  LayerGroup group;
  group.count = 1;
  if (s.latent)
    group.attention = LatentAttention{s.group, s.value_dim, s.key_dim - s.value_dim, 128, 128, 0, std::nullopt};
  else
    group.attention = FullAttention{{s.query_heads(), s.kv_heads, s.key_dim, s.value_dim}};
  return group;
}

Bytes cache_bytes(const AttentionShape& s) { return layer_moved(layer_of(s), s.context, cached_in(s.format)); }

Flops attention_flops(const AttentionShape& s) { return attention_flops(layer_of(s).attention, s.context); }

std::string name_of(const AttentionShape& s) {
  std::string kind = s.latent          ? "MLA-" + std::to_string(s.group)
                     : s.group == 1    ? "MHA"
                     : s.kv_heads == 1 ? "MQA-" + std::to_string(s.group)
                                       : "GQA-" + std::to_string(s.group);
  std::string dims = std::to_string(s.key_dim);
  if (s.value_dim != s.key_dim) dims += "/" + std::to_string(s.value_dim);
  std::string heads = s.latent ? dims : std::to_string(s.kv_heads) + "x" + dims;
  std::string name = kind + " " + heads + " " + std::string(s.format.name) + " " + tokens(s.context);
  if (s.paging == Paging::in_order) name += " paged";
  if (s.paging == Paging::random) name += " random";
  return name;
}

std::vector<Problem> problems(const AttentionShape& s) {
  std::vector<Problem> found;
  auto in_range = [&](const char* path, i64 value, i64 most) {
    if (value < 1 || value > most)
      found.push_back(
          {path, "'" + std::to_string(value) + "' is out of range; expected 1 to " + std::to_string(most), ""});
  };
  in_range("kv_heads", s.kv_heads, 1024);
  in_range("group", s.group, 256);
  in_range("context", s.context, i64(1) << 24);
  for (auto [path, dim] : {std::pair("dim", s.key_dim), std::pair("value_dim", s.value_dim)})
    if (dim < 32 || dim > 1024 || dim % 32 != 0)
      found.push_back({path, "'" + std::to_string(dim) + "' is not a multiple of 32 up to 1024", ""});
  if (s.latent && (s.kv_heads != 1 || s.value_dim > s.key_dim))
    found.push_back({"latent", "one row serves all heads: kv_heads=1 and value_dim at most dim", ""});
  if (!has_rows(s.format))
    found.push_back(
        {"dtype", "no kernel for '" + std::string(s.format.name) + "'", "formats: f32, bf16, fp16, int8, q8_0"});
  return found;
}

}  // namespace kvroof
