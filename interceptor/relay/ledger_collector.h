// Takes over the edge's miss ledger once a second: what went past the meter while it was ill
// becomes rows of table `misses`. An entry is acknowledged when the store has it safe, so that it
// is lost with neither process; one that comes twice is told by its name (source, sequence). The
// files that dead edges and interceptors left in the folders are taken over first, and now and
// then, by a job on the pool.
// Relay-loop thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "common/base/clock.h"
#include "common/net/control_socket.h"
#include "common/net/timer.h"
#include "common/net/work.h"
#include "common/wire/ledger_folders.h"
#include "interceptor/call_record.h"
#include "interceptor/relay/flight_log.h"

namespace hm::relay {

class LedgerCollector {
 public:
  LedgerCollector(net::Loop& loop, const Clock& clock, std::filesystem::path edge_socket,
                  wire::LedgerFolders folders, RecordSink& sink, StoreProgress progress);
  ~LedgerCollector();

  void start();
  void collect();  // now, if nothing is under way
  // A hand-over is under way and worth waiting for.
  [[nodiscard]] bool busy() const;

 private:
  struct Files;  // of dead processes, locked, until their entries are safe

  void pulse();
  void look_for_files();
  void on_files(std::shared_ptr<Files> files);
  void on_answer(const Result<std::string>& answer);
  void wait_for_store();
  void when_safe();

  const Clock& clock_;
  const std::filesystem::path edge_socket_;
  const wire::LedgerFolders folders_;
  RecordSink& sink_;
  const StoreProgress progress_;
  net::ControlRequest request_;
  net::Work look_;
  net::Work remove_;
  net::Timer timer_;
  std::shared_ptr<Files> files_;
  int64_t acknowledge_ = 0;  // sequence; 0: nothing to acknowledge
  int64_t offered_by_ = 0;   // the edge's process
  int64_t safe_at_ = 0;      // rows
  int64_t waiting_since_us_ = 0;
  bool looked_ = false;  // for files, once
  int64_t asked_at_us_ = 0;
  int64_t looked_at_us_ = 0;  // 0: not yet
};

}  // namespace hm::relay
