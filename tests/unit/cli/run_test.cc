#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>
#include <thread>

#include "cli/child_process.h"
#include "cli/own_pair.h"
#include "common/base/fs.h"
#include "tests/unit/cli/cli_fixture.h"

using namespace hm::cli;

namespace {

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Waits for a file that a child writes.
std::string content_of(const std::filesystem::path& file) {
  for (int i = 0; i < 500; ++i) {
    if (const auto text = hm::read_file(file); text && text->ends_with('\n')) return *text;
    ::usleep(10'000);
  }
  return {};
}

void write_script(const std::filesystem::path& file, const std::string& text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file) << text;
  ::chmod(file.c_str(), 0755);
}

}  // namespace

TEST_CASE_METHOD(CliFixture, "without a pair the command runs all the same") {
  CHECK(run({"run", "--", "true"}) == 0);
  CHECK(holds(err.str(), "not metered"));
  CHECK(run({"run", "true"}) == 0);
  CHECK(run({"run", "--quiet", "sh", "-c", "exit 3"}) == 3);
  CHECK(run({"run", "--", "sh", "-c", "exit 255"}) == 255);
}

TEST_CASE_METHOD(CliFixture, "a configuration that cannot be read is told, and stops nothing") {
  std::filesystem::create_directories(context.home.root());
  std::ofstream(context.home.config()) << "[upstream]\nproxy = \"http://corp.example:3128\n";
  CHECK(run({"run", "--quiet", "--", "true"}) == 0);
  CHECK_FALSE(holds(err.str(), "config.toml"));
  CHECK(run({"run", "--", "true"}) == 0);
  CHECK(holds(err.str(), context.home.config().string() + ":"));
  CHECK(holds(err.str(), "defaults are used"));
}

TEST_CASE_METHOD(CliFixture, "an unmetered command keeps its environment") {
  context.environment["HTTPS_PROXY"] = "http://corp.example:3128";
  const auto file = folder / "seen";
  CHECK(run({"run", "--", "sh", "-c",
             "echo \"$HTTPS_PROXY|$SSL_CERT_FILE|$HALTON_METER_RUN\" > " + file.string()}) == 0);
  CHECK(content_of(file) == "http://corp.example:3128||\n");
}

TEST_CASE_METHOD(CliFixture, "a signal's death is 128 and its number") {
  CHECK(run({"run", "--", "sh", "-c", "kill -TERM $$"}) == 128 + SIGTERM);
  CHECK(run({"run", "--", "sh", "-c", "kill -KILL $$"}) == 128 + SIGKILL);
}

TEST_CASE_METHOD(CliFixture, "what cannot be executed is 127 or 126") {
  CHECK(run({"run", "--", "no-such-command-anywhere"}) == 127);
  CHECK(holds(err.str(), "command not found\nWhat to do: "));
  CHECK(run({"run", "--", "/no/such/file"}) == 127);
  const auto file = folder / "plain";
  std::ofstream(file) << "no program\n";
  CHECK(run({"run", "--", file.string()}) == 126);
  CHECK(run({"run", "--", folder.string()}) == 126);
  CHECK(run({"run", "--", ""}) == 127);
}

TEST_CASE_METHOD(CliFixture, "signals are passed on to the command") {
  const auto ready = folder / "ready";
  const auto script =
      "trap 'exit 42' TERM; echo ready > " + ready.string() + "; while :; do sleep 0.05; done";
  const pid_t runner = ::fork();
  REQUIRE(runner >= 0);
  if (runner == 0) ::_exit(run({"run", "--quiet", "--", "sh", "-c", script}));
  CHECK(content_of(ready) == "ready\n");
  ::kill(runner, SIGTERM);
  int status = 0;
  REQUIRE(::waitpid(runner, &status, 0) == runner);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 42);
}

TEST_CASE_METHOD(CliFixture, "a pair that stops at once leaves nothing behind") {
  write_script(context.program_folder / "halton-meter-edge", "#!/bin/sh\nexit 5\n");
  write_script(context.program_folder / "halton-meter-interceptor", "#!/bin/sh\nexit 5\n");
  SignalLine signals;
  int interrupted = 0;
  const auto pair = OwnPair::start(context, {}, signals, interrupted);
  REQUIRE_FALSE(pair);
  CHECK(holds(pair.error(), "stopped at once with code 5"));
  CHECK(interrupted == 0);
  const auto run_folder = context.place.edge_socket.parent_path();
  CHECK(std::filesystem::is_empty(run_folder));
}

TEST_CASE_METHOD(CliFixture, "a pair that never answers is given up, and its lifeline cut") {
  // Reads its lifeline to the end, as the real ones do.
  write_script(context.program_folder / "halton-meter-interceptor",
               "#!/bin/bash\nwhile [ \"$1\" != --lifeline-fd ]; do shift; done\n"
               "cat <&\"$2\"; echo ended > \"$(dirname \"$0\")/ended\"\n");
  write_script(context.program_folder / "halton-meter-edge", "#!/bin/sh\n");
  SignalLine signals;
  int interrupted = 0;
  PairWishes wishes;
  wishes.ready_limit_ms = 1'000;
  const auto pair = OwnPair::start(context, wishes, signals, interrupted);
  REQUIRE_FALSE(pair);
  CHECK(holds(pair.error(), "not ready within 1000 ms"));
  CHECK(content_of(context.program_folder / "ended") == "ended\n");
}

TEST_CASE_METHOD(CliFixture, "a process that never answers and ignores its lifeline is ended") {
  write_script(context.program_folder / "halton-meter-interceptor", "#!/bin/sh\nexec sleep 600\n");
  write_script(context.program_folder / "halton-meter-edge", "#!/bin/sh\n");
  SignalLine signals;
  int interrupted = 0;
  PairWishes wishes;
  wishes.ready_limit_ms = 1'000;
  REQUIRE_FALSE(OwnPair::start(context, wishes, signals, interrupted));
  // The folder goes when both have ended.
  CHECK(std::filesystem::is_empty(context.place.edge_socket.parent_path()));
}

TEST_CASE("a program is looked for where PATH says") {
  CHECK(find_program("sh", "/nowhere:/bin:/usr/bin").value() == "/bin/sh");
  CHECK(find_program("sh", "").has_value());
  CHECK(find_program("sh", "/nowhere").error() == 127);
  CHECK(find_program("/bin/sh", "").value() == "/bin/sh");
  CHECK(find_program("", "/bin").error() == 127);
}

TEST_CASE_METHOD(CliFixture, "without certificates the command runs, and the next step is told") {
  std::filesystem::create_directories(context.home.root());
  std::ofstream(context.home.ca_dir()) << "no folder";
  CHECK(run({"run", "--", "true"}) == 0);
  CHECK(err.str().find("not metered: its certificates in " + context.home.ca_dir().string()) !=
        std::string::npos);
  CHECK(err.str().find("ca_store") == std::string::npos);
  CHECK(err.str().find("What to do: halton-meter doctor\n") != std::string::npos);
}
