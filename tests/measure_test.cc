// Measuring without a clock's verdict: limits, samples, tiers, fits, the device a profile becomes, and recorded runs.
#include <sys/wait.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <thread>

#include "catalog/writer.h"
#include "cli/measure_page.h"
#include "measure/run.h"

using namespace kvroof;

namespace {

namespace fs = std::filesystem;

/// A file system of a machine, below a folder of its own.
struct FakeMachine {
  fs::path root = fs::temp_directory_path() / ("kvroof_machine_" + std::to_string(getpid()));
  FakeMachine() { write("proc/meminfo", "MemTotal: 100 kB\nMemAvailable:    8388608 kB\n"); }
  ~FakeMachine() { fs::remove_all(root); }
  FakeMachine& write(const std::string& path, const std::string& text) {
    fs::create_directories((root / path).parent_path());
    std::ofstream(root / path) << text;
    return *this;
  }
  Limits limits() const { return limits_of_process(root.string()); }
};

constexpr double GiB = 1 << 30;

Profile some_profile() {
  Profile p;
  p.cpu_name = "Example CPU 9";
  p.instruction_set = "AVX2";
  p.threads = 2;
  p.peak = {200e9};
  p.fork_join = {2e-6};
  p.tiers = {{.capacity = {16 * 1048576.0}, .bandwidth = {100e9}, .one_thread = {60e9}, .vectors = {}, .tiles = {}},
             {.capacity = {32 * GiB},
              .bandwidth = {40e9},
              .one_thread = {20e9},
              .vectors = {.contiguous = {0.8, 0.5}, .paged = {0.6, 0.5}},
              .tiles = {}}};
  p.core = {{format("bf16"), {30e-12}, {1e-9}, {100e9}}, {format("f32"), {50e-12}, {1e-9}, {100e9}}};
  return p;
}

}  // namespace

TEST_CASE("limits: no cgroup, version 1, version 2, and limits further up") {
  {
    FakeMachine m;
    CHECK(m.limits().memory().value == 8 * GiB);
    CHECK_FALSE(m.limits().quota);
    CHECK(m.limits().cores() == int(m.limits().cpus.size()));
  }
  {
    FakeMachine m;
    m.write("proc/self/cgroup", "0::/user/job\n").write("sys/fs/cgroup/user/job/cpu.max", "150000 100000\n");
    m.write("sys/fs/cgroup/user/job/memory.max", "max\n").write("sys/fs/cgroup/user/memory.max", "2147483648\n");
    m.write("sys/fs/cgroup/user/memory.current", "1073741824\n");
    CHECK(m.limits().quota == 1.5);
    CHECK(m.limits().memory().value == 1 * GiB);
  }
  {
    FakeMachine m;
    m.write("proc/self/cgroup", "4:memory:/a/b\n3:cpu,cpuacct:/a\n0::/\n");
    m.write("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "50000\n");
    m.write("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
    m.write("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n");
    m.write("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "4294967296\n");
    CHECK(m.limits().quota == 0.5);
    CHECK(m.limits().cores() == 1);  // rounded up
    CHECK(m.limits().memory().value == 4 * GiB);
  }
  {
    FakeMachine m;
    m.write("proc/self/cgroup", "1:cpu:/\n").write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    m.write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    CHECK_FALSE(m.limits().quota);
  }
}

TEST_CASE("samples keep what was quiet") {
  Samples s;
  for (int i = 1; i <= 8; ++i) s.add({{double(i)}, 0.01});
  CHECK_FALSE(s.enough());
  s.add({{100}, 0.03});  // 3 % lost is not quiet
  CHECK_FALSE(s.enough());
  s.add({{9}, 0});
  CHECK(s.enough());
  CHECK(s.taken == 10);
  CHECK(s.median().value == 5);
  CHECK(s.quantile(0.25).value == 3);
  CHECK(quantile_of({4, 1}, 0.5) == 2.5);
  CHECK(quantile_of({}, 0.5) == 0);
}

TEST_CASE("sampling goes round until each has enough, or the time is up") {
  int first = 0, second = 0;
  std::vector<Timed> all = {{"always quiet",
                             [&] {
                               return ++first, JobTime{{1e-6}, 0};
                             }},
                            {"every other", [&] {
                               return JobTime{{1e-6}, ++second % 2 ? 1.0 : 0.0};
                             }}};
  sample_in_turn(all, 10, {60}, [](double) {});
  CHECK(first == 10);
  CHECK(second == 20);
  std::vector<Timed> never = {{"never quiet", [] { return JobTime{{1e-6}, 1}; }}};
  sample_in_turn(never, 10, {0.02}, [](double) {});
  CHECK(never[0].samples.taken > 0);
  CHECK(never[0].samples.quiet.empty());
}

TEST_CASE("a team runs each job once on every member") {
  for (const std::vector<int>& cpus : {std::vector<int>{}, {0}, {0, 0, 0}}) {
    Team team(cpus);
    std::vector<int> runs(std::size_t(team.size()), 0);
    std::atomic<int> sum = 0;
    for (int job = 0; job < 300; ++job)
      team.run([&](int member) {
        ++runs[std::size_t(member)];
        sum += member;
      });
    for (int n : runs) CHECK(n == 300);
    CHECK(sum == 300 * team.size() * (team.size() - 1) / 2);
  }
  Team team({0, 0});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // members sleep meanwhile
  CHECK(team.wake().wall.value < 5);
}

TEST_CASE("a job in which the CPU was elsewhere is not quiet") {
  Team team({});
  JobTime slept = team.run([](int) { std::this_thread::sleep_for(std::chrono::milliseconds(5)); });
  CHECK(slept.lost > 0.5);
  CHECK(slept.wall.value >= 0.005);
}

TEST_CASE("tiers of a sweep: plateaus, with the slopes left out") {
  auto tiers = [](std::vector<double> rates) {
    std::vector<SweepPoint> sweep;
    double size = 1;
    for (double r : rates) sweep.push_back({{size}, {r}}), size *= 2;
    std::vector<std::pair<double, double>> found;
    for (const MeasuredTier& t : tiers_of(sweep)) found.push_back({t.capacity.value, t.bandwidth.value});
    return found;
  };
  using Tiers = std::vector<std::pair<double, double>>;
  CHECK(tiers({40, 40, 40}) == Tiers{{4, 40}});
  CHECK(tiers({200, 190, 180, 60, 58, 57, 30, 29, 30}) == Tiers{{4, 200}, {32, 60}, {256, 30}});
  // 135 and 64 lie on slopes.
  CHECK(tiers({264, 190, 190, 90, 100, 128, 64, 41, 40, 37}) == Tiers{{4, 264}, {32, 128}, {512, 41}});
  CHECK(tiers({100, 40, 100, 100}) == Tiers{{8, 100}});  // one disturbed point is no tier
  // A Xeon's third cache in the hands of many: 52 GB/s to memory's 32 (MiB of working set from 1/32 on, as measured).
  CHECK(tiers({291, 280, 234, 226, 241, 244, 221, 103, 52, 51, 45, 40, 31, 32, 32}) ==
        Tiers{{64, 291}, {2048, 52}, {16384, 32}});
  CHECK(tiers({}).empty());
}

TEST_CASE("what the cores cost comes back from times made of it") {
  CoreCost made{format("bf16"), {20e-12}, {1.5e-9}, {120e9}};
  auto seconds = [&](double width, double group) {  // one token of one KV head
    return Seconds{2 * width * made.element.value + group * made.score.value + 4 * width * group / made.rate.value};
  };
  CoreCost found = core_cost_of(made.format, {seconds(128, 1), seconds(128, 8), seconds(64, 8)}, {200e9});
  CHECK(found.element.value == Approx(20e-12));
  CHECK(found.score.value == Approx(1.5e-9));
  CHECK(found.rate.value == Approx(120e9));
  // Nothing multiplies faster than the peak, and nothing costs less than nothing.
  CoreCost odd = core_cost_of(made.format, {{1e-9}, {1e-9}, {9e-9}}, {200e9});
  CHECK(odd.rate.value <= 200e9);
  CHECK(odd.element.value >= 0);
  CHECK(odd.score.value >= 0);
}

TEST_CASE("the fit finds the share and the overlap that made the times") {
  std::vector<FitPoint> points;
  for (double core : {0.3, 0.9, 2.0, 5.0}) points.push_back({{1}, {core}, Overlap{0.4}.join({1 / 0.85}, {core})});
  Fit fit = fit_of(points);
  CHECK(fit.fraction == Approx(0.85));
  CHECK(fit.hidden == Approx(0.4));
  CHECK(fit_of({}).fraction == 1);
}

TEST_CASE("overlap: sum, max, and between") {
  CHECK(Overlap::sum().join({3}, {2}).value == 5);
  CHECK(Overlap::max().join({3}, {2}).value == 3);
  CHECK(Overlap{0.5}.join({3}, {2}).value == 4);
}

TEST_CASE("a prediction by hand") {
  // 1,024 tokens of 8 KV heads of 128 in bf16, 4 queries each: 4 MiB at 0.8 * 40 GB/s, beside 2,097,152 elements,
  // 32,768 scores and 16,777,216 flops; half of the shorter is hidden.
  Profile p = some_profile();
  double stream = 4194304 / 32e9, core = 2097152 * 30e-12 + 32768 * 1e-9 + 16777216 / 100e9;
  double expected = 2e-6 + stream + core - 0.5 * std::min(stream, core);
  AttentionShape s{.kv_heads = 8, .group = 4, .context = 1024};
  CHECK(predict(s, device_of(p)).value == Approx(expected).epsilon(1e-12));
  CHECK(predict(s, device_of(p, 0)).value ==
        Approx(2e-6 + 4194304 / 100e9 + core).epsilon(1e-12));  // from the cache: sum, whole bandwidth
}

/// The same with a kernel on tiles for four queries of a head and more.
Profile with_tiles() {
  Profile p = some_profile();
  p.tile_peak = FlopRate{2e12};
  CoreCost tiles{format("bf16"), {10e-12}, {0.1e-9}, {1e12}};
  tiles.block = 16, tiles.from_group = 4;
  p.core.push_back(tiles);
  p.tiers[1].tiles = {.contiguous = {0.9, 0.7}, .paged = {0.7, 0.7}};
  return p;
}

TEST_CASE("tiles work on 16 queries of a head at once, and take as long for fewer") {
  // As above with 4 queries a head: 16 lanes' scores, 131,072, and flops, 67,108,864, beside a stream at 0.9 of 40
  // GB/s.
  Device device = device_of(with_tiles());
  double stream = 4194304 / 36e9, core = 2097152 * 10e-12 + 131072 * 0.1e-9 + 67108864 / 1e12;
  double expected = 2e-6 + stream + core - 0.7 * std::min(stream, core);
  AttentionShape s{.kv_heads = 8, .group = 4, .context = 1024};
  CHECK(predict(s, device).value == Approx(expected).epsilon(1e-12));
  s.group = 16;
  CHECK(predict(s, device).value == Approx(expected).epsilon(1e-12));
  s.group = 17;  // two blocks
  core += 131072 * 0.1e-9 + 67108864 / 1e12;
  CHECK(predict(s, device).value == Approx(2e-6 + stream + core - 0.7 * std::min(stream, core)).epsilon(1e-12));
  s.group = 3;  // on vectors
  CHECK(predict(s, device).value == predict(s, device_of(some_profile())).value);
  CHECK(device.peak_for(Arithmetic::bf16)->value == 2e12);
  CHECK(device.achievable.compute == 0.5);
}

TEST_CASE("a saved machine reads back as the same device") {
  for (const Profile& profile : {some_profile(), with_tiles()}) {
    Device saved = device_of(profile);
    CHECK(problems(saved).empty());
    Catalog catalog = Catalog::built_in();
    catalog.add_text("this-cpu.yaml", yaml_entry(saved));
    Device read = catalog.device("example-cpu-9");
    CHECK(read.name == "Example CPU 9 (measured, 2 threads)");
    CHECK(read.memory[0].bandwidth.value == saved.memory[0].bandwidth.value);
    CHECK(read.achievable.overlap == saved.achievable.overlap);
    REQUIRE(read.achievable.core.size() == profile.core.size());
    for (const AttentionShape& s : {AttentionShape{.context = 777}, AttentionShape{.group = 1, .format = format("f32")},
                                    AttentionShape{.format = format("q8_0")}, latent_shape(16, 900, format("bf16"))})
      CHECK(predict(s, read).value == Approx(predict(s, saved).value).epsilon(1e-12));
    CHECK(yaml_entry(read) == yaml_entry(saved));
  }
}

TEST_CASE("a profile and a shape survive their JSON") {
  for (const Profile& p : {some_profile(), with_tiles()}) CHECK(json_of(profile_of(json_of(p))) == json_of(p));
  for (AttentionShape s : {AttentionShape{}, latent_shape(7, 5, format("int8"))})
    for (Paging paging : {Paging::contiguous, Paging::in_order, Paging::random}) {
      s.paging = paging;
      CHECK(shape_of(json_of(s)) == s);
    }
}

TEST_CASE("recorded runs: their predictions follow from their profiles, and their errors from their rows") {
  int runs = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(fs::path(KVROOF_SOURCE) / "reports" / "measured")) {
    if (entry.path().extension() != ".json") continue;
    INFO(entry.path().filename());
    std::ifstream in(entry.path());
    Json run = Json::parse(in);
    REQUIRE(run.at("command") == "measure");
    Profile profile = profile_of(run.at("profile"));
    Device device = device_of(profile);
    std::vector<double> errors;
    for (const Json& row : run.at("shapes")) {
      INFO(row.at("name"));
      AttentionShape shape = shape_of(row.at("shape"));
      double predicted = row.at("predicted_seconds"), measured = row.at("measured").at("median_seconds");
      CHECK(predict(shape, device_of(profile, row.at("tier"), shape.paging)).value == Approx(predicted).epsilon(1e-12));
      CHECK(cache_bytes(shape).value == row.at("kv_bytes"));
      const CoreCost* kernel = device.achievable.core_cost(shape.format, double(shape.group));
      CHECK(row.at("off_reference").get<double>() < (kernel && kernel->block > 1 ? 3e-3 : 1e-5));
      CHECK(row.at("verdict").get<bool>() == (row.at("measured").at("quiet").get<int>() >= 9));
      if (row.at("verdict").get<bool>()) errors.push_back(std::abs(predicted / measured - 1));
    }
    CHECK(quantile_of(errors, 0.5) == Approx(run.at("error").at("p50").get<double>()));
    CHECK(quantile_of(errors, 0.9) == Approx(run.at("error").at("p90").get<double>()));
    ++runs;
  }
  CHECK(runs > 0);
}

TEST_CASE("a short run from probes to page: every part is there and nothing is infinite") {
  MeasureRequest request;
  request.shapes = {{{.kv_heads = 2, .group = 2, .key_dim = 64, .value_dim = 64, .context = 512}},
                    {{.kv_heads = 2, .group = 1, .context = 256, .format = format("int8"), .paging = Paging::random}}};
  request.threads = 1;
  request.wanted = 9;
  request.budget = {4};
  request.walk_bytes = 64 << 20;
  MeasureRun run = measure(request, limits_of_process());
  if (!run.failed.empty()) {  // on a machine that is never quiet: it says so and has no page
    CHECK(run.failed.rfind("too few quiet samples: ", 0) == 0);
    return;
  }
  REQUIRE(run.shapes.size() == 2);
  CHECK(run.taken >= run.quiet);
  for (const ShapeRun& s : run.shapes) {
    CHECK(s.mismatch < 1e-5);
    CHECK(std::isfinite(s.predicted.value));
    CHECK(s.predicted.value > 0);
  }
  Document page = page_of(run, {0.9, 1.2});
  std::string text = render(page, OutputFormat::text, {80, false});
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = std::min(text.find('\n', begin), text.size());
    CHECK(columns_of(std::string_view(text).substr(begin, end - begin)) <= 80);
    begin = end + 1;
  }
  CHECK(text.find("inf") == std::string::npos);
  CHECK(page.json.at("schema_version") == 1);
  CHECK(predictions_of(run, {0.9, 1.2}).size() == 2);
  CHECK(draw(roofline_of(run)).svg.find("</svg>") != std::string::npos);
}
