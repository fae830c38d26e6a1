// Commands that install and look after a pair, as far as they go without one.
#include <catch2/catch.hpp>
#include <fstream>

#include "cli/log_lines.h"
#include "cli/subprocess.h"
#include "tests/unit/cli/cli_fixture.h"

using namespace hm::cli;

TEST_CASE_METHOD(CliFixture, "init --full and unknown words are refused with 2", "[init]") {
  CHECK(run({"init", "--full"}) == 2);
  CHECK(err.str().find("--apps") != std::string::npos);
  CHECK(run({"init", "again"}) == 2);
  CHECK(run({"onboard", "--nonsense"}) == 2);
  CHECK_FALSE(std::filesystem::exists(context.home.root()));
}

TEST_CASE_METHOD(CliFixture, "rescue wants an installation, uninstall --include-logs a yes",
                 "[uninstall]") {
  CHECK(run({"rescue"}) == 1);
  CHECK(err.str().find("halton-meter init") != std::string::npos);
  CHECK(run({"uninstall", "--include-logs"}) == 2);
  CHECK(run({"rescue", "--apps", "--no-apps"}) == 2);
}

TEST_CASE_METHOD(CliFixture, "bodies of a home without a database", "[bodies]") {
  CHECK(run({"bodies", "stats"}) == 0);
  CHECK(out.str().find("No bodies are stored") != std::string::npos);
  CHECK(run({"bodies", "stats", "--json"}) == 0);
  CHECK(out.str().find("\"bodies\": []") != std::string::npos);
  CHECK(run({"bodies", "purge", "--vacuum"}) == 0);
  CHECK(run({"bodies", "purge", "--older-than", "soon"}) == 2);
  CHECK(run({"bodies"}) == 2);
}

TEST_CASE_METHOD(CliFixture, "logs: order of time, rotated files, one of the two", "[logs]") {
  std::filesystem::create_directories(context.home.root());
  const auto line = [](const char* at, const char* event) {
    return std::string(R"({"at":")") + at + R"(","level":"info","event":")" + event + "\"}\n";
  };
  std::ofstream(context.home.daemon_log().string() + ".1") << line("2026-01-01T00:00:01Z", "one");
  std::ofstream(context.home.daemon_log()) << line("2026-01-01T00:00:03Z", "three");
  std::ofstream(context.home.edge_log()) << line("2026-01-01T00:00:02Z", "two") << "{\"at\":\"half";
  CHECK(run({"logs"}) == 0);
  const std::string text = out.str();
  CHECK(text.find("one") < text.find("two"));
  CHECK(text.find("two") < text.find("three"));
  CHECK(text.find("half") == std::string::npos);
  CHECK(run({"logs", "edge"}) == 0);
  CHECK(out.str() == line("2026-01-01T00:00:02Z", "two"));
  CHECK(run({"logs", "--since", "1h"}) == 0);
  CHECK(out.str().empty());
}

TEST_CASE("fields of log lines", "[logs]") {
  const std::string line =
      R"({"at":"x","event":"a \"event\":\"b","text":"with \\ and \"quotes\"","pid":17})";
  CHECK(log_field(line, "event") == "a \"event\":\"b");
  CHECK(log_field(line, "text") == "with \\ and \"quotes\"");
  CHECK(log_field(line, "pid") == "17");
  CHECK(log_field(line, "none").empty());
}

TEST_CASE("another program's output, code, and end in time", "[subprocess]") {
  const Environment environment{{"PATH", "/usr/bin:/bin"}};
  const auto told =
      run_captured({"sh", "-c", "echo out; echo err >&2; exit 3"}, environment, 10'000);
  CHECK(told.code == 3);
  CHECK(told.out == "out\n");
  CHECK(told.err == "err\n");
  CHECK(run_captured({"no-such-program-here"}, environment, 1000).code == 127);
  CHECK(run_captured({"sleep", "60"}, environment, 50).timed_out);
}

TEST_CASE_METHOD(CliFixture, "completion knows every command and flag", "[completion]") {
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    CHECK(run({"completion", shell}) == 0);
    const std::string text = out.str();
    for (const Command* command : all_commands()) {
      CHECK(text.find(command->name) != std::string::npos);
      for (const FlagSpec& flag : command->flags)
        CHECK(text.find(std::string(shell == "fish" ? "-l " : "--") + std::string(flag.name)) !=
              std::string::npos);
    }
  }
  CHECK(run({"completion", "tcsh"}) == 2);
}
