// Every SELECT of report, status and the like, on a read-only connection of its own. Works beside a
// running writer and with everything stopped. Not thread-safe: one per thread. Calls block (disk).
// Times are wall microseconds UTC; sums of money are exact.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "interceptor/pricing/pico_usd.h"

namespace hm::store {

using pricing::PicoUsd;

// Empty strings and absent times do not filter.
struct Filter {
  std::optional<int64_t> since_us;  // inclusive
  std::optional<int64_t> until_us;  // exclusive
  std::string project;              // slug
  std::string provider;
  std::string model;
  std::string run_id;
};

struct Totals {
  int64_t requests = 0;
  int64_t errors = 0;        // status other than success
  int64_t incomplete = 0;    // token counts are a lower bound, or unknown
  int64_t no_usage = 0;      // of these: no usage at all, so nothing to price
  int64_t unpriced = 0;      // usage, and no price: the cost is a lower bound
  int64_t subscription = 0;  // calls whose price is in shadow_cost: subscriptions, free-tier keys
  int64_t input_tokens = 0;  // uncached
  int64_t output_tokens = 0;
  int64_t thinking_tokens = 0;  // part of output_tokens
  int64_t cache_read_tokens = 0;
  int64_t cache_write_tokens = 0;
  int64_t bytes_up = 0;
  int64_t bytes_down = 0;
  PicoUsd cost;
  PicoUsd shadow_cost;  // never part of cost
  std::optional<int64_t> avg_latency_ms;
  std::optional<int64_t> p95_latency_ms;  // nearest rank
};

enum class GroupBy : uint8_t { project, provider, model, host, client, day, hour };

struct Group {
  std::string key;  // slug, provider id, model, YYYY-MM-DD, YYYY-MM-DDTHH; may be empty (unknown)
  std::string provider;  // of a model, else empty
  Totals totals;
};

struct MissCount {
  std::string reason;
  std::string host;
  int64_t count = 0;
  int64_t bytes_up = 0;
  int64_t bytes_down = 0;
  int64_t last_us = 0;
};

struct MeteredShare {
  int64_t metered = 0;
  int64_t missed = 0;
  // In tenths of a percent, rounded down, so that 1000 means all; empty when there was no call.
  [[nodiscard]] std::optional<int64_t> per_mille() const;
};

struct UnpricedModel {
  std::string provider;
  std::string model;
  std::string reason;
  int64_t requests = 0;
  int64_t input_tokens = 0;  // all input, cached too
  int64_t output_tokens = 0;
  int64_t first_seen_us = 0;
  int64_t last_seen_us = 0;
};

// All that a report says of the calls of a period.
struct Summary {
  Totals totals;
  std::vector<Group> projects, providers, models;  // dearest first
  std::vector<UnpricedModel> unpriced;             // the most calls first
  std::map<std::string, int64_t> sources;          // bundled-YYYY-MM-DD, override, provider: calls
};

struct Project {
  std::string slug;
  std::string name;
  int64_t created_us = 0;
  bool archived = false;
  int64_t requests = 0;
  int64_t last_seen_us = 0;  // 0 = never
};

// One row, as `top` and `export` show it.
struct RequestRow {
  std::string id;
  int64_t requested_at_us = 0;
  std::string project;
  std::string provider;
  std::string host;
  std::string model;
  std::string requested_model;
  std::string endpoint;
  std::string mode;
  std::string request_kind;
  std::string transport;
  bool stream = false;
  int64_t input_tokens = 0;
  int64_t output_tokens = 0;
  int64_t thinking_tokens = 0;
  int64_t cache_read_tokens = 0;
  int64_t cache_write_tokens = 0;
  bool tokens_complete = false;
  std::string incomplete_reason;
  std::string service_tier;
  std::optional<int64_t> cost_pico_usd;
  std::optional<int64_t> shadow_cost_pico_usd;
  std::string unpriced_reason;
  std::string rates_source;
  std::optional<int64_t> latency_ms;
  std::string status;
  std::optional<int64_t> http_status;
  std::string error_class;
  std::string error_kind;
  std::string provider_error_code;
  std::string provider_request_id;
  std::string client_name;
  std::string session_id;
  std::string attribution_tier;
  std::string run_id;
};

class Queries {
 public:
  // not_found: there is no database yet. malformed: it is not ours, or damaged.
  [[nodiscard]] static Result<Queries> open(const std::filesystem::path& database);
  ~Queries();
  Queries(Queries&&) noexcept;
  Queries& operator=(Queries&&) noexcept;

  [[nodiscard]] Result<Summary> summary(const Filter& filter);
  [[nodiscard]] Result<Totals> totals(const Filter& filter);
  // Dearest first; days and hours in order.
  [[nodiscard]] Result<std::vector<Group>> by(GroupBy group, const Filter& filter);
  // Calls that were not metered. Of the filter, only the times and, as nothing else is known, none
  // of the rest apply.
  [[nodiscard]] Result<std::vector<MissCount>> misses(const Filter& filter);
  // By times only. Side calls that are no usage (reason unknown_path) do not count.
  [[nodiscard]] Result<MeteredShare> metered_share(const Filter& filter);
  [[nodiscard]] Result<int64_t> missed(const Filter& filter);  // of metered_share()
  [[nodiscard]] Result<std::optional<int64_t>> last_capture_us();
  [[nodiscard]] Result<std::vector<UnpricedModel>> unpriced_models(const Filter& filter);
  [[nodiscard]] Result<std::vector<Project>> projects();
  [[nodiscard]] Result<std::vector<RequestRow>> recent(const Filter& filter, int64_t limit,
                                                       int64_t offset = 0);  // newest first
  // All of them, the oldest first, of one moment; `take` says whether to go on.
  [[nodiscard]] Result<void> each(const Filter& filter,
                                  const std::function<bool(const RequestRow&)>& take);
  // Is there a row with this provider request id, not older than that? The self-test's too.
  [[nodiscard]] Result<bool> holds_request(const std::string& provider_request_id,
                                           int64_t since_us);
  [[nodiscard]] Result<int64_t> schema_version();

 private:
  struct Parts;
  explicit Queries(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace hm::store
