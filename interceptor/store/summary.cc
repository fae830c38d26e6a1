#include "interceptor/store/summary.h"

#include <sqlite3.h>

#include <algorithm>
#include <map>
#include <new>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "interceptor/store/timestamp.h"
#include "interceptor/store/where.h"

namespace hm::store {
namespace {

// The aggregate's arguments, in order.
constexpr const char* kColumns =
    "r.project_id, r.provider, r.model, r.rates_source, r.status, r.tokens_complete, "
    "r.unpriced_reason, r.billing, r.input_tokens, r.output_tokens, r.thinking_tokens, "
    "r.cache_read_tokens, r.cache_write_tokens, r.bytes_up, r.bytes_down, r.cost_pico_usd, "
    "r.shadow_cost_pico_usd, r.latency_ms, r.requested_at";
constexpr int kColumnCount = 19;
constexpr const char* kFunction = "hm_summary";

class Row {
 public:
  explicit Row(sqlite3_value** values) : values_(values) {}
  std::string_view text() {
    sqlite3_value* const value = values_[next_++];
    const auto* bytes = static_cast<const char*>(sqlite3_value_blob(value));
    const auto size = static_cast<size_t>(sqlite3_value_bytes(value));
    return bytes == nullptr ? std::string_view() : std::string_view(bytes, size);
  }
  int64_t number() { return sqlite3_value_int64(values_[next_++]); }
  std::optional<int64_t> optional() {
    sqlite3_value* const value = values_[next_++];
    if (sqlite3_value_type(value) == SQLITE_NULL) return std::nullopt;
    return sqlite3_value_int64(value);
  }

 private:
  sqlite3_value** values_;
  int next_ = 0;
};

struct Sums {
  Totals totals;
  std::vector<int64_t> times;  // of those that have one, in milliseconds

  void add(const Sums& other) {
    for (int64_t Totals::* const figure :
         {&Totals::requests, &Totals::errors, &Totals::incomplete, &Totals::no_usage,
          &Totals::unpriced, &Totals::subscription, &Totals::input_tokens, &Totals::output_tokens,
          &Totals::thinking_tokens, &Totals::cache_read_tokens, &Totals::cache_write_tokens,
          &Totals::bytes_up, &Totals::bytes_down})
      totals.*figure += other.totals.*figure;
    totals.cost += other.totals.cost;
    totals.shadow_cost += other.totals.shadow_cost;
    times.insert(times.end(), other.times.begin(), other.times.end());
  }

  // Average and 95th percentile (nearest rank) of the times. Their order is lost.
  Totals finished() && {
    if (times.empty()) return totals;
    const auto count = static_cast<int64_t>(times.size());
    pricing::Int128 sum = 0;
    for (const int64_t ms : times) sum += ms;
    totals.avg_latency_ms = static_cast<int64_t>((sum + count / 2) / count);
    const auto rank = times.begin() + (count * 95 + 99) / 100 - 1;
    std::nth_element(times.begin(), rank, times.end());
    totals.p95_latency_ms = *rank;
    return totals;
  }
};

struct Cell {
  std::string project_id, provider, model, source;
  Sums sums;
};

struct Unpriced {
  int64_t requests = 0, input = 0, output = 0;
  std::string first, last;
};

class Cube {
 public:
  void take(Row row) {
    const std::string_view project_id = row.text();
    const std::string_view provider = row.text();
    const std::string_view model = row.text();
    const std::string_view source = row.text();
    Cell& cell = cell_of(project_id, provider, model, source);
    Totals& t = cell.sums.totals;
    ++t.requests;
    if (row.text() != "success") ++t.errors;
    if (row.number() == 0) ++t.incomplete;
    const std::string_view reason = row.text();
    if (reason == "no_usage") ++t.no_usage;
    const bool subscription = row.text() == "subscription";
    const int64_t input = row.number();
    const int64_t output = row.number();
    t.input_tokens += input;
    t.output_tokens += output;
    t.thinking_tokens += row.number();
    const int64_t cache_read = row.number();
    const int64_t cache_write = row.number();
    t.cache_read_tokens += cache_read;
    t.cache_write_tokens += cache_write;
    t.bytes_up += row.number();
    t.bytes_down += row.number();
    const auto cost = row.optional();
    const auto shadow = row.optional();
    if (cost) t.cost += PicoUsd(*cost);
    if (shadow) t.shadow_cost += PicoUsd(*shadow);
    if (subscription || shadow) ++t.subscription;
    if (const auto ms = row.optional()) cell.sums.times.push_back(*ms);
    if (cost || shadow || reason == "no_usage") return;
    ++t.unpriced;
    Unpriced& one = unpriced_[{std::string(provider), std::string(model), std::string(reason)}];
    ++one.requests;
    one.input += input + cache_read + cache_write;
    one.output += output;
    const std::string_view at = row.text();
    if (one.first.empty() || at < one.first) one.first = at;
    if (at > one.last) one.last = at;
  }

  [[nodiscard]] Summary summary(const std::map<std::string, std::string>& slugs) const {
    Summary summary;
    Sums all;
    std::map<std::pair<std::string, std::string>, Sums> projects, providers, models;
    for (const auto& [key, cell] : cells_) {
      all.add(cell.sums);
      const auto slug = slugs.find(cell.project_id);
      projects[{slug == slugs.end() ? std::string() : slug->second, ""}].add(cell.sums);
      providers[{cell.provider, ""}].add(cell.sums);
      models[{cell.model, cell.provider}].add(cell.sums);
      if (!cell.source.empty()) summary.sources[cell.source] += cell.sums.totals.requests;
    }
    summary.totals = std::move(all).finished();
    summary.projects = groups_of(std::move(projects));
    summary.providers = groups_of(std::move(providers));
    summary.models = groups_of(std::move(models));
    for (const auto& [name, one] : unpriced_)
      summary.unpriced.push_back({std::get<0>(name), std::get<1>(name), std::get<2>(name),
                                  one.requests, one.input, one.output,
                                  parse_timestamp(one.first).value_or(0),
                                  parse_timestamp(one.last).value_or(0)});
    // By name where nothing else decides: they come in that order. (Not stable_sort: clang refuses
    // what it is made of here.)
    std::ranges::sort(summary.unpriced, [](const UnpricedModel& a, const UnpricedModel& b) {
      return std::tie(b.requests, a.provider, a.model, a.reason) <
             std::tie(a.requests, b.provider, b.model, b.reason);
    });
    return summary;
  }

  bool out_of_memory = false;

 private:
  Cell& cell_of(std::string_view project_id, std::string_view provider, std::string_view model,
                std::string_view source) {
    key_.clear();
    for (const std::string_view part : {project_id, provider, model, source})
      key_.append(part) += '\0';
    Cell& cell = cells_[key_];
    if (cell.sums.totals.requests == 0) {
      cell.project_id = project_id;
      cell.provider = provider;
      cell.model = model;
      cell.source = source;
    }
    return cell;
  }

  static std::vector<Group> groups_of(std::map<std::pair<std::string, std::string>, Sums> sums) {
    std::vector<Group> groups;
    for (auto& [name, one] : sums)
      groups.push_back({name.first, name.second, std::move(one).finished()});
    sort_dearest_first(groups);
    return groups;
  }

  std::unordered_map<std::string, Cell> cells_;
  std::map<std::tuple<std::string, std::string, std::string>, Unpriced> unpriced_;
  std::string key_;
};

// SQLite is C: nothing may be thrown through it.
void step(sqlite3_context* context, int, sqlite3_value** values) noexcept {
  auto* const cube = static_cast<Cube*>(sqlite3_user_data(context));
  if (cube->out_of_memory) return;
  try {
    cube->take(Row(values));
  } catch (const std::bad_alloc&) {
    cube->out_of_memory = true;
    sqlite3_result_error_nomem(context);
  }
}

void finish(sqlite3_context* context) noexcept {
  sqlite3_result_null(context);
}

// The aggregate exists while this does.
class Registered {
 public:
  Registered(SQLite::Database& db, Cube& cube) : db_(db) {
    const int result =
        sqlite3_create_function_v2(db_.getHandle(), kFunction, kColumnCount, SQLITE_UTF8, &cube,
                                   nullptr, step, finish, nullptr);
    if (result != SQLITE_OK) throw SQLite::Exception(db_.getHandle(), result);
  }
  ~Registered() {
    sqlite3_create_function_v2(db_.getHandle(), kFunction, kColumnCount, SQLITE_UTF8, nullptr,
                               nullptr, nullptr, nullptr, nullptr);
  }
  Registered(const Registered&) = delete;
  Registered& operator=(const Registered&) = delete;

 private:
  SQLite::Database& db_;
};

// Through the index of the times each row is fetched on its own; with a quarter of them or more,
// reading all in their order is faster.
const char* times_column(SQLite::Database& db, const Filter& filter) {
  Where where;
  where.times("r.requested_at", filter);
  const int64_t all = db.execAndGet("SELECT coalesce(max(rowid), 0) FROM requests").getInt64();
  SQLite::Statement some(
      db, "SELECT count(*) FROM (SELECT 1 FROM requests r" + where.sql() + " LIMIT ?)");
  some.bind(where.bind(some), all / 4 + 1);
  const bool most = some.executeStep() && some.getColumn(0).getInt64() > all / 4;
  return most ? "+r.requested_at" : "r.requested_at";
}

}  // namespace

Summary summarize(SQLite::Database& db, const Filter& filter) {
  // Pages are looked at where the system has them: copying each was 40 % of the time. Commands
  // only; within a snapshot SQLite lets nobody cut the file short.
  db.exec("PRAGMA mmap_size = 2147418112");
  SQLite::Transaction snapshot(db);
  std::map<std::string, std::string> slugs;
  std::string project_id;
  SQLite::Statement projects(db, "SELECT id, slug FROM projects");
  while (projects.executeStep()) {
    const std::string slug = projects.getColumn(1).getString();
    if (slug == filter.project) project_id = projects.getColumn(0).getString();
    slugs.emplace(projects.getColumn(0).getString(), slug);
  }
  if (!filter.project.empty() && project_id.empty()) return {};

  Where where;
  where.calls(times_column(db, filter), filter);
  where.text("r.project_id", project_id);
  Cube cube;
  const Registered registered(db, cube);
  SQLite::Statement walk(
      db, std::string("SELECT ") + kFunction + "(" + kColumns + ") FROM requests r" + where.sql());
  where.bind(walk);
  while (walk.executeStep()) {
  }
  return cube.summary(slugs);
}

void sort_dearest_first(std::vector<Group>& groups) {
  std::sort(groups.begin(), groups.end(), [](const Group& a, const Group& b) {
    if (a.totals.cost != b.totals.cost) return a.totals.cost > b.totals.cost;
    if (a.totals.shadow_cost != b.totals.shadow_cost)
      return a.totals.shadow_cost > b.totals.shadow_cost;
    if (a.totals.requests != b.totals.requests) return a.totals.requests > b.totals.requests;
    return std::tie(a.key, a.provider) < std::tie(b.key, b.provider);
  });
}

}  // namespace hm::store
