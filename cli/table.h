// Text tables. On a terminal with box characters, elsewhere plain columns. A table that is too wide
// drops its least important columns, then wraps those that may be wrapped, then cuts text columns.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace hm::cli {

enum class Align : unsigned char { left, right };

struct Column {
  std::string title;
  Align align = Align::left;
  int drop_rank = 0;  // 0: never dropped; the highest rank goes first
  // Too long a text goes on under itself; the last column goes below its row when beside the others
  // nothing readable is left for it.
  bool wrap = false;
};

struct TableStyle {
  bool boxed = false;
  size_t width = 0;  // columns of the terminal; 0: as wide as it gets
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  void add(std::vector<std::string> cells);  // as many as there are columns
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  [[nodiscard]] std::string text(const TableStyle& style) const;
  [[nodiscard]] std::string csv() const;  // all columns, RFC 4180, first line the titles

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace hm::cli
