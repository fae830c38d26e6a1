// Calls under way, as the next interceptor finds them, and how it takes them over.
#include "interceptor/relay/flight_log.h"

#include <filesystem>
#include <map>

#include "common/wire/dead_ledger.h"
#include "interceptor/relay/ledger_collector.h"
#include "tests/unit/relay/relay_world.h"

namespace hm::relay::test {
namespace {

using wire::MissFile;
using wire::MissSlot;

struct Folder {
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "hm-flights-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::filesystem::path path;
};

struct Store {
  int64_t pushed = 0;
  int64_t safe = 0;
  [[nodiscard]] StoreProgress progress() {
    return {[this] { return pushed; }, [this] { return safe; }};
  }
};

// What a kill -9 at this moment would leave: call id and calls begun.
std::map<std::string, int64_t> left_in(const std::filesystem::path& folder) {
  const Folder copy;
  std::filesystem::copy(folder, copy.path);
  std::map<std::string, int64_t> left;
  for (const wire::DeadLedger& file :
       wire::DeadLedger::find({{copy.path}, {}}, MissFile::Kind::daemon, 16))
    for (const MissSlot& slot : file.slots())
      if (slot.state == MissSlot::open && slot.whole()) left[slot.call()] = slot.count;
  return left;
}

}  // namespace

TEST_CASE("a connection stays in the log until its rows are safe") {
  const Folder folder;
  Store store;
  {
    FlightLog log(store.progress());
    REQUIRE(log.keep_in({{folder.path}, {}}));
    const auto first = log.begin("api.openai.com", "call-1", 50'000, 5);
    const auto second = log.begin("api.openai.com", "call-2", 50'001, 6);
    log.note(first, 2);
    log.note(second, 1);
    CHECK(left_in(folder.path) == std::map<std::string, int64_t>{{"call-1", 2}, {"call-2", 1}});
    store.pushed = 2;
    log.end(first);
    CHECK(log.entries() == 2);
    store.safe = 1;
    const auto third = log.begin("api.openai.com", "call-3", 50'002, 7);
    CHECK(left_in(folder.path).size() == 3);
    store.safe = 2;
    store.pushed = 3;
    log.end(second);
    CHECK(left_in(folder.path) == std::map<std::string, int64_t>{{"call-2", 1}, {"call-3", 0}});
    log.end(third);
    CHECK(log.needed());  // one row is safe nowhere
    store.safe = 3;
    CHECK_FALSE(log.needed());
    log.file().remove();
  }
  CHECK(std::filesystem::is_empty(folder.path));
}

TEST_CASE("more connections than slots: the rest is told by the edge") {
  Store store;
  FlightLog log(store.progress());  // in memory
  std::vector<FlightLog::Entry> entries;
  for (size_t i = 0; i < MissFile::kSlots; ++i) entries.push_back(log.begin("h", "c", 1, 1));
  const auto none = log.begin("h", "c", 1, 1);
  CHECK(none == FlightLog::kNone);
  log.note(none, 5);
  log.end(none);
  log.end(entries.front());
  CHECK(log.begin("h", "c", 1, 1) != FlightLog::kNone);
}

TEST_CASE("a session notes what it has begun, as long as that has no safe row") {
  const Folder folder;
  Store store;
  FlightLog log(store.progress());
  REQUIRE(log.keep_in({{folder.path}, {}}));
  World world;
  world.context->flights = &log;
  const auto begun = [&] {
    int64_t sum = 0;
    for (const auto& [call, count] : left_in(folder.path)) sum += count;
    return sum;
  };
  Peer& client = world.metered();
  REQUIRE(world.until([&] { return left_in(folder.path).size() == 1; }));
  CHECK(begun() == 0);
  client.say(kQuestion);
  REQUIRE(world.until([&] { return world.origin().text == kQuestion; }));
  REQUIRE(world.until([&] { return begun() == 1; }));
  store.pushed = 1;
  world.origin().say(answer(kUsage));
  REQUIRE(world.until([&] { return client.text == answer(kUsage); }));
  REQUIRE(world.until([&] { return !world.rows.calls.empty(); }));
  CHECK(begun() == 1);
  client.fd.abort();
  REQUIRE(world.until([&] { return world.idle(); }));
  world.settle(50);
  CHECK(begun() == 1);  // its row is not safe
  store.safe = 1;
  CHECK_FALSE(log.needed());
  CHECK(left_in(folder.path).empty());
}

TEST_CASE("a session that carries a call raw notes it, as long as its miss is not safe") {
  const Folder folder;
  Store store;
  FlightLog log(store.progress());
  REQUIRE(log.keep_in({{folder.path}, {}}));
  World world;
  world.context->flights = &log;
  world.origin_plain = true;
  Peer& client = world.tunnel();
  client.say("plain words");
  REQUIRE(world.until([&] { return world.origin().raw == "plain words"; }));
  REQUIRE(left_in(folder.path).size() == 1);
  CHECK(left_in(folder.path).begin()->second == 1);
  store.pushed = 1;
  client.half_close();
  world.origin().half_close();
  REQUIRE(world.until([&] { return world.idle(); }));
  REQUIRE(world.rows.misses.size() == 1);
  CHECK(world.rows.misses[0].reason == "not_tls");
  CHECK(log.needed());
  CHECK(left_in(folder.path).begin()->second == 1);
  store.safe = 1;
  CHECK_FALSE(log.needed());
  CHECK(left_in(folder.path).empty());
}

TEST_CASE("what dead processes left is taken over once, and goes when it is safe") {
  const Folder folder;
  Store store;
  {
    FlightLog log(store.progress());
    REQUIRE(log.keep_in({{folder.path}, {}}));
    log.note(log.begin("api.openai.com", "idle", 1, 5), 0);
    log.note(log.begin("api.openai.com", "busy", 1, 5), 3);
    auto edge = MissFile::take_or_make({{folder.path}, {}});
    REQUIRE(edge);
    wire::Miss miss;
    miss.origin = 0xe;
    miss.number = 9;
    miss.host = "api.openai.com";
    miss.reason = "gate_closed";
    edge->change(0).fill(miss, MissSlot::done);
    miss.number = 10;
    edge->change(1).fill(miss, MissSlot::open);
  }
  net::Loop loop;
  Rows rows;
  LedgerCollector collector(loop, system_clock(), folder.path / "edge.sock", {{folder.path}, {}},
                            rows, store.progress());
  store.pushed = 3;
  collector.start();
  REQUIRE(net::test::run_until(loop, [&] { return rows.misses.size() == 3; }, 20'000));
  CHECK(rows.misses[0].reason == "interceptor_lost");
  CHECK(rows.misses[0].call_id == "busy");
  CHECK(rows.misses[0].count == 3);
  CHECK(rows.misses[0].less_rows);
  CHECK(rows.misses[0].source.starts_with("flights-"));
  CHECK(rows.misses[1].reason == "gate_closed");
  CHECK(rows.misses[1].source == "edge-e");
  CHECK(rows.misses[1].sequence == 9);
  CHECK_FALSE(rows.misses[1].less_rows);
  CHECK(rows.misses[2].reason == "edge_lost");
  net::test::run_for(loop, 300);
  CHECK_FALSE(std::filesystem::is_empty(folder.path));
  store.safe = 3;
  CHECK(net::test::run_until(loop, [&] { return std::filesystem::is_empty(folder.path); }, 20'000));
  CHECK(rows.misses.size() == 3);
}

}  // namespace hm::relay::test
