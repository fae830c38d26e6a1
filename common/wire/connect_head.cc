#include "common/wire/connect_head.h"

#include <algorithm>
#include <charconv>

#include "common/wire/ask.h"

namespace hm::wire {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// RFC 9110 5.6.2
bool is_token(std::string_view text) {
  constexpr std::string_view kExtra = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [kExtra](char c) {
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
           kExtra.find(c) != std::string_view::npos;
  });
}

bool is_host(std::string_view text) {
  return !text.empty() && text.size() <= 255 && std::ranges::all_of(text, [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && c != 0x7f && c != '/' && c != '@' && c != '?' &&
           c != '#' && c != '[' && c != ']' && c != '\\';
  });
}

// Appends bytes to `text` up to and including the empty line that ends a head. Returns how many
// bytes were taken and whether the head is whole.
struct Taken {
  size_t used = 0;
  bool whole = false;
};

Taken take_head(Bytes bytes, std::string& text, size_t& line_start, size_t limit) {
  size_t used = 0;
  while (used < bytes.size() && text.size() <= limit) {
    const char c = static_cast<char>(bytes[used++]);
    text.push_back(c);
    if (c != '\n') continue;
    size_t length = text.size() - line_start - 1;
    if (length > 0 && text[line_start + length - 1] == '\r') --length;
    const bool blank = length == 0;
    // RFC 9112 2.2: empty lines before the request line are skipped.
    if (blank && line_start == 0) {
      text.clear();
      continue;
    }
    line_start = text.size();
    if (blank) return {used, true};
  }
  return {used, false};
}

std::string_view next_line(std::string_view& rest) {
  const size_t end = rest.find('\n');
  std::string_view line = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

// False: a line that is no field.
bool take_fields(std::string_view rest, ConnectHead& head) {
  while (!rest.empty()) {
    const std::string_view before = rest;
    const std::string_view field = next_line(rest);
    if (field.empty()) break;
    const size_t colon = field.find(':');
    if (colon == std::string_view::npos || !is_token(field.substr(0, colon))) return false;
    head.fields.push_back(
        {std::string(field.substr(0, colon)), std::string(trim(field.substr(colon + 1)))});
    head.lines.emplace_back(before.substr(0, before.size() - rest.size()));
  }
  return true;
}

}  // namespace

std::string_view ConnectHead::header(std::string_view name) const {
  for (const HeadField& field : fields) {
    if (same_name(field.name, name)) return field.value;
  }
  return {};
}

HeadState ConnectHeadReader::feed(Bytes bytes, size_t& used) {
  used = 0;
  if (state_ != HeadState::more) return state_;
  const Taken taken = take_head(bytes, text_, line_start_, limit_);
  used = taken.used;
  // A TLS ClientHello or other binary noise at a proxy port need not wait for a line end. A CR may
  // be the first half of an empty line.
  if (!text_.empty() && static_cast<unsigned char>(text_[0]) < 0x20 && text_[0] != '\r') {
    failure_ = HeadFailure::malformed;
    return state_ = HeadState::failed;
  }
  if (text_.size() > limit_) {
    failure_ = HeadFailure::too_large;
    return state_ = HeadState::failed;
  }
  if (!taken.whole) return HeadState::more;
  return state_ = finish();
}

HeadState ConnectHeadReader::finish() {
  failure_ = HeadFailure::malformed;
  std::string_view rest = text_;
  const std::string_view line = next_line(rest);
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || last == first) return HeadState::failed;
  head_.method = line.substr(0, first);
  const std::string_view target = trim(line.substr(first + 1, last - first - 1));
  head_.version = line.substr(last + 1);
  if (!is_token(head_.method) || target.empty() || target.find(' ') != std::string_view::npos)
    return HeadState::failed;
  if (head_.version != "HTTP/1.1" && head_.version != "HTTP/1.0") return HeadState::failed;

  if (!take_fields(rest, head_)) return HeadState::failed;

  head_.connect = same_name(head_.method, "CONNECT");
  std::string_view authority_part = target;
  if (!head_.connect) {
    constexpr std::string_view kScheme = "http://";
    if (target.size() <= kScheme.size() || !same_name(target.substr(0, kScheme.size()), kScheme)) {
      head_.target = target;  // origin form: somebody speaks to us as to a web server
      failure_ = HeadFailure::none;
      return HeadState::complete;
    }
    authority_part = target.substr(kScheme.size());
    const size_t path = authority_part.find_first_of("/?#");
    if (path == std::string_view::npos) {
      head_.target = "/";
    } else {
      head_.target = authority_part.substr(path);
      if (head_.target[0] != '/') head_.target.insert(0, 1, '/');
      authority_part = authority_part.substr(0, path);
    }
    if (const size_t at = authority_part.rfind('@'); at != std::string_view::npos)
      authority_part = authority_part.substr(at + 1);
  }
  auto authority = parse_authority(authority_part);
  if (!authority) return HeadState::failed;
  head_.host = std::move(authority->host);
  head_.port = authority->port.value_or(head_.connect ? 443 : 80);
  failure_ = HeadFailure::none;
  return HeadState::complete;
}

HeadState AnswerHeadReader::feed(Bytes bytes, size_t& used) {
  used = 0;
  if (state_ != HeadState::more) return state_;
  const Taken taken = take_head(bytes, text_, line_start_, limit_);
  used = taken.used;
  if (text_.size() > limit_) return state_ = HeadState::failed;
  if (!taken.whole) return HeadState::more;
  // "HTTP/1.1 200 Connection established"
  const std::string_view text = text_;
  int status = 0;
  if (text.size() < 12 || !text.starts_with("HTTP/1.") || text[8] != ' ' ||
      std::from_chars(text.data() + 9, text.data() + 12, status).ptr != text.data() + 12 ||
      status < 100)
    return state_ = HeadState::failed;
  status_ = status;
  return state_ = HeadState::complete;
}

int64_t AnswerHeadReader::process() const {
  const std::string line = "\r\n" + std::string(kProcessHeader) + ": ";
  const size_t at = text_.find(line);
  int64_t process = 0;
  if (at != std::string::npos)
    std::from_chars(text_.data() + at + line.size(), text_.data() + text_.size(), process);
  return process;
}

void AnswerHeadReader::next() {
  text_.clear();
  line_start_ = 0;
  status_ = 0;
  state_ = HeadState::more;
}

bool is_upgrade(const ConnectHead& head) {
  const std::string_view wanted = head.header("Upgrade");
  return !wanted.empty() && !same_name(wanted, "h2c");
}

namespace {

std::string forwarded_head(const ConnectHead& head, std::string_view target,
                           std::string_view more) {
  const bool upgrade = is_upgrade(head);
  std::string text = head.method + ' ' + std::string(target) + ' ' + head.version + "\r\n";
  for (size_t i = 0; i < head.fields.size(); ++i) {
    const std::string_view name = head.fields[i].name;
    if (same_name(name, "Proxy-Authorization") || same_name(name, "Proxy-Connection")) continue;
    if (!upgrade && (same_name(name, "Connection") || same_name(name, "Keep-Alive") ||
                     same_name(name, "Upgrade") || same_name(name, "HTTP2-Settings")))
      continue;
    text += head.lines[i];
  }
  text += more;
  return text + (upgrade ? "\r\n" : "Connection: close\r\n\r\n");
}

}  // namespace

std::string origin_form_head(const ConnectHead& head) {
  return forwarded_head(head, head.target, {});
}

std::string absolute_form_head(const ConnectHead& head, std::string_view basic_auth) {
  std::string credentials;
  if (!basic_auth.empty())
    credentials = "Proxy-Authorization: Basic " + std::string(basic_auth) + "\r\n";
  std::string authority = authority_text(head.host, head.port);
  if (head.port == 80) authority.resize(authority.size() - std::string_view(":80").size());
  return forwarded_head(head, "http://" + authority + head.target, credentials);
}

std::string ask_head(std::string_view host, uint16_t port, std::string_view call_id,
                     uint16_t client_port, uint16_t edge_port) {
  const std::string authority = authority_text(host, port);
  std::string text = "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n";
  text += std::string(kCallIdHeader) + ": " + std::string(call_id) + "\r\n";
  text += std::string(kClientPortHeader) + ": " + std::to_string(client_port) + "\r\n";
  text += std::string(kEdgePortHeader) + ": " + std::to_string(edge_port) + "\r\n\r\n";
  return text;
}

std::string processing_head(int64_t process) {
  return "HTTP/1.1 102 Processing\r\n" + std::string(kProcessHeader) + ": " +
         std::to_string(process) + "\r\n\r\n";
}

std::string authority_text(std::string_view host, uint16_t port) {
  std::string text;
  const bool literal = host.find(':') != std::string_view::npos;
  if (literal) text += '[';
  text += host;
  if (literal) text += ']';
  return text + ':' + std::to_string(port);
}

std::optional<uint16_t> parse_port(std::string_view text) {
  unsigned value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() ||
      value == 0 || value > 65535)
    return std::nullopt;
  return static_cast<uint16_t>(value);
}

std::optional<Authority> parse_authority(std::string_view text) {
  Authority result;
  std::string_view host = text;
  std::string_view port;
  bool has_port = false;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    host = text.substr(1, close - 1);
    const std::string_view after = text.substr(close + 1);
    if (!after.empty() && after[0] != ':') return std::nullopt;
    has_port = !after.empty();
    port = has_port ? after.substr(1) : after;
    if (host.find(':') == std::string_view::npos) return std::nullopt;
  } else if (const size_t colon = text.rfind(':'); colon != std::string_view::npos) {
    if (text.find(':') != colon) return std::nullopt;  // an IPv6 literal needs brackets
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    has_port = true;
  }
  if (host.ends_with('.')) host.remove_suffix(1);
  if (!is_host(host)) return std::nullopt;
  if (has_port) {
    result.port = parse_port(port);
    if (!result.port) return std::nullopt;
  }
  result.host = host;
  std::ranges::transform(result.host, result.host.begin(), lower);
  return result;
}

namespace {

// Content-Length is counted by the compiler, so that a sentence can be changed without arithmetic.
template <size_t kStatus, size_t kBody>
std::string make_reply(const char (&status)[kStatus], const char (&body)[kBody]) {
  return std::string("HTTP/1.1 ") + status +
         "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " +
         std::to_string(kBody - 1) + "\r\nConnection: close\r\n\r\n" + body;
}

}  // namespace

std::string_view connected_reply() {
  return "HTTP/1.1 200 Connection established\r\n\r\n";
}

std::string_view bad_request_reply() {
  static const std::string reply = make_reply(
      "400 Bad Request",
      "Halton Meter: this is an HTTP proxy port and the request was not one it understands. Set "
      "HTTPS_PROXY to this address and call the API by its https:// address.\n");
  return reply;
}

std::string_view own_port_reply() {
  static const std::string reply =
      make_reply("403 Forbidden",
                 "Halton Meter: its own ports cannot be reached through the proxy. Call them "
                 "directly (add 127.0.0.1 and localhost to NO_PROXY).\n");
  return reply;
}

std::string_view not_an_origin_reply() {
  static const std::string reply =
      make_reply("404 Not Found",
                 "Halton Meter: this is a proxy port, not a web server. Set HTTPS_PROXY to this "
                 "address; `halton-meter status` says where the HTTP API listens.\n");
  return reply;
}

std::string_view head_timeout_reply() {
  static const std::string reply =
      make_reply("408 Request Timeout",
                 "Halton Meter: the proxy request did not arrive in time. Try again.\n");
  return reply;
}

std::string_view head_too_large_reply() {
  static const std::string reply =
      make_reply("431 Request Header Fields Too Large",
                 "Halton Meter: the proxy request is larger than 8 KiB. Send fewer headers with "
                 "CONNECT.\n");
  return reply;
}

std::string_view bad_gateway_reply() {
  static const std::string reply =
      make_reply("502 Bad Gateway",
                 "Halton Meter: the host cannot be reached (no such name, refused, or no answer). "
                 "Check the network; without the proxy the result would be the same.\n");
  return reply;
}

std::string_view proxy_auth_reply() {
  static const std::string reply = make_reply(
      "407 Proxy Authentication Required\r\nProxy-Authenticate: Basic "
      "realm=\"upstream proxy of Halton Meter\"",
      "Halton Meter: the upstream proxy wants a user name and a password, or refuses "
      "those it got. Put them into config.toml: [upstream] proxy = "
      "\"http://user:password@host:port\", then restart (halton-meter restart).\n");
  return reply;
}

std::string_view proxy_refused_reply() {
  static const std::string reply =
      make_reply("502 Bad Gateway",
                 "Halton Meter: the upstream proxy ([upstream] proxy in config.toml) refused this "
                 "host. If it can be reached without that proxy, add it to [upstream] no_proxy.\n");
  return reply;
}

std::string_view unavailable_reply() {
  static const std::string reply =
      make_reply("503 Service Unavailable", "Halton Meter: not metering now.\n");
  return reply;
}

}  // namespace hm::wire
