// Writes small GGUF files, right or wrong, so that tests know every byte they read.
#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "catalog/gguf.h"

namespace kvroof::gguf_writer {

enum : std::uint32_t { U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 };

/// Writes what it is told, right or wrong.
struct Writer {
  std::string out;

  template <class T>
  Writer& put(T v) {
    char raw[sizeof(T)];
    std::memcpy(raw, &v, sizeof(T));
    out.append(raw, sizeof(T));
    return *this;
  }
  Writer& text(std::string_view s) {
    put(std::uint64_t(s.size()));
    out += s;
    return *this;
  }
  Writer& raw(std::string_view s) {
    out += s;
    return *this;
  }
};

/// A whole file: metadata and tensors are collected, offsets are worked out.
struct File {
  std::uint32_t version = 3;
  std::vector<std::string> entries, infos;
  std::uint64_t offset = 0;
  i64 elements = 0, bytes = 0;

  template <class T>
  File& scalar(std::string_view key, std::uint32_t type, T v) {
    entries.push_back(Writer().text(key).put(type).put(v).out);
    return *this;
  }
  File& u32(std::string_view key, std::uint32_t v) { return scalar(key, U32, v); }
  File& string(std::string_view key, std::string_view v) {
    entries.push_back(Writer().text(key).put(std::uint32_t(STRING)).text(v).out);
    return *this;
  }
  template <class T>
  File& numbers(std::string_view key, std::uint32_t type, std::vector<T> v) {
    Writer w;
    w.text(key).put(std::uint32_t(ARRAY)).put(type).put(std::uint64_t(v.size()));
    for (std::size_t i = 0; i < v.size(); ++i) w.put(T(v[i]));
    entries.push_back(w.out);
    return *this;
  }
  File& strings(std::string_view key, std::size_t count, std::string_view each = "tok") {
    Writer w;
    w.text(key).put(std::uint32_t(ARRAY)).put(std::uint32_t(STRING)).put(std::uint64_t(count));
    for (std::size_t i = 0; i < count; ++i) w.text(each);
    entries.push_back(w.out);
    return *this;
  }
  File& tensor(std::string_view name, std::vector<i64> dims, int type = 0) {
    Writer w;
    w.text(name).put(std::uint32_t(dims.size()));
    i64 n = 1;
    for (i64 d : dims) {
      w.put(std::uint64_t(d));
      n *= d;
    }
    infos.push_back(w.put(std::uint32_t(type)).put(offset).out);
    const GgufType* t = find_gguf_type(type);
    i64 size = t ? n / t->block * t->bytes : 0;
    offset += std::uint64_t(round_up(size, 32));
    elements += n;
    bytes += size;
    return *this;
  }
  std::string header() const {
    Writer w;
    w.raw("GGUF").put(version).put(std::uint64_t(infos.size())).put(std::uint64_t(entries.size()));
    for (const std::string& e : entries) w.raw(e);
    for (const std::string& i : infos) w.raw(i);
    return w.out;
  }
  /// With the tensors' bytes behind it, as zeros.
  std::string whole() const {
    std::string h = header();
    if (!infos.empty()) h.resize(std::size_t(round_up(i64(h.size()), 32)) + std::size_t(offset), '\0');
    return h;
  }
};

inline ParsedGguf parse(std::string_view bytes) {
  return parse_gguf(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

/// Hidden 64, 2 layers, 4 query and 2 KV heads of 16, feed-forward 128, vocabulary 100.
inline File llama(int linear = 1) {
  File f;
  f.string("general.architecture", "llama").string("general.name", "Tiny Llama").u32("llama.block_count", 2);
  f.u32("llama.context_length", 4096).u32("llama.embedding_length", 64).u32("llama.feed_forward_length", 128);
  f.u32("llama.attention.head_count", 4).u32("llama.attention.head_count_kv", 2).strings("tokenizer.ggml.tokens", 100);
  f.tensor("token_embd.weight", {64, 100}, 1).tensor("output_norm.weight", {64}).tensor("output.weight", {64, 100}, 8);
  f.tensor("rope_freqs.weight", {8});
  for (int i : {0, 1}) {
    std::string b = fmt::format("blk.{}.", i);
    f.tensor(b + "attn_norm.weight", {64}).tensor(b + "ffn_norm.weight", {64});
    f.tensor(b + "attn_q.weight", {64, 64}, linear).tensor(b + "attn_k.weight", {64, 32}, linear);
    f.tensor(b + "attn_v.weight", {64, 32}, linear).tensor(b + "attn_output.weight", {64, 64}, linear);
    f.tensor(b + "ffn_gate.weight", {64, 128}, linear).tensor(b + "ffn_up.weight", {64, 128}, linear);
    f.tensor(b + "ffn_down.weight", {128, 64}, linear);
  }
  return f;
}

}  // namespace kvroof::gguf_writer
