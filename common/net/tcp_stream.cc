#include "common/net/tcp_stream.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <list>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/counters.h"
#include "common/net/loop.h"
#include "common/net/sockaddr.h"
#include "common/net/timer.h"
#include "common/net/uv_handle.h"

namespace hm::net {
namespace {

constexpr size_t kMostLastWords = 256;  // at a time; beyond, a reset is one at once
constexpr int64_t kLastWordsLookMs = 20;
constexpr int64_t kHalfOpenLookMs = 1000;
constexpr int64_t kLastWordsPatienceUs = 30'000'000;

}  // namespace

struct TcpStream::State {
  using Chunk = std::vector<uint8_t>;

  // One at a time is with libuv; what is written meanwhile collects in `waiting`, in chunks of up
  // to kReadSize, so that many small writes against a slow peer become few requests.
  struct WriteRequest {
    uv_write_t raw{};
    Chunk bytes;
  };

  Loop& loop;
  Owner& owner;
  TcpStream& self;
  Handle<uv_tcp_t> handle;
  std::list<Chunk> waiting;
  size_t waiting_bytes = 0;
  uint8_t pauses = 0;
  bool reading_wanted = false;
  bool reading = false;
  bool read_ended = false;
  bool write_ended = false;
  bool write_under_way = false;
  bool above_low = false;  // the owner is due an on_drained
  bool broken = false;
  std::unique_ptr<Timer> half_open_watch;  // once the peer has said its last, and we have not

  State(Loop& the_loop, Owner& the_owner, TcpStream& the_self)
      : loop(the_loop), owner(the_owner), self(the_self) {}

  [[nodiscard]] uv_stream_t* stream() const { return reinterpret_cast<uv_stream_t*>(handle.get()); }

  [[nodiscard]] size_t queued() const {
    return waiting_bytes + (handle ? uv_stream_get_write_queue_size(stream()) : 0);
  }

  [[nodiscard]] int descriptor() const {
    uv_os_fd_t descriptor = -1;
    if (handle) uv_fileno(reinterpret_cast<const uv_handle_t*>(handle.get()), &descriptor);
    return descriptor;
  }

  // What the peer has not acknowledged, here and in the kernel.
  [[nodiscard]] size_t undelivered() const {
    int in_kernel = 0;
    if (ioctl(descriptor(), SIOCOUTQ, &in_kernel) != 0) in_kernel = 0;
    return queued() + static_cast<size_t>(in_kernel);
  }

  // Everything but its owner.
  void move_to(State& other) {
    reading_wanted = false;
    update_reading();
    other.handle = std::move(handle);
    other.handle->data = &other;
    other.waiting = std::move(waiting);
    other.waiting_bytes = std::exchange(waiting_bytes, 0);
    other.write_under_way = std::exchange(write_under_way, false);
    other.write_ended = write_ended;
    other.read_ended = read_ended;
  }

  // libuv's state follows what is wanted and what stands against it.
  void update_reading() {
    const bool should = handle && !broken && reading_wanted && !read_ended && pauses == 0;
    if (should == reading) return;
    reading = should;
    if (should)
      uv_read_start(stream(), on_memory, on_bytes);
    else if (handle)
      uv_read_stop(stream());
  }

  void mark_broken() {
    broken = true;
    waiting.clear();
    waiting_bytes = 0;
    update_reading();
  }

  // Tells the owner: the caller returns at once.
  void break_down(int64_t status, const char* where) {
    if (broken) return;
    mark_broken();
    owner.on_broken(self, error_of(status, where));
  }

  void close() {
    half_open_watch.reset();
    handle.reset();
    waiting.clear();
    waiting_bytes = 0;
    reading = false;
    reading_wanted = false;
    write_under_way = false;
  }

  static void on_memory(uv_handle_t* handle, size_t /*suggested*/, uv_buf_t* buffer) {
    *buffer =
        uv_buf_init(reinterpret_cast<char*>(shared_of(handle->loop).read_buffer.get()), kReadSize);
  }

  static void on_bytes(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
    auto* state = static_cast<State*>(stream->data);
    if (state == nullptr || count == 0) return;  // 0: nothing there after all
    if (count > 0) {
      state->owner.on_read(state->self, {reinterpret_cast<const uint8_t*>(buffer->base),
                                         static_cast<size_t>(count)});
      return;
    }
    if (count == UV_EOF) {
      state->read_ended = true;
      state->update_reading();
      state->watch_half_open();
      state->owner.on_eof(state->self);
      return;
    }
    state->break_down(count, "tcp_stream.read");
  }

  // Nobody polls a descriptor that is not read any more: that the peer has gone altogether after
  // its FIN would be seen at the next write alone, and a silent origin may not give us one for
  // hours.
  void watch_half_open() {
    if (write_ended) return;
    half_open_watch = std::make_unique<Timer>(loop, [this] { look_half_open(); });
    half_open_watch->start_repeating(kHalfOpenLookMs);
  }

  void look_half_open() {
    tcp_info info{};
    socklen_t size = sizeof info;
    const bool known =
        ::getsockopt(descriptor(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && !broken;
    if (!known || write_ended) return half_open_watch->stop();
    if (info.tcpi_state == TCP_CLOSE) break_down(UV_ECONNRESET, "tcp_stream.half_open");
  }

  // Hands the next chunk to libuv. Not 0: the connection broke, and nobody has been told yet.
  int send_next() {
    auto request = std::make_unique<WriteRequest>();
    request->bytes = std::move(waiting.front());
    waiting.pop_front();
    waiting_bytes -= request->bytes.size();
    request->raw.data = request.get();
    const uv_buf_t buffer = uv_buf_init(reinterpret_cast<char*>(request->bytes.data()),
                                        static_cast<unsigned>(request->bytes.size()));
    const int status = uv_write(&request->raw, stream(), &buffer, 1, on_written);
    if (status != 0) return status;
    static_cast<void>(request.release());  // frees itself in on_written
    write_under_way = true;
    return 0;
  }

  static void on_written(uv_write_t* raw, int status) {
    const std::unique_ptr<WriteRequest> request(static_cast<WriteRequest*>(raw->data));
    auto* state = static_cast<State*>(raw->handle->data);
    if (state == nullptr) return;
    state->write_under_way = false;
    if (state->broken) return;
    if (status != 0) return state->break_down(status, "tcp_stream.write");
    if (!state->waiting.empty()) {
      const int next = state->send_next();
      if (next != 0) return state->break_down(next, "tcp_stream.write");
    } else if (state->write_ended) {
      state->above_low = false;  // on_shut tells it
      return state->send_fin();
    }
    if (state->above_low && state->queued() <= kLowMark) {
      state->above_low = false;
      state->owner.on_drained(state->self);
    }
  }

  void send_fin() {
    auto request = std::make_unique<uv_shutdown_t>();
    // Fails only for a handle that is not connected or was shut down before: never here.
    if (uv_shutdown(request.get(), stream(), on_shut) != 0) return mark_broken();
    static_cast<void>(request.release());  // frees itself in on_shut
  }

  static void on_shut(uv_shutdown_t* raw, int status) {
    const std::unique_ptr<uv_shutdown_t> request(raw);
    auto* state = static_cast<State*>(raw->handle->data);
    if (state == nullptr || state->broken) return;
    if (status != 0) return state->break_down(status, "tcp_stream.shutdown");
    state->owner.on_drained(state->self);
  }

  void enqueue(Bytes bytes) {
    waiting_bytes += bytes.size();
    while (!bytes.empty()) {
      if (waiting.empty() || waiting.back().size() >= kReadSize) waiting.emplace_back();
      Chunk& last = waiting.back();
      const size_t part = std::min(bytes.size(), kReadSize - last.size());
      last.insert(last.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(part));
      bytes = bytes.subspan(part);
    }
  }
};

struct TcpStream::LastWords final : Owner {
  Loop& loop;
  TcpStream stream;
  Timer timer;
  size_t left = 0;
  int64_t since_us;

  LastWords(Loop& the_loop, State& from)
      : loop(the_loop),
        stream(the_loop, *this),
        timer(the_loop, [this] { look(); }),
        since_us(the_loop.now_us()) {
    from.move_to(*stream.state_);
    left = stream.state_->undelivered();
    timer.start_repeating(kLastWordsLookMs);
  }

  void look() {
    const size_t now_left = stream.state_->undelivered();
    if (now_left < left) since_us = loop.now_us();
    left = now_left;
    if (left == 0 || loop.now_us() - since_us > kLastWordsPatienceUs) over();
  }

  void over() {
    timer.stop();
    stream.reset();
    auto& all = shared_of(loop.raw()).last_words;
    const auto self = all.find(this);
    if (self == all.end()) return;
    loop.bury(std::make_unique<std::shared_ptr<void>>(std::move(self->second)));
    all.erase(self);
  }

  void on_read(TcpStream&, Bytes) override {}
  void on_eof(TcpStream&) override {}
  void on_drained(TcpStream&) override {}
  void on_broken(TcpStream&, Error) override { over(); }
};

TcpStream::TcpStream(Loop& loop, Owner& owner) : state_(new State(loop, owner, *this)) {}

TcpStream::~TcpStream() {
  state_->close();
  delete state_;
}

void TcpStream::adopt(TcpSocket socket) {
  state_->close();
  state_->handle = Handle<uv_tcp_t>(socket.release());
  if (state_->handle) state_->handle->data = state_;
  state_->pauses = 0;
  state_->read_ended = false;
  state_->write_ended = false;
  state_->above_low = false;
  state_->broken = false;
}

TcpSocket TcpStream::release() {
  assert(queued() == 0 && !state_->write_ended);
  state_->reading_wanted = false;
  state_->update_reading();
  state_->half_open_watch.reset();
  if (state_->handle) state_->handle->data = nullptr;
  return TcpSocket(state_->handle.release());
}

bool TcpStream::open() const {
  return static_cast<bool>(state_->handle) && !state_->broken;
}

void TcpStream::start_reading() {
  state_->reading_wanted = true;
  state_->update_reading();
}

void TcpStream::pause(PauseReason reason) {
  state_->pauses = static_cast<uint8_t>(state_->pauses | static_cast<uint8_t>(reason));
  state_->update_reading();
}

void TcpStream::resume(PauseReason reason) {
  state_->pauses = static_cast<uint8_t>(state_->pauses & ~static_cast<uint8_t>(reason));
  state_->update_reading();
}

Result<void> TcpStream::write(Bytes bytes) {
  if (!open() || state_->write_ended) return fail(Code::closed, "tcp_stream.write");
  if (bytes.empty()) return {};
  if (!state_->write_under_way) {
    const uv_buf_t buffer =
        uv_buf_init(reinterpret_cast<char*>(const_cast<uint8_t*>(bytes.data())),
                    static_cast<unsigned>(std::min<size_t>(bytes.size(), 1U << 30)));
    const int sent = uv_try_write(state_->stream(), &buffer, 1);
    if (sent < 0 && sent != UV_EAGAIN) {
      state_->mark_broken();
      return fail_with(sent, "tcp_stream.write");
    }
    if (sent > 0) bytes = bytes.subspan(static_cast<size_t>(sent));
    if (bytes.empty()) return {};
  }
  state_->enqueue(bytes);
  if (!state_->write_under_way) {
    const int status = state_->send_next();
    if (status != 0) {
      state_->mark_broken();
      return fail_with(status, "tcp_stream.write");
    }
  }
  if (state_->queued() > kLowMark) state_->above_low = true;
  return {};
}

size_t TcpStream::queued() const {
  return state_->queued();
}

void TcpStream::shutdown_write() {
  if (!open() || state_->write_ended) return;
  state_->write_ended = true;
  if (!state_->write_under_way) state_->send_fin();
}

void TcpStream::close() {
  state_->close();
}

void TcpStream::reset() {
  // Not uv_tcp_close_reset(): it refuses once a shutdown was asked for, and does no more than this.
  const linger abort{.l_onoff = 1, .l_linger = 0};
  const int descriptor = state_->descriptor();
  if (descriptor >= 0) setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  state_->close();
}

void TcpStream::reset_after_sending() {
  static Counter& delivered = counters::get("net.sent_before_reset");
  LoopShared& shared = shared_of(state_->loop.raw());
  if (!open() || state_->undelivered() == 0 || shared.closing ||
      shared.last_words.size() >= kMostLastWords)
    return reset();
  delivered.add();
  auto last = std::make_shared<LastWords>(state_->loop, *state_);
  shared.last_words.emplace(last.get(), last);
}

size_t TcpStream::read_rest(MutBytes into) {
  const int descriptor = state_->descriptor();
  if (descriptor < 0 || state_->read_ended || into.empty()) return 0;
  ssize_t got = -1;
  do {
    got = recv(descriptor, into.data(), into.size(), MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  return got > 0 ? static_cast<size_t>(got) : 0;
}

size_t TcpStream::unread() const {
  int waiting = 0;
  if (ioctl(state_->descriptor(), FIONREAD, &waiting) != 0) return 0;
  return static_cast<size_t>(waiting);
}

bool TcpStream::read_ended() const {
  return state_->read_ended;
}
bool TcpStream::write_ended() const {
  return state_->write_ended;
}

Endpoint TcpStream::local() const {
  return local_address(state_->descriptor()).endpoint();
}
Endpoint TcpStream::peer() const {
  return peer_address(state_->descriptor()).endpoint();
}

}  // namespace hm::net
