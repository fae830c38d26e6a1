#include "interceptor/api/http_connection.h"

#include <utility>

#include "common/net/loop.h"
#include "interceptor/api/routes.h"

namespace hm::api {
namespace {

const char* reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 422:
      return "Unprocessable Content";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    default:
      return status < 500 ? "Refused" : "Error";
  }
}

bool wants_keep_alive(const http::RequestHead& head) {
  if (http::has_token(head.headers, "connection", "close")) return false;
  return head.version != "1.0" || http::has_token(head.headers, "connection", "keep-alive");
}

}  // namespace

HttpConnection::HttpConnection(net::Loop& loop, Owner& owner, const Routes& routes)
    : owner_(owner),
      routes_(routes),
      stream_(loop, *this),
      timer_(loop, [this] { on_timeout(); }) {}

void HttpConnection::start(net::TcpSocket socket) {
  timer_.start_once(kRequestTimeoutMs);
  stream_.adopt(std::move(socket));
  stream_.start_reading();
}

void HttpConnection::on_read(net::TcpStream& /*stream*/, Bytes bytes) {
  if (state_ == State::lingering || state_ == State::gone) return;
  if (state_ == State::reading_head && head_.empty() && input_.empty()) {
    timer_.start_once(kRequestTimeoutMs);
  }
  input_.append(as_text(bytes));
  work();
}

void HttpConnection::on_eof(net::TcpStream& /*stream*/) {
  client_done_ = true;
  if (stream_.queued() == 0) return end();
  // It may still read what is queued; half a request gets no answer.
  linger();
}

void HttpConnection::on_drained(net::TcpStream& /*stream*/) {
  if (state_ == State::lingering) {
    if (stream_.queued() > 0) return;
    if (client_done_) return end();
    timer_.start_once(kLingerMs);
    return;
  }
  work();
}

void HttpConnection::on_broken(net::TcpStream& /*stream*/, Error /*error*/) {
  end();
}

// Answers what has been read, but no more than the client takes: input waits, and reading pauses,
// while answers are queued above the mark.
void HttpConnection::work() {
  while (state_ == State::reading_head || state_ == State::reading_body) {
    if (stream_.queued() > net::TcpStream::kHighMark) {
      stream_.pause(net::PauseReason::sink_full);
      timer_.start_once(kIdleTimeoutMs);
      return;
    }
    if (used_ == input_.size() || !step()) break;
  }
  if (state_ == State::gone) return;
  input_.clear();
  used_ = 0;
  stream_.resume(net::PauseReason::sink_full);
}

bool HttpConnection::step() {
  const Bytes rest = as_bytes(std::string_view(input_).substr(used_));
  if (state_ == State::reading_head) {
    const auto used = head_.feed(rest);
    if (!used) {
      refuse(431, "request head too large");
      return false;
    }
    used_ += *used;
    if (head_.done()) head_done();
    return true;
  }
  const auto part = body_.feed(rest);
  if (!part) {
    refuse(400, "malformed body");
    return false;
  }
  used_ += part->used;
  body_bytes_ += part->body.size();
  if (body_bytes_ > kMaxBody) {
    refuse(413, "request body too large");
  } else if (body_.done()) {
    answer();
  }
  return true;
}

void HttpConnection::head_done() {
  auto head = http::parse_request_head(head_.text());
  head_.reset();
  if (!head) return refuse(400, "malformed request");
  const auto framing = http::request_framing(*head);
  if (!framing) return refuse(400, "malformed request");
  request_ = std::move(*head);
  body_bytes_ = 0;
  body_.begin(*framing);
  state_ = State::reading_body;
  if (body_.done()) answer();
}

void HttpConnection::answer() {
  state_ = State::reading_head;
  keep_alive_ = wants_keep_alive(request_);
  write(routes_.answer(request_), request_.method != "HEAD");
  if (state_ == State::gone) return;
  if (!keep_alive_) return linger();
  timer_.start_once(kIdleTimeoutMs);
}

void HttpConnection::refuse(int status, std::string_view detail) {
  keep_alive_ = false;
  write(refusal(status, detail), true);
  if (state_ != State::gone) linger();
}

void HttpConnection::write(const ApiResponse& response, bool with_body) {
  std::string text = "HTTP/1.1 " + std::to_string(response.status) + " " + reason(response.status);
  const auto field = [&text](std::string_view name, std::string_view value) {
    text.append("\r\n").append(name).append(": ").append(value);
  };
  if (!response.content_type.empty()) field("Content-Type", response.content_type);
  if (response.status != 204) field("Content-Length", std::to_string(response.body.size()));
  for (const auto& [name, value] : response.headers) field(name, value);
  field("Cache-Control", "no-store");
  field("X-Content-Type-Options", "nosniff");
  field("Connection", keep_alive_ ? "keep-alive" : "close");
  text += "\r\n\r\n";
  if (with_body) text += response.body;
  if (!stream_.write(as_bytes(text))) end();
}

void HttpConnection::linger() {
  state_ = State::lingering;
  stream_.resume(net::PauseReason::sink_full);
  stream_.shutdown_write();
  // While an answer is still queued its reader gets the time of a slow one.
  timer_.start_once(stream_.queued() == 0 ? kLingerMs : kIdleTimeoutMs);
}

void HttpConnection::on_timeout() {
  const bool begun = state_ == State::reading_body || !head_.empty();
  if (state_ != State::lingering && begun && stream_.queued() == 0) {
    return refuse(408, "request took too long");
  }
  end();
}

void HttpConnection::end() {
  if (state_ == State::gone) return;
  state_ = State::gone;
  timer_.stop();
  stream_.close();
  owner_.on_connection_end(*this);
}

}  // namespace hm::api
