// One side of an intercepted connection: a TcpStream and, once it speaks TLS, an Engine. Knows how
// bytes get in and out; what they mean is the session's business.
//
// Two ways of working. Plain: bytes go to the owner as they come and out as they are given. TLS:
// bytes go through the engine; the owner hears of the handshake's progress, then of plaintext.
//
// Owned by a Session, relay-loop thread only. The owner may close the side inside any callback; the
// session's storage outlives the callback (graveyard).
#pragma once

#include <cstdint>
#include <memory>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/net/tcp_stream.h"
#include "interceptor/tls/engine.h"

namespace hm::relay {

class Side final : private net::TcpStream::Owner {
 public:
  class Owner {
   public:
    // Plain mode: what came. TLS mode, before the handshake is done: the ciphertext, before the
    // engine sees it, so that it can be saved for a replay.
    virtual void on_side_bytes(Side& side, Bytes bytes) = 0;
    virtual void on_side_handshake(Side& side, tls::Engine::Handshake progress) = 0;
    virtual void on_side_plaintext(Side& side, Bytes plaintext) = 0;
    virtual void on_side_close_notify(Side& side) = 0;  // TLS end of the peer's direction
    virtual void on_side_fin(Side& side) = 0;           // TCP end of the peer's direction
    virtual void on_side_drained(Side& side) = 0;
    // Reset, or TLS that can no longer be read (bad record, fatal alert).
    virtual void on_side_broken(Side& side, Error error) = 0;

   protected:
    ~Owner() = default;
  };

  Side(net::Loop& loop, Owner& owner) : owner_(owner), stream_(loop, *this) {}

  void adopt(net::TcpSocket socket);
  void start_reading() { stream_.start_reading(); }

  // Switches to TLS. `already_read` is what came before (the saved hello bytes).
  void start_tls(std::unique_ptr<tls::Engine> engine);
  // Feeds bytes that the owner had kept, then drives the handshake as if they had just come.
  void feed_saved(Bytes bytes);
  void drive_handshake();
  // Back to plain: whatever the engine held is forgotten.
  void drop_tls();
  // While held, plaintext waits (as ciphertext) in the engine although the handshake is done: the
  // other side cannot take it yet. Pause the stream too.
  void hold_plaintext() { held_ = true; }
  void release_plaintext();

  // Plain bytes or plaintext, depending on the mode. False: the side is broken (already closed).
  [[nodiscard]] bool send(Bytes bytes);
  void send_close_notify();
  void shutdown_write() { stream_.shutdown_write(); }

  void close() {
    told_broken_ = true;  // the owner's own doing: nothing to tell it
    stream_.close();
  }
  void reset() {
    told_broken_ = true;
    stream_.reset();
  }
  void reset_after_sending() {
    told_broken_ = true;
    stream_.reset_after_sending();
  }
  void pause(net::PauseReason reason) { stream_.pause(reason); }
  void resume(net::PauseReason reason) { stream_.resume(reason); }

  [[nodiscard]] bool open() const { return stream_.open(); }
  [[nodiscard]] bool read_ended() const { return stream_.read_ended(); }
  [[nodiscard]] bool write_ended() const { return stream_.write_ended(); }
  [[nodiscard]] size_t queued() const { return stream_.queued(); }
  // The peer has said something that the owner has not been told yet, or only half of it.
  [[nodiscard]] bool has_unread() const {
    return stream_.unread() > 0 || (engine_ != nullptr && engine_->has_unread());
  }
  [[nodiscard]] bool secure() const { return engine_ != nullptr; }
  [[nodiscard]] tls::Engine& engine() { return *engine_; }

 private:
  void on_read(net::TcpStream& stream, Bytes bytes) override;
  void on_eof(net::TcpStream& stream) override;
  void on_drained(net::TcpStream& stream) override;
  void on_broken(net::TcpStream& stream, Error error) override;

  void read_plaintext();
  tls::Engine::Read fill(MutBytes out, size_t& count);
  // Moves the engine's ciphertext to the stream. False when the stream broke.
  bool flush();
  void fail_with(Error error);
  void salvage();

  Owner& owner_;
  net::TcpStream stream_;
  std::unique_ptr<tls::Engine> engine_;
  bool handshake_done_ = false;
  bool close_notify_told_ = false;
  bool held_ = false;
  bool told_broken_ = false;
  bool salvaging_ = false;
};

}  // namespace hm::relay
