#include "interceptor/relay/ledger_collector.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "common/wire/control_message.h"

namespace hm::relay {
namespace {

constexpr int64_t kPeriodMs = 1000;
constexpr int64_t kTimeoutMs = 1000;
constexpr size_t kMaxAnswer = 4 * 1024 * 1024;

int64_t number(std::string_view text) {
  int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

struct Entry {
  int64_t sequence = 0;
  MissRecord miss;
};

Entry unpack_entry(std::string_view packed) {
  Entry entry;
  MissRecord& miss = entry.miss;
  for (const auto& [name, text] : wire::unpack_fields(packed)) {
    if (name == "seq") entry.sequence = number(text);
    if (name == "at_us") miss.at_us = number(text);
    if (name == "count") miss.count = number(text);
    if (name == "up") miss.bytes_up = number(text);
    if (name == "down") miss.bytes_down = number(text);
    if (name == "us") miss.duration_us = number(text);
    if (name == "port") miss.client_port = number(text);
    if (name == "host") miss.host = text;
    if (name == "reason") miss.reason = text;
    if (name == "call") miss.call_id = text;
  }
  return entry;
}

}  // namespace

LedgerCollector::LedgerCollector(net::Loop& loop, std::filesystem::path edge_socket,
                                 RecordSink& sink)
    : edge_socket_(std::move(edge_socket)),
      sink_(sink),
      request_(loop),
      timer_(loop, [this] { collect(); }) {}

void LedgerCollector::start() {
  timer_.start_repeating(kPeriodMs);
  collect();
}

void LedgerCollector::collect() {
  if (request_.busy()) return;
  request_.send(edge_socket_, wire::control_request("ledger"), kTimeoutMs, kMaxAnswer,
                [this](const Result<std::string>& answer) { on_answer(answer); });
}

void LedgerCollector::on_answer(const Result<std::string>& answer) {
  if (!answer) return;  // no edge, or not now: the ledger keeps them
  const auto fields = wire::ControlFields::parse(*answer);
  if (!fields) return;
  // An edge that was started anew counts from one again.
  const auto edge_pid = fields->number("pid").value_or(0);
  if (std::exchange(edge_pid_, edge_pid) != edge_pid) taken_ = 0;
  int64_t last = 0;
  for (const auto& [key, value] : fields->all()) {
    if (key != "entry") continue;
    auto [sequence, miss] = unpack_entry(value);
    if (sequence <= taken_) {
      last = std::max(last, sequence);
      continue;
    }
    if (!sink_.push(std::move(miss))) break;
    taken_ = sequence;
    last = std::max(last, sequence);
  }
  if (last > 0) acknowledge(last);
}

void LedgerCollector::acknowledge(int64_t sequence) {
  request_.send(edge_socket_, wire::control_request("ledger-ack", {std::to_string(sequence)}),
                kTimeoutMs, kMaxAnswer, [](const Result<std::string>&) {});
}

}  // namespace hm::relay
