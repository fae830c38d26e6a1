// A WHERE clause and what is bound to it. Inside this folder only.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "interceptor/store/queries.h"

namespace hm::store {

// Rows of the self-test are nobody's calls (common/wire/ask.h names their provider).
inline constexpr std::string_view kSelfTestProvider = "halton-meter";
inline constexpr const char* kNoSelfTest = "r.provider <> 'halton-meter'";

class Where {
 public:
  Where() = default;
  explicit Where(const Filter& filter) {
    calls("r.requested_at", filter);
    text("p.slug", filter.project);
  }
  // All of the filter but the project.
  void calls(const char* times_column, const Filter& filter) {
    times(times_column, filter);
    text("r.provider", filter.provider);
    text("r.model", filter.model);
    text("r.run_id", filter.run_id);
    if (filter.provider != kSelfTestProvider) condition(kNoSelfTest);
  }
  void times(const char* column, const Filter& filter) {
    if (filter.since_us) add(std::string(column) + " >= ?", iso8601_utc(*filter.since_us));
    if (filter.until_us) add(std::string(column) + " < ?", iso8601_utc(*filter.until_us));
  }
  void text(const char* column, const std::string& value) {
    if (!value.empty()) add(std::string(column) + " = ?", value);
  }
  void condition(const std::string& sql) { sql_ += (sql_.empty() ? " WHERE " : " AND ") + sql; }
  [[nodiscard]] const std::string& sql() const { return sql_; }
  int bind(SQLite::Statement& statement) const {
    int next = 1;
    for (const std::string& value : values_) statement.bind(next++, value);
    return next;
  }

 private:
  void add(const std::string& sql, std::string value) {
    condition(sql);
    values_.push_back(std::move(value));
  }
  std::string sql_;
  std::vector<std::string> values_;
};

inline constexpr const char* kFrom = " FROM requests r JOIN projects p ON p.id = r.project_id";

}  // namespace hm::store
