// The ledger's entry and its file: what survives the process, and what damage does to it.
#include "common/wire/miss_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>

#include "common/base/memory_folder.h"
#include "common/wire/dead_ledger.h"
#include "common/wire/ledger_copy.h"

namespace hm::wire {
namespace {

// A folder as memory; whether it really is one is memory_folders' business.
struct Folder {
  operator LedgerFolders() const { return {{path}, {}}; }  // NOLINT(google-explicit-constructor)
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "hm-ledger-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  [[nodiscard]] std::filesystem::path only_file() const {
    std::filesystem::path found;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      REQUIRE(found.empty());
      found = entry.path();
    }
    return found;
  }
  std::filesystem::path path;
};

Miss miss(int64_t number) {
  Miss one;
  one.origin = 0xabcdef0123456789;
  one.number = number;
  one.at_us = 1'800'000'000'000'000 + number;
  one.host = "api.openai.com";
  one.reason = "gate_closed";
  one.bytes_up = 10 * number;
  one.client_port = 50'000;
  one.call_id = "call-" + std::to_string(number);
  return one;
}

template <class Ledger>
std::vector<Miss> entries(const Ledger& file) {
  std::vector<Miss> list;
  for (const MissSlot& slot : file.slots())
    if (slot.state == MissSlot::done) list.push_back(slot.miss());
  return list;
}

// A file with `count` entries of an edge that is gone.
void leave(const Folder& folder, int64_t count) {
  auto file = MissFile::take_or_make(folder);
  REQUIRE(file);
  CHECK(file->survives());
  for (int64_t i = 0; i < count; ++i)
    file->change(static_cast<size_t>(i)).fill(miss(i), MissSlot::done);
}

void poke(const std::filesystem::path& path, std::streamoff at, const std::string& bytes) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(at);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  REQUIRE(file.good());
}

constexpr std::streamoff kFirstSlot = 4096;

}  // namespace

TEST_CASE("pages that are released keep what they hold, in a file and in plain memory") {
  const Folder folder;
  auto file = MissFile::take_or_make(folder);
  REQUIRE(file);
  MissFile plain;
  for (MissFile* one : {&*file, &plain}) {
    one->change(3).fill(miss(3), MissSlot::done);
    one->change(4000).fill(miss(4000), MissSlot::done);
    one->release_pages();
    REQUIRE(entries(*one).size() == 2);
    CHECK(entries(*one)[1].call_id == "call-4000");
  }
}

TEST_CASE("a miss as text, odd words included") {
  Miss odd = miss(7);
  odd.sequence = 5;
  odd.host = "odd host\n=%";
  odd.reason = "a b";
  odd.detail = "why=%";
  odd.count = 3;
  odd.bytes_down = 8;
  odd.duration_us = 9;
  const Miss back = Miss::unpack(odd.pack());
  CHECK(back.sequence == 5);
  CHECK(back.origin == odd.origin);
  CHECK(back.number == 7);
  CHECK(back.at_us == odd.at_us);
  CHECK(back.host == odd.host);
  CHECK(back.reason == odd.reason);
  CHECK(back.detail == odd.detail);
  CHECK(back.count == 3);
  CHECK(back.bytes_up == 70);
  CHECK(back.bytes_down == 8);
  CHECK(back.duration_us == 9);
  CHECK(back.client_port == 50'000);
  CHECK(back.call_id == "call-7");
  CHECK(back.source() == "edge-abcdef0123456789");
  for (const char* text : {"", "nonsense", "seq=x count= =", "host"}) {
    INFO(text);
    CHECK(Miss::unpack(text).count >= 0);
  }
}

TEST_CASE("kill -9: what was entered is there, what was open is marked") {
  const Folder folder;
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    auto file = MissFile::take_or_make(folder);
    if (!file) ::_exit(1);
    file->change(0).fill(miss(0), MissSlot::done);
    file->change(1).fill(miss(1), MissSlot::open);
    file->change(2).fill(miss(2), MissSlot::open);
    Miss over = miss(2);
    over.bytes_down = 77;
    file->change(2).set_numbers(over);
    file->change(2).set_state(MissSlot::done);
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  auto files = DeadLedger::find(folder, MissFile::Kind::edge, 16);
  REQUIRE(files.size() == 1);
  files[0].recover(5);
  files[0].recover(6);  // once more changes nothing
  const auto list = entries(files[0]);
  REQUIRE(list.size() == 3);
  CHECK(list[0].reason == "gate_closed");
  CHECK(list[0].call_id == "call-0");
  CHECK(list[0].at_us == miss(0).at_us);
  CHECK(list[1].reason == "edge_lost");
  CHECK(list[1].detail == "gate_closed");
  CHECK(list[1].number == 1);
  CHECK(list[2].bytes_down == 77);
  struct stat info{};
  REQUIRE(::stat(folder.only_file().c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(info.st_blocks * 512 >= info.st_size);  // reserved
  files[0].remove();
  CHECK(std::filesystem::is_empty(folder.path));
}

TEST_CASE("the file of a living edge is nobody else's") {
  const Folder folder;
  auto mine = MissFile::take_or_make(folder);
  REQUIRE(mine);
  mine->change(0).fill(miss(0), MissSlot::done);
  CHECK(DeadLedger::find(folder, MissFile::Kind::edge, 16).empty());
  auto second = MissFile::take_or_make(folder);  // a successor beside a draining edge
  REQUIRE(second);
  CHECK(entries(*second).empty());
  CHECK(entries(*mine).size() == 1);
}

TEST_CASE("a place that cannot be written: an error, and plain memory serves") {
  const Folder folder;
  CHECK_FALSE(MissFile::take_or_make({{folder.path / "nowhere"}, {}}));
  MissFile memory;
  CHECK_FALSE(memory.survives());
  memory.change(4095).fill(miss(1), MissSlot::done);
  CHECK(entries(memory).size() == 1);
}

TEST_CASE(
    "where the first folder takes nothing the next one serves, and is looked through as well") {
  const Folder folder;
  const LedgerFolders folders{{folder.path / "full", folder.path}, {}};
  {
    auto file = MissFile::take_or_make(folders);
    REQUIRE(file);
    CHECK(file->survives());
    file->change(0).fill(miss(0), MissSlot::done);
  }
  CHECK(DeadLedger::find(folders, MissFile::Kind::edge, 16).size() == 1);
  auto next = MissFile::take_or_make(folders);
  REQUIRE(next);
  CHECK(entries(*next).size() == 1);
}

TEST_CASE("what was entered in memory goes on in a file, as soon as there is one") {
  const Folder folder;
  {
    MissFile file;
    file.change(0).fill(miss(0), MissSlot::done);
    file.change(7).fill(miss(1), MissSlot::open);
    auto fresh = MissFile::make(folder, MissFile::Kind::edge);
    REQUIRE(fresh);
    file.move_to(std::move(*fresh));
    CHECK(file.survives());
    file.change(8).fill(miss(2), MissSlot::done);
  }
  auto files = DeadLedger::find(folder, MissFile::Kind::edge, 16);
  REQUIRE(files.size() == 1);
  files[0].recover(5);
  const auto list = entries(files[0]);
  REQUIRE(list.size() == 3);
  CHECK(list[0].call_id == "call-0");
  CHECK(list[1].reason == "edge_lost");
  CHECK(list[2].call_id == "call-2");
}

TEST_CASE("a file that was cut keeps what is in front of the cut") {
  constexpr int64_t kCount = 5;
  for (int64_t size = 0; size <= kFirstSlot + kCount * 512; size += 61) {
    INFO("cut at " << size);
    const Folder folder;
    leave(folder, kCount);
    std::filesystem::resize_file(folder.only_file(), static_cast<uintmax_t>(size));
    auto files = DeadLedger::find(folder, MissFile::Kind::edge, 16);
    REQUIRE(files.size() == 1);
    files[0].recover(5);
    const int64_t whole = std::max<int64_t>(0, (size - kFirstSlot) / 512);
    const auto list = entries(files[0]);
    REQUIRE(static_cast<int64_t>(list.size()) >= whole);
    CHECK(static_cast<int64_t>(list.size()) <= whole + 1);
    for (int64_t i = 0; i < whole; ++i) CHECK(list[static_cast<size_t>(i)].number == i);
  }
}

TEST_CASE("rubbish: another file is put aside, a damaged entry is counted as that") {
  const Folder folder;
  leave(folder, 3);
  SECTION("in the head") {
    poke(folder.only_file(), 0, "garbage!");
    CHECK(DeadLedger::find(folder, MissFile::Kind::edge, 16).empty());
    CHECK(folder.only_file().string().ends_with(".bad"));
    CHECK(DeadLedger::find(folder, MissFile::Kind::edge, 16).empty());
  }
  SECTION("in an entry") {
    poke(folder.only_file(), kFirstSlot + 512 + 60, "\xff\xfe\xfd");
    auto files = DeadLedger::find(folder, MissFile::Kind::edge, 16);
    REQUIRE(files.size() == 1);
    files[0].recover(5);
    const auto list = entries(files[0]);
    REQUIRE(list.size() == 3);
    CHECK(list[1].reason == "ledger_damaged");
    CHECK(list[1].count == 1);
    CHECK(list[2].number == 2);
  }
  SECTION("in a state") {
    poke(folder.only_file(), kFirstSlot, "????");
    auto files = DeadLedger::find(folder, MissFile::Kind::edge, 16);
    REQUIRE(files.size() == 1);
    files[0].recover(5);
    CHECK(entries(files[0])[0].reason == "ledger_damaged");
  }
  SECTION("in the numbers: they stay numbers") {
    poke(folder.only_file(), kFirstSlot + 376, std::string(32, '\xff'));
    auto files = DeadLedger::find(folder, MissFile::Kind::edge, 16);
    REQUIRE(files.size() == 1);
    files[0].recover(5);
    const auto list = entries(files[0]);
    CHECK(list[0].count == 1);
    CHECK(list[0].bytes_up == 0);
  }
}

TEST_CASE("a merge is whole or not at all") {
  const Folder folder;
  leave(folder, 3);
  SECTION("done") {
    auto file = MissFile::take_or_make(folder);
    REQUIRE(file);
    file->merge(0, 2);
    const auto list = entries(*file);
    REQUIRE(list.size() == 2);
    CHECK(list[0].count == 2);
    CHECK(list[0].bytes_up == 20);
    CHECK(list[0].call_id.empty());
  }
  SECTION("interrupted behind the note: done when the file is taken") {
    // merging, into, from, spare, count, up, down, duration
    std::string note("\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0", 16);
    note += std::string("\2\0\0\0\0\0\0\0\x7b\0\0\0\0\0\0\0", 16) + std::string(16, '\0');
    poke(folder.only_file(), 8, note);
    auto files = DeadLedger::find(folder, MissFile::Kind::edge, 16);
    REQUIRE(files.size() == 1);
    files[0].recover(5);
    const auto list = entries(files[0]);
    REQUIRE(list.size() == 2);
    CHECK(list[0].count == 2);
    CHECK(list[0].bytes_up == 123);
  }
  SECTION("a note that makes no sense changes nothing") {
    poke(folder.only_file(), 8, std::string("\1\0\0\0\xff\xff\0\0\2\0\0\0", 12));
    auto files = DeadLedger::find(folder, MissFile::Kind::edge, 16);
    REQUIRE(files.size() == 1);
    files[0].recover(5);
    CHECK(entries(files[0]).size() == 3);
  }
}

TEST_CASE("somebody cuts the file of a living edge: it lives on, in memory") {
  const Folder folder;
  auto file = MissFile::take_or_make(folder);
  REQUIRE(file);
  file->change(0).fill(miss(0), MissSlot::done);
  std::filesystem::resize_file(folder.only_file(), 0);
  file->change(4000).fill(miss(1), MissSlot::done);  // SIGBUS otherwise
  CHECK((*file)[4000].miss().number == 1);
  file->change(0).fill(miss(2), MissSlot::open);
  CHECK((*file)[0].state == MissSlot::open);
  CHECK_FALSE(file->sound());  // and its keeper finds another
}

// --- the copy on a disk, and the folders in memory -----------------------------------------------

namespace {

struct Places {
  Folder memory, disk;
  operator LedgerFolders() const {  // NOLINT(google-explicit-constructor)
    return {{memory.path}, {disk.path}};
  }
};

void copy_once(const MissFile& file) {
  LedgerCopy copy(file.contents(), file.copy());
  REQUIRE(copy.update());
}

}  // namespace

TEST_CASE("a copy counts only when what it is a copy of is gone, and once") {
  const Places places;
  {
    auto file = MissFile::take_or_make(places);
    REQUIRE(file);
    file->change(0).fill(miss(0), MissSlot::done);
    file->change(4095).fill(miss(1), MissSlot::open);
    copy_once(*file);
    CHECK(DeadLedger::find(places, LedgerKind::edge, 16).empty());
  }
  CHECK(places.disk.only_file().filename() == places.memory.only_file().filename());
  SECTION("both are there: one ledger, and both go") {
    auto dead = DeadLedger::find(places, LedgerKind::edge, 16);
    REQUIRE(dead.size() == 1);
    CHECK(dead[0].in_memory());
    dead[0].remove();
    CHECK(std::filesystem::is_empty(places.memory.path));
    CHECK(std::filesystem::is_empty(places.disk.path));
  }
  SECTION("the memory is gone: the interceptor takes the copy") {
    std::filesystem::remove(places.memory.only_file());
    auto dead = DeadLedger::find(places, LedgerKind::edge, 16);
    REQUIRE(dead.size() == 1);
    dead[0].recover(5);
    REQUIRE(entries(dead[0]).size() == 2);
    CHECK(entries(dead[0])[0].call_id == "call-0");
    CHECK(entries(dead[0])[1].reason == "edge_lost");
    dead[0].remove();
    CHECK(std::filesystem::is_empty(places.disk.path));
  }
  SECTION("the memory is gone: the next edge goes on in memory, under the same name") {
    std::filesystem::remove(places.memory.only_file());
    const auto name = places.disk.only_file().filename();
    auto next = MissFile::take_or_make(places);
    REQUIRE(next);
    CHECK(places.memory.only_file().filename() == name);
    CHECK((*next)[0].call() == "call-0");
    CHECK((*next)[4095].state == MissSlot::open);
    CHECK(DeadLedger::find(places, LedgerKind::edge, 16).empty());
    next->change(0).set_state(MissSlot::free);
    copy_once(*next);
    next->remove();
    CHECK(std::filesystem::is_empty(places.memory.path));
    CHECK(std::filesystem::is_empty(places.disk.path));
  }
}

TEST_CASE("a copy is as the ledger was, whatever was there before, and follows it") {
  const Places places;
  auto file = MissFile::take_or_make(places);
  REQUIRE(file);
  LedgerCopy copy(file->contents(), file->copy());
  const auto copied = [&] {
    REQUIRE(copy.update());
    const Folder aside;
    std::filesystem::copy(places.disk.only_file(), aside.path / places.disk.only_file().filename());
    auto read = DeadLedger::find(LedgerFolders{{}, {aside.path}}, LedgerKind::edge, 1);
    REQUIRE(read.size() == 1);
    return entries(read[0]);
  };
  for (int64_t i = 0; i < 20; ++i)
    file->change(static_cast<size_t>(i)).fill(miss(i), MissSlot::done);
  CHECK(copied().size() == 20);
  for (size_t i = 1; i < 20; ++i) file->merge(0, i);
  REQUIRE(copied().size() == 1);
  CHECK(copied()[0].count == 20);
  std::filesystem::remove(places.disk.only_file());  // somebody tidies the home
  CHECK(copied().size() == 1);
  file->change(0).set_state(MissSlot::free);
  CHECK(copied().empty());
}

TEST_CASE("memory without a name has a copy as well") {
  const Folder disk;
  const auto path = disk.path / MissFile::fresh_name(LedgerKind::edge);
  {
    MissFile file;
    CHECK_FALSE(file.survives());
    file.change(7).fill(miss(7), MissSlot::done);
    LedgerCopy copy(file.contents(), path);
    REQUIRE(copy.update());
    CHECK(DeadLedger::find(LedgerFolders{{}, {disk.path}}, LedgerKind::edge, 1).empty());
  }
  auto left = DeadLedger::find(LedgerFolders{{}, {disk.path}}, LedgerKind::edge, 1);
  REQUIRE(left.size() == 1);
  REQUIRE(entries(left[0]).size() == 1);
  CHECK(entries(left[0])[0].number == 7);
}

TEST_CASE("a file that is cut under who takes it over: no signal") {
  const Folder folder;
  leave(folder, 5);
  auto left = DeadLedger::find(folder, LedgerKind::edge, 1);
  REQUIRE(left.size() == 1);
  std::filesystem::resize_file(folder.only_file(), 0);
  left[0].recover(5);
  CHECK(entries(left[0]).size() == 5);
}

TEST_CASE("folders in memory: ours alone, or not used") {
  const std::string name = "hm-test-" + std::to_string(::getpid());
  const std::filesystem::path base = std::filesystem::path("/dev/shm") / name;
  struct Gone {
    std::filesystem::path path;
    ~Gone() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
  } const gone{base};
  const auto made = private_memory_folder("/dev/shm", name, "inner");
  if (!made) {
    WARN("no /dev/shm in memory here");
    return;
  }
  CHECK(*made == base / "inner");
  struct stat info{};
  REQUIRE(::stat(made->c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0700);
  CHECK(private_memory_folder("/dev/shm", name, "inner"));  // it is there by now
  SECTION("open to others") {
    std::filesystem::permissions(base, std::filesystem::perms(0770));
    CHECK_FALSE(private_memory_folder("/dev/shm", name, "inner"));
  }
  SECTION("a symbolic link") {
    std::filesystem::remove_all(base);
    const Folder elsewhere;
    std::filesystem::create_directory_symlink(elsewhere.path, base);
    CHECK_FALSE(private_memory_folder("/dev/shm", name, "inner"));
    CHECK(std::filesystem::is_empty(elsewhere.path));
  }
  SECTION("another user's") {
    if (::geteuid() == 0 && ::chown(base.c_str(), 1, 1) == 0)
      CHECK_FALSE(private_memory_folder("/dev/shm", name, "inner"));
  }
  CHECK_FALSE(private_memory_folder("/proc", name, "inner"));  // no memory to write to
}

}  // namespace hm::wire
