// The table of number formats. Sizes of the llama.cpp formats: ggml's block structs (importer-notes of GGUF
// type ids); mxfp4: OCP Microscaling 1.0; nvfp4: one fp8 scale per 16; fp8 blocks: DeepSeek-V3 report.
#include "core/dtype.h"

namespace kvroof {
namespace {

constexpr Format table[] = {
    {"f32", 1, 4, 0, Arithmetic::fp32, "IEEE 754 binary32"},
    {"bf16", 1, 2, 0, Arithmetic::bf16, "bfloat16"},
    {"fp16", 1, 2, 0, Arithmetic::fp16, "IEEE 754 binary16"},
    {"fp8", 1, 1, 0, Arithmetic::fp8, "one scale per tensor"},
    {"fp8_block", 16384, 16388, 0, Arithmetic::fp8, "one f32 scale per 128x128 block"},
    {"fp8_ds_mla", 576, 656, 0, Arithmetic::fp8, "512 fp8 + 16 B scales + 64 bf16 of one latent (vLLM, SGLang)"},
    {"int8", 1, 1, 4, Arithmetic::int8, "one f32 scale per token and head (vLLM per-token-head)"},
    {"w8a8", 1, 1, 0, Arithmetic::int8, "int8 weights, one scale per channel"},
    {"q8_0", 32, 34, 0, Arithmetic::fp16, "ggml block_q8_0"},
    {"q6_k", 256, 210, 0, Arithmetic::fp16, "ggml block_q6_K"},
    {"q5_k", 256, 176, 0, Arithmetic::fp16, "ggml block_q5_K"},
    {"q5_1", 32, 24, 0, Arithmetic::fp16, "ggml block_q5_1"},
    {"q5_0", 32, 22, 0, Arithmetic::fp16, "ggml block_q5_0"},
    {"q4_k", 256, 144, 0, Arithmetic::fp16, "ggml block_q4_K"},
    {"q3_k", 256, 110, 0, Arithmetic::fp16, "ggml block_q3_K"},
    {"q2_k", 256, 84, 0, Arithmetic::fp16, "ggml block_q2_K"},
    {"iq4_xs", 256, 136, 0, Arithmetic::fp16, "ggml block_iq4_xs"},
    {"q4_1", 32, 20, 0, Arithmetic::fp16, "ggml block_q4_1"},
    {"q4_0", 32, 18, 0, Arithmetic::fp16, "ggml block_q4_0"},
    {"iq4_nl", 32, 18, 0, Arithmetic::fp16, "ggml block_iq4_nl"},
    {"mxfp4", 32, 17, 0, Arithmetic::fp4, "OCP Microscaling: one byte of scale per 32"},
    {"nvfp4", 16, 9, 0, Arithmetic::fp4, "one fp8 scale per 16"},
    {"int4", 128, 68, 0, Arithmetic::bf16, "groups of 128 with fp16 scale and zero"},
    {"int4_g32", 32, 18, 0, Arithmetic::bf16, "groups of 32 with one fp16 scale (compressed-tensors pack-quantized)"},
    {"int4_sym", 128, 66, 0, Arithmetic::bf16, "groups of 128 with one fp16 scale (compressed-tensors, symmetric)"},
    {"nf4", 64, 36, 0, Arithmetic::bf16, "bitsandbytes: one f32 absmax per 64"},
    {"nf4_double", 16384, 8452, 0, Arithmetic::bf16, "bitsandbytes: absmax per 64 in 8 bits, one f32 per 256 of them"},
    {"awq", 256, 133, 0, Arithmetic::bf16, "groups of 128 with fp16 scale and 4-bit zero (AWQ, GPTQ)"},
};

constexpr FormatAlias aliases[] = {
    {"float32", "f32"}, {"fp32", "f32"},     {"bfloat16", "bf16"}, {"float16", "fp16"}, {"f16", "fp16"},
    {"half", "fp16"},   {"fp8_e4m3", "fp8"}, {"fp8_e5m2", "fp8"},  {"e4m3", "fp8"},     {"float8_e4m3fn", "fp8"},
    {"gptq", "awq"},    {"w4a16", "awq"},    {"int4_wo", "awq"},   {"q4_k_m", "q4_k"},  {"q4_k_s", "q4_k"},
    {"q5_k_m", "q5_k"}, {"q3_k_m", "q3_k"},  {"int8_wo", "w8a8"},
};

}  // namespace

Bytes Format::size(double count, i64 vector) const {
  double scaled = vector_scale_bytes == 0 ? 0 : count / double(vector) * double(vector_scale_bytes);
  return {count * double(bytes) / double(elements) + scaled};
}

std::span<const Format> formats() { return table; }
std::span<const FormatAlias> format_aliases() { return aliases; }

const Format* find_format(std::string_view name) {
  for (const FormatAlias& a : aliases)
    if (a.alias == name) name = a.name;
  for (const Format& f : table)
    if (f.name == name) return &f;
  return nullptr;
}

const Format& format(std::string_view name) {
  const Format* found = find_format(name);
  return found ? *found : table[0];
}

std::string_view name_of(Arithmetic arithmetic) {
  constexpr std::string_view names[] = {"fp32", "tf32", "fp16", "bf16", "fp8", "int8", "fp4"};
  return names[int(arithmetic)];
}

}  // namespace kvroof
