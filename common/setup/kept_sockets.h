// Listening sockets that outlive their process: the supervisor's descriptor store holds a duplicate
// of each, so a port stays open over crash, restart and upgrade, and who connects meanwhile waits
// in the backlog. (Two listeners with SO_REUSEPORT would not do: what waits in the backlog of the
// one that closes is reset.)
//
// A socket is kept under "purpose-WANTED", where WANTED is the port that the configuration asks
// for: when that changes, the kept one is dropped. The socket itself may have another port, if the
// wanted one was taken when it was made; who wants that port by now gets it under the new name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/setup/worker.h"

namespace hm::setup {

class KeptSockets {
 public:
  explicit KeptSockets(std::vector<NamedDescriptor> kept) : kept_(std::move(kept)) {}
  ~KeptSockets() { close_rest(); }
  KeptSockets(const KeptSockets&) = delete;
  KeptSockets& operator=(const KeptSockets&) = delete;

  // The kept descriptor, which is the caller's from here on, or -1. Others of this purpose are
  // closed and leave the store.
  [[nodiscard]] int claim(std::string_view purpose, uint16_t wanted);
  // The socket in use; `claimed` is what claim() returned. A fresh one goes into the store.
  void keep(std::string_view purpose, uint16_t wanted, int claimed, int in_use);

  // Everything is claimed that is wanted, and a predecessor is relieved: the rest is closed, and
  // what departures left behind (see Departure) leaves the store.
  void close_rest();
  // Did a former process leave anything? Then we are its successor.
  [[nodiscard]] bool any_claimed() const { return any_claimed_; }

  [[nodiscard]] static std::string name_of(std::string_view purpose, uint16_t wanted);

 private:
  std::vector<NamedDescriptor> kept_;
  bool any_claimed_ = false;
};

}  // namespace hm::setup
