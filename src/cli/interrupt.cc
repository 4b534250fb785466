#include "cli/interrupt.h"

#include <atomic>
#include <csignal>

namespace kvroof {
namespace {

std::atomic<bool> was_asked = false;
static_assert(std::atomic<bool>::is_always_lock_free);  // a signal handler may touch nothing else

void handle(int) {
  was_asked = true;
  std::signal(SIGINT, SIG_DFL);
}

}  // namespace

Interrupt::Interrupt() { std::signal(SIGINT, handle); }
Interrupt::~Interrupt() { std::signal(SIGINT, SIG_DFL); }
bool Interrupt::asked() const { return was_asked; }

}  // namespace kvroof
