// Takes over the edge's miss ledger once a second: what went past the meter while it was ill
// becomes rows of table `misses`. An entry is acknowledged after the sink has taken it. Relay-loop
// thread.
#pragma once

#include <cstdint>
#include <filesystem>

#include "common/net/control_socket.h"
#include "common/net/timer.h"
#include "interceptor/call_record.h"

namespace hm::relay {

class LedgerCollector {
 public:
  LedgerCollector(net::Loop& loop, std::filesystem::path edge_socket, RecordSink& sink);

  void start();
  void collect();  // now, if no request is under way
  [[nodiscard]] bool busy() const { return request_.busy(); }

 private:
  void on_answer(const Result<std::string>& answer);
  void acknowledge(int64_t sequence);

  std::filesystem::path edge_socket_;
  RecordSink& sink_;
  net::ControlRequest request_;
  net::Timer timer_;
  int64_t edge_pid_ = 0;
  int64_t taken_ = 0;  // last sequence given to the sink; not taken twice if the ack was lost
};

}  // namespace hm::relay
