#include "common/base/log.h"

#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "common/base/counters.h"
#include "tests/support/temp_folder.h"

namespace hm {
namespace {

namespace fs = std::filesystem;

std::string content(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Writes one event of about this many bytes, and waits until it is in the file.
void write_one(const log::Options& options, size_t bytes) {
  log::start(options);
  log::info("test.filler").with("text", std::string(bytes, 'x'));
  log::stop();
}

log::Options to_file(const fs::path& path) {
  log::Options options;
  options.file = path;
  options.to_stderr = false;
  return options;
}

TEST_CASE("one event is one line of JSON, whatever its values are", "[log]") {
  const test::TempFolder folder;
  const fs::path file = folder / "a.log";
  log::start(to_file(file));
  log::info("test.event")
      .with("quotes", "say \"no\" \\ \n\x01")
      .with("bytes", "caf\xc3\xa9 \xff")
      .with("clipped", std::string(1023, 'y') + "\xc3\xa9")
      .with("number", int64_t{-7})
      .with("yes", true)
      .with(Error{Code::timeout, "test.place", 110});
  log::debug("test.below_the_level").with("x", 1);
  log::stop();

  const std::string text = content(file);
  CHECK(text.find(R"("level":"info","event":"test.event","quotes":"say \"no\" \\ \u000a\u0001")") !=
        std::string::npos);
  CHECK(text.find("\"bytes\":\"caf\xc3\xa9 \xef\xbf\xbd\"") != std::string::npos);
  CHECK(text.find(std::string(1023, 'y') + "\xef\xbf\xbd\"") != std::string::npos);
  CHECK(
      text.find(R"("number":-7,"yes":true,"error":"timeout","where":"test.place","detail":110})") !=
      std::string::npos);
  CHECK(text.ends_with("}\n"));
  CHECK(std::count(text.begin(), text.end(), '\n') == 1);
  CHECK((fs::status(file).permissions() & fs::perms::all) ==
        (fs::perms::owner_read | fs::perms::owner_write));
}

TEST_CASE("a full file makes room: three are kept", "[log]") {
  const test::TempFolder folder;
  const fs::path file = folder / "a.log";
  log::Options options = to_file(file);
  options.max_file_bytes = 1000;
  for (int i = 0; i < 5; ++i) write_one(options, 900);
  for (const char* name : {"a.log", "a.log.1", "a.log.2"}) {
    CAPTURE(name);
    CHECK(fs::file_size(folder / name) > 900);
    CHECK(fs::file_size(folder / name) <= 1000);
  }
  CHECK_FALSE(fs::exists(folder / "a.log.3"));
}

TEST_CASE("a file that was deleted, or rotated by another process, is made anew", "[log]") {
  const test::TempFolder folder;
  const fs::path file = folder / "a.log";
  log::Options options = to_file(file);
  options.max_file_bytes = 1000;
  const bool deleted = GENERATE(true, false);
  log::start(options);
  log::info("test.first").with("text", std::string(850, 'x'));
  while (content(file).empty()) ::usleep(1000);
  if (deleted) {
    fs::remove(file);
  } else {
    fs::rename(file, folder / "a.log.1");
    std::ofstream(file) << "of the other process\n";
  }
  log::info("test.second").with("text", std::string(100, 'x'));
  log::stop();
  CHECK(content(file).find("test.second") != std::string::npos);
  if (deleted) return;
  CHECK(content(file).starts_with("of the other process\n"));
  CHECK(content(folder / "a.log.1").find("test.first") != std::string::npos);
  CHECK_FALSE(fs::exists(folder / "a.log.2"));
}

TEST_CASE("a full ring drops and counts", "[log]") {
  Counter& dropped = counters::get("log.dropped");
  const int64_t before = dropped.value();
  for (int i = 0; i < 1200; ++i) log::info("test.filler").with("text", std::string(1000, 'x'));
  CHECK(dropped.value() > before + 50);
  const test::TempFolder folder;
  log::start(to_file(folder / "a.log"));  // what waited is written
  log::stop();
  CHECK(fs::file_size(folder / "a.log") > 900'000);
}

}  // namespace
}  // namespace hm
