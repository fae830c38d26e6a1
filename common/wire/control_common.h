// What both processes answer alike on their control sockets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/wire/control_message.h"

namespace hm::wire {

// ping, counters, log-level; nullopt for any other request.
[[nodiscard]] std::optional<std::string> answer_common(const ControlRequestLine& request);

// `reload` has begun and is over when `reload-result` says done=number.
[[nodiscard]] std::string answer_reload(int64_t number);
[[nodiscard]] std::string answer_fields(
    const std::vector<std::pair<std::string_view, std::string>>& fields);

// An argument, empty without; as a number, "17" or "upto=17", 0 when it is none.
[[nodiscard]] std::string argument_of(const ControlRequestLine& request, size_t which = 0);
[[nodiscard]] int64_t number_of(const ControlRequestLine& request, size_t which = 0);

}  // namespace hm::wire
