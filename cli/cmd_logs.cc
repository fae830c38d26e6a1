#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <string_view>
#include <utility>

#include "cli/command.h"
#include "cli/log_lines.h"
#include "cli/period.h"
#include "cli/text.h"

namespace hm::cli {
namespace {

constexpr useconds_t kFollowEveryUs = 200'000;
constexpr size_t kUsualLines = 50;

struct Source {
  std::filesystem::path file;
  uint64_t inode = 0;
  std::streamoff read_to = 0;
};

struct Line {
  std::string at;  // sorts as text: ISO 8601 UTC
  std::string text;
  size_t place = 0;  // among those that were read; decides where the times are the same
};

uint64_t inode_of(const std::filesystem::path& file) {
  struct stat info{};
  return ::stat(file.c_str(), &info) == 0 ? info.st_ino : 0;
}

// Whole lines from `from` on; says how far it read.
std::streamoff read_lines(const std::filesystem::path& file, std::streamoff from,
                          const std::string& since, std::vector<Line>& into) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return from;
  stream.seekg(from);
  for (std::string text; std::getline(stream, text);) {
    if (stream.eof()) break;  // half a line: the rest is on its way
    from += static_cast<std::streamoff>(text.size()) + 1;
    Line line{log_field(text, "at"), std::move(text), into.size()};
    if (line.at < since) continue;
    into.push_back(std::move(line));
  }
  return from;
}

void sort(std::vector<Line>& lines) {
  std::ranges::sort(
      lines, {}, [](const Line& line) { return std::pair(std::string_view(line.at), line.place); });
}

void print(Context& context, std::vector<Line>& lines) {
  sort(lines);
  for (const Line& line : lines) *context.out << line.text << '\n';
  context.out->flush();
  lines.clear();
}

[[noreturn]] void follow(Context& context, std::vector<Source> sources) {
  std::vector<Line> lines;
  while (true) {
    for (Source& source : sources) {
      if (const uint64_t now = inode_of(source.file); now != source.inode) {
        // Rotated: the end of the old file first.
        if (source.inode != 0) read_lines(source.file.string() + ".1", source.read_to, {}, lines);
        source.inode = now;
        source.read_to = 0;
      }
      source.read_to = read_lines(source.file, source.read_to, {}, lines);
    }
    print(context, lines);
    ::usleep(kFollowEveryUs);
  }
}

int run(Context& context, const Flags& flags) {
  std::vector<Source> sources;
  for (const std::string& word : flags.operands()) {
    if (word == "edge") {
      sources.push_back({context.home.edge_log()});
    } else if (word == "daemon") {
      sources.push_back({context.home.daemon_log()});
    } else {
      return usage_error(context, "logs", "'" + printable(word) + "' is neither edge nor daemon");
    }
  }
  if (sources.empty()) sources = {{context.home.edge_log()}, {context.home.daemon_log()}};
  std::string since;
  if (const auto text = flags.value("since")) {
    const auto duration = parse_duration_us(*text);
    if (!duration)
      return usage_error(context, "logs",
                         "'" + printable(*text) + "' is no duration like 30s, 5m, 2h or 7d");
    since = iso8601_utc(context.clock->wall_us() - *duration);
  }

  std::vector<Line> lines;
  bool any = false;
  for (Source& source : sources) {
    for (const auto& file : rotated_files(source.file)) {
      any = true;
      const std::streamoff read_to = read_lines(file, 0, since, lines);
      if (file != source.file) continue;
      source.inode = inode_of(file);
      source.read_to = read_to;
    }
  }
  const bool following = flags.has("follow");
  if (!any && !following) {
    *context.err << "halton-meter logs: there is no log in " << context.home.root().string()
                 << " yet; nothing has run with this home.\n"
                    "What to do: halton-meter status\n";
    return kNotWell;
  }
  sort(lines);
  if (since.empty() && lines.size() > kUsualLines)
    lines.erase(lines.begin(), lines.end() - kUsualLines);
  print(context, lines);
  if (following) follow(context, std::move(sources));
  return kFine;
}

constexpr std::array kFlags = {
    FlagSpec{"follow", "", "go on printing what is written", 'f'},
    FlagSpec{"since", "TIME", "30s, 5m, 2h, 7d (default: the last 50 lines)"},
};

}  // namespace

const Command kLogsCommand = {
    .name = "logs",
    .summary = "print the logs of edge and interceptor",
    .operands = "[edge|daemon]",
    .about =
        "Prints the events of both processes (or of one) in order of time, one JSON object per "
        "line,\n"
        "rotated files included. Events hold numbers and names, never headers, bodies or keys.\n",
    .example =
        "  halton-meter logs -f\n"
        "  halton-meter logs daemon --since 1h | jq 'select(.level == \"warn\")'\n",
    .flags = kFlags,
    .parsing = Command::Parsing::own,
    .run = run,
};

}  // namespace hm::cli
