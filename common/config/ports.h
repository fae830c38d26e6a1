// effective-ports.json: the ports that were really bound. Both processes write their own part, so
// an update is read, merge, replace under a lock; a reader never sees half a file. Blocking.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace hm::config {

struct EffectivePorts {
  std::optional<uint16_t> edge_port = std::nullopt;
  std::optional<uint16_t> internal_port = std::nullopt;
  std::optional<uint16_t> api_port = std::nullopt;
  std::optional<int32_t> edge_pid =
      std::nullopt;  // of the edge that accepts there; for start files of shells
};

// not_found without a file; malformed when no port can be read from it.
[[nodiscard]] Result<EffectivePorts> read_ports(const std::filesystem::path& path);

// Sets the ports that `mine` names and keeps the others. `now_us` is wall time, for "written_at".
[[nodiscard]] Result<void> write_ports(const std::filesystem::path& path,
                                       const EffectivePorts& mine, int64_t now_us);

// This edge accepts nobody any more: unless another one has written itself down meanwhile, none
// does.
void forget_edge(const std::filesystem::path& path, int32_t pid, int64_t now_us);

// Pure halves, for tests.
[[nodiscard]] EffectivePorts parse_ports(std::string_view json);
[[nodiscard]] std::string ports_text(const EffectivePorts& ports, int64_t pid, int64_t now_us);

}  // namespace hm::config
