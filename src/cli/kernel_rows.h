// Rows of the kernel tables, each as one call of one kernel on a catalogue device.
//
// `validate` predicts a row with the constants its kernel has in the catalogue, `fit` finds those constants: both read
// a row here and time it with core/kernel, so they can't differ in what a row means.
#pragma once

#include "cli/measured_row.h"
#include "core/kernel.h"

namespace kvroof {

/// Which kernel a row timed.
struct KernelName {
  std::string engine, kernel;
};

struct AttentionRow {
  KernelName name;
  Format cache = format("bf16");
  AttentionCall call;
};

struct LinearRow {
  KernelName name;
  Format weights = format("bf16");
  double elements = 0;
  double rows = 1;
};

struct AllReduceRow {
  KernelName name;
  i64 ranks = 2, nodes = 1;
  Bytes payload;
};

/// What the row says, or why it can't be read in `skipped`.
std::optional<AttentionRow> attention_row(const Row& row, std::string& skipped);
std::optional<LinearRow> linear_row(const Row& row, std::string& skipped);
std::optional<AllReduceRow> all_reduce_row(const Row& row, std::string& skipped);

/// The constants of that kernel on the device; without them those of the device for any engine, and with them
/// no fit (rows 0).
TimedAttention attention_kernel(const Device& device, const AttentionRow& row);
TimedLinear linear_kernel(const Device& device, const LinearRow& row);
/// Unset where the device has no such kernel: then only its link and latency are known.
const TimedAllReduce* all_reduce_kernel(const Device& device, const AllReduceRow& row);

}  // namespace kvroof
