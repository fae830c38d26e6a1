#include "interceptor/http/h1_head.h"

#include <cstring>

#include "interceptor/http/text.h"

namespace hm::http {
namespace {

constexpr size_t kMaxFields = 1024;

// Cuts the next line off `text`, without its end (LF or CRLF).
std::string_view next_line(std::string_view& text) {
  const size_t lf = text.find('\n');
  std::string_view line = text.substr(0, lf);
  text = lf == std::string_view::npos ? std::string_view{} : text.substr(lf + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

bool is_token(std::string_view text) {  // RFC 9110 5.6.2
  if (text.empty()) return false;
  for (const char c : text) {
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!alnum && (c == '\0' || std::strchr("!#$%&'*+-.^_`|~", c) == nullptr)) return false;
  }
  return true;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// "HTTP/1.1" to "1.1".
Result<std::string> parse_version(std::string_view text) {
  constexpr std::string_view kName = "HTTP/";
  if (text.size() != 8 || !text.starts_with(kName) || !is_digit(text[5]) || text[6] != '.' ||
      !is_digit(text[7])) {
    return fail(Code::malformed, "h1.version");
  }
  // "PRI * HTTP/2.0" is how HTTP/2 begins (RFC 9113 3.4).
  if (text[5] != '1') return fail(Code::unsupported, "h1.version");
  return std::string(text.substr(kName.size()));
}

// Absolute form and CONNECT name the authority in the target, which then counts (RFC 9112 3.2).
std::string authority_of(const RequestHead& head) {
  if (head.method == "CONNECT") return head.target;
  const size_t scheme = head.target.find("://");
  if (!head.target.starts_with('/') && scheme != std::string::npos) {
    std::string_view rest = std::string_view(head.target).substr(scheme + 3);
    rest = rest.substr(0, rest.find_first_of("/?#"));
    if (const size_t at = rest.rfind('@'); at != std::string_view::npos) rest.remove_prefix(at + 1);
    return std::string(rest);
  }
  return std::string(head.header("host"));
}

}  // namespace

Result<size_t> HeadReader::feed(Bytes bytes) {
  size_t used = 0;
  while (used < bytes.size() && !done_) {
    const std::string_view rest = as_text(bytes.subspan(used));
    const size_t lf = rest.find('\n');
    const size_t take = lf == std::string_view::npos ? rest.size() : lf + 1;
    if (take > limit_ - text_.size()) return fail(Code::too_large, "h1.head");
    text_.append(rest.substr(0, take));
    used += take;
    if (lf == std::string_view::npos) break;

    const std::string_view line = std::string_view(text_).substr(line_begin_);
    if (line == "\n" || line == "\r\n") {
      text_.resize(line_begin_);
      // Empty lines before a start line are passed over (RFC 9112 2.2).
      done_ = kind_ == Kind::trailers || !text_.empty();
    }
    line_begin_ = text_.size();
  }
  return used;
}

void HeadReader::reset() {
  text_.clear();
  // A long-lived connection should not keep the size of its largest head.
  if (text_.capacity() > 8 * 1024) text_.shrink_to_fit();
  line_begin_ = 0;
  done_ = false;
}

Result<std::vector<Header>> parse_fields(std::string_view text) {
  std::vector<Header> fields;
  bool skipped = true;  // the line before was no field: what is folded onto it goes too
  while (!text.empty()) {
    const std::string_view line = next_line(text);
    if (line.find('\0') != std::string_view::npos) return fail(Code::malformed, "h1.field");
    if (!line.empty() && is_blank(line.front())) {  // obs-fold, RFC 9112 5.2
      if (skipped) continue;
      std::string& value = fields.back().value;
      const std::string_view more = trim(line);
      if (!value.empty() && !more.empty()) value += ' ';
      value += more;
      continue;
    }
    const size_t colon = line.find(':');
    const std::string_view name = trim(line.substr(0, colon));
    skipped = colon == std::string_view::npos || name.empty();
    if (skipped) continue;
    if (fields.size() == kMaxFields) return fail(Code::too_large, "h1.fields");
    fields.push_back({lower(name), std::string(trim(line.substr(colon + 1)))});
  }
  return fields;
}

Result<RequestHead> parse_request_head(std::string_view text) {
  const std::string_view line = trim(next_line(text));
  const size_t first = line.find_first_of(" \t");
  const size_t last = line.find_last_of(" \t");
  if (first == std::string_view::npos) return fail(Code::malformed, "h1.request_line");

  RequestHead head;
  head.method = line.substr(0, first);
  head.target = trim(line.substr(first, last - first));
  if (!is_token(head.method)) return fail(Code::malformed, "h1.method");
  if (head.target.empty()) return fail(Code::malformed, "h1.target");
  for (const char c : head.target) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) {
      return fail(Code::malformed, "h1.target");
    }
  }
  auto version = parse_version(line.substr(last + 1));
  if (!version) return std::unexpected(version.error());
  head.version = std::move(*version);
  auto fields = parse_fields(text);
  if (!fields) return std::unexpected(fields.error());
  head.headers = std::move(*fields);
  head.authority = authority_of(head);
  return head;
}

Result<ResponseHead> parse_response_head(std::string_view text) {
  const std::string_view line = trim(next_line(text));
  const size_t space = line.find_first_of(" \t");
  if (space == std::string_view::npos) return fail(Code::malformed, "h1.status_line");

  ResponseHead head;
  auto version = parse_version(line.substr(0, space));
  if (!version) return std::unexpected(version.error());
  head.version = std::move(*version);
  const std::string_view rest = trim(line.substr(space));  // the reason phrase may be absent
  if (rest.size() < 3 || !is_digit(rest[0]) || !is_digit(rest[1]) || !is_digit(rest[2]) ||
      (rest.size() > 3 && !is_blank(rest[3])) || rest[0] == '0') {
    return fail(Code::malformed, "h1.status");
  }
  head.status = (rest[0] - '0') * 100 + (rest[1] - '0') * 10 + (rest[2] - '0');
  auto fields = parse_fields(text);
  if (!fields) return std::unexpected(fields.error());
  head.headers = std::move(*fields);
  return head;
}

bool has_token(const std::vector<Header>& headers, std::string_view name, std::string_view token) {
  for (const Header& header : headers) {
    if (header.name != name) continue;
    for (std::string_view list = header.value; !list.empty();) {
      const std::string_view element = next_element(list);
      if (equal_nocase(trim(element.substr(0, element.find(';'))), token)) return true;
    }
  }
  return false;
}

}  // namespace hm::http
