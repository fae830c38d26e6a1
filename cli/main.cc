// The command line tool. Everything it does is in the command table; here is only the world around
// it.
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <iostream>

#include "cli/command.h"

extern char** environ;

namespace {

size_t terminal_width(int fd) {
  winsize size{};
  return ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::filesystem::path own_folder() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? std::filesystem::path(".") : self.parent_path();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    hm::cli::Context context;
    context.version = HM_VERSION;
    context.environment = hm::cli::environment_of(environ);
    // Clients get paths below it and may have another working directory.
    context.home = hm::Home(std::filesystem::absolute(hm::Home::from_environment().root()));
    context.place = hm::RunPlace::usual(context.home);
    context.program_folder = own_folder();
    context.in = &std::cin;
    context.out = &std::cout;
    context.err = &std::cerr;
    context.out_is_terminal = ::isatty(STDOUT_FILENO) == 1;
    context.err_is_terminal = ::isatty(STDERR_FILENO) == 1;
    if (context.out_is_terminal) {
      const bool plain = hm::cli::look_up(context.environment, "TERM") == "dumb";
      context.style = {.boxed = !plain, .width = terminal_width(STDOUT_FILENO)};
      context.colour = !plain && hm::cli::look_up(context.environment, "NO_COLOR").empty();
    }
    context.err_colour = context.err_is_terminal &&
                         hm::cli::look_up(context.environment, "TERM") != "dumb" &&
                         hm::cli::look_up(context.environment, "NO_COLOR").empty();
    const int code = hm::cli::run_command_line(context, {argv + std::min(argc, 1), argv + argc});
    std::cout.flush();
    if (std::cout) return code;
    std::cerr << "halton-meter: not everything could be written to the standard output\nWhat to "
                 "do: make room where it goes, then again\n";
    return code == 0 ? hm::cli::kNotWell : code;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "halton-meter: %s\n", error.what());
    return hm::cli::kNotWell;
  }
}
