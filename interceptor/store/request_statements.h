// Visitors of visit_columns(): what the statements of `requests` say and what is bound to them.
// Inside this folder only.
#pragma once

#include <string>

#include "interceptor/store/request_columns.h"
#include "interceptor/store/statement_use.h"

namespace hm::store {

struct InsertSql {
  std::string names, marks;
  size_t columns = 0;
  void add(const char* name) {
    if (columns++ > 0) names += ", ", marks += ", ";
    names += name;
    marks += "?";
  }
  template <class T>
  void kept(const char* name, const T&) {
    add(name);
  }
  template <class T>
  void fresh(const char* name, const T&) {
    add(name);
  }
  void kept_text(const char* name, const std::string&) { add(name); }
  void fresh_text(const char* name, const std::string&) { add(name); }
};

struct UpdateSql {
  std::string sets;
  void add(const char* name) {
    if (!sets.empty()) sets += ", ";
    sets += name;
    sets += " = ?";
  }
  template <class T>
  void kept(const char*, const T&) {}
  template <class T>
  void fresh(const char* name, const T&) {
    add(name);
  }
  void kept_text(const char*, const std::string&) {}
  void fresh_text(const char* name, const std::string&) { add(name); }
};

// Out: Use or RowValues.
template <class Out>
struct BindAll {
  Out& out;
  template <class T>
  void kept(const char*, const T& value) {
    out << value;
  }
  template <class T>
  void fresh(const char*, const T& value) {
    out << value;
  }
  void kept(const char*, const std::string& value) { out.lasting(value); }
  void fresh(const char*, const std::string& value) { out.lasting(value); }
  void kept(const char*, std::string&& value) { out << std::move(value); }
  void fresh(const char*, std::string&& value) { out << std::move(value); }
  void kept_text(const char*, const std::string& value) { out.lasting_text(value); }
  void fresh_text(const char*, const std::string& value) { out.lasting_text(value); }
};

struct BindFresh {
  Use& use;
  template <class T>
  void kept(const char*, const T&) {}
  template <class T>
  void fresh(const char*, const T& value) {
    use << value;
  }
  void kept_text(const char*, const std::string&) {}
  void fresh_text(const char*, const std::string& value) { use.text(value); }
};

inline InsertSql insert_columns() {
  InsertSql sql;
  visit_columns(sql, CallRecord{}, pricing::PriceResult{}, "");
  return sql;
}

inline std::string insert_sql() {
  const InsertSql sql = insert_columns();
  return "INSERT INTO requests (" + sql.names + ") VALUES (" + sql.marks +
         ") ON CONFLICT (id) DO NOTHING";
}

inline std::string update_sql() {
  UpdateSql sql;
  visit_columns(sql, CallRecord{}, pricing::PriceResult{}, "");
  return "UPDATE requests SET " + sql.sets + " WHERE id = ?";
}

}  // namespace hm::store
