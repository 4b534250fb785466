// `kvroof estimate MODEL HARDWARE`: what fits, how fast it decodes, what limits it and what would lift that.
// Without --batch it answers for one sequence and for as many as fit.

#include <memory>

#include "cli/commands.h"
#include "cli/estimate_page.h"
#include "cli/setup_options.h"

namespace kvroof {
namespace {

struct EstimateOptions {
  SetupOptions setup;
  OutputOptions output;
  CatalogOptions catalog;
  bool explain = false;
};

int run(const EstimateOptions& o) {
  Catalog catalog = catalog_of(o.catalog);
  const Setup s = setup_of(o.setup, catalog);
  std::optional<Load> load = load_of(o.setup);
  std::vector<i64> batches = batches_of(o.setup);
  EstimatePage page{s, o.setup.hardware.overrides, o.setup.reshapes()};
  if (batches.empty()) {
    batches = {1};
    i64 most = std::min<i64>(page.memory.max_sequences, 1 << 20);
    if (most > 1) batches.push_back(most);
  }
  page.head();
  page.memory_facts();
  // Of a list of batches those that fit are answered; the largest decides whether all do.
  for (i64 batch : batches)
    if (batch <= page.memory.max_sequences || page.memory.fits) page.points.push_back(s.step(batch));
  page.speed();
  page.parts();
  page.speculation();
  if (load && page.memory.fits) page.serving(*load);
  if (!page.memory.fits) page.does_not_fit();
  if (o.explain) page.explain();
  page.notes();
  print(page.doc, o.output);
  return page.memory.fits && !page.unstable ? 0 : 1;
}

}  // namespace

void add_estimate(CommandLine& line) {
  auto o = std::make_shared<EstimateOptions>();
  line.examples =
      "  kvroof estimate llama-3.1-70b h100-sxm --tp 4 --context 8k\n"
      "  kvroof estimate llama-3-8b a100-sxm-80 --batch 1,32 --explain\n"
      "  kvroof estimate llama-2-70b mi300x --attention mha --kv-dtype fp8\n"
      "  kvroof estimate qwen3-32b h100-sxm --input 1k --output 256 --concurrency 64\n"
      "  kvroof estimate llama-3.1-70b h100-sxm --tp 4 --draft llama-3.2-1b\n"
      "  kvroof estimate qwen3-32b h200-sxm --tp 2 --observed tpot=25ms@batch=16\n"
      "  kvroof estimate qwen3-32b l40s --weights awq --usable-memory 40GiB\n\n"
      "Exit code 0: fits; 1: does not fit or can't keep up; 2: bad input.";
  add_options(line, o->setup);
  add_price_files_option(line, o->catalog);
  line.option("--explain", &o->explain, "show how each figure follows from its parts");
  add_options(line, o->catalog);
  add_options(line, o->output);
  line.run = [o] { return run(*o); };
}

}  // namespace kvroof
