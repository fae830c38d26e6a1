#include "common/config/extra_provider.h"

#include <algorithm>
#include <array>

namespace hm::config {
namespace {

constexpr std::array<std::string_view, 3> kShapes = {"openai", "anthropic", "gemini"};

// Where people log in. Their passwords and tokens are none of a meter's business, so no
// configuration brings these hosts under it.
constexpr std::string_view kLoginHosts[] = {"auth.openai.com",
                                            "auth0.openai.com",
                                            "accounts.google.com",
                                            "oauth2.googleapis.com",
                                            "console.anthropic.com",
                                            "platform.claude.com",
                                            "claude.ai",
                                            "accounts.x.ai",
                                            "auth.x.ai",
                                            "login.microsoftonline.com",
                                            "github.com"};

bool lower_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// RFC 1123 2.1, in lower case. A last label of digits would be an address.
bool is_dns_name(std::string_view host) {
  if (host.empty() || host.size() > 253) return false;
  std::string_view label;
  while (!host.empty()) {
    const size_t dot = std::min(host.find('.'), host.size());
    label = host.substr(0, dot);
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-' ||
        !std::ranges::all_of(label, [](char c) { return lower_or_digit(c) || c == '-'; }))
      return false;
    if (dot + 1 == host.size()) return false;
    host.remove_prefix(std::min(dot + 1, host.size()));
  }
  return label.find_first_not_of("0123456789") != std::string_view::npos;
}

bool is_port(std::string_view text) {
  if (text.empty() || text.size() > 5 ||
      text.find_first_not_of("0123456789") != std::string_view::npos)
    return false;
  const int number = std::stoi(std::string(text));
  return number >= 1 && number <= 65535;
}

std::string check_host(std::string& host) {
  for (char& c : host)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  if (host.starts_with("http://"))
    return "has an http:// host; calls without TLS are not intercepted, give a host that speaks "
           "TLS";
  const std::string_view whole = host;
  const size_t colon = std::min(whole.rfind(':'), whole.size());
  const std::string_view name = whole.substr(0, colon);
  if (!is_dns_name(name) || (colon < whole.size() && !is_port(whole.substr(colon + 1))))
    return "has a host that is not one exact name like api.example.com or api.example.com:8443, "
           "without https://, path, * or address";
  if (std::ranges::find(kLoginHosts, name) != std::end(kLoginHosts))
    return "names " + std::string(name) + ", a login host; those are never intercepted";
  return {};
}

std::string check_word(std::string_view key, std::string_view word) {
  const bool good = word.size() <= 40 && std::ranges::all_of(word, [](char c) {
                      return lower_or_digit(c) || c == '-' || c == '_' || c == '.';
                    });
  if (good) return {};
  return "has a " + std::string(key) + " that is not up to 40 lower-case letters, digits, - _ or .";
}

std::string check_path(std::string_view path) {
  const bool good = path.empty() || (path.size() <= 200 && path.starts_with('/') &&
                                     std::ranges::all_of(path, [](char c) {
                                       return c > 0x20 && c < 0x7F && c != '?' && c != '#';
                                     }));
  if (good && std::ranges::count(path, '{') == std::ranges::count(path, '}')) return {};
  return "has a path that is not like /openai/v1 or /openai/deployments/{model}";
}

}  // namespace

std::span<const std::string_view> provider_shapes() {
  return kShapes;
}

std::string check_provider(ExtraProvider& provider) {
  if (provider.name.empty() || provider.host.empty() || provider.shape.empty())
    return "needs name, host and shape";
  if (std::ranges::find(kShapes, provider.shape) == kShapes.end())
    return "has the unknown shape \"" + provider.shape +
           "\"; the shapes are openai, anthropic and gemini";
  if (std::string problem = check_host(provider.host); !problem.empty()) return problem;
  if (std::string problem = check_word("name", provider.name); !problem.empty()) return problem;
  if (std::string problem = check_word("rates", provider.rates); !problem.empty()) return problem;
  while (provider.path.ends_with('/')) provider.path.pop_back();
  if (std::string problem = check_path(provider.path); !problem.empty()) return problem;
  if (provider.rates.empty()) provider.rates = provider.name;
  return {};
}

const std::vector<KeyInfo>& provider_keys() {
  static const std::vector<KeyInfo> keys{
      {"name", "text", "", "Provider name of its calls in reports and in the database."},
      {"host", "host", "", "One exact host name, with :port when it is not 443."},
      {"shape", "text", "", "What it speaks: openai, anthropic or gemini."},
      {"path", "path", "any", "What stands in front of the shape's own paths, like /openai/v1."},
      {"rates", "text", "its name", "Whose rates apply: openai, anthropic, gemini, xai, or yours."},
  };
  return keys;
}

}  // namespace hm::config
