// One TCP connection that is read and written. TCP_NODELAY is on, always. Held by value by its
// owner; not movable. Destroying it closes the connection at once, with what was queued unsent.
//
// Reading stops while any pause reason is set; the reasons are bits, and reading goes on only when
// the last one is gone. write() tries the socket first and queues the rest, so an uncongested
// connection copies nothing.
//
// Back-pressure is the owner's: queued() against kHighMark/kLowMark, and on_drained() when the
// queue has fallen to kLowMark or below after having been above it, and, once, when everything and
// the FIN have gone out after shutdown_write() was asked for (from the loop, also if nothing was
// queued).
//
// Telling the owner something is the last thing a callback does: the owner may destroy the stream
// there, or bury it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/net/tcp_socket.h"

namespace hm::net {

class Loop;

enum class PauseReason : uint8_t {
  sink_full = 1,  // the other side's queue is above its high mark
  handshake = 2,  // somebody is not ready for the bytes yet
  closing = 4,    // no more bytes are wanted
};

class TcpStream {
 public:
  static constexpr size_t kHighMark = 256 * 1024;
  static constexpr size_t kLowMark = 64 * 1024;
  static constexpr size_t kReadSize = 64 * 1024;

  class Owner {
   public:
    virtual void on_read(TcpStream& stream, Bytes bytes) = 0;  // bytes die with the call
    virtual void on_eof(TcpStream& stream) = 0;                // peer's FIN: half-close
    virtual void on_drained(TcpStream& stream) = 0;
    virtual void on_broken(TcpStream& stream, Error error) = 0;  // reset and the like; said once

   protected:
    ~Owner() = default;
  };

  TcpStream(Loop& loop, Owner& owner);
  ~TcpStream();
  TcpStream(const TcpStream&) = delete;
  TcpStream& operator=(const TcpStream&) = delete;

  void adopt(TcpSocket socket);       // starts paused by nothing, not reading
  [[nodiscard]] TcpSocket release();  // gives the connection away; queue must be empty
  [[nodiscard]] bool open() const;    // a socket is here and is not broken

  void start_reading();
  void pause(PauseReason reason);
  void resume(PauseReason reason);

  // Never blocks. An error is reported here and not again through on_broken.
  [[nodiscard]] Result<void> write(Bytes bytes);
  [[nodiscard]] size_t queued() const;

  void shutdown_write();  // FIN after what is queued; never calls the owner from within
  void close();           // at once; idempotent
  void reset();           // RST: the peer learns that it was not an orderly end
  // The same after the peer has been sent what is queued, as it would have been by a sender that
  // broke only then: a RST takes with it what the kernel still holds. The connection is nobody's
  // from here on and reads nothing; it ends at once when its peer takes nothing for half a minute.
  void reset_after_sending();

  // After the stream broke: what the kernel had already received and nobody has read, 0 at the end.
  // A peer that answers early and closes (413 to a long upload) breaks our write, yet its answer is
  // there. Never blocks.
  [[nodiscard]] size_t read_rest(MutBytes into);

  // What the kernel has received and the loop has not read yet.
  [[nodiscard]] size_t unread() const;

  [[nodiscard]] bool read_ended() const;   // on_eof was told
  [[nodiscard]] bool write_ended() const;  // shutdown_write was asked for
  [[nodiscard]] Endpoint local() const;
  [[nodiscard]] Endpoint peer() const;

 private:
  struct State;
  struct LastWords;
  State* state_;
};

}  // namespace hm::net
