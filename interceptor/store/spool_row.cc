#include "interceptor/store/spool_row.h"

#include <array>
#include <bit>
#include <concepts>
#include <deque>
#include <optional>
#include <utility>

namespace hm::store {
namespace {

constexpr uint32_t kMaxList = 100'000;
constexpr char kCall = 'C';
constexpr char kMiss = 'M';

// Both archives have operator() for every kind of field, so that one list of fields serves reading
// and writing. Numbers are little-endian, 64 bits.
class Out {
 public:
  void operator()(std::integral auto& value) { number(static_cast<uint64_t>(value)); }
  void operator()(double& value) { number(std::bit_cast<uint64_t>(value)); }
  void operator()(std::string& value) {
    number(value.size());
    bytes_.append(value);
  }
  void operator()(CallStatus& value) { number(static_cast<uint64_t>(value)); }
  template <class T>
  void operator()(std::optional<T>& value) {
    number(value.has_value() ? 1 : 0);
    if (value) (*this)(*value);
  }
  template <class T, class Each>
  void list(std::vector<T>& values, Each each) {
    number(values.size());
    for (T& value : values) each(value);
  }
  std::string take() { return std::move(bytes_); }

 private:
  void number(uint64_t value) {
    std::array<char, 8> bytes{};
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(value >> 8 * i);
    bytes_.append(bytes.data(), bytes.size());
  }
  std::string bytes_;
};

// A row of an earlier version ends before our last fields do, which keep their defaults; what a
// later version has added at the end is left alone. Torn rows do not come here: a checksum tells.
class In {
 public:
  explicit In(std::string_view bytes) : bytes_(bytes) {}
  void operator()(std::integral auto& value) {
    if (over()) return;
    value = static_cast<std::remove_reference_t<decltype(value)>>(number());
  }
  void operator()(double& value) {
    if (!over()) value = std::bit_cast<double>(number());
  }
  void operator()(std::string& value) {
    if (over()) return;
    const uint64_t size = number();
    if (size > bytes_.size()) return spoil();
    value = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
  }
  void operator()(CallStatus& value) {
    if (over()) return;
    const uint64_t read = number();
    if (read > static_cast<uint64_t>(CallStatus::truncated)) return spoil();
    value = static_cast<CallStatus>(read);
  }
  template <class T>
  void operator()(std::optional<T>& value) {
    if (!over() && number() != 0) (*this)(value.emplace());
  }
  template <class T, class Each>
  void list(std::vector<T>& values, Each each) {
    if (over()) return;
    const uint64_t size = number();
    if (size > kMaxList) return spoil();
    for (uint64_t i = 0; i < size && good_; ++i) each(values.emplace_back());
  }
  [[nodiscard]] bool good() const { return good_; }

 private:
  void spoil() {
    good_ = false;
    bytes_ = {};
  }
  uint64_t number() {
    if (bytes_.size() < 8) {
      spoil();
      return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < 8; ++i)
      value |= static_cast<uint64_t>(static_cast<uint8_t>(bytes_[i])) << (8 * i);
    bytes_.remove_prefix(8);
    return value;
  }
  [[nodiscard]] bool over() const { return bytes_.empty(); }

  std::string_view bytes_;
  bool good_ = true;
};

template <class Archive, class... Fields>
void each(Archive& a, Fields&... fields) {
  (a(fields), ...);
}

template <class Archive>
void fields(Archive& a, Usage& u) {
  each(a, u.input_tokens, u.cache_read_tokens, u.cache_write_5m_tokens, u.cache_write_1h_tokens,
       u.output_tokens, u.thinking_tokens);
  a.list(u.parts, [&a](UsagePart& part) { each(a, part.bucket, part.tokens); });
}

// A new field goes to the end.
template <class Archive>
void fields(Archive& a, CallRecord& r) {
  each(a, r.id, r.call_id, r.provider, r.rate_namespace, r.host, r.model, r.requested_model,
       r.endpoint, r.mode, r.request_kind, r.stream, r.transport, r.billing);
  fields(a, r.usage);
  each(a, r.tokens_complete, r.incomplete_reason, r.counted_tokens);
  a.list(r.extra_usage, [&a](ExtraUsage& extra) {
    each(a, extra.kind, extra.model);
    fields(a, extra.usage);
  });
  a.list(r.tool_calls, [&a](ToolCalls& calls) { each(a, calls.name, calls.count); });
  each(a, r.service_tier, r.geo, r.stop_reason, r.cache_lifetime, r.provider_cost_pico_usd,
       r.bucket_doubt, r.requested_at_us, r.ttfb_us, r.duration_us, r.bytes_up, r.bytes_down,
       r.status, r.http_status, r.error_class, r.error_kind, r.provider_error_code,
       r.provider_request_id, r.response_id, r.retry_after_s);
  a.list(r.rate_limits,
         [&a](RateLimitHeader& header) { each(a, header.name, header.value, header.instant_us); });
  Attribution& by = r.attribution;
  each(a, r.session_id, by.project, by.tier, by.client_name, by.client_version, by.client_pid,
       by.cwd, by.git_branch, by.run_id);
  a.list(r.iterations, [&a](Usage& usage) { fields(a, usage); });
  each(a, r.key_print, r.client_retry);
}

template <class Archive>
void fields(Archive& a, MissRecord& m) {
  each(a, m.at_us, m.host, m.reason, m.count, m.bytes_up, m.bytes_down, m.duration_us,
       m.client_port, m.call_id, m.detail, m.source, m.sequence, m.less_rows);
}

template <class Record>
std::string encoded(char kind, const Record& record) {
  Out archive;
  Record copy = record;
  fields(archive, copy);
  return kind + archive.take();
}

template <class Record>
bool decoded(std::string_view payload, std::deque<Record>& out) {
  In archive(payload);
  Record record;
  fields(archive, record);
  if (archive.good()) out.push_back(std::move(record));
  return archive.good();
}

}  // namespace

std::string spool_row(const CallRecord& record) {
  return encoded(kCall, record);
}

std::string spool_row(const MissRecord& record) {
  return encoded(kMiss, record);
}

bool read_spool_row(std::string_view row, QueuedRows& out) {
  if (row.empty()) return false;
  if (row[0] == kCall) return decoded(row.substr(1), out.calls);
  if (row[0] == kMiss) return decoded(row.substr(1), out.misses);
  return false;
}

}  // namespace hm::store
