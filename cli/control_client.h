// One blocking request to a control socket: connect, a line, the whole answer, close.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace hm::cli {

inline constexpr size_t kControlAnswerLimit = 1024 * 1024;

// `request` without the protocol's version and line end: "status". The deadline covers everything.
// not_found: no socket there; refused: a socket that nobody answers on; timeout; too_large (answer,
// or a path that does not fit sun_path); closed: the answer was empty.
[[nodiscard]] Result<std::string> ask_control(const std::filesystem::path& socket,
                                              std::string_view request, int64_t timeout_ms,
                                              size_t max_bytes = kControlAnswerLimit);

// Does a process answer `ping` there?
[[nodiscard]] bool answers_ping(const std::filesystem::path& socket, int64_t timeout_ms);

// Does somebody accept on 127.0.0.1:port?
[[nodiscard]] bool port_accepts(uint16_t port, int64_t timeout_ms);

[[nodiscard]] bool fits_socket_path(const std::filesystem::path& socket);  // 107 bytes on Linux

}  // namespace hm::cli
