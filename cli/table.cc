#include "cli/table.h"

#include <algorithm>

#include "cli/text.h"

namespace hm::cli {
namespace {

constexpr size_t kNarrowest = 8;  // a text column is cut no further

struct Layout {
  std::vector<size_t> columns;  // indexes that stay
  std::vector<size_t> widths;   // of all columns
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

std::string cell(const std::string& text, size_t width, Align align) {
  const std::string cut = fit(text, width);
  const std::string space(width - display_width(cut), ' ');
  return align == Align::left ? cut + space : space + cut;
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
  const auto too_wide = [&] {
    return style.width != 0 && total_width(layout, style.boxed) > style.width;
  };
  while (too_wide()) {
    const auto last = std::max_element(
        layout.columns.begin(), layout.columns.end(),
        [&](size_t a, size_t b) { return columns_[a].drop_rank < columns_[b].drop_rank; });
    if (last == layout.columns.end() || columns_[*last].drop_rank == 0) break;
    layout.columns.erase(last);
  }
  if (too_wide()) {
    for (const size_t column : layout.columns) {
      if (columns_[column].align == Align::right || !too_wide()) continue;
      const size_t excess = total_width(layout, style.boxed) - style.width;
      size_t& width = layout.widths[column];
      if (width > kNarrowest) width -= std::min(excess, width - kNarrowest);
    }
  }

  const auto line = [&](const auto& text_of) {
    std::string out = style.boxed ? "│ " : "";
    for (size_t i = 0; i < layout.columns.size(); ++i) {
      const size_t column = layout.columns[i];
      if (i != 0) out += style.boxed ? " │ " : "  ";
      out += cell(text_of(column), layout.widths[column], columns_[column].align);
    }
    if (style.boxed) return out + " │\n";
    while (!out.empty() && out.back() == ' ') out.pop_back();
    return out + "\n";
  };

  std::string out;
  if (style.boxed) out += rule(layout, "┌", "┬", "┐");
  out += line([&](size_t column) { return columns_[column].title; });
  if (style.boxed) out += rule(layout, "├", "┼", "┤");
  for (const auto& row : rows_) out += line([&](size_t column) { return row[column]; });
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
