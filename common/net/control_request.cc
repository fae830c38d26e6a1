#include <unistd.h>

#include <cerrno>
#include <utility>

#include "common/net/control_socket.h"
#include "common/net/loop.h"
#include "common/net/tcp_stream.h"
#include "common/net/timer.h"
#include "common/net/unix_address.h"
#include "common/net/uv_handle.h"

namespace hm::net {

namespace {
constexpr int64_t kRetryMs = 20;  // the server's backlog was full
}

struct ControlRequest::State {
  struct Question {
    uv_write_t raw{};
    std::string text;
  };

  ControlRequest& request;
  std::filesystem::path path;
  std::string line;
  size_t max_bytes;
  Callback callback;
  Timer deadline;
  Timer connecting;  // also the first attempt: nobody is called back inside send()
  Handle<uv_pipe_t> pipe;
  std::string answer;

  State(ControlRequest& the_request, std::filesystem::path the_path, std::string the_line,
        size_t limit, Callback the_callback)
      : request(the_request),
        path(std::move(the_path)),
        line(std::move(the_line)),
        max_bytes(limit),
        callback(std::move(the_callback)),
        deadline(request.loop_,
                 [this] { finish(fail(Code::timeout, "control_request.deadline", ETIMEDOUT)); }),
        connecting(request.loop_, [this] { connect_now(); }) {}

  [[nodiscard]] uv_stream_t* stream() const { return reinterpret_cast<uv_stream_t*>(pipe.get()); }

  // A unix socket connects at once or not at all, so there is nothing to wait for.
  void connect_now() {
    const auto address = UnixAddress::of(path);
    if (!address) return finish(std::unexpected(address.error()));
    const int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return finish(fail_with(errno, "control_request.socket"));
    if (connect(descriptor, address->raw(), address->length()) != 0) {
      const int reason = errno;
      ::close(descriptor);
      if (reason == EAGAIN) return connecting.start_once(kRetryMs);
      return finish(fail_with(reason, "control_request.connect"));
    }
    if (!same_user(descriptor)) {
      ::close(descriptor);
      return finish(fail(Code::permission, "control_request.peer"));
    }
    auto handle = std::make_unique<uv_pipe_t>();
    uv_pipe_init(request.loop_.raw(), handle.get(), 0);
    handle->data = this;
    pipe = Handle<uv_pipe_t>(handle.release());
    if (const int status = uv_pipe_open(pipe.get(), descriptor); status != 0) {
      ::close(descriptor);
      return finish(fail_with(status, "control_request.open"));
    }
    ask();
  }

  void ask() {
    auto question = std::make_unique<Question>();
    question->text = std::move(line) + "\n";
    question->raw.data = question.get();
    const uv_buf_t buffer =
        uv_buf_init(question->text.data(), static_cast<unsigned>(question->text.size()));
    const int status = uv_write(&question->raw, stream(), &buffer, 1, [](uv_write_t* raw, int) {
      delete static_cast<Question*>(raw->data);
    });
    if (status != 0) return finish(fail_with(status, "control_request.write"));
    static_cast<void>(question.release());  // frees itself; a failure shows in the read
    uv_read_start(stream(), on_memory, on_bytes);
  }

  static void on_memory(uv_handle_t* handle, size_t /*suggested*/, uv_buf_t* buffer) {
    *buffer = uv_buf_init(reinterpret_cast<char*>(shared_of(handle->loop).read_buffer.get()),
                          TcpStream::kReadSize);
  }

  static void on_bytes(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
    auto* state = static_cast<State*>(stream->data);
    if (state == nullptr || count == 0) return;
    if (count == UV_EOF) {
      // An answer is never empty: whoever closes without one has refused the question.
      if (state->answer.empty()) return state->finish(fail(Code::closed, "control_request.answer"));
      return state->finish(std::move(state->answer));
    }
    if (count < 0) return state->finish(fail_with(count, "control_request.answer"));
    if (state->answer.size() + static_cast<size_t>(count) > state->max_bytes)
      return state->finish(fail(Code::too_large, "control_request.answer"));
    state->answer.append(buffer->base, static_cast<size_t>(count));
  }

  // This object is gone when the owner is told: the owner may send again, or destroy the request.
  void finish(Result<std::string> result) {
    const Callback tell = std::move(callback);
    request.state_.reset();
    tell(std::move(result));
  }
};

ControlRequest::ControlRequest(Loop& loop) : loop_(loop) {}

ControlRequest::~ControlRequest() = default;

void ControlRequest::send(const std::filesystem::path& path, std::string line, int64_t timeout_ms,
                          size_t max_bytes, Callback callback) {
  state_ = std::make_unique<State>(*this, path, std::move(line), max_bytes, std::move(callback));
  state_->deadline.start_once(timeout_ms);
  state_->connecting.start_once(0);
}

bool ControlRequest::busy() const {
  return state_ != nullptr;
}

}  // namespace hm::net
