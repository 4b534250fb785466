// Answers to scenarios, each with all it rests on: the options, and records of the model, device, engine and range.
//
// Made from a catalogue, or read from the baseline file that keeps them. Since the inputs are there in full, any of
// them can be changed alone and the question put again, which is how a cause is found.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/scenario.h"

namespace kvroof {

/// One figure per row of judged().
using Figures = std::vector<std::optional<double>>;

/// What stands in the way of an answer.
enum class Fault {
  none,
  unreadable,    ///< the options, an entry or a file are not what they should be
  absent,        ///< there is no model, device or engine of that name
  unanswerable,  ///< all of it reads, but it does not go together
};

struct Answer {
  Json options;               ///< as the scenario has them
  std::string engine, basis;  ///< the device's usual engine, or the one asked for; what its range rests on
  Figures figures;
  bool loaded = false;  ///< a load was asked for
  Fault fault = Fault::none;
  std::string error;  ///< why there is no answer
};

struct Answers {
  std::string version;                                           ///< of the kvroof that answered
  std::map<std::string, Answer> by_name;                         ///< of the scenario
  std::map<std::string, Json> models, devices, engines, ranges;  ///< by the name the scenarios use

  /// {options, model, device, engine, range, and draft where there is one} of one answer.
  Json inputs_of(const Answer& answer) const;
};

/// The text of inputs_of() for many answers: a record that they share is written once. The answers must outlive it.
class InputTexts {
 public:
  explicit InputTexts(const Answers& all) : all_(all) {}
  std::string operator()(const Answer& answer);

 private:
  const Answers& all_;
  std::map<const Json*, std::string> texts_;
};

Figures figures_of(const Setup& setup, const std::optional<Load>& load);

/// Every scenario against one catalogue. One that can't be answered carries its error, and what could be read.
Answers answer_all(const ScenarioFile& file, const Catalog& catalog);

/// Errors of scenarios for which there is no answer, each at the first scenario that it stops.
class Unanswered {
 public:
  explicit Unanswered(const ScenarioFile& file) : file_(file) {}
  void add(const Scenario& scenario, const std::string& error);
  void throw_if_any() const;

 private:
  const ScenarioFile& file_;
  std::vector<std::string> errors_;                                ///< in the order they came
  std::map<std::string, std::vector<const Scenario*>> scenarios_;  ///< that an error stops
};

/// Throws the errors of all scenarios.
void throw_unanswered(const ScenarioFile& file, const Answers& answers);

/// A path is beside the file of scenarios that names it, wherever the program runs.
std::string beside(const std::string& file, const std::string& name);
/// The file a scenario's model is read from; empty when the catalogue has it.
std::string model_file(const ScenarioFile& file, const std::string& model, const Catalog& catalog);

/// Puts the question of recorded inputs again; keeps what it has read, as scenarios share their specs.
class Replay {
 public:
  /// Throws InputError when this version can't read the records or answer them.
  Figures figures(const Json& inputs);

 private:
  OptionReader options_;
  std::map<std::string, Model> models_;
  std::map<std::string, Device> devices_;
  std::map<std::string, Engine> engines_;
};

}  // namespace kvroof
