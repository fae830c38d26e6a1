// What an installation writes, and how it goes again.
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "cli/config_edit.h"
#include "cli/env_files.h"
#include "cli/file_changes.h"
#include "cli/rc_block.h"
#include "cli/remaining_edge.h"
#include "cli/supervised.h"
#include "cli/units.h"
#include "common/config/config.h"
#include "tests/unit/cli/cli_fixture.h"

using namespace hm::cli;
namespace fs = std::filesystem;

namespace {

const std::string kLine = "if [ -r 'x' ]; then . 'x'; fi\n";

std::string contents(const fs::path& file) {
  return hm::read_file(file).value_or("(unreadable)");
}
void put(const fs::path& file, std::string_view text) {
  fs::create_directories(file.parent_path());
  std::ofstream(file) << text;
}

}  // namespace

TEST_CASE("a block goes as it came, whatever the file was", "[rc]") {
  const std::string before = GENERATE(as<std::string>{}, "", "\n", "alias x=y\n", "alias x=y",
                                      "a\n\n\n", "# >>> other >>>\n# <<< other <<<\n");
  const std::string with = with_block(before, kLine);
  CHECK(has_block(with));
  CHECK(with.starts_with(before));
  CHECK(with_block(with, kLine) == with);  // a second time changes nothing
  bool made_by_us = false;
  CHECK(without_block(with, made_by_us) == before);
  CHECK_FALSE(made_by_us);
}

TEST_CASE("lines around a block stay", "[rc]") {
  const std::string with = with_block("before", kLine) + "after\n";
  bool made_by_us = false;
  CHECK(without_block(with, made_by_us) == "before\nafter\n");
  CHECK_FALSE(made_by_us);
  // A new line replaces the old one at its place.
  const std::string newer = with_block(with, "other\n");
  CHECK(newer.find("other\n") < newer.find("after\n"));
  CHECK(newer.find(kLine) == std::string::npos);
  CHECK(without_block(newer, made_by_us) == "before\nafter\n");
}

TEST_CASE("a file of ours that somebody wrote into is theirs", "[rc]") {
  bool made_by_us = false;
  CHECK(without_block(with_block("", kLine, true) + "mine\n", made_by_us) == "mine\n");
  CHECK_FALSE(made_by_us);
}

TEST_CASE("several blocks become one; a torn one loses its mark only", "[rc]") {
  const std::string twice = with_block("a\n", kLine) + "b\n" + with_block("", kLine, true);
  const std::string once = with_block(twice, kLine);
  bool made_by_us = false;
  CHECK(without_block(once, made_by_us) == "a\nb\n");
  CHECK(without_block(twice, made_by_us) == "a\nb\n");
  CHECK(without_block("a\n# >>> halton-meter >>>\nmine\n", made_by_us) == "a\nmine\n");
}

TEST_CASE("a block without its end mark is our lines behind its begin", "[rc]") {
  const std::string before = GENERATE(as<std::string>{}, "", "a\n", "a");
  const std::string after = GENERATE(as<std::string>{}, "", "mine\n", "if true; then :; fi\n");
  const RcShell shell = GENERATE(RcShell::posix, RcShell::fish);
  const std::string line = rc_line("/h/env.sh", shell);
  const std::string kEnd = "# <<< halton-meter <<<\n";
  std::string torn = with_block(before, line);
  REQUIRE(torn.ends_with(kEnd));
  torn.resize(torn.size() - kEnd.size());
  bool made_by_us = false;
  const std::string undone = before == "a" && !after.empty() ? "a\n" + after : before + after;
  CHECK(without_block(torn + after, made_by_us) == undone);
  // A second installation mends it, also where an earlier one has put a second block behind.
  const std::string mended = with_block(torn + after, line);
  CHECK(mended == with_block(before, line) + after);
  CHECK(with_block(torn + after + with_block("", line), line) == mended);
  CHECK(without_block(torn + after + with_block("", line), made_by_us) ==
        (before == "a" ? "a\n" + after : undone));
}

TEST_CASE("a line of ours that lost its end is still ours", "[rc]") {
  const std::string line = rc_line("/h/env.sh", RcShell::posix);
  bool made_by_us = false;
  CHECK(without_block("a\n# >>> halton-meter >>>\n" + line.substr(0, line.size() - 1),
                      made_by_us) == "a\n");
}

TEST_CASE_METHOD(CliFixture, "start files: those that are there and the login shell's", "[rc]") {
  put(folder / ".zshrc", "");
  context.environment["HOME"] = folder.string();
  context.environment["SHELL"] = "/usr/bin/fish";
  const auto files = rc_files(context.environment);
  REQUIRE(files.size() == 3);
  CHECK_FALSE(files[0].wanted);
  CHECK(files[1].wanted);
  CHECK(files[2].wanted);
  CHECK(files[2].path == folder / ".config" / "fish" / "config.fish");
}

TEST_CASE_METHOD(CliFixture, "changes are made once, and taken back whole", "[files]") {
  put(folder / "a" / "kept", "old");
  ::chmod((folder / "a" / "kept").c_str(), 0640);
  put(folder / "a" / "gone", "there before");
  FileChanges files;
  files.watch(folder / "made-by-others");
  put(folder / "made-by-others" / "x", "y");
  CHECK(*files.write(folder / "a" / "kept", "new", 0600));
  CHECK_FALSE(*files.write(folder / "a" / "kept", "new", 0600));
  CHECK(*files.write(folder / "b" / "c" / "fresh", "new", 0600));
  CHECK(*files.remove(folder / "a" / "gone"));
  CHECK_FALSE(*files.remove(folder / "a" / "never"));
  struct stat info{};
  REQUIRE(::stat((folder / "a" / "kept").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777U) == 0640);  // the user's own mode
  CHECK(files.made_folders() == std::vector<fs::path>{folder / "b", folder / "b" / "c"});

  CHECK(files.roll_back().empty());
  CHECK(contents(folder / "a" / "kept") == "old");
  CHECK(contents(folder / "a" / "gone") == "there before");
  CHECK_FALSE(fs::exists(folder / "b"));
  CHECK_FALSE(fs::exists(folder / "made-by-others"));
}

TEST_CASE_METHOD(CliFixture, "a symbolic link stays one, its file changes", "[files]") {
  put(folder / "dotfiles" / "bashrc", "old");
  fs::create_symlink(folder / "dotfiles" / "bashrc", folder / ".bashrc");
  FileChanges files;
  CHECK(*files.write(folder / ".bashrc", "new", 0644));
  CHECK(fs::is_symlink(folder / ".bashrc"));
  CHECK(contents(folder / "dotfiles" / "bashrc") == "new");
  files.roll_back();
  CHECK(fs::is_symlink(folder / ".bashrc"));
  CHECK(contents(folder / ".bashrc") == "old");
}

TEST_CASE_METHOD(CliFixture, "a link to a file that is not there yet stays a link", "[files]") {
  fs::create_directories(folder / "dotfiles");
  fs::create_symlink("dotfiles/between", folder / ".bashrc");
  fs::create_symlink(folder / "dotfiles" / "bashrc", folder / "dotfiles" / "between");
  FileChanges files;
  CHECK(*files.write(folder / ".bashrc", "new", 0644));
  CHECK(fs::read_symlink(folder / ".bashrc") == "dotfiles/between");
  CHECK(contents(folder / "dotfiles" / "bashrc") == "new");
  CHECK(files.roll_back().empty());
  CHECK_FALSE(fs::exists(folder / "dotfiles" / "bashrc"));
  CHECK(fs::is_symlink(folder / "dotfiles" / "between"));
}

TEST_CASE_METHOD(CliFixture, "a link into a folder that is not there is left alone", "[files]") {
  fs::create_directories(folder);
  const fs::path target = GENERATE(as<fs::path>{}, "not-mounted/bashrc", ".bashrc");
  fs::create_symlink(target, folder / ".bashrc");
  FileChanges files;
  CHECK_FALSE(files.write(folder / ".bashrc", "new", 0644));
  CHECK(fs::read_symlink(folder / ".bashrc") == target);
  CHECK_FALSE(files.changed());
  CHECK_FALSE(fs::exists(folder / "not-mounted"));
}

TEST_CASE("an earlier proxy goes into config.toml, and nothing else changes there", "[config]") {
  const std::string before =
      GENERATE(as<std::string>{}, "", "[log]\nlevel = \"debug\"\n", "[log]\nlevel = \"debug\"",
               "# mine\n[upstream]   # theirs\nca_file = \"/x.pem\"\n[log]\nlevel = \"debug\"\n",
               "[upstream]\n  proxy = \"\"  # none\n\n[log]\nlevel = \"debug\"\n",
               "[upstream]\nproxy=\"socks5://x:1\"\nno_proxy = []\n[daemon]\nedge_port = 8181\n",
               "[upstream]");
  std::string after = with_upstream(before, "proxy", toml_string("http://u:p\\\"@h:3128"));
  after = with_upstream(after, "no_proxy", toml_list("a, .b,,c"));
  CHECK(has_upstream(after, "proxy"));
  CHECK(with_upstream(after, "proxy", toml_string("http://u:p\\\"@h:3128")) == after);
  const auto loaded = hm::config::parse(after, "test");
  CHECK(loaded.warnings.empty());
  CHECK(loaded.config.upstream.proxy == "http://u:p\\\"@h:3128");
  CHECK(loaded.config.upstream.no_proxy == std::vector<std::string>{"a", ".b", "c"});
  CHECK(loaded.config.log.level == hm::config::parse(before, "test").config.log.level);
  CHECK(loaded.config.upstream.ca_file ==
        hm::config::parse(before, "test").config.upstream.ca_file);
}

TEST_CASE("forms of [upstream] that are not understood are seen by parsing what came out",
          "[config]") {
  for (const std::string before : {"upstream.proxy = \"\"\n", "upstream = {proxy = \"\"}\n"}) {
    const std::string after = with_upstream(before, "proxy", toml_string("http://h:3128"));
    CHECK(hm::config::parse(before, "test").warnings.empty());
    CHECK_FALSE(hm::config::parse(after, "test").warnings.empty());
  }
}

TEST_CASE("an empty start file of the user's stays", "[rc]") {
  bool made_by_us = true;
  CHECK(without_block(with_block("", kLine), made_by_us).empty());
  CHECK_FALSE(made_by_us);
  CHECK(without_block(with_block("", kLine, true), made_by_us).empty());
  CHECK(made_by_us);
}

TEST_CASE_METHOD(CliFixture, "the units tell whose home they are for", "[units]") {
  context.environment["HOME"] = folder.string();
  context.environment.erase("XDG_CONFIG_HOME");
  context.environment.erase("HALTON_METER_HOME");
  CHECK_FALSE(home_of_units(context));
  put(unit_file(context, "halton-meter-edge.service"), unit_text(edge_unit_template(), context));
  CHECK(home_of_units(context) == folder / ".halton-meter");
  context.environment["HALTON_METER_HOME"] = context.home.root().string();
  put(unit_file(context, "halton-meter-edge.service"), unit_text(edge_unit_template(), context));
  CHECK(home_of_units(context) == context.home.root());
}

TEST_CASE_METHOD(CliFixture, "units name the binaries by their absolute path", "[units]") {
  context.program_folder = "/opt/my tools/100%/bin";
  const std::string text = unit_text(daemon_unit_template(), context);
  CHECK(text.find("%h") == std::string::npos);
  CHECK(text.find("ExecStart=\"/opt/my tools/100%%/bin/halton-meter-interceptor\"") !=
        std::string::npos);
  CHECK(text.find("HALTON_METER_HOME") == std::string::npos);
  CHECK(program_of_unit(text) == "/opt/my tools/100%/bin/halton-meter-interceptor");
  context.environment["HALTON_METER_HOME"] = context.home.root().string();
  CHECK(unit_text(edge_unit_template(), context)
            .find("[Service]\nEnvironment=HALTON_METER_HOME=" + context.home.root().string()) !=
        std::string::npos);
}

TEST_CASE_METHOD(CliFixture, "odd letters in a unit: each kind of line has its own escapes",
                 "[units]") {
  const std::string odd = "/h/q$x $$ 100% \\ \" ' ;";
  context.environment["HOME"] = folder.string();
  context.environment["HALTON_METER_HOME"] = odd;
  context.home = hm::Home(odd);
  context.program_folder = odd;
  const std::string text = unit_text(edge_unit_template(), context);
  const std::string word = "/h/q$x $$ 100%% \\\\ \\\" ' ;";
  CHECK(text.find("\nEnvironment=\"HALTON_METER_HOME=" + word + "\"\n") != std::string::npos);
  CHECK(text.find("\nExecStart=\"" + word + "/halton-meter-edge\" --") != std::string::npos);
  // Only what stands behind the program has its variables filled in.
  CHECK(remaining_unit_text(text, odd, 8082)
            .find(R"( --home "/h/q$$x $$$$ 100%% \\ \" ' ;" --edge-port)") != std::string::npos);
  CHECK(program_of_unit(text) == odd + "/halton-meter-edge");
  put(unit_file(context, "halton-meter-edge.service"), text);
  CHECK(home_of_units(context) == odd);
}

TEST_CASE("the supervisor takes its limits from the unit files", "[supervisor]") {
  for (const std::string_view text : {edge_unit_template(), daemon_unit_template()}) {
    const UnitLimits limits = limits_of_unit(text);
    CHECK(limits.restart_us > 0);
    CHECK(limits.restart_us <= 1'000'000);
    CHECK(limits.watchdog_us >= 10'000'000);
    CHECK(limits.stop_us >= 10'000'000);
    CHECK(std::ranges::find(limits.unset, "HTTPS_PROXY") != limits.unset.end());
  }
  CHECK(limits_of_unit("ExecStart=%h/x --a b\n").arguments == std::vector<std::string>{"--a", "b"});
  CHECK(limits_of_unit("RestartSec=200ms\nTimeoutStopSec=2min\n").restart_us == 200'000);
  CHECK(limits_of_unit("RestartSec=200ms\nTimeoutStopSec=2min\n").stop_us == 120'000'000);
}

TEST_CASE("environment.d expands what was there and escapes the rest", "[env]") {
  EnvFilesPlan plan;
  plan.places = {8082, "/h/$x/cacert.pem", "/h/ca.pem", "/h/python"};
  const std::string text = environment_d_text(plan);
  CHECK(text.find("HTTPS_PROXY=http://127.0.0.1:8082\n") != std::string::npos);
  CHECK(text.find("SSL_CERT_FILE=\"/h/$$x/cacert.pem\"\n") != std::string::npos);
  CHECK(text.find("NO_PROXY=\"${NO_PROXY:+$NO_PROXY,}localhost,127.0.0.1,::1\"\n") !=
        std::string::npos);
  // Whatever is set is in the list of what has to go.
  const std::string names = " " + env_variable_names() + " ";
  for (size_t at = text.find('\n') + 1; at < text.size(); at = text.find('\n', at) + 1) {
    const std::string name = text.substr(at, text.find('=', at) - at);
    if (name != "PYTHONPATH") CHECK(names.find(" " + name + " ") != std::string::npos);
  }
}

TEST_CASE_METHOD(CliFixture, "the unit of an edge that stays: another home, the port it has",
                 "[units]") {
  const std::string before = unit_text(edge_unit_template(), context);
  struct Case {
    const char* home;
    const char* word;
  };
  for (const Case& one :
       {Case{"/run/user/7/x", "/run/user/7/x"}, Case{"/run/us er/%", "\"/run/us er/%%\""}}) {
    const std::string after = remaining_unit_text(before, one.home, 8082);
    const std::string added = std::string(" --home ") + one.word + " --edge-port 8082";
    const size_t at = after.find(added);
    REQUIRE(at != std::string::npos);
    const size_t line = after.rfind('\n', at) + 1;
    CHECK(after.substr(line, 10) == "ExecStart=");
    CHECK(after.substr(at - 12, 12) == "--supervised");
    CHECK(after.substr(0, at) + after.substr(at + added.size()) == before);
  }
}
