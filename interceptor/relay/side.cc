#include "interceptor/relay/side.h"

#include <array>
#include <utility>

namespace hm::relay {
namespace {

// What is fetched at most from a peer that broke under our write (TcpStream::read_rest).
constexpr size_t kMaxSalvage = 1024 * 1024;

// Where plaintext is while its owner looks at it: one for all connections of the thread. A side
// that is salvaged while another one's plaintext is being handed on has a buffer of its own.
class PlainBuffer {
 public:
  PlainBuffer() : shared_(!std::exchange(taken(), true)) {
    static thread_local const auto common = std::make_unique<Block>();
    if (!shared_) own_ = std::make_unique<Block>();
    bytes_ = shared_ ? *common : *own_;
  }
  ~PlainBuffer() {
    if (shared_) taken() = false;
  }
  PlainBuffer(const PlainBuffer&) = delete;
  PlainBuffer& operator=(const PlainBuffer&) = delete;
  [[nodiscard]] MutBytes bytes() const { return bytes_; }

 private:
  using Block = std::array<uint8_t, net::TcpStream::kReadSize>;
  static bool& taken() {
    static thread_local bool flag = false;
    return flag;
  }

  const bool shared_;
  std::unique_ptr<Block> own_;
  MutBytes bytes_;
};

}  // namespace

void Side::adopt(net::TcpSocket socket) {
  told_broken_ = false;
  stream_.adopt(std::move(socket));
}

void Side::start_tls(std::unique_ptr<tls::Engine> engine) {
  engine_ = std::move(engine);
  handshake_done_ = false;
  close_notify_told_ = false;
}

void Side::drop_tls() {
  engine_.reset();
  held_ = false;
}

void Side::release_plaintext() {
  held_ = false;
  if (engine_ != nullptr && handshake_done_) read_plaintext();
}

void Side::feed_saved(Bytes bytes) {
  if (!engine_->feed(bytes)) return fail_with(Error{Code::too_large, "side.feed"});
  drive_handshake();
}

void Side::drive_handshake() {
  if (engine_ == nullptr || handshake_done_ || !stream_.open()) return;
  const tls::Engine::Handshake progress = engine_->handshake();
  handshake_done_ = progress == tls::Engine::Handshake::done;
  // A failed handshake may leave an alert for the peer. The paused client end has written nothing.
  if (!flush()) return;
  owner_.on_side_handshake(*this, progress);
  // Application data may have come in the same segment as the peer's Finished.
  if (engine_ != nullptr && handshake_done_ && stream_.open()) read_plaintext();
}

bool Side::send(Bytes bytes) {
  if (!stream_.open()) return false;
  if (engine_ == nullptr) {
    if (const auto written = stream_.write(bytes); !written) {
      fail_with(written.error());
      return false;
    }
    return true;
  }
  if (const auto encrypted = engine_->write(bytes); !encrypted) {
    fail_with(encrypted.error());
    return false;
  }
  return flush();
}

void Side::send_close_notify() {
  if (engine_ == nullptr || !stream_.open()) return;
  engine_->send_close_notify();
  flush();
}

bool Side::flush() {
  ByteQueue& outgoing = engine_->outgoing();
  // Our FIN has gone out: what TLS would still say of itself (a close_notify) nobody can hear.
  if (stream_.write_ended()) outgoing.clear();
  while (!outgoing.empty()) {
    const Bytes run = outgoing.front();
    if (const auto written = stream_.write(run); !written) {
      fail_with(written.error());
      return false;
    }
    outgoing.consume(run.size());
  }
  return true;
}

void Side::fail_with(Error error) {
  // Not a question of open(): a failed write has marked the stream broken and leaves it to us to
  // say so.
  if (std::exchange(told_broken_, true)) return;
  salvage();
  stream_.close();
  owner_.on_side_broken(*this, error);
}

// A peer that answers early and closes (413 to a long upload) breaks our write while its answer
// waits to be read.
void Side::salvage() {
  if (held_ || (engine_ != nullptr && !handshake_done_)) return;
  salvaging_ = true;
  std::array<uint8_t, 16 * 1024> buffer;
  for (size_t total = 0; total < kMaxSalvage;) {
    const size_t got = stream_.read_rest(buffer);  // 0 as well once the owner has closed us
    if (got == 0) break;
    total += got;
    const Bytes bytes = Bytes(buffer).first(got);
    if (engine_ == nullptr) {
      owner_.on_side_bytes(*this, bytes);
    } else {
      if (!engine_->feed(bytes)) break;
      read_plaintext();
    }
  }
  salvaging_ = false;
}

void Side::on_read(net::TcpStream&, Bytes bytes) {
  if (engine_ == nullptr) return owner_.on_side_bytes(*this, bytes);
  if (!handshake_done_) {
    owner_.on_side_bytes(*this, bytes);
    if (!stream_.open()) return;
    if (engine_ == nullptr) return;  // the owner chose the raw path and has taken the bytes
    if (!engine_->feed(bytes)) return fail_with(Error{Code::too_large, "side.feed"});
    return drive_handshake();
  }
  if (!engine_->feed(bytes)) return fail_with(Error{Code::too_large, "side.feed"});
  read_plaintext();
}

// All records that are there go to the owner as one piece: it is encrypted once and written with
// one system call, where the peer sent many small ones since we last looked.
void Side::read_plaintext() {
  const PlainBuffer buffer;
  while ((stream_.open() || salvaging_) && engine_ != nullptr && !held_) {
    size_t count = 0;
    const tls::Engine::Read last = fill(buffer.bytes(), count);
    if (count > 0) owner_.on_side_plaintext(*this, buffer.bytes().first(count));
    if (last == tls::Engine::Read::bytes) continue;
    // The owner may have closed us, or gone back to plain.
    if (count > 0 && ((!stream_.open() && !salvaging_) || engine_ == nullptr)) return;
    switch (last) {
      case tls::Engine::Read::bytes:
      case tls::Engine::Read::wants_bytes:
        if (!salvaging_) flush();  // answers to KeyUpdate and the like
        return;
      case tls::Engine::Read::ended:
        if (!std::exchange(close_notify_told_, true)) owner_.on_side_close_notify(*this);
        return;
      case tls::Engine::Read::failed: {
        if (salvaging_) return;
        const Error error = engine_->error();
        // The alert, if there is one, goes out first: the peer should learn why.
        if (flush() && !std::exchange(told_broken_, true)) owner_.on_side_broken(*this, error);
        return;
      }
    }
  }
}

// What the engine can give, up to the size of `out`. `bytes`: there may be more.
tls::Engine::Read Side::fill(MutBytes out, size_t& count) {
  while (count < out.size()) {
    size_t got = 0;
    const tls::Engine::Read result = engine_->read(out.subspan(count), got);
    if (result != tls::Engine::Read::bytes) return result;
    count += got;
  }
  return tls::Engine::Read::bytes;
}

void Side::on_eof(net::TcpStream&) {
  owner_.on_side_fin(*this);
}
void Side::on_drained(net::TcpStream&) {
  owner_.on_side_drained(*this);
}
void Side::on_broken(net::TcpStream&, Error error) {
  if (std::exchange(told_broken_, true)) return;
  owner_.on_side_broken(*this, error);
}

}  // namespace hm::relay
