// So many estimates of one kind and nothing else: what bench/instructions.sh counts.
//
//   kvroof_count batches 100000
#include <cstdio>
#include <cstdlib>

#include "estimate_kinds.h"

int main(int argc, char** argv) {
  if (argc == 3)
    for (const kvroof::Kind& kind : kvroof::kinds())
      if (kind.name == std::string(argv[1])) {
        std::printf("checksum %.6g\n", kvroof::estimate(kvroof::specs_of(kind), std::atoll(argv[2])));
        return 0;
      }
  std::fputs("usage: kvroof_count batches|mixture|contexts|layouts NUMBER\n", stderr);
  return 2;
}
