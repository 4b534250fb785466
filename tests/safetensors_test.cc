// safetensors: headers by hand, hostile ones with their whole messages, then shards and their index.
#include <catch2/catch.hpp>

#include <cstring>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <unistd.h>

#include "catalog/safetensors.h"

using namespace kvroof;

namespace {

std::string length(std::uint64_t n) {
  std::string out(8, '\0');
  std::memcpy(out.data(), &n, 8);
  return out;
}

/// A file of that JSON with so many bytes of tensors behind it.
std::string file(std::string_view json, std::size_t data = 0) {
  return length(json.size()) + std::string(json) + std::string(data, '\0');
}

ParsedSafetensors parse(std::string_view bytes) {
  return parse_safetensors(std::as_bytes(std::span(bytes.data(), bytes.size())), i64(bytes.size()));
}

std::string error_of(std::string_view bytes) {
  ParsedSafetensors p = parse(bytes);
  CHECK_FALSE(p.header);
  return p.error;
}

std::string json_error(std::string_view json, std::size_t data = 0) { return error_of(file(json, data)); }

/// One tensor named t.
std::string tensor(std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return fmt::format(R"({{"t":{{"dtype":"{}","shape":{},"data_offsets":{}}}}})", dtype, shape, offsets);
}

struct TemporaryDirectory {
  std::filesystem::path path = std::filesystem::temp_directory_path() / fmt::format("kvroof-safetensors-{}", getpid());
  TemporaryDirectory() { std::filesystem::create_directories(path); }
  ~TemporaryDirectory() { std::filesystem::remove_all(path); }
  std::filesystem::path write(std::string_view name, std::string_view bytes) const {
    std::ofstream(path / name, std::ios::binary).write(bytes.data(), std::streamsize(bytes.size()));
    return path / name;
  }
};

}  // namespace

TEST_CASE("safetensors: tensors in the order they lie") {
  ParsedSafetensors p = parse(file(R"({"__metadata__":{"format":"pt"},
    "b":{"dtype":"F32","shape":[],"data_offsets":[12,16]},
    "a":{"data_offsets":[0,12],"shape":[2,3],"dtype":"BF16"},
    "none":{"dtype":"I64","shape":[4,0],"data_offsets":[16,16]}}    )",
                                   16));
  INFO(p.error);
  REQUIRE(p.header);
  REQUIRE(p.header->tensors.size() == 3);
  CHECK(p.header->tensors[0].name == "a");
  CHECK(p.header->tensors[0].dtype == "BF16");
  CHECK(p.header->tensors[0].shape == std::vector<i64>{2, 3});
  CHECK(p.header->tensors[0].end == 12);
  CHECK(p.header->tensors[1].name == "b");
  CHECK(p.header->tensors[1].shape.empty());
  CHECK(p.header->tensors[2].name == "none");
  CHECK(parse(file("{}")).header);
}

TEST_CASE("safetensors: bytes of every type") {
  struct Row {
    const char* dtype;
    int bytes_of_8;
  };
  for (Row r :
       {Row{"BOOL", 8}, {"U8", 8},      {"I8", 8},   {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F4", 4},
        {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U16", 16}, {"I16", 16},    {"F16", 16},    {"BF16", 16},   {"U32", 32},
        {"I32", 32},    {"F32", 32},    {"U64", 64}, {"I64", 64},    {"F64", 64},    {"C64", 64}}) {
    INFO(r.dtype);
    CHECK(parse(file(tensor(r.dtype, "[2,4]", fmt::format("[0,{}]", r.bytes_of_8)), std::size_t(r.bytes_of_8))).header);
  }
}

TEST_CASE("safetensors: lengths") {
  CHECK(error_of("") == "byte 0: the file ends inside the length of the header");
  CHECK(error_of("1234567") == "byte 0: the file ends inside the length of the header");
  CHECK(error_of(length(10)) == "byte 0: header length 10 is more than the file can hold");
  CHECK(error_of(length(100'000'001)) == "byte 0: header length 100000001 is more than 100 MB");
  CHECK(error_of(length(std::uint64_t(1) << 63)) == "byte 0: header length 9223372036854775808 is more than 100 MB");
  std::string whole = length(10) + "{}";
  CHECK(parse_safetensors(std::as_bytes(std::span(whole.data(), whole.size())), 100).error ==
        "byte 10: the file ends inside the header");
}

TEST_CASE("safetensors: JSON that is none, or another document") {
  CHECK(json_error("") == "byte 8: the header is not valid JSON");
  CHECK(json_error("{") == "byte 9: the header is not valid JSON");
  CHECK(json_error("{\"a\":}") == "byte 13: the header is not valid JSON");
  CHECK(json_error("{}x") == "byte 10: the header is not valid JSON");
  CHECK(json_error("{\"\xff\":1}") == "byte 10: the header is not valid JSON");
  CHECK(json_error("[]") == "the header is not a JSON object");
  CHECK(json_error("3") == "the header is not a JSON object");
  CHECK(json_error(std::string(1'000'000, '[')) == "the header is not a JSON object");
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "{\"a\":";
  CHECK(json_error(deep) == "a.a is nested too deep");
  CHECK(json_error(R"({"t":{"shape":[[1]]}})") == "t.shape is nested too deep");
  CHECK(json_error(R"({"t":{"shape":[{}]}})") == "t.shape is nested too deep");
  CHECK(json_error(R"({"t":1})") == "t is not an object");
  CHECK(json_error(R"({"t":[1]})") == "t is an array");
  CHECK(json_error(R"({"t\n":null})") == "t\\x0a is not an object");
}

TEST_CASE("safetensors: fields") {
  CHECK(json_error(R"({"__metadata__":{"a":1}})") == "__metadata__.a is not a string");
  CHECK(json_error(R"({"t":{"dtype":3}})") == "t.dtype is not a string");
  CHECK(json_error(R"({"t":{"shape":"x"}})") == "t.shape is not an array");
  CHECK(json_error(R"({"t":{"shape":["x"]}})") == "t.shape is not a number");
  CHECK(json_error(R"({"t":{"shape":[-1]}})") == "t.shape is -1, expected a whole number from 0");
  CHECK(json_error(R"({"t":{"shape":[1.5]}})") == "t.shape is 1.5, expected a whole number from 0");
  CHECK(json_error(R"({"t":{"shape":[9223372036854775808]}})") == "t.shape is 9223372036854775808, more than 2^53");
  CHECK(json_error(R"({"t":{"shape":[18446744073709551616]}})") ==
        "t.shape is 1.8446744073709552e+19, expected a whole number from 0");
  CHECK(json_error(R"({"t":{"colour":"red"}})") == "t.colour is not a known key");
  CHECK(json_error(R"({"t":{}})") == "t.dtype is missing");
  CHECK(json_error(R"({"t":{"dtype":"F32"}})") == "t.shape is missing");
  CHECK(json_error(R"({"t":{"dtype":"F32","shape":[1]}})") == "t.data_offsets is missing");
  CHECK(json_error(tensor("F32", "[1]", "[0]")) == "t.data_offsets does not have two elements");
  CHECK(json_error(tensor("F32", "[1]", "[0,4,8]")) == "t.data_offsets has too many elements");
  CHECK(json_error(R"({"t":{"dtype":"F32","dtype":"F16"}})") == "t.dtype is given twice");
  CHECK(json_error(R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"t":{}})") == "t is given twice");
  CHECK(json_error(tensor("F7", "[1]", "[0,4]"), 4) == "t.dtype F7 is not known");
}

TEST_CASE("safetensors: sizes and places") {
  CHECK(json_error(tensor("F32", "[2]", "[0,4]"), 4) == "t.data_offsets span 4 bytes, but 2 elements of F32 take 8");
  CHECK(json_error(tensor("F32", "[1]", "[8,4]"), 4) == "t.data_offsets end at 4, before they begin at 8");
  CHECK(json_error(tensor("F4", "[3]", "[0,1]"), 1) == "t: 3 elements of F4 are not whole bytes");
  CHECK(json_error(tensor("F32", "[4294967296,4294967296]", "[0,4]"), 4) == "t.shape has more than 2^50 elements");
  CHECK(json_error(tensor("F32", "[1]", "[4,8]"), 8) == "t begins at 4, but the tensor before it ends at 0");
  CHECK(
      json_error(
          R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
          6) == "b begins at 2, but the tensor before it ends at 4");
  std::string json = tensor("F32", "[1]", "[0,4]");
  CHECK(json_error(json, 3) ==
        fmt::format("the tensors end at byte {}, the file at byte {}", json.size() + 12, json.size() + 11));
  CHECK(json_error(json, 5) ==
        fmt::format("the tensors end at byte {}, the file at byte {}", json.size() + 12, json.size() + 13));
}

TEST_CASE("safetensors: no prefix of a good file is accepted") {
  std::string whole = file(tensor("BF16", "[2,3]", "[0,12]"), 12);
  for (std::size_t n = 0; n < whole.size(); ++n) REQUIRE_FALSE(parse(std::string(whole, 0, n)).header);
  CHECK(parse(whole).header);
}

TEST_CASE("safetensors: one shard stands for all of them") {
  TemporaryDirectory dir;
  std::string first = dir.write("m-00001-of-00002.safetensors", file(tensor("BF16", "[3]", "[0,6]"), 6)).string();
  WeightBytes w = safetensors_weight_bytes(first);
  CHECK_FALSE(w.bytes);
  CHECK(w.error == first +
                       ": is shard 1 of 2, but m-00002-of-00002.safetensors is not beside it, nor is "
                       "m.safetensors.index.json");
  std::string second = dir.write("m-00002-of-00002.safetensors", file(tensor("F32", "[5]", "[0,20]"), 20)).string();
  CHECK(safetensors_weight_bytes(first).bytes == 6 + 20);
  CHECK(safetensors_weight_bytes(second).bytes == 6 + 20);
  std::filesystem::remove(second);
  dir.write("m.safetensors.index.json", R"({"metadata":{"total_size":26},"weight_map":{
    "a":"m-00001-of-00002.safetensors","b":"m-00002-of-00002.safetensors"}})");
  CHECK(safetensors_weight_bytes(first).bytes == 26);  // the index says what is not there
  std::string none = dir.write("m-00003-of-00002.safetensors", file(tensor("F32", "[5]", "[0,20]"), 20)).string();
  std::filesystem::remove(dir.path / "m.safetensors.index.json");
  CHECK(safetensors_weight_bytes(none).error == none + ": its name is of no shard that there can be");
}

TEST_CASE("safetensors: files and their index") {
  TemporaryDirectory dir;
  std::string index = (dir.path / "model.safetensors.index.json").string();
  auto write_index = [&](std::string_view metadata, std::string_view second = "model-2.safetensors") {
    dir.write("model.safetensors.index.json",
              fmt::format(
                  R"({{"metadata":{},"weight_map":{{"a":"model-1.safetensors","b":"{}","c":"model-1.safetensors"}}}})",
                  metadata, second));
    return safetensors_weight_bytes(index);
  };
  WeightBytes w = write_index(R"({"total_size":112,"total_parameters":"many"})");
  CHECK(w.bytes == 112);
  CHECK(w.error == "");
  w = write_index("{}");
  CHECK_FALSE(w.bytes);
  CHECK(w.error == index + ": metadata.total_size is missing, and so is model-1.safetensors");

  std::string first = dir.write("model-1.safetensors", file(tensor("BF16", "[2,3]", "[0,12]"), 12)).string();
  CHECK(safetensors_weight_bytes(first).bytes == 12);
  w = write_index(R"({"total_size":112.0})");
  CHECK(w.bytes == 112);
  CHECK(w.error == index + ": 1 of 2 shards are missing (model-2.safetensors): metadata.total_size is used");

  dir.write("model-2.safetensors", file(tensor("U8", "[100]", "[0,100]"), 100));
  CHECK(write_index("{}").bytes == 112);
  CHECK(write_index(R"({"total_size":112})").error == "");
  w = write_index(R"({"total_size":224})");
  CHECK(w.bytes == 112);
  CHECK(w.error == index + ": metadata.total_size is 224, the shards hold 112: the shards are used");

  std::string bad = dir.write("model-2.safetensors", "short").string();
  w = write_index(R"({"total_size":112})");
  CHECK_FALSE(w.bytes);
  CHECK(w.error == bad + ": byte 0: the file ends inside the length of the header");
  CHECK(write_index("{}", "../other").error == index + ": weight_map.b is ../other, not a file name");
  CHECK(write_index("{}", "/etc/passwd").error == index + ": weight_map.b is /etc/passwd, not a file name");
  CHECK(write_index(R"({"total_size":"many"})").error == index + ": metadata.total_size is not a number");
  dir.write("model.safetensors.index.json", R"({"metadata":{"total_size":3}})");
  CHECK(safetensors_weight_bytes(index).error == index + ": weight_map names no files");
  dir.write("model.safetensors.index.json", R"({"weight_map":3})");
  CHECK(safetensors_weight_bytes(index).error == index + ": weight_map is not an object");
  dir.write("model.safetensors.index.json", "{\"weight_map\"");
  CHECK(safetensors_weight_bytes(index).error == index + ": byte 13: the header is not valid JSON");

  CHECK(read_safetensors(dir.path / "none").error == (dir.path / "none").string() + ": no such file");
  CHECK(read_safetensors(dir.path).error == dir.path.string() + ": not a regular file");
  CHECK(read_safetensors(first).header->tensors[0].name == "t");
}
