// Two connections spliced both ways: the raw path of both processes. Bytes pass unchanged, each
// direction has back-pressure (TcpStream's marks), half-close is passed on in each direction, a
// reset is passed on as a reset. The tunnel ends when both directions have ended or either side
// breaks.
//
// Rescue: until the first byte has come back from the far side the tunnel can keep a copy of what
// the near side sent (the first flight). If the far side ends, breaks, or stays silent for too long
// after the first near byte, the owner is told on_far_lost() and may give another far side, which
// is sent the same bytes; the near side notices nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/net/tcp_socket.h"

namespace hm::net {

class Loop;

struct TunnelEnd {
  int64_t bytes_up = 0;    // near to far
  int64_t bytes_down = 0;  // far to near
  bool clean = false;      // both directions ended with a FIN
  bool far_answered = false;
  // The far side went away: by a reset after it had answered, or in whatever way while the near
  // side was still open.
  bool far_broke = false;
};

class Tunnel {
 public:
  class Owner {
   public:
    virtual void on_tunnel_end(Tunnel& tunnel, const TunnelEnd& end) = 0;  // once; bury it here
    // Only with keep_first_flight(). Either replace_far() later, or end().
    virtual void on_far_lost(Tunnel& tunnel, Error error) = 0;

   protected:
    ~Owner() = default;
  };

  Tunnel(Loop& loop, Owner& owner);
  ~Tunnel();
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

  // Call before start(). At most `limit` bytes are kept: one more and the copy is given up, and so
  // it is as soon as `repeatable` (given all of it so far) says that it must not be sent twice.
  using Repeatable = bool (*)(std::string_view flight);
  void keep_first_flight(size_t limit, int64_t silence_ms, Repeatable repeatable = nullptr);

  // `up` was already read from near and goes to far first; `down` the other way.
  void start(TcpSocket near, TcpSocket far, Bytes up, Bytes down);
  void replace_far(TcpSocket far);
  void end();  // closes both sides; on_tunnel_end is called from the loop

  // The end so far: final in on_tunnel_end.
  [[nodiscard]] const TunnelEnd& so_far() const;
  [[nodiscard]] int64_t bytes_up() const;
  [[nodiscard]] int64_t bytes_down() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hm::net
