// A command line of its own: home in a temporary folder, output in strings.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "cli/command.h"

struct CliFixture {
  CliFixture() {
    std::string pattern = (std::filesystem::temp_directory_path() / "hm-cli-XXXXXX").string();
    folder = ::mkdtemp(pattern.data());
    context.version = "9.9.9";
    context.home = hm::Home(folder / "home");
    const auto run = folder / "home" / "run";
    context.place = {run / "edge.sock", run / "daemon.sock", context.home.ports()};
    context.program_folder = folder / "bin";  // no pair there
    context.environment = {{"PATH", "/usr/local/bin:/usr/bin:/bin"}};
    context.out = &out;
    context.err = &err;
  }
  ~CliFixture() {
    std::error_code error;
    std::filesystem::remove_all(folder, error);
  }
  CliFixture(const CliFixture&) = delete;
  CliFixture& operator=(const CliFixture&) = delete;

  int run(const std::vector<std::string>& words) {
    out.str("");
    err.str("");
    return hm::cli::run_command_line(context, words);
  }

  std::filesystem::path folder;
  hm::cli::Context context;
  std::ostringstream out;
  std::ostringstream err;
};
