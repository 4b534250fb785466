// Ctrl-C in commands that run for long: asked to stop, they end where what they have written is whole, and say what is
// missing. While one of these lives the first SIGINT only asks; a second one ends the program at once.
#pragma once

namespace kvroof {

class Interrupt {
 public:
  static constexpr int exit_code = 130;  ///< as shells report a program that SIGINT ended

  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  bool asked() const;
};

}  // namespace kvroof
