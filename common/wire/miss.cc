#include "common/wire/miss.h"

#include <charconv>
#include <utility>

#include "common/wire/control_message.h"

namespace hm::wire {
namespace {

std::string hex(uint64_t value) {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof digits, value, 16).ptr;
  return {digits, end};
}

template <class Number>
void read(std::string_view text, Number& out, int base = 10) {
  std::from_chars(text.data(), text.data() + text.size(), out, base);
}

}  // namespace

std::string Miss::source() const {
  return "edge-" + hex(origin);
}

std::string Miss::pack() const {
  return pack_fields({{"seq", std::to_string(sequence)},
                      {"origin", hex(origin)},
                      {"number", std::to_string(number)},
                      {"at_us", std::to_string(at_us)},
                      {"host", host},
                      {"reason", reason},
                      {"detail", detail},
                      {"count", std::to_string(count)},
                      {"up", std::to_string(bytes_up)},
                      {"down", std::to_string(bytes_down)},
                      {"us", std::to_string(duration_us)},
                      {"port", std::to_string(client_port)},
                      {"call", call_id}});
}

Miss Miss::unpack(std::string_view text) {
  Miss miss;
  for (auto& [key, value] : unpack_fields(text)) {
    if (key == "seq") read(value, miss.sequence);
    if (key == "origin") read(value, miss.origin, 16);
    if (key == "number") read(value, miss.number);
    if (key == "at_us") read(value, miss.at_us);
    if (key == "count") read(value, miss.count);
    if (key == "up") read(value, miss.bytes_up);
    if (key == "down") read(value, miss.bytes_down);
    if (key == "us") read(value, miss.duration_us);
    if (key == "port") read(value, miss.client_port);
    if (key == "host") miss.host = std::move(value);
    if (key == "reason") miss.reason = std::move(value);
    if (key == "detail") miss.detail = std::move(value);
    if (key == "call") miss.call_id = std::move(value);
  }
  return miss;
}

}  // namespace hm::wire
