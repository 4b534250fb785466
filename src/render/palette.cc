#include "render/palette.h"

#include <fmt/format.h>

namespace kvroof {

std::span<const Ink> inks() {
  static constexpr Ink table[] = {
      {"#0072b2", "#0068a3", "#58aee6"},  // blue
      {"#d55e00", "#b04c00", "#f0843c"},  // vermillion
      {"#009e73", "#00704f", "#22bf90"},  // green
      {"#cc79a7", "#a1437a", "#e096c0"},  // purple
      {"#e69f00", "#8a5f00", "#f2b632"},  // orange
      {"#56b4e9", "#1d6f9f", "#93d0f5"},  // sky
      {"#6b7280", "#4b5563", "#c3cad3"},  // grey
      {"#8c510a", "#7d4709", "#cf9d62"},  // brown
  };
  return table;
}

std::span<const Tone> tones() {
  static constexpr Tone table[] = {
      {"page", "#ffffff", "#0d1117"},
      {"words", "#1f2328", "#e6edf3"},
      {"quiet", "#57606a", "#9aa5b1"},
      {"grid", "#e1e5ea", "#272d36"},
  };
  return table;
}

std::string style_sheet(int used) {
  auto colours = [&](bool dark) {
    auto tone = [&](int i) { return dark ? tones()[i].dark : tones()[i].light; };
    std::string rules = fmt::format(
        ".kvroof .bg{{fill:{0}}}.kvroof text{{fill:{1}}}.kvroof .q{{fill:{2}}}.kvroof .g{{stroke:{3}}}"
        ".kvroof .a{{stroke:{2}}}.kvroof .h{{stroke:{0}}}",
        tone(0), tone(1), tone(2), tone(3));
    for (int i = 0; i < used; ++i) {
      const Ink& ink = inks()[i];
      rules += fmt::format(".kvroof .c{0}{{color:{1}}}.kvroof .t{0}{{fill:{2}}}", i, dark ? ink.dark : ink.mark,
                           dark ? ink.dark : ink.text);
    }
    return rules;
  };
  return "<style>.kvroof text{font:15px Helvetica,Arial,sans-serif}.kvroof .T{font-size:20px;font-weight:700}"
         ".kvroof .n{font-size:14px}.kvroof .L{font-size:14px;font-weight:700}.kvroof "
         ".h{stroke-width:4;stroke-linejoin:round;"
         "paint-order:stroke}.kvroof .s{fill:none;stroke:currentColor;stroke-width:2.5;stroke-linejoin:round}"
         ".kvroof .e{fill:none;stroke:currentColor;stroke-width:1.5}.kvroof .f{fill:currentColor}"
         ".kvroof .b{fill:currentColor;fill-opacity:.16}" +
         colours(false) + "@media(prefers-color-scheme:dark){" + colours(true) + "}</style>";
}

}  // namespace kvroof
