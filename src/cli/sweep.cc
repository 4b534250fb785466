// `kvroof sweep MODEL HARDWARE`: estimates over lists and ranges of any option, one row a point.
//
// Threads take blocks of points and write them in turn, so the rows come in the order of the points, whatever the
// number of threads, and no more than a block a thread is ever held.

#include <fmt/format.h>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <iostream>
#include <memory>
#include <mutex>
#include <thread>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/metric_options.h"
#include "cli/sweep_points.h"
#include "render/number.h"

namespace kvroof {
namespace {

struct SweepOptions {
  SetupOptions setup;
  OutputOptions output;
  CatalogOptions catalog;
  std::string metrics, threads;
  std::vector<std::string> least, most;
};

/// What became of the points.
struct Tally {
  i64 points = 0, shown = 0, filtered = 0, impossible = 0;
  i64 first_problem = -1;
  std::string problem = {};

  void add(const Tally& other) {
    points += other.points;
    shown += other.shown;
    filtered += other.filtered;
    impossible += other.impossible;
    if (other.first_problem >= 0 && (first_problem < 0 || other.first_problem < first_problem)) {
      first_problem = other.first_problem;
      problem = other.problem;
    }
  }
};

/// What every row of the sweep has.
struct Sheet {
  SweepSpecs specs;
  std::vector<std::size_t> axes;  ///< that have a column
  std::vector<const Metric*> metrics;
  std::vector<Limit> limits;
  RowWriter writer{OutputFormat::text, {}};
};

Cell axis_cell(const SweepAxis& axis, std::size_t at) {
  return axis.counts ? Cell::of(axis.numbers[at], Measure::count) : Cell::of(axis.values[at]);
}

RowColumn axis_column(const SweepAxis& axis) {
  std::string key = axis.name;
  std::replace(key.begin(), key.end(), '-', '_');
  int width = columns_of(axis.name);
  for (std::size_t i = 0; i < axis.values.size(); ++i)
    width = std::max(width, axis.counts ? columns_of(count(axis_cell(axis, i).number)) : columns_of(axis.values[i]));
  return {axis.name, key, width, !axis.counts};
}

/// One thread's share of the work: rows of a block of points.
class Worker {
 public:
  explicit Worker(const Sheet& sheet) : sheet_(sheet), walker_(sheet.specs), cells_() {}

  std::string rows(i64 begin, i64 end) {
    std::string out;
    for (i64 point = begin; point < end; ++point) add(out, point);
    tally_.points += end - begin;
    return out;
  }
  const Tally& tally() const { return tally_; }

 private:
  void add(std::string& out, i64 point) {
    if (!walker_.move_to(point)) {
      ++tally_.impossible;
      if (tally_.first_problem < 0) tally_.first_problem = point, tally_.problem = walker_.problem();
      return;
    }
    Outcome outcome = walker_.outcome();
    for (const Limit& limit : sheet_.limits)
      if (!limit.met(outcome)) {
        ++tally_.filtered;
        return;
      }
    ++tally_.shown;
    cells_.clear();
    for (std::size_t a : sheet_.axes) cells_.push_back(axis_cell(sheet_.specs.axes[a], walker_.at(a)));
    for (const Metric* m : sheet_.metrics) cells_.push_back(cell_of(*m, outcome));
    sheet_.writer.add(out, cells_);
  }

  const Sheet& sheet_;
  SweepWalker walker_;
  std::vector<Cell> cells_;
  Tally tally_;
};

/// Blocks of points, worked on side by side and written in order.
class Assembly {
 public:
  Assembly(const Sheet& sheet, Sink& sink, i64 points, int threads)
      : sheet_(sheet), sink_(sink), points_(points), threads_(threads) {
    block_ = std::clamp<i64>(points / (threads * i64(32)), 1, 8192);
  }

  Tally run() {
    std::vector<std::thread> others;
    for (int i = 1; i < threads_; ++i) others.emplace_back([this] { work(); });
    work();
    for (std::thread& t : others) t.join();
    if (failure_) std::rethrow_exception(failure_);
    return tally_;
  }

 private:
  void work() {
    try {
      Worker worker(sheet_);
      for (i64 block = next_++; block * block_ < points_ && !failed_ && !interrupt_.asked(); block = next_++)
        write(worker.rows(block * block_, std::min(points_, (block + 1) * block_)), block);
      std::lock_guard lock(mutex_);
      tally_.add(worker.tally());
    } catch (...) {
      std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      failed_ = true;
      turn_comes_.notify_all();
    }
  }

  void write(std::string_view rows, i64 block) {
    std::unique_lock lock(mutex_);
    turn_comes_.wait(lock, [&] { return turn_ == block || failed_; });
    if (failed_) return;
    if (first_ && !rows.empty()) {
      rows.remove_prefix(sheet_.writer.separator());
      first_ = false;
    }
    sink_.write(rows);
    ++turn_;
    turn_comes_.notify_all();
  }

  Interrupt interrupt_;
  const Sheet& sheet_;
  Sink& sink_;
  i64 points_, block_ = 1;
  int threads_;
  std::atomic<i64> next_ = 0;
  std::atomic<bool> failed_ = false;
  std::mutex mutex_;
  std::condition_variable turn_comes_;
  i64 turn_ = 0;
  bool first_ = true;
  Tally tally_;
  std::exception_ptr failure_;
};

std::vector<const Metric*> metrics_of(const SweepOptions& o) {
  std::vector<const Metric*> found;
  if (o.metrics == "all") {
    for (const Metric& m : metrics())
      if (!m.needs_load || o.setup.asks_to_serve()) found.push_back(&m);
    return found;
  }
  if (!o.metrics.empty()) return metrics_named("--metrics", o.metrics);
  return metrics_named("--metrics", o.setup.asks_to_serve() ? "fits,ttft,tpot,tpot_high,throughput"
                                                            : "fits,expected,low,high,throughput");
}

/// The first column or limit that is a metric of that kind.
const Metric* mentioned(const Sheet& sheet, bool Metric::*kind) {
  for (const Metric* m : sheet.metrics)
    if (m->*kind) return m;
  for (const Limit& l : sheet.limits)
    if (l.metric->*kind) return l.metric;
  return nullptr;
}

/// Columns: the axes that vary (and in data the model and device in any case), then the metrics.
Sheet sheet_of(const SweepOptions& o, const Catalog& catalog) {
  Sheet s;
  s.metrics = metrics_of(o);
  for (const std::string& text : o.least) s.limits.push_back(limit_of("--min", text, false));
  for (const std::string& text : o.most) s.limits.push_back(limit_of("--max", text, true));
  const Metric* loaded = mentioned(s, &Metric::needs_load);
  if (loaded && !o.setup.asks_to_serve())
    throw InputError{std::string(loaded->name) + ": needs a load; say --input, --output and --concurrency or --rate\n"};
  s.specs = specs_of(axes_of(o.setup, catalog), o.setup, catalog);
  s.specs.serves = o.setup.asks_to_serve();
  s.specs.tells_rank = mentioned(s, &Metric::of_rank);
  OutputFormat format = format_named(o.output);
  bool data = format == OutputFormat::csv || format == OutputFormat::json;
  std::vector<RowColumn> columns;
  for (std::size_t i = 0; i < s.specs.axes.size(); ++i) {
    const SweepAxis& axis = s.specs.axes[i];
    if (axis.values.size() == 1 && !(data && (axis.name == "model" || axis.name == "hardware"))) continue;
    s.axes.push_back(i);
    columns.push_back(axis_column(axis));
  }
  for (const Metric* m : s.metrics) columns.push_back(column_of(*m));
  s.writer = RowWriter(format, std::move(columns));
  return s;
}

std::string opening(const Sheet& sheet, i64 points) {
  Json json = {{"schema_version", 1}, {"command", "sweep"}, {"points", points}, {"fixed", Json::object()}};
  std::string fixed;
  for (const SweepAxis& axis : sheet.specs.axes)
    if (axis.values.size() == 1) {
      json["fixed"][axis.name] = axis.values[0];
      fixed += (fixed.empty() ? "" : ", ") + axis.name + " " + axis.values[0];
    }
  std::vector<std::string> headings = {fmt::format("{} point{}", count(double(points)), points == 1 ? "" : "s")};
  if (!fixed.empty()) headings.push_back(fixed);
  return sheet.writer.open(headings, json);
}

int threads_of(const SweepOptions& o) {
  i64 have = std::max<i64>(1, i64(std::thread::hardware_concurrency()));
  return int(count_of("--threads", o.threads, have, 256));
}

int run(const SweepOptions& o) {
  refuse_yaml(o.output);
  Catalog catalog = catalog_of(o.catalog);
  Sheet sheet = sheet_of(o, catalog);
  i64 points = points_of(sheet.specs.axes);
  Sink sink(o.output);
  sink.write(opening(sheet, points));
  Tally tally = Assembly(sheet, sink, points, threads_of(o)).run();
  std::string missing;
  if (tally.points < points)
    missing = fmt::format("interrupted after {} of {} points", count(double(tally.points)), count(double(points)));
  sink.write(sheet.writer.close(missing));
  sink.finish();
  if (tally.filtered > 0)
    std::cerr << fmt::format("kvroof: {} of {} points are outside --min and --max, or lack a figure they limit\n",
                             count(double(tally.filtered)), count(double(points)));
  if (tally.impossible > 0)
    std::cerr << fmt::format("kvroof: {} of {} points can't be; the first: {}\n", count(double(tally.impossible)),
                             count(double(points)), tally.problem);
  if (!missing.empty()) {
    std::cerr << "kvroof: " << missing << "\n";
    return Interrupt::exit_code;
  }
  return tally.shown > 0 ? 0 : 1;
}

}  // namespace

void add_sweep(CommandLine& line) {
  auto o = std::make_shared<SweepOptions>();
  line.examples =
      "  kvroof sweep llama-3.1-8b h100-sxm --context 1k..128k*2 --batch 1..512*2\n"
      "  kvroof sweep llama-3.1-70b --on all --tp 1..8*2 --min fits=yes --max tpot=30ms\n"
      "  kvroof sweep qwen3-32b h100-sxm,mi300x --tp 2 --input 1k --output 256 \\\n"
      "    --concurrency 1..256*2 --metrics ttft,tpot,throughput,cost --format csv\n\n"
      "Any option may be a list (a,b) or a range: 1..8, 1k..128k*2, 1TB/s..8TB/s+1TB/s.\n"
      "Metrics:\n" +
      list_of_metrics() +
      "\nExit code 0: rows were shown; 1: none met the limits; 2: bad input;\n130: interrupted, which the last line "
      "says.";
  line.option("model,--models", &o->setup.model.model, "models: names, files, or 'all'")
      .required()
      .metavar("MODEL[,...]");
  line.option("hardware,--on", &o->setup.hardware.device, "devices, or 'all'").required().metavar("HARDWARE[,...]");
  line.option("--metrics", &o->metrics, "columns, or 'all' (default: fits, the step and its range, tokens/s)")
      .metavar("METRIC[,...]");
  line.option("--min", &o->least, "leave out rows below METRIC=VALUE (repeatable)").metavar("METRIC=VALUE");
  line.option("--max", &o->most, "leave out rows above METRIC=VALUE (repeatable)").metavar("METRIC=VALUE");
  line.option("--threads", &o->threads, "threads; the output is the same (default: all cores)").metavar("N");
  add_shape_options(line, o->setup.model);
  add_workload_options(line, o->setup, " (default: 1)");
  add_what_if_options(line, o->setup.hardware);
  add_price_option(line, o->setup.hardware);
  add_options(line, o->setup.layout);
  add_options(line, o->setup.cache);
  add_price_files_option(line, o->catalog);
  add_options(line, o->catalog);
  add_options(line, o->output);
  line.run = [o] { return run(*o); };
}

}  // namespace kvroof
