#include "cli/config_edit.h"

#include "cli/subprocess.h"

namespace hm::cli {
namespace {

// A TOML basic string.
std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) out += c;
  }
  return out + "\"";
}

// Behind the line "[upstream]"; npos: there is none.
size_t behind_upstream(std::string_view toml) {
  size_t at = 0;
  while (at < toml.size()) {
    const size_t end = std::min(toml.find('\n', at), toml.size());
    std::string_view line = toml.substr(at, end - at);
    line = line.substr(0, line.find('#'));
    if (trimmed(line) == "[upstream]") return std::min(end + 1, toml.size());
    at = end + 1;
  }
  return std::string_view::npos;
}

}  // namespace

std::string with_upstream_proxy(std::string_view toml, std::string_view proxy_url,
                                std::string_view no_proxy) {
  std::string lines = "proxy = " + toml_string(proxy_url) + "\n";
  std::string list;
  while (!no_proxy.empty()) {
    const size_t comma = no_proxy.find(',');
    const std::string entry = trimmed(no_proxy.substr(0, comma));
    no_proxy = comma == std::string_view::npos ? std::string_view() : no_proxy.substr(comma + 1);
    if (!entry.empty()) list += (list.empty() ? "" : ", ") + toml_string(entry);
  }
  const bool has_list = toml.find("no_proxy") != std::string_view::npos;
  if (!list.empty() && !has_list) lines += "no_proxy = [" + list + "]\n";

  std::string out(toml);
  const size_t at = behind_upstream(toml);
  if (at != std::string_view::npos) {
    if (at == out.size() && !out.ends_with('\n')) lines.insert(0, "\n");
    return out.insert(at, lines);
  }
  if (!out.empty()) out += out.ends_with('\n') ? "\n" : "\n\n";
  return out + "[upstream]   # taken over from the environment by halton-meter init\n" + lines;
}

}  // namespace hm::cli
