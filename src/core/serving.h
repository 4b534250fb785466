// Serving: prompts and decoding share the devices in a closed loop.
//
// With B requests in the system, X = B / (TTFT + (output-1)·TPOT) of them finish a second, and
// B_dec = X·(output-1)·TPOT are decoding. Every finished request has cost one prefill, most of which stands
// in the way of the decoders: TPOT = step(B_dec) + TPOT·X·prefill·(1-overlap). A pass that reads prompts takes as long
// as their kernels, or as the host needs to launch them; prompts that wait share it. KV capacity caps what runs at
// once; the rest queues, which shows in TTFT. An arrival rate settles at the concurrency it needs, or at none.
#pragma once

#include <algorithm>
#include <cmath>

#include "core/step.h"

namespace kvroof {

/// What is asked of a server. Either concurrency or rate is given.
struct Load {
  i64 input = 1024;        ///< prompt tokens
  i64 output = 256;        ///< generated tokens
  double concurrency = 0;  ///< requests in the system at all times
  double rate = 0;         ///< arrivals per second
  double cache_hit = 0;    ///< share of prompt tokens found in the prefix cache
  i64 shared_prefix = 0;   ///< first prompt tokens that all requests have in common, held once
  /// Prompt tokens found there once the first request was served: the hit rate counts those in common too.
  i64 cached() const { return std::max(shared_prefix, i64(std::floor(double(input) * cache_hit))); }
};

struct Serving {
  bool stable = true;      ///< false: no concurrency keeps up with the rate, or not one request fits
  double concurrency = 0;  ///< requests in the system
  double decoding = 0;     ///< of them decoding at one moment
  double running = 0;      ///< admitted by the KV capacity; the rest queues
  Seconds prefill;         ///< of one prompt alone
  Seconds first_prefill;   ///< of the first prompt, which finds no shared prefix
  Seconds among_many;      ///< of a prompt where more wait than a pass takes
  Seconds ttft;
  Seconds ttft_low, ttft_high;
  Seconds tpot;
  Seconds tpot_low, tpot_high;
  double requests_per_second = 0;
  double tokens_per_second = 0;  ///< generated
  Basis basis = Basis::datasheet_only;
};

/// A prompt read alone, or one of as many as there are groups of data-parallel attention: then they share the work, and
/// the time is what each of them takes of the replica's.
enum class Prompts { one, one_a_group };

/// The kernels of a prompt's passes, from its first token to its last: passes of the scheduler's size, `cached` tokens
/// found.
Seconds prompt_kernels(const Model& model, const Device& device, const Deployment& deployment, const Engine& engine,
                       i64 input, i64 cached, Prompts prompts = Prompts::one);

/// Reading a prompt: its kernels, or where that takes longer what the host needs to launch them.
Seconds prefill_time(const Model& model, const Device& device, const Deployment& deployment, const Engine& engine,
                     i64 input, i64 cached);

/// Step time as a function of a real number of sequences: between whole ones it is a straight line. What was asked once
/// is remembered.
class StepCurve {
 public:
  /// `anchor`: measured over expected time, where it is known.
  StepCurve(const Decoder& decoder, double anchor) : decoder_(decoder), anchor_(anchor) {}
  double operator()(double batch);

 private:
  double at(i64 batch);
  const Decoder& decoder_;
  double anchor_;
  std::vector<double> known_;  ///< by batch; 0 where it was not asked yet
};

/// A deployment that is asked about many loads of the same prompts and answers. The references must outlive it.
class Server {
 public:
  /// `capacity`: sequences of input + output tokens that fit the memory of one replica, the shared prefix held once.
  Server(const Model& model, const Device& device, const Deployment& deployment, const Engine& engine, const Load& load,
         i64 capacity, const RangeRule& range, double anchor = 1);
  Server(const Server&) = delete;  // the curve refers to the decoder held here
  Server& operator=(const Server&) = delete;
  /// Under `concurrency` or `rate` of the load, shared evenly by the replicas.
  Serving operator()(const Load& load, i64 replicas);

 private:
  struct Point;
  struct Passes;
  Point at(double throughput, double decoding, double requests);
  double throughput(double decoding, double requests);
  double between_tokens(double throughput, double step, double requests) const;
  double holding_up(double requests) const;
  Passes passes(double step, double requests) const;
  double among_many() const { return std::max(work_, host_ / at_once_); }
  double others(double requests) const { return 1 - 1 / std::max(1.0, requests); }
  double stages(double requests) const { return std::min(stages_, std::max(1.0, requests)); }
  void reach(Serving& s, double running);
  void settle(Serving& s, double rate, double replicas);

  const Engine& engine_;
  RangeRule range_;
  Decoder decoder_;  ///< in the middle of an answer
  StepCurve step_;
  Seconds prefill_;  ///< of a prompt alone
  Seconds first_prefill_;
  double kernels_;  ///< of a prompt alone
  double host_;     ///< that launching its passes takes
  double work_;     ///< of a prompt where all groups of data-parallel attention read one
  double at_once_;  ///< prompts that a pass takes
  Basis basis_;
  double most_;    ///< requests a replica admits
  double tokens_;  ///< of a request that a step each makes
  double output_;
  double stages_;
};

/// The deployment under the load, shared evenly by its replicas. `capacity`: sequences of input + output tokens that
/// fit the memory of one replica.
Serving serve(const Model& model, const Device& device, const Deployment& deployment, const Engine& engine,
              const Load& load, i64 capacity, const RangeRule& range, double anchor = 1);

/// What a step alone gives, in the words of a server: nothing queues and no prompt is read.
Serving served_by_step(const Step& step, double users);

std::vector<Problem> problems(const Load& load);

}  // namespace kvroof
