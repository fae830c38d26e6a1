// The copy of a ledger on a disk: what is left when memory is not (the machine went down), or when
// there was no place in memory for a file with a name. Written in place, page by page, only what
// has changed; locked as long as this object lives, as the ledger itself is.
//
// Blocking, in a thread that may wait for a disk; one thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>

#include "common/base/descriptor.h"
#include "common/base/result.h"
#include "common/wire/miss_slot.h"

namespace hm::wire {

class LedgerCopy {
 public:
  LedgerCopy(Descriptor source, std::filesystem::path path);

  [[nodiscard]] Result<void> update();
  void remove();

 private:
  static constexpr size_t kPages = sizeof(LedgerLayout) / LedgerLayout::kPage;

  Result<void> open();
  Result<void> copy_pages();
  [[nodiscard]] Result<uint32_t> merges() const;  // of the source; odd things count as a change

  Descriptor source_;
  std::filesystem::path path_;
  Descriptor file_;
  std::array<uint64_t, kPages> written_{};  // prints of the pages as they are in the file
};

}  // namespace hm::wire
