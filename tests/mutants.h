// Every mutant of src/core in one program. tests/mutate.py writes these where a token stood, and the environment says
// which one is alive; a token whose number is not asked for does what it did.
//
//   a + b        a + ::mutants::Plus<17>{} + b     MUTANT=17: a - b
//   x < y        x < ::mutants::Less<18>{} < y     18: x <= y, 19: x >= y
//   3            ::mutants::number<20>(3)          20: 4
//
// The operator stands twice, so precedence and associativity stay those of the source. What has no meaning (bytes times
// bytes) ends the program: it would not have compiled. MUTANT_HAS_NO_MEANING names the file that says so, MUTANTS_MET
// one for the numbers of those that were met.
#pragma once
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <optional>
#include <type_traits>

namespace mutants {

struct State {
  int alive = 0;
  bool met[1 << 14] = {};
  State() {
    if (const char* number = std::getenv("MUTANT")) alive = std::atoi(number);
  }
  ~State() {
    const char* path = std::getenv("MUTANTS_MET");
    std::FILE* file = path ? std::fopen(path, "a") : nullptr;  // a test may run the program, many times
    if (!file) return;
    for (int id = 0; id < int(std::size(met)); ++id)
      if (met[id]) std::fprintf(file, "%d\n", id);
    std::fclose(file);
  }
};
inline State state __attribute__((init_priority(101)));

[[noreturn]] inline void has_no_meaning() {
  if (const char* path = std::getenv("MUTANT_HAS_NO_MEANING"))
    if (std::FILE* file = std::fopen(path, "w")) std::fclose(file);
  _exit(77);
}

inline bool alive(int id) {
  state.met[id] = true;
  return state.alive == id;
}

/// `Usual` of the arguments; the first of the others where `id` is alive, the second where `id` + 1 is.
template <int id, class Usual, class Other, class... Others, class... Arguments>
auto chosen(Arguments&&... arguments) {
  using Result = std::decay_t<std::invoke_result_t<Usual, Arguments...>>;
  if (alive(id)) {
    if constexpr (std::is_invocable_r_v<Result, Other, Arguments...>)
      return Result(Other{}(arguments...));
    else
      has_no_meaning();
  }
  if constexpr (sizeof...(Others) > 0)
    return Result(chosen<id + 1, Usual, Others...>(arguments...));
  else
    return Result(Usual{}(arguments...));
}

template <class>
constexpr bool is_optional = false;
template <class T>
constexpr bool is_optional<std::optional<T>> = true;

// A std::optional compares itself with whatever its value can be compared with; it is not to find these.
#define KVROOF_BINARY_MUTANT(Name, op, ...)                                                \
  template <int id>                                                                        \
  struct Name {};                                                                          \
  template <int id, class Left>                                                            \
  struct Name##Left {                                                                      \
    Left& left;                                                                            \
    template <class Right>                                                                 \
      requires(is_optional<std::decay_t<Left>> == is_optional<std::decay_t<Right>>)        \
    auto operator op(Right&& right) const { return chosen<id, __VA_ARGS__>(left, right); } \
  };                                                                                       \
  template <class Left, int id>                                                            \
  Name##Left<id, const Left> operator op(const Left& left, Name<id>) {                     \
    return {left};                                                                         \
  }

KVROOF_BINARY_MUTANT(Plus, +, std::plus<>, std::minus<>)
KVROOF_BINARY_MUTANT(Minus, -, std::minus<>, std::plus<>)
KVROOF_BINARY_MUTANT(Times, *, std::multiplies<>, std::divides<>)
KVROOF_BINARY_MUTANT(Over, /, std::divides<>, std::multiplies<>)
KVROOF_BINARY_MUTANT(Modulo, %, std::modulus<>, std::divides<>)
KVROOF_BINARY_MUTANT(Less, <, std::less<>, std::less_equal<>, std::greater_equal<>)
KVROOF_BINARY_MUTANT(AtMost, <=, std::less_equal<>, std::less<>, std::greater<>)
KVROOF_BINARY_MUTANT(More, >, std::greater<>, std::greater_equal<>, std::less_equal<>)
KVROOF_BINARY_MUTANT(AtLeast, >=, std::greater_equal<>, std::greater<>, std::less<>)
KVROOF_BINARY_MUTANT(Equal, ==, std::equal_to<>, std::not_equal_to<>)
KVROOF_BINARY_MUTANT(Unequal, !=, std::not_equal_to<>, std::equal_to<>)
#undef KVROOF_BINARY_MUTANT

// x += y is x += (PlusInto<17>{} += y): what is asked for waits on the right.
#define KVROOF_ASSIGNMENT_MUTANT(Name, op, other)                      \
  template <int id, class Right>                                       \
  struct Name##Right {                                                 \
    const Right& right;                                                \
  };                                                                   \
  template <int id>                                                    \
  struct Name {                                                        \
    template <class Right>                                             \
    Name##Right<id, Right> operator op(const Right& right) const {     \
      return {right};                                                  \
    }                                                                  \
  };                                                                   \
  template <class Left, int id, class Right>                           \
  Left& operator op(Left& left, const Name##Right<id, Right>& asked) { \
    if (alive(id)) {                                                   \
      if constexpr (requires { left other asked.right; })              \
        left other asked.right;                                        \
      else                                                             \
        has_no_meaning();                                              \
      return left;                                                     \
    }                                                                  \
    left op asked.right;                                               \
    return left;                                                       \
  }

KVROOF_ASSIGNMENT_MUTANT(PlusInto, +=, -=)
KVROOF_ASSIGNMENT_MUTANT(MinusInto, -=, +=)
KVROOF_ASSIGNMENT_MUTANT(TimesInto, *=, /=)
KVROOF_ASSIGNMENT_MUTANT(OverInto, /=, *=)
#undef KVROOF_ASSIGNMENT_MUTANT

template <int id, class Number>
Number number(Number usual) {
  if constexpr (std::is_same_v<Number, bool>)
    return alive(id) ? !usual : usual;
  else if constexpr (std::is_integral_v<Number>)
    return alive(id) ? usual + 1 : usual;
  else
    return alive(id) ? usual == 0 ? 1 : usual * 2 : usual;
}

// Functions and their opposites. Those of quantities are found where they are used, by the arguments' types.
#define KVROOF_FUNCTION_MUTANT(Name, usual, other)                \
  template <int id, class... T>                                   \
  auto Name(const auto&... arguments) {                           \
    return alive(id) ? other(arguments...) : usual(arguments...); \
  }

KVROOF_FUNCTION_MUTANT(least, std::min<T...>, std::max<T...>)
KVROOF_FUNCTION_MUTANT(most, std::max<T...>, std::min<T...>)
KVROOF_FUNCTION_MUTANT(up, std::ceil, std::floor)
KVROOF_FUNCTION_MUTANT(down, std::floor, std::ceil)
KVROOF_FUNCTION_MUTANT(the_larger, larger, smaller)
KVROOF_FUNCTION_MUTANT(the_smaller, smaller, larger)
#undef KVROOF_FUNCTION_MUTANT

/// ceil_div and round_up of core/quantity.h, which counts of no namespace can't be asked for.
template <int id>
std::int64_t pieces(std::int64_t a, std::int64_t b) {
  std::int64_t n = (a + b - 1) / b;
  return alive(id) ? n * b : n;
}

}  // namespace mutants
