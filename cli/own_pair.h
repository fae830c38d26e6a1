// An edge and an interceptor of our own, for the time of one command. Both hold the read end of a
// pipe, the lifeline; the command inherits the write end. When the last holder of the write end is
// gone they finish their open calls and exit, so they outlive a `run` that was killed while its
// command still lives.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <expected>
#include <filesystem>
#include <string>

#include "cli/child_process.h"
#include "cli/context.h"
#include "common/base/descriptor.h"

namespace hm::cli {

struct PairWishes {
  std::string upstream_proxy;  // empty: as config.toml says
  std::string upstream_roots;  // file with extra roots; empty: none
  int64_t ready_limit_ms = 2000;
};

class OwnPair {
 public:
  // Blocks until both answer and calls would be metered. The error is half a sentence: why not.
  // When a signal arrives meanwhile, it is in `interrupted` (else 0) and the pair is gone again.
  [[nodiscard]] static std::expected<OwnPair, std::string> start(const Context& context,
                                                                 const PairWishes& wishes,
                                                                 SignalLine& signals,
                                                                 int& interrupted);
  OwnPair(OwnPair&&) = default;
  OwnPair& operator=(OwnPair&&) = default;

  [[nodiscard]] uint16_t edge_port() const { return edge_port_; }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] int lifeline() const { return lifeline_.get(); }  // the command inherits it

  // Lets go of the lifeline. Waits a moment for the end of both, then removes the folder; while
  // something else still holds the lifeline the pair stays, and a later run sweeps the folder.
  // True: both have ended.
  bool finish(int64_t limit_ms);

 private:
  OwnPair() = default;
  [[nodiscard]] bool both_ended();

  std::filesystem::path folder_;
  Descriptor lifeline_;
  pid_t edge_ = 0;
  pid_t interceptor_ = 0;
  uint16_t edge_port_ = 0;
};

}  // namespace hm::cli
