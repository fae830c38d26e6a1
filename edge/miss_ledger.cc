#include "edge/miss_ledger.h"

#include <charconv>
#include <tuple>
#include <utility>

#include "common/wire/control_message.h"

namespace hm::edge {
namespace {

constexpr int64_t kHourUs = 3600LL * 1'000'000;

int64_t number(std::string_view text) {
  int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

std::string Miss::pack() const {
  return wire::pack_fields({{"seq", std::to_string(sequence)},
                            {"at_us", std::to_string(at_us)},
                            {"host", host},
                            {"reason", reason},
                            {"count", std::to_string(count)},
                            {"up", std::to_string(bytes_up)},
                            {"down", std::to_string(bytes_down)},
                            {"us", std::to_string(duration_us)},
                            {"port", std::to_string(client_port)},
                            {"call", call_id}});
}

Miss Miss::unpack(std::string_view text) {
  Miss miss;
  for (auto& [key, value] : wire::unpack_fields(text)) {
    if (key == "seq") miss.sequence = number(value);
    if (key == "at_us") miss.at_us = number(value);
    if (key == "count") miss.count = number(value);
    if (key == "up") miss.bytes_up = number(value);
    if (key == "down") miss.bytes_down = number(value);
    if (key == "us") miss.duration_us = number(value);
    if (key == "port") miss.client_port = number(value);
    if (key == "host") miss.host = std::move(value);
    if (key == "reason") miss.reason = std::move(value);
    if (key == "call") miss.call_id = std::move(value);
  }
  return miss;
}

void MissLedger::add(Miss miss) {
  // Months without an interceptor: coarser again rather than larger.
  for (const int64_t span : {kHourUs, 24 * kHourUs, INT64_MAX}) {
    if (entries_.size() < kMaxEntries) break;
    compact(span);
  }
  miss.sequence = next_sequence_++;
  entries_.emplace(miss.sequence, std::move(miss));
}

void MissLedger::compact(int64_t span_us) {
  std::map<std::tuple<std::string, std::string, int64_t>, Miss> sums;
  for (auto& [sequence, miss] : entries_) {
    Miss& sum = sums[{miss.host, miss.reason, miss.at_us / span_us}];
    if (sum.host.empty()) {
      sum = std::move(miss);
      continue;
    }
    sum.count += miss.count;
    sum.bytes_up += miss.bytes_up;
    sum.bytes_down += miss.bytes_down;
    sum.duration_us += miss.duration_us;
    sum.client_port = 0;  // a sum is nobody's in particular
    sum.call_id.clear();
  }
  entries_.clear();
  // New sequences: a hand-over under way must not acknowledge a sum that it has not seen.
  for (auto& [key, sum] : sums) {
    sum.sequence = next_sequence_++;
    entries_.emplace(sum.sequence, std::move(sum));
  }
}

std::vector<Miss> MissLedger::oldest(size_t most) const {
  std::vector<Miss> list;
  for (const auto& [sequence, miss] : entries_) {
    if (list.size() == most) break;
    list.push_back(miss);
  }
  return list;
}

void MissLedger::acknowledge(int64_t up_to_sequence) {
  entries_.erase(entries_.begin(), entries_.upper_bound(up_to_sequence));
}

int64_t MissLedger::calls() const {
  int64_t sum = 0;
  for (const auto& [sequence, miss] : entries_) sum += miss.count;
  return sum;
}

std::string MissLedger::save() const {
  std::string text;
  for (const auto& [sequence, miss] : entries_) text += miss.pack() + '\n';
  return text;
}

void MissLedger::load(std::string_view text) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    Miss miss = Miss::unpack(text.substr(0, end));
    if (!miss.host.empty() && !miss.reason.empty()) add(std::move(miss));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
}

}  // namespace hm::edge
