#include "common/config/ports.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "common/base/fs.h"
#include "tests/support/temp_folder.h"

namespace hm::config {
TEST_CASE("ports are read from whatever JSON is there") {
  struct Case {
    std::string_view text;
    EffectivePorts want;
  };
  const auto [text, want] = GENERATE(
      Case{R"({"edge_port": 8081, "internal_port": 8090, "api_port": 8765})",
           {8081, 8090, 8765, {}}},
      Case{R"({"api_port":1,"other":{"x":[2]},"edge_port" : 65535})", {65535, {}, 1, {}}},
      Case{R"({"edge_port": "8081", "internal_port": 0, "api_port": 65536})", {}},
      Case{R"({"edge_port": -1, "internal_port": null})", {}}, Case{"", {}},
      Case{R"({"edge_port": 8081, "internal_po)", {8081, {}, {}, {}}}, Case{R"("edge_port")", {}});
  INFO(text);
  const EffectivePorts ports = parse_ports(text);
  CHECK(ports.edge_port == want.edge_port);
  CHECK(ports.internal_port == want.internal_port);
  CHECK(ports.api_port == want.api_port);
}

TEST_CASE("what is written can be read, and says who and when") {
  const std::string text = ports_text({8081, {}, 8765, {}}, 4711, 1'800'000'000'000'000);
  const EffectivePorts ports = parse_ports(text);
  CHECK(ports.edge_port == 8081);
  CHECK_FALSE(ports.internal_port);
  CHECK(ports.api_port == 8765);
  CHECK(text.find("\"pid\": 4711") != std::string::npos);
  CHECK(text.find("\"written_at\": \"2027-01-15T08:00:00.000000Z\"") != std::string::npos);
}

TEST_CASE("both processes write their own part") {
  const test::TempFolder folder;
  const auto path = folder / "new" / "effective-ports.json";
  CHECK(read_ports(path).error().code == Code::not_found);
  REQUIRE(write_ports(path, {8081, {}, {}, {}}, 1));
  REQUIRE(write_ports(path, {{}, 8090, 8765, {}}, 2));
  REQUIRE(write_ports(path, {8082, {}, {}, {}}, 3));
  const auto ports = read_ports(path);
  REQUIRE(ports);
  CHECK(ports->edge_port == 8082);
  CHECK(ports->internal_port == 8090);
  CHECK(ports->api_port == 8765);

  REQUIRE(replace_file(path, "{ damaged"));
  CHECK(read_ports(path).error().code == Code::malformed);
  REQUIRE(write_ports(path, {{}, 8091, {}, {}}, 4));
  CHECK(read_ports(path)->internal_port == 8091);
}

TEST_CASE("an edge that leaves takes its own pid out, never its successor's") {
  const test::TempFolder folder;
  const auto path = folder / "effective-ports.json";
  forget_edge(path, 100, 1);  // nothing there: nothing made
  CHECK_FALSE(std::filesystem::exists(path));
  REQUIRE(write_ports(path, {8081, {}, {}, 100}, 2));
  REQUIRE(write_ports(path, {{}, 8090, {}, {}}, 3));
  CHECK(read_ports(path)->edge_pid == 100);
  forget_edge(path, 99, 4);
  CHECK(read_ports(path)->edge_pid == 100);
  forget_edge(path, 100, 5);
  CHECK_FALSE(read_ports(path)->edge_pid);
  CHECK(read_ports(path)->edge_port == 8081);
  CHECK(read_ports(path)->internal_port == 8090);
}

TEST_CASE("writers at the same time lose nothing, and a reader never sees half a file") {
  const test::TempFolder folder;
  const auto path = folder / "effective-ports.json";
  REQUIRE(write_ports(path, {1, 1, {}, {}}, 1));
  // A writer in a process of its own, as in real life: the temporary file is named by process.
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    bool fine = true;
    for (uint16_t port = 1; port <= 100; ++port)
      fine = fine && write_ports(path, {{}, port, {}, {}}, 2);
    ::_exit(fine ? 0 : 1);
  }
  for (uint16_t port = 1; port <= 100; ++port) {
    CHECK(write_ports(path, {port, {}, {}, {}}, 3));
    CHECK(read_ports(path)->edge_port == port);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(read_ports(path)->edge_port == 100);
  CHECK(read_ports(path)->internal_port == 100);
}

}  // namespace hm::config
