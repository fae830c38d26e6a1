#include "common/wire/control_common.h"

#include <charconv>

#include "common/base/counters.h"
#include "common/base/log.h"

namespace hm::wire {

std::optional<std::string> answer_common(const ControlRequestLine& request) {
  ControlAnswer answer;
  if (request.verb == "ping") return answer.add("ok", 1).text();
  if (request.verb == "counters") {
    for (const auto& [name, value] : counters::snapshot()) answer.add(name, value);
    return answer.text();
  }
  if (request.verb == "log-level") {
    log::Level level = log::Level::info;
    if (!log::parse_level(argument_of(request), level))
      return ControlAnswer::error("log-level wants debug, info, warn or error");
    log::set_level(level);
    return answer.add("ok", 1).text();
  }
  return std::nullopt;
}

std::string answer_reload(int64_t number) {
  return ControlAnswer().add("ok", 1).add("reload", number).text();
}

std::string answer_fields(const std::vector<std::pair<std::string_view, std::string>>& fields) {
  ControlAnswer answer;
  for (const auto& [key, value] : fields) answer.add(key, value);
  return answer.text();
}

std::string argument_of(const ControlRequestLine& request, size_t which) {
  return request.arguments.size() <= which ? "" : request.arguments[which];
}

int64_t number_of(const ControlRequestLine& request, size_t which) {
  const std::string argument = argument_of(request, which);
  int64_t value = 0;
  const size_t digits = argument.find('=') + 1;  // npos + 1 is 0
  std::from_chars(argument.data() + digits, argument.data() + argument.size(), value);
  return value;
}

}  // namespace hm::wire
