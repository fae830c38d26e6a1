// One connection to the API: reads requests one after the other and writes their answers.
//
//   reading_head --> reading_body (passed over) --> answering --> reading_head ...
//        |                 |                            '--close--> lingering --> gone
//        '-----refused-----+----------------------------------------'
//
// Lingering: our FIN is out and what the client still sends is thrown away, for a moment, so that a
// reset does not overtake the answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "common/base/bytes.h"
#include "common/net/tcp_stream.h"
#include "common/net/timer.h"
#include "interceptor/api/api_message.h"
#include "interceptor/http/h1_body.h"
#include "interceptor/http/h1_head.h"

namespace hm::net {
class Loop;
}

namespace hm::api {

class Routes;

class HttpConnection final : public net::TcpStream::Owner {
 public:
  static constexpr size_t kMaxHead = 16 * 1024;         // beyond: 431
  static constexpr size_t kMaxBody = 64 * 1024;         // of requests, which need none; beyond: 413
  static constexpr int64_t kRequestTimeoutMs = 10'000;  // for a request that has begun: 408
  static constexpr int64_t kIdleTimeoutMs = 75'000;     // between requests, and for a slow reader
  static constexpr int64_t kLingerMs = 1'000;

  class Owner {
   public:
    virtual void on_connection_end(HttpConnection& connection) = 0;  // once; bury it

   protected:
    ~Owner() = default;
  };

  HttpConnection(net::Loop& loop, Owner& owner, const Routes& routes);

  void start(net::TcpSocket socket);

 private:
  enum class State : uint8_t { reading_head, reading_body, lingering, gone };

  void on_read(net::TcpStream& stream, Bytes bytes) override;
  void on_eof(net::TcpStream& stream) override;
  void on_drained(net::TcpStream& stream) override;
  void on_broken(net::TcpStream& stream, Error error) override;

  void work();
  [[nodiscard]] bool step();  // false: needs more bytes
  void head_done();
  void answer();
  void refuse(int status, std::string_view detail);
  void write(const ApiResponse& response, bool with_body);
  void linger();
  void on_timeout();
  void end();

  Owner& owner_;
  const Routes& routes_;
  net::TcpStream stream_;
  net::Timer timer_;
  State state_ = State::reading_head;
  std::string input_;  // read and not used yet: at most one read, since reading pauses meanwhile
  size_t used_ = 0;    // of input_
  http::HeadReader head_{http::HeadReader::Kind::head, kMaxHead};
  http::BodyReader body_{kMaxHead};
  http::RequestHead request_;
  size_t body_bytes_ = 0;
  bool keep_alive_ = false;
  bool client_done_ = false;  // its FIN is here
};

}  // namespace hm::api
