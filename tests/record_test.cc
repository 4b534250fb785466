// Records: a spec written and read back is the same to every function of core, for each entry of the catalogue.
#include "catalog/record.h"

#include <catch2/catch.hpp>

#include "catalog/catalog.h"

namespace kvroof {
namespace {

TEST_CASE("a record reads as the catalogue does, without prose and defaults") {
  Catalog catalog;
  catalog.add_text("mine.yaml",
                   "models:\n"
                   "  mine:\n"
                   "    name: Mine\n"
                   "    family: llama\n"
                   "    hidden: 4096\n"
                   "    vocab: 32000\n"
                   "    layers:\n"
                   "      - count: 32\n"
                   "        attention: {kind: full, q_heads: 32, kv_heads: 8, head_dim: 128}\n"
                   "        feed_forward: {kind: gated, width: 14336}\n"
                   "    source: me\n"
                   "    confidence: A\n"
                   "devices:\n"
                   "  d:\n"
                   "    name: D\n"
                   "    vendor: V\n"
                   "    class: gpu\n"
                   "    peak: {bf16: 989.4 TFLOPS}\n"
                   "    memory:\n"
                   "      - {kind: HBM3, capacity: 84942979072 B, bandwidth: 3.35 TB/s}\n"
                   "    price: {per_hour: 2.5, source: me}\n"
                   "    source: me\n"
                   "    confidence: A\n");
  CHECK(record_of(catalog.model("mine")).dump() ==
        R"({"id":"mine","family":"llama","hidden":4096,"vocab":32000,"layers":[{"count":32,)"
        R"("attention":{"kind":"full","q_heads":32,"kv_heads":8,"head_dim":128},)"
        R"("feed_forward":{"kind":"gated","width":14336}}]})");
  Json device = record_of(catalog.device("d"));
  CHECK(device["memory"].dump() == R"([{"kind":"HBM3","capacity":"82952128 KiB","bandwidth":"3.35 TB/s"}])");
  CHECK(device["peak"].dump() == R"({"bf16":"989.4 TFLOPS"})");
  CHECK(device["price"].dump() == R"({"per_hour":2.5})");
}

TEST_CASE("an entry with a base says only what differs from it") {
  Catalog catalog = Catalog::built_in();
  catalog.add_text("mine.yaml",
                   "devices:\n"
                   "  h100-sxm:\n"
                   "    base: h100-sxm\n"
                   "    memory: [{bandwidth: 2.8TB/s}]\n"
                   "  cheap:\n"
                   "    base: h100-sxm\n"
                   "    price: {per_hour: 1}\n"
                   "models:\n"
                   "  wide:\n"
                   "    base: llama-3.1-8b\n"
                   "    layers: [{attention: {kv_heads: 32}}]\n");
  Device before = Catalog::built_in().device("h100-sxm"), slower = catalog.device("h100-sxm");
  CHECK(slower.memory[0].bandwidth == Bandwidth{2.8e12});
  CHECK(catalog.device(before.aliases.at(0)).memory[0].bandwidth == Bandwidth{2.8e12});
  slower.memory[0].bandwidth = before.memory[0].bandwidth;
  CHECK(record_of(slower) == record_of(before));
  Device cheap = catalog.device("cheap");
  CHECK(cheap.price->dollars_per_hour == 1);
  CHECK(cheap.memory[0].bandwidth == Bandwidth{2.8e12});
  CHECK(cheap.aliases.empty());
  CHECK(cheap.kernels.attention.size() == before.kernels.attention.size());
  CHECK(cheap.kernels.attention == before.kernels.attention);
  Model wide = catalog.model("wide");
  CHECK(heads_of(wide.layers[0].attention)->kv == 32);
  CHECK(wide.layers[0].count == 32);
  CHECK(catalog.locate("devices", "h100-sxm", {"memory", "0", "bandwidth"}).file == "mine.yaml");
  CHECK(catalog.locate("devices", "h100-sxm", {"peak", "bf16"}).file == "hardware.yaml");
  auto refused = [](const char* text) {
    Catalog c = Catalog::built_in();
    try {
      c.add_text("mine.yaml", text);
      c.device("x");
    } catch (const InputError& e) { return e.message; }
    return std::string();
  };
  CHECK(refused("devices:\n  x: {base: nosuch}\n").find("base: expected an entry of devices that stands before") !=
        std::string::npos);
  CHECK(refused("devices:\n  x: {base: x}\n").find("base: expected an entry") != std::string::npos);
  CHECK(refused("devices:\n  - id: x\n    base: h100-sxm\n").find("mine.yaml:2:3: expected an id and its fields") == 0);
  CHECK(refused("devices:\n    x: {base: h100-sxm}\n").find("mine.yaml:2:5: expected an entry, indented by two") == 0);
}

TEST_CASE("every entry of the catalogue comes back from its record") {
  const Catalog& catalog = Catalog::built_in();
  for (const std::string& id : catalog.ids("models")) {
    INFO(id);
    Model model = catalog.model(id);
    Model back = model_of_record(record_of(model), id);
    CHECK(record_of(back) == record_of(model));
    CHECK(back.layers == model.layers);
    CHECK(back.weights == model.weights);
    CHECK(all_weights(back, {}) == all_weights(model, {}));
  }
  for (const std::string& id : catalog.ids("devices")) {
    INFO(id);
    Device device = catalog.device(id);
    Device back = device_of_record(record_of(device), id);
    CHECK(record_of(back) == record_of(device));
    CHECK(back.memory[0].capacity == device.memory[0].capacity);
    CHECK(back.memory[0].bandwidth == device.memory[0].bandwidth);
    CHECK(back.achievable.step == device.achievable.step);
    CHECK(back.achievable.linears.size() == device.achievable.linears.size());
  }
  for (const std::string& id : catalog.ids("engines")) {
    INFO(id);
    CHECK(record_of(engine_of_record(record_of(catalog.engine(id)), id)) == record_of(catalog.engine(id)));
  }
}

TEST_CASE("a record that is none is told so") {
  auto message = [](const Json& record) -> std::string {
    try {
      model_of_record(record, "baseline.json: models.mine");
    } catch (const InputError& e) { return e.message; }
    return "";
  };
  CHECK(message(Json::array()) == "baseline.json: models.mine: expected a mapping\n");
  CHECK(message(Json{{"hidden", 1}}).find("missing key 'layers'") != std::string::npos);
}

}  // namespace
}  // namespace kvroof
