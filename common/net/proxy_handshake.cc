#include "common/net/proxy_handshake.h"

#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <utility>

namespace hm::net {

namespace {

// Length of a head with its empty line; 0 while it is not complete.
size_t head_length(std::string_view text) {
  const size_t strict = text.find("\r\n\r\n");
  const size_t loose = text.find("\n\n");  // RFC 9112, section 2.2: a bare LF may end a line
  size_t end = 0;
  if (strict != std::string_view::npos) end = strict + 4;
  if (loose != std::string_view::npos && (end == 0 || loose + 2 < end)) end = loose + 2;
  return end;
}

int status_of(std::string_view head) {
  // "HTTP/1.1 200 whatever"
  if (!head.starts_with("HTTP/1.") || head.size() < 12 || head[8] != ' ') return 0;
  int status = 0;
  const auto parsed = std::from_chars(head.data() + 9, head.data() + 12, status);
  return parsed.ptr == head.data() + 12 && status >= 100 ? status : 0;
}

struct WriteRequest {
  uv_write_t raw{};
  std::string text;
};

}  // namespace

ProxyHandshake::ProxyHandshake(TcpSocket proxy, std::string_view host, uint16_t port,
                               std::string_view basic_auth, Callback callback)
    : handle_(proxy.release()), callback_(std::move(callback)) {
  handle_->data = this;
  const bool six = host.find(':') != std::string_view::npos;
  std::string target = six ? "[" + std::string(host) + "]" : std::string(host);
  target += ":" + std::to_string(port);
  std::string request = "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n";
  if (!basic_auth.empty())
    request += "Proxy-Authorization: Basic " + std::string(basic_auth) + "\r\n";
  request += "\r\n";
  send(std::move(request));

  uv_read_start(
      reinterpret_cast<uv_stream_t*>(handle_.get()),
      [](uv_handle_t* handle, size_t /*suggested*/, uv_buf_t* buffer) {
        auto* self = static_cast<ProxyHandshake*>(handle->data);
        *buffer = self != nullptr ? self->next_buffer() : uv_buf_init(nullptr, 0);
      },
      [](uv_stream_t* stream, ssize_t count, const uv_buf_t* /*buffer*/) {
        auto* self = static_cast<ProxyHandshake*>(stream->data);
        if (self != nullptr && count != 0) self->on_bytes(count);
      });
}

// A failure needs no telling: the connection is broken then, and the read says so.
void ProxyHandshake::send(std::string text) {
  auto request = std::make_unique<WriteRequest>();
  request->text = std::move(text);
  request->raw.data = request.get();
  const uv_buf_t buffer =
      uv_buf_init(request->text.data(), static_cast<unsigned>(request->text.size()));
  const int status =
      uv_write(&request->raw, reinterpret_cast<uv_stream_t*>(handle_.get()), &buffer, 1,
               [](uv_write_t* raw, int) { delete static_cast<WriteRequest*>(raw->data); });
  if (status == 0) static_cast<void>(request.release());  // the callback frees it
}

// libuv reads no more than the buffer holds, so a look ahead decides how much it may take.
uv_buf_t ProxyHandshake::next_buffer() {
  uv_os_fd_t descriptor = -1;
  uv_fileno(reinterpret_cast<const uv_handle_t*>(handle_.get()), &descriptor);
  char* const free_space = head_.data() + filled_;
  const ssize_t ahead =
      recv(descriptor, free_space, head_.size() - filled_, MSG_PEEK | MSG_DONTWAIT);
  // Nothing or an error: one byte is never too many, since the head is incomplete, and the read
  // itself tells what is the matter.
  if (ahead <= 0) return uv_buf_init(free_space, 1);
  const size_t seen = filled_ + static_cast<size_t>(ahead);
  const size_t complete = head_length({head_.data(), seen});
  const size_t take = (complete != 0 ? complete : seen) - filled_;
  return uv_buf_init(free_space, static_cast<unsigned>(take));
}

void ProxyHandshake::on_bytes(ssize_t count) {
  if (count < 0) return finish(fail_with(count, "dialer.proxy_answer"));
  filled_ += static_cast<size_t>(count);
  if (head_length({head_.data(), filled_}) != 0) return on_head();
  if (filled_ == head_.size()) finish(fail(Code::too_large, "dialer.proxy_answer"));
}

void ProxyHandshake::on_head() {
  const int status = status_of({head_.data(), filled_});
  if (status == 0) return finish(fail(Code::malformed, "dialer.proxy_answer"));
  filled_ = 0;
  if (status < 200) return;  // an interim answer: the final one follows
  if (status >= 300) return finish(fail(Code::refused, "dialer.proxy_status", status));
  uv_read_stop(reinterpret_cast<uv_stream_t*>(handle_.get()));
  handle_->data = nullptr;
  finish(TcpSocket(handle_.release()));
}

void ProxyHandshake::finish(Result<TcpSocket> result) {
  handle_.reset();
  const Callback callback = std::move(callback_);
  callback(std::move(result));
}

}  // namespace hm::net
