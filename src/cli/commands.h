// The commands, one row each. A command adds its options to its App and sets `exit_code` when it has run:
// 0 yes, 1 no (does not fit, out of tolerance); bad input is an InputError, which main turns into 2.
#pragma once

#include <span>

namespace CLI {
class App;
}

namespace kvroof {

struct Command {
  const char* name;
  const char* summary;
  void (*add)(CLI::App& app, int& exit_code);
};

void add_kv(CLI::App& app, int& exit_code);
void add_estimate(CLI::App& app, int& exit_code);
void add_check(CLI::App& app, int& exit_code);
void add_sweep(CLI::App& app, int& exit_code);
void add_compare(CLI::App& app, int& exit_code);
void add_plan(CLI::App& app, int& exit_code);
void add_chart(CLI::App& app, int& exit_code);
void add_report(CLI::App& app, int& exit_code);
void add_validate(CLI::App& app, int& exit_code);
void add_fit(CLI::App& app, int& exit_code);
void add_train(CLI::App& app, int& exit_code);
void add_uptrain(CLI::App& app, int& exit_code);
void add_verify(CLI::App& app, int& exit_code);
void add_measure(CLI::App& app, int& exit_code);
void add_models(CLI::App& app, int& exit_code);
void add_hardware(CLI::App& app, int& exit_code);
void add_engines(CLI::App& app, int& exit_code);
void add_config(CLI::App& app, int& exit_code);
void add_schema(CLI::App& app, int& exit_code);
void add_completions(CLI::App& app, int& exit_code);
void add_man(CLI::App& app, int& exit_code);

std::span<const Command> commands();

}  // namespace kvroof
