// What was read when kvroof was built is what reading the files again gives, and it gives way to a user's files.
#include "catalog/built_in.h"

#include <catch2/catch.hpp>

#include "catalog/catalog.h"
#include "catalog/packed.h"
#include "catalog/record.h"

namespace {

using namespace kvroof;

/// The same files, with nothing read beforehand.
Catalog from_text() {
  Catalog c;
  c.add_text("models.yaml", std::string(built_in_models()));
  c.add_text("hardware.yaml", std::string(built_in_hardware()));
  return c;
}

TEST_CASE("a spec goes into bytes by its list of fields") {
  std::string bytes;
  Packer packer(bytes);
  packer.write(LinearRate{0.5, Seconds{2e-6}, 0, 0});
  CHECK(bytes.size() == 4 * 8);
  CHECK(bytes.substr(0, 8) == std::string("\0\0\0\0\0\0\xe0\x3f", 8));  // 0.5 as IEEE 754, least significant byte first
  bytes.clear();
  packer.write(std::vector<std::string>{"ab"});
  CHECK(bytes == std::string("\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0ab", 18));
  bytes.clear();
  packer.write(FeedForward{DenseFeedForward{.width = 7, .matrices = 2, .bias = true}});
  FeedForward back;
  Unpacker(bytes).read(back);
  CHECK(back == FeedForward{DenseFeedForward{.width = 7, .matrices = 2, .bias = true}});
}

TEST_CASE("the built-in catalogue says what its files say") {
  const Catalog& built_in = Catalog::built_in();
  Catalog text = from_text();
  REQUIRE(built_in.entries().size() == text.entries().size());
  for (std::size_t i = 0; i < text.entries().size(); ++i) {
    const Entry &a = built_in.entries()[i], &b = text.entries()[i];
    INFO(b.section << " " << b.id);
    REQUIRE(a.section == b.section);
    REQUIRE(a.id == b.id);
    REQUIRE(a.file == b.file);
    REQUIRE(a.first_line == b.first_line);
    REQUIRE(a.text == b.text);
    REQUIRE(a.aliases == text.aliases(b));
    REQUIRE(a.packed == text.packed(b));
  }
  for (const std::string& id : text.ids("models")) {
    INFO(id);
    Model a = built_in.model(id), b = text.model(id);
    CHECK(record_of(a) == record_of(b));
    CHECK(a.aliases == b.aliases);
    CHECK(a.notes == b.notes);
  }
  for (const std::string& id : text.ids("devices")) {
    INFO(id);
    Device a = built_in.device(id), b = text.device(id);
    CHECK(record_of(a) == record_of(b));
    CHECK(a.kernels.attention == b.kernels.attention);
    CHECK(a.kernels.linears == b.kernels.linears);
    CHECK(a.kernels.all_reduce == b.kernels.all_reduce);
    CHECK(a.achievable.source == b.achievable.source);
  }
  for (const std::string& id : text.ids("engines")) CHECK(record_of(built_in.engine(id)) == record_of(text.engine(id)));
}

TEST_CASE("a user's class or kernels reach the built-in devices that rest on them") {
  Catalog c = Catalog::built_in();
  c.add_text("mine.yaml",
             "classes:\n"
             "  cpu: {base: cpu, compute: 0.123}\n"
             "kernels:\n"
             "  h100-sxm:\n"
             "    linears: [{engine: vllm, kernel: mine, format: bf16, fraction: 0.5, rows: 1, error: 0.1, low: 1, "
             "high: 1}]\n");
  int changed = 0;
  for (const std::string& id : c.ids("devices")) {
    Device mine = c.device(id), built_in = Catalog::built_in().device(id);
    if (mine.device_class != "cpu") CHECK(record_of(mine) == record_of(built_in));
    changed += mine.achievable.compute == 0.123;
  }
  CHECK(changed > 0);
  CHECK(c.device("h100-sxm").kernels.linears.size() == 1);
  CHECK(c.device("h100-sxm").kernels.linears[0].kernel == "mine");
  CHECK(Catalog::built_in().device("h100-sxm").kernels.linears.size() > 1);
}

}  // namespace
