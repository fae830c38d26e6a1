#include "cli/table.h"

#include <algorithm>
#include <optional>

#include "cli/text.h"

namespace hm::cli {
namespace {

constexpr size_t kNarrowest = 8;      // a text column is cut no further
constexpr size_t kNarrowBeside = 20;  // the last column is wrapped no narrower beside the others
constexpr size_t kIndent = 2;         // of what stands below its row

struct Layout {
  std::vector<size_t> columns;  // indexes that stay
  std::vector<size_t> widths;   // of all columns
  std::optional<size_t> below;  // the column that stands below its row
};

size_t total_width(const Layout& layout, bool boxed) {
  size_t total = boxed ? 1 : 0;
  for (const size_t column : layout.columns) total += layout.widths[column] + (boxed ? 3 : 2);
  return boxed ? total : total - std::min<size_t>(total, 2);
}

std::string repeated(std::string_view text, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += text;
  return out;
}

std::string padded(const std::string& text, size_t width, Align align = Align::left) {
  const std::string space(width - std::min(width, display_width(text)), ' ');
  return align == Align::left ? text + space : space + text;
}

std::string rule(const Layout& layout, std::string_view left, std::string_view middle,
                 std::string_view right) {
  std::string out(left);
  for (size_t i = 0; i < layout.columns.size(); ++i) {
    if (i != 0) out += middle;
    out += repeated("─", layout.widths[layout.columns[i]] + 2);
  }
  return out + std::string(right) + "\n";
}

}  // namespace

void Table::add(std::vector<std::string> cells) {
  for (std::string& text : cells) text = printable(text);
  cells.resize(columns_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::text(const TableStyle& style) const {
  Layout layout;
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t width = display_width(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, display_width(row[i]));
    layout.columns.push_back(i);
    layout.widths.push_back(width);
  }
  const auto excess = [&] {
    const size_t total = total_width(layout, style.boxed);
    return style.width == 0 || total <= style.width ? 0 : total - style.width;
  };
  while (excess() > 0) {
    const auto last = std::max_element(
        layout.columns.begin(), layout.columns.end(),
        [&](size_t a, size_t b) { return columns_[a].drop_rank < columns_[b].drop_rank; });
    if (last == layout.columns.end() || columns_[*last].drop_rank == 0) break;
    layout.columns.erase(last);
  }
  const auto narrow = [&](size_t column, size_t least) {
    size_t& width = layout.widths[column];
    if (width > least) width -= std::min(excess(), width - least);
  };
  if (const size_t last = columns_.size() - 1; excess() > 0 && columns_[last].wrap) {
    narrow(last, kNarrowBeside);
    if (excess() > 0 && layout.columns.size() > 1) {
      std::erase(layout.columns, last);
      layout.below = last;
    }
  }
  for (const bool wrap : {true, false})
    for (const size_t column : layout.columns)
      if (columns_[column].align == Align::left && columns_[column].wrap == wrap)
        narrow(column, kNarrowest);

  const auto line = [&](const auto& text_of) {
    std::string out = style.boxed ? "│ " : "";
    for (size_t i = 0; i < layout.columns.size(); ++i) {
      const size_t column = layout.columns[i];
      if (i != 0) out += style.boxed ? " │ " : "  ";
      out += padded(text_of(column), layout.widths[column], columns_[column].align);
    }
    if (style.boxed) return out + " │\n";
    while (!out.empty() && out.back() == ' ') out.pop_back();
    return out + "\n";
  };
  const auto below = [&](const std::string& text) {
    std::string out;
    if (text.empty()) return out;
    const size_t inner = total_width(layout, style.boxed) - (style.boxed ? 4 : 0);
    for (const std::string& part : wrapped(text, inner - std::min(inner - 1, kIndent))) {
      const std::string indented = std::string(kIndent, ' ') + part;
      out += style.boxed ? "│ " + padded(indented, inner) + " │\n" : indented + "\n";
    }
    return out;
  };
  const auto lines = [&](const std::vector<std::string>& row) {
    std::vector<std::vector<std::string>> parts(row.size());
    size_t count = 1;
    for (const size_t column : layout.columns) {
      const size_t width = layout.widths[column];
      parts[column] = columns_[column].wrap ? wrapped(row[column], width)
                                            : std::vector{fit(row[column], width)};
      count = std::max(count, parts[column].size());
    }
    std::string out;
    for (size_t i = 0; i < count; ++i)
      out += line([&](size_t column) {
        return i < parts[column].size() ? parts[column][i] : std::string();
      });
    return layout.below ? out + below(row[*layout.below]) : out;
  };

  std::string out;
  if (style.boxed) out += rule(layout, "┌", "┬", "┐");
  out += line([&](size_t column) { return fit(columns_[column].title, layout.widths[column]); });
  if (style.boxed) out += rule(layout, "├", "┼", "┤");
  for (const auto& row : rows_) out += lines(row);
  if (style.boxed) out += rule(layout, "└", "┴", "┘");
  return out;
}

std::string Table::csv() const {
  std::string out;
  const auto line = [&](const auto& text_of) {
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (i != 0) out.push_back(',');
      out += csv_field(text_of(i));
    }
    out += "\r\n";
  };
  line([&](size_t column) { return columns_[column].title; });
  for (const auto& row : rows_) line([&](size_t column) { return row[column]; });
  return out;
}

}  // namespace hm::cli
