// Quantities with dimensions: bytes, flops and seconds are types, so `bytes * bandwidth` does not compile.
//
// A quantity holds one double in base units (byte, flop, second; a rate is a quotient of them). Bytes are
// exact up to 2^53 (8 PiB), beyond which problems() refuses an input. Counts (tokens, heads, layers,
// sequences) are plain integers with plain names. Units appear only at the rim: units.h.
#pragma once

#include <cstdint>

namespace kvroof {

using i64 = std::int64_t;

struct Dimension {
  int byte = 0;
  int flop = 0;
  int second = 0;
  constexpr bool operator==(const Dimension&) const = default;
};

template <Dimension D>
struct Quantity {
  double value = 0;

  constexpr bool operator==(const Quantity&) const = default;
  constexpr auto operator<=>(const Quantity&) const = default;
  constexpr Quantity& operator+=(Quantity other) {
    value += other.value;
    return *this;
  }
  constexpr Quantity& operator-=(Quantity other) {
    value -= other.value;
    return *this;
  }
};

template <Dimension D>
constexpr Quantity<D> operator+(Quantity<D> a, Quantity<D> b) {
  return {a.value + b.value};
}
template <Dimension D>
constexpr Quantity<D> operator-(Quantity<D> a, Quantity<D> b) {
  return {a.value - b.value};
}
template <Dimension D>
constexpr Quantity<D> operator*(Quantity<D> a, double k) {
  return {a.value * k};
}
template <Dimension D>
constexpr Quantity<D> operator*(double k, Quantity<D> a) {
  return {k * a.value};
}
template <Dimension D>
constexpr Quantity<D> operator/(Quantity<D> a, double k) {
  return {a.value / k};
}
template <Dimension D>
constexpr double operator/(Quantity<D> a, Quantity<D> b) {
  return a.value / b.value;
}

template <Dimension A, Dimension B>
  requires(!(A == B))
constexpr Quantity<Dimension{A.byte - B.byte, A.flop - B.flop, A.second - B.second}> operator/(Quantity<A> a,
                                                                                               Quantity<B> b) {
  return {a.value / b.value};
}

using Bytes = Quantity<Dimension{.byte = 1}>;
using Flops = Quantity<Dimension{.flop = 1}>;
using Seconds = Quantity<Dimension{.second = 1}>;
using Bandwidth = Quantity<Dimension{.byte = 1, .second = -1}>;
using FlopRate = Quantity<Dimension{.flop = 1, .second = -1}>;

template <Dimension D>
constexpr Quantity<D> larger(Quantity<D> a, Quantity<D> b) {
  return a < b ? b : a;
}
template <Dimension D>
constexpr Quantity<D> smaller(Quantity<D> a, Quantity<D> b) {
  return b < a ? b : a;
}

constexpr i64 ceil_div(i64 a, i64 b) { return (a + b - 1) / b; }
constexpr i64 round_up(i64 a, i64 step) { return ceil_div(a, step) * step; }

}  // namespace kvroof
