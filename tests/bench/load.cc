// The load of the benchmarks. One mode a run; the result is one JSON object on stdout.
//
//   bench_load MODE --way direct|connect|socks --dial PORT --target HOST:PORT [options]
//
//   rtt      64 bytes to and fro on one raw connection, --count times
//   down/up  --bytes over one raw connection
//   keep     --count metered requests on one connection (2 KB up, 2 KB down)
//   once     one such request
//   fresh    --count new connections (CONNECT, TLS), one request each
//   stream   --count streams after another: the first event and every event against its due time
//   calls    --connections at once, --count requests altogether: calls a second
//   streams  --connections streams at once, --events each
//   idle     --connections, with --tls after one request each, held until stdin ends
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <numeric>
#include <string>

#include "tests/bench/answer_reader.h"
#include "tests/bench/bench_tls.h"
#include "tests/bench/load_options.h"

namespace hm::bench {

std::string describe(std::vector<int64_t> samples_ns) {
  if (samples_ns.empty()) return R"({"count": 0})";
  std::sort(samples_ns.begin(), samples_ns.end());
  const auto at = [&](double share) {
    const auto index = static_cast<size_t>(share * static_cast<double>(samples_ns.size() - 1));
    return static_cast<double>(samples_ns[index]) / 1000.0;
  };
  const double sum = std::accumulate(samples_ns.begin(), samples_ns.end(), 0.0);
  char text[256];
  std::snprintf(text, sizeof text,
                R"({"count": %zu, "median": %.2f, "mean": %.2f, "p90": %.2f, "p99": %.2f, )"
                R"("max": %.2f})",
                samples_ns.size(), at(0.5), sum / 1000.0 / static_cast<double>(samples_ns.size()),
                at(0.9), at(0.99), at(1.0));
  return text;
}

std::string chat_request(const LoadOptions& options, bool stream) {
  std::string body = R"({"model":"gpt-5-mini",)";
  if (stream) body += R"("stream":true,"stream_options":{"include_usage":true},)";
  body += R"("messages":[{"role":"user","content":")" + std::string(1900, 'q') + "\"}]}";
  std::string head = "POST /v1/chat/completions HTTP/1.1\r\nHost: " + options.server_name +
                     "\r\nAuthorization: Bearer bench\r\nContent-Type: application/json\r\n"
                     "Content-Length: " +
                     std::to_string(body.size()) + "\r\n";
  if (stream)
    head += "x-bench-events: " + std::to_string(options.events) +
            "\r\nx-bench-interval-us: " + std::to_string(options.interval_us) + "\r\n";
  return head + "\r\n" + body;
}

namespace {

struct Line {
  explicit Line(const LoadOptions& options, SSL_CTX* context)
      : fd(open_way(options.way, options.dial, options.target)),
        tls(client_end(context, fd, options.server_name)) {}
  ~Line() {
    SSL_shutdown(tls.get());
    ::close(fd);
  }
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  // Sends, then reads until the answer is whole.
  void call(const std::string& request, AnswerReader& answer) const {
    write_all(tls.get(), request);
    std::array<char, 65'536> buffer;
    while (!answer.whole()) {
      const size_t got = read_some(tls.get(), buffer);
      if (got == 0) die("the answer ended early");
      answer.feed({buffer.data(), got}, now_ns());
    }
  }

  int fd;
  TlsEnd tls;
};

void run_rtt(const LoadOptions& options) {
  const int fd = open_way(options.way, options.dial, options.target);
  const std::string ping(64, 'p');
  std::array<char, 64> pong;
  std::vector<int64_t> samples;
  for (int64_t i = 0; i < options.count + options.count / 10; ++i) {
    const int64_t begun = now_ns();
    write_all(fd, ping);
    read_exactly(fd, pong);
    if (i >= options.count / 10) samples.push_back(now_ns() - begun);  // a tenth to warm up
  }
  std::printf("{\"rtt_us\": %s}\n", describe(std::move(samples)).c_str());
}

void run_bulk(const LoadOptions& options) {
  const int fd = open_way(options.way, options.dial, options.target);
  static std::array<char, 65'536> block;
  const bool down = options.mode == "down";
  const int64_t begun = now_ns();
  std::string order(1, down ? 'D' : 'U');
  order.append(std::to_string(options.bytes)).append("\n");
  write_all(fd, order);
  for (int64_t left = options.bytes; left > 0;) {
    const auto part = static_cast<size_t>(std::min<int64_t>(left, block.size()));
    if (down) {
      read_exactly(fd, {block.data(), part});
    } else {
      write_all(fd, {block.data(), part});
    }
    left -= static_cast<int64_t>(part);
  }
  char done = 0;
  if (!down) read_exactly(fd, {&done, 1});
  const double seconds = static_cast<double>(now_ns() - begun) / 1e9;
  std::printf("{\"mib_per_s\": %.1f}\n", static_cast<double>(options.bytes) / 1048576.0 / seconds);
}

void run_keep(const LoadOptions& options) {
  const TlsContext context = client_context();
  const Line line(options, context.get());
  const std::string request = chat_request(options, false);
  std::vector<int64_t> samples;
  for (int64_t i = 0; i < options.count + options.count / 10; ++i) {
    AnswerReader answer;
    const int64_t begun = now_ns();
    line.call(request, answer);
    if (i >= options.count / 10) samples.push_back(now_ns() - begun);
  }
  std::printf("{\"request_us\": %s}\n", describe(std::move(samples)).c_str());
}

void run_once(const LoadOptions& options) {
  const TlsContext context = client_context();
  const Line line(options, context.get());
  AnswerReader answer;
  line.call(chat_request(options, false), answer);
  std::puts("{}");
}

void run_fresh(const LoadOptions& options) {
  const TlsContext context = client_context();
  const std::string request = chat_request(options, false);
  std::vector<int64_t> samples;
  for (int64_t i = 0; i < options.count + options.count / 10; ++i) {
    AnswerReader answer;
    const int64_t begun = now_ns();
    const Line line(options, context.get());
    line.call(request, answer);
    if (i >= options.count / 10) samples.push_back(now_ns() - begun);
  }
  std::printf("{\"connection_us\": %s}\n", describe(std::move(samples)).c_str());
}

void run_stream(const LoadOptions& options) {
  const TlsContext context = client_context();
  const Line line(options, context.get());
  const std::string request = chat_request(options, true);
  std::vector<int64_t> first;
  std::vector<int64_t> all;
  for (int64_t i = 0; i < options.count; ++i) {
    AnswerReader answer;
    const int64_t begun = now_ns();
    line.call(request, answer);
    if (answer.delays_ns().empty()) die("a stream without events");
    // The first event is due one interval after the origin has the request.
    first.push_back(answer.first_event_ns() - begun - options.interval_us * 1000);
    all.insert(all.end(), answer.delays_ns().begin(), answer.delays_ns().end());
  }
  std::printf("{\"first_event_us\": %s, \"event_delay_us\": %s}\n",
              describe(std::move(first)).c_str(), describe(std::move(all)).c_str());
}

LoadOptions parse(int argc, char** argv) {
  if (argc < 2 || argc % 2 != 0) {
    std::fputs(
        "Usage: bench_load MODE --dial PORT [--way W] [--target HOST:PORT] [--name HOST]\n"
        "  [--count N] [--connections N] [--bytes N] [--events N] [--interval-us N] "
        "[--tls 1]\n",
        stderr);
    std::exit(2);
  }
  LoadOptions options;
  options.mode = argv[1];
  const std::map<std::string_view, int64_t*> numbers{{"--count", &options.count},
                                                     {"--connections", &options.connections},
                                                     {"--bytes", &options.bytes},
                                                     {"--events", &options.events},
                                                     {"--interval-us", &options.interval_us}};
  for (int i = 2; i < argc; i += 2) {
    const std::string_view name = argv[i];
    const std::string value = argv[i + 1];
    if (name == "--way") options.way = parse_way(value);
    if (name == "--dial") options.dial = static_cast<uint16_t>(std::stoi(value));
    if (name == "--target") options.target = parse_address(value);
    if (name == "--name") options.server_name = value;
    if (name == "--tls") options.tls = value == "1";
    if (const auto number = numbers.find(name); number != numbers.end())
      *number->second = std::stoll(value);
  }
  return options;
}

}  // namespace
}  // namespace hm::bench

int main(int argc, char** argv) {
  using namespace hm::bench;
  const LoadOptions options = parse(argc, argv);
  const std::map<std::string_view, void (*)(const LoadOptions&)> modes{
      {"rtt", run_rtt},     {"down", run_bulk},     {"up", run_bulk},     {"keep", run_keep},
      {"fresh", run_fresh}, {"stream", run_stream}, {"calls", run_calls}, {"streams", run_streams},
      {"idle", run_idle},   {"once", run_once}};
  const auto mode = modes.find(options.mode);
  if (mode == modes.end()) die("no such mode: " + options.mode);
  mode->second(options);
}
