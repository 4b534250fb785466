#include "measure/kv_cache.h"

#include <algorithm>
#include <numeric>
#include <random>

#include "measure/rows.h"

namespace kvroof {
namespace {

/// A uniform draw in -1 … 1; std::uniform_real_distribution differs between libraries.
struct Draw {
  std::minstd_rand random;
  explicit Draw(unsigned seed) : random(seed + 1) {}
  float operator()() { return float(double(random()) / double(std::minstd_rand::max()) * 2 - 1); }
};

void fill_row(const AttentionShape& s, i64 dim, Draw& draw, std::vector<float>& values, std::byte* row) {
  values.resize(std::size_t(dim));
  for (float& v : values) v = draw();
  encode_row(s.format, values.data(), dim, row);
}

}  // namespace

KvExtent extent_of(const AttentionShape& s) {
  i64 tokens = s.paging == Paging::contiguous ? s.context : round_up(s.context, page_tokens);
  i64 rows = tokens * s.kv_heads;
  return {rows * row_bytes(s.format, s.key_dim), s.latent ? 0 : rows * row_bytes(s.format, s.value_dim)};
}

std::vector<std::int32_t> block_table(const AttentionShape& s, unsigned seed) {
  if (s.paging == Paging::contiguous) return {};
  std::vector<std::int32_t> blocks(std::size_t(ceil_div(s.context, page_tokens)));
  std::iota(blocks.begin(), blocks.end(), 0);
  if (s.paging == Paging::random) {
    std::minstd_rand random(seed + 1);
    for (std::size_t i = blocks.size(); i > 1; --i) std::swap(blocks[i - 1], blocks[random() % i]);
  }
  return blocks;
}

KvView view_of(const AttentionShape& s, const std::byte* memory, const std::vector<std::int32_t>& blocks) {
  i64 key_row = row_bytes(s.format, s.key_dim);
  return {.keys = memory,
          .values = s.latent ? memory : memory + extent_of(s).keys,
          .key_row = key_row,
          .value_row = s.latent ? key_row : row_bytes(s.format, s.value_dim),
          .kv_heads = s.kv_heads,
          .context = s.context,
          .blocks = blocks.empty() ? nullptr : blocks.data()};
}

void fill(const AttentionShape& s, std::byte* memory, const std::vector<std::int32_t>& blocks, unsigned seed) {
  KvView view = view_of(s, memory, blocks);
  Draw draw(seed);
  std::vector<float> values;
  for (i64 h = 0; h < s.kv_heads; ++h)
    for (i64 t = 0; t < s.context; ++t) {
      i64 row = view.row(h, t);
      fill_row(s, s.key_dim, draw, values, memory + row * view.key_row);
      if (!s.latent) fill_row(s, s.value_dim, draw, values, memory + extent_of(s).keys + row * view.value_row);
    }
}

std::vector<float> make_queries(const AttentionShape& s, unsigned seed) {
  Draw draw(seed + 1000);
  std::vector<float> queries(std::size_t(s.query_heads() * s.key_dim));
  for (float& q : queries) q = draw() * 2;
  return queries;
}

}  // namespace kvroof
