#include "cli/rc_block.h"

#include <optional>

#include "cli/env_files.h"
#include "cli/user_places.h"

namespace hm::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBegin = "# >>> halton-meter >>>\n";
constexpr std::string_view kEnd = "# <<< halton-meter <<<\n";
// What has to be undone besides the block itself.
constexpr std::string_view kPlain =
    "# Managed by halton-meter init; halton-meter uninstall removes it.\n";
constexpr std::string_view kAfterText =
    "# Managed by halton-meter init; halton-meter uninstall removes it and the line break "
    "before.\n";
constexpr std::string_view kOwnFile =
    "# Managed by halton-meter init, which made this file; halton-meter uninstall removes it.\n";

struct Found {
  size_t from = 0;
  size_t to = 0;
  std::string_view note;  // the line behind the begin mark
};

// The first from there on that begins a line.
size_t find_mark(std::string_view text, std::string_view mark, size_t from) {
  size_t at = text.find(mark, from);
  while (at != std::string_view::npos && at != 0 && text[at - 1] != '\n')
    at = text.find(mark, at + 1);
  return at;
}

// Any version's. The user's own line may begin with "if", but does not know that variable.
bool is_ours(std::string_view line) {
  return line.starts_with("# Managed by halton-meter init") ||
         (line.starts_with("if ") && line.find("HALTON_METER_ENV_PORT") != std::string_view::npos);
}

std::string_view line_at(std::string_view text, size_t at) {
  const size_t end = text.find('\n', at);
  return text.substr(at, end == std::string_view::npos ? end : end + 1 - at);
}

std::optional<Found> find_block(std::string_view text) {
  const size_t at = find_mark(text, kBegin, 0);
  if (at == std::string_view::npos) return std::nullopt;
  const size_t behind = at + kBegin.size();
  const std::string_view note = line_at(text, behind);
  // Somebody may have cut the end mark off, or the last line end.
  const std::string_view mark = kEnd.substr(0, kEnd.size() - 1);
  const size_t end = find_mark(text, mark, behind);
  // An end behind another begin is that one's, and what is between them is the user's.
  if (end == std::string_view::npos || find_mark(text, kBegin, behind) < end) {
    size_t to = behind;
    while (to < text.size() && is_ours(line_at(text, to))) to += line_at(text, to).size();
    return Found{at, to, note};
  }
  size_t to = end + mark.size();
  if (to < text.size() && text[to] == '\n') ++to;
  return Found{at, to, note};
}

std::string block(std::string_view note, std::string_view line) {
  return std::string(kBegin) + std::string(note) + std::string(line) + std::string(kEnd);
}

}  // namespace

std::vector<RcFile> rc_files(const Environment& environment) {
  const fs::path home = user_home(environment);
  const std::string login = fs::path(look_up(environment, "SHELL")).filename().string();
  const std::string_view zdot = look_up(environment, "ZDOTDIR");
  std::vector<RcFile> files{
      {home / ".bashrc", RcShell::posix, login == "bash"},
      {(zdot.starts_with('/') ? fs::path(zdot) : home) / ".zshrc", RcShell::posix, login == "zsh"},
      {user_config(environment) / "fish" / "config.fish", RcShell::fish, login == "fish"}};
  std::error_code ignored;
  for (RcFile& file : files) file.wanted = file.wanted || fs::exists(file.path, ignored);
  return files;
}

std::string rc_line(const fs::path& env_file, RcShell shell) {
  const std::string file = shell_quoted(env_file.string(), shell == RcShell::fish);
  if (shell == RcShell::fish)
    return "if test -r " + file + "; source " + file +
           "; else if set -q HALTON_METER_ENV_PORT; set -e " + env_variable_names() + "; end\n";
  return "if [ -r " + file + " ]; then . " + file +
         "; elif [ -n \"${HALTON_METER_ENV_PORT-}\" ]; then unset " + env_variable_names() +
         "; fi\n";
}

std::string with_block(std::string_view text, std::string_view line, bool new_file) {
  if (const auto found = find_block(text)) {
    const std::string_view note =
        found->note.empty() || !found->note.starts_with("# Managed") ? kPlain : found->note;
    std::string rest(text.substr(found->to));
    bool ignored = false;
    if (has_block(rest)) rest = without_block(rest, ignored);
    return std::string(text.substr(0, found->from)) + block(note, line) + rest;
  }
  if (text.empty()) return block(new_file ? kOwnFile : kPlain, line);
  if (!text.ends_with('\n')) return std::string(text) + "\n" + block(kAfterText, line);
  return std::string(text) + block(kPlain, line);
}

std::string without_block(std::string_view text, bool& made_by_us) {
  made_by_us = false;
  std::string out(text);
  for (auto found = find_block(out); found; found = find_block(out)) {
    size_t from = found->from;
    const bool own_file = found->note == kOwnFile;
    // The line break goes only when nothing was written behind the block meanwhile.
    if (found->note == kAfterText && from > 0 && found->to == out.size()) --from;
    out.erase(from, found->to - from);
    made_by_us = own_file && out.empty();
  }
  return out;
}

bool has_block(std::string_view text) {
  return find_block(text).has_value();
}

}  // namespace hm::cli
