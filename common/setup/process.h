// What the two long-running processes do alike before their loops run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/fs.h"
#include "common/base/result.h"
#include "common/config/config.h"
#include "common/config/ports.h"
#include "common/net/dialer.h"
#include "common/net/work.h"

namespace hm::setup {

// Flags that take a value. Empty text: everything is fine; else one sentence about what is not.
struct ProcessFlags {
  std::optional<std::string> home;
  std::optional<std::string> run_dir;
  std::optional<uint16_t> edge_port;  // pins; 0 takes any free one
  std::optional<uint16_t> internal_port;
  std::optional<uint16_t> api_port;
  int lifeline = -1;
  bool supervised = false;  // see worker.h
  bool help = false;
  bool version = false;
};
// `allowed` names the port flags that this process has: "--edge-port".
[[nodiscard]] std::string parse_flags(int argc, const char* const* argv,
                                      const std::vector<std::string_view>& allowed,
                                      ProcessFlags& flags);

[[nodiscard]] Home home_of(const ProcessFlags& flags);
[[nodiscard]] RunPlace place_of(const ProcessFlags& flags, const Home& home);
// What is in force from this start on; the file is remembered for a start that finds it with a
// fault.
[[nodiscard]] config::Loaded config_of(const Home& home);

[[nodiscard]] net::DialOptions dial_options(const config::Config& config, int64_t timeout_ms);

// Takes up what `reload` may change; what the process has set besides stays.
void update_dial_options(net::DialOptions& options, const config::Config& config,
                         int64_t timeout_ms);

void set_log(const config::Config& config);  // level and size
void start_log(const config::Config& config, const std::filesystem::path& file);

// `port` instead of `wanted`: who holds that, and `then`, what that means.
void warn_port_taken(const char* event, uint16_t wanted, uint16_t port, std::string_view then);
void publish_ports(const char* failure, const RunPlace& place, const config::EffectivePorts& mine,
                   int64_t wall_us);
// Shells that are opened from now on shall not carry the address of this edge: it accepts nobody
// any more. Off the loop, with `work`.
void retract_edge(net::Work& work, const RunPlace& place, int64_t wall_us);

// The soft limit of open descriptors becomes the hard one. Of `wanted` connections, how many can be
// had with it: each takes two descriptors, and some are kept for everything else.
[[nodiscard]] size_t raise_descriptor_limit(size_t wanted);

}  // namespace hm::setup
