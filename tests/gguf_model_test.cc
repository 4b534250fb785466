// From GGUF headers of known families to models: fields and totals are worked out by hand, and the parameters
// counted from the fields must be those of the file.
#include <catch2/catch.hpp>

#include "core/cache.h"
#include "core/parameters.h"
#include "gguf_writer.h"

using namespace kvroof;
using namespace kvroof::gguf_writer;

namespace {

GgufHeader parsed(const File& file) {
  ParsedGguf p = parse(file.whole());
  INFO(p.error);
  REQUIRE(p.header);
  return *p.header;
}

ModelFile model_of(const File& file) { return gguf_model(parsed(file), "m.gguf"); }

Model good_model(const File& file) {
  ModelFile m = model_of(file);
  INFO(m.error);
  REQUIRE(m.model);
  CHECK(*m.weight_bytes == file.bytes);
  CHECK(count_parameters(*m.model).total == *m.model->published_parameters);
  return *m.model;
}

/// The attention part of a layer with those heads.
void attention(File& f, int layer, i64 hidden, i64 q, i64 kv, i64 dim, bool fused = false) {
  std::string b = fmt::format("blk.{}.", layer);
  f.tensor(b + "attn_norm.weight", {hidden});
  if (fused)
    f.tensor(b + "attn_qkv.weight", {hidden, (q + 2 * kv) * dim});
  else
    f.tensor(b + "attn_q.weight", {hidden, q * dim})
        .tensor(b + "attn_k.weight", {hidden, kv * dim})
        .tensor(b + "attn_v.weight", {hidden, kv * dim});
  f.tensor(b + "attn_output.weight", {q * dim, hidden});
}

void gated(File& f, int layer, i64 hidden, i64 width, std::string_view of = "") {
  std::string b = fmt::format("blk.{}.", layer);
  if (of.empty()) f.tensor(b + "ffn_norm.weight", {hidden});
  f.tensor(fmt::format("{}ffn_gate{}.weight", b, of), {hidden, width})
      .tensor(fmt::format("{}ffn_up{}.weight", b, of), {hidden, width});
  f.tensor(fmt::format("{}ffn_down{}.weight", b, of), {width, hidden});
}

void experts(File& f, int layer, i64 hidden, i64 width, i64 count) {
  std::string b = fmt::format("blk.{}.", layer);
  f.tensor(b + "ffn_norm.weight", {hidden}).tensor(b + "ffn_gate_inp.weight", {hidden, count});
  f.tensor(b + "ffn_gate_exps.weight", {hidden, width, count}, 39)
      .tensor(b + "ffn_up_exps.weight", {hidden, width, count}, 39);
  f.tensor(b + "ffn_down_exps.weight", {width, hidden, count}, 39);
}

/// Architecture, layers and hidden size, embedding of 10 tokens tied, final norm.
File begin(std::string arch, std::uint32_t layers, std::uint32_t hidden) {
  File f;
  f.string("general.architecture", arch).u32(arch + ".block_count", layers).u32(arch + ".embedding_length", hidden);
  f.tensor("token_embd.weight", {i64(hidden), 10}).tensor("output_norm.weight", {i64(hidden)});
  return f;
}

bool has_note(const Model& m, std::string_view text) {
  for (const std::string& n : m.notes)
    if (n == text) return true;
  for (const std::string& n : m.notes) UNSCOPED_INFO(n);
  return false;
}

}  // namespace

TEST_CASE("gguf model: llama") {
  Model m = good_model(llama());
  CHECK(m.id == "m.gguf");
  CHECK(m.name == "Tiny Llama");
  CHECK(m.family == "llama");
  CHECK(m.source == "GGUF header of m.gguf");
  CHECK(m.hidden == 64);
  CHECK(m.vocab == 100);
  CHECK(m.max_context == 4096);
  CHECK_FALSE(m.tied_embeddings);
  REQUIRE(m.layers.size() == 1);
  CHECK(m.layers[0].count == 2);
  CHECK(m.layers[0].attention == Attention(FullAttention{Heads{4, 2, 16, 16}}));
  CHECK(m.layers[0].feed_forward == FeedForward(DenseFeedForward{128, 3, false}));
  CHECK(m.layers[0].norms == 2);
  CHECK(m.weights.linears.name == "fp16");
  CHECK(m.weights.embeddings.name == "fp16");
  // 2 embeddings, the final norm, and per layer 2 norms, q and o, k and v, three matrices; no rope factors
  CHECK(m.published_parameters == 2 * 6400 + 64 + 2 * (128 + 2 * 4096 + 2 * 2048 + 3 * 8192));
  CHECK(m.published_exact);
  CHECK(m.notes.empty());
  CHECK(m.other_weights == 0);
}

TEST_CASE("gguf model: Llama 3.1 8B's published total, from its real shapes") {
  File f;
  f.string("general.architecture", "llama").u32("llama.block_count", 32).u32("llama.embedding_length", 4096);
  f.u32("llama.attention.head_count", 32).u32("llama.attention.head_count_kv", 8).u32("llama.vocab_size", 128256);
  f.tensor("token_embd.weight", {4096, 128256}, 12)
      .tensor("output_norm.weight", {4096})
      .tensor("output.weight", {4096, 128256}, 14);
  f.tensor("rope_freqs.weight", {64});
  for (int i = 0; i < 32; ++i) {
    std::string b = fmt::format("blk.{}.", i);
    f.tensor(b + "attn_norm.weight", {4096})
        .tensor(b + "ffn_norm.weight", {4096})
        .tensor(b + "attn_q.weight", {4096, 4096}, 12);
    f.tensor(b + "attn_k.weight", {4096, 1024}, 12)
        .tensor(b + "attn_v.weight", {4096, 1024}, 14)
        .tensor(b + "attn_output.weight", {4096, 4096}, 12);
    f.tensor(b + "ffn_gate.weight", {4096, 14336}, 12)
        .tensor(b + "ffn_up.weight", {4096, 14336}, 12)
        .tensor(b + "ffn_down.weight", {14336, 4096}, 14);
  }
  ParsedGguf p = parse(f.header());
  REQUIRE(p.header);
  ModelFile m = gguf_model(*p.header, "m.gguf");
  REQUIRE(m.model);
  CHECK(m.model->published_parameters == 8030261248);
  CHECK(count_parameters(*m.model).total == 8030261248);
  CHECK(m.weight_bytes == f.bytes);
  CHECK(m.model->weights.linears.name == "q4_k");
}

TEST_CASE("gguf model: the vocabulary is the embedding's rows") {
  File f = llama();
  f.u32("llama.vocab_size", 90);
  CHECK(has_note(good_model(f), "the vocabulary has 90 tokens, token_embd.weight 100 rows: the rows are counted"));
}

TEST_CASE("gguf model: formats without a row are named") {
  Model m = good_model(begin("llama", 1, 256)
                           .u32("llama.attention.head_count", 4)
                           .tensor("blk.0.attn_norm.weight", {256})
                           .tensor("blk.0.attn_q.weight", {256, 256}, 16)
                           .tensor("blk.0.attn_k.weight", {256, 256}, 16)
                           .tensor("blk.0.attn_v.weight", {256, 256}, 16)
                           .tensor("blk.0.attn_output.weight", {256, 256}, 16));
  CHECK(m.weights.linears.name == "q2_k");
  CHECK(m.tied_embeddings);
  CHECK(has_note(m,
                 "most linear weights are iq2_xxs (2.062 bits), for which there is no format: q2_k is used; the file's "
                 "weight bytes are exact"));
}

TEST_CASE("gguf model: gpt-oss, alternating windows, sinks, biases, mxfp4 experts") {
  File f = begin("gpt-oss", 4, 64);
  f.u32("gpt-oss.attention.head_count", 4)
      .u32("gpt-oss.attention.head_count_kv", 2)
      .u32("gpt-oss.attention.key_length", 32);
  f.u32("gpt-oss.attention.value_length", 32)
      .u32("gpt-oss.attention.sliding_window", 128)
      .u32("gpt-oss.expert_count", 8);
  f.u32("gpt-oss.expert_used_count", 4);
  for (int i = 0; i < 4; ++i) {
    std::string b = fmt::format("blk.{}.", i);
    attention(f, i, 64, 4, 2, 32);
    experts(f, i, 64, 96, 8);
    f.tensor(b + "attn_q.bias", {128})
        .tensor(b + "attn_k.bias", {64})
        .tensor(b + "attn_v.bias", {64})
        .tensor(b + "attn_output.bias", {64});
    f.tensor(b + "attn_sinks.weight", {4})
        .tensor(b + "ffn_gate_inp.bias", {8})
        .tensor(b + "ffn_gate_exps.bias", {96, 8});
    f.tensor(b + "ffn_up_exps.bias", {96, 8}).tensor(b + "ffn_down_exps.bias", {64, 8});
  }
  Model m = good_model(f);
  REQUIRE(m.layers.size() == 2);
  CHECK(m.layers[0].count == 2);
  CHECK(m.layers[0].attention == Attention(SlidingAttention{Heads{4, 2, 32, 32}, 128}));
  CHECK(m.layers[1].attention == Attention(FullAttention{Heads{4, 2, 32, 32}}));
  CHECK(m.layers[0].projections == Projections{.qkv_bias = true, .output_bias = true, .sinks = true});
  CHECK(m.layers[0].feed_forward ==
        FeedForward(MoeFeedForward{.experts = 8, .top_k = 4, .width = 96, .bias = true, .router_bias = true}));
  CHECK(m.weights.experts.name == "mxfp4");
  CHECK(m.weights.linears.name == "f32");
  CHECK(m.layers[0].other_weights == 0);
  CHECK(has_note(
      m, "which layers slide is not in the file: the last of every 2 is full, as llama.cpp has it for gpt-oss"));
}

TEST_CASE("gguf model: Gemma, windows from the file, shared caches and other head sizes") {
  File f = begin("gemma4", 4, 64);
  f.u32("gemma4.attention.head_count", 4).numbers<std::int32_t>("gemma4.attention.head_count_kv", I32, {2, 1, 2, 1});
  f.u32("gemma4.attention.key_length", 64)
      .u32("gemma4.attention.value_length", 64)
      .u32("gemma4.attention.key_length_swa", 32);
  f.u32("gemma4.attention.value_length_swa", 32)
      .u32("gemma4.attention.sliding_window", 512)
      .u32("gemma4.attention.shared_kv_layers", 1);
  f.numbers<std::uint8_t>("gemma4.attention.sliding_window_pattern", BOOL, {1, 0, 1, 0});
  for (int i = 0; i < 4; ++i) {
    std::string b = fmt::format("blk.{}.", i);
    i64 dim = i % 2 ? 64 : 32, kv = i % 2 ? 1 : 2;
    f.tensor(b + "attn_norm.weight", {64})
        .tensor(b + "attn_q.weight", {64, 4 * dim})
        .tensor(b + "attn_output.weight", {4 * dim, 64});
    f.tensor(b + "attn_q_norm.weight", {dim})
        .tensor(b + "post_attention_norm.weight", {64})
        .tensor(b + "post_ffw_norm.weight", {64});
    if (i < 3) f.tensor(b + "attn_k.weight", {64, kv * dim}).tensor(b + "attn_k_norm.weight", {dim});
    if (i % 2 == 0) f.tensor(b + "attn_v.weight", {64, kv * dim});
    gated(f, i, 64, 96);
  }
  f.tensor("per_layer_token_embd.weight", {256, 10}).tensor("per_layer_model_proj.weight", {64, 4});
  Model m = good_model(f);
  REQUIRE(m.layers.size() == 3);
  CHECK(m.layers[0].attention == Attention(SlidingAttention{Heads{4, 2, 32, 32}, 512}));
  CHECK(m.layers[0].count == 2);
  CHECK(m.layers[0].norms == 4);
  CHECK(m.layers[0].projections.qk_norm == QkNorm::head);
  CHECK(m.layers[1].attention == Attention(FullAttention{Heads{4, 1, 64, 64}}));
  CHECK(m.layers[1].projections.value_from_key);
  CHECK_FALSE(m.layers[1].shares_kv);
  CHECK(m.layers[2].shares_kv);
  CHECK_FALSE(m.layers[2].own_kv_projection);
  CHECK(m.encoder_weights == 2560);
  CHECK(m.other_weights == 256);
  CHECK(has_note(
      m, "per_layer_token_embd.weight (2560 parameters) is looked up a row at a time: counted as encoder_weights"));
  CHECK(has_note(m, "other_weights: 256 parameters of \"per_layer_model_proj.weight\""));
}

TEST_CASE("gguf model: window patterns") {
  auto slides = [](std::string arch, std::uint32_t layers, auto with) {
    File f = begin(arch, layers, 64);
    f.u32(arch + ".attention.head_count", 4);
    with(f, arch);
    for (int i = 0; i < int(layers); ++i) attention(f, i, 64, 4, 4, 16);
    std::string out;
    Model m = good_model(f);
    for (const LayerGroup& g : m.layers) out += fmt::format("{}x{} ", g.count, kind_name(g.attention));
    return out;
  };
  auto nothing = [](File&, std::string) {};
  auto window = [](File& f, std::string a) { f.u32(a + ".attention.sliding_window", 4096); };
  auto period = [](File& f, std::string a) {
    f.u32(a + ".attention.sliding_window", 4096).u32(a + ".attention.sliding_window_pattern", 3);
  };
  CHECK(slides("gemma2", 5, nothing) == "3xsliding 2xfull ");
  CHECK(slides("gemma3", 12, window) == "10xsliding 2xfull ");
  CHECK(slides("gemma3", 12, nothing) == "12xfull ");
  CHECK(slides("cohere2", 8, window) == "6xsliding 2xfull ");
  CHECK(slides("smallthinker", 8, window) == "2xfull 6xsliding ");
  CHECK(slides("newarch", 9, period) == "6xsliding 3xfull ");
  CHECK(slides("phi3", 4, window) == "4xfull ");
  CHECK(slides("llama4", 8, nothing) == "6xchunked 2xfull ");
  CHECK(slides("llama4", 8, [](File& f, std::string a) { f.u32(a + ".attention.sliding_window", 0); }) == "8xfull ");
}

TEST_CASE("gguf model: DeepSeek's latent attention") {
  auto file = [](bool absorbed) {
    File f = begin("deepseek2", 3, 64);
    f.u32("deepseek2.attention.head_count", 4)
        .u32("deepseek2.attention.head_count_kv", absorbed ? 1 : 4)
        .u32("deepseek2.attention.kv_lora_rank", 32);
    f.u32("deepseek2.attention.q_lora_rank", 48)
        .u32("deepseek2.rope.dimension_count", 8)
        .u32("deepseek2.expert_count", 4);
    f.u32("deepseek2.attention.key_length", absorbed ? 40 : 24)
        .u32("deepseek2.attention.value_length", absorbed ? 32 : 16);
    if (absorbed) f.u32("deepseek2.attention.key_length_mla", 24).u32("deepseek2.attention.value_length_mla", 16);
    f.u32("deepseek2.expert_used_count", 2).u32("deepseek2.nextn_predict_layers", 1);
    for (int i = 0; i < 3; ++i) {
      std::string b = fmt::format("blk.{}.", i);
      f.tensor(b + "attn_norm.weight", {64})
          .tensor(b + "attn_q_a.weight", {64, 48})
          .tensor(b + "attn_q_a_norm.weight", {48});
      f.tensor(b + "attn_q_b.weight", {48, 96})
          .tensor(b + "attn_kv_a_mqa.weight", {64, 40})
          .tensor(b + "attn_kv_a_norm.weight", {32});
      if (absorbed)
        f.tensor(b + "attn_k_b.weight", {16, 32, 4}).tensor(b + "attn_v_b.weight", {32, 16, 4});
      else
        f.tensor(b + "attn_kv_b.weight", {32, 128});
      f.tensor(b + "attn_output.weight", {64, 64});
      if (i == 0)
        gated(f, i, 64, 96);
      else {
        experts(f, i, 64, 32, 4);
        gated(f, i, 64, 32, "_shexp");
        f.tensor(b + "exp_probs_b.bias", {4});
      }
    }
    return f;
  };
  LatentAttention expected{.query_heads = 4,
                           .kv_lora_rank = 32,
                           .rope_dim = 8,
                           .nope_dim = 16,
                           .value_dim = 16,
                           .q_lora_rank = 48,
                           .indexer = {}};
  Model m = good_model(file(true));
  REQUIRE(m.layers.size() == 2);
  CHECK(m.layers[0].attention == Attention(expected));
  CHECK(m.layers[0].feed_forward == FeedForward(DenseFeedForward{96, 3, false}));
  CHECK(m.layers[1].feed_forward ==
        FeedForward(MoeFeedForward{.experts = 4, .top_k = 2, .width = 32, .shared_width = 32, .router_bias = true}));
  // the draft layer: 3072 + 48 + 4608 + 2560 + 32 + 4096 + 4096 + 64 of attention, 64 + 256 + 4 + 4*6144 + 6144 of
  // experts
  CHECK(m.encoder_weights == 49620);
  CHECK(m.layer_count() == 2);
  CHECK(has_note(m,
                 "deepseek2.nextn_predict_layers: 49620 parameters of draft layers are counted as encoder_weights, "
                 "read by no plain decode step"));
  Model old = good_model(file(false));
  expected.expanded = true;
  CHECK(old.layers[0].attention == Attention(expected));
  // four heads x (24 + 16) elements of two bytes in two layers; the latent would be (32 + 8) x 2 bytes x 2 layers
  CHECK(cache_per_token(old, {}).value == 4 * (24 + 16) * 2 * 2);
  CHECK(cache_per_token(m, {}).value == (32 + 8) * 2 * 2);
  CHECK(count_parameters(old).total == count_parameters(m).total);
  CHECK(has_note(old,
                 "deepseek2.attention.key_length_mla is missing: of such a file llama.cpp caches keys and values of "
                 "every head, 4 x (24 + 16) elements per token and layer, not the latent of 32 + 8; converted anew it "
                 "caches the latent"));
}

TEST_CASE("gguf model: hybrids with a state") {
  SECTION("Qwen3-Next: delta net but each 2nd layer, gated queries") {
    File f = begin("qwen3next", 4, 64);
    f.u32("qwen3next.attention.head_count", 4)
        .u32("qwen3next.attention.head_count_kv", 2)
        .u32("qwen3next.full_attention_interval", 2);
    f.u32("qwen3next.ssm.conv_kernel", 4).u32("qwen3next.ssm.inner_size", 128).u32("qwen3next.ssm.state_size", 16);
    f.u32("qwen3next.ssm.time_step_rank", 8).u32("qwen3next.ssm.group_count", 4);
    for (int i = 0; i < 4; ++i) {
      std::string b = fmt::format("blk.{}.", i);
      f.tensor(b + "attn_norm.weight", {64});
      gated(f, i, 64, 96);
      if (i % 2)
        f.tensor(b + "attn_q.weight", {64, 128})
            .tensor(b + "attn_k.weight", {64, 32})
            .tensor(b + "attn_v.weight", {64, 32})
            .tensor(b + "attn_output.weight", {64, 64});
      else
        f.tensor(b + "attn_qkv.weight", {64, 256})
            .tensor(b + "attn_gate.weight", {64, 128})
            .tensor(b + "ssm_conv1d.weight", {4, 256})
            .tensor(b + "ssm_norm.weight", {16})
            .tensor(b + "ssm_out.weight", {128, 64});
    }
    Model m = good_model(f);
    REQUIRE(m.layers.size() == 2);
    // convolution over q, k and v: 3 x (2*4*16 + 128); a 16 x 16 state in each of 8 heads
    CHECK(m.layers[0].attention == Attention(RecurrentState{768, 2048, 8, 64 * 256 + 64 * 128 + 1024 + 16 + 128 * 64}));
    CHECK(m.layers[1].attention == Attention(FullAttention{Heads{4, 2, 16, 16}}));
    CHECK(m.layers[1].projections.output_gate);
    CHECK(m.notes.empty());
  }
  SECTION("Nemotron-H: a mixer or a feed-forward in each block") {
    File f = begin("nemotron_h", 3, 64);
    f.u32("nemotron_h.attention.head_count", 4)
        .numbers<std::int32_t>("nemotron_h.attention.head_count_kv", I32, {0, 0, 2});
    f.u32("nemotron_h.ssm.conv_kernel", 4).u32("nemotron_h.ssm.inner_size", 128).u32("nemotron_h.ssm.state_size", 16);
    f.u32("nemotron_h.ssm.time_step_rank", 8).u32("nemotron_h.ssm.group_count", 2);
    f.tensor("blk.0.attn_norm.weight", {64})
        .tensor("blk.0.ssm_in.weight", {64, 328})
        .tensor("blk.0.ssm_out.weight", {128, 64});
    f.tensor("blk.1.attn_norm.weight", {64})
        .tensor("blk.1.ffn_up.weight", {64, 96})
        .tensor("blk.1.ffn_down.weight", {96, 64});
    attention(f, 2, 64, 4, 2, 16);
    Model m = good_model(f);
    REQUIRE(m.layers.size() == 3);
    CHECK(m.layers[0].attention == Attention(RecurrentState{3 * (128 + 64), 2048, 8, 64 * 328 + 128 * 64}));
    CHECK(m.layers[1].attention == Attention(NoAttention{}));
    CHECK(m.layers[1].feed_forward == FeedForward(DenseFeedForward{96, 2, false}));
    CHECK(m.layers[2].attention == Attention(FullAttention{Heads{4, 2, 16, 16}}));
    CHECK(m.layers[0].norms == 1);
  }
  SECTION("Mamba-1: every channel a head, no query heads at all") {
    File f = begin("mamba", 1, 64);
    f.u32("mamba.ssm.conv_kernel", 4)
        .u32("mamba.ssm.inner_size", 128)
        .u32("mamba.ssm.state_size", 16)
        .u32("mamba.ssm.time_step_rank", 4);
    f.tensor("blk.0.attn_norm.weight", {64}).tensor("blk.0.ssm_in.weight", {64, 256});
    CHECK(good_model(f).layers[0].attention == Attention(RecurrentState{384, 2048, 128, 64 * 256}));
  }
  SECTION("LFM2: a short convolution") {
    File f = begin("lfm2", 2, 64);
    f.u32("lfm2.attention.head_count", 4)
        .numbers<std::int32_t>("lfm2.attention.head_count_kv", I32, {0, 2})
        .u32("lfm2.shortconv.l_cache", 3);
    f.tensor("blk.0.attn_norm.weight", {64})
        .tensor("blk.0.shortconv.conv.weight", {3, 64})
        .tensor("blk.0.shortconv.in_proj.weight", {64, 192});
    attention(f, 1, 64, 4, 2, 16);
    Model m = good_model(f);
    CHECK(m.layers[0].attention == Attention(RecurrentState{128, 0, 64, 192 + 64 * 192}));
  }
  SECTION("Kimi Linear: delta attention of 4 heads of 16") {
    File f = begin("kimi-linear", 1, 64);
    f.u32("kimi-linear.attention.head_count", 4).numbers<std::int32_t>("kimi-linear.attention.head_count_kv", I32, {0});
    f.u32("kimi-linear.kda.head_dim", 16).u32("kimi-linear.ssm.conv_kernel", 4);
    f.tensor("blk.0.attn_norm.weight", {64})
        .tensor("blk.0.attn_q.weight", {64, 64})
        .tensor("blk.0.ssm_conv1d_q.weight", {4, 64});
    CHECK(good_model(f).layers[0].attention == Attention(RecurrentState{576, 1024, 4, 4096 + 256}));
  }
  SECTION("Falcon-H1: both in one layer") {
    File f = begin("falcon-h1", 2, 64);
    f.u32("falcon-h1.attention.head_count", 4)
        .u32("falcon-h1.attention.head_count_kv", 2)
        .u32("falcon-h1.ssm.conv_kernel", 4);
    f.u32("falcon-h1.ssm.inner_size", 128)
        .u32("falcon-h1.ssm.state_size", 16)
        .u32("falcon-h1.ssm.time_step_rank", 8)
        .u32("falcon-h1.ssm.group_count", 1);
    for (int i : {0, 1}) {
      attention(f, i, 64, 4, 2, 16);
      gated(f, i, 64, 96);
      f.tensor(fmt::format("blk.{}.ssm_in.weight", i), {64, 100});
    }
    Model m = good_model(f);
    REQUIRE(m.layers.size() == 2);
    CHECK(m.layers[1].attention == Attention(RecurrentState{480, 2048, 8, 6400}));
    CHECK(m.layers[1].count == 2);
    CHECK(has_note(m, "attention and a recurrent state run side by side in a layer: written as two layers"));
  }
}

TEST_CASE("gguf model: what other families carry") {
  SECTION("GPT-2: fused biased projections, LayerNorm with bias, learned positions") {
    File f = begin("gpt2", 1, 64);
    f.u32("gpt2.attention.head_count", 4).tensor("output_norm.bias", {64}).tensor("position_embd.weight", {64, 32});
    attention(f, 0, 64, 4, 4, 16, true);
    f.tensor("blk.0.attn_norm.bias", {64}).tensor("blk.0.attn_qkv.bias", {192}).tensor("blk.0.attn_output.bias", {64});
    f.tensor("blk.0.ffn_norm.weight", {64})
        .tensor("blk.0.ffn_norm.bias", {64})
        .tensor("blk.0.ffn_up.weight", {64, 256});
    f.tensor("blk.0.ffn_up.bias", {256}).tensor("blk.0.ffn_down.weight", {256, 64}).tensor("blk.0.ffn_down.bias", {64});
    Model m = good_model(f);
    CHECK(m.norm_bias);
    CHECK(m.position_embeddings == 32);
    CHECK(m.layers[0].projections == Projections{.qkv_bias = true, .output_bias = true});
    CHECK(m.layers[0].feed_forward == FeedForward(DenseFeedForward{256, 2, true}));
    CHECK(m.layers[0].other_weights == 0);
  }
  SECTION("Phi-3: gate and up fused") {
    File f = begin("phi3", 1, 64);
    f.u32("phi3.attention.head_count", 4);
    attention(f, 0, 64, 4, 4, 16, true);
    f.tensor("blk.0.ffn_up.weight", {64, 192}).tensor("blk.0.ffn_down.weight", {96, 64});
    CHECK(good_model(f).layers[0].feed_forward == FeedForward(DenseFeedForward{96, 3, false}));
  }
  SECTION("Mixtral of 2023: one tensor per expert") {
    File f = begin("llama", 1, 64);
    f.u32("llama.attention.head_count", 4).u32("llama.expert_count", 2).u32("llama.expert_used_count", 1);
    attention(f, 0, 64, 4, 4, 16);
    for (int e : {0, 1}) gated(f, 0, 64, 96, fmt::format(".{}", e));
    f.tensor("blk.0.ffn_gate_inp.weight", {64, 2});
    CHECK(good_model(f).layers[0].feed_forward == FeedForward(MoeFeedForward{.experts = 2, .top_k = 1, .width = 96}));
  }
  SECTION("Nemotron-3 Super: experts in a narrower space, without gates") {
    File f = begin("nemotron_h_moe", 1, 64);
    f.u32("nemotron_h_moe.expert_count", 4)
        .u32("nemotron_h_moe.expert_used_count", 2)
        .tensor("blk.0.attn_norm.weight", {64});
    f.tensor("blk.0.ffn_latent_down.weight", {64, 32})
        .tensor("blk.0.ffn_latent_up.weight", {32, 64})
        .tensor("blk.0.ffn_gate_inp.weight", {64, 4});
    f.tensor("blk.0.ffn_up_exps.weight", {32, 96, 4}).tensor("blk.0.ffn_down_exps.weight", {96, 32, 4});
    CHECK(good_model(f).layers[0].feed_forward ==
          FeedForward(MoeFeedForward{.experts = 4, .top_k = 2, .width = 96, .matrices = 2, .expert_hidden = 32}));
  }
  SECTION("a tensor no field explains is counted and named") {
    File f = begin("llama", 1, 64);
    f.u32("llama.attention.head_count", 4);
    attention(f, 0, 64, 4, 4, 16);
    f.tensor("blk.0.new_thing.weight", {64, 3}).tensor("v.patch.weight", {10}).tensor("blk.0.attn_q.scale", {1});
    Model m = good_model(f);
    CHECK(m.layers[0].other_weights == 192);
    CHECK(m.encoder_weights == 10);
    CHECK(has_note(m, "other_weights of layers: 192 parameters of \"new_thing.weight\""));
  }
  SECTION("shapes that do not multiply out are noted") {
    File f = begin("llama", 1, 64);
    f.u32("llama.attention.head_count", 4).u32("llama.attention.head_count_kv", 2);
    attention(f, 0, 64, 4, 4, 16);
    ModelFile m = model_of(f);
    REQUIRE(m.model);
    CHECK(has_note(*m.model, "attn_k: the tensors have 4096 elements, the metadata gives 2048"));
  }
}

TEST_CASE("gguf model: what is not understood is named by its key") {
  auto error = [](const File& f) {
    ModelFile m = model_of(f);
    CHECK_FALSE(m.model);
    CHECK_FALSE(m.weight_bytes);
    return m.error;
  };
  CHECK(error(File()) == "m.gguf: general.architecture is missing");
  CHECK(error(File().string("general.type", "adapter")) == "m.gguf: general.type is \"adapter\", expected \"model\"");
  CHECK(error(File().string("general.architecture", "clip")) ==
        "m.gguf: general.architecture is \"clip\": a vision projector, not a language model");
  CHECK(error(File().string("general.architecture", "a\nb")) == "m.gguf: general.architecture is \"a?b\"");
  CHECK(error(File().string("general.architecture", "llama")) == "m.gguf: llama.block_count is missing");
  auto with = [](auto change) {
    File f;
    f.string("general.architecture", "llama");
    change(f);
    return f;
  };
  CHECK(error(with([](File& f) { f.string("llama.block_count", "two"); })) ==
        "m.gguf: llama.block_count is not an integer");
  CHECK(error(with([](File& f) { f.u32("llama.block_count", 4000000000u); })) ==
        "m.gguf: llama.block_count is 4000000000, expected 0 to 4096");
  CHECK(error(with([](File& f) { f.u32("llama.block_count", 2); })) == "m.gguf: llama.embedding_length is missing");
  CHECK(error(with([](File& f) { f.scalar("llama.block_count", I32, -1); })) ==
        "m.gguf: llama.block_count is -1, expected 0 to 4096");
  CHECK(error(with([](File& f) { f.u32("llama.block_count", 0); })) ==
        "m.gguf: llama.block_count is 0, of which 0 are draft layers");
  CHECK(error(with([](File& f) { f.scalar("llama.attention.causal", BOOL, std::uint8_t(0)); })) ==
        "m.gguf: llama.attention.causal is false: an encoder keeps no KV cache");
  CHECK(error(with([](File& f) { f.u32("llama.attention.compress_ratios", 4); })) ==
        "m.gguf: llama.attention.compress_ratios is not understood: no attention kind describes it");
  CHECK(error(begin("llama", 1, 64)) == "m.gguf: blk.0 has no tensors, but llama.block_count is 1");
  CHECK(error(begin("llama", 1, 64).tensor("blk.0.x", {1}).tensor("blk.1.x", {1})) ==
        "m.gguf: llama.block_count is 1, but there is a tensor \"blk.1.x\"");
  File no_heads = begin("llama", 1, 64);
  attention(no_heads, 0, 64, 4, 4, 16);
  CHECK(error(no_heads) == "m.gguf: llama.attention.head_count is 0 in layer 0, which has attention tensors");
  File uneven = begin("llama", 1, 64);
  uneven.u32("llama.attention.head_count", 4).u32("llama.attention.head_count_kv", 3);
  attention(uneven, 0, 64, 4, 3, 16);
  CHECK(error(uneven) ==
        "m.gguf: layers[0].attention.kv_heads 3 does not divide the 4 query heads: every group of query heads shares "
        "one KV head");
  CHECK(error(begin("llama", 2, 64)
                  .numbers<std::int32_t>("llama.attention.head_count_kv", I32, {1})
                  .tensor("blk.0.x", {1})) == "m.gguf: llama.attention.head_count_kv has 1 numbers for 2 layers");
  CHECK(error(begin("llama", 1, 64)
                  .numbers<std::int32_t>("llama.attention.head_count_kv", I32, {-1})
                  .tensor("blk.0.x", {1})) ==
        "m.gguf: llama.attention.head_count_kv[0] is -1, expected an integer from 0 to 1048576");
  File moe = begin("llama", 1, 64)
                 .u32("llama.attention.head_count", 4)
                 .u32("llama.expert_count", 8)
                 .u32("llama.expert_used_count", 2);
  attention(moe, 0, 64, 4, 4, 16);
  experts(moe, 0, 64, 96, 4);
  CHECK(error(moe) == "m.gguf: llama.expert_count is 8, but blk.0 has 4 experts");
}
