#include "cli/units.h"

#include <algorithm>

#include "cli/systemd.h"
#include "cli/user_places.h"
#include "common/base/fs.h"

namespace hm::cli {
namespace {

constexpr std::string_view kTemplateFolder = "%h/.local/bin/";

// What unit_word() was given, from the text that begins with its word.
std::string read_word(std::string_view text) {
  const bool quoted = text.starts_with('"');
  std::string plain;
  for (size_t i = quoted ? 1 : 0; i < text.size(); ++i) {
    if (text[i] == '\n' || text[i] == (quoted ? '"' : ' ')) break;
    if (i + 1 < text.size() && (text[i] == '%' || text[i] == '\\')) ++i;
    plain += text[i];
  }
  return plain;
}

}  // namespace

std::string unit_word(std::string_view text) {
  std::string out;
  bool plain = true;
  for (const char c : text) {
    if (c == '%') out += '%';
    if (c == '"' || c == '\\') out += '\\';
    if (c == ' ' || c == '"' || c == '\\' || c == '\'' || c == '$' || c == ';') plain = false;
    out += c;
  }
  return plain ? out : '"' + out + '"';
}

std::string unit_argument(std::string_view text) {
  std::string out;
  for (const char c : unit_word(text)) {
    if (c == '$') out += '$';
    out += c;
  }
  return out;
}

std::string unit_text(std::string_view unit_template, const Context& context) {
  std::string out;
  while (!unit_template.empty()) {
    const size_t end = unit_template.find('\n');
    std::string line(unit_template.substr(0, end));
    unit_template.remove_prefix(end == std::string_view::npos ? unit_template.size() : end + 1);
    if (const size_t at = line.find(kTemplateFolder);
        at != std::string::npos && line.starts_with("Exec")) {
      const size_t name = at + kTemplateFolder.size();
      const size_t after = std::min(line.find(' ', name), line.size());
      const auto program = context.program_folder / line.substr(name, after - name);
      line = line.substr(0, at) + unit_word(program.native()) + line.substr(after);
    }
    out += line + "\n";
    if (line == "[Service]" && home_is_moved(context.environment))
      out += "Environment=" + unit_word("HALTON_METER_HOME=" + context.home.root().string()) + "\n";
  }
  return out;
}

std::filesystem::path units_folder(const Context& context) {
  return user_config(context.environment) / "systemd" / "user";
}

std::filesystem::path unit_file(const Context& context, std::string_view unit) {
  return units_folder(context) / unit;
}

std::optional<std::filesystem::path> home_of_units(const Context& context) {
  for (const char* unit : {kEdgeUnit, kDaemonUnit}) {
    const auto text = read_file(unit_file(context, unit), 64 * 1024);
    if (!text) continue;
    constexpr std::string_view kKey = "\nEnvironment=";
    constexpr std::string_view kName = "HALTON_METER_HOME=";
    for (size_t at = text->find(kKey); at != std::string::npos; at = text->find(kKey, at + 1)) {
      const std::string setting = read_word(std::string_view(*text).substr(at + kKey.size()));
      if (setting.starts_with(kName)) return std::filesystem::path(setting.substr(kName.size()));
    }
    return user_home(context.environment) / ".halton-meter";
  }
  return std::nullopt;
}

std::string program_of_unit(std::string_view text) {
  constexpr std::string_view kKey = "\nExecStart=";
  const size_t at = text.find(kKey);
  if (at == std::string_view::npos) return {};
  return read_word(text.substr(at + kKey.size()));
}

}  // namespace hm::cli
