// Layout and limits: the safetensors format description (header up to 100 MB, tensors contiguous from byte 0).
#include "catalog/safetensors.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <regex>
#include <set>
#include <unordered_set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace kvroof {
namespace {

constexpr i64 most_json = 100'000'000, most_bytes = i64(1) << 53, most_rank = 32;

struct Dtype {
  std::string_view name;
  i64 bits;
};
constexpr Dtype dtypes[] = {
    {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6},     {"F6_E3M2", 6},     {"U8", 8},   {"I8", 8},
    {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8},     {"I16", 16},        {"U16", 16}, {"F16", 16},
    {"BF16", 16},   {"I32", 32},    {"U32", 32},        {"F32", 32},        {"C64", 64}, {"F64", 64},
    {"I64", 64},    {"U64", 64},    {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8},
};

struct Refused {
  std::string what;
};

std::string printable(std::string_view name) {
  std::string out;
  for (unsigned char c : name.substr(0, 80)) {
    if (c >= 32 && c < 127)
      out += char(c);
    else
      out += fmt::format("\\x{:02x}", c);
  }
  return name.size() > 80 ? out + "..." : out;
}

/// What the two documents have in common: objects and arrays up to a depth, one value at a time, no key twice.
/// The functions and their names are what nlohmann's sax_parse calls.
template <class Document>
struct Walk {
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  Document& document;
  i64 json_begin = 0;  ///< where the text lies in its file, so that a syntax error can name the file's byte
  std::string error;
  std::vector<std::string> path;                      ///< keys from the root to here
  std::vector<std::unordered_set<std::string>> seen;  ///< keys of the open objects
  int arrays = 0;

  bool refuse(std::string what) {
    error = std::move(what);
    return false;
  }
  std::string place() const {
    std::string out;
    for (const std::string& key : path) out += (out.empty() ? "" : ".") + printable(key);
    return out.empty() ? "the header" : out;
  }
  template <class Value>
  bool value(const Value& v) {
    if (seen.empty() && arrays == 0) return refuse("the header is not a JSON object");
    std::string wrong = document.value(path, arrays > 0, v);
    return wrong.empty() || refuse(place() + " " + wrong);
  }

  bool null() { return value(nullptr); }
  bool boolean(bool v) { return value(v); }
  bool number_integer(number_integer_t v) { return value(double(v)); }
  bool number_unsigned(number_unsigned_t v) { return value(std::uint64_t(v)); }
  bool number_float(number_float_t v, const string_t&) { return value(double(v)); }
  bool string(string_t& v) { return value(v); }
  bool binary(binary_t&) { return refuse("the header is not JSON"); }
  bool start_object(std::size_t) {
    if (arrays > 0 || seen.size() == 2) return refuse(place() + " is nested too deep");
    seen.emplace_back();
    path.emplace_back();
    return seen.size() == 1 || document.open(path[0]);
  }
  bool key(string_t& k) {
    path.back() = k;
    return seen.back().insert(k).second || refuse(place() + " is given twice");
  }
  bool end_object() {
    seen.pop_back();
    path.pop_back();
    return true;
  }
  bool start_array(std::size_t) {
    if (seen.empty()) return refuse("the header is not a JSON object");
    if (arrays > 0) return refuse(place() + " is nested too deep");
    ++arrays;
    std::string wrong = document.list(path);
    return wrong.empty() || refuse(place() + " " + wrong);
  }
  bool end_array() {
    --arrays;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) {
    i64 before = std::max<i64>(i64(position) - 1, 0);  // the parser counts the offending byte too
    return refuse(fmt::format("byte {}: the header is not valid JSON", json_begin + before));
  }
};

template <class Document>
void walk(Document& document, std::string_view json, i64 json_begin) {
  Walk<Document> walker{document, json_begin, "", {}, {}, 0};
  if (!nlohmann::json::sax_parse(json.begin(), json.end(), &walker)) throw Refused{walker.error};
}

/// A number of the document as an integer from 0 to 2^53, or a text saying what is wrong.
template <class Value>
std::string to_integer(const Value& v, i64& out) {
  if constexpr (std::is_same_v<Value, std::uint64_t>) {
    if (v > std::uint64_t(most_bytes)) return fmt::format("is {}, more than 2^53", v);
    out = i64(v);
    return "";
  } else if constexpr (std::is_same_v<Value, double>) {
    if (!(v >= 0 && v <= double(most_bytes)) || v != std::floor(v))
      return fmt::format("is {}, expected a whole number from 0", v);
    out = i64(v);
    return "";
  } else {
    return "is not a number";
  }
}

/// name -> {dtype, shape, data_offsets}, and __metadata__ of strings.
struct TensorList {
  std::vector<SafetensorsHeader::Tensor> tensors;
  std::vector<int> parts;    ///< which of dtype (1), shape (2) and data_offsets (4) each tensor has
  std::vector<i64> offsets;  ///< of the tensor being read
  bool in_metadata = false;

  bool open(const std::string& name) {
    in_metadata = name == "__metadata__";
    offsets.clear();
    if (in_metadata) return true;
    tensors.push_back({name, "", {}, 0, 0});
    parts.push_back(0);
    return true;
  }
  std::string list(const std::vector<std::string>& path) {
    if (path.size() != 2 || in_metadata || (path[1] != "shape" && path[1] != "data_offsets")) return "is an array";
    parts.back() |= path[1] == "shape" ? 2 : 4;
    return "";
  }
  template <class Value>
  std::string value(const std::vector<std::string>& path, bool in_list, const Value& v) {
    if (path.size() != 2) return "is not an object";
    if (in_metadata) return std::is_same_v<Value, std::string> ? "" : "is not a string";
    if (!in_list && path[1] != "dtype")
      return path[1] == "shape" || path[1] == "data_offsets" ? "is not an array" : "is not a known key";
    if (!in_list) return dtype(v);
    i64 number = 0;
    std::string wrong = to_integer(v, number);
    if (!wrong.empty()) return wrong;
    std::vector<i64>& to = path[1] == "shape" ? tensors.back().shape : offsets;
    if (i64(to.size()) == (path[1] == "shape" ? most_rank : 2)) return "has too many elements";
    to.push_back(number);
    if (&to == &offsets) (to.size() == 1 ? tensors.back().begin : tensors.back().end) = number;
    if (&to == &offsets && to.size() == 2) parts.back() |= 8;
    return "";
  }
  template <class Value>
  std::string dtype(const Value& v) {
    if constexpr (std::is_same_v<Value, std::string>) {
      tensors.back().dtype = v;
      parts.back() |= 1;
      return "";
    } else {
      return "is not a string";
    }
  }
};

i64 bits_of(const SafetensorsHeader::Tensor& t) {
  for (const Dtype& d : dtypes)
    if (d.name == t.dtype) return d.bits;
  throw Refused{fmt::format("{}.dtype {} is not known", printable(t.name), printable(t.dtype))};
}

void check_size(const SafetensorsHeader::Tensor& t) {
  i64 bits = bits_of(t);
  bool empty = std::find(t.shape.begin(), t.shape.end(), 0) != t.shape.end();
  i64 elements = empty ? 0 : 1;
  for (i64 n : t.shape) {
    if (!empty && n > most_bytes / 8 / elements)
      throw Refused{fmt::format("{}.shape has more than 2^50 elements", printable(t.name))};
    elements *= n;
  }
  if (t.begin > t.end)
    throw Refused{fmt::format("{}.data_offsets end at {}, before they begin at {}", printable(t.name), t.end, t.begin)};
  if (elements * bits % 8 != 0)
    throw Refused{fmt::format("{}: {} elements of {} are not whole bytes", printable(t.name), elements, t.dtype)};
  if (t.end - t.begin != elements * bits / 8)
    throw Refused{fmt::format("{}.data_offsets span {} bytes, but {} elements of {} take {}", printable(t.name),
                              t.end - t.begin, elements, t.dtype, elements * bits / 8)};
}

void check_places(std::vector<SafetensorsHeader::Tensor>& tensors, i64 data_begin, i64 file_size) {
  std::sort(tensors.begin(), tensors.end(),
            [](const auto& a, const auto& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  i64 end = 0;
  for (const auto& t : tensors) {
    if (t.begin != end)
      throw Refused{
          fmt::format("{} begins at {}, but the tensor before it ends at {}", printable(t.name), t.begin, end)};
    end = t.end;
  }
  if (data_begin + end != file_size)
    throw Refused{fmt::format("the tensors end at byte {}, the file at byte {}", data_begin + end, file_size)};
}

void check_parts(const TensorList& list) {
  for (std::size_t i = 0; i < list.tensors.size(); ++i) {
    std::string name = printable(list.tensors[i].name);
    if (!(list.parts[i] & 1)) throw Refused{name + ".dtype is missing"};
    if (!(list.parts[i] & 2)) throw Refused{name + ".shape is missing"};
    if (!(list.parts[i] & 4)) throw Refused{name + ".data_offsets is missing"};
    if (!(list.parts[i] & 8)) throw Refused{name + ".data_offsets does not have two elements"};
  }
}

i64 json_length(std::span<const std::byte> bytes, i64 file_size) {
  if (bytes.size() < 8) throw Refused{"byte 0: the file ends inside the length of the header"};
  std::array<std::byte, 8> raw;
  std::copy_n(bytes.begin(), 8, raw.begin());
  if constexpr (std::endian::native == std::endian::big) std::reverse(raw.begin(), raw.end());
  auto length = std::bit_cast<std::uint64_t>(raw);
  if (length > std::uint64_t(most_json))
    throw Refused{fmt::format("byte 0: header length {} is more than 100 MB", length)};
  if (i64(length) > file_size - 8)
    throw Refused{fmt::format("byte 0: header length {} is more than the file can hold", length)};
  return i64(length);
}

SafetensorsHeader parse(std::span<const std::byte> bytes, i64 file_size) {
  i64 length = json_length(bytes, file_size);
  if (i64(bytes.size()) - 8 < length)
    throw Refused{fmt::format("byte {}: the file ends inside the header", bytes.size())};
  std::string_view json(reinterpret_cast<const char*>(bytes.data()) + 8, std::size_t(length));
  TensorList list;
  walk(list, json, 8);
  check_parts(list);
  for (const auto& t : list.tensors) check_size(t);
  check_places(list.tensors, 8 + length, file_size);
  return {std::move(list.tensors)};
}

std::ifstream open(const std::filesystem::path& file, i64& size) {
  std::error_code ec;
  std::filesystem::file_status status = std::filesystem::status(file, ec);
  if (!std::filesystem::exists(status)) throw Refused{"no such file"};
  if (!std::filesystem::is_regular_file(status)) throw Refused{"not a regular file"};
  size = i64(std::filesystem::file_size(file, ec));
  std::ifstream stream(file, std::ios::binary);
  if (ec || !stream) throw Refused{"cannot be opened"};
  return stream;
}

std::vector<std::byte> first_bytes(std::ifstream& stream, i64 count) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(count));
  stream.seekg(0);
  stream.read(reinterpret_cast<char*>(bytes.data()), std::streamsize(count));
  if (stream.gcount() != std::streamsize(count)) throw Refused{"cannot be read from the disk"};
  return bytes;
}

SafetensorsHeader read(const std::filesystem::path& file) {
  i64 size = 0;
  std::ifstream stream = open(file, size);
  i64 length = json_length(first_bytes(stream, std::min<i64>(size, 8)), size);
  return parse(first_bytes(stream, 8 + length), size);
}

/// Turns what is thrown inside into the error of a result, with the file's name before it.
template <class Result, class Read>
Result caught(const std::string& prefix, Read read) {
  Result out;
  try {
    return read();
  } catch (const Refused& refused) { out.error = prefix + refused.what; } catch (const std::exception& e) {
    out.error = prefix + "cannot be read: " + e.what();
  }
  return out;
}

i64 sum_bytes(const SafetensorsHeader& h) {
  i64 sum = 0;
  for (const auto& t : h.tensors) sum += t.end - t.begin;
  return sum;
}

/// model.safetensors.index.json: metadata.total_size, and weight_map from tensors to files.
struct Index {
  std::optional<i64> total_size;
  std::set<std::string> shards;

  bool open(const std::string&) { return true; }
  std::string list(const std::vector<std::string>& path) { return path[0] == "weight_map" ? "is an array" : ""; }
  template <class Value>
  std::string value(const std::vector<std::string>& path, bool, const Value& v) {
    if (path.size() == 2 && path[0] == "weight_map") return shard(v);
    if (path.size() == 1 && path[0] == "weight_map") return "is not an object";
    if (path.size() != 2 || path[0] != "metadata" || path[1] != "total_size") return "";
    i64 number = 0;
    std::string wrong = to_integer(v, number);
    if (wrong.empty()) total_size = number;
    return wrong;
  }
  /// A shard lies beside its index; a path that leaves the directory is nobody's shard.
  template <class Value>
  std::string shard(const Value& v) {
    if constexpr (std::is_same_v<Value, std::string>) {
      bool plain = !v.empty() && v != "." && v != ".." && v.find_first_of(std::string_view("/\\\0", 3)) == v.npos;
      if (plain) shards.insert(v);
      return plain ? "" : fmt::format("is {}, not a file name", printable(v));
    } else {
      return "is not a string";
    }
  }
};

Index read_index(const std::filesystem::path& file) {
  i64 size = 0;
  std::ifstream stream = open(file, size);
  if (size > most_json) throw Refused{"the index is longer than 100 MB"};
  std::vector<std::byte> bytes = first_bytes(stream, size);
  Index index;
  walk(index, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), 0);
  if (index.shards.empty()) throw Refused{"weight_map names no files"};
  return index;
}

WeightBytes bytes_of_index(const std::filesystem::path& file) {
  Index index = read_index(file);
  std::vector<std::string> missing;
  i64 sum = 0;
  for (const std::string& name : index.shards) {
    std::filesystem::path shard = file.parent_path() / name;
    std::error_code ec;
    if (!std::filesystem::exists(shard, ec)) {
      missing.push_back(printable(name));
      continue;
    }
    ParsedSafetensors parsed = read_safetensors(shard);
    if (!parsed.header) return {std::nullopt, parsed.error};
    sum += sum_bytes(*parsed.header);
    if (sum > most_bytes) throw Refused{"the shards take more than 8 PiB"};
  }
  bool all_missing = missing.size() == index.shards.size();
  if (!missing.empty() && !index.total_size)
    throw Refused{fmt::format("metadata.total_size is missing, and so is {}", missing[0])};
  if (all_missing) return {index.total_size, ""};
  if (!missing.empty())
    return {index.total_size, fmt::format("{}: {} of {} shards are missing ({}): metadata.total_size is used",
                                          file.string(), missing.size(), index.shards.size(), missing[0])};
  if (index.total_size && *index.total_size != sum)
    return {sum, fmt::format("{}: metadata.total_size is {}, the shards hold {}: the shards are used", file.string(),
                             *index.total_size, sum)};
  return {sum, ""};
}

/// What precedes "-00001-of-00003.safetensors" in a file's name, and how many shards there are.
struct Shard {
  std::string stem;
  i64 number = 0, count = 0;
};

std::optional<Shard> shard_of(const std::string& name) {
  static const std::regex form(R"((.+)-(\d{5,9})-of-(\d{5,9})\.safetensors)");
  std::smatch m;
  if (!std::regex_match(name, m, form)) return std::nullopt;
  return Shard{m[1], std::stoll(m[2]), std::stoll(m[3])};
}

std::string shard_name(const Shard& shard, i64 number) {
  return fmt::format("{}-{:05}-of-{:05}.safetensors", shard.stem, number, shard.count);
}

/// One shard stands for the whole: what its index names, or all that its own name counts.
WeightBytes bytes_of_shards(const std::filesystem::path& file, const Shard& shard) {
  std::error_code ec;
  if (!std::filesystem::exists(file, ec)) throw Refused{"no such file"};
  std::filesystem::path index = file.parent_path() / (shard.stem + ".safetensors.index.json");
  if (std::filesystem::exists(index, ec)) return bytes_of_index(index);
  if (shard.number < 1 || shard.number > shard.count || shard.count > 100'000)
    throw Refused{"its name is of no shard that there can be"};
  i64 sum = 0;
  for (i64 number = 1; number <= shard.count; ++number) {
    std::string name = shard_name(shard, number);
    if (!std::filesystem::exists(file.parent_path() / name, ec))
      throw Refused{fmt::format("is shard {} of {}, but {} is not beside it, nor is {}", shard.number, shard.count,
                                printable(name), printable(index.filename().string()))};
    ParsedSafetensors parsed = read_safetensors(file.parent_path() / name);
    if (!parsed.header) return {std::nullopt, parsed.error};
    sum += sum_bytes(*parsed.header);
    if (sum > most_bytes) throw Refused{"the shards take more than 8 PiB"};
  }
  return {sum, ""};
}

}  // namespace

ParsedSafetensors parse_safetensors(std::span<const std::byte> bytes, i64 file_size) {
  return caught<ParsedSafetensors>("", [&] { return ParsedSafetensors{parse(bytes, file_size), ""}; });
}

ParsedSafetensors read_safetensors(const std::filesystem::path& file) {
  return caught<ParsedSafetensors>(file.string() + ": ", [&] { return ParsedSafetensors{read(file), ""}; });
}

WeightBytes safetensors_weight_bytes(const std::filesystem::path& file_or_index) {
  return caught<WeightBytes>(file_or_index.string() + ": ", [&] {
    if (file_or_index.extension() == ".json") return bytes_of_index(file_or_index);
    if (std::optional<Shard> shard = shard_of(file_or_index.filename().string()))
      return bytes_of_shards(file_or_index, *shard);
    return WeightBytes{sum_bytes(read(file_or_index)), ""};
  });
}

}  // namespace kvroof
