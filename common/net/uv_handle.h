// Private to common/net: the two halves of handle ownership. A libuv struct lives on the heap until
// its close callback, whoever owned it may be long gone by then; every callback finds its asker
// through `data`, and a null there means that nobody is interested any more.
#pragma once

#include <uv.h>

#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "common/base/result.h"

namespace hm::net {

// Owns one initialised libuv handle. Destroying it clears `data`, so that no callback finds the old
// owner, and closes; the struct is freed when libuv has let go of it.
template <class T>
class Handle {
 public:
  Handle() = default;
  explicit Handle(T* raw) : raw_(raw) {}
  Handle(Handle&& other) noexcept : raw_(other.release()) {}
  Handle& operator=(Handle&& other) noexcept {
    if (this != &other) {
      reset();
      raw_ = other.release();
    }
    return *this;
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { reset(); }

  // For an init function that takes only the loop and the struct and cannot fail.
  template <class Init>
  static Handle make(uv_loop_t* loop, Init init, void* data) {
    auto raw = std::make_unique<T>();
    init(loop, raw.get());
    raw->data = data;
    return Handle(raw.release());
  }

  void reset() {
    T* raw = release();
    if (raw == nullptr) return;
    raw->data = nullptr;
    auto* base = reinterpret_cast<uv_handle_t*>(raw);
    if (uv_is_closing(base) != 0) return;
    uv_close(base, [](uv_handle_t* handle) { delete reinterpret_cast<T*>(handle); });
  }

  T* release() { return std::exchange(raw_, nullptr); }
  [[nodiscard]] T* get() const { return raw_; }
  T* operator->() const { return raw_; }
  [[nodiscard]] explicit operator bool() const { return raw_ != nullptr; }

 private:
  T* raw_ = nullptr;
};

class Resolver;

// What uv_loop_t::data of our loops points to.
struct LoopShared {
  // One for all connections: libuv calls the read callback right after it asked for memory, so an
  // idle connection needs no buffer of its own.
  std::unique_ptr<uint8_t[]> read_buffer;
  bool closing = false;                // ~Loop began: results of jobs are thrown away
  std::shared_ptr<Resolver> resolver;  // resolver_of(); shared only to need no complete type here
  std::map<const void*, std::shared_ptr<void>> last_words;  // see TcpStream::reset_after_sending()
};

[[nodiscard]] inline LoopShared& shared_of(const uv_loop_t* loop) {
  return *static_cast<LoopShared*>(loop->data);
}

// What every connection of ours has. TCP_NODELAY: our legs add no wait of their own. Keepalive: a
// peer that vanished without a word (a pulled cable, a closed lid) is found out after a minute of
// silence and eight unanswered probes, five minutes in all. Long enough for an outage that the
// client would have sat out, too; and the first probe comes before a router forgets the connection.
constexpr int kKeepaliveIdleS = 60;
constexpr int kKeepaliveIntervalS = 30;
constexpr int kKeepaliveProbes = 8;
void tune(int descriptor);
void tune(const uv_tcp_t* handle);

// From an errno, or a libuv status (its negative).
[[nodiscard]] Error error_of(int64_t status_or_errno, const char* where);
[[nodiscard]] inline std::unexpected<Error> fail_with(int64_t status_or_errno, const char* where) {
  return std::unexpected(error_of(status_or_errno, where));
}

}  // namespace hm::net
