// Tables of measurements: how they are read, and how well the curated one is predicted.
#include "catalog/measured.h"

#include <catch2/catch.hpp>

#include "catalog/logged_shape.h"
#include "catalog/memory_log.h"
#include "catalog/suggest.h"
#include "cli/measured_row.h"
#include "cli/validate.h"
#include "core/serving.h"

namespace kvroof {
namespace {

std::string failure(const std::string& text) {
  try {
    MeasuredTable::parse("t.csv", text);
  } catch (const InputError& e) { return e.message; }
  return "";
}

TEST_CASE("a table is read by column, with quotes, line breaks and either line end") {
  MeasuredTable t = MeasuredTable::parse("t.csv", "id,note\r\na,\"x, \"\"y\"\"\nz\"\r\n\r\nb,\n");
  REQUIRE(t.size() == 2);
  CHECK(t.at(0, "note") == "x, \"y\"\nz");
  CHECK(t.at(1, "id") == "b");
  CHECK(t.at(1, "note").empty());
  CHECK(t.at(1, "nosuch").empty());
  CHECK(t.place(1) == "t.csv:5");
}

TEST_CASE("a broken table is named with its line") {
  CHECK(failure("") == "t.csv: is empty\n");
  CHECK(failure("a,b\n1,2\n3\n") == "t.csv:3: 1 fields, expected the header's 2\n");
  CHECK(failure("a,b\n1,\"2\n") == "t.csv:2: a quoted field is not closed\n");
  CHECK(failure(std::string("a\0b", 3)) == "t.csv: is not text (it holds a zero byte)\n");
}

TEST_CASE("numbers of a table") {
  CHECK(number_in("1,075,312") == 1075312);
  CHECK(number_in("0.95") == 0.95);
  CHECK_FALSE(number_in("262144?"));
  CHECK_FALSE(number_in(""));
  CHECK(decimals_in("13800.00") == 2);
  CHECK(decimals_in("528") == 0);
}

TEST_CASE("widths in the spellings of log tables") {
  LoggedShape dual = logged_shape("48", "", "8 swa/1 full", "256 swa/512 full", "SWA5:1 dual hd");
  CHECK(dual.full.kv_heads == 1);
  CHECK(dual.full.key_dim == 512);
  REQUIRE(dual.sliding);
  CHECK(dual.sliding->kv_heads == 8);
  CHECK(dual.full_every == 6);
  LoggedShape sparse = logged_shape("78", "", "1", "512+64, idx 128", "MLA + DSA indexer");
  CHECK(sparse.full.lora_rank == 512);
  CHECK(sparse.full.index_dim == 128);
  LoggedShape latent = logged_shape("27", "16", "1", "576(512+64)", "MLA");
  CHECK(latent.full.lora_rank == 512);
  CHECK(latent.full.rope_dim == 64);
  LoggedShape expanded = logged_shape("61", "", "128", "192/128", "MLA expanded (mla=0)");
  CHECK(expanded.full.key_dim == 192);
  CHECK(expanded.full.value_dim == 128);
  LoggedShape named = logged_shape("48", "", "4 full/8 swa", "192/128", "SWA, K 192 / V 128");
  CHECK(named.full.kv_heads == 4);
  CHECK(named.sliding->kv_heads == 8);
}

TEST_CASE("a row's model is the catalogue's only where their shapes agree") {
  Model oss = Catalog::built_in().model("gpt-oss-20b");
  CHECK(agrees(logged_shape("24", "64", "8", "64", "GQA"), oss));
  CHECK_FALSE(agrees(logged_shape("12", "", "8", "64", "SWA1:1"), oss));  // one of its two pools
  Model r1 = Catalog::built_in().model("deepseek-r1");
  CHECK(agrees(logged_shape("61", "", "1", "512+64", "MLA"), r1));
  CHECK_FALSE(agrees(logged_shape("61", "", "128", "192/128", "MLA expanded (mla=0)"), r1));
}

TEST_CASE("flags of a run are read from its notes, and its room from its own row") {
  MeasuredTable t = MeasuredTable::parse(
      "t.csv",
      "id,group,engine,engine_version_or_date,model,attention_kind,n_layers,n_kv_heads,head_dim,kv_dtype,tp,pp,"
      "n_ctx_or_max_model_len,n_seqs,measured_quantity,measured_value,unit,note\n"
      "a,g,vLLM-V1,0.24.0,Qwen3.6-35B-A3B,GDN3:1 hybrid,40,2,256,fp8,1,1,131072,1,kv_available_bytes,5.98,GiB,\n"
      "b,g,vLLM-V1,0.24.0,Qwen3.6-35B-A3B,GDN3:1 hybrid,40,2,256,fp8,1,1,131072,1,kv_tokens_capacity,567978,tokens,"
      "prefix caching on [blocks=1]\n");
  std::vector<LoggedMemory> rows = logged_memory_with_notes(t);
  CHECK(rows[1].room_gib == 5.98);
  CHECK(rows[1].prefix_caching == true);
  CHECK_FALSE(rows[1].blocks);
  std::vector<Prediction> p = predict_memory(t, Catalog::built_in());
  CHECK_FALSE(p[0].ok());  // no device is named
  CHECK(p[1].predicted == 567978);
}

/// One row of a table with notes, its columns by name; what is left out is empty.
LoggedMemory noted(std::initializer_list<std::pair<std::string, std::string>> columns) {
  std::string header = "id,group", row = "a,g";
  for (const auto& [name, value] : columns) header += "," + name, row += ",\"" + value + "\"";
  return logged_memory_with_notes(MeasuredTable::parse("t.csv", header + "\n" + row + "\n")).front();
}

TEST_CASE("units, formats and flags in the words of logs") {
  CHECK(noted({{"unit", "GB(=GiB) K only"}}).unit_bytes == 1 << 30);
  CHECK(noted({{"unit", "GB(=GiB) K only"}}).part == PoolPart::key);
  CHECK(noted({{"unit", "MiB V only"}}).part == PoolPart::value);
  CHECK(noted({{"unit", "MB ssm_state"}}).part == PoolPart::state);
  CHECK(noted({{"unit", "KB conv_state"}}).part == PoolPart::conv);
  CHECK(noted({{"unit", "GB"}}).unit_bytes == 1e9);
  CHECK(noted({{"unit", "KiB"}}).unit_bytes == 1024);
  CHECK(noted({{"measured_value", "23,000"}, {"unit", "tokens (rounded)"}}).half_digit == 500);
  CHECK(noted({{"measured_value", "23,512"}, {"unit", "tokens"}}).half_digit == 0);
  CHECK(noted({{"measured_value", "5.9"}, {"unit", "GiB"}}).half_digit == Approx(0.005));
  CHECK(noted({{"measured_value", "5.9"}, {"unit", "GiB"}, {"engine", "published"}}).half_digit == Approx(0.05));

  CHECK(noted({{"kv_dtype", "q8_0/f16"}}).layout.cache.key == format("q8_0"));
  CHECK(noted({{"kv_dtype", "K q8_0/V f16"}}).layout.cache.value == format("f16"));
  CHECK(noted({{"kv_dtype", "ssm f32"}}).layout.cache.state == format("f32"));
  CHECK(noted({{"kv_dtype", "fp8"}}).layout.cache.value == format("fp8"));
  CHECK(noted({{"kv_dtype", "fp9"}}).problem == "unknown format 'fp9'");
  CHECK(noted({{"kv_dtype", "auto"}}).problem.empty());
  CHECK(noted({{"model", "Qwen3-32B-AWQ"}}).weights == format("awq"));
  CHECK(noted({{"model", "DeepSeek-R1-NVFP4"}}).weights == format("nvfp4"));
  CHECK_FALSE(noted({{"model", "Qwen3-32B"}}).weights);
  CHECK(noted({{"note", "fp8 quantisation"}}).weights == format("fp8"));

  CHECK(noted({{"note", "max_num_batched_tokens=8192"}}).batched_tokens == 8192);
  CHECK(noted({{"note", "n_ubatch=512"}}).batched_tokens == 512);
  CHECK(noted({{"note", "page-size 64"}}).page_tokens == 64);
  CHECK(noted({{"note", "prefix caching disabled"}}).prefix_caching == false);
  CHECK(noted({{"note", "prefix caching enabled"}}).prefix_caching == true);
  CHECK(noted({{"note", "unified"}, {"n_seqs", "4"}}).layout.unified);
  CHECK_FALSE(noted({{"note", "non-unified"}}).layout.unified);
  CHECK(noted({{"note", "the run used 0.85"}}).memory_fraction == 0.85);
  CHECK(*noted({{"note", "held {'PP0': 10.5, 'PP1': 12.25}"}}).rank_excess_gib == Approx(1.75));
  CHECK(noted({{"note", "max_mamba_cache_size 31"}}).sequences == 32);
  CHECK(noted({{"note", "rs_seq=3"}}).layout.draft_tokens == 3);
  CHECK(noted({{"note", "mla=2 fa=0"}}).latent_mode == 2);
  CHECK_FALSE(noted({{"note", "mla=2 fa=0"}}).flash_attention);
  CHECK(noted({{"note", "SWA K pool"}}).pool == PoolLayers::sliding);
  CHECK(noted({{"note", "full V pool"}}).pool == PoolLayers::full);
  CHECK(noted({{"engine", "llama.cpp"}, {"note", "padding 256"}}).block_tokens == 256);
  CHECK(noted({{"note", "blocks of 64"}}).block_tokens == 64);
  CHECK(noted({{"note", "9 full layers"}}).full_layers == 9);

  LoggedMemory draft = noted({{"engine", "vLLM-V1"}, {"model", "GLM-4.5 mtp"}, {"note", "num_spec_tokens=3"}});
  CHECK(draft.layout.draft_tokens == 3);
  CHECK(draft.layout.draft_layers == 1);
  CHECK(noted({{"engine", "vLLM-V1"}, {"model", "GLM-4.5 mtp"}}).layout.draft_tokens == 1);
  CHECK(noted({{"engine", "SGLang"}, {"model", "GLM-4.5 mtp"}}).layout.draft_layers == 0);

  LoggedMemory device = noted({{"gpu", "2 x H100-80GB (79.19 GiB)"}, {"gpu_mem_util", "0.9"}});
  CHECK(device.device == "H100-80GB");
  CHECK(device.memory_gib == 79.19);
  CHECK(device.memory_fraction == 0.9);
  CHECK(noted({{"unit", "MiB (CUDA0)"}, {"note", "15/28 layers on GPU"}}).device_share == Approx(15.0 / 28));
  CHECK(noted({{"unit", "MiB (CUDA0)"}}).problem == "a share of the layers, and the log does not say how many");
  LoggedMemory room =
      noted({{"engine", "vLLM-V1"}, {"note", "fits in 5.9 GiB"}, {"measured_quantity", "kv_tokens_capacity"}});
  CHECK(room.room_gib == 5.9);
  CHECK(room.room_half_digit == Approx(0.05));
}

TEST_CASE("a row that describes a model of its own") {
  Model sliding = model_of(logged_shape("48", "32", "8 swa/4 full", "128", "SWA5:1"));
  REQUIRE(sliding.layers.size() == 2);
  CHECK(sliding.layers[0].count == 40);
  CHECK(heads_of(sliding.layers[0].attention)->kv == 8);
  CHECK(sliding.layers[1].count == 8);
  CHECK(*heads_of(sliding.layers[1].attention) == Heads{32, 4, 128, 128});
  CHECK(caching_layers(sliding) == 48);
  Model latent = model_of(logged_shape("78", "", "1", "512+64, idx 128", "MLA"));
  REQUIRE(latent.layers.size() == 1);
  const auto& mla = std::get<LatentAttention>(latent.layers[0].attention);
  CHECK(mla.kv_lora_rank == 512);
  CHECK(mla.indexer->head_dim == 128);
  CHECK(caching_layers(latent) == 78);
  CHECK_FALSE(logged_shape("32", "", "", "", "").known());
}

TEST_CASE("a rate that counts prompts has the batch read all of them before it decodes") {
  std::string row = "NVIDIA GPU,H100 SXM,1,TP1,vLLM (offline),Llama-3-8B,16-bit,16,1536,1000,B,1024,1024,";
  std::vector<Prediction> p = predict_decode(
      MeasuredTable::parse("t.csv",
                           "hw_class,hardware,n_devices,parallelism,engine,model,weight_format,batch,context_len_avg,"
                           "tokens_per_s_total,confidence,input_len,output_len,includes_prefill,id\n" +
                               row + "0,alone\n" + row + "1,with\n"),
      Catalog::built_in());
  REQUIRE(p[0].predicted);
  REQUIRE(p[1].predicted);
  const Catalog& c = Catalog::built_in();
  Seconds prompt = prefill_time(c.model("llama-3-8b"), c.device("h100-sxm"), {}, c.engine("vllm"), 1024, 0);
  // 1,024 tokens for each of 16 sequences: 16 prompts later than without
  CHECK(16 * 1024 / *p[1].predicted == Approx(16 * 1024 / *p[0].predicted + 16 * prompt.value));
  CHECK(*p[1].low / *p[0].low == Approx(*p[1].predicted / *p[0].predicted));
  CHECK(*p[1].high / *p[0].high == Approx(*p[1].predicted / *p[0].predicted));
}

TEST_CASE("the curated table of engine logs: nearly every capacity within the logged digits") {
  MeasuredTable t = MeasuredTable::read(std::string(KVROOF_SOURCE) + "/reports/measured/kv_memory.csv");
  std::vector<Prediction> rows = predict_curated_memory(t, Catalog::built_in());
  REQUIRE(rows.size() == t.size());
  int capacities = 0, exact = 0, rooms = 0, close_rooms = 0;
  for (const Prediction& p : rows) {
    INFO(p.id << ": " << p.skipped);
    REQUIRE(p.ok());
    REQUIRE(p.measured);
    if (p.metric == "kv_available_bytes" || p.metric == "weights_bytes") {
      ++rooms;
      close_rooms += std::abs(*p.predicted / *p.measured - 1) < 0.1;
      continue;
    }
    ++capacities;
    bool within = *p.low - 1e-9 * *p.measured <= *p.measured && *p.measured <= *p.high + 1e-9 * *p.measured;
    if (!within) WARN(p.id << ": measured " << *p.measured << ", predicted " << *p.predicted);
    exact += within;
  }
  CHECK(capacities > 100);
  CHECK(exact >= 0.95 * capacities);
  CHECK(close_rooms >= 0.85 * rooms);
}

TEST_CASE("a log's counts that no system has are skipped, with the reason; figures are numbers") {
  auto row = [](std::string tp, std::string pp, std::string block, std::string context = "8192",
                std::string sequences = "1") {
    MeasuredTable t = MeasuredTable::parse(
        "logs.csv",
        "id,engine,version,model,device,memory_gib,weights,tp,pp,context,sequences,block_tokens,"
        "kv_format_k,kv_format_v,"
        "quantity,value,unit\n"
        "a,llamacpp,,llama-3.1-8b,,,," +
            tp + "," + pp + "," + context + "," + sequences + "," + block + ",bf16,bf16,kv_bytes_total,1,GiB\n");
    return predict_curated_memory(t, Catalog::built_in()).at(0);
  };
  CHECK(row("1", "1", "256").skipped == "");
  CHECK(row("0", "1", "256").skipped == "tp is 0, expected 1 to 1048576");
  CHECK(row("1", "0", "256").skipped == "pp is 0, expected 1 to 32");
  CHECK(row("1", "33", "256").skipped == "pp is 33, expected 1 to 32");
  CHECK(row("1", "1", "0").skipped == "block_tokens is 0, expected 1 to 1048576");
  CHECK(row("123456789012345678901", "1", "256").skipped == "tp is 9223372036854775807, expected 1 to 1048576");
  CHECK(row("1", "1", "256", "123456789012345678901").skipped ==
        "context is 9223372036854775807, expected 1 to 1099511627776");
  CHECK(row("1", "1", "256", "0").skipped == "context is 0, expected 1 to 1099511627776");
  CHECK(row("1", "1", "256", "8192", "0").skipped == "sequences is 0, expected 1 to 4294967296");
  MeasuredTable figures = MeasuredTable::parse("figures.csv", "id,time_us\na,nan\nb,inf\nc,1e999\nd,-5\n");
  for (std::size_t i : {0, 1, 2}) CHECK(!Row{figures, i}.number("time_us"));
  CHECK(Row{figures, 3}.number("time_us") == -5);
}

}  // namespace
}  // namespace kvroof
