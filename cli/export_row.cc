#include "cli/export_row.h"

#include <array>
#include <optional>

#include "cli/json_text.h"
#include "cli/text.h"
#include "common/base/clock.h"
#include "interceptor/pricing/pico_usd.h"

namespace hm::cli {
namespace {

using store::RequestRow;

// As it is written: text is quoted where the form wants it, a number and a truth are not.
struct Cell {
  enum class Kind : unsigned char { nothing, text, number, truth } kind = Kind::nothing;
  std::string text = {};
};

Cell text(const std::string& value) {
  return value.empty() ? Cell{} : Cell{Cell::Kind::text, value};
}
Cell number(int64_t value) {
  return {Cell::Kind::number, std::to_string(value)};
}
Cell number(const std::optional<int64_t>& value) {
  return value ? number(*value) : Cell{};
}
Cell truth(bool value) {
  return {Cell::Kind::truth, value ? "true" : "false"};
}
// Exact; nothing, never zero, for a call without a price.
Cell dollars_of(const std::optional<int64_t>& pico) {
  return pico ? Cell{Cell::Kind::text, pricing::PicoUsd(*pico).exact_dollars()} : Cell{};
}

struct ExportColumn {
  const char* name;  // the database's own, where it has one
  Cell (*of)(const RequestRow&);
};

constexpr std::array kColumns = {
    ExportColumn{"id", [](const RequestRow& r) { return text(r.id); }},
    ExportColumn{"requested_at",
                 [](const RequestRow& r) { return text(iso8601_utc(r.requested_at_us)); }},
    ExportColumn{"project", [](const RequestRow& r) { return text(r.project); }},
    ExportColumn{"provider", [](const RequestRow& r) { return text(r.provider); }},
    ExportColumn{"host", [](const RequestRow& r) { return text(r.host); }},
    ExportColumn{"model", [](const RequestRow& r) { return text(r.model); }},
    ExportColumn{"requested_model", [](const RequestRow& r) { return text(r.requested_model); }},
    ExportColumn{"endpoint", [](const RequestRow& r) { return text(r.endpoint); }},
    ExportColumn{"mode", [](const RequestRow& r) { return text(r.mode); }},
    ExportColumn{"request_kind", [](const RequestRow& r) { return text(r.request_kind); }},
    ExportColumn{"transport", [](const RequestRow& r) { return text(r.transport); }},
    ExportColumn{"stream", [](const RequestRow& r) { return truth(r.stream); }},
    ExportColumn{"input_tokens", [](const RequestRow& r) { return number(r.input_tokens); }},
    ExportColumn{"output_tokens", [](const RequestRow& r) { return number(r.output_tokens); }},
    ExportColumn{"thinking_tokens", [](const RequestRow& r) { return number(r.thinking_tokens); }},
    ExportColumn{"cache_read_tokens",
                 [](const RequestRow& r) { return number(r.cache_read_tokens); }},
    ExportColumn{"cache_write_tokens",
                 [](const RequestRow& r) { return number(r.cache_write_tokens); }},
    ExportColumn{"tokens_complete", [](const RequestRow& r) { return truth(r.tokens_complete); }},
    ExportColumn{"incomplete_reason",
                 [](const RequestRow& r) { return text(r.incomplete_reason); }},
    ExportColumn{"service_tier", [](const RequestRow& r) { return text(r.service_tier); }},
    ExportColumn{"cost_pico_usd", [](const RequestRow& r) { return number(r.cost_pico_usd); }},
    ExportColumn{"cost_usd", [](const RequestRow& r) { return dollars_of(r.cost_pico_usd); }},
    ExportColumn{"shadow_cost_pico_usd",
                 [](const RequestRow& r) { return number(r.shadow_cost_pico_usd); }},
    ExportColumn{"shadow_cost_usd",
                 [](const RequestRow& r) { return dollars_of(r.shadow_cost_pico_usd); }},
    ExportColumn{"unpriced_reason", [](const RequestRow& r) { return text(r.unpriced_reason); }},
    ExportColumn{"rates_source", [](const RequestRow& r) { return text(r.rates_source); }},
    ExportColumn{"latency_ms", [](const RequestRow& r) { return number(r.latency_ms); }},
    ExportColumn{"status", [](const RequestRow& r) { return text(r.status); }},
    ExportColumn{"http_status", [](const RequestRow& r) { return number(r.http_status); }},
    ExportColumn{"error_class", [](const RequestRow& r) { return text(r.error_class); }},
    ExportColumn{"error_kind", [](const RequestRow& r) { return text(r.error_kind); }},
    ExportColumn{"provider_error_code",
                 [](const RequestRow& r) { return text(r.provider_error_code); }},
    ExportColumn{"provider_request_id",
                 [](const RequestRow& r) { return text(r.provider_request_id); }},
    ExportColumn{"client_name", [](const RequestRow& r) { return text(r.client_name); }},
    ExportColumn{"session_id", [](const RequestRow& r) { return text(r.session_id); }},
    ExportColumn{"attribution_tier", [](const RequestRow& r) { return text(r.attribution_tier); }},
    ExportColumn{"run_id", [](const RequestRow& r) { return text(r.run_id); }},
};

}  // namespace

std::string export_csv_header() {
  std::string line;
  for (const ExportColumn& column : kColumns)
    line += (line.empty() ? "" : ",") + std::string(column.name);
  return line + "\r\n";
}

std::string export_csv(const RequestRow& row) {
  std::string line;
  bool first = true;
  for (const ExportColumn& column : kColumns) {
    if (!first) line += ',';
    first = false;
    line += csv_field(column.of(row).text);
  }
  return line + "\r\n";
}

std::string export_json(const RequestRow& row) {
  std::string line;
  for (const ExportColumn& column : kColumns) {
    const Cell cell = column.of(row);
    line += line.empty() ? '{' : ',';
    line += json_string(column.name);
    line += ':';
    if (cell.kind == Cell::Kind::nothing) line += "null";
    if (cell.kind == Cell::Kind::text) line += json_string(cell.text);
    if (cell.kind == Cell::Kind::number || cell.kind == Cell::Kind::truth) line += cell.text;
  }
  return line + "}\n";
}

}  // namespace hm::cli
