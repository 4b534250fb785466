// The colours of charts, in both themes, each chosen once.
//
// Series follow Okabe and Ito's palette for colour-blind readers (their yellow, invisible on white, gives way to
// a brown). Marks and texts of a series differ on white only, where the palette's own lightness is too high to
// read: every text colour keeps 4.5:1 against its background, which a test holds.
#pragma once

#include <span>
#include <string>

namespace kvroof {

/// One series: its marks and its text on white, and both on the dark background.
struct Ink {
  const char* mark;
  const char* text;
  const char* dark;
};

/// A colour that isn't a series': page, words, quiet words, grid.
struct Tone {
  const char* name;
  const char* light;
  const char* dark;
};

std::span<const Ink> inks();
std::span<const Tone> tones();

/// The style sheet of a chart that uses the first `used` inks: plain rules and one block for the dark theme.
/// No CSS variables: librsvg and resvg paint them black.
std::string style_sheet(int used);

}  // namespace kvroof
