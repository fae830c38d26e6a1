// The edge, put together. One thread (and the log's): listener, gate, calls, ledger, control
// socket. Whatever is wrong with configuration or ports is a warning and a default, never an exit:
// the port that every tool's HTTPS_PROXY names must be up.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "common/base/fs.h"
#include "common/config/config.h"
#include "common/net/control_socket.h"
#include "common/net/fd_watch.h"
#include "common/net/loop.h"
#include "common/net/tcp_listener.h"
#include "common/setup/config_reload.h"
#include "common/setup/departure.h"
#include "common/setup/kept_sockets.h"
#include "common/setup/ledger_keeper.h"
#include "common/setup/process.h"
#include "edge/call.h"

namespace hm::edge {

class EdgeApp final : private Call::Owner {
 public:
  EdgeApp(const setup::ProcessFlags& flags, std::string version,
          const setup::Inheritance& given = {});
  ~EdgeApp();

  // Blocks until a signal or the lifeline ends it. The process' exit code.
  int run();

  // run() in its parts, for tests: start(), loop().run(), finish().
  [[nodiscard]] Result<uint16_t> start();
  void finish();
  [[nodiscard]] net::Loop& loop() { return loop_; }
  // Stops accepting; the process ends when no tunnel is open, after `limit_ms` at the latest
  // (negative: no limit).
  void drain(int64_t limit_ms);

 private:
  void stand_down(bool relieved);
  void on_accept(net::TcpSocket socket);
  void on_call_over(uint64_t id) override;
  void accept_again();
  void check_drained();
  void add_hosts();
  void take_up_config();
  [[nodiscard]] std::string answer(std::string_view line);
  [[nodiscard]] std::string status_answer() const;
  [[nodiscard]] std::string ledger_answer();

  const setup::ProcessFlags flags_;
  const bool supervised_;
  const std::string version_;
  const Home home_;
  const RunPlace place_;
  config::Loaded loaded_;  // changed by `reload` alone, in place
  const Clock& clock_ = system_clock();
  const int64_t started_us_;
  net::Loop loop_;
  setup::KeptSockets kept_;
  setup::Departure departure_;
  net::DialOptions dial_options_;
  wire::HostTable hosts_;
  HealthGate gate_;
  MissLedger ledger_;
  net::ProcessWatch watch_;
  Knocker knocker_;
  EdgeContext context_;
  net::TcpListener listener_;
  net::ControlServer control_;
  net::FdWatch lifeline_;
  net::Timer pulse_;
  net::Timer drain_limit_;
  net::Work ports_work_;
  setup::LedgerKeeper keeper_;
  setup::ConfigReload reload_;
  std::unique_ptr<net::SignalWatch> on_term_;
  std::unique_ptr<net::SignalWatch> on_int_;
  std::map<uint64_t, std::unique_ptr<Call>> calls_;
  size_t most_calls_ = static_cast<size_t>(loaded_.config.edge.max_connections);
  uint64_t next_id_ = 1;
  int parked_ = -1;  // the listening socket while max_connections are open; -1: it accepts
  bool draining_ = false;
  int64_t drained_at_us_ = 0;
};

}  // namespace hm::edge
