// Reads GGUF versions 2 and 3, little-endian. Layout and type sizes: the GGUF specification in ggml's docs and
// ggml's block structs; split keys: llama.cpp's gguf-split.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <unordered_set>

#include <fmt/format.h>

#include "catalog/gguf_parser.h"

namespace kvroof {
namespace {

constexpr GgufType types[] = {
    {0, "f32", 1, 4},         {1, "f16", 1, 2},         {2, "q4_0", 32, 18},      {3, "q4_1", 32, 20},
    {6, "q5_0", 32, 22},      {7, "q5_1", 32, 24},      {8, "q8_0", 32, 34},      {9, "q8_1", 32, 36},
    {10, "q2_k", 256, 84},    {11, "q3_k", 256, 110},   {12, "q4_k", 256, 144},   {13, "q5_k", 256, 176},
    {14, "q6_k", 256, 210},   {15, "q8_k", 256, 292},   {16, "iq2_xxs", 256, 66}, {17, "iq2_xs", 256, 74},
    {18, "iq3_xxs", 256, 98}, {19, "iq1_s", 256, 50},   {20, "iq4_nl", 32, 18},   {21, "iq3_s", 256, 110},
    {22, "iq2_s", 256, 82},   {23, "iq4_xs", 256, 136}, {24, "i8", 1, 1},         {25, "i16", 1, 2},
    {26, "i32", 1, 4},        {27, "i64", 1, 8},        {28, "f64", 1, 8},        {29, "iq1_m", 256, 56},
    {30, "bf16", 1, 2},       {34, "tq1_0", 256, 54},   {35, "tq2_0", 256, 66},   {39, "mxfp4", 32, 17},
    {40, "nvfp4", 64, 36},    {41, "q1_0", 128, 18},
};

/// Real models: 1,100 to 2,500 tensors, 20 MB of header, keys of 60 bytes. The limits leave room and bound memory.
constexpr i64 most_tensors = 1 << 16, most_entries = 1 << 16, most_header = i64(256) << 20, most_name = 1024,
              most_numbers = 1 << 16, most_string = 4096, most_kept = i64(24) << 20;
constexpr int most_dims = 4;  // GGML_MAX_DIMS

/// Bytes one kept thing costs beside its characters: the node or tensor around it.
constexpr i64 entry_cost = 200;

[[noreturn]] void refuse(i64 at, std::string_view what) { throw GgufRefused{fmt::format("byte {}: {}", at, what)}; }

enum ValueType : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64_, f64, value_types };
constexpr std::array<i64, value_types> value_sizes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

class Parser {
 public:
  Parser(GgufInput& in, i64& kept) : in_(in), kept_(kept) {}
  GgufHeader header();

 private:
  template <class T>
  T number(std::string_view what);
  std::string text(std::string_view what, i64 most);
  void check_count(i64 at, std::string_view what, std::uint64_t count, i64 least_bytes, i64 most);
  void check_length() const;
  void keep(i64 bytes);
  void magic_and_version(GgufHeader& h);
  void entry(GgufHeader& h, std::uint64_t index);
  GgufValue value(std::uint32_t type, std::string_view key, i64 type_at);
  GgufValue scalar(std::uint32_t type, std::string_view key);
  GgufValue list(std::string_view key);
  GgufTensor tensor(std::uint64_t index);
  void dimensions(GgufTensor& t);
  void tensor_size(GgufTensor& t, i64 at, std::uint32_t type);
  void data_section(GgufHeader& h);

  GgufInput& in_;
  i64& kept_;
  i64 total_bytes_ = 0, total_elements_ = 0;
  std::vector<std::pair<i64, std::uint64_t>> offsets_;  // where each is written, and its value
};

template <class T>
T Parser::number(std::string_view what) {
  if (in_.left() < i64(sizeof(T))) refuse(in_.at(), fmt::format("the file ends inside {}", what));
  std::array<std::byte, sizeof(T)> raw;
  i64 at = in_.at();
  if (!in_.copy(raw.data(), i64(sizeof(T)))) refuse(at, fmt::format("{} cannot be read from the disk", what));
  if constexpr (std::endian::native == std::endian::big) std::reverse(raw.begin(), raw.end());
  return std::bit_cast<T>(raw);
}

/// The string, of which characters past `most` are skipped.
std::string Parser::text(std::string_view what, i64 most) {
  i64 at = in_.at();
  auto length = number<std::uint64_t>(what);
  if (length > std::uint64_t(in_.left()))
    refuse(at, fmt::format("{} has {} bytes, more than the file can hold", what, length));
  std::string out(std::size_t(std::min(i64(length), most)), '\0');
  if (!in_.copy(out.data(), i64(out.size()))) refuse(at, fmt::format("{} cannot be read from the disk", what));
  in_.skip(i64(length) - i64(out.size()));
  check_length();
  return out;
}

void Parser::check_count(i64 at, std::string_view what, std::uint64_t count, i64 least_bytes, i64 most) {
  if (count > std::uint64_t(in_.left() / least_bytes))
    refuse(at, fmt::format("{} {} is more than the file can hold", what, count));
  if (count > std::uint64_t(most))
    refuse(at, fmt::format("{} {} is more than {}, the most that is read", what, count, most));
}

void Parser::check_length() const {
  if (in_.at() > most_header) refuse(in_.at(), "the header is longer than 256 MiB");
}

void Parser::keep(i64 bytes) {
  kept_ += bytes;
  if (kept_ > most_kept) refuse(in_.at(), "the header holds more than 24 MiB of names and numbers");
}

void Parser::magic_and_version(GgufHeader& h) {
  auto magic = number<std::array<unsigned char, 4>>("the magic");
  if (std::memcmp(magic.data(), "GGUF", 4) != 0)
    refuse(0, fmt::format("not a GGUF file: it begins with {:02x} {:02x} {:02x} {:02x}, not with \"GGUF\"", magic[0],
                          magic[1], magic[2], magic[3]));
  auto version = number<std::uint32_t>("the version");
  if (version != 0 && (version & 0xffff) == 0)
    refuse(4, fmt::format("a big-endian GGUF file (version {}); only little-endian files are read", version >> 24));
  if (version == 1) refuse(4, "GGUF version 1 (32-bit counts, 2023) is not read; convert the model again to version 3");
  if (version != 2 && version != 3)
    refuse(4, fmt::format("GGUF version {} is not known; versions 2 and 3 are read", version));
  h.version = int(version);
}

GgufHeader Parser::header() {
  GgufHeader h;
  magic_and_version(h);
  i64 at = in_.at();
  auto tensors = number<std::uint64_t>("the tensor count");
  auto entries = number<std::uint64_t>("the metadata count");
  check_count(at, "tensor count", tensors, 24, most_tensors);
  check_count(at + 8, "metadata count", entries, 13, most_entries);
  for (std::uint64_t i = 0; i < entries; ++i) entry(h, i);
  std::unordered_set<std::string> names;
  for (std::uint64_t i = 0; i < tensors; ++i) {
    i64 tensor_at = in_.at();
    h.tensors.push_back(tensor(i));
    if (!names.insert(h.tensors.back().name).second)
      refuse(tensor_at, fmt::format("tensor {} is listed twice", printable_name(h.tensors.back().name)));
  }
  h.tensor_count = i64(h.tensors.size());
  data_section(h);
  return h;
}

void Parser::entry(GgufHeader& h, std::uint64_t index) {
  i64 at = in_.at();
  std::string key = text(fmt::format("the key of metadata entry {}", index), most_name + 1);
  if (i64(key.size()) > most_name)
    refuse(at, fmt::format("the key of metadata entry {} is longer than {} bytes", index, most_name));
  keep(i64(key.size()) + entry_cost);
  i64 type_at = in_.at();
  auto type = number<std::uint32_t>(fmt::format("the type of {}", printable_name(key)));
  GgufValue v = value(type, printable_name(key), type_at);
  if (!h.metadata.emplace(key, std::move(v)).second)
    refuse(at, fmt::format("metadata key {} is given twice", printable_name(key)));
}

GgufValue Parser::value(std::uint32_t type, std::string_view key, i64 type_at) {
  if (type >= value_types) refuse(type_at, fmt::format("{} has the unknown type {}", key, type));
  if (type == array) return list(key);
  if (type != string) return scalar(type, key);
  std::string s = text(key, most_string);
  keep(i64(s.size()));
  return s;
}

GgufValue Parser::scalar(std::uint32_t type, std::string_view key) {
  switch (type) {
    case u8: return i64(number<std::uint8_t>(key));
    case i8: return i64(number<std::int8_t>(key));
    case u16: return i64(number<std::uint16_t>(key));
    case i16: return i64(number<std::int16_t>(key));
    case u32: return i64(number<std::uint32_t>(key));
    case i32: return i64(number<std::int32_t>(key));
    case f32: return double(number<float>(key));
    case boolean: return number<std::uint8_t>(key) != 0;
    case i64_: return number<i64>(key);
    case f64: return number<double>(key);
    default: break;
  }
  auto wide = number<std::uint64_t>(key);
  if (wide > std::uint64_t(INT64_MAX)) return double(wide);
  return i64(wide);
}

double as_double(const GgufValue& v) {
  if (const i64* i = std::get_if<i64>(&v)) return double(*i);
  if (const bool* b = std::get_if<bool>(&v)) return *b ? 1 : 0;
  return std::get<double>(v);
}

GgufValue Parser::list(std::string_view key) {
  i64 at = in_.at();
  auto type = number<std::uint32_t>(fmt::format("the element type of {}", key));
  if (type >= value_types) refuse(at, fmt::format("{} is an array of the unknown type {}", key, type));
  if (type == array) refuse(at, fmt::format("{} is an array of arrays", key));
  auto length = number<std::uint64_t>(fmt::format("the length of {}", key));
  i64 size = type == string ? 8 : value_sizes[type];
  if (length > std::uint64_t(in_.left() / size))
    refuse(at + 4, fmt::format("{} has {} elements, more than the file can hold", key, length));
  GgufArray out{i64(length), {}};
  if (type == string) {
    std::string element = fmt::format("a string of {}", key);
    for (i64 i = 0; i < out.length; ++i) text(element, 0);
  } else if (out.length > most_numbers) {
    in_.skip(out.length * size);
  } else {
    keep(out.length * i64(sizeof(double)));
    out.numbers.reserve(std::size_t(out.length));
    for (i64 i = 0; i < out.length; ++i) out.numbers.push_back(as_double(scalar(type, key)));
  }
  check_length();
  return out;
}

GgufTensor Parser::tensor(std::uint64_t index) {
  GgufTensor t;
  i64 at = in_.at();
  t.name = text(fmt::format("the name of tensor {}", index), most_name + 1);
  if (i64(t.name.size()) > most_name)
    refuse(at, fmt::format("the name of tensor {} is longer than {} bytes", index, most_name));
  keep(2 * (i64(t.name.size()) + entry_cost));  // once in the list, once among the names seen
  dimensions(t);
  i64 type_at = in_.at();
  auto type = number<std::uint32_t>(fmt::format("the type of tensor {}", printable_name(t.name)));
  tensor_size(t, type_at, type);
  i64 offset_at = in_.at();
  offsets_.push_back(
      {offset_at, number<std::uint64_t>(fmt::format("the offset of tensor {}", printable_name(t.name)))});
  return t;
}

void Parser::dimensions(GgufTensor& t) {
  i64 at = in_.at();
  auto count = number<std::uint32_t>(fmt::format("the dimensions of tensor {}", printable_name(t.name)));
  if (count > most_dims)
    refuse(at, fmt::format("tensor {} has {} dimensions, expected up to {}", printable_name(t.name), count, most_dims));
  t.elements = 1;
  for (std::uint32_t d = 0; d < count; ++d) {
    at = in_.at();
    auto length = number<std::uint64_t>(fmt::format("the dimensions of tensor {}", printable_name(t.name)));
    if (length == 0) refuse(at, fmt::format("tensor {}: dimension {} is 0", printable_name(t.name), d));
    if (length > std::uint64_t(most_gguf_bytes / t.elements))
      refuse(at, fmt::format("tensor {}: dimension {} of {} gives more than 2^53 elements", printable_name(t.name), d,
                             length));
    t.elements *= i64(length);
    t.dims.push_back(i64(length));
  }
}

void Parser::tensor_size(GgufTensor& t, i64 at, std::uint32_t id) {
  const GgufType* type = find_gguf_type(i64(id));
  if (!type) refuse(at, fmt::format("tensor {} has type {}, which is retired or unknown", printable_name(t.name), id));
  i64 row = t.dims.empty() ? 1 : t.dims[0];
  if (row % type->block != 0)
    refuse(at, fmt::format("tensor {}: rows of {} elements do not divide into {} blocks of {}", printable_name(t.name),
                           row, type->name, type->block));
  t.type = type->id;
  i64 bytes = t.elements / type->block * type->bytes;
  if (bytes > most_gguf_bytes - total_bytes_ || t.elements > most_gguf_bytes - total_elements_)
    refuse(at, fmt::format("tensor {}: the tensors take more than 8 PiB", printable_name(t.name)));
  total_bytes_ += bytes;
  total_elements_ += t.elements;
  t.bytes = double(bytes);
}

/// Looks at where the tensors lie, though they are never read: an incomplete download is worth a note. It is
/// no error, since the first megabytes of a file are enough to size the model.
void Parser::data_section(GgufHeader& h) {
  i64 alignment = 32;
  if (auto found = h.metadata.find("general.alignment"); found != h.metadata.end()) {
    const i64* given = std::get_if<i64>(&found->second);
    if (!given || *given < 1 || *given > most_header || !std::has_single_bit(std::uint64_t(*given)))
      refuse(in_.at(), "general.alignment is not a power of two");
    alignment = *given;
  }
  i64 begin = round_up(in_.at(), alignment), end = h.tensors.empty() ? in_.at() : begin;
  for (std::size_t i = 0; i < h.tensors.size(); ++i) {
    auto [at, offset] = offsets_[i];
    std::string name = printable_name(h.tensors[i].name);
    if (offset > std::uint64_t(most_gguf_bytes))
      refuse(at, fmt::format("tensor {} lies at offset {}, beyond 8 PiB", name, offset));
    if (offset % std::uint64_t(alignment) != 0)
      refuse(at,
             fmt::format("tensor {} lies at offset {}, not a multiple of the alignment {}", name, offset, alignment));
    end = std::max(end, begin + i64(offset) + i64(h.tensors[i].bytes));
  }
  if (end > in_.size())
    h.notes.push_back(
        fmt::format("the file has {} of {} bytes: an incomplete download, whose header is whole", in_.size(), end));
}

void read_split_keys(GgufHeader& h) {
  for (std::string_view key : {"split.count", "split.no", "split.tensors.count"}) {
    if (!h.metadata.contains(key)) continue;
    const i64* value = gguf_integer(h, key);
    if (!value || *value < 0 || *value > most_tensors)
      throw GgufRefused{fmt::format("{} is not an integer from 0 to {}", key, most_tensors)};
  }
  if (const i64* count = gguf_integer(h, "split.count")) h.split_count = std::max<i64>(*count, 1);
  if (const i64* no = gguf_integer(h, "split.no")) h.split_no = *no;
  if (h.split_no >= h.split_count)
    throw GgufRefused{fmt::format("split.no {} is not below split.count {}", h.split_no, h.split_count)};
}

}  // namespace

std::span<const GgufType> gguf_types() { return types; }

const GgufType* find_gguf_type(i64 id) {
  for (const GgufType& t : types)
    if (t.id == id) return &t;
  return nullptr;
}

const i64* gguf_integer(const GgufHeader& h, std::string_view key) {
  auto found = h.metadata.find(key);
  return found == h.metadata.end() ? nullptr : std::get_if<i64>(&found->second);
}

std::string printable_name(std::string_view name) {
  std::string out;
  for (unsigned char c : name.substr(0, 80)) {
    if (c >= 32 && c < 127)
      out += char(c);
    else
      out += fmt::format("\\x{:02x}", c);
  }
  return name.size() > 80 ? out + "..." : out;
}

GgufHeader parse_gguf_header(GgufInput& in, i64& kept) {
  GgufHeader h = Parser(in, kept).header();
  read_split_keys(h);
  return h;
}

ParsedGguf parse_gguf(std::span<const std::byte> bytes) {
  return gguf_result([&] {
    GgufInput in(bytes);
    i64 kept = 0;
    return parse_gguf_header(in, kept);
  });
}

}  // namespace kvroof
