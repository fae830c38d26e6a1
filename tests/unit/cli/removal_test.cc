// What `uninstall` takes away from the home, and what it never does.
#include "cli/removal.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/unit/cli/cli_fixture.h"

using namespace hm::cli;
namespace fs = std::filesystem;

namespace {

struct HomeFixture : CliFixture {
  HomeFixture() {
    context.environment["HOME"] = folder.string();  // no unit of the user's own is looked at
    for (const char* name : {"config.toml", "db.sqlite", "edge.err.log", "mine.txt"}) put(name);
    fs::create_directories(root() / "ca");
  }
  [[nodiscard]] const fs::path& root() const { return context.home.root(); }
  void put(const char* name) const {
    fs::create_directories(root());
    std::ofstream(root() / name) << "x";
  }
  [[nodiscard]] bool there(const char* name) const { return fs::exists(root() / name); }
};

}  // namespace

TEST_CASE_METHOD(HomeFixture, "what is no list of process ids removes nothing", "[uninstall]") {
  for (const std::string word :
       {"GARBAGE", "", "1", "0", "-5", "12,", "12 ", "12,x", "99999999999999999999"}) {
    CAPTURE(word);
    CHECK(run({"uninstall", "--when-unused=" + word, "--purge", "--include-logs", "--yes"}) == 2);
    CHECK(err.str().find("--when-unused takes process ids") != std::string::npos);
    CHECK(there("db.sqlite"));
  }
}

TEST_CASE_METHOD(HomeFixture, "a file where the home would be is the user's", "[uninstall]") {
  fs::remove_all(root());
  std::ofstream(root()) << "precious";
  Removal removal(context);
  removal.purge(true, false);
  CHECK(fs::is_regular_file(root()));
  CHECK(removal.resisted().empty());
}

TEST_CASE_METHOD(HomeFixture, "what stays with an edge goes with it", "[uninstall]") {
  Removal removal(context);
  removal.purge(true, true);
  CHECK(there("config.toml"));
  CHECK_FALSE(there("db.sqlite"));
  const std::string left = removal.signs_of_use(true);
  put("edge.err.log");  // the edge goes on writing its own
  put("effective-ports.json");
  removal.purge_rest(true, left);
  for (const char* name : {"config.toml", "edge.err.log", "effective-ports.json", "ca"})
    CHECK_FALSE(there(name));
  CHECK(there("mine.txt"));
}

TEST_CASE_METHOD(HomeFixture, "a home that was used since keeps everything", "[uninstall]") {
  const bool data_too = GENERATE(true, false);
  Removal removal(context);
  removal.purge(data_too, true);
  const std::string left = removal.signs_of_use(data_too);
  const std::string since =
      GENERATE(as<std::string>{}, "config.toml", "rates.toml", "db.sqlite-wal");
  CAPTURE(data_too, since);
  put("new");  // written anew beside the old one, as editors do
  fs::rename(root() / "new", root() / since);
  removal.purge_rest(data_too, left);
  for (const char* name : {"config.toml", "edge.err.log", "ca"}) CHECK(there(name));
  CHECK(there(since.c_str()));
}

TEST_CASE_METHOD(HomeFixture, "no waiter removes a database", "[uninstall]") {
  Removal removal(context);
  removal.purge_rest(true, removal.signs_of_use(true));
  CHECK(there("db.sqlite"));
  CHECK_FALSE(there("config.toml"));
}
