// What the command line needs of config.toml, in words of its own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/context.h"

namespace hm::cli {

struct Settings {
  std::vector<std::string> metered_hosts;  // what the CA is made for
  std::vector<uint16_t> known_edge_ports;  // where our edge listens, or did last
  bool has_upstream_proxy = false;
  std::vector<std::string> upstream_roots;  // [upstream] ca_file; none or one
  std::vector<std::string> warnings;        // what is wrong with the file, one sentence each
};

[[nodiscard]] Settings load_settings(const Context& context);

}  // namespace hm::cli
