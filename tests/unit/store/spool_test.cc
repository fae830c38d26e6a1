// The spool's file: what is read back, whatever happened to it.
#include "interceptor/store/spool.h"

#include <sys/stat.h>

#include <fstream>
#include <iterator>

#include "interceptor/store/spool_row.h"
#include "tests/support/full_disk.h"
#include "tests/unit/store/fixture.h"

using namespace hm;
using namespace hm::store;

namespace {

constexpr SpoolLimits kSmall{.reserved = 64 * 1024, .most = 1024 * 1024};

QueuedRows rows_of(std::deque<CallRecord> calls, std::deque<MissRecord> misses = {}) {
  QueuedRows rows;
  rows.calls = std::move(calls);
  rows.misses = std::move(misses);
  return rows;
}

QueuedRows some(int count) {
  QueuedRows rows;
  for (int i = 0; i < count; ++i) rows.calls.push_back(sample_call());
  return rows;
}

// All that can be read, and whether it ended in damage.
QueuedRows read_all(Spool& spool, bool* damaged = nullptr, size_t most = 256) {
  QueuedRows all;
  while (true) {
    auto chunk = spool.read(most);
    REQUIRE(chunk);
    if (damaged != nullptr) *damaged = chunk->damaged;
    if (chunk->rows.rows() == 0) return all;
    REQUIRE(chunk->rows.rows() <= most);
    spool.advance(*chunk);
    for (auto& call : chunk->rows.calls) all.calls.push_back(std::move(call));
    for (auto& miss : chunk->rows.misses) all.misses.push_back(std::move(miss));
  }
}

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void put(const std::filesystem::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

}  // namespace

TEST_CASE("rows come back as they were, in order") {
  TempFolder folder;
  auto made = Spool::take_or_make(folder / "spool", kNoon, kSmall);
  REQUIRE(made);
  Spool& spool = **made;
  CHECK(spool.empty());
  std::deque<CallRecord> calls = {sample_call(), sample_call()};
  calls[1].usage.parts = {{"input_audio", 7}};
  calls[1].extra_usage = {{"advisor_message", "m", {}}};
  calls[1].tool_calls = {{"web_search", 2}};
  calls[1].rate_limits = {{"name", "value", std::nullopt}, {"n", "v", 5}};
  calls[1].retry_after_s = 0.25;
  calls[1].counted_tokens = -1;
  calls[1].status = CallStatus::truncated;
  calls[1].attribution.git_branch = "branch";
  calls[1].iterations = {{1, 2, 3, 4, 5, 6, {}}, {}};
  calls[1].key_print = "0123456789abcdef";
  calls[1].client_retry = 2;
  MissRecord miss = sample_miss("r", 9);
  miss.source = "edge-1";
  miss.sequence = 4;
  REQUIRE(spool.append(rows_of(calls, {miss})));
  CHECK(spool.rows() == 3);
  const QueuedRows read = read_all(spool);
  REQUIRE(read.calls.size() == 2);
  REQUIRE(read.misses.size() == 1);
  const CallRecord& back = read.calls[1];
  CHECK(read.calls[0].id == calls[0].id);
  CHECK(back.id == calls[1].id);
  CHECK(back.usage.parts[0].tokens == 7);
  CHECK(back.extra_usage[0].kind == "advisor_message");
  CHECK(back.tool_calls[0].count == 2);
  CHECK(back.rate_limits[1].instant_us == 5);
  CHECK_FALSE(back.rate_limits[0].instant_us);
  CHECK(back.retry_after_s == 0.25);
  CHECK(back.counted_tokens == -1);
  CHECK(back.http_status == 200);
  CHECK(back.status == CallStatus::truncated);
  CHECK(back.attribution.git_branch == "branch");
  REQUIRE(back.iterations.size() == 2);
  CHECK(back.iterations[0].output_tokens == 5);
  CHECK(back.key_print == "0123456789abcdef");
  CHECK(back.client_retry == 2);
  CHECK(read.misses[0].count == 9);
  CHECK(read.misses[0].source == "edge-1");
  CHECK(read.misses[0].sequence == 4);
  CHECK(spool.empty());
  CHECK(spool.rows() == 0);
  struct stat info{};
  REQUIRE(::stat(spool.path().c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
}

TEST_CASE("emptied, it begins anew; what lay there before is no row any more") {
  TempFolder folder;
  auto made = Spool::take_or_make(folder / "spool", kNoon, kSmall);
  REQUIRE(made);
  Spool& spool = **made;
  for (const int count : {300, 5, 1, 40}) {
    const QueuedRows rows = some(count);
    REQUIRE(spool.append(rows));
    const QueuedRows back = read_all(spool, nullptr, 7);
    REQUIRE(back.calls.size() == rows.calls.size());
    CHECK(back.calls.front().id == rows.calls.front().id);
    CHECK(back.calls.back().id == rows.calls.back().id);
  }
  // It grew beyond its reserve and is back to it.
  CHECK(std::filesystem::file_size(spool.path()) == 64 * 1024);
}

TEST_CASE("emptied on a disk that takes nothing: later rows are found all the same, or refused") {
  TempFolder folder;
  {
    auto made = Spool::take_or_make(folder / "spool", kNoon, kSmall);
    REQUIRE(made);
    REQUIRE((*made)->append(some(3)));
    {
      const hm::test::FullDisk full;
      REQUIRE(full.limited());
      CHECK(read_all(**made).rows() == 3);  // into the database, and the note of it fails
      CHECK_FALSE((*made)->append(some(1)));
    }
    REQUIRE((*made)->append(some(2)));
  }  // as kill -9 leaves it
  auto dead = Spool::take_dead(folder / "spool");
  REQUIRE(dead.size() == 1);
  bool damaged = true;
  CHECK(read_all(*dead.front(), &damaged).rows() == 2);
  CHECK_FALSE(damaged);
}

TEST_CASE("its first part is reserved") {
  TempFolder folder;
  auto made = Spool::take_or_make(folder / "spool", kNoon, kSmall);
  REQUIRE(made);
  struct stat info{};
  REQUIRE(::stat((*made)->path().c_str(), &info) == 0);
  CHECK(info.st_size == 64 * 1024);
  CHECK(info.st_blocks * 512 >= info.st_size);
}

TEST_CASE("beyond its limit it takes nothing, and keeps what it has") {
  TempFolder folder;
  auto made = Spool::take_or_make(folder / "spool", kNoon, {.reserved = 4096, .most = 16 * 1024});
  REQUIRE(made);
  Spool& spool = **made;
  const QueuedRows first = some(2);
  REQUIRE(spool.append(first));
  CHECK(spool.append(some(100)).error().code == Code::too_large);
  REQUIRE(spool.append(some(1)));
  CHECK(read_all(spool).calls.size() == 3);
  REQUIRE(spool.append(some(2)));
}

TEST_CASE("the file of a living process is nobody else's; a dead one's is taken") {
  TempFolder folder;
  auto made = Spool::take_or_make(folder / "spool", kNoon, kSmall);
  REQUIRE(made);
  REQUIRE((*made)->append(some(3)));
  CHECK(Spool::take_dead(folder / "spool").empty());
  auto second = Spool::take_or_make(folder / "spool", kNoon, kSmall);
  REQUIRE(second);
  CHECK((*second)->path() != (*made)->path());
  CHECK((*second)->empty());
  made->reset();  // as the end of the process does
  auto dead = Spool::take_dead(folder / "spool");
  REQUIRE(dead.size() == 1);
  CHECK(Spool::take_dead(folder / "spool").empty());
  CHECK(read_all(*dead[0]).calls.size() == 3);
  dead[0]->remove();
  dead.clear();
  CHECK(Spool::take_dead(folder / "spool").empty());
}

TEST_CASE("how far it was read is known to the next process") {
  TempFolder folder;
  const QueuedRows rows = some(10);
  {
    auto made = Spool::take_or_make(folder / "spool", kNoon, kSmall);
    REQUIRE(made);
    REQUIRE((*made)->append(rows));
    auto chunk = (*made)->read(4);
    REQUIRE(chunk);
    (*made)->advance(*chunk);
  }
  auto dead = Spool::take_dead(folder / "spool");
  REQUIRE(dead.size() == 1);
  const QueuedRows rest = read_all(*dead[0]);
  REQUIRE(rest.calls.size() == 6);
  CHECK(rest.calls[0].id == rows.calls[4].id);
}

TEST_CASE("a process goes on in the file of a dead one, behind its rows") {
  TempFolder folder;
  const QueuedRows first = some(300);
  const QueuedRows second = some(5);
  {
    auto made = Spool::take_or_make(folder / "spool", kNoon, kSmall);
    REQUIRE(made);
    REQUIRE((*made)->append(first));
    auto chunk = (*made)->read(100);
    REQUIRE(chunk);
    (*made)->advance(*chunk);
  }
  auto next = Spool::take_or_make(folder / "spool", kNoon + 1, kSmall);
  REQUIRE(next);
  CHECK((*next)->rows() == 200);
  REQUIRE((*next)->append(second));
  CHECK(Spool::take_dead(folder / "spool").empty());
  const QueuedRows rest = read_all(**next);
  REQUIRE(rest.calls.size() == 205);
  CHECK(rest.calls.front().id == first.calls[100].id);
  CHECK(rest.calls.back().id == second.calls.back().id);
  // A damaged one is not gone on with: it is for whoever empties it.
  REQUIRE((*next)->append(second));
  const auto path = (*next)->path();
  next->reset();
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(100);
    file << "rubbish";
  }
  auto other = Spool::take_or_make(folder / "spool", kNoon + 2, kSmall);
  REQUIRE(other);
  CHECK((*other)->path() != path);
  CHECK(Spool::take_dead(folder / "spool").size() == 1);
}

TEST_CASE("cut at every byte: what is in front is read, never anything else") {
  TempFolder folder;
  const QueuedRows rows = rows_of({sample_call(), sample_call()}, {sample_miss("r", 9)});
  std::string content;
  size_t used = 0;
  {
    auto made = Spool::take_or_make(folder / "spool", kNoon, {.reserved = 0, .most = 1 << 20});
    REQUIRE(made);
    REQUIRE((*made)->append(rows));
    content = content_of((*made)->path());
    used = content.size() - 8;  // the mark of the end
    std::filesystem::remove((*made)->path());
  }
  const auto path = folder / "spool" / "rows-1-1.spool";
  size_t last = 0;
  for (size_t size = 0; size <= content.size(); ++size) {
    INFO("cut at " << size);
    put(path, content.substr(0, size));
    auto dead = Spool::take_dead(folder / "spool");
    if (size < 32) {  // no head: put aside, or nothing at all
      CHECK(dead.empty());
      continue;
    }
    REQUIRE(dead.size() == 1);
    bool damaged = false;
    const QueuedRows read = read_all(*dead[0], &damaged);
    REQUIRE(read.rows() >= last);
    REQUIRE(read.rows() <= 3);
    last = read.rows();
    if (read.rows() == 3) CHECK(size >= used);
    if (!read.calls.empty()) CHECK(read.calls[0].id == rows.calls[0].id);
    if (size > 40 && size < used && read.rows() == 0) CHECK(damaged);
    dead[0]->remove();
  }
  CHECK(last == 3);
}

TEST_CASE("a wrong byte anywhere: no wrong row") {
  TempFolder folder;
  const QueuedRows rows = rows_of({sample_call(), sample_call()}, {sample_miss("r", 9)});
  std::string content;
  {
    auto made = Spool::take_or_make(folder / "spool", kNoon, {.reserved = 0, .most = 1 << 20});
    REQUIRE(made);
    REQUIRE((*made)->append(rows));
    content = content_of((*made)->path());
    std::filesystem::remove((*made)->path());
  }
  const auto path = folder / "spool" / "rows-1-1.spool";
  for (size_t at = 0; at + 8 < content.size(); ++at) {
    if (at >= 24 && at < 32) continue;  // spare
    if (at >= 12 && at < 16) continue;  // of the generation the lower half tells
    INFO("at " << at);
    std::string wrong = content;
    wrong[at] = static_cast<char>(wrong[at] ^ 0x41);
    put(path, wrong);
    auto dead = Spool::take_dead(folder / "spool");
    if (at < 8) {
      CHECK(dead.empty());
      CHECK(std::filesystem::exists(path.string() + ".bad"));
      continue;
    }
    if (dead.empty()) continue;  // the read position leads nowhere
    bool damaged = false;
    const QueuedRows read = read_all(*dead[0], &damaged);
    CHECK(read.rows() <= 2);
    for (const CallRecord& call : read.calls)
      CHECK((call.id == rows.calls[0].id || call.id == rows.calls[1].id));
    dead[0]->remove();
  }
}

TEST_CASE("rows of earlier and later versions") {
  MissRecord miss = sample_miss("gate_closed", 5);
  miss.source = "edge-1";
  miss.sequence = 3;
  const std::string row = spool_row(miss);
  const std::string earlier = row.substr(0, row.size() - 8 - 8 - (8 + 6));  // no name
  QueuedRows rows;
  REQUIRE(read_spool_row(earlier, rows));
  REQUIRE(read_spool_row(row + std::string(24, '\1'), rows));
  CHECK(rows.misses[0].count == 5);
  CHECK(rows.misses[0].source.empty());
  CHECK(rows.misses[1].source == "edge-1");
  CHECK(rows.misses[1].sequence == 3);
  CHECK_FALSE(read_spool_row("", rows));
  CHECK_FALSE(read_spool_row("?row", rows));
}

TEST_CASE("a spool file of the first format is read") {
  TempFolder folder;
  // It had no head, and its rows ended before the empty list, the empty text and the absent number.
  const std::string whole = spool_row(sample_call());
  const std::string row = whole.substr(0, whole.size() - 24);
  uint32_t sum = 2166136261U;
  for (const char c : row) sum = (sum ^ static_cast<uint8_t>(c)) * 16777619U;
  std::string content = "HMSPOOL1";
  for (const auto word : {static_cast<uint32_t>(row.size()), sum})
    for (int shift = 0; shift < 32; shift += 8) content.push_back(static_cast<char>(word >> shift));
  std::filesystem::create_directory(folder / "spool");
  put(folder / "spool" / "rows-1-1.spool", content + row);
  auto own = Spool::take_or_make(folder / "spool", kNoon, kSmall);  // not to be gone on with
  REQUIRE(own);
  auto dead = Spool::take_dead(folder / "spool");
  REQUIRE(dead.size() == 1);
  bool damaged = true;
  const QueuedRows rows = read_all(*dead[0], &damaged);
  CHECK_FALSE(damaged);
  REQUIRE(rows.calls.size() == 1);
  CHECK(rows.calls[0].model == "claude-sonnet-5");
  CHECK(rows.calls[0].usage.input_tokens == 1000);
}

TEST_CASE("a place that cannot be written") {
  TempFolder folder;
  put(folder / "file", "in the way");
  CHECK_FALSE(Spool::take_or_make(folder / "file", kNoon, kSmall));
  CHECK(Spool::take_dead(folder / "file").empty());
  CHECK(Spool::take_dead(folder / "nowhere").empty());
}
