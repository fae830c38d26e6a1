#include "common/base/fs.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "common/base/fleeting_file.h"
#include "tests/support/temp_folder.h"

namespace hm {
namespace {

namespace fs = std::filesystem;

mode_t mode_of(const fs::path& path) {
  struct stat info{};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

TEST_CASE("files are replaced whole, with the mode asked for", "[fs]") {
  const test::TempFolder folder;
  const fs::path file = folder / "deep" / "er" / "file";

  CHECK_FALSE(replace_file(file, "x"));  // no such folder
  REQUIRE(ensure_dir(file.parent_path()));
  REQUIRE(ensure_dir(file.parent_path()));  // again is no error
  CHECK(mode_of(file.parent_path()) == 0700);

  const mode_t before = ::umask(0077);
  REQUIRE(replace_file(file, "one", 0644));
  CHECK(mode_of(file) == 0644);  // although the umask says no
  REQUIRE(replace_file(file, "two", 0600));
  ::umask(before);
  CHECK(mode_of(file) == 0600);
  CHECK(read_file(file).value() == "two");
  REQUIRE(replace_fleeting_file(file, "one"));
  CHECK(read_file(file).value() == "one");
  REQUIRE(replace_file(file, "two", 0600));
  CHECK(std::distance(fs::directory_iterator(file.parent_path()), fs::directory_iterator()) == 1);

  // What stands there and is no file stays as it is, and nothing is left behind.
  REQUIRE(ensure_dir(folder / "a-folder" / "inside"));
  CHECK_FALSE(replace_file(folder / "a-folder", "x"));
  CHECK(fs::is_directory(folder / "a-folder" / "inside"));
  for (const auto& entry : fs::directory_iterator(folder.path()))
    CHECK(entry.path().filename().string().find(".new.") == std::string::npos);
  CHECK(ensure_dir(file).error().code == Code::system);

  CHECK(read_file(folder / "nothing").error().code == Code::not_found);
  CHECK(read_file(file, 2).error().code == Code::too_large);
  CHECK(read_file(file, 3).value() == "two");
}

TEST_CASE("one variable moves the whole home, sockets included", "[fs]") {
  const std::string old = std::getenv("HALTON_METER_HOME") ? std::getenv("HALTON_METER_HOME") : "";
  ::setenv("HALTON_METER_HOME", "/elsewhere", 1);
  const Home home = Home::from_environment();
  CHECK(home.root() == "/elsewhere");
  CHECK(home.config() == "/elsewhere/config.toml");
  CHECK(RunPlace::usual(home).edge_socket == "/elsewhere/run/edge.sock");
  CHECK(RunPlace::usual(home).ports_file == "/elsewhere/effective-ports.json");
  if (old.empty())
    ::unsetenv("HALTON_METER_HOME");
  else
    ::setenv("HALTON_METER_HOME", old.c_str(), 1);
}

}  // namespace
}  // namespace hm
