#include "measure/walk.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "measure/kv_cache.h"

namespace kvroof {

namespace {
/// Of a huge page. Memory that starts between two begins with small pages, which a table walk each makes slow.
constexpr std::uintptr_t page = 2 << 20;
}  // namespace

Walk::Walk(i64 bytes, Team& team) : bytes_(bytes), mapped_bytes_(std::size_t(bytes) + page) {
  void* got = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (got == MAP_FAILED) return;
  mapped_ = got;
  madvise(got, mapped_bytes_, MADV_HUGEPAGE);
  std::uintptr_t start = reinterpret_cast<std::uintptr_t>(got);
  memory_ = static_cast<std::byte*>(got) + (page - start % page) % page;
  team.run([&](int member) {
    i64 begin = bytes * member / team.size(), end = bytes * (member + 1) / team.size();
    std::memset(memory_ + begin, 1, std::size_t(end - begin));
  });
}

Walk::~Walk() {
  if (mapped_) munmap(mapped_, mapped_bytes_);
}

const std::byte* Walk::next(i64 bytes) {
  if (at_ + bytes > bytes_) at_ = 0;
  const std::byte* here = memory_ + at_;
  at_ += bytes;
  return here;
}

void fill_rows(const AttentionShape& s, std::byte* region, i64 bytes, Team& team) {
  // Rows of keys and of values differ only where their widths do, and then they lie in arrays of their own.
  AttentionShape some = s;
  some.kv_heads = 1;
  some.context = 256;
  some.paging = Paging::contiguous;
  std::vector<std::byte> rows(std::size_t(extent_of(some).bytes()));
  fill(some, rows.data(), {}, 1);
  KvExtent all = extent_of(s), one = extent_of(some);
  auto repeat = [&](std::byte* to, i64 room, const std::byte* from, i64 length) {
    team.run([&](int member) {
      i64 pieces = ceil_div(room, length), begin = pieces * member / team.size(),
          end = pieces * (member + 1) / team.size();
      for (i64 piece = begin; piece < end; ++piece)
        std::memcpy(to + piece * length, from, std::size_t(std::min(length, room - piece * length)));
    });
  };
  i64 keys = std::min(all.keys, bytes);
  repeat(region, keys, rows.data(), one.keys);
  if (bytes > keys)
    repeat(region + keys, bytes - keys, s.latent ? rows.data() : rows.data() + one.keys,
           s.latent ? one.keys : one.values);
}

}  // namespace kvroof
