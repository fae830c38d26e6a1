// The provider of the benchmarks: one thread, three doors on 127.0.0.1, as cheap as can be.
//
//   bench_origin --cert FILE --key FILE      prints "ECHO BULK TLS" (ports), serves until killed
//
//   echo   every byte comes back
//   bulk   "D<bytes>\n": that many come down; "U<bytes>\n": that many are read, then one is
//   answered TLS    HTTP/1.1 keep-alive, a chat completion of about 2 KB with usage. With the
//   request headers
//          x-bench-events and x-bench-interval-us: that many server-sent events, one every
//          interval, each with the time at which it was due to leave (CLOCK_MONOTONIC, ns, 19
//          digits)
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <memory>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tests/bench/bench_socket.h"
#include "tests/bench/bench_tls.h"

namespace {

using namespace hm::bench;

enum class Door : uint8_t { echo, bulk, http };

struct Connection {
  int fd = -1;
  uint64_t id = 0;
  Door door = Door::echo;
  TlsEnd tls;
  std::string in;
  int64_t body_left = 0;    // of the request under way
  int64_t upload_left = 0;  // of a bulk upload
  int64_t events_left = 0;
  int64_t interval_ns = 0;
};

struct Due {
  int64_t at_ns;
  uint64_t id;
  bool operator>(const Due& other) const { return at_ns > other.at_ns; }
};

constexpr std::string_view kUsage =
    R"("usage":{"prompt_tokens":500,"completion_tokens":100,"total_tokens":600})";

int64_t header_number(std::string_view head, std::string_view name) {
  const size_t at = head.find(name);
  if (at == std::string_view::npos) return 0;
  int64_t value = 0;
  std::from_chars(head.data() + at + name.size(), head.data() + head.size(), value);
  return value;
}

std::string plain_answer() {
  std::string body = R"({"id":"chatcmpl-bench","object":"chat.completion","created":1790000000,)"
                     R"("model":"gpt-5-mini","choices":[{"index":0,"message":{"role":)"
                     R"("assistant","content":")";
  body += std::string(1700, 'x');
  body += R"("},"finish_reason":"stop"}],)";
  body += kUsage;
  body += "}";
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string chunk(std::string_view text) {
  char size[20];
  std::snprintf(size, sizeof size, "%zx\r\n", text.size());
  return std::string(size) + std::string(text) + "\r\n";
}

std::string event(int64_t due_ns) {
  char stamp[24];
  std::snprintf(stamp, sizeof stamp, "%019lld", static_cast<long long>(due_ns));
  return chunk(R"(data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","model":)"
               R"("gpt-5-mini","choices":[{"index":0,"delta":{"content":"@)" +
               std::string(stamp) + "\"}}]}\n\n");
}

class Origin {
 public:
  Origin(TlsContext context, const std::array<int, 3>& doors)
      : context_(std::move(context)), doors_(doors), answer_(plain_answer()) {
    poll_ = ::epoll_create1(EPOLL_CLOEXEC);
    timer_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    for (size_t i = 0; i < doors_.size(); ++i) {
      set_blocking(doors_[i], false);
      watch(doors_[i], i);
    }
    watch(timer_, kTimer);
  }

  void serve() {
    std::array<epoll_event, 256> events;
    while (true) {
      const int count = ::epoll_wait(poll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < count; ++i) handle(events[static_cast<size_t>(i)].data.u64);
    }
  }

 private:
  static constexpr uint64_t kTimer = 3;

  void watch(int fd, uint64_t id) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = id;
    if (::epoll_ctl(poll_, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
  }

  void handle(uint64_t id) {
    if (id == kTimer) return send_due();
    if (id < doors_.size()) return take(static_cast<Door>(id));
    const auto found = connections_.find(id);
    if (found == connections_.end()) return;
    if (!read(*found->second)) {
      ::close(found->second->fd);
      connections_.erase(found);
    }
  }

  void take(Door door) {
    // Plain sockets stay blocking: read with MSG_DONTWAIT, written to the end.
    const int fd = accept_from(doors_[static_cast<size_t>(door)], door != Door::http);
    if (fd < 0) return;
    auto connection = std::make_unique<Connection>();
    connection->fd = fd;
    connection->id = next_id_++;
    connection->door = door;
    if (door == Door::http) connection->tls = server_end(context_.get(), fd);
    watch(fd, connection->id);
    connections_.emplace(connection->id, std::move(connection));
  }

  // False: it is over.
  bool read(Connection& connection) {
    std::array<char, 65'536> buffer;
    while (true) {
      ssize_t got = 0;
      if (connection.tls != nullptr) {
        got = SSL_read(connection.tls.get(), buffer.data(), static_cast<int>(buffer.size()));
        if (got <= 0)
          return SSL_get_error(connection.tls.get(), static_cast<int>(got)) == SSL_ERROR_WANT_READ;
      } else {
        got = ::recv(connection.fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (got < 0) return errno == EAGAIN;
        if (got == 0) return false;
      }
      take_bytes(connection, {buffer.data(), static_cast<size_t>(got)});
    }
  }

  void take_bytes(Connection& connection, std::string_view bytes) {
    if (connection.door == Door::echo) return write_all(connection.fd, bytes);
    if (connection.door == Door::bulk) return take_bulk(connection, bytes);
    connection.in += bytes;
    while (take_request(connection)) {
    }
  }

  bool take_request(Connection& connection) {
    if (connection.body_left == 0) {
      const size_t end = connection.in.find("\r\n\r\n");
      if (end == std::string::npos) return false;
      const std::string_view head(connection.in.data(), end + 2);
      connection.events_left = header_number(head, "x-bench-events: ");
      connection.interval_ns = header_number(head, "x-bench-interval-us: ") * 1000;
      connection.body_left = header_number(head, "Content-Length: ");
      connection.in.erase(0, end + 4);
    }
    const auto there =
        std::min<int64_t>(connection.body_left, static_cast<int64_t>(connection.in.size()));
    connection.in.erase(0, static_cast<size_t>(there));
    connection.body_left -= there;
    if (connection.body_left > 0) return false;
    answer(connection);
    return !connection.in.empty();
  }

  void answer(Connection& connection) {
    if (connection.events_left == 0) return write_all(connection.tls.get(), answer_);
    write_all(connection.tls.get(),
              "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
              "Transfer-Encoding: chunked\r\n\r\n");
    due_.push({now_ns() + connection.interval_ns, connection.id});
    arm();
  }

  void send_due() {
    uint64_t expirations = 0;
    if (::read(timer_, &expirations, sizeof expirations) < 0 && errno != EAGAIN) die("timerfd");
    while (!due_.empty() && due_.top().at_ns <= now_ns()) {
      const Due due = due_.top();
      due_.pop();
      const auto found = connections_.find(due.id);
      if (found != connections_.end()) send_event(*found->second, due.at_ns);
    }
    arm();
  }

  void send_event(Connection& connection, int64_t due_ns) {
    write_all(connection.tls.get(), event(due_ns));
    if (--connection.events_left > 0)
      return due_.push({due_ns + connection.interval_ns, connection.id});
    write_all(connection.tls.get(),
              chunk("data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\","
                    "\"model\":\"gpt-5-mini\",\"choices\":[]," +
                    std::string(kUsage) + "}\n\n") +
                  chunk("data: [DONE]\n\n") + "0\r\n\r\n");
  }

  void arm() {
    itimerspec when{};
    if (!due_.empty()) {
      const int64_t at = std::max<int64_t>(due_.top().at_ns, 1);
      when.it_value.tv_sec = at / 1'000'000'000;
      when.it_value.tv_nsec = at % 1'000'000'000;
    }
    ::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &when, nullptr);
  }

  void take_bulk(Connection& connection, std::string_view bytes) {
    if (connection.upload_left == 0) {
      connection.in += bytes;
      const size_t end = connection.in.find('\n');
      if (end == std::string::npos) return;
      const int64_t size = std::stoll(connection.in.substr(1, end - 1));
      const bool down = connection.in[0] == 'D';
      const std::string rest = connection.in.substr(end + 1);
      connection.in.clear();
      if (down) return send_bulk(connection, size);
      connection.upload_left = size;
      if (!rest.empty()) take_bulk(connection, rest);
      return;
    }
    connection.upload_left -= static_cast<int64_t>(bytes.size());
    if (connection.upload_left <= 0) write_all(connection.fd, "!");
  }

  // One download at a time has the thread to itself.
  static void send_bulk(const Connection& connection, int64_t size) {
    static const std::string block(65'536, 'b');
    while (size > 0) {
      const auto part = static_cast<size_t>(std::min<int64_t>(size, 65'536));
      write_all(connection.fd, std::string_view(block).substr(0, part));
      size -= static_cast<int64_t>(part);
    }
  }

  TlsContext context_;
  std::array<int, 3> doors_;
  std::string answer_;
  int poll_ = -1;
  int timer_ = -1;
  uint64_t next_id_ = 16;
  std::unordered_map<uint64_t, std::unique_ptr<Connection>> connections_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
};

}  // namespace

int main(int argc, char** argv) {
  std::string certificate;
  std::string key;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::string_view(argv[i]) == "--cert") certificate = argv[i + 1];
    if (std::string_view(argv[i]) == "--key") key = argv[i + 1];
  }
  if (certificate.empty() || key.empty()) {
    std::fputs("Usage: bench_origin --cert FILE --key FILE\n", stderr);
    return 2;
  }
  const std::array<int, 3> doors{listen_on(0), listen_on(0), listen_on(0)};
  std::printf("%u %u %u\n", local_port(doors[0]), local_port(doors[1]), local_port(doors[2]));
  std::fflush(stdout);
  Origin(server_context(certificate, key), doors).serve();
}
