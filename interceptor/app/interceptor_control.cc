#include "interceptor/app/interceptor_control.h"

#include <unistd.h>

#include "common/base/counters.h"
#include "common/base/process_memory.h"
#include "common/wire/control_common.h"
#include "common/wire/control_message.h"
#include "interceptor/tls/ca_store.h"

namespace hm {
namespace {

// The variable that makes this kind of client trust the CA, by its process name.
const char* trust_variable(const std::string& client) {
  for (const char* name : {"node", "claude", "gemini", "bun"}) {
    if (client.starts_with(name)) return "NODE_EXTRA_CA_CERTS";
  }
  if (client.starts_with("codex")) return "CODEX_CA_CERTIFICATE";
  if (client.starts_with("curl")) return "CURL_CA_BUNDLE";
  if (client.starts_with("deno")) return "DENO_CERT";
  if (client.starts_with("git")) return "GIT_SSL_CAINFO";
  if (client.starts_with("aws")) return "AWS_CA_BUNDLE";
  if (client.starts_with("python")) return "SSL_CERT_FILE,REQUESTS_CA_BUNDLE";
  return "SSL_CERT_FILE";
}

std::string status_answer(const InterceptorFacts& facts) {
  const store::WriterStatus& writer = facts.writer.status();
  wire::ControlAnswer status;
  status.add("process", "interceptor")
      .add("version", facts.version)
      .add("pid", ::getpid())
      .add("uptime_us", facts.clock.steady_us() - facts.started_us)
      .add("internal_port", facts.internal_port)
      .add("api_port", facts.api_port)
      .add("leaving", facts.leaving() ? 1 : 0)
      .add("sessions", static_cast<int64_t>(facts.acceptor.sessions()))
      .add("store.queue", writer.queue_depth.load())
      .add("store.unsafe", facts.queue.accepted() - writer.rows_safe.load())
      .add("store.last_commit", writer.last_commit_us.load())
      .add("store.rows_written", writer.rows_written.load())
      .add("store.healthy", writer.healthy.load() ? 1 : 0)
      .add("store.error", writer.last_error())
      .add("store.state", name_of(writer.state.load()))
      .add("store.ill_since_us", writer.ill_since_us.load())
      .add("store.in_memory", writer.in_memory.load())
      .add("store.spooled", writer.spooled.load())
      .add("store.spool_error", writer.spool_error())
      .add("store.notice", writer.notice())
      .add("loop_lag_us", facts.monitor.worst_lag_us())
      .add("rates.card", facts.rates_card)
      .add("ca.not_after_us", facts.authority.not_after_us())
      .add("rss_bytes", resident_bytes());
  int number = 0;
  for (const relay::Refusal& refusal : facts.trust.refusals()) {
    status.add("distrust." + std::to_string(number++),
               wire::pack_fields({{"host", refusal.host},
                                  {"client", refusal.client.empty() ? "unknown" : refusal.client},
                                  {"pid", std::to_string(refusal.client_pid)},
                                  {"reason", refusal.reason},
                                  {"variable", trust_variable(refusal.client)},
                                  {"tunnelled", std::to_string(refusal.tunnelled)},
                                  {"until", iso8601_utc(refusal.until_us)}}));
  }
  number = 0;
  for (const relay::SilentOrigin& origin : facts.silent_origins.avoided()) {
    status.add("silent_origin." + std::to_string(number++),
               wire::pack_fields({{"host", origin.host},
                                  {"port", std::to_string(origin.port)},
                                  {"times", std::to_string(origin.times)},
                                  {"tunnelled", std::to_string(origin.tunnelled)},
                                  {"left_s", std::to_string(origin.left_us / 1'000'000 + 1)}}));
  }
  for (const std::string& warning : facts.warnings) status.add("config.warning", warning);
  for (const std::string& warning : facts.reload.left_open()) status.add("config.warning", warning);
  if (!facts.rates_warning.empty()) status.add("config.warning", facts.rates_warning);
  for (const auto& [name, value] : counters::snapshot()) status.add(name, value);
  return status.text();
}

// It is over when both files have been read.
std::string reload_result(const InterceptorFacts& facts) {
  auto fields = facts.reload.outcome();
  if (facts.reading_rates()) {
    fields = {{"done", "0"}};
  } else if (!facts.rates_warning.empty()) {
    fields.emplace_back("rates", facts.rates_warning);
  }
  return wire::answer_fields(fields);
}

}  // namespace

std::string answer_control(const InterceptorFacts& facts, std::string_view line) {
  const auto request = wire::parse_control_request(line);
  if (!request)
    return wire::ControlAnswer::error("not understood; send \"hm/1 status\" or another request");
  const std::string& verb = request->verb;
  std::string ok = wire::ControlAnswer().add("ok", 1).text();
  if (auto common = wire::answer_common(*request)) return *common;
  if (verb == "status" || verb == "doctor") return status_answer(facts);
  if (verb == "drain") {
    facts.drain();
    return ok;
  }
  if (verb == "relieve") {
    if (facts.relieve()) return ok;
    return wire::ControlAnswer::error("this process is not leaving; stop it first");
  }
  if (verb == "rates") {
    facts.read_rates();
    return ok;
  }
  if (verb == "reload") {
    facts.read_rates();
    facts.trust.forget_all();  // the usual reason to ask: a client was mended
    facts.silent_origins.forget_all();
    return wire::answer_reload(facts.reload.begin());
  }
  if (verb == "reload-result") return reload_result(facts);
  return wire::ControlAnswer::error(
      "unknown request \"" + verb +
      "\"; known: ping status doctor counters log-level drain relieve rates reload reload-result");
}

}  // namespace hm
