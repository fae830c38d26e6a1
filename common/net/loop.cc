#include "common/net/loop.h"

#include <csignal>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include "common/base/counters.h"
#include "common/net/tcp_stream.h"
#include "common/net/uv_handle.h"

namespace hm::net {

namespace {

constexpr size_t kMaxPosts = 65'536;  // beyond: dropped and counted, "net.posts_dropped"

// Only for what its owner forgot; everybody else closes through Handle<T>.
void free_by_type(uv_handle_t* handle) {
  switch (handle->type) {
    case UV_TCP:
      delete reinterpret_cast<uv_tcp_t*>(handle);
      break;
    case UV_NAMED_PIPE:
      delete reinterpret_cast<uv_pipe_t*>(handle);
      break;
    case UV_TIMER:
      delete reinterpret_cast<uv_timer_t*>(handle);
      break;
    case UV_POLL:
      delete reinterpret_cast<uv_poll_t*>(handle);
      break;
    case UV_SIGNAL:
      delete reinterpret_cast<uv_signal_t*>(handle);
      break;
    case UV_ASYNC:
      delete reinterpret_cast<uv_async_t*>(handle);
      break;
    case UV_CHECK:
      delete reinterpret_cast<uv_check_t*>(handle);
      break;
    case UV_IDLE:
      delete reinterpret_cast<uv_idle_t*>(handle);
      break;
    default:
      break;  // we make no others
  }
}

void close_leftover(uv_handle_t* handle, void* /*unused*/) {
  if (uv_is_closing(handle) != 0) return;
  handle->data = nullptr;
  uv_close(handle, free_by_type);
}

}  // namespace

struct Loop::Parts {
  struct Grave {
    void* object;
    void (*destroy)(void*);
  };

  LoopShared shared;
  Handle<uv_async_t> async;  // wakes the loop for posts; does not keep it alive
  Handle<uv_check_t>
      check;               // runs right after polling, when no callback of anybody is on the stack
  Handle<uv_idle_t> idle;  // started while the graveyard has work, so that polling does not sleep
  std::vector<Grave> graves;
  bool running = false;
  bool stopped = false;

  std::mutex mutex;
  std::vector<std::function<void()>> posts;  // guarded by mutex
  bool closed = false;                       // guarded by mutex

  void run_posts() {
    std::vector<std::function<void()>> batch;
    {
      const std::lock_guard lock(mutex);
      batch.swap(posts);
    }
    for (auto& task : batch) {
      task();
      task = nullptr;  // what it captured dies in order, not all at the end
    }
  }

  void empty_graves() {
    while (!graves.empty()) {
      const std::vector<Grave> batch = std::exchange(graves, {});
      for (const Grave& grave : batch) grave.destroy(grave.object);
    }
    if (idle) uv_idle_stop(idle.get());
  }

  [[nodiscard]] bool has_posts() {
    const std::lock_guard lock(mutex);
    return !posts.empty();
  }
};

Loop::Loop() : loop_(nullptr), parts_(std::make_unique<Parts>()) {
  std::signal(SIGPIPE, SIG_IGN);  // NOLINT(cert-err33-c): cannot fail for SIGPIPE

  auto loop = std::make_unique<uv_loop_t>();
  int status = uv_loop_init(loop.get());
  if (status != 0) throw std::system_error(-status, std::generic_category(), "uv_loop_init");
  loop_ = loop.release();
  loop_->data = &parts_->shared;
  parts_->shared.read_buffer = std::make_unique<uint8_t[]>(TcpStream::kReadSize);

  auto async = std::make_unique<uv_async_t>();
  status = uv_async_init(loop_, async.get(), [](uv_async_t* handle) {
    if (auto* parts = static_cast<Parts*>(handle->data)) parts->run_posts();
  });
  if (status != 0) {
    uv_loop_close(loop_);
    delete loop_;
    throw std::system_error(-status, std::generic_category(), "uv_async_init");
  }
  async->data = parts_.get();
  parts_->async = Handle<uv_async_t>(async.release());
  uv_unref(reinterpret_cast<uv_handle_t*>(parts_->async.get()));

  parts_->check = Handle<uv_check_t>::make(loop_, uv_check_init, parts_.get());
  uv_check_start(parts_->check.get(), [](uv_check_t* handle) {
    if (auto* parts = static_cast<Parts*>(handle->data)) parts->empty_graves();
  });
  uv_unref(reinterpret_cast<uv_handle_t*>(parts_->check.get()));

  parts_->idle = Handle<uv_idle_t>::make(loop_, uv_idle_init, parts_.get());
}

void Loop::empty_graves() {
  parts_->empty_graves();
}

Loop::~Loop() {
  std::vector<std::function<void()>> dropped;
  {
    const std::lock_guard lock(parts_->mutex);
    parts_->closed = true;
    dropped.swap(parts_->posts);
  }
  dropped.clear();  // what the tasks held may close handles: before the walk
  parts_->shared.closing = true;
  parts_->shared.last_words.clear();
  parts_->empty_graves();
  parts_->async.reset();
  parts_->check.reset();
  parts_->idle.reset();
  // Requests under way end with their handles (ECANCELED); jobs of the pool are waited for.
  do {
    uv_walk(loop_, close_leftover, nullptr);
    uv_run(loop_, UV_RUN_DEFAULT);
    parts_->empty_graves();
  } while (uv_loop_close(loop_) != 0);
  parts_->shared.resolver.reset();  // look-ups that hang are not waited for, and not heard
  delete loop_;
}

void Loop::run() {
  parts_->running = true;
  parts_->stopped = false;
  do {
    parts_->run_posts();
    if (!parts_->stopped) uv_run(loop_, UV_RUN_DEFAULT);
  } while (!parts_->stopped && (parts_->has_posts() || !parts_->graves.empty()));
  parts_->running = false;
}

void Loop::stop() {
  if (!parts_->running) return;
  parts_->stopped = true;
  uv_stop(loop_);
}

void Loop::post(std::function<void()> task) {
  const std::lock_guard lock(parts_->mutex);
  if (parts_->closed) return;
  if (parts_->posts.size() >= kMaxPosts) {
    counters::get("net.posts_dropped").add();
    return;
  }
  parts_->posts.push_back(std::move(task));
  uv_async_send(parts_->async.get());  // under the lock: ~Loop cannot have closed it yet
}

int64_t Loop::now_us() const {
  return static_cast<int64_t>(uv_hrtime() / 1000);
}

void Loop::bury_erased(void* object, void (*destroy)(void*)) {
  if (object == nullptr) return;
  parts_->graves.push_back({object, destroy});
  if (parts_->idle) uv_idle_start(parts_->idle.get(), [](uv_idle_t*) {});
}

struct SignalWatch::State {
  Handle<uv_signal_t> handle;
  std::function<void()> callback;
  bool inside = false;
  bool dead = false;
};

SignalWatch::SignalWatch(Loop& loop, int signal_number, std::function<void()> callback)
    : state_(new State) {
  state_->callback = std::move(callback);
  state_->handle = Handle<uv_signal_t>::make(loop.raw(), uv_signal_init, state_);
  uv_signal_start(
      state_->handle.get(),
      [](uv_signal_t* handle, int /*number*/) {
        auto* state = static_cast<State*>(handle->data);
        if (state == nullptr) return;
        state->inside = true;
        state->callback();
        state->inside = false;
        if (state->dead) delete state;
      },
      signal_number);
}

SignalWatch::~SignalWatch() {
  state_->handle.reset();
  if (state_->inside)
    state_->dead = true;  // the callback is on the stack: it frees what it runs from
  else
    delete state_;
}

}  // namespace hm::net
