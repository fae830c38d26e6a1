#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <list>
#include <string>
#include <utility>

#include "common/base/bytes.h"
#include "common/base/counters.h"
#include "common/base/fs.h"
#include "common/net/acceptor.h"
#include "common/net/control_socket.h"
#include "common/net/loop.h"
#include "common/net/tcp_stream.h"
#include "common/net/timer.h"
#include "common/net/unix_address.h"
#include "common/net/uv_handle.h"

namespace hm::net {

namespace {

constexpr size_t kMaxRequest = 4096;
constexpr size_t kMaxConnections = 64;
constexpr int64_t kRequestMs = 2000;
constexpr int64_t kAnswerMs = 10'000;  // for a peer that reads a large answer slowly

// Held while a dead socket is looked at and replaced: two processes that start at once must not
// take away each other's fresh one.
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& folder)
      : descriptor_(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    for (int attempt = 0; attempt < 200 && descriptor_ >= 0 && !held_; ++attempt) {
      held_ = flock(descriptor_, LOCK_EX | LOCK_NB) == 0;
      if (!held_) usleep(5000);  // before the loop runs; the holder needs microseconds
    }
  }
  ~FolderLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  [[nodiscard]] bool held() const { return held_; }

 private:
  int descriptor_;
  bool held_ = false;
};

int open_socket() {
  return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

// Whether nobody listens on this path any more. In doubt somebody does.
bool abandoned(const UnixAddress& address) {
  const int probe = open_socket();
  if (probe < 0) return false;
  const bool refused =
      connect(probe, address.raw(), address.length()) != 0 && errno == ECONNREFUSED;
  ::close(probe);
  return refused;
}

// Bound, mode 0600, not listening yet: nobody can connect before the mode is right.
Result<void> bind_fresh(int descriptor, const UnixAddress& address) {
  if (bind(descriptor, address.raw(), address.length()) != 0) {
    if (errno != EADDRINUSE) return fail_with(errno, "control_socket.bind");
    struct stat found{};
    if (lstat(address.path(), &found) == 0 && !S_ISSOCK(found.st_mode))
      return fail(Code::refused, "control_socket.not_a_socket");
    if (!abandoned(address)) return fail(Code::busy, "control_socket.listen", EADDRINUSE);
    unlink(address.path());
    if (bind(descriptor, address.raw(), address.length()) != 0)
      return fail_with(errno, "control_socket.bind");
  }
  if (chmod(address.path(), 0600) != 0) return fail_with(errno, "control_socket.mode");
  return {};
}

}  // namespace

bool nobody_answers(const std::filesystem::path& socket) {
  const auto address = UnixAddress::of(socket);
  return !address || access(address->path(), F_OK) != 0 || abandoned(*address);
}

struct ControlServer::State {
  struct Connection {
    State& server;
    Handle<uv_pipe_t> pipe;
    std::string request;
    Timer deadline;

    explicit Connection(State& the_server)
        : server(the_server), deadline(server.loop, [this] {
            counters::get("net.control_timeout").add();
            server.drop(this);
          }) {}

    [[nodiscard]] uv_stream_t* stream() const { return reinterpret_cast<uv_stream_t*>(pipe.get()); }
  };

  struct Answer {
    uv_write_t raw{};
    std::string text;
  };

  Loop& loop;
  Handler handler;
  Acceptor acceptor;
  std::list<std::unique_ptr<Connection>> connections;
  std::filesystem::path path;
  dev_t device = 0;
  ino_t inode = 0;
  bool inside = false;
  bool dead = false;

  State(Loop& the_loop, Handler the_handler)
      : loop(the_loop),
        handler(std::move(the_handler)),
        acceptor(the_loop, [this](int descriptor) { accept(descriptor); }) {}

  Result<void> listen(const std::filesystem::path& where, bool take_over) {
    close();
    if (auto folder = ensure_dir(where.parent_path()); !folder) return folder;
    const FolderLock lock(where.parent_path());
    if (!lock.held()) return fail(Code::busy, "control_socket.lock");
    // Beside the path first, then over it: at no moment does nobody answer there.
    const std::filesystem::path first =
        take_over ? where.parent_path() / (std::to_string(getpid()) + ".sock") : where;
    if (take_over) unlink(first.c_str());
    const auto address = UnixAddress::of(first);
    if (!address) return std::unexpected(address.error());
    const int descriptor = open_socket();
    if (descriptor < 0) return fail_with(errno, "control_socket.socket");
    auto bound = bind_fresh(descriptor, *address);
    struct stat made{};
    if (bound && (::listen(descriptor, kMaxConnections) != 0 || stat(address->path(), &made) != 0))
      bound = fail_with(errno, "control_socket.listen");
    if (bound && take_over && rename(first.c_str(), where.c_str()) != 0)
      bound = fail_with(errno, "control_socket.take_over");
    if (!bound) {
      if (take_over) unlink(first.c_str());
      ::close(descriptor);
      return bound;
    }
    path = where;
    device = made.st_dev;
    inode = made.st_ino;
    return acceptor.start(descriptor);
  }

  void close() {
    acceptor.close();
    connections.clear();
    if (on_our_path()) unlink(path.c_str());
    path.clear();
  }

  [[nodiscard]] bool on_our_path() const {
    struct stat now{};
    return !path.empty() && stat(path.c_str(), &now) == 0 && now.st_dev == device &&
           now.st_ino == inode;
  }

  void accept(int descriptor) {
    const bool welcome = connections.size() < kMaxConnections && same_user(descriptor);
    if (!welcome) {
      counters::get("net.control_refused").add();
      ::close(descriptor);
      return;
    }
    auto connection = std::make_unique<Connection>(*this);
    auto pipe = std::make_unique<uv_pipe_t>();
    uv_pipe_init(loop.raw(), pipe.get(), 0);
    pipe->data = connection.get();
    connection->pipe = Handle<uv_pipe_t>(pipe.release());
    if (uv_pipe_open(connection->pipe.get(), descriptor) != 0) {
      ::close(descriptor);
      return;
    }
    connection->deadline.start_once(kRequestMs);
    uv_read_start(connection->stream(), on_memory, on_bytes);
    connections.push_back(std::move(connection));
  }

  // The connection may be the caller's: nothing of it is touched afterwards.
  void drop(const Connection* connection) {
    connections.remove_if([connection](const auto& c) { return c.get() == connection; });
  }

  static void on_memory(uv_handle_t* handle, size_t /*suggested*/, uv_buf_t* buffer) {
    *buffer = uv_buf_init(reinterpret_cast<char*>(shared_of(handle->loop).read_buffer.get()),
                          TcpStream::kReadSize);
  }

  static void on_bytes(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
    auto* connection = static_cast<Connection*>(stream->data);
    if (connection == nullptr || count == 0) return;
    State& server = connection->server;
    std::string& request = connection->request;
    if (count > 0) {
      const std::string_view fresh(buffer->base, static_cast<size_t>(count));
      const size_t line_end = fresh.find('\n');
      const std::string_view part = fresh.substr(0, line_end);
      if (request.size() + part.size() > kMaxRequest) {
        counters::get("net.control_refused").add();
        return server.drop(connection);
      }
      request.append(part);
      if (line_end == std::string_view::npos) return;
    } else if (count != UV_EOF || request.empty()) {
      return server.drop(connection);  // gone without having asked
    }
    uv_read_stop(stream);
    if (request.ends_with('\r')) request.pop_back();
    server.answer(connection);
  }

  void answer(Connection* connection) {
    const std::string line = std::move(connection->request);
    auto request = std::make_unique<Answer>();
    inside = true;
    try {
      request->text = handler(line);
    } catch (...) {  // must not cross libuv; the peer sees an empty answer
      counters::get("net.control_threw").add();
    }
    inside = false;
    if (dead) {
      delete this;
      return;
    }
    const bool alive = std::ranges::any_of(
        connections, [connection](const auto& c) { return c.get() == connection; });
    if (!alive) return;  // the handler closed the server
    request->raw.data = request.get();
    const uv_buf_t buffer =
        uv_buf_init(request->text.data(), static_cast<unsigned>(request->text.size()));
    connection->deadline.start_once(kAnswerMs);
    if (uv_write(&request->raw, connection->stream(), &buffer, 1, on_answered) != 0)
      return drop(connection);
    static_cast<void>(request.release());  // frees itself in on_answered
  }

  static void on_answered(uv_write_t* raw, int /*status*/) {
    const std::unique_ptr<Answer> request(static_cast<Answer*>(raw->data));
    auto* connection = static_cast<Connection*>(raw->handle->data);
    if (connection != nullptr) connection->server.drop(connection);
  }
};

ControlServer::ControlServer(Loop& loop, Handler handler)
    : state_(std::make_unique<State>(loop, std::move(handler))) {}

ControlServer::~ControlServer() {
  state_->close();
  if (!state_->inside) return;
  state_->dead = true;  // the handler is on the stack: it frees what it runs from
  static_cast<void>(state_.release());
}

Result<void> ControlServer::listen(const std::filesystem::path& path, bool take_over) {
  return state_->listen(path, take_over);
}

void ControlServer::disown() {
  state_->path.clear();
}

bool ControlServer::reachable() const {
  return state_->on_our_path();
}

void ControlServer::close() {
  state_->close();
}

}  // namespace hm::net
