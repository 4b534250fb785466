#include "catalog/suggest.h"

#include <algorithm>

namespace kvroof {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  return out;
}

bool same_ignoring_case(std::string_view a, std::string_view b) { return a.size() == b.size() && lower(a) == lower(b); }

int edit_distance(std::string_view first, std::string_view second) {
  std::string a = lower(first), b = lower(second);
  std::vector<std::vector<int>> d(a.size() + 1, std::vector<int>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = int(i);
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = int(j);
  for (std::size_t i = 1; i <= a.size(); ++i)
    for (std::size_t j = 1; j <= b.size(); ++j) {
      int substituted = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, substituted});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

namespace {
/// Letters and digits alone, in lower case.
std::string bare(std::string_view text) {
  std::string kept = lower(text);
  std::erase_if(kept, [](char c) { return c == '-' || c == '_' || c == '.' || c == ' '; });
  return kept;
}
}  // namespace

std::optional<std::string> nearest(std::string_view text, std::span<const std::string> words) {
  if (text.size() > 200) return std::nullopt;
  std::string letters = bare(text);
  for (const std::string& word : words)  // rtx-4090 is rtx4090, not rtx-4090-d
    if (bare(word) == letters) return word;
  const std::string* best = nullptr;
  for (const std::string& word : words)
    if (text.size() >= 4 && word.size() > text.size() &&
        same_ignoring_case(std::string_view(word).substr(0, text.size()), text) &&
        (!best || word.size() < best->size()))
      best = &word;
  if (best) return *best;
  int best_distance = std::max<int>(1, int(text.size()) / 3) + 1;
  for (const std::string& word : words) {
    int distance = edit_distance(text, word);
    if (distance < best_distance) {
      best = &word;
      best_distance = distance;
    }
  }
  if (!best && text.size() >= 2)
    for (const std::string& word : words)
      if (lower(word).find(lower(text)) != std::string::npos && (!best || word.size() < best->size())) best = &word;
  return best ? std::optional(*best) : std::nullopt;
}

}  // namespace kvroof
