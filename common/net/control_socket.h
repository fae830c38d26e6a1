// The unix socket that status and doctor talk to: one request line in, one answer out, close. Mode
// 0600, and the peer's uid must be ours (SO_PEERCRED). A request is at most 4 KiB and must come
// within 2 s; an answer may be large. At most 64 connections at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace hm::net {

class Loop;

class ControlServer {
 public:
  // The handler gets the line without its end and returns the whole answer. It runs on the loop.
  using Handler = std::function<std::string(std::string_view line)>;

  ControlServer(Loop& loop, Handler handler);
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  // Creates the parent folder (0700). A socket file that nobody answers on is replaced; one that a
  // live process answers on is `busy`, unless that one is to be succeeded: with `take_over` ours
  // replaces its file, in one step.
  [[nodiscard]] Result<void> listen(const std::filesystem::path& path, bool take_over = false);
  void close();                          // removes the socket file if it is still ours
  void disown();                         // whatever becomes of the file is a successor's affair
  [[nodiscard]] bool reachable() const;  // the file is there and ours

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The socket's process is gone. Asks the kernel alone, so it does not wait for anybody.
[[nodiscard]] bool nobody_answers(const std::filesystem::path& socket);

// One asynchronous request from a loop to another process. Destroying it cancels.
class ControlRequest {
 public:
  using Callback = std::function<void(Result<std::string>)>;

  explicit ControlRequest(Loop& loop);
  ~ControlRequest();
  ControlRequest(const ControlRequest&) = delete;
  ControlRequest& operator=(const ControlRequest&) = delete;

  // Answers above max_bytes are too_large. One at a time.
  void send(const std::filesystem::path& path, std::string line, int64_t timeout_ms,
            size_t max_bytes, Callback callback);
  [[nodiscard]] bool busy() const;

 private:
  struct State;
  Loop& loop_;
  std::unique_ptr<State> state_;
};

}  // namespace hm::net
