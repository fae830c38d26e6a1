// Findings of doctor that depend on files alone: CA, bundle, folder, database, ports file. Each
// case makes the state, and expects verdict and next action.
#include <SQLiteCpp/SQLiteCpp.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <functional>

#include "cli/checks/check.h"
#include "interceptor/tls/ca_store.h"
#include "interceptor/tls/contexts.h"
#include "interceptor/tls/trust_bundle.h"
#include "tests/unit/cli/cli_fixture.h"
#include "tests/unit/store/fixture.h"

using namespace hm::cli;
namespace fs = std::filesystem;

namespace {

constexpr int64_t kDayUs = int64_t{86'400} * 1'000'000;

struct ChecksFixture : CliFixture {
  ChecksFixture() { fs::create_directories(context.home.root()); }

  void installed(const char* mode = "env-only\n") {
    fs::permissions(context.home.root(), fs::perms::owner_all);
    std::ofstream(context.home.install_mode()) << mode;
  }
  void make_authority(const std::vector<std::string>& hosts) {
    REQUIRE(hm::tls::Authority::create(context.home.ca_dir(), hosts, hm::system_clock()));
  }
  std::string authority_pem() { return hm::read_file(context.home.ca_cert()).value(); }
  void make_bundle() {
    hm::tls::TrustBundleSources sources;
    sources.authority_pem = authority_pem();
    REQUIRE(hm::tls::refresh_trust_bundle(sources, context.home.bundle()));
  }
  Finding look(const Check& check) {
    Finding finding = check.run(Patient{context});
    UNSCOPED_INFO(finding.text);
    return finding;
  }
  void expect(const Check& check, Severity severity, const std::string& words,
              const std::string& next, Remedy remedy) {
    const Finding finding = look(check);
    CHECK(finding.severity == severity);
    CHECK(finding.text.find(words) != std::string::npos);
    CHECK(finding.next == next);
    CHECK(finding.remedy == remedy);
  }
};

StatusAnswer answer(const std::string& text) {
  return StatusAnswer::parse(text);
}

}  // namespace

TEST_CASE_METHOD(ChecksFixture, "doctor: the CA's presence, expiry and hosts", "[doctor]") {
  const std::string anew = "halton-meter setup --force";
  expect(kAuthorityCheck, Severity::skipped, "no CA yet", "", Remedy::certificates);
  installed();
  expect(kAuthorityCheck, Severity::broken, "no CA yet", "halton-meter setup",
         Remedy::certificates);

  make_authority(load_settings(context).metered_hosts);
  CHECK(look(kAuthorityCheck).severity == Severity::fine);
  std::ofstream(context.home.config()) << "[[provider]]\nname = \"corp\"\nhost = "
                                          "\"llm.corp.example\"\nshape = \"openai\"\n";
  const auto hosts = load_settings(context).metered_hosts;
  REQUIRE(std::ranges::find(hosts, "llm.corp.example") != hosts.end());
  expect(kAuthorityCheck, Severity::inconsistent, "does not cover llm.corp.example", anew,
         Remedy::certificates);
  fs::remove(context.home.config());

  const int64_t now = hm::system_clock().wall_us();
  struct Case {
    int64_t days;
    Severity severity;
    const char* words;
  };
  for (const Case& one : {Case{1700, Severity::fine, "valid until"},
                          Case{1800, Severity::inconsistent, "the CA expires on"},
                          Case{1900, Severity::broken, "has expired on"}}) {
    hm::ManualClock clock(now + one.days * kDayUs);
    context.clock = &clock;
    const bool is_fine = one.severity == Severity::fine;
    expect(kAuthorityCheck, one.severity, one.words, is_fine ? "" : anew,
           is_fine ? Remedy::none : Remedy::certificates);
  }
  context.clock = &hm::system_clock();

  fs::permissions(context.home.ca_key(), fs::perms::group_read, fs::perm_options::add);
  const Finding open = look(kAuthorityCheck);
  CHECK(open.severity == Severity::broken);
  CHECK(open.next.starts_with("chmod 700 "));
  CHECK(open.remedy == Remedy::permissions);
}

TEST_CASE_METHOD(ChecksFixture, "doctor: the bundle has our CA once and is current", "[doctor]") {
  const std::string setup = "halton-meter setup";
  CHECK(look(kBundleCheck).severity == Severity::skipped);
  make_authority({"api.openai.com"});
  expect(kBundleCheck, Severity::inconsistent, "is not there", setup, Remedy::certificates);
  make_bundle();
  CHECK(look(kBundleCheck).severity == Severity::fine);
  const std::string good = hm::read_file(context.home.bundle()).value();

  struct Case {
    const char* what;
    std::string text;
    const char* words;
  };
  const std::string mark(hm::tls::kBundleMark);
  for (const Case& one :
       {Case{"twice", good + "# " + mark + "\n" + authority_pem(), "(2 marks)"},
        Case{"the mark alone", "# " + mark + "\n", "(1 marks)"}, Case{"empty", "", "(0 marks)"}}) {
    INFO(one.what);
    std::ofstream(context.home.bundle(), std::ios::trunc) << one.text;
    expect(kBundleCheck, Severity::broken, one.words, setup, Remedy::certificates);
  }
  std::ofstream(context.home.bundle(), std::ios::trunc) << good;
  CHECK(look(kBundleCheck).severity == Severity::fine);
  const auto roots = fs::last_write_time(hm::tls::system_root_bundle());
  fs::last_write_time(context.home.bundle(), roots - std::chrono::seconds(1));
  expect(kBundleCheck, Severity::inconsistent, "roots are newer", setup, Remedy::certificates);
}

TEST_CASE_METHOD(ChecksFixture, "doctor: folder, mode and sentinels", "[doctor]") {
  installed();
  CHECK(look(kHomeCheck).severity == Severity::fine);
  fs::permissions(context.home.root(), fs::perms::group_read, fs::perm_options::add);
  CHECK(look(kHomeCheck).next.starts_with("chmod 700 "));
  CHECK(look(kHomeCheck).remedy == Remedy::permissions);
  installed("apps\n");
  expect(kHomeCheck, Severity::inconsistent, "disagree", "halton-meter init --apps",
         Remedy::install);
  std::ofstream(context.home.apps_managed()) << "x";
  CHECK(look(kHomeCheck).severity == Severity::fine);
  installed("full\n");
  expect(kHomeCheck, Severity::inconsistent, "holds no mode", "halton-meter init --apps",
         Remedy::install);
  fs::remove_all(context.home.root());
  expect(kHomeCheck, Severity::inconsistent, "is not there", "halton-meter init", Remedy::install);
}

TEST_CASE_METHOD(ChecksFixture, "doctor: a database that is none, damaged, without WAL",
                 "[doctor]") {
  const auto file = context.home.database();
  CHECK(look(kDatabaseCheck).severity == Severity::skipped);
  {
    hm::store::Bench bench;
    bench.start();
    bench.queue.push(hm::store::sample_call());
    REQUIRE(bench.writer->flush(hm::store::kLong));
    bench.writer.reset();
    fs::copy_file(bench.options.database, file);
  }
  CHECK(look(kDatabaseCheck).text.starts_with("1 rows, "));
  {
    SQLite::Database db(file.string(), SQLite::OPEN_READWRITE);
    db.execAndGet("PRAGMA journal_mode = delete");
  }
  expect(kDatabaseCheck, Severity::inconsistent, "not in WAL mode", "halton-meter restart",
         Remedy::none);
  {
    // Pages behind the first two: their content is nonsense, the header is fine.
    std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(3 * 4096);
    for (int i = 0; i < 4096; ++i) bytes.put(static_cast<char>(i * 7));
  }
  const Finding damaged = look(kDatabaseCheck);
  CHECK(damaged.severity == Severity::broken);
  CHECK(damaged.next.find("halton-meter restart") != std::string::npos);
  std::ofstream(file, std::ios::trunc) << std::string(8192, 'x');
  expect(kDatabaseCheck, Severity::broken, "cannot be read", "halton-meter restart", Remedy::none);
}

TEST_CASE_METHOD(ChecksFixture, "doctor: logs that outgrow what is allowed", "[doctor]") {
  if (fs::space(context.home.root()).available < (std::uintmax_t{300} << 20)) return;  // a finding
  const auto log = context.home.daemon_log();
  std::ofstream(log) << "x";
  CHECK(look(kDiskCheck).severity == Severity::fine);
  fs::resize_file(log, std::uintmax_t{85} << 20);  // a hole: takes no room
  CHECK(look(kDiskCheck).severity == Severity::fine);
  fs::resize_file(log, std::uintmax_t{95} << 20);
  expect(kDiskCheck, Severity::note, "the logs take 95 MiB, and [log] max_bytes allows 60 MiB",
         "halton-meter restart", Remedy::none);
  const std::string old = log.string() + ".1";
  std::ofstream(old) << "x";
  CHECK(look(kDiskCheck).next == "rm " + old);
  std::ofstream(context.home.config()) << "[log]\nmax_bytes = 33554432\n";
  CHECK(look(kDiskCheck).severity == Severity::fine);
}

TEST_CASE("doctor: the ports file against what listens", "[doctor]") {
  struct Case {
    const char* edge;
    const char* daemon;
    BoundPorts file;
    const char* finding;
  };
  constexpr const char* kEdge = "edge_port=8081\n";
  constexpr const char* kDaemon = "internal_port=8090\napi_port=8765\n";
  for (const Case& one : {
           Case{kEdge, kDaemon, {8081, 8090, 8765}, ""},
           Case{kEdge, kDaemon, {8082, 8090, 8765}, "says port 8082 of the edge"},
           Case{kEdge, kDaemon, {0, 0, 0}, "says nothing of the edge"},
           Case{kEdge, kDaemon, {8081, 8091, 8765}, "port 8091 of the interceptor"},
           Case{kEdge, kDaemon, {8081, 8090, 8766}, "port 8766 of the HTTP API"},
           Case{nullptr, kDaemon, {8082, 8090, 8765}, ""},  // nobody there: another finding
           Case{"edge_port=8081\nleaving=1\n", kDaemon, {0, 8090, 8765}, ""},
           Case{"version=0.1\n", kDaemon, {8082, 8090, 8765}, ""},  // it does not tell
       }) {
    StatusFacts facts;
    facts.ports = one.file;
    if (one.edge != nullptr) facts.edge = answer(one.edge);
    if (one.daemon != nullptr) facts.daemon = answer(one.daemon);
    const std::string finding = wrong_port(facts);
    INFO(finding);
    CHECK(finding.find(one.finding) != std::string::npos);
    CHECK(finding.empty() == (*one.finding == '\0'));
  }
}

TEST_CASE("doctor: who holds a port, and how to have the usual one again", "[doctor]") {
  const auto we = static_cast<int64_t>(::getuid());
  CHECK(kept_for_us({.pid = 14, .uid = we, .name = "systemd"}));
  CHECK(kept_for_us({.pid = 15, .uid = we, .name = "(erceptor)"}));
  CHECK_FALSE(kept_for_us({.pid = 14, .uid = we + 1, .name = "systemd"}));
  CHECK_FALSE(kept_for_us({.pid = 14, .uid = we, .name = "python3"}));
  CHECK(begin_anew(true, 0).starts_with("systemctl --user stop "));
  CHECK(begin_anew(false, 77) ==
        "kill 77; tail --pid=77 -f /dev/null; halton-meter start --detach");
  CHECK(begin_anew(false, 0).find("systemctl") == std::string::npos);
}

TEST_CASE_METHOD(ChecksFixture, "doctor: a folder in the database's place", "[doctor]") {
  const std::string file = context.home.database().string();
  fs::create_directory(file);
  expect(kDatabaseCheck, Severity::broken, "is a directory", "mv " + file + " " + file + ".aside",
         Remedy::none);
}

TEST_CASE_METHOD(ChecksFixture, "bodies: counted, and removed by age; a dry run removes nothing",
                 "[bodies]") {
  hm::ManualClock clock(hm::store::kNoon + 40 * kDayUs);
  context.clock = &clock;
  {
    hm::store::Bench bench;
    bench.start();
    for (const int64_t days : {0, 20}) {
      hm::CallRecord call = hm::store::sample_call(hm::store::kNoon + days * kDayUs);
      const std::string id = call.id;
      bench.queue.push(std::move(call));
      REQUIRE(bench.writer->flush(hm::store::kLong));
      SQLite::Database db(bench.options.database.string(), SQLite::OPEN_READWRITE, 5000);
      SQLite::Statement row(db,
                            "INSERT INTO request_bodies (request_id, direction, body, "
                            "original_bytes, truncated, redactions, created_at) VALUES (?, "
                            "'request', zeroblob(300000), 300000, 0, 0, ?)");
      row.bind(1, id);
      row.bind(2, hm::iso8601_utc(hm::store::kNoon + days * kDayUs));
      row.exec();
    }
    bench.writer.reset();
    fs::copy_file(bench.options.database, context.home.database());
  }
  const auto tells = [&](const std::vector<std::string>& words, const std::string& text) {
    INFO(text);
    REQUIRE(run(words) == 0);
    INFO(out.str());
    CHECK(out.str().find(text) != std::string::npos);
  };
  const auto size = [&] { return fs::file_size(context.home.database()); };
  tells({"bodies", "stats"}, "585 KiB");
  tells({"bodies", "purge", "--older-than", "30d", "--dry-run"}, "1 body, 292 KiB, would be");
  tells({"bodies", "purge", "--dry-run", "--vacuum", "--json"}, "\"count\": 2");
  tells({"bodies", "stats", "--json"}, "\"count\": 2");
  tells({"bodies", "purge", "--older-than", "50d"}, "0 bodies, 0 B, removed");
  tells({"bodies", "purge", "--older-than", "30d"}, "1 body, 292 KiB, removed");
  tells({"bodies", "stats", "--json"}, "\"count\": 1");
  const auto before = size();
  tells({"bodies", "purge", "--vacuum"}, "1 body, 292 KiB, removed");
  CHECK(err.str().find("Rewriting the database") != std::string::npos);
  CHECK(size() + 400'000 < before);
  tells({"bodies", "stats"}, "No bodies are stored");
  tells({"report", "--json", "--since", "60"}, "\"requests\": 2");  // rows stay
}
