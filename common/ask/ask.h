// One question at the interceptor's door: dials 127.0.0.1:port, sends a CONNECT head, reads the
// answer heads (ask.h of common/wire). Calls and knocks ask alike; that is what makes the gate
// honest.
//
// Owner's loop thread. The callback comes once, never inside start(); it may destroy the Ask.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "common/net/dialer.h"
#include "common/net/tcp_stream.h"
#include "common/net/timer.h"
#include "common/wire/connect_head.h"

namespace hm {

struct AskResult {
  enum class Kind : uint8_t {
    answered,  // `status` is the final one
    refused,   // nobody listens, the connection ended without an answer, or it is not ours: no 102
               // before a 200, or a process of another user
    silent,    // neither an interim nor a final answer in time
    lost,      // it said 102 and then went away or fell silent
  };
  Kind kind = Kind::refused;
  int status = 0;
  int64_t process = 0;    // who said 102
  net::TcpSocket socket;  // with status 200
  std::string after;      // bytes behind the final head
};

class Ask final : private net::TcpStream::Owner {
 public:
  using Callback = std::function<void(AskResult)>;

  Ask(net::Loop& loop, const net::DialOptions& options);

  // `first_limit_ms` for the first answer, `final_limit_ms` for the final one after a 102.
  void start(uint16_t port, std::string head, int64_t first_limit_ms, int64_t final_limit_ms,
             Callback callback);
  void cancel();

 private:
  void on_read(net::TcpStream& stream, Bytes bytes) override;
  void on_eof(net::TcpStream&) override { on_end(); }
  void on_drained(net::TcpStream&) override {}
  void on_broken(net::TcpStream&, Error) override { on_end(); }
  void on_dialled(Result<net::TcpSocket> socket);
  void on_end();
  void finish(AskResult::Kind kind, int status = 0);

  net::Dialer dialer_;
  net::TcpStream stream_;
  net::Timer timer_;
  wire::AnswerHeadReader reader_;
  std::string head_;
  std::string after_;
  int64_t final_limit_ms_ = 0;
  bool interim_seen_ = false;
  int64_t process_ = 0;
  Callback callback_;
};

}  // namespace hm
