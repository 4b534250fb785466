// Specs as bytes, as the built-in catalogue keeps them: each field in the order of its list, without keys.
//
// Written when kvroof is built and read when it runs, so there are no versions and nothing to check. Numbers take eight
// bytes, least significant first; texts and lists begin with how many; formats and words are their place in their list.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "catalog/fields.h"
#include "catalog/names.h"

namespace kvroof {

template <class T>
concept HasFields = requires(T& t) {
  fields(t, [](auto&&...) {});
};

class Packer {
 public:
  explicit Packer(std::string& out) : out_(out) {}

  void write(std::uint64_t v) {
    for (int shift = 0; shift < 64; shift += 8) out_.push_back(char(v >> shift));
  }
  void write(i64 v) { write(std::uint64_t(v)); }
  void write(double v) { write(std::bit_cast<std::uint64_t>(v)); }
  void write(bool v) { out_.push_back(char(v)); }
  void write(const std::string& v) {
    write(std::uint64_t(v.size()));
    out_ += v;
  }
  void write(const Format& v) { out_.push_back(char(find_format(v.name) - formats().data())); }
  template <Named Enum>
  void write(Enum v) {
    out_.push_back(char(v));
  }
  void write(Overlap v) { write(v.hidden); }
  void write(Watts v) { write(v.value); }
  template <Dimension D>
  void write(const Quantity<D>& v) {
    write(v.value);
  }
  template <class T>
  void write(const std::optional<T>& v) {
    write(v.has_value());
    if (v) write(*v);
  }
  template <class T>
  void write(const std::vector<T>& v) {
    write(std::uint64_t(v.size()));
    for (const T& item : v) write(item);
  }
  template <class T, std::size_t N>
  void write(const std::array<T, N>& v) {
    for (const T& item : v) write(item);
  }
  template <class... Kinds>
  void write(const std::variant<Kinds...>& v) {
    out_.push_back(char(v.index()));
    std::visit([&](const auto& kind) { write(kind); }, v);
  }
  template <HasFields T>
  void write(const T& v) {
    if constexpr (requires { v.matrices; }) write(v.matrices);  // of a feed-forward, its kind's name says it
    fields(v, *this);
  }
  template <class T, class... Fallback>
  void operator()(const char*, const T& v, const Fallback&...) {
    write(v);
  }

 private:
  std::string& out_;
};

class Unpacker {
 public:
  explicit Unpacker(std::string_view from) : from_(from) {}

  void read(std::uint64_t& v) {
    v = 0;
    for (int shift = 0; shift < 64; shift += 8) v |= std::uint64_t(byte()) << shift;
  }
  void read(i64& v) { v = i64(read<std::uint64_t>()); }
  void read(double& v) { v = std::bit_cast<double>(read<std::uint64_t>()); }
  void read(bool& v) { v = byte() != 0; }
  void read(std::string& v) {
    std::size_t size = read<std::uint64_t>();
    v = from_.substr(at_, size);
    at_ += size;
  }
  void read(Format& v) { v = formats()[byte()]; }
  template <Named Enum>
  void read(Enum& v) {
    v = Enum(byte());
  }
  void read(Overlap& v) { read(v.hidden); }
  void read(Watts& v) { read(v.value); }
  template <Dimension D>
  void read(Quantity<D>& v) {
    read(v.value);
  }
  template <class T>
  void read(std::optional<T>& v) {
    v.reset();
    if (read<bool>()) read(v.emplace());
  }
  template <class T>
  void read(std::vector<T>& v) {
    v.resize(read<std::uint64_t>());
    for (T& item : v) read(item);
  }
  template <class T, std::size_t N>
  void read(std::array<T, N>& v) {
    for (T& item : v) read(item);
  }
  template <class... Kinds>
  void read(std::variant<Kinds...>& v) {
    std::size_t index = byte(), kind = 0;
    ((kind++ == index ? read(v.template emplace<Kinds>()) : void()), ...);
  }
  template <HasFields T>
  void read(T& v) {
    if constexpr (requires { v.matrices; }) read(v.matrices);
    fields(v, *this);
  }
  template <class T, class... Fallback>
  void operator()(const char*, T& v, const Fallback&...) {
    read(v);
  }

 private:
  template <class T>
  T read() {
    T v{};
    read(v);
    return v;
  }
  std::uint8_t byte() { return std::uint8_t(from_[at_++]); }

  std::string_view from_;
  std::size_t at_ = 0;
};

}  // namespace kvroof
