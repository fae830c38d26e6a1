// Two streams, one rule each way: what one side reads is written to the other, and who is slow
// makes the other wait.
//
//   relaying --far lost before its first byte, copy at hand--> far_lost --replace_far()--> relaying
//      | both FINs passed on, a side broke                        |
//      | end()                                                    | end()
//      '----------------> ending (until the loop turns) <---------'
//                           '--> ended
#include "common/net/tunnel.h"

#include <array>
#include <optional>
#include <string>
#include <utility>

#include "common/base/counters.h"
#include "common/net/loop.h"
#include "common/net/tcp_stream.h"
#include "common/net/timer.h"

namespace hm::net {

namespace {
// What is fetched at most from a far side that broke under our write (TcpStream::read_rest).
constexpr size_t kMaxSalvage = 1024 * 1024;
}  // namespace

struct Tunnel::State final : TcpStream::Owner {
  enum class Phase : uint8_t { idle, relaying, far_lost, ending, ended };

  Loop& loop;
  Tunnel::Owner& owner;
  Tunnel& self;
  TcpStream near;
  TcpStream far;
  TunnelEnd end;
  Phase phase = Phase::idle;
  bool near_flushed = false;  // far's FIN and all before it have gone to near
  bool far_flushed = false;

  bool keeping = false;  // the first flight is complete and may be replayed
  size_t flight_limit = 0;
  Repeatable repeatable = nullptr;
  int64_t silence_ms = 0;
  std::string flight;
  std::optional<Timer> silence;
  std::optional<Timer> soon;  // tells from the loop what came up inside a call of the owner
  std::optional<Error> far_failure;

  State(Loop& the_loop, Tunnel::Owner& the_owner, Tunnel& the_self)
      : loop(the_loop),
        owner(the_owner),
        self(the_self),
        near(the_loop, *this),
        far(the_loop, *this) {}

  // Whatever tells the owner is the last statement of its function: the tunnel may be gone then.

  void start(TcpSocket near_socket, TcpSocket far_socket, Bytes up, Bytes down) {
    phase = Phase::relaying;
    near.adopt(std::move(near_socket));
    far.adopt(std::move(far_socket));
    bool whole = true;
    if (!down.empty()) {
      far_spoke();
      end.bytes_down += static_cast<int64_t>(down.size());
      if (!near.write(down)) return break_soon();
      throttle(far, near);
    }
    if (!up.empty()) {
      note_near_bytes(up);
      whole = far.write(up).has_value();
      throttle(near, far);
    }
    near.start_reading();
    far.start_reading();
    if (!whole) far_gone_soon({Code::closed, "tunnel.far", 0});
  }

  void replace_far(TcpSocket socket) {
    if (phase != Phase::far_lost) return;  // ended meanwhile: the socket closes
    phase = Phase::relaying;
    keeping = false;  // one rescue; whoever comes now is the last
    const std::string first = std::exchange(flight, {});
    far.adopt(std::move(socket));
    const bool whole = far.write(as_bytes(first)).has_value();
    far.start_reading();
    near.resume(PauseReason::sink_full);  // the old one's congestion
    throttle(near, far);
    near.resume(PauseReason::handshake);
    if (!whole) far_gone_soon({Code::closed, "tunnel.far", 0});
  }

  void end_soon() {
    if (phase == Phase::ending || phase == Phase::ended) return;
    near.close();
    far.close();
    phase = Phase::ending;
    wake();
  }

  // TcpStream::Owner

  void on_read(TcpStream& stream, Bytes bytes) override {
    if (&stream == &near) {
      note_near_bytes(bytes);
      if (const auto sent = far.write(bytes); !sent) return far_gone(sent.error());
      throttle(near, far);
      return;
    }
    far_spoke();
    end.bytes_down += static_cast<int64_t>(bytes.size());
    if (!near.write(bytes)) return near_gone();
    throttle(far, near);
  }

  void on_eof(TcpStream& stream) override {
    if (&stream == &near) {
      far.shutdown_write();
      return;
    }
    if (can_rescue()) return lose_far({Code::closed, "tunnel.far", 0});
    if (!near.read_ended()) end.far_broke = true;
    near.shutdown_write();
  }

  void on_drained(TcpStream& stream) override {
    TcpStream& source = &stream == &near ? far : near;
    source.resume(PauseReason::sink_full);
    // After both FINs came in, the last word of each stream is that its own FIN went out.
    if (!stream.write_ended() || stream.queued() > 0) return;
    (&stream == &near ? near_flushed : far_flushed) = true;
    if (!near_flushed || !far_flushed) return;
    end.clean = true;
    near.close();
    far.close();
    finish();
  }

  void on_broken(TcpStream& stream, Error error) override {
    if (&stream == &near) return near_gone();
    far_gone(error);
  }

 private:
  static void throttle(TcpStream& source, const TcpStream& sink) {
    if (sink.queued() > TcpStream::kHighMark) source.pause(PauseReason::sink_full);
  }

  void note_near_bytes(Bytes bytes) {
    end.bytes_up += static_cast<int64_t>(bytes.size());
    if (!keeping) return;
    if (flight.size() + bytes.size() > flight_limit) {
      counters::get("net.first_flight_too_large").add();
      forget_flight();
      return;
    }
    const bool first = flight.empty();
    flight.append(as_text(bytes));
    if (repeatable != nullptr && !repeatable(flight)) return forget_flight();
    if (!first) return;
    silence.emplace(loop, [this] { lose_far({Code::timeout, "tunnel.silence", 0}); });
    silence->start_once(silence_ms);
  }

  void forget_flight() {
    keeping = false;
    std::string().swap(flight);
    if (silence) silence->stop();
  }

  void far_spoke() {
    if (end.far_answered) return;
    end.far_answered = true;
    forget_flight();
  }

  // A near side that has ended is not rescued: it either gave up, and the far side only followed,
  // or it speaks a protocol in which we cannot tell.
  [[nodiscard]] bool can_rescue() const { return keeping && !near.read_ended(); }

  void lose_far(Error error) {
    phase = Phase::far_lost;
    still_timers();
    near.pause(PauseReason::handshake);
    far.reset();
    owner.on_far_lost(self, error);
  }

  void near_gone() {
    near.reset();
    far.reset();
    finish();
  }

  void far_gone(Error error) {
    salvage();
    if (can_rescue()) return lose_far(error);
    if (end.far_answered || !near.read_ended()) end.far_broke = true;
    far.reset();
    near.reset_after_sending();
    finish();
  }

  // An origin that answers early and closes breaks our write while its answer waits to be read.
  void salvage() {
    std::array<uint8_t, 16 * 1024> buffer;
    for (size_t total = 0; total < kMaxSalvage;) {
      const size_t got = far.read_rest(buffer);
      if (got == 0) return;
      total += got;
      far_spoke();
      end.bytes_down += static_cast<int64_t>(got);
      if (!near.write(Bytes(buffer).first(got))) return;
    }
  }

  // The same from within a call of the owner, who must not be called back there.
  void far_gone_soon(Error error) {
    far_failure = error;
    wake();
  }

  void break_soon() {
    near.reset();
    far.reset();
    phase = Phase::ending;
    wake();
  }

  void wake() {
    if (!soon) soon.emplace(loop, [this] { on_wake(); });
    soon->start_once(0);
  }

  void on_wake() {
    if (phase == Phase::ending) return finish();
    if (far_failure) far_gone(Error(*far_failure));
  }

  void still_timers() {
    if (silence) silence->stop();
    if (soon) soon->stop();
    far_failure.reset();
  }

  void finish() {
    phase = Phase::ended;
    still_timers();
    const TunnelEnd last = end;
    owner.on_tunnel_end(self, last);
  }
};

Tunnel::Tunnel(Loop& loop, Owner& owner) : state_(std::make_unique<State>(loop, owner, *this)) {}

Tunnel::~Tunnel() = default;

void Tunnel::keep_first_flight(size_t limit, int64_t silence_ms, Repeatable repeatable) {
  state_->keeping = true;
  state_->repeatable = repeatable;
  state_->flight_limit = limit;
  state_->silence_ms = silence_ms;
}

void Tunnel::start(TcpSocket near, TcpSocket far, Bytes up, Bytes down) {
  state_->start(std::move(near), std::move(far), up, down);
}

void Tunnel::replace_far(TcpSocket far) {
  state_->replace_far(std::move(far));
}

void Tunnel::end() {
  state_->end_soon();
}

const TunnelEnd& Tunnel::so_far() const {
  return state_->end;
}
int64_t Tunnel::bytes_up() const {
  return state_->end.bytes_up;
}

int64_t Tunnel::bytes_down() const {
  return state_->end.bytes_down;
}

}  // namespace hm::net
