#include "interceptor/store/bulk_table.h"

#include <sqlite3.h>

#include <new>
#include <utility>

#include "common/base/utf8.h"

namespace hm::store {

RowValues::RowValues(size_t columns) {
  values_.reserve(columns);
  owned_.reserve(columns);
}

void RowValues::clear() {
  values_.clear();
  owned_.clear();
}

RowValues& RowValues::operator<<(int64_t value) {
  Value& one = values_.emplace_back();
  one.kind = Value::Kind::integer;
  one.integer = value;
  return *this;
}

RowValues& RowValues::operator<<(const std::optional<int64_t>& value) {
  if (value) return *this << *value;
  values_.emplace_back();
  return *this;
}

RowValues& RowValues::operator<<(const std::optional<double>& value) {
  Value& one = values_.emplace_back();
  if (!value) return *this;
  one.kind = Value::Kind::real;
  one.real = *value;
  return *this;
}

RowValues& RowValues::operator<<(std::string value) {
  if (!is_clean_text(value)) value = clean_text(value);
  return lasting(owned_.emplace_back(std::move(value)));
}

RowValues& RowValues::lasting(const std::string& value) {
  if (!is_clean_text(value)) return *this << clean_text(value);
  Value& one = values_.emplace_back();
  one.kind = Value::Kind::text;
  one.size = static_cast<int>(value.size());
  one.text = value.data();
  return *this;
}

RowValues& RowValues::lasting_text(const std::string& value) {
  if (!value.empty()) return lasting(value);
  values_.emplace_back();
  return *this;
}

void RowValues::give(sqlite3_context* context, int column) const {
  const Value& value = values_[static_cast<size_t>(column)];
  switch (value.kind) {
    case Value::Kind::null:
      break;  // what a column is when nothing is said
    case Value::Kind::integer:
      sqlite3_result_int64(context, value.integer);
      break;
    case Value::Kind::real:
      sqlite3_result_double(context, value.real);
      break;
    case Value::Kind::text:
      sqlite3_result_text(context, value.text, value.size, SQLITE_STATIC);
      break;
  }
}

// SQLite is C: nothing may be thrown through it.
struct BulkTable::Module {
  struct Table : sqlite3_vtab {
    explicit Table(const BulkTable& bulk_in) : sqlite3_vtab{}, bulk(bulk_in) {}
    const BulkTable& bulk;
  };
  struct Cursor : sqlite3_vtab_cursor {
    explicit Cursor(const BulkTable& bulk_in)
        : sqlite3_vtab_cursor{}, bulk(bulk_in), values(bulk_in.columns_) {}
    const BulkTable& bulk;
    RowValues values;
    size_t row = 0;
    bool more = false;

    int read() noexcept {
      values.clear();
      try {
        more = bulk.fill_ && bulk.fill_(row, values);
      } catch (const std::bad_alloc&) {
        return SQLITE_NOMEM;
      }
      return SQLITE_OK;
    }
  };

  static int connect(sqlite3* db, void* bulk, int, const char* const*, sqlite3_vtab** out,
                     char**) noexcept {
    const auto& table = *static_cast<const BulkTable*>(bulk);
    try {
      std::string sql = "CREATE TABLE bulk (c0";
      for (size_t i = 1; i < table.columns_; ++i) sql += ", c" + std::to_string(i);
      if (const int result = sqlite3_declare_vtab(db, (sql + ")").c_str()); result != SQLITE_OK)
        return result;
      *out =
          new Table(table);  // NOLINT(cppcoreguidelines-owning-memory): SQLite's until disconnect
    } catch (const std::bad_alloc&) {
      return SQLITE_NOMEM;
    }
    return SQLITE_OK;
  }
  static int disconnect(sqlite3_vtab* table) noexcept {
    delete static_cast<Table*>(table);
    return SQLITE_OK;
  }
  static int best_index(sqlite3_vtab*, sqlite3_index_info* info) noexcept {
    info->estimatedCost = 256;
    info->estimatedRows = 256;
    return SQLITE_OK;
  }
  static int open(sqlite3_vtab* table, sqlite3_vtab_cursor** out) noexcept {
    try {
      *out = new Cursor(static_cast<Table*>(table)->bulk);
    } catch (const std::bad_alloc&) {
      return SQLITE_NOMEM;
    }
    return SQLITE_OK;
  }
  static int close(sqlite3_vtab_cursor* cursor) noexcept {
    delete static_cast<Cursor*>(cursor);
    return SQLITE_OK;
  }
  static int filter(sqlite3_vtab_cursor* cursor, int, const char*, int, sqlite3_value**) noexcept {
    auto* const at = static_cast<Cursor*>(cursor);
    at->row = 0;
    return at->read();
  }
  static int next(sqlite3_vtab_cursor* cursor) noexcept {
    auto* const at = static_cast<Cursor*>(cursor);
    ++at->row;
    return at->read();
  }
  static int eof(sqlite3_vtab_cursor* cursor) noexcept {
    return static_cast<Cursor*>(cursor)->more ? 0 : 1;
  }
  static int column(sqlite3_vtab_cursor* cursor, sqlite3_context* context, int column) noexcept {
    static_cast<Cursor*>(cursor)->values.give(context, column);
    return SQLITE_OK;
  }
  static int rowid(sqlite3_vtab_cursor* cursor, sqlite3_int64* out) noexcept {
    *out = static_cast<sqlite3_int64>(static_cast<Cursor*>(cursor)->row);
    return SQLITE_OK;
  }

  static const sqlite3_module& functions() {
    static const sqlite3_module module = [] {
      sqlite3_module made{};
      made.xConnect = connect;  // no xCreate: it is there without a CREATE VIRTUAL TABLE
      made.xBestIndex = best_index;
      made.xDisconnect = disconnect;
      made.xOpen = open;
      made.xClose = close;
      made.xFilter = filter;
      made.xNext = next;
      made.xEof = eof;
      made.xColumn = column;
      made.xRowid = rowid;
      return made;
    }();
    return module;
  }
};

BulkTable::BulkTable(SQLite::Database& db, const char* name, size_t columns)
    : db_(db), name_(name), columns_(columns) {
  const int result =
      sqlite3_create_module_v2(db_.getHandle(), name_.c_str(), &Module::functions(), this, nullptr);
  if (result != SQLITE_OK) throw SQLite::Exception(db_.getHandle(), result);
}

BulkTable::~BulkTable() {
  sqlite3_create_module_v2(db_.getHandle(), name_.c_str(), nullptr, nullptr, nullptr);
}

}  // namespace hm::store
