#include "cli/pair_state.h"

#include <chrono>
#include <thread>

#include "cli/control_client.h"
#include "common/base/clock.h"
#include "common/config/ports.h"

namespace hm::cli {
namespace {

constexpr std::chrono::milliseconds kBetweenLooks{5};
constexpr int kQuietLooks = 2;  // between the two processes a call may be on its way

}  // namespace
std::optional<BoundPorts> bound_ports(const RunPlace& place) {
  const auto ports = config::read_ports(place.ports_file);
  if (!ports) return std::nullopt;
  return BoundPorts{ports->edge_port.value_or(0), ports->internal_port.value_or(0),
                    ports->api_port.value_or(0)};
}

Result<StatusAnswer> StatusAnswer::ask(const std::filesystem::path& socket, int64_t timeout_ms) {
  auto answer = ask_control(socket, "status", timeout_ms);
  if (!answer) return std::unexpected(answer.error());
  return parse(*answer);
}

StatusAnswer StatusAnswer::parse(std::string_view text) {
  StatusAnswer status;
  if (auto fields = wire::ControlFields::parse(text)) status.fields_ = std::move(*fields);
  return status;
}

std::string_view StatusAnswer::text(std::string_view key) const {
  return fields_.find(key).value_or(std::string_view());
}

std::optional<int64_t> StatusAnswer::number(std::string_view key) const {
  return fields_.number(key);
}

std::vector<std::string> StatusAnswer::with_prefix(std::string_view prefix) const {
  std::vector<std::string> values;
  for (const auto& [key, value] : fields_.all())
    if (key.starts_with(prefix)) values.push_back(value);
  return values;
}

bool pair_answers(const RunPlace& place, const BoundPorts& ports) {
  return answers_ping(place.edge_socket, 300) && answers_ping(place.daemon_socket, 300) &&
         port_accepts(ports.edge, 300);
}

bool gate_is_open(const RunPlace& place) {
  const auto status = StatusAnswer::ask(place.edge_socket, 300);
  if (!status) return false;
  const std::string_view gate = status->text("gate");
  return gate.empty() || gate == "open";
}

int64_t waiting_misses(const RunPlace& place) {
  const auto status = StatusAnswer::ask(place.edge_socket, 200);
  return status ? status->number("ledger.calls").value_or(0) : 0;
}

int64_t open_calls(const RunPlace& place) {
  const auto edge = StatusAnswer::ask(place.edge_socket, 200);
  const auto daemon = StatusAnswer::ask(place.daemon_socket, 200);
  return (edge ? edge->number("open_calls").value_or(0) : 0) +
         (daemon ? daemon->number("sessions").value_or(0) : 0);
}

void wait_until_stored(const RunPlace& place, int64_t others, int64_t limit_ms) {
  const int64_t end_us = system_clock().steady_us() + limit_ms * 1000;
  int quiet = 0;
  while (system_clock().steady_us() < end_us) {
    const bool all_closed = open_calls(place) <= others;
    const auto daemon = StatusAnswer::ask(place.daemon_socket, 200);
    if (!daemon) return;
    const bool all_written = daemon->number("store.queue").value_or(0) == 0 &&
                             daemon->number("store.unsafe").value_or(0) == 0;
    quiet = all_closed && all_written ? quiet + 1 : 0;
    if (quiet >= kQuietLooks) return;
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

}  // namespace hm::cli
