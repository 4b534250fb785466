// What reading a GGUF header from memory and from files share: the window, the refusal, the parser's entry.
//
// Internal to the readers; gguf.h is the interface.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/gguf.h"

namespace kvroof {

/// How a bad header leaves the functions below; caught at the rim of the interface, never seen outside.
struct GgufRefused {
  std::string what;
};

/// Bytes a model's tensors may take together: quantities are exact up to here.
constexpr i64 most_gguf_bytes = i64(1) << 53;
constexpr i64 gguf_window = 1 << 16;

/// The header's bytes: all in memory, or a window over a file.
class GgufInput {
 public:
  explicit GgufInput(std::span<const std::byte> bytes) : window_(bytes), size_(i64(bytes.size())) {}
  GgufInput(std::ifstream& file, i64 size) : file_(&file), size_(size), buffer_(std::size_t(gguf_window)) {}

  i64 at() const { return at_; }
  i64 size() const { return size_; }
  i64 left() const { return size_ - at_; }
  void skip(i64 count) { at_ += count; }
  /// False when the file cannot be read there; the caller has checked `count` against left().
  bool copy(void* to, i64 count) {
    char* out = static_cast<char*>(to);
    while (count > 0) {
      if (!holds(at_) && !fill()) return false;
      i64 offset = at_ - begin_;
      i64 part = std::min(count, i64(window_.size()) - offset);
      std::memcpy(out, window_.data() + offset, std::size_t(part));
      out += part;
      at_ += part;
      count -= part;
    }
    return true;
  }

 private:
  bool holds(i64 at) const { return at >= begin_ && at < begin_ + i64(window_.size()); }
  bool fill() {
    if (!file_) return false;
    file_->clear();
    file_->seekg(at_);
    file_->read(reinterpret_cast<char*>(buffer_.data()), std::streamsize(std::min(gguf_window, left())));
    window_ = std::span<const std::byte>(buffer_).first(std::size_t(file_->gcount()));
    begin_ = at_;
    return !window_.empty();
  }

  std::ifstream* file_ = nullptr;
  std::span<const std::byte> window_;
  i64 begin_ = 0, at_ = 0, size_ = 0;
  std::vector<std::byte> buffer_;
};

/// One file's header. `kept` counts the bytes its result costs, over all files of a model; throws GgufRefused.
GgufHeader parse_gguf_header(GgufInput& in, i64& kept);

/// An integer of the metadata; null when it is missing or something else.
const i64* gguf_integer(const GgufHeader& header, std::string_view key);

/// A name from a file, fit for one line of a terminal.
std::string printable_name(std::string_view name);

/// Turns whatever leaves `read` into a result: GgufRefused, or what the library throws when memory runs out.
template <class Read>
ParsedGguf gguf_result(Read read) {
  try {
    return {read(), ""};
  } catch (const GgufRefused& refused) { return {std::nullopt, refused.what}; } catch (const std::exception& e) {
    return {std::nullopt, std::string("the GGUF header cannot be read: ") + e.what()};
  }
}

}  // namespace kvroof
