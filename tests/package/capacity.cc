// How many sequences of a model fit a device, from the core alone.
#include <core/memory.h>

#include <cstdio>

int main() {
  kvroof::Model model;
  model.id = "mine";
  model.hidden = 4096;
  model.vocab = 128256;
  model.layers = {{32, kvroof::FullAttention{{32, 8, 128, 128}}, {}, kvroof::DenseFeedForward{14336, 3, false}}};

  kvroof::Device device;
  device.id = "card";
  device.memory = {{"HBM", {80e9}, {3e12}, {}, {}}};

  kvroof::Engine engine;
  kvroof::Memory memory = kvroof::fit(model, device, {}, {8192, 1, 0}, engine);
  std::printf("%lld sequences of %.0f bytes\n", static_cast<long long>(memory.max_sequences),
              memory.kv_per_sequence.value);
}
