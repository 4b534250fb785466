// From config.json to models: totals published to the last digit or worked out by hand, the notes on what was
// filled in, and the message of every kind of broken file.
#include "catalog/hf_config.h"

#include <algorithm>
#include <string>

#include <catch2/catch.hpp>

#include "core/memory.h"
#include "core/parameters.h"

namespace kvroof {
namespace {

Model imported(std::string_view json) {
  ImportedModel result = import_hf_config(json, "org/some-model");
  INFO(result.error);
  REQUIRE(result.model);
  CHECK(result.error.empty());
  CHECK(problems(*result.model).empty());
  return *result.model;
}

std::string error_of(std::string_view json) {
  ImportedModel result = import_hf_config(json, "org/some-model");
  CHECK(!result.model);
  return result.error;
}

bool has_note(const Model& m, std::string_view text) {
  return std::find(m.notes.begin(), m.notes.end(), text) != m.notes.end();
}

/// Cached elements of one more token, below any window.
double elements_per_token(const Model& m) {
  double n = 0;
  for (const LayerGroup& g : m.layers)
    if (!std::holds_alternative<RecurrentState>(g.attention) && !g.shares_kv)
      for (const Part& part : stored(g.attention, 1)) n += double(g.count) * part.elements;
  return n;
}

template <class Kind>
const Kind& attention(const Model& m, std::size_t group) {
  REQUIRE(group < m.layers.size());
  const Kind* kind = std::get_if<Kind>(&m.layers[group].attention);
  REQUIRE(kind);
  return *kind;
}

/// Llama 3.1 8B with `change` put before its last key.
std::string llama(std::string_view change = "") {
  return R"({"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256, "max_position_embeddings": 131072,
    "torch_dtype": "bfloat16", )" +
         std::string(change) + R"("tie_word_embeddings": false})";
}

/// The same with one key replaced.
std::string llama_with(std::string_view from, std::string_view to) {
  std::string json = llama();
  std::size_t at = json.find(from);
  REQUIRE(at != json.npos);
  return json.replace(at, from.size(), to);
}

TEST_CASE("a Llama imports without a note") {
  Model m = imported(llama());
  CHECK(m.id == "org/some-model");
  CHECK(m.name == "some-model");
  CHECK(m.family == "llama");
  CHECK(m.max_context == 131072);
  CHECK(m.notes.empty());
  REQUIRE(m.layers.size() == 1);
  CHECK(m.layers[0].count == 32);
  CHECK(attention<FullAttention>(m, 0).heads == Heads{32, 8, 128, 128});
  CHECK(count_parameters(m).total == 8030261248);
  CHECK(elements_per_token(m) == 32 * 2 * 8 * 128);
}

TEST_CASE("an explicit head size need not divide hidden") {  // Mistral-Nemo: 32 heads of 128 in 5120
  Model m = imported(R"({"model_type": "mistral", "hidden_size": 5120, "num_hidden_layers": 40, "head_dim": 128,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 131072,
    "max_position_embeddings": 131072, "sliding_window": null, "tie_word_embeddings": false})");
  CHECK(attention<FullAttention>(m, 0).heads == Heads{32, 8, 128, 128});
  CHECK(count_parameters(m).total == 12247782400);
}

TEST_CASE("a window below the context slides, in every layer of Mistral 7B v0.1") {
  Model m = imported(R"({"model_type": "mistral", "hidden_size": 4096, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 32000,
    "max_position_embeddings": 32768, "sliding_window": 4096, "tie_word_embeddings": false})");
  REQUIRE(m.layers.size() == 1);
  CHECK(attention<SlidingAttention>(m, 0).window == 4096);
}

TEST_CASE("a window that the file switches off does not slide, and Qwen 2 has biases no key mentions") {
  Model m = imported(R"({"model_type": "qwen2", "hidden_size": 896, "num_hidden_layers": 24,
    "num_attention_heads": 14, "num_key_value_heads": 2, "intermediate_size": 4864, "vocab_size": 151936,
    "max_position_embeddings": 32768, "sliding_window": 4096, "max_window_layers": 21, "use_sliding_window": false,
    "tie_word_embeddings": true})");
  REQUIRE(m.layers.size() == 1);
  CHECK(attention<FullAttention>(m, 0).heads == Heads{14, 2, 64, 64});
  CHECK(m.layers[0].projections.qkv_bias);
  CHECK(!m.layers[0].projections.output_bias);
  CHECK(count_parameters(m).total == 494032768);
}

TEST_CASE("Gemma 3 inside a multimodal file leaves much to its class") {
  Model m = imported(R"({"model_type": "gemma3", "vision_config": {"hidden_size": 1152}, "torch_dtype": "bfloat16",
    "text_config": {"model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240,
    "num_hidden_layers": 34, "sliding_window": 1024}})");
  CHECK(m.family == "gemma3_text");
  CHECK(m.vocab == 262208);
  CHECK(m.tied_embeddings);
  REQUIRE(m.layers.size() == 2);
  CHECK(m.layers[0].count == 29);
  CHECK(attention<SlidingAttention>(m, 0) == SlidingAttention{{8, 4, 256, 256}, 1024});
  CHECK(m.layers[1].count == 5);
  CHECK(attention<FullAttention>(m, 1).heads == Heads{8, 4, 256, 256});
  CHECK(m.layers[0].norms == 4);
  // The 4,300,079,472 published, less the tower (416,866,032) and the projector (1152 * 2560 + 1152).
  CHECK(count_parameters(m).total == 4300079472 - 416866032 - i64(1152) * 2560 - 1152);
  CHECK(has_note(m, "text_config.vocab_size absent: gemma3_text default 262208"));
  CHECK(has_note(m, "text_config.num_attention_heads absent: gemma3_text default 8"));
  CHECK(has_note(m, "text_config.num_key_value_heads absent: gemma3_text default 4"));
  CHECK(has_note(m, "text_config.head_dim absent: gemma3_text default 256"));
  CHECK(has_note(m, "sliding_window_pattern absent: gemma3_text default 6"));
  CHECK(has_note(m, "tie_word_embeddings absent: gemma3_text default true"));
  CHECK(has_note(m, "vision_config: this tower's weights are not counted"));
}

constexpr std::string_view deepseek_v3 = R"({"model_type": "deepseek_v3", "hidden_size": 7168,
    "num_hidden_layers": 61, "num_attention_heads": 128, "num_key_value_heads": 128, "intermediate_size": 18432,
    "moe_intermediate_size": 2048, "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8,
    "first_k_dense_replace": 3, "moe_layer_freq": 1, "q_lora_rank": 1536, "kv_lora_rank": 512,
    "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "num_nextn_predict_layers": 1,
    "vocab_size": 129280, "max_position_embeddings": 163840, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
    "quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic",
    "weight_block_size": [128, 128]}})";

TEST_CASE("DeepSeek-V3 caches one latent, whatever num_key_value_heads says") {
  Model m = imported(deepseek_v3);
  REQUIRE(m.layers.size() == 2);
  CHECK(m.layers[0].count == 3);
  CHECK(std::holds_alternative<DenseFeedForward>(m.layers[0].feed_forward));
  CHECK(m.layers[1].count == 58);
  CHECK(attention<LatentAttention>(m, 0) == LatentAttention{128, 512, 64, 128, 128, 1536, std::nullopt});
  CHECK(elements_per_token(m) == 61 * 576);
  CHECK(count_parameters(m).total == 671026419200);
  CHECK(m.weights.linears == format("fp8_block"));
  CHECK(m.weights.experts == format("fp8_block"));
  CHECK(m.weights.embeddings == format("bf16"));
  CHECK(has_note(m, "num_nextn_predict_layers: 1 layers that predict further tokens are not counted"));
}

TEST_CASE("Falcon's old files say one KV head by a flag") {
  Model m = imported(R"({"model_type": "RefinedWebModel", "hidden_size": 4544, "n_head": 71, "n_layer": 32,
    "multi_query": true, "parallel_attn": true, "bias": false, "alibi": false, "vocab_size": 65024})");
  CHECK(attention<FullAttention>(m, 0).heads == Heads{71, 1, 64, 64});
  CHECK(m.layers[0].norms == 1);
  CHECK(count_parameters(m).total == 7217189760);
  CHECK(has_note(m, "feed-forward width absent: RefinedWebModel default 4 x hidden"));
}

TEST_CASE("Nemotron-H: each letter is one sub-block, and Infinity is no JSON") {
  Model m = imported(R"({"model_type": "nemotron_h", "hidden_size": 2688, "num_hidden_layers": 52,
    "hybrid_override_pattern": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME", "num_attention_heads": 32,
    "num_key_value_heads": 2, "head_dim": 128, "intermediate_size": 1856, "moe_intermediate_size": 1856,
    "moe_shared_expert_intermediate_size": 3712, "n_shared_experts": 1, "n_routed_experts": 128,
    "num_experts_per_tok": 6, "mamba_num_heads": 64, "mamba_head_dim": 64, "ssm_state_size": 128, "n_groups": 8,
    "conv_kernel": 4, "expand": 2, "use_conv_bias": true, "use_bias": false, "mamba_proj_bias": false,
    "time_step_limit": [0.0, Infinity], "vocab_size": 131072, "max_position_embeddings": 262144,
    "tie_word_embeddings": false})");
  REQUIRE(m.layers.size() == 3);
  CHECK(m.layers[0].count == 23);
  const RecurrentState& mamba = attention<RecurrentState>(m, 0);
  CHECK(mamba.state_elements == i64(64) * 64 * 128);
  CHECK(mamba.conv_elements == i64(3) * (64 * 64 + 2 * 8 * 128));
  CHECK(std::holds_alternative<NoFeedForward>(m.layers[0].feed_forward));
  CHECK(m.layers[1].count == 23);
  CHECK(std::holds_alternative<NoAttention>(m.layers[1].attention));
  CHECK(std::get<MoeFeedForward>(m.layers[1].feed_forward).matrices == 2);
  CHECK(m.layers[2].count == 6);
  CHECK(elements_per_token(m) == 6 * 2 * 2 * 128);
  CHECK(count_parameters(m).total == 31577940288);
}

TEST_CASE("gpt-oss: sinks, biases, alternating windows, and only the experts in MXFP4") {
  Model m = imported(R"({"model_type": "gpt_oss", "hidden_size": 2880, "num_hidden_layers": 24, "head_dim": 64,
    "num_attention_heads": 64, "num_key_value_heads": 8, "intermediate_size": 2880, "num_local_experts": 32,
    "num_experts_per_tok": 4, "vocab_size": 201088, "max_position_embeddings": 131072, "sliding_window": 128,
    "attention_bias": true, "tie_word_embeddings": false, "quantization_config": {"quant_method": "mxfp4",
    "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router", "lm_head"]}})");
  REQUIRE(m.layers.size() == 2);
  CHECK(attention<SlidingAttention>(m, 0).window == 128);  // layer 0 slides
  CHECK(attention<FullAttention>(m, 1).heads == Heads{64, 8, 64, 64});
  CHECK(count_parameters(m).total == 20914757184);
  CHECK(m.weights.experts == format("mxfp4"));
  CHECK(m.weights.linears == format("bf16"));
}

TEST_CASE("ChatGLM's own names for everything") {  // published with 32 stored frequencies more
  Model m = imported(R"({"model_type": "chatglm", "num_layers": 40, "hidden_size": 4096, "ffn_hidden_size": 13696,
    "num_attention_heads": 32, "kv_channels": 128, "multi_query_attention": true, "multi_query_group_num": 2,
    "padded_vocab_size": 151552, "seq_length": 8192, "add_qkv_bias": true, "add_bias_linear": false,
    "tie_word_embeddings": false})");
  CHECK(m.vocab == 151552);
  CHECK(m.max_context == 8192);
  CHECK(attention<FullAttention>(m, 0).heads == Heads{32, 2, 128, 128});
  CHECK(count_parameters(m).total == 9399951392 - 32);
}

TEST_CASE("Whisper: the encoder is resident, and its output cached once") {
  Model m = imported(R"({"model_type": "whisper", "d_model": 384, "decoder_layers": 4, "encoder_layers": 4,
    "num_hidden_layers": 4, "decoder_attention_heads": 6, "encoder_attention_heads": 6, "decoder_ffn_dim": 1536,
    "encoder_ffn_dim": 1536, "max_source_positions": 1500, "max_target_positions": 448, "num_mel_bins": 80,
    "vocab_size": 51865, "tie_word_embeddings": true})");
  REQUIRE(m.layers.size() == 2);
  CHECK(attention<CrossAttention>(m, 1).encoder_tokens == 1500);
  CHECK(!m.layers[1].projections.key_bias);
  CHECK(count_parameters(m).total == 37760640);  // whisper-tiny
}

TEST_CASE("an unknown model_type with a Llama's keys is taken for one, and says so") {
  Model m = imported(llama_with("\"llama\"", "\"brand_new\""));
  CHECK(count_parameters(m).total == 8030261248);
  CHECK(has_note(m, "model_type brand_new is not known: biases, norms and weights are assumed to be those of a Llama"));
  CHECK(error_of(R"({"model_type": "brand_new", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
    "vocab_size": 10})") ==
        "model_type: 'brand_new' is not known, and without intermediate_size it cannot be read as a Llama");
}

struct Quantised {
  const char* block;
  const char* linears;
  const char* experts;
};

TEST_CASE("quantization_config") {
  const Quantised rows[] = {
      {R"({"quant_method": "fp8", "activation_scheme": "static"})", "fp8", "fp8"},
      {R"({"quant_method": "fbgemm_fp8", "activation_scale_ub": 1200.0})", "fp8", "fp8"},
      {R"({"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": true})", "awq", "awq"},
      {R"({"quant_method": "gptq", "bits": 4, "group_size": 128})", "awq", "awq"},
      {R"({"quant_method": "modelopt", "quant_algo": "NVFP4"})", "nvfp4", "nvfp4"},
      {R"({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"targets": ["Linear"],
          "weights": {"num_bits": 8, "type": "int", "strategy": "channel"}}}})",
       "w8a8", "w8a8"},
      {R"({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"targets": ["Linear"],
          "weights": {"num_bits": 8, "type": "float", "strategy": "channel"}}}})",
       "fp8", "fp8"},
      {R"({"quant_algo": "FP8", "producer": {"name": "modelopt"}})", "fp8", "fp8"},
  };
  for (const Quantised& row : rows) {
    INFO(row.block);
    Model m = imported(llama("\"quantization_config\": " + std::string(row.block) + ", "));
    CHECK(m.weights.linears.name == row.linears);
    CHECK(m.weights.experts.name == row.experts);
    CHECK(m.weights.embeddings.name == "bf16");
  }
  CHECK(imported(llama_with("bfloat16", "float32")).weights.linears == format("f32"));
}

struct Broken {
  std::string json;
  const char* error;
};

TEST_CASE("each broken file gets one line naming the key") {
  const Broken rows[] = {
      {"", "the file is empty"},
      {"[]", "expected an object {…}, got a list"},
      {"{\"model_type\": \"lla", "byte 20: not JSON, near '\"lla'"},
      {std::string(1000000, '['), "byte 100: nested deeper than 100 levels"},
      {R"({"hidden_size": 1, "hidden_size": 2})", "hidden_size: given twice"},
      {R"({"text_config": 3})", "text_config: expected an object"},
      {"{}", "model_type: missing, and without hidden_size it cannot be read as a Llama"},
      {R"({"model_type": "llama"})", "hidden_size: missing (also looked for n_embd, d_model, n_embed)"},
      {R"({"model_type": "bert"})", "model_type: 'bert' is an encoder, which keeps no cache while generating"},
      {R"({"model_type": "\u001b[31m"})",
       "model_type: '\\x1b[31m' is not known, and without hidden_size it cannot be read as a Llama"},
      {llama_with(": 32,", ": \"32\","), "num_hidden_layers: expected a whole number, got a string"},
      {llama_with(": 32,", ": Infinity,"), "num_hidden_layers: expected a whole number, got Infinity or NaN"},
      {llama_with("4096", "-1"), "hidden_size: expected a whole number from 1 to 1048576, got -1"},
      {llama_with("4096", "1e30"), "hidden_size: expected a whole number from 1 to 1048576, got 1e+30"},
      {llama_with("4096", "true"), "hidden_size: expected a whole number, got a boolean"},
      {llama_with("\"num_key_value_heads\": 8", "\"num_key_value_heads\": 7"),
       "num_key_value_heads: 7 does not divide the 32 query heads"},
      {llama_with("false", "1"), "tie_word_embeddings: expected true or false, got 1"},
      {llama_with("bfloat16", "int3"), "torch_dtype: unknown number format 'int3'"},
      {llama(R"("layer_types": ["full_attention"], )"), "layer_types: has 1 entries for 32 layers"},
      {llama_with(": 32,", R"(: 1, "layer_types": ["magic"],)"), "layer_types: unknown layer type 'magic'"},
      {llama_with(": 32,", R"(: 1, "layer_types": ["sliding_attention"],)"),
       "sliding_window: missing, though some layers are sliding"},
      {llama_with(": 32,", R"(: 1, "layer_types": ["linear_attention"],)"),
       "layer_types: some layers are recurrent, but llama has no recurrent layer"},
      {llama(R"("quantization_config": {"quant_method": "foo"}, )"),
       "quantization_config.quant_method: 'foo' is not supported"},
      {llama(R"("num_experts": 8, "num_experts_per_tok": 9, )"), "num_experts_per_tok: 9 is more than the 8 experts"},
      {llama(R"("num_experts": 65536, "num_experts_per_tok": 8, "moe_intermediate_size": 16000000, )"),
       "the sizes multiply to more than 1e15 weights"},
  };
  for (const Broken& row : rows) {
    INFO(row.json.substr(0, 200));
    CHECK(error_of(row.json) == row.error);
  }
}

TEST_CASE("modules a dense checkpoint leaves alone") {
  auto formats = [](std::string_view ignore) {
    return imported(llama(R"("quantization_config": {"quant_method": "compressed-tensors", "ignore": )" +
                          std::string(ignore) +
                          R"(, "config_groups": {"group_0": {"targets": ["Linear"],
                             "weights": {"num_bits": 8, "type": "float", "strategy": "tensor"}}}}, )"));
  };
  Model m = formats(R"(["lm_head"])");
  CHECK(m.weights.linears == format("fp8"));
  CHECK(!m.weights.attention);
  m = formats(R"(["lm_head", "re:.*mlp.*"])");
  CHECK(m.weights.linears == format("bf16"));
  CHECK(m.weights.attention == format("fp8"));
  // 32 layers of 41,943,040 in attention at one byte, of 176,160,768 in the feed-forward at two; embeddings, head and
  // norms at two
  CHECK(all_weights(m, {}).value ==
        32 * (41943040.0 + 2 * 176160768.0) + 2 * (8030261248.0 - 32 * (41943040.0 + 176160768.0)));
  m = formats(R"(["re:.*self_attn.*"])");
  CHECK(m.weights.linears == format("fp8"));
  CHECK(m.weights.attention == format("bf16"));
  CHECK(all_weights(m, {}).value ==
        32 * (2 * 41943040.0 + 176160768.0) + 2 * (8030261248.0 - 32 * (41943040.0 + 176160768.0)));
  m = formats(R"(["re:.*gate_proj", "re:.*up_proj", "re:.*down_proj"])");
  CHECK(m.weights.linears == format("bf16"));
  CHECK(m.notes.empty());
  m = formats(R"(["model.layers.0.mlp.down_proj"])");
  CHECK(m.weights.linears == format("fp8"));
  CHECK(has_note(m, "quantization_config: down_proj (1 such) left alone, but counted as quantised"));
}

TEST_CASE("the KV cache a checkpoint asks for") {
  Model m = imported(llama(R"("quantization_config": {"quant_method": "fp8", "kv_cache_scheme": {"num_bits": 8,
    "type": "float"}}, )"));
  CHECK(m.cache_format == format("fp8"));
  CHECK(
      imported(llama(R"("quantization_config": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}, )")).cache_format ==
      format("fp8"));
  m = imported(llama(R"("quantization_config": {"quant_method": "fp8", "kv_cache_scheme": {"num_bits": 8,
    "type": "int"}}, )"));
  CHECK(!m.cache_format);
  CHECK(has_note(m,
                 "quantization_config: the checkpoint asks for a KV cache in 8-bit int, which is left to "
                 "--kv-dtype"));
}

TEST_CASE("four-bit formats differ in their scales") {
  auto bits = [](std::string_view block) {
    Format f = imported(llama("\"quantization_config\": " + std::string(block) + ", ")).weights.linears;
    return 8.0 * double(f.bytes) / double(f.elements);
  };
  auto group = [&](std::string_view symmetric) {
    return bits(R"({"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": 4,
      "type": "int", "strategy": "group", "group_size": 128, "symmetric": )" +
                std::string(symmetric) + "}}}}");
  };
  CHECK(group("true") == 4.125);
  CHECK(group("false") == 4.25);
  std::string nf4 = R"({"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_use_double_quant": )";
  CHECK(bits(nf4 + "false}") == 4.5);
  CHECK(bits(nf4 + "true}") == Approx(4 + 8.0 / 64 + 32.0 / (64 * 256)));
}

TEST_CASE("Falcon-40B's first class has the KV heads it names") {
  Model m = imported(R"({"model_type": "RefinedWeb", "hidden_size": 8192, "n_layer": 60, "n_head": 128,
    "n_head_kv": 8, "parallel_attn": true, "bias": false, "alibi": false, "vocab_size": 65024})");
  CHECK(attention<FullAttention>(m, 0).heads == Heads{128, 8, 64, 64});
  CHECK(m.layers[0].norms == 2);
  CHECK(elements_per_token(m) == 122880 / 2);
}

TEST_CASE("ERNIE's last layer of experts may be -1") {
  auto file = [](std::string_view end) {
    return imported(R"({"model_type": "ernie4_5_moe", "hidden_size": 64, "num_hidden_layers": 4,
      "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 96, "vocab_size": 100, "moe_k": 2,
      "moe_num_experts": 8, "moe_intermediate_size": 32, "moe_layer_interval": 1, "moe_layer_start_index": 1)" +
                    std::string(end) + "}");
  };
  for (std::string_view end : {"", R"(, "moe_layer_end_index": -1)", R"(, "moe_layer_end_index": 3)"}) {
    Model m = file(end);
    REQUIRE(m.layers.size() == 2);
    CHECK(m.layers[1].count == 3);
  }
}

TEST_CASE("an unknown class whose keys say its layers differ is no Llama") {
  auto with = [](std::string_view key) {
    return llama_with("\"model_type\": \"llama\"", "\"model_type\": \"new\", " + std::string(key));
  };
  CHECK(error_of(with("\"layer_group_size\": 5")) ==
        "model_type: 'new' is not known, and its layer_group_size says it is no Llama");
  CHECK(error_of(with("\"global_attn_every_n_layers\": 4")) ==
        "model_type: 'new' is not known, and its global_attn_every_n_layers says that layers differ: layer_types would "
        "say which do what");
}

TEST_CASE("DeciLM-7B counts its KV heads layer by layer") {
  std::string heads = "4";
  for (int i = 1; i < 32; ++i) heads += i < 16 ? ", 4" : ", 2";
  Model m = imported(llama_with("\"num_key_value_heads\": 8", "\"num_key_value_heads_per_layer\": [" + heads + "]"));
  CHECK(elements_per_token(m) == 2 * 128 * (16 * 4 + 16 * 2));
}

}  // namespace
}  // namespace kvroof
