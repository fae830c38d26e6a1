// Many connections at once, with epoll, for the modes calls, streams and idle of bench_load.
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <memory>

#include "tests/bench/answer_reader.h"
#include "tests/bench/bench_tls.h"
#include "tests/bench/load_options.h"

namespace hm::bench {
namespace {

struct Line {
  int fd = -1;
  TlsEnd tls;
  std::unique_ptr<AnswerReader> answer;
};

class Crowd {
 public:
  Crowd(const LoadOptions& options, bool tls) : context_(client_context()) {
    poll_ = ::epoll_create1(EPOLL_CLOEXEC);
    for (int64_t i = 0; i < options.connections; ++i) add(options, tls);
  }

  std::vector<Line>& lines() { return lines_; }

  void ask(Line& line, const std::string& request) {
    line.answer = std::make_unique<AnswerReader>();
    write_all(line.tls.get(), request);
  }

  // Reads whatever arrives until `on_whole(line)` has been called `wanted` times.
  template <class OnWhole>
  void read_until(int64_t wanted, OnWhole on_whole) {
    std::array<epoll_event, 256> events;
    while (wanted > 0) {
      const int count = ::epoll_wait(poll_, events.data(), static_cast<int>(events.size()), 60'000);
      if (count == 0) die("nothing came for a minute");
      for (int i = 0; i < count && wanted > 0; ++i) {
        Line& line = lines_[events[static_cast<size_t>(i)].data.u64];
        if (!read(line)) continue;
        --wanted;
        on_whole(line);
      }
    }
  }

 private:
  void add(const LoadOptions& options, bool tls) {
    Line line;
    line.fd = open_way(options.way, options.dial, options.target);
    if (tls) line.tls = client_end(context_.get(), line.fd, options.server_name);
    set_blocking(line.fd, false);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = lines_.size();
    if (::epoll_ctl(poll_, EPOLL_CTL_ADD, line.fd, &event) != 0) die("epoll_ctl");
    lines_.push_back(std::move(line));
  }

  // True: its answer has just become whole.
  static bool read(Line& line) {
    std::array<char, 65'536> buffer;
    while (true) {
      const int got = SSL_read(line.tls.get(), buffer.data(), static_cast<int>(buffer.size()));
      if (got <= 0) {
        if (SSL_get_error(line.tls.get(), got) == SSL_ERROR_WANT_READ) return false;
        die("a connection ended early");
      }
      if (line.answer == nullptr || line.answer->whole()) continue;
      line.answer->feed({buffer.data(), static_cast<size_t>(got)}, now_ns());
      if (line.answer->whole()) return true;
    }
  }

  TlsContext context_;
  int poll_ = -1;
  std::vector<Line> lines_;
};

}  // namespace

void run_calls(const LoadOptions& options) {
  Crowd crowd(options, true);
  const std::string request = chat_request(options, false);
  int64_t sent = 0;
  const int64_t begun = now_ns();
  for (Line& line : crowd.lines()) {
    if (sent == options.count) break;
    crowd.ask(line, request);
    ++sent;
  }
  crowd.read_until(options.count, [&](Line& line) {
    if (sent == options.count) return;
    crowd.ask(line, request);
    ++sent;
  });
  const double seconds = static_cast<double>(now_ns() - begun) / 1e9;
  std::printf("{\"calls_per_s\": %.1f, \"calls\": %lld}\n",
              static_cast<double>(options.count) / seconds, static_cast<long long>(options.count));
}

void run_streams(const LoadOptions& options) {
  Crowd crowd(options, true);
  const std::string request = chat_request(options, true);
  for (Line& line : crowd.lines()) crowd.ask(line, request);
  crowd.read_until(options.connections, [](Line&) {});
  std::vector<int64_t> all;
  int64_t late = 0;
  for (const Line& line : crowd.lines()) {
    if (line.answer->delays_ns().size() != static_cast<size_t>(options.events))
      die("a stream lacks events");
    for (const int64_t delay : line.answer->delays_ns()) {
      all.push_back(delay);
      if (delay >= options.interval_us * 1000) ++late;  // the next one was due already
    }
  }
  std::printf("{\"event_delay_us\": %s, \"late\": %lld}\n", describe(std::move(all)).c_str(),
              static_cast<long long>(late));
}

void run_idle(const LoadOptions& options) {
  Crowd crowd(options, options.tls);
  if (options.tls) {
    const std::string request = chat_request(options, false);
    for (Line& line : crowd.lines()) crowd.ask(line, request);
    crowd.read_until(options.connections, [](Line&) {});
  }
  std::puts("ready");
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
}

}  // namespace hm::bench
