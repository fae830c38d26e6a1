#include <catch2/catch.hpp>

#include "cli/command.h"
#include "tests/unit/cli/cli_fixture.h"

using namespace hm::cli;

namespace {

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE_METHOD(CliFixture, "every command explains itself, with an example") {
  for (const Command* command : all_commands()) {
    INFO(command->name);
    CHECK(run({std::string(command->name), "--help"}) == kFine);
    const std::string page = out.str();
    CHECK(holds(page.substr(page.find("Example:\n")), "halton-meter "));
    CHECK(holds(page, "Usage: halton-meter " + std::string(command->name)));
    for (const FlagSpec& flag : command->flags) CHECK(holds(page, "--" + std::string(flag.name)));
    CHECK(run({"help", std::string(command->name)}) == kFine);
    CHECK(out.str() == page);
    CHECK(err.str().empty());
  }
}

TEST_CASE_METHOD(CliFixture, "version and general help go to stdout") {
  CHECK(run({"--version"}) == kFine);
  CHECK(out.str() == "halton-meter 9.9.9\n");
  CHECK(run({"--help"}) == kFine);
  CHECK(out.str() == general_help());
  CHECK(run({"help"}) == kFine);
  CHECK(out.str() == general_help());
}

TEST_CASE_METHOD(CliFixture, "usage errors are 2, on stderr") {
  CHECK(run({}) == kUsage);
  CHECK(run({"reprot"}) == kUsage);
  CHECK(holds(err.str(), "did you mean 'report'?"));
  CHECK(run({"xyzzy-unlike-anything"}) == kUsage);
  CHECK_FALSE(holds(err.str(), "did you mean"));
  CHECK(run({"help", "stauts"}) == kUsage);
  CHECK(holds(err.str(), "did you mean 'status'?"));
  CHECK_FALSE(holds(err.str(), "help help"));
  CHECK(run({"bodies", "stats", "--vacuum"}) == kUsage);
  CHECK(run({"run", "--project", "--", "true"}) == kUsage);
  CHECK(run({"report", "--colour"}) == kUsage);
  CHECK(run({"report", "extra"}) == kUsage);
  CHECK(run({"report", "--since", "soon"}) == kUsage);
  CHECK(run({"report", "--by", "colour"}) == kUsage);
  CHECK(run({"report", "--json", "--csv"}) == kUsage);
  CHECK(run({"report", "--project", "a b"}) == kUsage);
  CHECK(run({"status", "extra"}) == kUsage);
  CHECK(run({"env", "--shell", "tcsh"}) == kUsage);
  CHECK(run({"run"}) == kUsage);
  CHECK(run({"run", "--project", "no good", "--", "true"}) == kUsage);
  CHECK(out.str().empty());
}

TEST_CASE_METHOD(CliFixture, "the shell completes every word of pricing") {
  CHECK(run({"completion", "bash"}) == kFine);
  CHECK(holds(out.str(), "unpriced reprice key'"));
}

TEST_CASE_METHOD(CliFixture, "env says nothing when no edge answers") {
  CHECK(run({"env"}) == kNotWell);
  CHECK(out.str().empty());
  CHECK(err.str().empty());
  context.out_is_terminal = true;
  CHECK(run({"env"}) == kNotWell);
  CHECK(holds(err.str(), "does not answer"));
}

TEST_CASE_METHOD(CliFixture, "a process that is not installed is an environment error") {
  CHECK(run({"daemon", "--edge-port", "0"}) == kEnvironment);
  CHECK(holds(err.str(), "halton-meter-interceptor"));
  CHECK(run({"edge"}) == kEnvironment);
}

TEST_CASE_METHOD(CliFixture, "without a database a report is friendly") {
  CHECK(run({"report"}) == kFine);
  CHECK(holds(out.str(), "No calls have been metered yet"));
  CHECK(run({"report", "--json"}) == kFine);
  CHECK(holds(out.str(), "\"requests\": 0"));
  CHECK(run({"report", "--csv", "--by", "model"}) == kFine);
  CHECK(holds(out.str(), "model,provider,requests"));
  CHECK_FALSE(std::filesystem::exists(context.home.root()));  // reading leaves no trace
}

TEST_CASE_METHOD(CliFixture, "status works when nothing runs") {
  CHECK(run({"status"}) == kNotWell);
  CHECK(holds(out.str().substr(0, out.str().find('\n')), "DOWN"));
  for (const char* row : {"install-mode", "edge", "daemon", "intercept listener", "api listener",
                          "database", "metered share (24 h)", "last capture", "watchdog"})
    CHECK(holds(out.str(), row));
  CHECK(run({"status", "--json"}) == kNotWell);
  CHECK(holds(out.str(), "\"verdict\": \"DOWN\""));
  CHECK_FALSE(std::filesystem::exists(context.home.root()));
}
