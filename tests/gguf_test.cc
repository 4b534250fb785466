// GGUF: files whose every byte is known against the reader; hostile files, each with its whole message.
#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>

#include <unistd.h>

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

std::string error_of(std::string_view bytes) {
  ParsedGguf p = parse(bytes);
  CHECK_FALSE(p.header);
  return p.error;
}

struct TemporaryDirectory {
  std::filesystem::path path = std::filesystem::temp_directory_path() / fmt::format("kvroof-gguf-{}", getpid());
  TemporaryDirectory() { std::filesystem::create_directories(path); }
  ~TemporaryDirectory() { std::filesystem::remove_all(path); }
  std::filesystem::path write(std::string_view name, std::string_view bytes) const {
    std::ofstream(path / name, std::ios::binary).write(bytes.data(), std::streamsize(bytes.size()));
    return path / name;
  }
};

}  // namespace

TEST_CASE("gguf: all value types of both versions") {
  for (std::uint32_t version : {2u, 3u}) {
    File f;
    f.version = version;
    f.scalar("a.u8", U8, std::uint8_t(200))
        .scalar("a.i8", I8, std::int8_t(-3))
        .scalar("a.u16", U16, std::uint16_t(65535));
    f.scalar("a.i16", I16, std::int16_t(-300)).u32("a.u32", 4000000000u).scalar("a.i32", I32, std::int32_t(-5));
    f.scalar("a.f32", F32, 1.5f)
        .scalar("a.bool", BOOL, std::uint8_t(1))
        .string("a.string", "hello")
        .scalar("a.u64", U64, std::uint64_t(1) << 40);
    f.scalar("a.big", U64, ~std::uint64_t(0)).scalar("a.i64", I64, std::int64_t(-7)).scalar("a.f64", F64, 0.25);
    f.numbers<std::int32_t>("a.list", I32, {3, -1, 2})
        .numbers<std::uint8_t>("a.flags", BOOL, {1, 0, 2})
        .strings("a.words", 5);
    f.numbers<float>("a.scores", F32, {0.5f}).string("a.long", std::string(10000, 'x'));
    f.numbers<std::uint8_t>("a.many", U8, std::vector<std::uint8_t>(65537, 7));
    GgufHeader h = parsed(f);
    CHECK(h.version == int(version));
    CHECK(h.tensor_count == 0);
    auto i = [&](const char* key) { return std::get<i64>(h.metadata.find(key)->second); };
    auto list = [&](const char* key) { return std::get<GgufArray>(h.metadata.find(key)->second); };
    CHECK(i("a.u8") == 200);
    CHECK(i("a.i8") == -3);
    CHECK(i("a.u16") == 65535);
    CHECK(i("a.i16") == -300);
    CHECK(i("a.u32") == 4000000000);
    CHECK(i("a.i32") == -5);
    CHECK(i("a.u64") == i64(1) << 40);
    CHECK(i("a.i64") == -7);
    CHECK(std::get<double>(h.metadata.find("a.f32")->second) == 1.5);
    CHECK(std::get<double>(h.metadata.find("a.f64")->second) == 0.25);
    CHECK(std::get<double>(h.metadata.find("a.big")->second) == 18446744073709551615.0);
    CHECK(std::get<bool>(h.metadata.find("a.bool")->second));
    CHECK(std::get<std::string>(h.metadata.find("a.string")->second) == "hello");
    CHECK(std::get<std::string>(h.metadata.find("a.long")->second).size() == 4096);
    CHECK(list("a.list").numbers == std::vector<double>{3, -1, 2});
    CHECK(list("a.flags").numbers == std::vector<double>{1, 0, 1});
    CHECK(list("a.words").length == 5);
    CHECK(list("a.words").numbers.empty());
    CHECK(list("a.scores").numbers == std::vector<double>{0.5});
    CHECK(list("a.many").length == 65537);
    CHECK(list("a.many").numbers.empty());
  }
}

TEST_CASE("gguf: every tensor type takes the bytes of its blocks") {
  struct Row {
    int id;
    i64 bytes_of_1024;
  };
  constexpr Row rows[] = {{0, 4096},  {1, 2048},  {2, 576},   {3, 640},   {6, 704},   {7, 768},   {8, 1088},
                          {9, 1152},  {10, 336},  {11, 440},  {12, 576},  {13, 704},  {14, 840},  {15, 1168},
                          {16, 264},  {17, 296},  {18, 392},  {19, 200},  {20, 576},  {21, 440},  {22, 328},
                          {23, 544},  {24, 1024}, {25, 2048}, {26, 4096}, {27, 8192}, {28, 8192}, {29, 224},
                          {30, 2048}, {34, 216},  {35, 264},  {39, 544},  {40, 576},  {41, 144}};
  CHECK(gguf_types().size() == std::size(rows));
  File f;
  for (const Row& r : rows) f.tensor(fmt::format("t{}", r.id), {512, 2}, r.id);
  GgufHeader h = parsed(f);
  CHECK(h.notes.empty());
  for (std::size_t i = 0; i < std::size(rows); ++i) {
    CHECK(h.tensors[i].type == rows[i].id);
    CHECK(h.tensors[i].elements == 1024);
    CHECK(h.tensors[i].dims == std::vector<i64>{512, 2});
    CHECK(h.tensors[i].bytes == double(rows[i].bytes_of_1024));
  }
}

TEST_CASE("gguf: files that are no GGUF, or not one that is read") {
  CHECK(error_of("") == "byte 0: the file ends inside the magic");
  CHECK(error_of("GGU") == "byte 0: the file ends inside the magic");
  CHECK(error_of("ggjt\3\0\0\0") == "byte 0: not a GGUF file: it begins with 67 67 6a 74, not with \"GGUF\"");
  CHECK(error_of("GGUF\3") == "byte 4: the file ends inside the version");
  CHECK(error_of(Writer().raw("GGUF").put(1u).out) ==
        "byte 4: GGUF version 1 (32-bit counts, 2023) is not read; convert the model again to version 3");
  CHECK(error_of(Writer().raw("GGUF").put(9u).out) == "byte 4: GGUF version 9 is not known; versions 2 and 3 are read");
  CHECK(error_of(Writer().raw("GGUF").put(0u).out) == "byte 4: GGUF version 0 is not known; versions 2 and 3 are read");
  CHECK(error_of(Writer().raw("GGUF").put(0x03000000u).out) ==
        "byte 4: a big-endian GGUF file (version 3); only little-endian files are read");
}

TEST_CASE("gguf: counts and lengths beyond the file") {
  const std::string start = Writer().raw("GGUF").put(3u).out;
  auto file = [&](std::uint64_t tensors, std::uint64_t entries) {
    return Writer().raw(start).put(tensors).put(entries);
  };
  CHECK(error_of(start) == "byte 8: the file ends inside the tensor count");
  CHECK(error_of(file(std::uint64_t(1) << 63, 0).out) ==
        "byte 8: tensor count 9223372036854775808 is more than the file can hold");
  CHECK(error_of(file(0, ~std::uint64_t(0)).out) ==
        "byte 16: metadata count 18446744073709551615 is more than the file can hold");
  CHECK(error_of(file(1, 0).out) == "byte 8: tensor count 1 is more than the file can hold");
  CHECK(error_of(file(70000, 0).raw(std::string(24 * 70000, '\0')).out) ==
        "byte 8: tensor count 70000 is more than 65536, the most that is read");
  CHECK(error_of(file(0, 1).put(std::uint64_t(1) << 32).raw("abcdefgh").out) ==
        "byte 24: the key of metadata entry 0 has 4294967296 bytes, more than the file can hold");
  CHECK(error_of(file(0, 1).text("a.key").put(std::uint32_t(STRING)).put(std::uint64_t(1) << 32).out) ==
        "byte 41: a.key has 4294967296 bytes, more than the file can hold");
  CHECK(error_of(file(0, 1).text("a.key").put(std::uint32_t(U64)).put(1u).out) ==
        "byte 41: the file ends inside a.key");
  CHECK(error_of(file(0, 1).text("a.key").put(13u).put(1u).out) == "byte 37: a.key has the unknown type 13");
  auto array = [&](std::uint32_t type, std::uint64_t n) {
    return file(0, 1).text("a.key").put(std::uint32_t(ARRAY)).put(type).put(n);
  };
  CHECK(error_of(array(U8, std::uint64_t(1) << 63).out) ==
        "byte 45: a.key has 9223372036854775808 elements, more than the file can hold");
  CHECK(error_of(array(STRING, 2).put(std::uint64_t(0)).out) ==
        "byte 45: a.key has 2 elements, more than the file can hold");
  CHECK(error_of(array(STRING, 1).put(std::uint64_t(1) << 32).out) ==
        "byte 53: a string of a.key has 4294967296 bytes, more than the file can hold");
  CHECK(error_of(array(ARRAY, 1).put(std::uint64_t(0)).out) == "byte 41: a.key is an array of arrays");
  CHECK(error_of(array(77, 1).put(std::uint64_t(0)).out) == "byte 41: a.key is an array of the unknown type 77");
  CHECK(error_of(file(0, 1).text(std::string(1025, 'k')).put(std::uint32_t(U8)).raw("x").out) ==
        "byte 24: the key of metadata entry 0 is longer than 1024 bytes");
}

TEST_CASE("gguf: a name from a file cannot break the line") {
  CHECK(error_of(Writer()
                     .raw("GGUF")
                     .put(3u)
                     .put(std::uint64_t(0))
                     .put(std::uint64_t(1))
                     .text("a\n\x1b[31m\xff")
                     .put(13u)
                     .raw("x")
                     .out) == "byte 40: a\\x0a\\x1b[31m\\xff has the unknown type 13");
}

TEST_CASE("gguf: what is kept is bounded") {
  File f;
  for (int i = 0; i < 60; ++i) f.numbers<std::uint8_t>(fmt::format("k{}", i), U8, std::vector<std::uint8_t>(65536, 1));
  CHECK_THAT(error_of(f.whole()), Catch::EndsWith(": the header holds more than 24 MiB of names and numbers"));
}

TEST_CASE("gguf: bad tensors") {
  auto one = [](std::string_view name, std::vector<i64> dims, int type = 0) {
    return File().tensor(name, dims, type).whole();
  };
  CHECK(error_of(one("t", {100}, 2)) == "byte 45: tensor t: rows of 100 elements do not divide into q4_0 blocks of 32");
  CHECK(error_of(one("t", {32, 3}, 4)) == "byte 53: tensor t has type 4, which is retired or unknown");
  CHECK(error_of(one("t", {32}, 99)) == "byte 45: tensor t has type 99, which is retired or unknown");
  CHECK(error_of(one("t", {1, 1, 1, 1, 1})) == "byte 33: tensor t has 5 dimensions, expected up to 4");
  CHECK(error_of(File().tensor("t", {4, 0}).header()) == "byte 45: tensor t: dimension 1 is 0");
  CHECK(parsed(File().tensor("t", {})).tensors[0].elements == 1);
  auto huge = [](std::vector<std::uint64_t> dims) {
    Writer w;
    w.raw("GGUF").put(3u).put(std::uint64_t(1)).put(std::uint64_t(0)).text("t").put(std::uint32_t(dims.size()));
    for (std::uint64_t d : dims) w.put(d);
    return w.put(0u).put(std::uint64_t(0)).out;
  };
  CHECK(error_of(huge({std::uint64_t(1) << 63})) ==
        "byte 37: tensor t: dimension 0 of 9223372036854775808 gives more than 2^53 elements");
  CHECK(error_of(huge({std::uint64_t(1) << 32, std::uint64_t(1) << 32})) ==
        "byte 45: tensor t: dimension 1 of 4294967296 gives more than 2^53 elements");
  CHECK(error_of(huge({std::uint64_t(1) << 52})) == "byte 45: tensor t: the tensors take more than 8 PiB");
  CHECK(error_of(File().tensor("t", {4}).tensor("t", {4}).whole()) == "byte 57: tensor t is listed twice");
  CHECK(error_of(File().u32("a", 1).u32("a", 2).whole()) == "byte 41: metadata key a is given twice");
  std::string cut = File().tensor("tensor", {4}).tensor("other", {8}).header();
  CHECK(error_of(cut.substr(0, cut.size() - 1)) == "byte 91: the file ends inside the offset of tensor other");
  CHECK(error_of(Writer()
                     .raw("GGUF")
                     .put(3u)
                     .put(std::uint64_t(1))
                     .put(std::uint64_t(0))
                     .text("t")
                     .put(1u)
                     .put(std::uint64_t(4))
                     .put(0u)
                     .put(std::uint64_t(7))
                     .out) == "byte 49: tensor t lies at offset 7, not a multiple of the alignment 32");
  CHECK(error_of(File().u32("general.alignment", 24).whole()) == "byte 57: general.alignment is not a power of two");
}

TEST_CASE("gguf: the first bytes of a file are enough, with a note") {
  File f = File().tensor("t", {1024});
  ParsedGguf p = parse(f.header());
  REQUIRE(p.header);
  CHECK(p.header->notes ==
        std::vector<std::string>{"the file has 57 of 4160 bytes: an incomplete download, whose header is whole"});
}

TEST_CASE("gguf: no prefix of a good file is read as another") {
  std::string header = llama().header();
  for (std::size_t n = 0; n < header.size(); ++n) REQUIRE_FALSE(parse(std::string(header, 0, n)).header);
  CHECK(parse(header).header);
}

TEST_CASE("gguf: from the disk, through the window") {
  TemporaryDirectory dir;
  File f = llama();
  f.strings("tokenizer.ggml.merges", 20000, "some longer token text").string("chat_template", std::string(100000, 't'));
  std::filesystem::path path = dir.write("m.gguf", f.whole());
  ParsedGguf from_disk = read_gguf(path), from_memory = parse(f.whole());
  INFO(from_disk.error);
  REQUIRE(from_disk.header);
  REQUIRE(from_memory.header);
  REQUIRE(from_disk.header->tensors.size() == from_memory.header->tensors.size());
  for (std::size_t i = 0; i < from_memory.header->tensors.size(); ++i) {
    CHECK(from_disk.header->tensors[i].name == from_memory.header->tensors[i].name);
    CHECK(from_disk.header->tensors[i].dims == from_memory.header->tensors[i].dims);
  }
  CHECK(from_disk.header->metadata.size() == from_memory.header->metadata.size());
  CHECK(read_gguf(dir.path / "none.gguf").error == (dir.path / "none.gguf").string() + ": no such file");
  CHECK(read_gguf(dir.path).error == dir.path.string() + ": not a regular file");
  std::filesystem::path bad = dir.write("bad.gguf", "GGUF\1");
  CHECK(read_gguf(bad).error == bad.string() + ": byte 4: the file ends inside the version");
  CHECK(read_gguf("/dev/zero").error == "/dev/zero: not a regular file");
}

TEST_CASE("gguf: split files") {
  TemporaryDirectory dir;
  auto part = [](int no, int count, const char* tensor, int total = 3) {
    File f;
    if (no == 0) f.string("general.architecture", "llama");
    f.scalar("split.no", U16, std::uint16_t(no))
        .scalar("split.count", U16, std::uint16_t(count))
        .scalar("split.tensors.count", I32, total);
    return f.tensor(tensor, {8}).whole();
  };
  std::string name = (dir.path / "m-0000").string();
  dir.write("m-00001-of-00003.gguf", part(0, 3, "a"));
  dir.write("m-00002-of-00003.gguf", part(1, 3, "b"));
  CHECK(read_gguf(name + "1-of-00003.gguf").error == name + "3-of-00003.gguf: no such file");
  dir.write("m-00003-of-00003.gguf", part(2, 3, "c"));
  for (int any : {1, 2, 3}) {
    ParsedGguf p = read_gguf(name + fmt::format("{}-of-00003.gguf", any));
    INFO(p.error);
    REQUIRE(p.header);
    CHECK(p.header->tensor_count == 3);
    CHECK(p.header->tensors[2].name == "c");
    CHECK(p.header->split_count == 3);
    CHECK(p.header->metadata.contains("general.architecture"));
  }
  dir.write("m-00003-of-00003.gguf", part(1, 3, "c"));
  CHECK(read_gguf(name + "1-of-00003.gguf").error == name + "3-of-00003.gguf: is part 2 of 3, expected part 3 of 3");
  dir.write("m-00003-of-00003.gguf", part(2, 3, "a"));
  CHECK(read_gguf(name + "1-of-00003.gguf").error == name + "1-of-00003.gguf: tensor a is in two parts");
  dir.write("m-00003-of-00003.gguf",
            File().scalar("split.no", U16, std::uint16_t(2)).scalar("split.count", U16, std::uint16_t(3)).whole());
  CHECK(read_gguf(name + "1-of-00003.gguf").error ==
        name + "1-of-00003.gguf: the parts hold 2 tensors, but split.tensors.count is 3");
  std::filesystem::path renamed = dir.write("renamed.gguf", part(0, 3, "a"));
  CHECK(read_gguf(renamed).error ==
        renamed.string() +
            ": is part 1 of 3, but its name does not end in -00001-of-00003.gguf, so the other parts are not found");
  CHECK(error_of(part(3, 3, "a")) == "split.no 3 is not below split.count 3");
  CHECK(error_of(File().string("split.count", "3").whole()) == "split.count is not an integer from 0 to 65536");
}
