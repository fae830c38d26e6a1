#include "common/setup/departure.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <string>
#include <utility>

#include "common/base/log.h"
#include "common/base/notify.h"
#include "common/net/control_socket.h"
#include "common/net/loop.h"

namespace hm::setup {
namespace {

constexpr int64_t kTakeOverMs = 500;
constexpr std::string_view kRelieve = "hm/1 relieve";

}  // namespace

Departure::Departure(net::Loop& loop, const Inheritance& given,
                     std::function<void(bool)> stand_down, const Waits& waits)
    : given_(given),
      stand_down_(std::move(stand_down)),
      parent_(loop, [this] { on_parent_gone(); }),
      store_(loop, [this] { on_store_gone(); }),
      limit_(loop, [this] { on_nobody_came(); }),
      waits_(waits) {}

void Departure::start() {
  if (!given_.supervised()) return;
  if (const auto watching = parent_.start(given_.parent); !watching)
    log::warn("setup.parent_unwatched").with(watching.error());
  watch_store();
}

void Departure::watch_store() {
  std::array<int, 2> ends{};
  if (!notify::available() || ::pipe2(ends.data(), O_CLOEXEC) != 0) return;
  // A name of our own: the successor's must not push ours out before it has relieved us. When we
  // are gone the store drops it by itself (the pipe has no reader).
  kept_ = notify::store(std::string(kWatchPurpose) + std::to_string(::getpid()), ends[1]);
  ::close(ends[1]);
  if (const auto watching = store_.start(ends[0]); !watching) kept_ = false;
}

void Departure::on_store_gone() {
  kept_ = false;  // before leave(): the supervisor keeps nothing
  if (leaving_) stand_down(false);
}

void Departure::on_nobody_came() {
  if (!kept_) return stand_down(false);
  log::warn("setup.no_successor")
      .with("text", "the supervisor wants one; serving on until it comes");
  limit_.start_once(waits_.look_again_ms);
}

void Departure::on_parent_gone() {
  if (leaving_) return;
  parent_gone_ = true;
  notify::mute();  // the supervisor may have started another one already
  log::warn("setup.parent_gone").with("text", "treated as a planned stop");
  leave();
}

void Departure::leave() {
  if (std::exchange(leaving_, true)) return;
  const bool store = kept_;
  if (!parent_gone_) notify::send("STOPPING=1");
  if (!given_.supervised()) return stand_down(false);
  notify::mute();
  if (!parent_gone_) {
    const char understood = 'l';
    if (::write(given_.to_parent, &understood, 1) != 1)
      log::warn("setup.parent_deaf");  // it will see the pipe's end
  }
  ::close(given_.to_parent);
  limit_.start_once(store ? waits_.look_again_ms : waits_.without_store_ms);
}

bool Departure::relieve() {
  if (!leaving_) return false;
  stand_down(true);
  return true;
}

void Departure::stand_down(bool relieved) {
  if (std::exchange(stood_down_, true)) return;
  relieved_ = relieved;
  limit_.stop();
  stand_down_(relieved);
}

bool Departure::take_over(const std::filesystem::path& control_socket) {
  net::Loop loop;  // of its own, for this one question
  net::ControlRequest request(loop);
  bool relieved = false;
  request.send(control_socket, std::string(kRelieve), kTakeOverMs, 4096,
               [&](const Result<std::string>& answer) {
                 relieved = answer && answer->find("ok=1") != std::string::npos;
                 loop.stop();
               });
  loop.run();
  return relieved;
}

}  // namespace hm::setup
