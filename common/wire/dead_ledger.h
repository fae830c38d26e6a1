// What a process left that died with entries in its ledger. Its file is read, not mapped: a disk
// that fails or a file that is cut is an error here, and no signal. Blocking; any thread.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/descriptor.h"
#include "common/wire/miss_file.h"

namespace hm::wire {

[[nodiscard]] std::string_view ledger_prefix(LedgerKind kind);

class DeadLedger {
 public:
  // Those whose process is dead, locked as long as the object lives, `most` at most. A copy on a
  // disk whose file is in memory is left alone. Files that are none are renamed *.bad.
  [[nodiscard]] static std::vector<DeadLedger> find(const LedgerFolders& folders, LedgerKind kind,
                                                    size_t most);

  // The entries that are in use, in the order of the file.
  [[nodiscard]] std::span<const MissSlot> slots() const { return slots_; }
  // As MissSlot::recover(), for all of them, and in the file, so that who takes it next sees the
  // same.
  void recover(int64_t now_us);
  void remove();  // it has been taken over

  // For an edge that goes on with it.
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] bool in_memory() const { return in_memory_; }
  [[nodiscard]] Result<std::unique_ptr<LedgerLayout>> layout() const;
  [[nodiscard]] Descriptor release() { return std::move(file_); }

 private:
  static Result<DeadLedger> take(const std::filesystem::path& path, bool in_memory,
                                 const LedgerFolders& folders);
  Result<void> read();

  std::filesystem::path path_;
  std::filesystem::path copy_;  // of a file in memory; need not exist
  bool in_memory_ = false;
  Descriptor file_;
  std::vector<MissSlot> slots_;
  std::vector<size_t> places_;  // of slots_ in the file
};

}  // namespace hm::wire
