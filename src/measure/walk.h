// The memory that is timed: allocated once, touched once, walked through again and again.
//
// A first touch can take seconds a gigabyte where the host has to find the pages, and freed memory may go back to it;
// so nothing is allocated between samples. Huge pages are asked for, and memory starts at one.
#pragma once

#include <cstddef>

#include "core/quantity.h"
#include "measure/shape.h"
#include "measure/team.h"

namespace kvroof {

class Walk {
 public:
  /// Maps and touches it, each member its share. `ok()` says whether the system gave it.
  Walk(i64 bytes, Team& team);
  ~Walk();
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  bool ok() const { return memory_ != nullptr; }
  i64 bytes() const { return bytes_; }
  std::byte* memory() const { return memory_; }
  /// The next stretch of at most `bytes`, from the start again when the end is near.
  const std::byte* next(i64 bytes);

 private:
  void* mapped_ = nullptr;
  std::byte* memory_ = nullptr;  ///< within it, at a huge page
  i64 bytes_ = 0, at_ = 0;
  std::size_t mapped_bytes_ = 0;
};

/// Fills the region with rows of a format: some hundred different ones, over and over. Numbers are ordinary, so that no
/// arithmetic takes a slow path.
void fill_rows(const AttentionShape& shape, std::byte* region, i64 bytes, Team& team);

}  // namespace kvroof
