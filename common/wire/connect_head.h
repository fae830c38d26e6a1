// The head that a client sends to a proxy, and the few heads that we send. Sans-I/O, bounded.
//
//   CONNECT api.openai.com:443 HTTP/1.1      RFC 9110 9.3.6. A missing port should be refused, but
//   the
//                                            call comes first and only 443 can be meant; an empty
//                                            or invalid one is refused. A missing Host field is
//                                            accepted, IPv6 literals are in brackets
//   GET http://host[:port]/path HTTP/1.1     absolute form, RFC 9112 3.2.2: plain HTTP
//
// Line ends may be CRLF or bare LF (RFC 9112 2.2). Nothing is kept beyond the limit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"

namespace hm::wire {

struct HeadField {
  std::string name;  // as sent
  std::string value;
};

struct ConnectHead {
  bool connect = false;  // else absolute form, or origin form when host is empty
  std::string method;    // as sent
  std::string host;      // lower case, no brackets, no trailing dot
  uint16_t port = 0;
  std::string target;   // absolute form: path and query; origin form: the target as sent
  std::string version;  // "HTTP/1.1"
  std::vector<HeadField> fields;
  std::vector<std::string> lines;  // the same fields byte for byte, each with its line end

  // First value of a field, any case; empty when absent.
  [[nodiscard]] std::string_view header(std::string_view name) const;
};

enum class HeadState : uint8_t { more, complete, failed };
enum class HeadFailure : uint8_t { none, malformed, too_large };

class ConnectHeadReader {
 public:
  static constexpr size_t kDefaultLimit = 8 * 1024;

  explicit ConnectHeadReader(size_t limit = kDefaultLimit) : limit_(limit) {}

  // Takes what belongs to the head; `used` says how many of these bytes that was. What follows is
  // early data. After complete or failed nothing more is taken.
  [[nodiscard]] HeadState feed(Bytes bytes, size_t& used);

  [[nodiscard]] const ConnectHead& head() const { return head_; }
  [[nodiscard]] HeadFailure failure() const { return failure_; }
  [[nodiscard]] bool empty() const { return text_.empty(); }  // nothing came yet

 private:
  [[nodiscard]] HeadState finish();

  size_t limit_;
  std::string text_;
  size_t line_start_ = 0;
  HeadState state_ = HeadState::more;
  HeadFailure failure_ = HeadFailure::none;
  ConnectHead head_;
};

// One answer head of the interceptor (or of an upstream proxy): status and where the head ends.
class AnswerHeadReader {
 public:
  explicit AnswerHeadReader(size_t limit = ConnectHeadReader::kDefaultLimit) : limit_(limit) {}

  // As above. Call next() to read the head after an interim one.
  [[nodiscard]] HeadState feed(Bytes bytes, size_t& used);
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] int64_t process() const;  // kProcessHeader of this head, 0 without
  void next();

 private:
  size_t limit_;
  std::string text_;
  size_t line_start_ = 0;
  HeadState state_ = HeadState::more;
  int status_ = 0;
};

// Does the request want to leave HTTP (WebSocket, a tunnel of docker)? One to h2c does not: it is
// offered with any request (curl --http2) and declined by nearly everybody, who then goes on with
// HTTP/1.1 on this connection; a proxy may ignore it (RFC 9110 7.8).
[[nodiscard]] bool is_upgrade(const ConnectHead& head);

// The head that goes to the origin of a plain HTTP request: origin form, without
// Proxy-Authorization and Proxy-Connection, every other line byte for byte. One exception: unless
// the request is an upgrade, Connection becomes "close". What follows the head is tunnelled unread,
// and a client may send its next request, for another host, down the same connection (RFC
// 9112 9.3).
[[nodiscard]] std::string origin_form_head(const ConnectHead& head);

// The same for an upstream proxy: absolute form, with our own credentials for it (base64, or none).
[[nodiscard]] std::string absolute_form_head(const ConnectHead& head, std::string_view basic_auth);

// The edge's ask (ask.h).
[[nodiscard]] std::string ask_head(std::string_view host, uint16_t port, std::string_view call_id,
                                   uint16_t client_port, uint16_t edge_port);

// The interim answer to it.
[[nodiscard]] std::string processing_head(int64_t process);

// "host:port", with brackets around an IPv6 literal.
[[nodiscard]] std::string authority_text(std::string_view host, uint16_t port);
// Splits "host:port", "[::1]:port", "host"; nullopt when it is no authority. Lower-cases the host.
struct Authority {
  std::string host;
  std::optional<uint16_t> port;
};
[[nodiscard]] std::optional<Authority> parse_authority(std::string_view text);
[[nodiscard]] std::optional<uint16_t> parse_port(std::string_view text);  // 1 to 65535

// Whole replies: head and one plain sentence for a person, connection closed afterwards.
[[nodiscard]] std::string_view connected_reply();       // 200, no body, the tunnel begins
[[nodiscard]] std::string_view bad_request_reply();     // 400
[[nodiscard]] std::string_view own_port_reply();        // 403
[[nodiscard]] std::string_view not_an_origin_reply();   // 404: this is a proxy port
[[nodiscard]] std::string_view head_timeout_reply();    // 408
[[nodiscard]] std::string_view head_too_large_reply();  // 431
[[nodiscard]] std::string_view proxy_auth_reply();      // 407: the upstream proxy wants a password
[[nodiscard]] std::string_view bad_gateway_reply();     // 502
[[nodiscard]] std::string_view proxy_refused_reply();   // 502: the upstream proxy said no
[[nodiscard]] std::string_view unavailable_reply();     // 503

}  // namespace hm::wire
