#include "cli/status.h"

#include <algorithm>
#include <filesystem>

#include "cli/control_client.h"
#include "cli/json_text.h"
#include "cli/period.h"
#include "cli/plain_words.h"
#include "cli/report.h"
#include "cli/store_words.h"
#include "cli/text.h"

namespace hm::cli {
namespace {

constexpr int64_t kDayUs = 86'400'000'000;

std::string first_line(const std::filesystem::path& file) {
  const auto text = read_file(file, 4096);
  if (!text) return {};
  std::string line = text->substr(0, text->find_first_of("\r\n"));
  return printable(line);
}

std::string address(uint16_t port) {
  return port == 0 ? "port unknown" : "127.0.0.1:" + std::to_string(port);
}

std::string process_detail(const StatusAnswer& status) {
  std::string detail;
  if (const auto pid = status.number("pid")) detail = "PID " + std::to_string(*pid);
  return detail;
}

void append(std::string& list, const std::string& part) {
  if (part.empty()) return;
  if (!list.empty()) list += ", ";
  list += part;
}

std::string open_calls(const StatusAnswer& process, const char* key) {
  return "finishes " + thousands(process.number(key).value_or(0)) + " open connections";
}

StatusRow edge_row(const StatusFacts& facts, bool gate_open) {
  if (!facts.edge) return {"edge", "down", facts.edge_error, false};
  std::string detail = process_detail(*facts.edge);
  append(detail, address(facts.ports.edge));
  if (facts.edge->number("leaving") == 1) {
    append(detail, open_calls(*facts.edge, "open_calls"));
    return {"edge", "stopping", detail, false};
  }
  if (!facts.edge_accepts) return {"edge", "not accepting", detail, false};
  if (!gate_open) {
    append(detail, "calls are tunnelled unmetered");
    return {"edge", "passthrough", detail, false};
  }
  return {"edge", "healthy", detail, true};
}

StatusRow daemon_row(const StatusFacts& facts) {
  if (!facts.daemon) return {"daemon", "down", facts.daemon_error, false};
  std::string detail = process_detail(*facts.daemon);
  if (facts.daemon->number("leaving") == 1) {
    append(detail, open_calls(*facts.daemon, "sessions"));
    return {"daemon", "stopping", detail, false};
  }
  const int64_t dropped = facts.daemon->number("store.dropped").value_or(0);
  const StoreWords store = store_words(*facts.daemon, facts.database);
  if (store.state.empty()) append(detail, store.detail);
  if (!store.state.empty()) return {"daemon", "cannot write", detail, false};
  return {"daemon", dropped > 0 ? "losing rows" : "healthy", detail, dropped == 0};
}

StatusRow listener_row(const char* component, bool accepts, uint16_t port) {
  return {component, accepts ? "bound" : "not bound", address(port), accepts};
}

StatusRow database_row(const StatusFacts& facts) {
  if (facts.daemon) {
    const StoreWords store = store_words(*facts.daemon, facts.database);
    if (!store.state.empty()) {
      std::string detail = store.detail;
      append(detail, facts.database);
      return {"database", store.state, detail, false};
    }
  }
  if (!facts.database_error.empty())
    return {"database", "unreadable", facts.database + ": " + facts.database_error, false};
  if (!facts.database_there) return {"database", "not there yet", facts.database, true};
  return {"database", "ok", facts.database, true};
}

StatusRow share_row(const StatusFacts& facts) {
  const auto share = facts.share.per_mille();
  std::string detail = !share ? std::string("no calls")
                              : thousands(facts.share.missed) + " of " +
                                    thousands(facts.share.metered + facts.share.missed) +
                                    " calls not metered";
  const std::string reasons = reasons_text(facts.misses);
  if (!reasons.empty()) detail += " (" + reasons + ")";
  const auto in_edge = [&](const char* key) {
    return facts.edge ? facts.edge->number(key).value_or(0) : 0;
  };
  const int64_t more = in_edge("ledger.calls") + in_edge("ledger.open");
  if (more > 0) append(detail, thousands(more) + " more in the edge");
  return {"metered share (24 h)", per_mille_text(share), detail, true};
}

// "host=chatgpt.com client=codex pid=7 variable=X" as a person reads it; other text as it is.
std::string field_of(const std::vector<std::pair<std::string, std::string>>& fields,
                     std::string_view name) {
  for (const auto& [key, value] : fields)
    if (key == name) return value;
  return {};
}

std::string silent_text(const std::string& packed) {
  const auto fields = wire::unpack_fields(packed);
  return field_of(fields, "host") + ":" + field_of(fields, "port") + " does not answer; " +
         field_of(fields, "tunnelled") + " unmetered since; asked again in " +
         field_of(fields, "left_s") + " s";
}

std::string distrust_text(const std::string& packed) {
  const auto fields = wire::unpack_fields(packed);
  const auto field = [&](std::string_view name) { return field_of(fields, name); };
  if (field("host").empty()) return packed;
  std::string out = field("client").empty() ? "unknown" : field("client");
  if (const std::string pid = field("pid"); !pid.empty() && pid != "0") out += " (PID " + pid + ")";
  out += " at " + field("host");
  if (!field("variable").empty()) out += ": set " + field("variable");
  return out;
}

std::vector<std::string> config_warnings(const StatusFacts& facts) {
  std::vector<std::string> texts;  // both have read the same file
  for (const auto* process : {&facts.daemon, &facts.edge}) {
    if (!*process) continue;
    for (const std::string& warning : (*process)->with_prefix("config.warning"))
      if (std::string text = printable(warning); std::ranges::find(texts, text) == texts.end())
        texts.push_back(std::move(text));
  }
  return texts;
}

}  // namespace

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::healthy:
      return "HEALTHY";
    case Verdict::degraded:
      return "DEGRADED";
    case Verdict::down:
      return "DOWN";
  }
  return "";
}

StatusFacts gather_status(const Context& context) {
  StatusFacts facts;
  facts.now_us = context.clock->wall_us();
  facts.install_mode = first_line(context.home.root() / "install-mode");
  if (const auto ports = bound_ports(context.place)) {
    facts.ports = *ports;
    facts.ports_known = true;
  }
  const auto why = [](const Error& error) -> std::string {
    if (error.code == Code::not_found) return "not running";
    if (error.code == Code::refused) return "not running (its socket is left over)";
    return in_words(error);
  };
  if (auto edge = StatusAnswer::ask(context.place.edge_socket)) {
    facts.edge = std::move(*edge);
  } else {
    facts.edge_error = why(edge.error());
  }
  if (auto daemon = StatusAnswer::ask(context.place.daemon_socket)) {
    facts.daemon = std::move(*daemon);
  } else {
    facts.daemon_error = why(daemon.error());
  }
  facts.edge_accepts = port_accepts(facts.ports.edge, 300);
  facts.internal_accepts = port_accepts(facts.ports.internal, 300);
  facts.api_accepts = port_accepts(facts.ports.api, 300);

  facts.database = context.home.database().string();
  auto queries = store::Queries::open(context.home.database());
  if (queries) {
    facts.database_there = true;
    store::Filter day;
    day.since_us = facts.now_us - kDayUs;
    if (const auto share = queries->metered_share(day)) {
      facts.share = *share;
    } else {
      facts.database_error = in_words(share.error());
    }
    if (auto misses = queries->misses(day)) facts.misses = std::move(*misses);
    if (const auto last = queries->last_capture_us()) facts.last_capture_us = *last;
  } else if (queries.error().code != Code::not_found) {
    facts.database_error = in_words(queries.error());
  }
  return facts;
}

// One row after the other.
// NOLINTNEXTLINE(readability-function-cognitive-complexity)
StatusReport judge_status(const StatusFacts& facts) {
  StatusReport report;
  const bool gate_open =
      facts.edge && (facts.edge->text("gate").empty() || facts.edge->text("gate") == "open");
  report.rows.push_back({"install-mode",
                         facts.install_mode.empty() ? "not installed" : facts.install_mode, "",
                         true});
  report.rows.push_back(edge_row(facts, gate_open));
  report.rows.push_back(daemon_row(facts));
  report.rows.push_back(
      listener_row("intercept listener", facts.internal_accepts, facts.ports.internal));
  report.rows.push_back(listener_row("api listener", facts.api_accepts, facts.ports.api));
  report.rows.push_back(database_row(facts));
  report.rows.push_back(share_row(facts));
  report.rows.push_back(facts.last_capture_us
                            ? StatusRow{"last capture", ago(*facts.last_capture_us, facts.now_us),
                                        local_time(*facts.last_capture_us), true}
                            : StatusRow{"last capture", "never", "", true});

  const std::vector<std::string> distrust =
      facts.daemon ? facts.daemon->with_prefix("distrust.") : std::vector<std::string>();
  if (distrust.empty()) {
    report.rows.push_back({"distrusting clients", "none", "", true});
  } else {
    for (const std::string& client : distrust)
      report.rows.push_back({"distrusting client", "refused our CA", distrust_text(client), false});
  }
  const std::vector<std::string> silent =
      facts.daemon ? facts.daemon->with_prefix("silent_origin.") : std::vector<std::string>();
  for (const std::string& origin : silent)
    report.rows.push_back({"silent origin", "tunnelled", silent_text(origin), false});
  // Worth telling, but no reason to call a pair ill that meters what it was told to.
  const std::vector<std::string> warnings = config_warnings(facts);
  if (!warnings.empty()) {
    const std::string count =
        warnings.size() == 1 ? "1 warning" : std::to_string(warnings.size()) + " warnings";
    report.rows.push_back({"configuration", count, "see below", true});
  }
  report.rows.push_back({"watchdog", "not needed on Linux", "", true});

  bool all_well = true;
  for (const StatusRow& row : report.rows) all_well = all_well && row.well;
  if (!facts.edge && !facts.daemon) {
    report.verdict = Verdict::down;
    report.hints.push_back(
        std::string("Nothing is running. One command is metered all the same: halton-meter run -- "
                    "COMMAND; ") +
        (facts.install_mode.empty() ? "to have it run always: halton-meter init"
                                    : "to start it: halton-meter start"));
  } else if (!facts.edge || !facts.edge_accepts) {
    report.verdict = Verdict::down;
    report.hints.push_back(
        "Without the edge no call can pass through the meter. What to do: halton-meter start");
  } else if (!all_well) {
    report.verdict = Verdict::degraded;
    if (!facts.daemon || !gate_open)
      report.hints.push_back(
          "Calls work; until the daemon answers they are not metered. What to do: halton-meter "
          "start");
    if (!distrust.empty())
      report.hints.push_back(
          "A client that refuses our CA needs the variable named above; halton-meter run sets them "
          "all.");
    if (!silent.empty())
      report.hints.push_back(
          "An origin that does not answer our handshake is tunnelled unmetered, so that nobody "
          "waits "
          "for it. To have it asked now: halton-meter reload");
  } else {
    report.verdict = Verdict::healthy;
  }
  if (facts.daemon)
    for (const std::string& hint : store_words(*facts.daemon, facts.database).hints)
      report.hints.push_back(hint);
  for (const std::string& warning : warnings) report.hints.push_back("Configuration: " + warning);
  return report;
}

std::string status_text(const StatusReport& report, const Context& context) {
  const char* sgr = report.verdict == Verdict::healthy    ? "32"
                    : report.verdict == Verdict::degraded ? "33"
                                                          : "31";
  std::string out = "Halton Meter " + context.version +
                    " status: " + coloured(context, name_of(report.verdict), sgr) + "\n";
  Table table({{"component"}, {"state", Align::left, 0, true}, {"detail", Align::left, 0, true}});
  for (const StatusRow& row : report.rows) table.add({row.component, row.state, row.detail});
  out += table.text(context.style);
  for (const std::string& hint : report.hints) out += hint + "\n";
  return out;
}

std::string status_json(const StatusFacts& facts, const StatusReport& report,
                        const std::string& version) {
  JsonText json;
  json.begin_object().member("version", version);
  json.key("install_mode");
  facts.install_mode.empty() ? json.null() : json.value(facts.install_mode);
  json.member("verdict", name_of(report.verdict));
  json.key("ports").begin_object();
  const auto port = [&](const char* name, uint16_t number) {
    json.key(name);
    number == 0 ? json.null() : json.value(number);
  };
  port("edge", facts.ports.edge);
  port("internal", facts.ports.internal);
  port("api", facts.ports.api);
  json.end_object();

  json.key("components").begin_array();
  for (const StatusRow& row : report.rows)
    json.begin_object()
        .member("name", row.component)
        .member("state", row.state)
        .member("detail", row.detail)
        .member("well", row.well)
        .end_object();
  json.end_array();

  const auto pid = [](const std::optional<StatusAnswer>& process) {
    return process ? process->number("pid") : std::optional<int64_t>();
  };
  json.key("edge")
      .begin_object()
      .member("answers", facts.edge.has_value())
      .member("pid", pid(facts.edge))
      .member("gate", facts.edge ? std::string(facts.edge->text("gate")) : std::string())
      .end_object();
  json.key("daemon")
      .begin_object()
      .member("answers", facts.daemon.has_value())
      .member("pid", pid(facts.daemon))
      .member("rows_waiting",
              facts.daemon ? facts.daemon->number("store.queue") : std::optional<int64_t>())
      .end_object();
  json.key("store");
  if (!facts.daemon) {
    json.null();
  } else {
    const auto text = [&](const char* key) { return printable(facts.daemon->text(key)); };
    const auto number = [&](const char* key) { return facts.daemon->number(key); };
    const int64_t since = number("store.ill_since_us").value_or(0);
    json.begin_object().member("state", text("store.state")).member("error", text("store.error"));
    json.key("ill_since");
    since > 0 ? json.value(iso8601_utc(since)) : json.null();
    json.member("rows_in_memory", number("store.in_memory"))
        .member("rows_spooled", number("store.spooled"))
        .member("rows_dropped", number("store.dropped"))
        .member("spool_error", text("store.spool_error"))
        .member("notice", text("store.notice"))
        .end_object();
  }
  json.key("metered_24h")
      .begin_object()
      .member("metered", facts.share.metered)
      .member("missed", facts.share.missed)
      .member("metered_per_mille", facts.share.per_mille())
      .member("in_edge",
              facts.edge ? facts.edge->number("ledger.calls") : std::optional<int64_t>());
  json.key("misses").begin_object();
  for (const auto& [reason, count] : by_reason(facts.misses)) json.member(reason, count);
  json.end_object().end_object();
  json.key("config_warnings").begin_array();
  for (const std::string& warning : config_warnings(facts)) json.value(warning);
  json.end_array();
  json.key("last_capture_at");
  facts.last_capture_us ? json.value(iso8601_utc(*facts.last_capture_us)) : json.null();
  json.key("distrusting_clients").begin_array();
  if (facts.daemon)
    for (const std::string& client : facts.daemon->with_prefix("distrust.")) {
      json.begin_object();
      for (const auto& [key, value] : wire::unpack_fields(client)) json.member(key, value);
      json.end_object();
    }
  json.end_array();
  json.key("silent_origins").begin_array();
  if (facts.daemon)
    for (const std::string& origin : facts.daemon->with_prefix("silent_origin.")) {
      json.begin_object();
      for (const auto& [key, value] : wire::unpack_fields(origin)) json.member(key, value);
      json.end_object();
    }
  return json.end_array().end_object().take();
}

}  // namespace hm::cli
