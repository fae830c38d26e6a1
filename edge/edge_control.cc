// What the edge says on its control socket. Part of EdgeApp.
#include <unistd.h>

#include <string>

#include "common/base/counters.h"
#include "common/base/process_memory.h"
#include "common/wire/control_common.h"
#include "common/wire/control_message.h"
#include "edge/edge_app.h"

namespace hm::edge {

std::string EdgeApp::answer(std::string_view line) {
  const auto request = wire::parse_control_request(line);
  if (!request)
    return wire::ControlAnswer::error("not understood; send \"hm/1 status\" or another request");
  const std::string& verb = request->verb;
  std::string fine = wire::ControlAnswer().add("ok", 1).text();
  if (auto common = wire::answer_common(*request)) return *common;
  if (verb == "status" || verb == "doctor") return status_answer();
  if (verb == "ledger") return ledger_answer();
  if (verb == "ledger-ack") {
    // Sequences are those of the edge that offered: a successor of its has others.
    if (wire::number_of(*request, 1) == ::getpid()) ledger_.acknowledge(wire::number_of(*request));
    return fine;
  }
  if (verb == "drain") {
    // After the answer has gone out.
    loop_.post([this] { departure_.leave(); });
    return fine;
  }
  if (verb == "relieve") {
    if (departure_.relieve()) return fine;
    return wire::ControlAnswer::error("this edge is not leaving; stop it first");
  }
  if (verb == "leaving") {  // an interceptor takes no new call: "leaving PID"
    knocker_.on_leaving(wire::number_of(*request));
    return fine;
  }
  if (verb == "arrived") {  // an interceptor accepts: "arrived PORT"
    knocker_.on_arrival(wire::number_of(*request));
    return fine;
  }
  if (verb == "ending") {  // it ends, and has written down what it knows: "ending PID"
    watch_.ending(wire::number_of(*request));
    return fine;
  }
  if (verb == "reload") return wire::answer_reload(reload_.begin());
  if (verb == "reload-result") return wire::answer_fields(reload_.outcome());
  return wire::ControlAnswer::error("unknown request \"" + verb +
                                    "\"; known: ping status doctor counters ledger ledger-ack "
                                    "arrived leaving ending log-level drain relieve reload "
                                    "reload-result");
}

std::string EdgeApp::status_answer() const {
  wire::ControlAnswer status;
  status.add("process", "edge")
      .add("version", version_)
      .add("pid", ::getpid())
      .add("uptime_us", clock_.steady_us() - started_us_)
      .add("edge_port", context_.edge_port)
      .add("internal_port", knocker_.port())
      .add("gate", gate_.open() ? "open" : "closed")
      .add("gate_since_us", knocker_.gate_since_us())
      .add("leaving", departure_.leaving() || draining_ ? 1 : 0)
      .add("draining", draining_ ? 1 : 0)
      .add("open_calls", static_cast<int64_t>(calls_.size()))
      .add("ledger.entries", static_cast<int64_t>(ledger_.entries()))
      .add("ledger.calls", ledger_.calls())
      .add("ledger.open", static_cast<int64_t>(ledger_.open_entries()))
      .add("ledger.survives", ledger_.survives() ? 1 : 0)
      .add("rss_bytes", resident_bytes());
  for (const std::string& warning : loaded_.warnings) status.add("config.warning", warning);
  for (const std::string& warning : reload_.left_open()) status.add("config.warning", warning);
  for (const auto& [name, value] : counters::snapshot()) status.add(name, value);
  return status.text();
}

std::string EdgeApp::ledger_answer() {
  wire::ControlAnswer list;
  list.add("pid", ::getpid());
  for (const Miss& miss : ledger_.offer()) list.add("entry", miss.pack());
  return list.text();
}

}  // namespace hm::edge
