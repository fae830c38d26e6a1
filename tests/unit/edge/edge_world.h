// A real EdgeApp on its loop, between clients that are plain sockets and two scripted servers on
// the same loop: a fake interceptor and a fake origin. connect_to maps every host of the tests to
// the origin. The first word of an answer says who gave it: "M:" the interceptor, "O:" the origin.
#pragma once

#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "common/base/counters.h"
#include "common/base/memory_folder.h"
#include "common/config/ports.h"
#include "common/net/control_socket.h"
#include "common/wire/connect_head.h"
#include "common/wire/control_message.h"
#include "edge/edge_app.h"
#include "tests/unit/net/net_support.h"

namespace hm::edge::test {

using net::test::Fd;
using net::test::run_until;

// Accepts, and tells of each read with all that came so far.
class Server {
 public:
  struct Connection final : net::TcpStream::Owner {
    Connection(net::Loop& loop, Server& the_server) : server(the_server), stream(loop, *this) {}
    void on_read(net::TcpStream&, Bytes bytes) override {
      received += as_text(bytes);
      server.on_data(*this, as_text(bytes));
    }
    void on_eof(net::TcpStream&) override {
      ended = true;
      stream.shutdown_write();
    }
    void on_drained(net::TcpStream&) override {}
    void on_broken(net::TcpStream&, Error) override { ended = true; }
    void say(std::string_view text) { static_cast<void>(stream.write(as_bytes(text))); }

    Server& server;
    net::TcpStream stream;
    std::string received;
    bool ended = false;
    bool tunnel = false;
  };

  explicit Server(net::Loop& loop, Fd listening = net::test::listening(64).first)
      : loop_(loop), listener_(loop, [this](net::TcpSocket socket) {
          auto& connection = *connections.emplace_back(std::make_unique<Connection>(loop_, *this));
          connection.stream.adopt(std::move(socket));
          connection.stream.start_reading();
        }) {
    port = *listener_.adopt(listening.release());
  }
  virtual ~Server() = default;
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  virtual void on_data(Connection& connection, std::string_view fresh) {
    connection.say("O:" + std::string(fresh));
  }
  // As a process that is killed: nobody listens, and all connections are gone.
  void die() {
    listener_.close();
    for (auto& connection : connections) connection->stream.close();
  }
  void stop_listening() { listener_.close(); }

  std::list<std::unique_ptr<Connection>> connections;
  uint16_t port = 0;

 private:
  net::Loop& loop_;
  net::TcpListener listener_;
};

class FakeInterceptor final : public Server {
 public:
  enum class Mode : uint8_t {
    meter,
    close_at_once,     // no 102
    silent,            // takes the ask and says nothing
    full,              // 503
    interim_and_gone,  // 102, then the connection ends
    dead_origin,       // 102, 502
    odd_answer,        // 418
    stranger,          // 200 at once, as any other proxy
    die_after_200,     // the process is gone before its first byte
    mute_after_200,    // alive, and says nothing
  };
  using Server::Server;

  void on_data(Connection& connection, std::string_view fresh) override {
    if (connection.tunnel) {
      if (mode == Mode::die_after_200) return die();
      if (mode != Mode::mute_after_200) connection.say("M:" + std::string(fresh));
      return;
    }
    if (connection.received.find("\r\n\r\n") == std::string::npos) return;
    if (connection.received.starts_with("CONNECT knock.halton-meter.invalid:443 ")) {
      ++knocks;
      if (knock_status == 0) return;
      if (knock_interim) connection.say(interim());
      connection.say("HTTP/1.1 " + std::to_string(knock_status) + " Knock\r\n\r\n");
      return connection.stream.shutdown_write();
    }
    asks.push_back(connection.received);
    switch (mode) {
      case Mode::close_at_once:
        return connection.stream.close();
      case Mode::silent:
        return;
      case Mode::full:
        return connection.say("HTTP/1.1 503 Service Unavailable\r\n\r\n");
      case Mode::interim_and_gone:
        connection.say("HTTP/1.1 102 Processing\r\n\r\n");
        return connection.stream.shutdown_write();
      case Mode::dead_origin:
        return connection.say("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 502 Bad Gateway\r\n\r\n");
      case Mode::odd_answer:
        return connection.say("HTTP/1.1 418 Teapot\r\n\r\n");
      case Mode::stranger:
        return connection.say("HTTP/1.1 200 OK\r\n\r\n");
      case Mode::meter:
      case Mode::die_after_200:
      case Mode::mute_after_200:
        connection.tunnel = true;
        connection.say(interim());
        return connection.say("HTTP/1.1 200 OK\r\n\r\n" + first_words);
    }
  }

  [[nodiscard]] std::string interim() const {
    return process == 0 ? "HTTP/1.1 102 Processing\r\n\r\n" : wire::processing_head(process);
  }

  Mode mode = Mode::meter;
  int64_t process = 0;     // who it says it is
  int knock_status = 200;  // 0: no answer
  bool knock_interim = true;
  std::string first_words;  // in the same segment as the 200
  int knocks = 0;
  std::vector<std::string> asks;
};

class World {
 public:
  static constexpr const char* kHost = "api.openai.com";

  explicit World(std::string edge_settings = "knock_open_ms = 50")
      : edge_settings_(std::move(edge_settings)) {
    std::string name = (std::filesystem::temp_directory_path() / "hm_edge_XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    folder = name;
    std::filesystem::create_directory(folder / "home");
    // Nobody is there until the test says so.
    config::EffectivePorts nobody;
    nobody.internal_port = net::test::dead_port();
    nobody.api_port = 1;
    REQUIRE(config::write_ports(ports_file(), nobody, 1));
    make_app();
  }
  ~World() {
    control_.reset();
    interceptor.reset();
    origin.reset();
    app.reset();
    std::error_code ignored;
    remove_memory_folders(folder / "home", true);
    std::filesystem::remove_all(folder, ignored);
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  void start() {
    const auto bound = app->start();
    REQUIRE(bound);
    edge_port = *bound;
  }
  void start_interceptor() {
    interceptor = std::make_unique<FakeInterceptor>(app->loop());
    config::EffectivePorts mine;
    mine.internal_port = interceptor->port;
    REQUIRE(config::write_ports(ports_file(), mine, 1));
  }
  // With an open gate.
  void start_both() {
    start_interceptor();
    start();
    REQUIRE(wait_gate("open"));
  }
  // A new edge process, as it were, in the same home.
  void restart_app() {
    control_.reset();
    interceptor.reset();
    origin.reset();
    app.reset();
    make_app();
  }

  bool until(const std::function<bool()>& condition, int64_t ms = 20'000) {
    return run_until(app->loop(), condition, ms);
  }
  void turn(int64_t ms) { net::test::run_for(app->loop(), ms); }

  Fd client() {
    Fd fd = net::test::connect_to(edge_port);
    REQUIRE(fd.open());
    fd.non_blocking();
    return fd;
  }
  // Reads until `count` bytes came, or the end.
  std::string read(const Fd& fd, size_t count, bool* end = nullptr) {
    std::string all;
    bool ended = false;
    until([&] {
      all += fd.take(&ended, &ended);
      return ended || all.size() >= count;
    });
    if (end != nullptr) *end = ended;
    return all;
  }
  std::string read_all(const Fd& fd) { return read(fd, SIZE_MAX); }
  // What a fresh connection is told for these bytes, until it is closed.
  std::string ask_raw(std::string_view bytes) {
    const Fd fd = client();
    fd.send_some(bytes);
    return read_all(fd);
  }
  // CONNECT, 200; then `hello` and what comes back for it.
  Fd tunnel(const std::string& host, std::string_view hello, std::string* answer) {
    Fd fd = client();
    fd.send_some("CONNECT " + host + ":443 HTTP/1.1\r\n\r\n");
    const std::string head = read(fd, kConnected.size());
    REQUIRE(head == kConnected);
    fd.send_some(hello);
    *answer = read(fd, hello.size() + 2);
    return fd;
  }

  wire::ControlFields control(const std::string& verb, std::vector<std::string> arguments = {}) {
    return control_line(wire::control_request(verb, arguments));
  }
  wire::ControlFields control_line(const std::string& line) {
    if (!control_) control_ = std::make_unique<net::ControlRequest>(app->loop());
    Result<std::string> answer = fail(Code::internal, "test");
    bool done = false;
    control_->send(folder / "run" / "edge.sock", line, 5000, 1 << 20,
                   [&](Result<std::string> text) {
                     answer = std::move(text);
                     done = true;
                   });
    REQUIRE(until([&] { return done; }));
    REQUIRE(answer);
    auto fields = wire::ControlFields::parse(*answer);
    REQUIRE(fields);
    return *fields;
  }
  bool wait_gate(const std::string& state) {
    for (int i = 0; i < 500; ++i) {
      if (control("status").find("gate") == state) return true;
      turn(5);
    }
    return false;
  }
  bool wait_open_calls(int64_t count) {
    for (int i = 0; i < 500; ++i) {
      if (control("status").number("open_calls") == count) return true;
      turn(5);
    }
    return false;
  }
  std::vector<Miss> ledger() {
    std::vector<Miss> list;
    const wire::ControlFields fields = control("ledger");
    for (const auto& [key, value] : fields.all())
      if (key == "entry") list.push_back(Miss::unpack(value));
    return list;
  }
  std::vector<Miss> wait_ledger(size_t count) {
    for (int i = 0; i < 500 && ledger().size() < count; ++i) turn(5);
    return ledger();
  }
  [[nodiscard]] std::filesystem::path ports_file() const {
    return folder / "run" / "effective-ports.json";
  }

  static constexpr std::string_view kConnected = "HTTP/1.1 200 Connection established\r\n\r\n";

  std::filesystem::path folder;
  uint16_t edge_port = 0;
  setup::ProcessFlags flags;
  std::unique_ptr<EdgeApp> app;
  std::unique_ptr<Server> origin;
  std::unique_ptr<FakeInterceptor> interceptor;

 private:
  void make_app() {
    flags.home = (folder / "home").string();
    flags.run_dir = (folder / "run").string();
    if (!flags.edge_port) flags.edge_port = 0;
    auto [socket, port] = net::test::listening(64);
    std::ofstream config(folder / "home" / "config.toml");
    config << "[edge]\nknock_closed_ms = 50\n" << edge_settings_ << "\n[upstream.connect_to]\n";
    for (const char* from : {"api.openai.com:443", "www.example.org:443", "www.example.org:80"})
      config << '"' << from << "\" = \"127.0.0.1:" << port << "\"\n";
    config << "\"dead.example.org:443\" = \"127.0.0.1:" << net::test::dead_port() << "\"\n";
    config.close();
    app = std::make_unique<EdgeApp>(flags, "test");
    origin = std::make_unique<Server>(app->loop(), std::move(socket));
  }

  std::unique_ptr<net::ControlRequest> control_;
  std::string edge_settings_;
};

inline int64_t counter(std::string_view name) {
  return counters::get(name).value();
}

}  // namespace hm::edge::test
