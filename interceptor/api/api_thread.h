// The HTTP API of the interceptor: a thread of its own with its own loop and a small HTTP/1.1
// server on loopback, so that a report which scans the database never holds up a call. Owned by the
// app; start() and stop() are called from its thread.
//
// Served are connections of our own user only, under a name of this machine, and for browsers only
// to pages of listed origins.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"

namespace hm::net {
class Loop;
}

namespace hm::api {

class HttpServer;
class Routes;

struct ApiOptions {
  uint16_t port = 8765;  // 0: any free one; taken: the next free one of the twenty above
  std::vector<std::string> allow_origins;
  std::string version;
  int kept_v4 = -1;  // sockets that listen already, from a former process; owned
  int kept_v6 = -1;
};

// The listening sockets: for the next process to be kept; -1 where there is none.
struct ApiDoors {
  int v4 = -1;
  int v6 = -1;
};

// Read on the API's thread while others write: implementations are thread-safe and do not block.
class HealthSource {
 public:
  // Clock::steady_us() of the relay loop's last sign of life, 0 before the first.
  [[nodiscard]] virtual int64_t last_relay_heartbeat_us() const = 0;

 protected:
  ~HealthSource() = default;
};

class ApiThread {
 public:
  // The source and the clock must outlive it.
  ApiThread(ApiOptions options, const HealthSource& health, const Clock& clock = system_clock());
  ~ApiThread();  // stops
  ApiThread(const ApiThread&) = delete;
  ApiThread& operator=(const ApiThread&) = delete;

  // Returns the bound port of 127.0.0.1 (and of ::1, where that is to be had). Once.
  [[nodiscard]] Result<uint16_t> start();
  [[nodiscard]] ApiDoors doors() const { return doors_; }  // as start() opened them
  void close_doors();  // accepts nobody any more; who is in is served on
  void set_allow_origins(std::vector<std::string> origins);  // after start()
  void stop();  // closes connections at once; idempotent

 private:
  ApiOptions options_;
  const HealthSource& health_;
  const Clock& clock_;
  ApiDoors doors_;
  HttpServer* server_ = nullptr;  // as the loop
  Routes* routes_ = nullptr;      // as the loop
  net::Loop* loop_ = nullptr;     // lives on the thread's stack; set between start() and stop()
  std::thread thread_;
};

}  // namespace hm::api
