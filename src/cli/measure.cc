// `kvroof measure`: the prediction method checked on the machine it runs on.
//
// Probes first, the kernel against its reference, then shapes predicted and timed in turn. Nothing is run that the
// process may not: cores and memory are what affinity and cgroups leave, and what does not fit is refused beforehand.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <memory>

#include "catalog/text_file.h"
#include "catalog/writer.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/measure_page.h"
#include "cli/options.h"
#include "core/units.h"
#include "render/number.h"

namespace kvroof {
namespace {

struct MeasureOptions {
  OutputOptions output;
  std::vector<std::string> shapes;
  std::string threads, save, record, rows, chart;
  bool quick = false;
};

/// What is timed without --shapes; the first few with --quick. Jobs of a millisecond or three.
std::vector<ShapeRequest> default_shapes(bool quick) {
  auto f = [](const char* name) { return format(name); };
  std::vector<ShapeRequest> shapes = {
      {{.kv_heads = 32, .group = 1, .context = 4096}},      {{.group = 4, .context = 4096}},
      {{.kv_heads = 4, .group = 8, .context = 4096}},       {{.kv_heads = 1, .group = 32, .context = 4096}},
      {{.group = 1, .context = 8192, .format = f("fp16")}}, {{.group = 1, .context = 8192, .format = f("int8")}},
      {{.group = 1, .context = 8192, .format = f("q8_0")}},
  };
  if (quick) return shapes;
  std::vector<ShapeRequest> more = {
      {{.group = 1, .context = 4096, .format = f("f32")}},
      {{.group = 8, .context = 4096}},
      {{.group = 8, .key_dim = 64, .value_dim = 64, .context = 6144}},
      {{.kv_heads = 2, .group = 16, .context = 8192}},
      {{.group = 2, .key_dim = 256, .value_dim = 256, .context = 4096}},
      {{.kv_heads = 4, .group = 8, .key_dim = 192, .value_dim = 128, .context = 6144, .format = f("fp16")}},
      {{.kv_heads = 4, .group = 8, .context = 6144, .format = f("int8")}},
      {{.kv_heads = 4, .group = 8, .context = 6144, .format = f("q8_0")}},
      {latent_shape(16, 4096, f("bf16"))},
      {{.group = 1, .context = 8192}},
      {{.group = 1, .context = 8192, .paging = Paging::in_order}},
      {{.group = 1, .context = 8192, .paging = Paging::random}},
      {{.group = 8, .context = 4096, .paging = Paging::random}},
      {{.group = 1, .context = 2048}, true},
      {{.group = 8, .context = 2048}, true},
      {{.group = 4, .context = 2048, .format = f("int8")}, true},
  };
  shapes.insert(shapes.end(), more.begin(), more.end());
  return shapes;
}

[[noreturn]] void bad_shape(const std::string& what) {
  throw InputError{"--shapes: " + what +
                   "\n  such as kv_heads=8,group=8,dim=128,context=32k,dtype=bf16; also value_dim, " +
                   "mla=HEADS, pages=in-order|random, from=cache\n"};
}

/// `kv_heads=8,group=8,dim=128,context=32k,dtype=bf16`.
ShapeRequest shape_named(const std::string& text) {
  ShapeRequest r;
  AttentionShape& s = r.shape;
  bool own_value_dim = false;
  std::string context;
  for (std::size_t begin = 0; begin <= text.size();) {
    std::size_t end = std::min(text.find(',', begin), text.size());
    std::string piece = text.substr(begin, end - begin), key = piece.substr(0, piece.find('='));
    std::string value = piece.find('=') == std::string::npos ? "" : piece.substr(piece.find('=') + 1);
    begin = end + 1;
    if (value.empty()) bad_shape("'" + piece + "' is not key=value");
    auto number = [&](i64 most) { return count_of("--shapes " + key, value, 1, most); };
    if (key == "kv_heads") {
      s.kv_heads = number(1024);
    } else if (key == "group") {
      s.group = number(256);
    } else if (key == "dim") {
      s.key_dim = number(1024);
    } else if (key == "value_dim") {
      s.value_dim = number(1024), own_value_dim = true;
    } else if (key == "context") {
      s.context = number(i64(1) << 24);
    } else if (key == "dtype") {
      s.format = format_of_option("--shapes dtype", value, s.format);
    } else if (key == "mla") {
      AttentionShape latent = latent_shape(number(256), s.context, s.format);
      latent.paging = s.paging;
      s = latent, own_value_dim = true;
    } else if (key == "pages" && (value == "in-order" || value == "random")) {
      s.paging = value == "random" ? Paging::random : Paging::in_order;
    } else if (key == "from" && (value == "memory" || value == "cache")) {
      r.cached = value == "cache";
    } else {
      bad_shape("'" + piece + "' is not known");
    }
  }
  if (!own_value_dim) s.value_dim = s.key_dim;
  std::string wrong;
  for (const Problem& p : problems(s)) wrong += (wrong.empty() ? "" : "; ") + p.path + ": " + p.what;
  if (!wrong.empty()) bad_shape(wrong);
  return r;
}

/// Refuses what memory does not hold, and says what would fit: half the context until it does.
void check_memory(const MeasureRequest& request, const Limits& limits) {
  Bytes room = 0.8 * limits.memory(), needed = memory_needed(request);
  if (needed < room) return;
  MeasureRequest smaller_one = request;
  i64 most = 0;
  for (const ShapeRequest& r : request.shapes) most = std::max(most, r.shape.context);
  while (most > 16 && !(memory_needed(smaller_one) < room)) {
    most /= 2;
    for (ShapeRequest& r : smaller_one.shapes) r.shape.context = std::min(r.shape.context, most);
  }
  bool fits = memory_needed(smaller_one) < room;
  throw InputError{fmt::format(
      "measure: needs {} and {} can be taken{}\n  {}\n", size(needed), size(room),
      limits.allowance ? " within its cgroup's limit" : "",
      fits ? fmt::format("--shapes with at most context={} would fit", most) : "too little for the read probes alone")};
}

/// One line on stderr, rewritten on a terminal; a log gets the stages only.
class Progress {
 public:
  void operator()(const std::string& stage, double share) {
    bool terminal = isatty(STDERR_FILENO);
    if (stage == stage_ && (!terminal || now() - last_ < Seconds{0.2})) return;
    last_ = now();
    if (terminal)
      std::cerr << fmt::format("\r\x1b[K{} {:.0f} %", stage, 100 * share) << std::flush;
    else
      std::cerr << stage << "\n";
    stage_ = stage;
  }
  ~Progress() { clear(); }
  void clear() {
    if (isatty(STDERR_FILENO)) std::cerr << "\r\x1b[K" << std::flush;
  }

 private:
  std::string stage_;
  Seconds last_;
};

/// Nothing is written before all is measured, so there is nothing to mark: threads that wait for work end with us.
[[noreturn]] void give_up(Progress& progress) {
  progress.clear();
  std::cerr << "kvroof: interrupted; nothing was written\n";
  std::_Exit(Interrupt::exit_code);
}

int run(const MeasureOptions& o) {
  Limits limits = limits_of_process();
  MeasureRequest request;
  for (const std::string& text : o.shapes) request.shapes.push_back(shape_named(text));
  if (request.shapes.empty()) request.shapes = default_shapes(o.quick);
  request.threads = int(count_of("--threads", o.threads, limits.cores(), limits.cores()));
  request.wanted = o.quick ? 15 : 75;
  request.budget = {o.quick ? 8.0 : 40.0};
  request.walk_bytes = i64(o.quick ? 256 : 512) << 20;
  if (!o.save.empty() && !o.save.ends_with(".yaml") && !o.save.ends_with(".yml"))
    throw InputError{"--save: '" + o.save + "' should end in .yaml, so that it is read as a device\n"};
  check_memory(request, limits);
  MeasureRun result;
  {
    auto progress = std::make_shared<Progress>();
    Interrupt interrupt;
    request.progress = [progress, &interrupt](const std::string& stage, double share) {
      if (interrupt.asked()) give_up(*progress);
      (*progress)(stage, share);
    };
    result = measure(request, limits);
    request.progress = {};
  }
  if (!result.failed.empty()) {
    std::cerr << "kvroof: " << result.failed << "\n";
    return 1;
  }
  RangeRule range = Catalog::built_in().range(Basis::measured_kernels);
  Document page = page_of(result, range);
  print(page, o.output);
  if (!o.record.empty()) write_text_file(o.record, page.json.dump(1) + "\n");
  if (!o.rows.empty()) write_rows(o.rows, predictions_of(result, range));
  if (!o.save.empty()) write_text_file(o.save, yaml_entry(device_of(result.profile)));
  if (!o.chart.empty()) write_text_file(o.chart, draw(roofline_of(result)).svg);
  auto judged = [](const ShapeRun& s) { return s.judged(); };
  return std::all_of(result.shapes.begin(), result.shapes.end(), judged) ? 0 : 1;
}

}  // namespace

void add_measure(CommandLine& line) {
  auto o = std::make_shared<MeasureOptions>();
  line.examples =
      "  kvroof measure --quick\n"
      "  kvroof measure --save cpu.yaml && kvroof estimate qwen3-0.6b ./cpu.yaml\n"
      "  kvroof measure --shapes kv_heads=8,group=8,dim=128,context=32k,dtype=bf16\n"
      "  kvroof measure --shapes mla=16,context=8k --shapes group=1,pages=random\n\n"
      "Exit code 0: every shape has a verdict; 1: too few quiet samples;\n"
      "2: bad input, or not enough memory; 130: interrupted, with nothing written.";
  line.option("--quick", &o->quick, "fewer shapes and samples: a few seconds");
  line.option("--threads", &o->threads, "threads, one a core (default: all cores this process may use)").metavar("N");
  line.option("--shapes", &o->shapes, "what to time instead: KEY=VALUE[,...] (repeatable)").metavar("SHAPE");
  line.option("--save", &o->save, "write the machine as a device, for use wherever HARDWARE stands")
      .metavar("FILE.yaml");
  line.option("--record", &o->record, "write the run as JSON, with all that its predictions were made from")
      .metavar("FILE.json");
  line.option("--rows", &o->rows, "write one line per shape: measured, predicted, low, high, basis, status")
      .metavar("FILE");
  line.option("--chart", &o->chart, "write the roofline with every shape on it").metavar("FILE.svg");
  add_options(line, o->output);
  line.run = [o] { return run(*o); };
}

}  // namespace kvroof
