// The trust memory on disk, so that it outlives a restart and a crash: read at start, written on
// the pool after each change. Relay-loop thread; the memory must outlive it.
#pragma once

#include <filesystem>

#include "common/net/work.h"
#include "interceptor/relay/trust_memory.h"

namespace hm::relay {

class TrustFile {
 public:
  TrustFile(net::Loop& loop, TrustMemory& memory, std::filesystem::path file);
  ~TrustFile();
  TrustFile(const TrustFile&) = delete;
  TrustFile& operator=(const TrustFile&) = delete;

  void load();  // blocks; before the loop runs

 private:
  void write();

  TrustMemory& memory_;
  const std::filesystem::path file_;
  net::Work work_;
  bool again_ = false;  // changed while it was being written
};

}  // namespace hm::relay
