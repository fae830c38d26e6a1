#include "cli/config_edit.h"

#include <algorithm>

#include "cli/subprocess.h"

namespace hm::cli {
namespace {

struct Span {
  size_t from = std::string_view::npos;
  size_t to = 0;
};

// The lines of the table [upstream], without its head; from is npos when there is none.
Span upstream_table(std::string_view toml) {
  Span table;
  for (size_t at = 0; at < toml.size();) {
    const size_t end = std::min(toml.find('\n', at), toml.size());
    std::string_view line = toml.substr(at, end - at);
    line = line.substr(0, line.find('#'));
    const size_t next = std::min(end + 1, toml.size());
    if (trimmed(line).starts_with('[')) {
      if (table.from != std::string_view::npos) return table;
      if (trimmed(line) == "[upstream]") table = {next, toml.size()};
    }
    if (table.from != std::string_view::npos) table.to = next;
    at = next;
  }
  return table;
}

// The line `key = ...` of the table; from is npos when there is none.
Span line_of(std::string_view toml, Span table, std::string_view key) {
  for (size_t at = table.from; at < table.to;) {
    const size_t end = std::min(toml.find('\n', at), table.to);
    const std::string line = trimmed(toml.substr(at, end - at));
    const size_t next = std::min(end + 1, table.to);
    if (line.starts_with(key) &&
        trimmed(std::string_view(line).substr(key.size())).starts_with('='))
      return {at, next};
    at = next;
  }
  return {};
}

}  // namespace

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) out += c;
  }
  return out + "\"";
}

std::string toml_list(std::string_view comma_separated) {
  std::string list;
  while (!comma_separated.empty()) {
    const size_t comma = comma_separated.find(',');
    const std::string entry = trimmed(comma_separated.substr(0, comma));
    comma_separated =
        comma == std::string_view::npos ? std::string_view() : comma_separated.substr(comma + 1);
    if (!entry.empty()) list += (list.empty() ? "" : ", ") + toml_string(entry);
  }
  return "[" + list + "]";
}

std::string with_upstream(std::string_view toml, std::string_view key, std::string_view value) {
  const std::string line = std::string(key) + " = " + std::string(value) + "\n";
  std::string out(toml);
  const Span table = upstream_table(toml);
  if (table.from == std::string_view::npos) {
    if (!out.empty()) out += out.ends_with('\n') ? "\n" : "\n\n";
    return out + "[upstream]   # taken over from the environment by halton-meter init\n" + line;
  }
  if (const Span there = line_of(toml, table, key); there.from != std::string_view::npos)
    return out.replace(there.from, there.to - there.from, line);
  return out.insert(table.from,
                    table.from == out.size() && !out.ends_with('\n') ? "\n" + line : line);
}

bool has_upstream(std::string_view toml, std::string_view key) {
  const Span table = upstream_table(toml);
  return table.from != std::string_view::npos &&
         line_of(toml, table, key).from != std::string_view::npos;
}

}  // namespace hm::cli
