#include "interceptor/store/schema.h"

#include <array>

namespace hm::store {
namespace {

constexpr const char* kTables = R"sql(
CREATE TABLE projects (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  slug TEXT NOT NULL,
  created_at TEXT NOT NULL,
  archived_at TEXT
) STRICT;
CREATE UNIQUE INDEX projects_slug ON projects(slug);

-- One row per model turn. Times are ISO 8601 UTC with microseconds; money is null when unknown.
CREATE TABLE requests (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL REFERENCES projects(id) ON DELETE RESTRICT,
  provider TEXT NOT NULL,
  host TEXT NOT NULL,
  model TEXT NOT NULL,
  requested_model TEXT,
  endpoint TEXT NOT NULL,
  mode TEXT NOT NULL DEFAULT 'standard',
  request_kind TEXT NOT NULL DEFAULT 'chat',
  stream INTEGER NOT NULL DEFAULT 0,
  transport TEXT NOT NULL,
  input_tokens INTEGER NOT NULL DEFAULT 0,
  output_tokens INTEGER NOT NULL DEFAULT 0,
  thinking_tokens INTEGER NOT NULL DEFAULT 0,
  cache_read_tokens INTEGER NOT NULL DEFAULT 0,
  cache_write_tokens INTEGER NOT NULL DEFAULT 0,
  cache_write_5m_tokens INTEGER NOT NULL DEFAULT 0,
  cache_write_1h_tokens INTEGER NOT NULL DEFAULT 0,
  counted_tokens INTEGER,
  tokens_complete INTEGER NOT NULL DEFAULT 0,
  incomplete_reason TEXT,
  stop_reason TEXT,
  service_tier TEXT,
  geo TEXT,
  billing TEXT NOT NULL DEFAULT 'api',
  cost_usd_minor_units INTEGER,
  cost_pico_usd INTEGER,
  shadow_cost_pico_usd INTEGER,
  provider_cost_pico_usd INTEGER,
  unpriced_reason TEXT,
  rates_source TEXT,
  rate_namespace TEXT,
  card_id TEXT,
  price_entry TEXT,
  price_period TEXT,
  price_tier TEXT,
  price_long_context INTEGER NOT NULL DEFAULT 0,
  price_geo TEXT,
  requested_at TEXT NOT NULL,
  latency_ms INTEGER,
  ttfb_us INTEGER,
  duration_us INTEGER,
  bytes_up INTEGER NOT NULL DEFAULT 0,
  bytes_down INTEGER NOT NULL DEFAULT 0,
  status TEXT NOT NULL,
  http_status INTEGER,
  error_class TEXT,
  error_kind TEXT,
  provider_error_code TEXT,
  provider_request_id TEXT,
  response_id TEXT,
  retry_after_s REAL,
  client_name TEXT,
  client_version TEXT,
  client_pid INTEGER,
  session_id TEXT,
  cwd TEXT,
  git_branch TEXT,
  attribution_tier TEXT,
  call_id TEXT,
  run_id TEXT,
  schema_version INTEGER NOT NULL
) STRICT;
CREATE INDEX requests_requested_at ON requests(requested_at);
CREATE INDEX requests_project ON requests(project_id, requested_at);
CREATE INDEX requests_model ON requests(provider, model, requested_at);
CREATE INDEX requests_run ON requests(run_id) WHERE run_id IS NOT NULL;
CREATE INDEX requests_response ON requests(provider, response_id) WHERE response_id IS NOT NULL;

-- Usage of other models inside the same call; in none of the request's own columns.
CREATE TABLE request_extra_usage (
  request_id TEXT NOT NULL REFERENCES requests(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  kind TEXT NOT NULL,
  model TEXT NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  thinking_tokens INTEGER NOT NULL,
  cache_read_tokens INTEGER NOT NULL,
  cache_write_5m_tokens INTEGER NOT NULL,
  cache_write_1h_tokens INTEGER NOT NULL,
  PRIMARY KEY (request_id, position)
) STRICT, WITHOUT ROWID;

-- Server-side tools that are charged per call.
CREATE TABLE request_tool_calls (
  request_id TEXT NOT NULL REFERENCES requests(id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (request_id, name)
) STRICT, WITHOUT ROWID;

-- Audio, image and video parts of the token columns. extra_position: of the extra usage, -1 of the
-- request itself.
CREATE TABLE request_usage_parts (
  request_id TEXT NOT NULL REFERENCES requests(id) ON DELETE CASCADE,
  extra_position INTEGER NOT NULL,
  bucket TEXT NOT NULL,
  tokens INTEGER NOT NULL,
  PRIMARY KEY (request_id, extra_position, bucket)
) STRICT, WITHOUT ROWID;

CREATE TABLE request_rate_limits (
  request_id TEXT NOT NULL REFERENCES requests(id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  instant TEXT,
  PRIMARY KEY (request_id, name)
) STRICT, WITHOUT ROWID;

-- How our figure came about; rate per token or per call.
CREATE TABLE request_cost_lines (
  request_id TEXT NOT NULL REFERENCES requests(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  model TEXT NOT NULL,
  bucket TEXT NOT NULL,
  per_call INTEGER NOT NULL,
  count INTEGER NOT NULL,
  rate_pico_usd INTEGER NOT NULL,
  amount_pico_usd INTEGER NOT NULL,
  PRIMARY KEY (request_id, position)
) STRICT, WITHOUT ROWID;

-- Why the bill may differ from our figure: prepaid_tier, stale_rate, not_covered, ...
CREATE TABLE request_price_flags (
  request_id TEXT NOT NULL REFERENCES requests(id) ON DELETE CASCADE,
  flag TEXT NOT NULL,
  PRIMARY KEY (request_id, flag)
) STRICT, WITHOUT ROWID;

CREATE TABLE request_bodies (
  request_id TEXT NOT NULL REFERENCES requests(id) ON DELETE CASCADE,
  direction TEXT NOT NULL CHECK (direction IN ('request', 'response')),
  content_type TEXT,
  body BLOB NOT NULL,
  original_bytes INTEGER NOT NULL,
  truncated INTEGER NOT NULL DEFAULT 0,
  redactions INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL,
  PRIMARY KEY (request_id, direction)
) STRICT;

CREATE TABLE project_settings (
  project_id TEXT NOT NULL REFERENCES projects(id) ON DELETE CASCADE,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  PRIMARY KEY (project_id, key)
) STRICT, WITHOUT ROWID;

-- The rates of every card that priced something here. Days are UTC; null from = since the model
-- exists, null to = open. Rates of a bucket are pico-USD per token = micro-USD per million tokens.
CREATE TABLE pricing_rates (
  card_id TEXT NOT NULL,
  source TEXT NOT NULL,
  provider TEXT NOT NULL,
  model TEXT NOT NULL,
  effective_from TEXT,
  effective_to TEXT,
  service_tier TEXT NOT NULL,
  long_context_above INTEGER,
  bucket TEXT NOT NULL,
  rate_pico_usd INTEGER NOT NULL
) STRICT;
CREATE INDEX pricing_rates_model ON pricing_rates(card_id, provider, model);

-- Calls to metered hosts that were not metered.
CREATE TABLE misses (
  id INTEGER PRIMARY KEY,
  at TEXT NOT NULL,
  host TEXT NOT NULL,
  reason TEXT NOT NULL,
  count INTEGER NOT NULL DEFAULT 1,
  bytes_up INTEGER NOT NULL DEFAULT 0,
  bytes_down INTEGER NOT NULL DEFAULT 0,
  duration_us INTEGER NOT NULL DEFAULT 0,
  client_port INTEGER,
  call_id TEXT,
  detail TEXT
) STRICT;
CREATE INDEX misses_at ON misses(at);

-- Unused since rows and misses are known by name.
CREATE TABLE _spool (
  name TEXT PRIMARY KEY,
  read_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
)sql";

// What a price needs and the first tables did not keep, and prices that were replaced.
constexpr const char* kPriceHistory = R"sql(
ALTER TABLE requests ADD COLUMN cache_lifetime TEXT;
ALTER TABLE requests ADD COLUMN bucket_doubt TEXT;
ALTER TABLE requests ADD COLUMN key_print TEXT;
ALTER TABLE requests ADD COLUMN client_retry INTEGER;

-- Null in lines that are older than these columns: only the rate as applied is known.
ALTER TABLE request_cost_lines ADD COLUMN list_rate_pico_usd INTEGER;
ALTER TABLE request_cost_lines ADD COLUMN multiplier TEXT;

-- Sub-calls of the request's own model; they add up to the request's columns. Thresholds of the
-- prompt's length are judged for each.
CREATE TABLE request_iterations (
  request_id TEXT NOT NULL REFERENCES requests(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  thinking_tokens INTEGER NOT NULL,
  cache_read_tokens INTEGER NOT NULL,
  cache_write_5m_tokens INTEGER NOT NULL,
  cache_write_1h_tokens INTEGER NOT NULL,
  PRIMARY KEY (request_id, position)
) STRICT, WITHOUT ROWID;

-- What a request cost before it was priced again; position 0 is the first figure. The columns are
-- those of requests.
CREATE TABLE request_price_history (
  request_id TEXT NOT NULL REFERENCES requests(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  replaced_at TEXT NOT NULL,
  cost_pico_usd INTEGER,
  shadow_cost_pico_usd INTEGER,
  unpriced_reason TEXT,
  rates_source TEXT,
  card_id TEXT,
  price_entry TEXT,
  price_period TEXT,
  price_tier TEXT,
  price_long_context INTEGER NOT NULL DEFAULT 0,
  price_geo TEXT,
  PRIMARY KEY (request_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE request_price_history_lines (
  request_id TEXT NOT NULL REFERENCES requests(id) ON DELETE CASCADE,
  history_position INTEGER NOT NULL,
  position INTEGER NOT NULL,
  model TEXT NOT NULL,
  bucket TEXT NOT NULL,
  per_call INTEGER NOT NULL,
  count INTEGER NOT NULL,
  rate_pico_usd INTEGER NOT NULL,
  amount_pico_usd INTEGER NOT NULL,
  list_rate_pico_usd INTEGER,
  multiplier TEXT,
  PRIMARY KEY (request_id, history_position, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE request_price_history_flags (
  request_id TEXT NOT NULL REFERENCES requests(id) ON DELETE CASCADE,
  history_position INTEGER NOT NULL,
  flag TEXT NOT NULL,
  PRIMARY KEY (request_id, history_position, flag)
) STRICT, WITHOUT ROWID;
)sql";

// A miss has a name, so that one that is handed over twice is one row: the ledger it comes from and
// its number there. Rows of before have none.
constexpr const char* kNamedMisses = R"sql(
ALTER TABLE misses ADD COLUMN source TEXT;
ALTER TABLE misses ADD COLUMN sequence INTEGER;
CREATE UNIQUE INDEX misses_name ON misses(source, sequence);
CREATE INDEX misses_call ON misses(call_id) WHERE call_id IS NOT NULL;
CREATE INDEX requests_call ON requests(call_id) WHERE call_id IS NOT NULL;
)sql";

// Whoever asked for one provider got this index, and with it every row of that provider, whatever
// the period; the index by time is better for that, and a row costs a tenth less without it.
constexpr const char* kByTimeOnly = R"sql(
DROP INDEX IF EXISTS requests_model;
)sql";

constexpr std::array kMigrations = {
    Migration{1, "first tables", kTables},
    Migration{2, "price history", kPriceHistory},
    Migration{3, "named misses", kNamedMisses},
    Migration{4, "no index by model", kByTimeOnly},
};
static_assert(kMigrations.back().version == kSchemaVersion);

}  // namespace

std::span<const Migration> migrations() {
  return kMigrations;
}

}  // namespace hm::store
