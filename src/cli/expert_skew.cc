#include "cli/expert_skew.h"

#include <fmt/format.h>

#include "cli/options.h"
#include "core/experts.h"
#include "core/units.h"

namespace kvroof {
namespace {

constexpr const char* option = "--expert-skew";

[[noreturn]] void refuse(const std::string& error) { throw InputError{std::string(option) + ": " + error + "\n"}; }

}  // namespace

double expert_skew_of(const std::string& text, const Model& model) {
  std::size_t at = text.find("@tokens=");
  if (text.rfind("distinct=", 0) != 0 || at == text.npos) {
    std::string_view rest;
    std::optional<double> skew = parse_decimal(text, &rest);
    if (!skew || !rest.empty()) refuse("'" + text + "' is not an exponent such as 0.8, nor distinct=40@tokens=16");
    if (*skew < 0 || *skew > steepest_skew) refuse("must lie in [0, 10]");
    return *skew;
  }
  const MoeFeedForward* moe = experts_of(model);
  if (!moe) refuse(model.id + " has no experts for tokens to fall on");
  auto number = [&](const std::string& piece, i64 most) { return double(count_of(option, piece, 1, most)); };
  double distinct = number(text.substr(9, at - 9), moe->experts), tokens = number(text.substr(at + 8), i64(1) << 32);
  std::optional<double> skew = skew_of(*moe, tokens, distinct);
  if (!skew)
    refuse(fmt::format("{} tokens touch {:.4g} to {:.4g} of the {} experts of {}, not {}", tokens,
                       distinct_experts(*moe, tokens, steepest_skew), distinct_experts(*moe, tokens), moe->experts,
                       model.id, distinct));
  return *skew;
}

}  // namespace kvroof
