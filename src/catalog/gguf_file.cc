// GGUF headers from the disk: one file, or the parts of a split model put together again. Any part leads to the
// others by its name, as llama.cpp's gguf-split writes it; the first part holds the metadata.
#include <filesystem>
#include <unordered_set>

#include <fmt/format.h>

#include "catalog/gguf_parser.h"

namespace kvroof {
namespace {

GgufHeader read_one(const std::filesystem::path& file, i64& kept) {
  try {
    std::error_code ec;
    std::filesystem::file_status status = std::filesystem::status(file, ec);
    if (!std::filesystem::exists(status)) throw GgufRefused{"no such file"};
    if (!std::filesystem::is_regular_file(status)) throw GgufRefused{"not a regular file"};
    auto size = std::filesystem::file_size(file, ec);
    std::ifstream stream(file, std::ios::binary);
    if (ec || !stream) throw GgufRefused{"cannot be opened"};
    GgufInput in(stream, i64(size));
    return parse_gguf_header(in, kept);
  } catch (const GgufRefused& refused) { throw GgufRefused{file.string() + ": " + refused.what}; }
}

std::string split_ending(i64 no, i64 count) { return fmt::format("-{:05}-of-{:05}.gguf", no + 1, count); }

/// What precedes "-00001-of-00003.gguf" in a file name; empty when it is not of that form.
std::string split_stem(const std::string& name, i64 no, i64 count) {
  std::string ending = split_ending(no, count);
  return name.ends_with(ending) ? name.substr(0, name.size() - ending.size()) : "";
}

void check_part(const GgufHeader& part, const std::filesystem::path& path, i64 no, i64 count) {
  if (part.split_no != no || part.split_count != count)
    throw GgufRefused{fmt::format("{}: is part {} of {}, expected part {} of {}", path.string(), part.split_no + 1,
                                  part.split_count, no + 1, count)};
}

void append_part(GgufHeader& whole, GgufHeader part, const std::string& part_name) {
  for (GgufTensor& t : part.tensors) whole.tensors.push_back(std::move(t));
  for (std::string& note : part.notes) whole.notes.push_back(part_name + ": " + note);
}

void check_whole(const GgufHeader& whole, const std::filesystem::path& file) {
  std::unordered_set<std::string_view> names;
  double bytes = 0, elements = 0;
  for (const GgufTensor& t : whole.tensors) {
    if (!names.insert(t.name).second)
      throw GgufRefused{fmt::format("{}: tensor {} is in two parts", file.string(), printable_name(t.name))};
    bytes += t.bytes;
    elements += double(t.elements);
  }
  if (bytes > double(most_gguf_bytes) || elements > double(most_gguf_bytes))
    throw GgufRefused{file.string() + ": the tensors take more than 8 PiB"};
  const i64* count = gguf_integer(whole, "split.tensors.count");
  if (count && *count != i64(whole.tensors.size()))
    throw GgufRefused{fmt::format("{}: the parts hold {} tensors, but split.tensors.count is {}", file.string(),
                                  whole.tensors.size(), *count)};
}

/// The parts in order; the first holds the metadata of the model.
GgufHeader read_parts(const std::filesystem::path& file, i64 named_no, i64 count) {
  std::string stem = split_stem(file.filename().string(), named_no, count);
  if (stem.empty())
    throw GgufRefused{
        fmt::format("{}: is part {} of {}, but its name does not end in {}, so the other parts are not found",
                    file.string(), named_no + 1, count, split_ending(named_no, count))};
  GgufHeader whole;
  i64 kept = 0;
  for (i64 no = 0; no < count; ++no) {
    std::filesystem::path path = file.parent_path() / (stem + split_ending(no, count));
    GgufHeader part = read_one(path, kept);
    check_part(part, path, no, count);
    if (no == 0)
      whole = std::move(part);
    else
      append_part(whole, std::move(part), path.filename().string());
  }
  check_whole(whole, file);
  whole.tensor_count = i64(whole.tensors.size());
  return whole;
}

}  // namespace

ParsedGguf read_gguf(const std::filesystem::path& file) {
  return gguf_result([&] {
    i64 kept = 0;
    GgufHeader one = read_one(file, kept);
    if (one.split_count == 1) return one;
    i64 no = one.split_no, count = one.split_count;
    one = {};  // read again in its turn
    return read_parts(file, no, count);
  });
}

}  // namespace kvroof
