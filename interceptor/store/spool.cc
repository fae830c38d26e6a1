#include "interceptor/store/spool.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstring>
#include <optional>
#include <string_view>
#include <system_error>

#include "common/base/fs.h"

namespace hm::store {
namespace {

constexpr std::string_view kMagic = "HMSPOOL2";
constexpr std::string_view kFirstMagic = "HMSPOOL1";  // without iterations, key print and retry
constexpr size_t kMaxFile = 512 * 1024 * 1024;
constexpr uint32_t kMaxRow = 4 * 1024 * 1024;
constexpr uint32_t kMaxList = 100'000;
constexpr char kCall = 'C';
constexpr char kMiss = 'M';

uint32_t checksum(std::string_view bytes) {
  uint32_t hash = 2166136261U;  // FNV-1a: against torn files, not against people
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619U;
  return hash;
}

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
  static constexpr int version = 2;

 private:
  void number(uint64_t value) {
    for (int shift = 0; shift < 64; shift += 8) bytes_.push_back(static_cast<char>(value >> shift));
  }
  std::string bytes_;
};

class In {
 public:
  In(std::string_view bytes, int of_version) : version(of_version), bytes_(bytes) {}
  void operator()(std::integral auto& value) {
    value = static_cast<std::remove_reference_t<decltype(value)>>(number());
  }
  void operator()(double& value) { value = std::bit_cast<double>(number()); }
  void operator()(std::string& value) {
    const uint64_t size = number();
    if (size > bytes_.size()) return spoil();
    value = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
  }
  void operator()(CallStatus& value) {
    const uint64_t read = number();
    if (read > static_cast<uint64_t>(CallStatus::truncated)) return spoil();
    value = static_cast<CallStatus>(read);
  }
  template <class T>
  void operator()(std::optional<T>& value) {
    if (number() != 0) (*this)(value.emplace());
  }
  template <class T, class Each>
  void list(std::vector<T>& values, Each each) {
    const uint64_t size = number();
    if (size > kMaxList) return spoil();
    for (uint64_t i = 0; i < size && good_; ++i) each(values.emplace_back());
  }
  [[nodiscard]] bool whole() const { return good_ && bytes_.empty(); }
  const int version;

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

// A new field goes to the end, and the magic gets a new number.
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
  if (a.version < 2) return;
  a.list(r.iterations, [&a](Usage& usage) { fields(a, usage); });
  each(a, r.key_print, r.client_retry);
}

template <class Archive>
void fields(Archive& a, MissRecord& m) {
  each(a, m.at_us, m.host, m.reason, m.count, m.bytes_up, m.bytes_down, m.duration_us,
       m.client_port, m.call_id, m.detail);
}

void append_u32(std::string& out, uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(value >> shift));
}

uint32_t read_u32(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i)
    value |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  return value;
}

template <class Record>
void append_row(std::string& out, char kind, const Record& record) {
  Out archive;
  Record copy = record;
  fields(archive, copy);
  const std::string payload = kind + archive.take();
  append_u32(out, static_cast<uint32_t>(payload.size()));
  append_u32(out, checksum(payload));
  out += payload;
}

template <class Record>
bool read_row(std::string_view payload, int version, std::vector<Record>& out) {
  In archive(payload, version);
  Record record;
  fields(archive, record);
  if (!archive.whole()) return false;
  out.push_back(std::move(record));
  return true;
}

}  // namespace

Result<std::string> write_spool(const std::filesystem::path& folder, int64_t wall_us,
                                const std::vector<CallRecord>& calls,
                                const std::vector<MissRecord>& misses) {
  if (auto made = ensure_dir(folder); !made) return std::unexpected(made.error());
  std::string content(kMagic);
  for (const CallRecord& record : calls) append_row(content, kCall, record);
  for (const MissRecord& record : misses) append_row(content, kMiss, record);
  std::string name =
      "rows-" + std::to_string(wall_us) + "-" + std::to_string(::getpid()) + ".spool";
  if (auto written = replace_file(folder / name, content); !written)
    return std::unexpected(written.error());
  return name;
}

std::vector<std::filesystem::path> list_spool(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().extension() == ".spool") files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

Result<SpooledRows> read_spool(const std::filesystem::path& file) {
  const auto content = read_file(file, kMaxFile);
  if (!content) return std::unexpected(content.error());
  std::string_view rest = *content;
  const int version = rest.starts_with(kMagic) ? 2 : rest.starts_with(kFirstMagic) ? 1 : 0;
  if (version == 0) return fail(Code::malformed, "spool.read");
  rest.remove_prefix(kMagic.size());
  SpooledRows rows;
  while (!rest.empty()) {
    rows.damaged = true;  // until this row proves good
    if (rest.size() < 9) return rows;
    const uint32_t size = read_u32(rest);
    const uint32_t sum = read_u32(rest.substr(4));
    if (size == 0 || size > kMaxRow || rest.size() - 8 < size) return rows;
    const std::string_view payload = rest.substr(8, size);
    if (checksum(payload) != sum) return rows;
    const bool good = payload[0] == kCall   ? read_row(payload.substr(1), version, rows.calls)
                      : payload[0] == kMiss ? read_row(payload.substr(1), version, rows.misses)
                                            : false;
    if (!good) return rows;
    rows.damaged = false;
    rest.remove_prefix(8 + size);
  }
  return rows;
}

}  // namespace hm::store
