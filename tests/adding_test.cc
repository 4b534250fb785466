// The example of docs/adding.md that is code: a kind of attention of one's own, held to what the page says of it.
#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

#include "../docs/adding/dilated_attention.h"
#include "catalog/schema.h"
#include "core/cache.h"

namespace {

using namespace kvroof;

std::string text_of(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

TEST_CASE("a kind of attention is a struct that answers four questions") {
  static_assert(AttentionKind<DilatedAttention>);
  DilatedAttention a{{32, 8, 128, 128}, 1024, 16};
  // 1,024 near tokens and (8,192 - 1,024) / 16 = 448 far ones; keys and values of 8 heads of 128 in 2 bytes.
  CHECK(a.kept(8192) == 1472);
  CHECK(bytes_of(a.stored(8192), {}).value == 1472 * 2 * 8 * 128 * 2);
  CHECK(a.flops(8192).value == 2.0 * 32 * 256 * 1472);
  CHECK(a.kept(100) == 100);
  DilatedAttention whole{{32, 8, 128, 128}, 0, 1};
  for (i64 tokens : {1, 100, 8192})
    CHECK(bytes_of(whole.stored(tokens), {}) == bytes_of(FullAttention{whole.heads}.stored(tokens), {}));
}

TEST_CASE("the page shows the struct as it is compiled") {
  std::string page = text_of(KVROOF_SOURCE "/docs/adding.md"),
              code = text_of(KVROOF_SOURCE "/docs/adding/dilated_attention.h");
  std::size_t begin = code.find("struct DilatedAttention"), end = code.find("};", begin) + 3;
  REQUIRE(begin != std::string::npos);
  CHECK(page.find("```cpp\n" + code.substr(begin, end - begin) + "```") != std::string::npos);
}

}  // namespace
