// Tables of measurements: how they are read, and how well the curated one is predicted.
#include "catalog/measured.h"

#include <catch2/catch.hpp>

#include "catalog/logged_shape.h"
#include "catalog/memory_log.h"
#include "catalog/suggest.h"
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

}  // namespace
}  // namespace kvroof
