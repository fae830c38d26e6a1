#include "common/ask/ask.h"

#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>

namespace hm {
namespace {

// Another user's interceptor may have the port that ours had, or would have: its CA is not the one
// that our user's clients trust, and the calls are none of its user's business.
bool is_somebody_elses(int64_t process) {
  struct stat folder{};
  return process > 0 && ::stat(("/proc/" + std::to_string(process)).c_str(), &folder) == 0 &&
         folder.st_uid != ::getuid();
}

}  // namespace

Ask::Ask(net::Loop& loop, const net::DialOptions& options)
    : dialer_(loop, options), stream_(loop, *this), timer_(loop, [this] {
        finish(interim_seen_ ? AskResult::Kind::lost : AskResult::Kind::silent);
      }) {}

void Ask::start(uint16_t port, std::string head, int64_t first_limit_ms, int64_t final_limit_ms,
                Callback callback) {
  cancel();
  callback_ = std::move(callback);
  head_ = std::move(head);
  final_limit_ms_ = final_limit_ms;
  interim_seen_ = false;
  process_ = 0;
  after_.clear();
  reader_.next();
  timer_.start_once(first_limit_ms);
  dialer_.dial_local(port, first_limit_ms,
                     [this](Result<net::TcpSocket> socket) { on_dialled(std::move(socket)); });
}

void Ask::cancel() {
  callback_ = nullptr;
  timer_.stop();
  dialer_.cancel();
  stream_.close();
}

void Ask::on_dialled(Result<net::TcpSocket> socket) {
  if (!socket) {
    const bool late = socket.error().code == Code::timeout;
    return finish(late ? AskResult::Kind::silent : AskResult::Kind::refused);
  }
  stream_.adopt(std::move(*socket));
  if (!stream_.write(as_bytes(head_))) return finish(AskResult::Kind::refused);
  stream_.start_reading();
}

void Ask::on_read(net::TcpStream&, Bytes bytes) {
  while (!bytes.empty()) {
    size_t used = 0;
    const wire::HeadState state = reader_.feed(bytes, used);
    bytes = bytes.subspan(used);
    if (state == wire::HeadState::more) return;
    if (state == wire::HeadState::failed) return finish(AskResult::Kind::refused);
    const int status = reader_.status();
    if (status >= 200) {
      // A 200 alone is what any proxy says that has come to listen at the port.
      if (status == 200 && !interim_seen_) return finish(AskResult::Kind::refused);
      after_ = as_text(bytes);
      return finish(AskResult::Kind::answered, status);
    }
    interim_seen_ = true;
    process_ = reader_.process();
    if (is_somebody_elses(process_)) return finish(AskResult::Kind::refused);
    timer_.start_once(final_limit_ms_);
    reader_.next();
  }
}

void Ask::on_end() {
  finish(interim_seen_ ? AskResult::Kind::lost : AskResult::Kind::refused);
}

void Ask::finish(AskResult::Kind kind, int status) {
  AskResult result;
  result.kind = kind;
  result.status = status;
  result.process = process_;
  if (kind == AskResult::Kind::answered && status == 200) {
    result.socket = stream_.release();
    result.after = std::move(after_);
  }
  const Callback callback = std::exchange(callback_, nullptr);
  cancel();
  if (callback) callback(std::move(result));
}

}  // namespace hm
