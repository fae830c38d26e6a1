// The ledger of a living process: a file of fixed size, mapped into memory. What is entered
// survives the process, kill -9 included, and costs no system call. The edge enters calls that went
// past the meter, the interceptor the calls that it has under way. One file per process,
// "edge-ledger.PID.HEX" or "daemon-ledger.PID.HEX", locked (flock) while it lives: whoever gets the
// lock has found the file of a dead one (dead_ledger.h).
//
// The file is in memory, never on a disk (ledger_folders.h): no store of a loop waits for a file
// system. Its blocks are reserved when it is made. Should a page be lost all the same (somebody cut
// the file), plain memory takes its place: the process lives.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "common/base/descriptor.h"
#include "common/base/result.h"
#include "common/wire/ledger_folders.h"
#include "common/wire/miss_slot.h"

namespace hm::wire {

enum class LedgerKind : uint8_t { edge, daemon };

class MissFile {
 public:
  static constexpr size_t kSlots = LedgerLayout::kSlots;
  using Kind = LedgerKind;

  // Memory without a name: lost with the process, but for its copy in the home.
  MissFile();
  // In the first folder in memory that has room. Blocks shortly, as the next one does.
  [[nodiscard]] static Result<MissFile> make(const LedgerFolders& folders, Kind kind);
  // What a dead edge left, entries and all, else a new one.
  [[nodiscard]] static Result<MissFile> take_or_make(const LedgerFolders& folders);
  ~MissFile();
  MissFile(MissFile&& other) noexcept;
  MissFile& operator=(MissFile&& other) noexcept;

  [[nodiscard]] const MissSlot& operator[](size_t slot) const { return layout_->slots[slot]; }
  [[nodiscard]] std::span<const MissSlot> slots() const { return layout_->slots; }
  [[nodiscard]] MissSlot& change(size_t slot);
  // As MissSlot::recover(), for all that is in use. Those slots, in the order in which they are to
  // be handed over: what was offered before comes first and keeps its name.
  std::vector<size_t> recover(int64_t now_us);
  // `into` gets the numbers of both and `from` becomes free, both or neither.
  void merge(size_t into, size_t from);
  [[nodiscard]] uint64_t changes() const { return changes_; }  // grows

  [[nodiscard]] bool survives() const { return !path_.empty(); }  // the end of the process
  // It has its name and its size. Asks the system; where a file in memory is, that does not block.
  [[nodiscard]] bool sound() const;
  // Looking through all slots brings two megabytes of the file into this process; it needs the
  // pages of the slots in use only, and they come back by themselves.
  void release_pages();
  void remove();  // it is needed no more, and its copy neither
  // All entries go on in `fresh`, which must be a new file; this one is given up.
  void move_to(MissFile fresh);

  // For the copy: another descriptor of what is mapped; and its name in the home, empty for memory
  // without a name.
  [[nodiscard]] Descriptor contents() const;
  [[nodiscard]] const std::filesystem::path& copy() const { return copy_; }
  // A name that no other ledger has.
  [[nodiscard]] static std::string fresh_name(Kind kind);

 private:
  MissFile(std::filesystem::path path, Descriptor file);
  static Result<MissFile> make_in(const std::filesystem::path& folder, const std::string& name,
                                  const LedgerLayout* content);
  Result<void> map();

  std::filesystem::path path_;  // empty: without a name
  std::filesystem::path copy_;
  Descriptor file_;
  LedgerLayout* layout_ = nullptr;
  uint64_t changes_ = 0;
};

}  // namespace hm::wire
